/* features_load.c - what the reader of features.db does at open: checks the file and reads what is
 * small.
 *
 * The file may come from anywhere. Before a row is read: application id and version are ours, the
 * file is as long as it says, and every table is defined by exactly the text of this version, so
 * no view, virtual table or generated column stands in for one. Then every count and id is
 * checked where it is read. SQLite itself refuses damaged pages.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/features_db_internal.h"

#include <inttypes.h>
#include <string.h>

#include "study/features_schema_internal.h"

/* --- SQLite, with sentences ------------------------------------------------------------- */

fc_status fc_db_failed(const fc_features_db *db, int result, fc_err *err)
{
    switch (result & 0xff) {
    case SQLITE_NOMEM: return fc_fail(err, FC_NOMEM, "%s: out of memory", db->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR:
        return fc_fail(err, FC_FORMAT, "%s is damaged or no feature database: %s",
                       db->path, sqlite3_errmsg(db->db));
    default:
        return fc_fail(err, FC_IO, "%s: cannot read the database: %s", db->path,
                       sqlite3_errmsg(db->db));
    }
}

fc_status fc_db_prepare(const fc_features_db *db, const char *sql, sqlite3_stmt **query,
                        fc_err *err)
{
    const int result = sqlite3_prepare_v2(db->db, sql, -1, query, NULL);
    return result == SQLITE_OK ? FC_OK : fc_db_failed(db, result, err);
}

/* The next row; *has_row is false at the end. */
fc_status fc_db_step(const fc_features_db *db, sqlite3_stmt *query, bool *has_row,
                     fc_err *err)
{
    const int result = sqlite3_step(query);
    *has_row = result == SQLITE_ROW;
    return result == SQLITE_ROW || result == SQLITE_DONE ? FC_OK
                                                         : fc_db_failed(db, result, err);
}

/* One number. */
static fc_status ask(const fc_features_db *db, const char *sql, int64_t *value,
                     fc_err *err)
{
    sqlite3_stmt *query = NULL;
    bool has_row;
    fc_status status;
    FC_TRY_GOTO(fc_db_prepare(db, sql, &query, err));
    FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
    *value = has_row ? sqlite3_column_int64(query, 0) : 0;
done:
    (void)sqlite3_finalize(query);
    return status;
}

/* A text or blob copied into the arena, with a zero byte behind it; NULL becomes "". */
fc_status fc_db_copy(const fc_features_db *db, fc_arena *arena, sqlite3_stmt *query,
                     int column, const char **copy, int64_t *n_bytes, fc_err *err)
{
    const void *bytes = sqlite3_column_blob(query, column);
    const int64_t n = sqlite3_column_bytes(query, column);
    if (bytes == NULL && sqlite3_errcode(db->db) == SQLITE_NOMEM)
        return fc_db_failed(db, SQLITE_NOMEM, err);
    char *to;
    FC_TRY(fc_arena_strdup(arena, &to, bytes != NULL ? bytes : "", bytes != NULL ? n : 0,
                           err));
    *copy = to;
    if (n_bytes != NULL) *n_bytes = bytes != NULL ? n : 0;
    return FC_OK;
}

/* --- checks ----------------------------------------------------------------------------- */

static fc_status check_identity(const fc_features_db *db, fc_err *err)
{
    int64_t application = 0, version = 0, n_pages = 0, page_size = 0;
    FC_TRY(ask(db, "PRAGMA application_id", &application, err));
    if (application != FC_FEATURES_APPLICATION_ID)
        return fc_fail(
            err, FC_FORMAT,
            "%s is a SQLite database but not of features: its application_id is "
            "0x%08" PRIx64 ", expected 0x%08x",
            db->path, application & UINT32_MAX, FC_FEATURES_APPLICATION_ID);
    FC_TRY(ask(db, "PRAGMA user_version", &version, err));
    if (version != FC_FEATURES_VERSION)
        return fc_fail(err, FC_FORMAT,
                       "%s has version %" PRId64 " of the feature database, expected %d: "
                       "run facet study again",
                       db->path, version, FC_FEATURES_VERSION);
    FC_TRY(ask(db, "PRAGMA page_count", &n_pages, err));
    FC_TRY(ask(db, "PRAGMA page_size", &page_size, err));
    const int64_t n_bytes = fc_file_size(db->path);
    if (n_bytes < n_pages * page_size)
        return fc_fail(err, FC_FORMAT,
                       "%s is cut short: it has %" PRId64 " bytes, expected %" PRId64,
                       db->path, n_bytes, n_pages * page_size);
    return FC_OK;
}

static fc_status check_tables(const fc_features_db *db, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_db_prepare(
        db, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", &query,
        err));
    for (int64_t i = 0; i < fc_features_n_tables; i++) {
        const fc_features_table *table = &fc_features_tables[i];
        bool has_row;
        (void)sqlite3_reset(query);
        (void)sqlite3_bind_text(query, 1, table->name, -1, SQLITE_STATIC);
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        const char *sql = has_row ? (const char *)sqlite3_column_text(query, 0) : NULL;
        if (sql == NULL || strcmp(sql, table->sql) != 0) {
            status =
                fc_fail(err, FC_FORMAT, "%s: table '%s' is %s", db->path, table->name,
                        sql == NULL ? "missing" : "not defined as this version has it");
            goto done;
        }
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

/* --- tables kept in memory ------------------------------------------------------------- */

static fc_status read_run(fc_features_db *db, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    int64_t n = 0;
    fc_status status;
    FC_TRY_GOTO(ask(db, "SELECT count(*) FROM run", &n, err));
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &db->run, n, sizeof *db->run, err));
    FC_TRY_GOTO(
        fc_db_prepare(db, "SELECT key, CAST(value AS TEXT) FROM run", &query, err));
    for (bool has_row; db->n_run < n;) {
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        fc_run_value *value = &db->run[db->n_run];
        FC_TRY_GOTO(fc_db_copy(db, &db->arena, query, 0, &value->key, NULL, err));
        FC_TRY_GOTO(fc_db_copy(db, &db->arena, query, 1, &value->text, NULL, err));
        db->n_run++;
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

static fc_status read_features(fc_features_db *db, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    int64_t n = 0;
    fc_status status;
    FC_TRY_GOTO(ask(db, "SELECT count(*) FROM feature", &n, err));
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &db->features, n, sizeof *db->features, err));
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &db->nearest, n, sizeof *db->nearest, err));
    FC_TRY_GOTO(fc_db_prepare(
        db,
        "SELECT id, max, mean_active, frequency, n_active, is_dead, description,"
        " purity, nearest FROM feature"
        " ORDER BY id",
        &query, err));
    for (int64_t i = 0; i < n; i++) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        const int64_t id = has_row ? sqlite3_column_int64(query, 0) : -1;
        if (id != i) {
            status = fc_fail(err, FC_FORMAT,
                             "%s: table 'feature' has id %" PRId64 " where %" PRId64
                             " was expected",
                             db->path, id, i);
            goto done;
        }
        db->features[i] = (fc_feature){
            .id = id,
            .max = sqlite3_column_double(query, 1),
            .mean_active = sqlite3_column_double(query, 2),
            .frequency = sqlite3_column_double(query, 3),
            .n_active = sqlite3_column_int64(query, 4),
            .is_dead = sqlite3_column_int64(query, 5) != 0,
            .purity = sqlite3_column_double(query, 7),
        };
        FC_TRY_GOTO(fc_db_copy(db, &db->arena, query, 6, &db->features[i].description,
                               NULL, err));
        if (!db->features[i].is_dead && sqlite3_column_type(query, 8) == SQLITE_FLOAT)
            db->nearest[db->n_nearest++] = sqlite3_column_double(query, 8);
    }
    db->n = n;
    const double d_sae = fc_features_run_number(db, "d_sae");
    if (!(d_sae == (double)n))
        status = fc_fail(err, FC_FORMAT,
                         "%s: table 'feature' has %" PRId64
                         " rows, but d_sae of the run is %s",
                         db->path, n, fc_features_run(db, "d_sae"));
