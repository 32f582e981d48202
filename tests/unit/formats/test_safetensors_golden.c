/* test_safetensors_golden.c - files of other writers: every sound one opens, every damaged one
 * is refused for the right reason.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "formats/safetensors.h"

static const struct {
    const char *name, *word;
} damaged[] = {
    {"duplicate-names", "b_dec"},
    {"empty-weights", "0 bytes"},
    {"header-length-absurd", "1152921504606846976"},
    {"header-length-past-end", "bytes follow"},
    {"header-not-json", "not valid JSON"},
    {"offset-hole", "begins at byte"},
    {"offsets-reversed", "b_enc"},
    {"overlapping-offsets", "begins at byte"},
    {"shape-overflow", "W_enc"},
    {"size-disagrees", "b_enc"},
    {"trailing-bytes", "16 bytes follow"},
    {"truncated-header", "header length"},
    {"truncated-safetensors", "range within"},
    {"unknown-tensor-dtype", "F12"},
};

static void damaged_files_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(damaged); i++) {
        char dir[FC_PATH_MAX], folder[FC_PATH_MAX], path[FC_PATH_MAX];
        fc_safetensors *st = NULL;
        fc_err err;
        fc_fixture(dir, "sae/exchange/bad");
        fc_test_path(folder, dir, damaged[i].name);
        fc_test_path(path, folder, "sae_weights.safetensors");
        fc_assert_fails(fc_safetensors_open(&st, path, &err), &err, FC_FORMAT, path,
                        damaged[i].word);
    }
}

static bool is_damaged(const char *path)
{
    for (size_t i = 0; i < FC_LEN(damaged); i++)
        if (strstr(path, damaged[i].name) != NULL) return true;
    return false;
}

/* Opens every safetensors file below dir and returns how many there were. */
static int64_t open_all(const char *dir)
{
    static const char ending[] = ".safetensors";
    int64_t n_opened = 0;
    fc_names names = {0};
    fc_err err;
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        char path[FC_PATH_MAX];
        fc_test_path(path, dir, names.name[i]);
        const size_t n = strlen(path), n_ending = sizeof ending - 1;
        if (fc_path_is_dir(path)) {
            n_opened += open_all(path);
        } else if (n > n_ending && strcmp(path + n - n_ending, ending) == 0 &&
                   !is_damaged(path)) {
            fc_safetensors *st = NULL;
            fc_assert_ok(fc_safetensors_open(&st, path, &err), &err);
            assert_true(fc_safetensors_count(st) > 0);
            fc_safetensors_close(st);
            n_opened++;
        }
    }
    fc_names_free(&names);
    return n_opened;
}

static void every_sound_fixture_opens(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    fc_fixture(dir, "");
    assert_true(open_all(dir) > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_refused_by_name),
        cmocka_unit_test(every_sound_fixture_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
