/* fuzz_parquet.c - a file as Parquet: its columns, the values of each, and a conversation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "formats/parquet.h"

enum {
    VALUES_MAX = 1 << 14,
    BYTES_MAX = 1 << 24
}; /* a few bytes can stand for millions */

static void read_column(const fc_parquet *file, int64_t column)
{
    fc_parquet_values *values = NULL;
    fc_parquet_value value;
    fc_err err;
    bool is_end = false;
    int64_t n_seen = 0;
    unsigned sum = 0;
    if (fc_parquet_values_open(&values, file, column, &err) != FC_OK) return;
    for (int i = 0; i < VALUES_MAX && n_seen < BYTES_MAX; i++) {
        if (fc_parquet_values_next(values, &value, &is_end, &err) != FC_OK || is_end)
            break;
        for (int64_t k = 0; k < value.n; k++) sum += (unsigned char)value.bytes[k];
        n_seen += value.n;
    }
    fc_parquet_values_close(values);
    if (sum == 1) (void)putchar('\n'); /* so that the bytes have to be read */
}

static void read_chat(const fc_parquet *file)
{
    fc_parquet_chat *chat = NULL;
    fc_parquet_turn turn;
    fc_err err;
    bool is_end = false;
    if (fc_parquet_chat_open(&chat, file, "messages", &err) != FC_OK) return;
    for (int i = 0; i < VALUES_MAX && !is_end; i++)
        if (fc_parquet_chat_next(chat, &turn, &is_end, &err) != FC_OK) break;
    fc_parquet_chat_close(chat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { COLUMNS_MAX = 8 };
    fc_parquet *file = NULL;
    fc_err err;
    const char *const path = fuzz_file("x.parquet", data, n_bytes);
    if (fc_parquet_open(&file, path, &err) == FC_OK) {
        for (int64_t i = 0; i < fc_parquet_n_columns(file) && i < COLUMNS_MAX; i++)
            read_column(file, i);
        read_chat(file);
        fc_parquet_close(file);
    }
    (void)unlink(path);
    return 0;
}
