/* fuzz.h - what the fuzz targets share.
 *
 * A target must neither crash nor leak nor run for long, whatever the bytes are; what the parser
 * says about them does not matter here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FUZZ_H
#define FC_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The folder of this process, for parsers that read files; in $TMPDIR (/dev/shm is quick). */
static char fuzz_path[512];

static inline void fuzz_remove_dir(void)
{
    (void)rmdir(fuzz_path);
}

static inline const char *fuzz_dir(void)
{
    if (fuzz_path[0] == '\0') {
        const char *const parent = getenv("TMPDIR");
        (void)snprintf(fuzz_path, sizeof fuzz_path, "%s/facet-fuzz-%ld",
                       parent != NULL ? parent : "/tmp", (long)getpid());
        if (mkdir(fuzz_path, 0700) != 0 || atexit(fuzz_remove_dir) != 0) abort();
    }
    return fuzz_path;
}

/* The input as a file in that folder; unlink it. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t n_bytes)
{
    static char path[640];
    (void)snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
    FILE *const file = fopen(path, "wb");
    if (file == NULL || (n_bytes > 0 && fwrite(data, 1, n_bytes, file) != n_bytes))
        abort();
    if (fclose(file) != 0) abort();
    return path;
}

#endif
