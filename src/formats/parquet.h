/* parquet.h - text columns of a Parquet file, row after row.
 *
 * Reads what the Hugging Face hub holds and common writers make: data pages v1 and v2; codecs none,
 * Snappy, gzip and zstd; plain, dictionary and both delta encodings of byte arrays; nulls and lists.
 * The file is mapped; a reader of a column holds one page and one dictionary, unpacked. Caps: footer
 * 64 MiB, 65536 schema elements nested 32 deep, page 1 GiB unpacked and 2^26 values; a page may not
 * claim to unpack to more than its codec can reach. Encrypted files are refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_PARQUET_H
#define FC_FORMATS_PARQUET_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_parquet fc_parquet;

typedef struct fc_parquet_column { /* a leaf of the schema; borrowed from the file */
    const char *name;              /* "text"; nested "messages.list.element.content" */
    bool is_bytes;                 /* byte arrays: fc_parquet_values can read it */
    bool is_text;                  /* and the file says that they are UTF-8 */
    bool is_list;                  /* several values a row */
} fc_parquet_column;

bool fc_parquet_is(const char *path); /* does the file begin as one? */
fc_status fc_parquet_open(fc_parquet **file, const char *path, fc_err *err);
int64_t fc_parquet_n_rows(const fc_parquet *file);
int64_t fc_parquet_n_columns(const fc_parquet *file);
fc_parquet_column fc_parquet_column_at(const fc_parquet *file, int64_t i);
int64_t fc_parquet_find(const fc_parquet *file, const char *name); /* or -1 */
void fc_parquet_close(fc_parquet *file);

/* --- one column --------------------------------------------------------------------------- */

typedef struct fc_parquet_value {
    const char
        *bytes; /* borrowed until the next call; NULL: a null, or a row's empty list */
    int64_t n;
    bool is_first; /* a row begins here; always, unless the column is a list */
} fc_parquet_value;

typedef struct fc_parquet_values fc_parquet_values;

/* Borrows the file until close. Fails when the column does not hold byte arrays. */
fc_status fc_parquet_values_open(fc_parquet_values **values, const fc_parquet *file,
                                 int64_t column, fc_err *err);
/* A fault in the file fails with row group, column, page and byte. */
fc_status fc_parquet_values_next(fc_parquet_values *values, fc_parquet_value *value,
                                 bool *is_end, fc_err *err);
double fc_parquet_values_fraction(const fc_parquet_values *values); /* of the rows */
void fc_parquet_values_close(fc_parquet_values *values);

/* --- a conversation a row ------------------------------------------------------------------ */

/* A column "messages" as chat models are trained on: a list of {role, content} a row, of which
 * "from" and "value" are another spelling. */
typedef struct fc_parquet_turn {
    const char *role, *content; /* borrowed until the next call; NULL: null or none */
    int64_t n_role, n_content;
    bool is_first; /* a row begins here */
} fc_parquet_turn;

typedef struct fc_parquet_chat fc_parquet_chat;

bool fc_parquet_is_chat(const fc_parquet *file, const char *name);
fc_status fc_parquet_chat_open(fc_parquet_chat **chat, const fc_parquet *file,
                               const char *name, fc_err *err);
fc_status fc_parquet_chat_next(fc_parquet_chat *chat, fc_parquet_turn *turn, bool *is_end,
                               fc_err *err);
double fc_parquet_chat_fraction(const fc_parquet_chat *chat);
void fc_parquet_chat_close(fc_parquet_chat *chat);

#endif
