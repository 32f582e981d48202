/* features_out_internal.h - writes features.db: one transaction into a file beside it, which is
 * synced and renamed at the end. Until then the old file, if any, stays as it is.
 *
 * The only place that inserts. Rows are stored as they come, so the same calls give the same
 * bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_FEATURES_OUT_INTERNAL_H
#define FC_STUDY_FEATURES_OUT_INTERNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "study/features_db.h"

typedef struct fc_features_out fc_features_out;

fc_status fc_features_create(fc_features_out **out, const char *path, fc_err *err);
/* Indices, sync, rename. The file is there when this succeeds; discard still frees. */
fc_status fc_features_commit(fc_features_out *out, fc_err *err);
void fc_features_discard(
    fc_features_out *out); /* without commit: removes the temporary */

fc_status fc_features_put_text(fc_features_out *out, const char *key, const char *value,
                               fc_err *err);
fc_status fc_features_put_integer(fc_features_out *out, const char *key, int64_t value,
                                  fc_err *err);
fc_status fc_features_put_real(fc_features_out *out, const char *key, double value,
                               fc_err *err);

typedef struct fc_feature_row {
    fc_feature feature;
    double sum, decoder_norm, encoder_bias, token_error;
    double nearest;      /* NaN: none */
    const int64_t *hist; /* [FC_HISTOGRAM_BINS], or NULL */
} fc_feature_row;
fc_status fc_features_put_feature(fc_features_out *out, const fc_feature_row *row,
                                  fc_err *err);

typedef struct fc_example_row { /* an example and its context */
    int64_t feature, kind, rank;
    double value;
    int64_t row, doc, position;
    int64_t n, peak;
    const int32_t *token_ids;           /* [n] */
    const float *activations;           /* [n] */
    const char *before, *token, *after; /* UTF-8, or NULL */
} fc_example_row;
fc_status fc_features_put_example(fc_features_out *out, const fc_example_row *row,
                                  fc_err *err);

typedef struct fc_share_row {
    int64_t feature, rank, token, n;
    double share;
} fc_share_row;
fc_status fc_features_put_share(fc_features_out *out, const fc_share_row *row,
                                fc_err *err);

typedef struct fc_neighbour_row {
    int64_t feature, rank, neighbour;
    double cosine;
} fc_neighbour_row;
fc_status fc_features_put_neighbour(fc_features_out *out, const fc_neighbour_row *row,
                                    fc_err *err);

typedef struct fc_logit_row {
    int64_t feature, rank, token;
    double score;
} fc_logit_row;
fc_status fc_features_put_logit(fc_features_out *out, const fc_logit_row *row,
                                fc_err *err);

typedef struct fc_profile_row {
    int64_t feature, rank;
    const char *kind, *text;
    double share;
} fc_profile_row;
fc_status fc_features_put_profile(fc_features_out *out, const fc_profile_row *row,
                                  fc_err *err);

/* A concept and its features, best first. */
fc_status fc_features_put_concept(fc_features_out *out, int64_t id,
                                  const fc_concept_row *row, fc_err *err);

typedef struct fc_document_row {
    int64_t id, line, n_tokens;
    const char *title, *source;
} fc_document_row;
fc_status fc_features_put_document(fc_features_out *out, const fc_document_row *row,
                                   fc_err *err);

fc_status fc_features_put_l0(fc_features_out *out, int64_t l0, int64_t n_rows,
                             fc_err *err);
fc_status fc_features_put_token(fc_features_out *out, int64_t id, const char *piece,
                                const void *bytes, int64_t n_bytes, fc_err *err);

#endif
