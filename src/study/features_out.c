/* features_out.c - the writer of features.db over SQLite's C API.
 *
 * The temporary file needs no journal: if anything fails it is removed whole. One prepared INSERT
 * for each table; a row is bound in order of columns by bind_*, which remember the first failure,
 * and stepped by put.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/features_out_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "study/features_schema_internal.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "blobs are written as they lie in memory, which must be little-endian"
#endif

/* One for each table; the order does not matter. */
typedef enum insert_id {
    INTO_RUN,
    INTO_FEATURE,
    INTO_EXAMPLE,
    INTO_CONTEXT,
    INTO_FEATURE_TOKEN,
    INTO_FEATURE_NEIGHBOUR,
    INTO_FEATURE_LOGIT,
    INTO_FEATURE_PROFILE,
    INTO_CONCEPT,
    INTO_CONCEPT_FEATURE,
    INTO_DOCUMENT,
    INTO_L0_HISTOGRAM,
    INTO_TOKEN,
    N_INSERTS
} insert_id;

static const char *const insert_sql[N_INSERTS] = {
    [INTO_RUN] = "INSERT INTO run VALUES(?,?)",
    [INTO_FEATURE] = "INSERT INTO feature VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [INTO_EXAMPLE] = "INSERT INTO example VALUES(?,?,?,?,?,?,?,?)",
    [INTO_CONTEXT] = "INSERT INTO context VALUES(?,?,?,?,?,?,?,?)",
    [INTO_FEATURE_TOKEN] = "INSERT INTO feature_token VALUES(?,?,?,?,?)",
    [INTO_FEATURE_NEIGHBOUR] = "INSERT INTO feature_neighbour VALUES(?,?,?,?)",
    [INTO_FEATURE_LOGIT] = "INSERT INTO feature_logit VALUES(?,?,?,?)",
    [INTO_FEATURE_PROFILE] = "INSERT INTO feature_profile VALUES(?,?,?,?,?)",
    [INTO_CONCEPT] = "INSERT INTO concept VALUES(?,?,?,?)",
    [INTO_CONCEPT_FEATURE] = "INSERT INTO concept_feature VALUES(?,?,?,?,?,?,?,?,?)",
    [INTO_DOCUMENT] = "INSERT INTO document VALUES(?,?,?,?,?)",
    [INTO_L0_HISTOGRAM] = "INSERT INTO l0_histogram VALUES(?,?)",
    [INTO_TOKEN] = "INSERT INTO token VALUES(?,?,?)",
};

struct fc_features_out {
    char path[FC_PATH_MAX], temporary[FC_PATH_MAX];
    bool is_begun; /* the temporary is ours to remove */
    sqlite3 *db;
    sqlite3_stmt *insert[N_INSERTS];
    int64_t n_examples;

    /* the row being bound */
    sqlite3_stmt *row;
    int column, result;
};

static fc_status failed(const fc_features_out *out, int result, fc_err *err)
{
    const bool is_memory = result == SQLITE_NOMEM;
    return fc_fail(err, is_memory ? FC_NOMEM : FC_IO, "%s: cannot write the database: %s",
                   out->path,
                   out->db != NULL ? sqlite3_errmsg(out->db) : "out of memory");
}

