/* select.h - the largest pre-activations of each row of a batch, or of all of it, exactly.
 *
 *   key_it = scale_i z_it; kept are the k largest of a row t, or the floor(k n) largest of the batch
 *
 * Never more than that, and in one way only: of equal keys the lower feature is kept, in a batch
 * then the earlier row.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SELECT_H
#define FC_SAE_SELECT_H

#include "sae/lists.h"

typedef struct fc_select fc_select; /* scratch memory */

/* For batches of up to n_max rows; row: elements from feature to feature in z; k_max: the largest
 * k it will be asked for. */
fc_status fc_select_new(fc_select **created, int64_t d_sae, int64_t n_max, int64_t row,
                        double k_max, fc_err *err);
void fc_select_free(fc_select *select);

/* Maxima of groups of features. Whoever makes z block by block hands in those of its blocks while
 * they are in the cache: group g is features g * size .. g * size + size - 1, its maxima go to
 * fc_select_max(select, g), n of them. The size divides `block`. */
int64_t fc_select_group(const fc_select *select, double k, int64_t block);
float *fc_select_max(const fc_select *select, int64_t group);

typedef struct fc_select_job {
    const float *z;     /* [d_sae, row], bias included */
    const float *scale; /* [d_sae], or NULL for 1 */
    const int32_t
        *id;          /* [n_ids] features that compete, ascending; NULL: 0 .. n_ids - 1 */
    int64_t n_ids, n; /* n: rows of the batch */
    double k;
    bool is_batch;    /* floor(k n) of all, not k of each row */
    bool is_positive; /* only keys above 0 */
    int64_t group;    /* size of the groups whose maxima are there; 0: none are */
} fc_select_job;

/* Appends the lists of the features that compete to `to`, which holds n_before entries: value is z.
 * Returns the number of entries it holds then; counts of other features are left alone.
 * cut: [n] keys below it are out; borrowed until the next call. */
int64_t fc_select_run(fc_select *select, fc_backend *be, const fc_select_job *job,
                      fc_lists *to, int64_t n_before);
const float *fc_select_cut(const fc_select *select);

#endif
