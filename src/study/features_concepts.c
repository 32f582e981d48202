/* features_concepts.c - the reader of features.db: concepts and their features.
 *
 * Read whole when first asked for, within limits of number, and kept until close.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "study/features_db_internal.h"

static fc_status read_hit(const fc_features_db *db, sqlite3_stmt *query,
                          fc_concept_hit *hit, fc_err *err)
{
    *hit = (fc_concept_hit){.feature = sqlite3_column_int64(query, 0),
                            .f1 = sqlite3_column_double(query, 1),
                            .threshold = sqlite3_column_double(query, 2),
                            .precision = sqlite3_column_double(query, 3),
                            .recall = sqlite3_column_double(query, 4),
                            .auc = sqlite3_column_double(query, 5),
                            .precision_100 = sqlite3_column_double(query, 6)};
    if (hit->feature < 0 || hit->feature >= db->n)
        return fc_fail(err, FC_FORMAT,
                       "%s: a concept has the feature %" PRId64
                       ", expected 0 .. %" PRId64,
                       db->path, hit->feature, db->n - 1);
    return FC_OK;
}

static fc_status read_hits(fc_features_db *db, int64_t concept, fc_concept_row *row,
                           fc_err *err)
{
    sqlite3_stmt *query = NULL;
    fc_concept_hit *hit;
    fc_status status;
    FC_TRY_GOTO(fc_db_prepare(
        db,
        "SELECT feature, f1, threshold, precision, recall, auc, precision_100"
        " FROM concept_feature WHERE concept = ? ORDER BY rank",
        &query, err));
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &hit, FC_MOST_CONCEPT_HITS, sizeof *hit, err));
    (void)sqlite3_bind_int64(query, 1, concept);
    row->hit = hit;
    for (row->n_hits = 0; row->n_hits < FC_MOST_CONCEPT_HITS; row->n_hits++) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        FC_TRY_GOTO(read_hit(db, query, &hit[row->n_hits], err));
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

static fc_status read_concepts(fc_features_db *db, fc_concept_row *rows, int64_t *n,
                               fc_err *err)
{
    sqlite3_stmt *query = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_db_prepare(
        db, "SELECT id, name, rule, n_rows FROM concept ORDER BY id", &query, err));
    for (*n = 0; *n < FC_MOST_CONCEPT_ROWS; ++*n) {
        bool has_row;
        fc_concept_row *row = &rows[*n];
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        row->n_rows = sqlite3_column_int64(query, 3);
        FC_TRY_GOTO(fc_db_copy(db, &db->arena, query, 1, &row->name, NULL, err));
        FC_TRY_GOTO(fc_db_copy(db, &db->arena, query, 2, &row->rule, NULL, err));
        FC_TRY_GOTO(read_hits(db, sqlite3_column_int64(query, 0), row, err));
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

fc_status fc_features_concepts(fc_features_db *db, const fc_concept_row **concepts,
                               int64_t *n, fc_err *err)
{
    if (db->concepts == NULL) {
        fc_concept_row *rows;
        FC_TRY(
            fc_arena_alloc(&db->arena, &rows, FC_MOST_CONCEPT_ROWS, sizeof *rows, err));
        FC_TRY(read_concepts(db, rows, &db->n_concepts, err));
        db->concepts = rows;
    }
    *concepts = db->concepts;
    *n = db->n_concepts;
    return FC_OK;
}
