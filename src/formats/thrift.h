/* thrift.h - reads Apache Thrift's compact protocol, in which Parquet writes its headers.
 *
 * A struct is fields up to a zero byte; a field has an id, which grows, and a type. What a reader
 * does not know it skips by type. A fault is sticky: once the bytes make no sense `fault` says why,
 * every further read gives 0 and every struct ends, so a caller looks once, behind a whole struct.
 * Nothing is allocated and nothing is copied.
 *
 *     fc_thrift_field f = {0};
 *     while (fc_thrift_next(&t, &f))
 *         switch (f.id) {
 *         case 1: version = fc_thrift_i64(&t, f); break;
 *         default: fc_thrift_skip(&t, f);
 *         }
 *     if (t.fault) ...
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_THRIFT_H
#define FC_FORMATS_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fc_thrift_type {
    FC_THRIFT_STOP,
    FC_THRIFT_TRUE,
    FC_THRIFT_FALSE,
    FC_THRIFT_I8,
    FC_THRIFT_I16,
    FC_THRIFT_I32,
    FC_THRIFT_I64,
    FC_THRIFT_DOUBLE,
    FC_THRIFT_BINARY,
    FC_THRIFT_LIST,
    FC_THRIFT_SET,
    FC_THRIFT_MAP,
    FC_THRIFT_STRUCT,
    FC_THRIFT_UUID
} fc_thrift_type;

typedef struct fc_thrift {
    const uint8_t *begin, *at, *end; /* borrowed; `at` is the next byte to read */
    const char *fault;               /* NULL: none yet */
} fc_thrift;

typedef struct fc_thrift_field {
    int id;
    fc_thrift_type type;
} fc_thrift_field;

fc_thrift fc_thrift_over(const uint8_t *data, size_t n_bytes);

/* The next field of the struct in hand; *field is {0} before its first. false at its end. */
bool fc_thrift_next(fc_thrift *t, fc_thrift_field *field);

/* The value of a field. A value of another type than the one asked for is a fault. */
int64_t fc_thrift_i64(fc_thrift *t, fc_thrift_field field); /* of any width */
bool fc_thrift_bool(fc_thrift *t, fc_thrift_field field);
const char *fc_thrift_text(fc_thrift *t, fc_thrift_field field,
                           int64_t *n);                        /* borrowed */
bool fc_thrift_is_struct(fc_thrift *t, fc_thrift_field field); /* its fields come next */
void fc_thrift_skip(fc_thrift *t, fc_thrift_field field);

/* Begins a list and gives the number of its elements, never more than bytes are left; read each
 * as a field of that type. */
int64_t fc_thrift_list(fc_thrift *t, fc_thrift_field field, fc_thrift_type of);

#endif
