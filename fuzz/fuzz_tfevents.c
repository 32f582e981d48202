/* fuzz_tfevents.c - an event file through the reader. Checksums are put right first (the whole
 * input becomes one record), or no input would get past them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/crc32c.h"
#include "formats/tfevents.h"

static fc_status take(void *ctx, const char *tag, int64_t step, double value, fc_err *err)
{
    size_t *const n_bytes = ctx;
    (void)step;
    (void)value;
    (void)err;
    *n_bytes += strlen(tag);
    return FC_OK;
}

static void put_le(uint8_t *to, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    size_t n_seen = 0;
    fc_err err;
    uint8_t *const record = malloc(n_bytes + 16);
    if (record == NULL) abort();
    put_le(record, n_bytes, 8);
    put_le(record + 8, fc_crc32c_masked(record, 8), 4);
    if (n_bytes > 0) memcpy(record + 12, data, n_bytes);
    put_le(record + 12 + n_bytes, fc_crc32c_masked(data, n_bytes), 4);
    const char *const path = fuzz_file("x.tfevents", record, n_bytes + 16);
    (void)fc_tfevents_read(fuzz_dir(), take, &n_seen, &err);
    (void)unlink(path);
    free(record);
    return 0;
}
