/* features_db_internal.h - an open features.db, as the two halves of the reader see it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_FEATURES_DB_INTERNAL_H
#define FC_STUDY_FEATURES_DB_INTERNAL_H

#include <sqlite3.h>

#include "base/arena.h"
#include "base/file.h"
#include "study/features_db.h"

enum {
    FC_MOST_SHARES = 10,
    FC_MOST_NEIGHBOURS = 8,
    FC_MOST_LOGITS = 10,
    FC_MOST_LINES = 64,
    FC_MOST_CONCEPT_ROWS = 64,
    FC_MOST_CONCEPT_HITS = 16
};

typedef enum fc_query_id {
    FC_QUERY_HISTOGRAM,
    FC_QUERY_N_CONTEXTS,
    FC_QUERY_CONTEXTS,
    FC_QUERY_SHARES,
    FC_QUERY_NEIGHBOURS,
    FC_QUERY_RAISED,
    FC_QUERY_LOWERED,
    FC_QUERY_PROFILE,
    FC_N_QUERIES
} fc_query_id;

typedef struct fc_run_value {
    const char *key, *text;
} fc_run_value;

typedef struct fc_token_text {
    int32_t id;
    const char *bytes;
    int64_t n_bytes;
} fc_token_text;

struct fc_features_db {
    char path[FC_PATH_MAX];
    sqlite3 *db;
    sqlite3_stmt *query[FC_N_QUERIES];
    fc_arena arena;   /* what is read at open */
    fc_arena feature; /* contexts of the last call */
    fc_arena texts;   /* profile of the last call */
    fc_run_value *run;
    int64_t n_run;
    fc_feature *features; /* [n] */
    int64_t n;
    int64_t *l0;          /* [n + 1] */
    fc_token_text *token; /* ids ascending */
    int64_t n_tokens;
    fc_concept_row *concepts; /* [n_concepts], NULL until asked for */
    int64_t n_concepts;
    double *nearest; /* [n_nearest] cosines of live features */
    int64_t n_nearest;
    fc_token_share shares[FC_MOST_SHARES];
    fc_neighbour neighbours[FC_MOST_NEIGHBOURS];
    fc_token_score raised[FC_MOST_LOGITS], lowered[FC_MOST_LOGITS];
    fc_profile_line lines[FC_MOST_LINES];
};

/* SQLite's failure as a status and a sentence. */
fc_status fc_db_failed(const fc_features_db *db, int result, fc_err *err);
fc_status fc_db_prepare(const fc_features_db *db, const char *sql, sqlite3_stmt **query,
                        fc_err *err);
/* The next row; *has_row is false at the end. */
fc_status fc_db_step(const fc_features_db *db, sqlite3_stmt *query, bool *has_row,
                     fc_err *err);
/* A text or blob copied into the arena, with a zero byte behind it; NULL becomes "". n_bytes may
 * be NULL. */
fc_status fc_db_copy(const fc_features_db *db, fc_arena *arena, sqlite3_stmt *query,
                     int column, const char **copy, int64_t *n_bytes, fc_err *err);

fc_token_text fc_db_token(const fc_features_db *db, int64_t id);
/* Starts a query about one feature. */
fc_status fc_db_ask(const fc_features_db *db, fc_query_id id, int64_t feature,
                    sqlite3_stmt **query, fc_err *err);

/* Checks what the file is (features_load.c), then reads the tables that are kept in memory. */
fc_status fc_features_check(const fc_features_db *db, fc_err *err);
fc_status fc_features_load(fc_features_db *db, fc_err *err);

#endif
