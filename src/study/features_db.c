/* features_db.c - the reader of features.db: open, and what is asked feature by feature.
 *
 * Run, features, the L0 histogram and the tokens are in memory after open (features_load.c);
 * examples are read into an arena that the next call empties. Every count and blob length is
 * checked where it is read: the file may come from anywhere.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/features_db.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "study/features_db_internal.h"

static const char *const query_sql[FC_N_QUERIES] = {
    [FC_QUERY_HISTOGRAM] = "SELECT hist FROM feature WHERE id = ?",
    [FC_QUERY_N_CONTEXTS] = "SELECT count(*) FROM example WHERE feature = ?",
    [FC_QUERY_CONTEXTS] =
        "SELECT e.value, e.kind, e.row, e.position, d.title, c.n, c.peak, c.token_ids,"
        " c.activations FROM example e JOIN context c ON c.example = e.id"
        " LEFT JOIN document d ON d.id = e.doc WHERE e.feature = ?"
        " ORDER BY e.kind = 0 DESC, e.kind DESC, e.rank, e.id",
    [FC_QUERY_SHARES] =
        "SELECT token, share, n FROM feature_token WHERE feature = ? ORDER BY rank",
    [FC_QUERY_NEIGHBOURS] = "SELECT neighbour, cosine FROM feature_neighbour"
                            " WHERE feature = ? ORDER BY rank",
    [FC_QUERY_RAISED] = "SELECT token, score FROM feature_logit"
                        " WHERE feature = ? AND rank > 0 ORDER BY rank",
    [FC_QUERY_LOWERED] = "SELECT token, score FROM feature_logit"
                         " WHERE feature = ? AND rank < 0 ORDER BY rank DESC",
    [FC_QUERY_PROFILE] = "SELECT kind, text, share FROM feature_profile"
                         " WHERE feature = ? ORDER BY kind, rank",
};

fc_status fc_features_open(fc_features_db **db, const char *path, fc_err *err)
{
    *db = NULL;
    if (strlen(path) >= FC_PATH_MAX)
        return fc_fail(err, FC_USAGE, "%.64s...: the path is longer than %d bytes", path,
                       FC_PATH_MAX - 1);
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: there is no such file; facet study makes it",
                       path);
    fc_features_db *d;
    FC_TRY(fc_alloc(&d, 1, sizeof *d, "feature database", err));
    memcpy(d->path, path, strlen(path) + 1);
    fc_status status = FC_OK;
    const int result = sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READONLY, NULL);
    if (result != SQLITE_OK) {
        status = fc_db_failed(d, result, err);
        goto done;
    }
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    FC_TRY_GOTO(fc_features_check(d, err));
    FC_TRY_GOTO(fc_features_load(d, err));
    for (int i = 0; i < FC_N_QUERIES; i++)
        FC_TRY_GOTO(fc_db_prepare(d, query_sql[i], &d->query[i], err));
done:
    if (status != FC_OK) {
        fc_features_close(d);
        return status;
    }
    *db = d;
    return FC_OK;
}

void fc_features_close(fc_features_db *db)
{
    if (db == NULL) return;
    for (int i = 0; i < FC_N_QUERIES; i++) (void)sqlite3_finalize(db->query[i]);
    (void)sqlite3_close(db->db);
    fc_arena_free(&db->arena);
    fc_arena_free(&db->feature);
    fc_arena_free(&db->texts);
    fc_free(db);
}

/* --- what was read at open -------------------------------------------------------------- */

static const fc_run_value *find_run(const fc_features_db *db, const char *key)
{
    for (int64_t i = 0; i < db->n_run; i++)
        if (strcmp(db->run[i].key, key) == 0) return &db->run[i];
    return NULL;
}

const char *fc_features_run(const fc_features_db *db, const char *key)
{
    const fc_run_value *value = find_run(db, key);
    return value != NULL ? value->text : "";
}

