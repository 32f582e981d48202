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
    const char
        *description; /* one line, what it fires on; "" when dead. Borrowed until close */
    double purity;    /* share of its activation that the description explains, 0 .. 1 */
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

/* Features whose decoder rows point the same way: by cosine, largest first, up to 8, live ones. */
typedef struct fc_neighbour {
    int64_t feature;
    double cosine;
} fc_neighbour;
fc_status fc_features_neighbours(fc_features_db *db, int64_t feature,
                                 const fc_neighbour **neighbours, int64_t *n,
                                 fc_err *err);

/* Cosine of every live feature with its nearest one, [n]; for the histogram. Borrowed. */
fc_status fc_features_nearest(fc_features_db *db, const double **cosine, int64_t *n,
                              fc_err *err);

/* Tokens whose logits the feature's decoder row raises most (score > 0, largest first) and lowers
 * most (score < 0, lowest first), up to 10 each. Neither where the site gives no such reading; then
 * the run key "logit_lens" says why, else it names the approximation. Borrowed until the next call. */
typedef struct fc_token_score {
    int32_t token_id;
    const char *bytes;
    int64_t n_bytes;
    double
        score; /* change of the logit at the feature's maximum, less the mean over tokens */
} fc_token_score;
fc_status fc_features_logits(fc_features_db *db, int64_t feature,
                             const fc_token_score **raised, int64_t *n_raised,
                             const fc_token_score **lowered, int64_t *n_lowered,
                             fc_err *err);

/* What surrounds a feature's activation, as shares of it: kind "before", "after" (a token next to
 * the one it fires on), "position", "case", "slot". Largest first within a kind. */
typedef struct fc_profile_line {
    const char *kind, *text;
    double share;
} fc_profile_line;
fc_status fc_features_profile(fc_features_db *db, int64_t feature,
                              const fc_profile_line **lines, int64_t *n, fc_err *err);

/* Concepts that were looked for (concept.h), each with its best features by F1, best first. Borrowed
 * until close. */
typedef struct fc_concept_hit {
    int64_t feature;
    double f1, threshold; /* the best F1 and the activation from which on it is reached;
                             0: whenever the feature fires */
    double precision, recall, auc,
        precision_100; /* among the feature's 100 strongest rows */
} fc_concept_hit;
typedef struct fc_concept_row {
    const char *name, *rule; /* as in the file; the rule in words */
    int64_t n_rows;          /* rows of the store on which it holds */
    const fc_concept_hit *hit;
    int64_t n_hits;
} fc_concept_row;
fc_status fc_features_concepts(fc_features_db *db, const fc_concept_row **concepts,
                               int64_t *n, fc_err *err);

#endif