static fc_status run_sql(fc_features_out *out, const char *sql, fc_err *err)
{
    const int result = sqlite3_exec(out->db, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? FC_OK : failed(out, result, err);
}

/* --- rows ------------------------------------------------------------------------------- */

static void row_begin(fc_features_out *out, insert_id table)
{
    out->row = out->insert[table];
    out->column = 0;
    out->result = SQLITE_OK;
}

static void note(fc_features_out *out, int result)
{
    if (out->result == SQLITE_OK) out->result = result;
}

static void bind_integer(fc_features_out *out, int64_t value)
{
    note(out, sqlite3_bind_int64(out->row, ++out->column, value));
}

static void bind_real(fc_features_out *out, double value)
{
    note(out, sqlite3_bind_double(out->row, ++out->column, value));
}

/* Texts and blobs are read when the row is stepped, before the caller's memory can change. */
static void bind_text(fc_features_out *out, const char *value)
{
    note(out, sqlite3_bind_text(out->row, ++out->column, value, -1, SQLITE_STATIC));
}

static void bind_blob(fc_features_out *out, const void *value, int64_t n_bytes)
{
    note(out, sqlite3_bind_blob64(out->row, ++out->column, value, (sqlite3_uint64)n_bytes,
                                  SQLITE_STATIC));
}

static fc_status put(fc_features_out *out, fc_err *err)
{
    if (out->result == SQLITE_OK) {
        const int result = sqlite3_step(out->row);
        if (result != SQLITE_DONE) note(out, result);
    }
    if (out->result != SQLITE_OK) {
        const fc_status status = failed(out, out->result, err);
        (void)sqlite3_reset(out->row);
        return status;
    }
    (void)sqlite3_reset(out->row);
    return FC_OK;
}

fc_status fc_features_put_text(fc_features_out *out, const char *key, const char *value,
                               fc_err *err)
{
    row_begin(out, INTO_RUN);
    bind_text(out, key);
    bind_text(out, value);
    return put(out, err);
}

fc_status fc_features_put_integer(fc_features_out *out, const char *key, int64_t value,
                                  fc_err *err)
{
    row_begin(out, INTO_RUN);
    bind_text(out, key);
    bind_integer(out, value);
    return put(out, err);
}

fc_status fc_features_put_real(fc_features_out *out, const char *key, double value,
                               fc_err *err)
{
    row_begin(out, INTO_RUN);
    bind_text(out, key);
    bind_real(out, value);
    return put(out, err);
}

fc_status fc_features_put_feature(fc_features_out *out, const fc_feature_row *row,
                                  fc_err *err)
{
    const fc_feature *f = &row->feature;
    row_begin(out, INTO_FEATURE);
    bind_integer(out, f->id);
    bind_real(out, f->max);
    bind_real(out, f->mean_active);
    bind_real(out, f->frequency);
    bind_integer(out, f->n_active);
    bind_real(out, row->sum);
    bind_integer(out, f->is_dead);
    bind_text(out, f->description != NULL ? f->description : "");
    bind_real(out, f->purity);
    bind_real(out, row->nearest); /* SQLite keeps NaN as NULL */
    bind_real(out, row->decoder_norm);
    bind_real(out, row->encoder_bias);
    bind_real(out, row->token_error);
    bind_blob(out, row->hist, FC_HISTOGRAM_BINS * (int64_t)sizeof *row->hist);
    return put(out, err);
}

fc_status fc_features_put_example(fc_features_out *out, const fc_example_row *row,
                                  fc_err *err)
{
    const int64_t id = ++out->n_examples;
    row_begin(out, INTO_EXAMPLE);
    bind_integer(out, id);
    bind_integer(out, row->feature);
    bind_integer(out, row->kind);
    bind_integer(out, row->rank);
    bind_real(out, row->value);
    bind_integer(out, row->row);
    bind_integer(out, row->doc);
    bind_integer(out, row->position);
    FC_TRY(put(out, err));
    row_begin(out, INTO_CONTEXT);
    bind_integer(out, id);
    bind_integer(out, row->peak);
    bind_integer(out, row->n);
    bind_blob(out, row->token_ids, row->n * (int64_t)sizeof *row->token_ids);
    bind_blob(out, row->activations, row->n * (int64_t)sizeof *row->activations);
    bind_text(out, row->before);
    bind_text(out, row->token);
    bind_text(out, row->after);
    return put(out, err);
}

fc_status fc_features_put_share(fc_features_out *out, const fc_share_row *row,
                                fc_err *err)
{
    row_begin(out, INTO_FEATURE_TOKEN);
    bind_integer(out, row->feature);
    bind_integer(out, row->rank);
    bind_integer(out, row->token);
    bind_real(out, row->share);
    bind_integer(out, row->n);
    return put(out, err);
}

fc_status fc_features_put_neighbour(fc_features_out *out, const fc_neighbour_row *row,
                                    fc_err *err)
{
    row_begin(out, INTO_FEATURE_NEIGHBOUR);
    bind_integer(out, row->feature);
    bind_integer(out, row->rank);
    bind_integer(out, row->neighbour);
    bind_real(out, row->cosine);
    return put(out, err);
}

fc_status fc_features_put_logit(fc_features_out *out, const fc_logit_row *row,
                                fc_err *err)
{
    row_begin(out, INTO_FEATURE_LOGIT);
    bind_integer(out, row->feature);
    bind_integer(out, row->rank);
    bind_integer(out, row->token);
    bind_real(out, row->score);
    return put(out, err);
}

fc_status fc_features_put_profile(fc_features_out *out, const fc_profile_row *row,
                                  fc_err *err)
{
    row_begin(out, INTO_FEATURE_PROFILE);
    bind_integer(out, row->feature);
    bind_text(out, row->kind);
    bind_integer(out, row->rank);
    bind_text(out, row->text);
    bind_real(out, row->share);
    return put(out, err);
}

fc_status fc_features_put_concept(fc_features_out *out, int64_t id,
                                  const fc_concept_row *row, fc_err *err)
{
    row_begin(out, INTO_CONCEPT);
    bind_integer(out, id);
    bind_text(out, row->name);
    bind_text(out, row->rule);
    bind_integer(out, row->n_rows);
    FC_TRY(put(out, err));
    for (int64_t k = 0; k < row->n_hits; k++) {
        const fc_concept_hit *hit = &row->hit[k];
        row_begin(out, INTO_CONCEPT_FEATURE);
        bind_integer(out, id);
        bind_integer(out, k + 1);
        bind_integer(out, hit->feature);
        bind_real(out, hit->f1);
        bind_real(out, hit->threshold);
        bind_real(out, hit->precision);
        bind_real(out, hit->recall);
        bind_real(out, hit->auc);
        bind_real(out, hit->precision_100);
        FC_TRY(put(out, err));
    }
    return FC_OK;
}

fc_status fc_features_put_document(fc_features_out *out, const fc_document_row *row,
                                   fc_err *err)
{
    row_begin(out, INTO_DOCUMENT);
    bind_integer(out, row->id);
    bind_text(out, row->title);
    bind_text(out, row->source);
    bind_integer(out, row->line);
    bind_integer(out, row->n_tokens);
    return put(out, err);
}

fc_status fc_features_put_l0(fc_features_out *out, int64_t l0, int64_t n_rows,
                             fc_err *err)
{
    row_begin(out, INTO_L0_HISTOGRAM);
    bind_integer(out, l0);
    bind_integer(out, n_rows);
    return put(out, err);
}

fc_status fc_features_put_token(fc_features_out *out, int64_t id, const char *piece,
                                const void *bytes, int64_t n_bytes, fc_err *err)
{
    row_begin(out, INTO_TOKEN);
    bind_integer(out, id);
    bind_text(out, piece);
    bind_blob(out, n_bytes > 0 ? bytes : "", n_bytes);
    return put(out, err);
}

/* --- the file --------------------------------------------------------------------------- */

static fc_status create_tables(fc_features_out *out, fc_err *err)
{
    char identity[128];
    snprintf(identity, sizeof identity,
             "PRAGMA application_id=%d; PRAGMA user_version=%d",
             FC_FEATURES_APPLICATION_ID, FC_FEATURES_VERSION);
    FC_TRY(run_sql(
        out,
        "PRAGMA page_size=4096; PRAGMA encoding='UTF-8'; PRAGMA auto_vacuum=NONE;"
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
        "PRAGMA cache_size=-32768; PRAGMA temp_store=MEMORY; BEGIN",
        err));
    FC_TRY(run_sql(out, identity, err));
    for (int64_t i = 0; i < fc_features_n_tables; i++)
        FC_TRY(run_sql(out, fc_features_tables[i].sql, err));
    for (int i = 0; i < N_INSERTS; i++) {
        const int result =
            sqlite3_prepare_v2(out->db, insert_sql[i], -1, &out->insert[i], NULL);
        if (result != SQLITE_OK) return failed(out, result, err);
    }
    return FC_OK;
}

fc_status fc_features_create(fc_features_out **out, const char *path, fc_err *err)
{
    *out = NULL;
    fc_features_out *o;
    FC_TRY(fc_alloc(&o, 1, sizeof *o, "database writer", err));
    fc_status status;
    const int n =
        snprintf(o->temporary, sizeof o->temporary, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || n >= FC_PATH_MAX) {
        status = fc_fail(err, FC_USAGE, "%.64s...: the path is longer than %d bytes",
                         path, FC_PATH_MAX - 32);
        goto done;
    }
    memcpy(o->path, path, strlen(path) + 1);
    FC_TRY_GOTO(fc_file_remove(o->temporary, err));
    o->is_begun = true;
    const int result = sqlite3_open_v2(o->temporary, &o->db,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (result != SQLITE_OK) {
        status = failed(o, result, err);
        goto done;
    }
    FC_TRY_GOTO(create_tables(o, err));
done:
    if (status != FC_OK) {
        fc_features_discard(o);
        return status;
    }
    *out = o;
    return FC_OK;
}

/* Closes the database; what SQLite had left to write is written. */
static int close_database(fc_features_out *out)
{
    for (int i = 0; i < N_INSERTS; i++) {
        (void)sqlite3_finalize(out->insert[i]);
        out->insert[i] = NULL;
    }
    const int result = sqlite3_close(out->db);
    out->db = NULL;
    return result;
}

/* Makes the rename itself safe. Some file systems cannot sync a folder; that is no failure. */
static void sync_folder_of(const char *path)
{
    char folder[FC_PATH_MAX];
    const size_t n = (size_t)(fc_path_base(path) - path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    const int fd = open(n > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

fc_status fc_features_commit(fc_features_out *out, fc_err *err)
{
    FC_TRY(run_sql(out, fc_features_extras, err));
    FC_TRY(run_sql(out, "COMMIT", err));
    const int result = close_database(out);
    if (result != SQLITE_OK)
        return fc_fail(err, FC_IO, "%s: cannot close the database: %s", out->path,
                       sqlite3_errstr(result));
    if (rename(out->temporary, out->path) != 0)
        return fc_fail_errno(err, "cannot rename '%s' to '%s'", out->temporary,
                             out->path);
    out->is_begun = false;
    sync_folder_of(out->path);
    return FC_OK;
}

void fc_features_discard(fc_features_out *out)
{
    if (out == NULL) return;
    (void)close_database(out);
    if (out->is_begun) (void)unlink(out->temporary);
    fc_free(out);
}