double fc_features_run_number(const fc_features_db *db, const char *key)
{
    const fc_run_value *value = find_run(db, key);
    if (value == NULL) return (double)NAN;
    char *end;
    const double number = strtod(value->text, &end);
    return end != value->text && *end == '\0' ? number : (double)NAN;
}

const fc_feature *fc_features_all(const fc_features_db *db, int64_t *n)
{
    *n = db->n;
    return db->features;
}

const int64_t *fc_features_l0_histogram(const fc_features_db *db)
{
    return db->l0;
}

static int compare_id(const void *key, const void *element)
{
    const int32_t id = *(const int32_t *)key,
                  other = ((const fc_token_text *)element)->id;
    return (id > other) - (id < other);
}

fc_token_text fc_db_token(const fc_features_db *db, int64_t id)
{
    const int32_t key = (int32_t)id;
    const fc_token_text *found = db->n_tokens == 0 || key != id
                                     ? NULL
                                     : bsearch(&key, db->token, (size_t)db->n_tokens,
                                               sizeof *db->token, compare_id);
    return found != NULL ? *found : (fc_token_text){.id = key, .bytes = "", .n_bytes = 0};
}

/* --- one feature ------------------------------------------------------------------------ */

fc_status fc_db_ask(const fc_features_db *db, fc_query_id id, int64_t feature,
                    sqlite3_stmt **query, fc_err *err)
{
    if (feature < 0 || feature >= db->n)
        return fc_fail(err, FC_USAGE,
                       "%s: there is no feature %" PRId64 ", expected 0 .. %" PRId64,
                       db->path, feature, db->n - 1);
    *query = db->query[id];
    (void)sqlite3_reset(*query);
    const int result = sqlite3_bind_int64(*query, 1, feature);
    return result == SQLITE_OK ? FC_OK : fc_db_failed(db, result, err);
}

fc_status fc_features_histogram(const fc_features_db *db, int64_t feature,
                                int64_t bins[FC_HISTOGRAM_BINS], fc_err *err)
{
    sqlite3_stmt *query = NULL;
    bool has_row;
    FC_TRY(fc_db_ask(db, FC_QUERY_HISTOGRAM, feature, &query, err));
    FC_TRY(fc_db_step(db, query, &has_row, err));
    const void *blob = has_row ? sqlite3_column_blob(query, 0) : NULL;
    const int64_t n_bytes = blob != NULL ? sqlite3_column_bytes(query, 0) : 0;
    const size_t n_expected = FC_HISTOGRAM_BINS * sizeof *bins;
    fc_status status = FC_OK;
    memset(bins, 0, n_expected);
    if (n_bytes == (int64_t)n_expected)
        memcpy(bins, blob, n_expected);
    else if (n_bytes != 0)
        status = fc_fail(err, FC_FORMAT,
                         "%s: the histogram of feature %" PRId64 " has %" PRId64
                         " bytes, expected %zu",
                         db->path, feature, n_bytes, n_expected);
    (void)sqlite3_reset(query);
    return status;
}

/* Columns 7 and 8 of the row: ids and activations of c->n tokens. */
static fc_status read_tokens_of(fc_features_db *db, sqlite3_stmt *query, fc_context *c,
                                fc_err *err)
{
    int32_t *id;
    float *activation;
    const char **bytes;
    int64_t *n_bytes;
    FC_TRY(fc_arena_alloc(&db->feature, &id, c->n, sizeof *id, err));
    FC_TRY(fc_arena_alloc(&db->feature, &activation, c->n, sizeof *activation, err));
    FC_TRY(fc_arena_alloc(&db->feature, &bytes, c->n, sizeof *bytes, err));
    FC_TRY(fc_arena_alloc(&db->feature, &n_bytes, c->n, sizeof *n_bytes, err));
    memcpy(id, sqlite3_column_blob(query, 7), (size_t)c->n * sizeof *id);
    memcpy(activation, sqlite3_column_blob(query, 8), (size_t)c->n * sizeof *activation);
    for (int64_t i = 0; i < c->n; i++) {
        const fc_token_text token = fc_db_token(db, id[i]);
        bytes[i] = token.bytes;
        n_bytes[i] = token.n_bytes;
    }
    c->token_id = id;
    c->activation = activation;
    c->bytes = bytes;
    c->n_bytes = n_bytes;
    return FC_OK;
}

