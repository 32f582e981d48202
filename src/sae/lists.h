/* lists.h - the entries of a sparse matrix of features [d_sae, n], by feature and by row of the
 * batch.
 *
 *   by feature   entry j < count[i] of feature i is value[begin[i] + j], on row index[begin[i] + j]
 *   by row       entry j of row t, token_begin[t] <= j < token_begin[t + 1], is token_value[j], of
 *                feature[j]
 *
 * Rows of a feature ascend, and so do features of a row. Whoever fills the first form calls
 * fc_lists_turn for the second. A feature's list may go on behind those entries that count for
 * decoding (front), ascending anew.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_LISTS_H
#define FC_SAE_LISTS_H

#include "tensor/backend.h"

typedef struct fc_lists {
    int64_t d_sae, n_max;
    int64_t capacity; /* entries by row */
    int64_t n;        /* rows of this batch */
    int64_t *begin;   /* [d_sae] */
    int64_t *count;   /* [d_sae] */
    const int64_t
        *front; /* [d_sae] entries that the form by row takes; NULL: all. Borrowed */
    int32_t *index;
    float *value, *second; /* second: another number for each entry, or NULL */

    int64_t *token_begin; /* [n_max + 1] */
    int64_t *token_count; /* [n_max] */
    int32_t *feature;
    float *token_value, *token_second;

    int32_t *turn;                    /* scratch */
    int64_t *part_begin, *part_count; /* [n_max] likewise */
} fc_lists;

/* Memory for lists that are filled at fixed places, begin[i] = i * row, with up to `capacity`
 * entries in all. row 0: places are set with the lists, one after the other. */
fc_status fc_lists_init(fc_lists *lists, int64_t d_sae, int64_t n_max, int64_t row,
                        int64_t capacity, bool has_second, fc_err *err);
void fc_lists_deinit(fc_lists *lists);

/* Makes the second form of n rows. */
void fc_lists_turn(fc_lists *lists, int64_t n);

/* The form by row, as a product takes it: with `value`, or with `second`. */
fc_sparse fc_lists_by_row(const fc_lists *lists);
fc_sparse fc_lists_second_by_row(const fc_lists *lists);

/* Features first .. last-1 of it; borrowed until the next call. */
fc_sparse fc_lists_part_by_row(const fc_lists *lists, int64_t first, int64_t last);

/* Features first .. first+n_rows-1, by feature. begin: [n_rows] set to places that count from the
 * first entry of the first of them, which is where index and value then point. */
fc_sparse fc_lists_by_feature(const fc_lists *lists, int64_t first, int64_t n_rows,
                              int64_t *begin);

#endif
