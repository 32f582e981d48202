/* replay.c - runs a fuzz target over the files of a folder, for the normal tests.
 *
 *   fuzz_json fuzz/corpus/json
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/file.h"

int main(int argc, char **argv)
{
    fc_names names = {0};
    fc_err err;
    if (argc != 2 || fc_dir_list(&names, argv[1], &err) != FC_OK || names.n == 0) {
        fprintf(stderr, "usage: %s FOLDER, with at least one file in it\n", argv[0]);
        return 2;
    }
    for (int64_t i = 0; i < names.n; i++) {
        char path[FC_PATH_MAX];
        fc_map map = {0};
        if (fc_path_join(path, argv[1], names.name[i], &err) != FC_OK ||
            fc_map_open(&map, path, &err) != FC_OK)
        {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        printf("%s\n", names.name[i]); /* the last one printed is the one that crashed */
        (void)fflush(stdout);
        (void)LLVMFuzzerTestOneInput(map.data, map.n_bytes);
        fc_map_close(&map);
    }
    fc_names_free(&names);
    return 0;
}
