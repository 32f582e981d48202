/* import_internal.h - what the readers of SAEs share: tensors by a table, names of hooks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_IMPORT_INTERNAL_H
#define FC_SAE_IMPORT_INTERNAL_H

#include "formats/arrays.h"
#include "formats/json.h"
#include "sae/exchange.h"

/* One tensor of a foreign file. */
typedef struct fc_import_row {
    fc_sae_tensor_id id;
    const char *name;
    bool is_transposed; /* the file has columns of ours as rows */
} fc_import_row;

typedef struct fc_import {
    const char *arch;
    int64_t d_in, d_out, d_sae;
    const fc_import_row *rows; /* those that the architecture has are used */
    int n_rows;
    unsigned absent; /* bit 1 << id: not in the file, the caller fills it in */
    const char *const
        *others; /* further names that may be there; ends with NULL, or is NULL */
} fc_import;

/* A new SAE from the tensors in `arrays`: exactly those of its architecture, of the shapes given, finite.
 * Memory is taken only after every shape has been compared with the file. */
fc_status fc_import_sae(fc_sae **sae, const fc_import *import, fc_arrays *arrays,
                        fc_err *err);

/* The two sizes of a matrix in the file, which must be 1 or more and below 2^31. */
fc_status fc_import_sizes(fc_arrays *arrays, const char *name, int64_t *rows,
                          int64_t *cols, fc_err *err);

/* A number that a tensor of one element holds. */
fc_status fc_import_scalar(fc_arrays *arrays, const char *name, double *value,
                           fc_err *err);

/* FC_FORMAT when a value is NaN or infinite; `where` begins the sentence. */
fc_status fc_check_finite(const float *w, int64_t n, const char *name, const char *where,
                          fc_err *err);

/* An integer of an object within 1 .. max. */
fc_status fc_import_count(const json_t *object, const char *key, int64_t max,
                          int64_t *value, const char *path, fc_err *err);

/* k of an architecture that has one: 1 .. d_sae. */
fc_status fc_import_k(fc_sae *sae, double k, const char *path, fc_err *err);

/* Copies names into the SAE; a hook of Hugging Face loses ".output", and ".input" becomes ":input". */
fc_status fc_import_origin(fc_sae *sae, const char *model, const char *hook,
                           const char *target_hook, const char *path, fc_err *err);

/* DIR/NAME when path is a folder; path itself when it is a file. *dir: the folder. */
fc_status fc_import_place(char *dir, char *file, const char *path, const char *name,
                          fc_err *err);
/* Whether path is a folder that holds `name`, or a file of that name. */
bool fc_import_has(const char *path, const char *name);

#endif
