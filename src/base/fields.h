/* fields.h - one table describes a config: it drives the command line, recipe files, --help,
 * the manifest and the report page. A new option is one row and one struct member.
 *
 *   static const fc_field fields[] = {
 *       {"lr", FC_FIELD_F64, offsetof(fc_train_config, lr), 0, 10, NULL, "RATE",
 *        "learning rate of Adam"},
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_FIELDS_H
#define FC_BASE_FIELDS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"

typedef enum fc_field_kind {
    FC_FIELD_I64,    /* int64_t;  3000000, 3e6, 3M, 3k are understood when exact */
    FC_FIELD_F64,    /* double */
    FC_FIELD_BOOL,   /* bool;     a bare --flag, --no-flag, true/false, yes/no, 1/0 */
    FC_FIELD_TEXT,   /* char[FC_FIELD_TEXT_MAX] inside the struct */
    FC_FIELD_TEXTS,  /* the same; one or several with commas between */
    FC_FIELD_CHOICE, /* int;      index into `choices`, "a|b|c" */
    FC_FIELD_EVERY   /* fc_every; "2s", "5m", "1h" or a count of steps: "500" */
} fc_field_kind;

enum { FC_FIELD_TEXT_MAX = 1024 };

typedef struct
    fc_every { /* how often: every `steps` steps if > 0, else every `seconds` */
    int64_t steps;
    double seconds;
} fc_every;

typedef struct fc_field {
    const char *name; /* "max-length"; in files also max_length */
    fc_field_kind kind;
    size_t offset;
    double min, max;     /* I64, F64: allowed range, both ends included */
    const char *choices; /* CHOICE: "sum|mean" */
    const char *value;   /* placeholder in help: "N", "RATE", "FILE" */
    const char *help;    /* one line, with the unit; the default is appended by --help */
} fc_field;

/* Row with that name ('_' equals '-'), or NULL. */
const fc_field *fc_fields_find(const fc_field *fields, int64_t n, const char *name);

/* Nearest name for "did you mean", or NULL when nothing is near (edit distance > 1/3). */
const char *fc_nearest_name(const char *name, const char *const *candidates, int64_t n);

/* Parses text into the member. `where` begins the sentence ("--lr", "recipe.yaml:12: lr"). */
fc_status fc_field_set(const fc_field *field, void *config, const char *text,
                       const char *where, fc_err *err);

/* For TEXTS: one more, behind those that are there. */
fc_status fc_field_add(const fc_field *field, void *config, const char *text,
                       const char *where, fc_err *err);

/* The value as text, in the form that fc_field_set takes back exactly. */
fc_status fc_field_get(const fc_field *field, const void *config, fc_strbuf *out,
                       fc_err *err);

#endif
