/* features_db.h - features.db, a SQLite file with everything known about every feature.
 *
 * The schema is the documentation (schema.sql text in features_schema.c, also in docs/FORMATS.md):
 * open it with sqlite3 or Datasette.
 *   run(key, value)                  numbers and names of the whole run
 *   feature(id, max, mean_active, frequency, n_active, sum, is_dead, hist BLOB, decoder_norm, ...)
 *   example(feature, kind, rank, value, row, doc, position)     kind 0 = strongest, 1.. = quantile
 *   context(example tokens): the tokens shown and the feature's activation on each
 *   document(id, title, source, line), l0_histogram(l0, n_rows), token(id, piece)
 *
 * This header is the reader that reports and other views use; nothing else knows the SQL.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_FEATURES_DB_H
#define FC_STUDY_FEATURES_DB_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_features_db fc_features_db;

fc_status fc_features_open(fc_features_db **db, const char *path,
                           fc_err *err); /* read-only */
void fc_features_close(fc_features_db *db);

/* A value of the run table as text, "" when absent. Borrowed until close. Keys: model, hook, d_in,
 * d_sae, n_rows, n_docs, n_dead, l0, mse, fvu, explained_variance, dead_threshold, ... */
const char *fc_features_run(const fc_features_db *db, const char *key);
double fc_features_run_number(const fc_features_db *db,
                              const char *key); /* NaN when absent */

enum { FC_HISTOGRAM_BINS = 50 };

typedef struct fc_feature { /* one row per feature, dead ones too */
    int64_t id;
    double max, mean_active,
        frequency; /* mean over rows where it fires; share of rows > 0 */
    int64_t n_active;
    bool is_dead;
} fc_feature;

/* All features in order of id: [d_sae], borrowed until close. */
const fc_feature *fc_features_all(const fc_features_db *db, int64_t *n);

/* Histogram of the non-zero activations of one feature in FC_HISTOGRAM_BINS equal bins of (0, max]. */
fc_status fc_features_histogram(const fc_features_db *db, int64_t feature,
                                int64_t bins[FC_HISTOGRAM_BINS], fc_err *err);

/* Rows per number of active features: counts[l0], l0 = 0 .. d_sae. Borrowed. */
const int64_t *fc_features_l0_histogram(const fc_features_db *db);

typedef struct fc_context { /* one example */
    double value;           /* at the peak */
    int64_t
        quantile; /* 0 = strongest; q = 1.. : sampled from that range, 1 the weakest */
    int64_t row, position;
    const char *title; /* of the document */
    int64_t n, peak;   /* tokens shown, and which of them is the maximum */
    const int32_t *token_id;
    const char *const *bytes; /* [n] text of each token, may be a part of a character */
    const int64_t *n_bytes;
    const float *activation; /* [n] */
} fc_context;

/* Examples of a feature, strongest first, then by quantile from strong to weak. Borrowed until the
 * next call. */
fc_status fc_features_contexts(fc_features_db *db, int64_t feature,
                               const fc_context **contexts, int64_t *n, fc_err *err);

/* Tokens that a feature fires on most: share of its whole activation, largest first, up to 10. */
typedef struct fc_token_share {
    int32_t token_id;
    const char *bytes;
    int64_t n_bytes;
    double share;
    int64_t n; /* times it fired on that token */
} fc_token_share;
fc_status fc_features_tokens(fc_features_db *db, int64_t feature,
                             const fc_token_share **tokens, int64_t *n, fc_err *err);

#endif
