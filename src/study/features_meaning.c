/* features_meaning.c - the reader of features.db: what a feature is about, feature by feature.
 *
 * Neighbours, logits and profile come from one small query each into memory of fixed size: a file
 * cannot make the reader take more. An id that would be used as an index is checked here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "study/features_db_internal.h"

static fc_status read_neighbour(const fc_features_db *db, sqlite3_stmt *query,
                                int64_t feature, fc_neighbour *neighbour, fc_err *err)
{
    *neighbour = (fc_neighbour){.feature = sqlite3_column_int64(query, 0),
                                .cosine = sqlite3_column_double(query, 1)};
    if (neighbour->feature < 0 || neighbour->feature >= db->n)
        return fc_fail(err, FC_FORMAT,
                       "%s: feature %" PRId64 " has the neighbour %" PRId64
                       ", expected 0 .. %" PRId64,
                       db->path, feature, neighbour->feature, db->n - 1);
    return FC_OK;
}

fc_status fc_features_neighbours(fc_features_db *db, int64_t feature,
                                 const fc_neighbour **neighbours, int64_t *n, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    FC_TRY(fc_db_ask(db, FC_QUERY_NEIGHBOURS, feature, &query, err));
    fc_status status = FC_OK;
    int64_t n_read = 0;
    for (; n_read < FC_MOST_NEIGHBOURS; n_read++) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        FC_TRY_GOTO(read_neighbour(db, query, feature, &db->neighbours[n_read], err));
    }
    *neighbours = db->neighbours;
    *n = n_read;
done:
    (void)sqlite3_reset(query);
    return status;
}

fc_status fc_features_nearest(fc_features_db *db, const double **cosine, int64_t *n,
                              fc_err *err)
{
    (void)err;
    *cosine = db->nearest;
    *n = db->n_nearest;
    return FC_OK;
}

/* The tokens of one end, the most extreme first. */
static fc_status read_scores(fc_features_db *db, fc_query_id id, int64_t feature,
                             fc_token_score scores[FC_MOST_LOGITS], int64_t *n,
                             fc_err *err)
{
    sqlite3_stmt *query = NULL;
    FC_TRY(fc_db_ask(db, id, feature, &query, err));
    fc_status status = FC_OK;
    int64_t n_read = 0;
    for (; n_read < FC_MOST_LOGITS; n_read++) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        const fc_token_text token = fc_db_token(db, sqlite3_column_int64(query, 0));
        scores[n_read] = (fc_token_score){.token_id = token.id,
                                          .bytes = token.bytes,
                                          .n_bytes = token.n_bytes,
                                          .score = sqlite3_column_double(query, 1)};
    }
    *n = n_read;
done:
    (void)sqlite3_reset(query);
    return status;
}

fc_status fc_features_logits(fc_features_db *db, int64_t feature,
                             const fc_token_score **raised, int64_t *n_raised,
                             const fc_token_score **lowered, int64_t *n_lowered,
                             fc_err *err)
{
    FC_TRY(read_scores(db, FC_QUERY_RAISED, feature, db->raised, n_raised, err));
    FC_TRY(read_scores(db, FC_QUERY_LOWERED, feature, db->lowered, n_lowered, err));
    *raised = db->raised;
    *lowered = db->lowered;
    return FC_OK;
}

fc_status fc_features_profile(fc_features_db *db, int64_t feature,
                              const fc_profile_line **lines, int64_t *n, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    fc_arena_free(&db->texts);
    FC_TRY(fc_db_ask(db, FC_QUERY_PROFILE, feature, &query, err));
    fc_status status = FC_OK;
    int64_t n_read = 0;
    for (; n_read < FC_MOST_LINES; n_read++) {
        bool has_row;
        fc_profile_line *line = &db->lines[n_read];
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        line->share = sqlite3_column_double(query, 2);
        FC_TRY_GOTO(fc_db_copy(db, &db->texts, query, 0, &line->kind, NULL, err));
        FC_TRY_GOTO(fc_db_copy(db, &db->texts, query, 1, &line->text, NULL, err));
    }
    *lines = db->lines;
    *n = n_read;
done:
    (void)sqlite3_reset(query);
    return status;
}
