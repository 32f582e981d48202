/* fuzz_thrift.c - bytes as Thrift: every field of a struct by its type, and the same by skipping.
 *
 * Reading and skipping agree on where a struct ends, or on that it is damaged.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "formats/thrift.h"

static void read_value(fc_thrift *t, fc_thrift_field field)
{
    int64_t n = 0;
    if (field.type == FC_THRIFT_BINARY)
        (void)fc_thrift_text(t, field, &n);
    else if (field.type >= FC_THRIFT_I8 && field.type <= FC_THRIFT_I64)
        (void)fc_thrift_i64(t, field);
    else if (field.type <= FC_THRIFT_FALSE)
        (void)fc_thrift_bool(t, field);
    else
        fc_thrift_skip(t, field);
    if (n < 0 || n > t->end - t->begin) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    fc_thrift read = fc_thrift_over(data, n_bytes), skipped = read;
    fc_thrift_field field = {0};
    while (fc_thrift_next(&read, &field)) read_value(&read, field);
    fc_thrift_skip(&skipped, (fc_thrift_field){.type = FC_THRIFT_STRUCT});
    if (read.at < read.begin || read.at > read.end) abort();
    /* A field nested 32 deep is one level deeper within the whole. */
    if (!read.fault && !skipped.fault && read.at != skipped.at) abort();
    if (read.fault && !skipped.fault) abort();
    return 0;
}