static fc_status read_context(fc_features_db *db, sqlite3_stmt *query, int64_t feature,
                              fc_context *c, fc_err *err)
{
    *c = (fc_context){
        .value = sqlite3_column_double(query, 0),
        .quantile = sqlite3_column_int64(query, 1),
        .row = sqlite3_column_int64(query, 2),
        .position = sqlite3_column_int64(query, 3),
        .n = sqlite3_column_int64(query, 5),
        .peak = sqlite3_column_int64(query, 6),
    };
    const bool has_blobs = sqlite3_column_type(query, 7) == SQLITE_BLOB &&
                           sqlite3_column_type(query, 8) == SQLITE_BLOB;
    const int64_t n_ids = sqlite3_column_bytes(query, 7) / (int64_t)sizeof *c->token_id;
    const int64_t n_activations =
        sqlite3_column_bytes(query, 8) / (int64_t)sizeof *c->activation;
    if (!has_blobs || c->n < 1 || c->peak < 0 || c->peak >= c->n || n_ids != c->n ||
        n_activations != c->n)
        return fc_fail(err, FC_FORMAT,
                       "%s: a context of feature %" PRId64 " has n = %" PRId64
                       ", peak = %" PRId64 ", %" PRId64 " tokens and %" PRId64
                       " activations, expected peak < n and n of each",
                       db->path, feature, c->n, c->peak, n_ids, n_activations);
    FC_TRY(fc_db_copy(db, &db->feature, query, 4, &c->title, NULL, err));
    return read_tokens_of(db, query, c, err);
}

fc_status fc_features_contexts(fc_features_db *db, int64_t feature,
                               const fc_context **contexts, int64_t *n, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    bool has_row;
    fc_arena_free(&db->feature);
    FC_TRY(fc_db_ask(db, FC_QUERY_N_CONTEXTS, feature, &query, err));
    FC_TRY(fc_db_step(db, query, &has_row, err));
    const int64_t n_examples = has_row ? sqlite3_column_int64(query, 0) : 0;
    (void)sqlite3_reset(query);
    fc_context *list;
    FC_TRY(fc_arena_alloc(&db->feature, &list, n_examples, sizeof *list, err));
    FC_TRY(fc_db_ask(db, FC_QUERY_CONTEXTS, feature, &query, err));
    fc_status status = FC_OK;
    int64_t n_read = 0;
    for (; n_read < n_examples; n_read++) {
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        FC_TRY_GOTO(read_context(db, query, feature, &list[n_read], err));
    }
    *contexts = list;
    *n = n_read;
done:
    (void)sqlite3_reset(query);
    return status;
}

fc_status fc_features_tokens(fc_features_db *db, int64_t feature,
                             const fc_token_share **tokens, int64_t *n, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    FC_TRY(fc_db_ask(db, FC_QUERY_SHARES, feature, &query, err));
    fc_status status = FC_OK;
    int64_t n_read = 0;
    for (; n_read < FC_MOST_SHARES; n_read++) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        const fc_token_text token = fc_db_token(db, sqlite3_column_int64(query, 0));
        db->shares[n_read] = (fc_token_share){
            .token_id = token.id,
            .bytes = token.bytes,
            .n_bytes = token.n_bytes,
            .share = sqlite3_column_double(query, 1),
            .n = sqlite3_column_int64(query, 2),
        };
    }
    *tokens = db->shares;
    *n = n_read;
done:
    (void)sqlite3_reset(query);
    return status;
}