done:
    (void)sqlite3_finalize(query);
    return status;
}

static fc_status read_l0(fc_features_db *db, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &db->l0, db->n + 1, sizeof *db->l0, err));
    FC_TRY_GOTO(fc_db_prepare(db, "SELECT l0, n_rows FROM l0_histogram", &query, err));
    for (;;) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        const int64_t l0 = sqlite3_column_int64(query, 0);
        if (l0 < 0 || l0 > db->n) {
            status = fc_fail(err, FC_FORMAT,
                             "%s: table 'l0_histogram' has l0 = %" PRId64
                             ", expected 0 .. %" PRId64,
                             db->path, l0, db->n);
            goto done;
        }
        db->l0[l0] = sqlite3_column_int64(query, 1);
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

static fc_status read_tokens(fc_features_db *db, fc_err *err)
{
    sqlite3_stmt *query = NULL;
    int64_t n = 0;
    fc_status status;
    FC_TRY_GOTO(ask(db, "SELECT count(*) FROM token", &n, err));
    FC_TRY_GOTO(fc_arena_alloc(&db->arena, &db->token, n, sizeof *db->token, err));
    FC_TRY_GOTO(
        fc_db_prepare(db, "SELECT id, bytes FROM token ORDER BY id", &query, err));
    while (db->n_tokens < n) {
        bool has_row;
        FC_TRY_GOTO(fc_db_step(db, query, &has_row, err));
        if (!has_row) break;
        const int64_t id = sqlite3_column_int64(query, 0);
        if (id < INT32_MIN || id > INT32_MAX) continue; /* no context can name it */
        fc_token_text *token = &db->token[db->n_tokens];
        token->id = (int32_t)id;
        FC_TRY_GOTO(
            fc_db_copy(db, &db->arena, query, 1, &token->bytes, &token->n_bytes, err));
        db->n_tokens++;
    }
done:
    (void)sqlite3_finalize(query);
    return status;
}

fc_status fc_features_check(const fc_features_db *db, fc_err *err)
{
    FC_TRY(check_identity(db, err));
    return check_tables(db, err);
}

fc_status fc_features_load(fc_features_db *db, fc_err *err)
{
    FC_TRY(read_run(db, err));
    FC_TRY(read_features(db, err));
    FC_TRY(read_l0(db, err));
    return read_tokens(db, err);
}
