/* test_features_db.c - features.db: what is written is read, by our reader and by sqlite3; files
 * that are something else are refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "study/features_out_internal.h"

enum { D_SAE = 3 };

static char dir[FC_PATH_MAX], path[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "features.db");
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- a small database ------------------------------------------------------------------- */

static const int32_t ids[] = {5, 7, 9};
static const float activations[] = {0.0f, 2.5f, 1.0f};

static fc_status put_examples(fc_features_out *out, fc_err *err)
{
    fc_example_row row = {.feature = 1,
                          .kind = 0,
                          .rank = 1,
                          .value = 2.5,
                          .row = 11,
                          .doc = 4,
                          .position = 3,
                          .n = 3,
                          .peak = 1,
                          .token_ids = ids,
                          .activations = activations,
                          .before = "It",
                          .token = " is",
                          .after = " so"};
    FC_TRY(fc_features_put_example(out, &row, err));
    row.kind = 1, row.value = 0.5, row.peak = 2, row.doc = 99;
    FC_TRY(fc_features_put_example(out, &row, err));
    row.kind = 2, row.value = 2.0, row.n = 1, row.peak = 0;
    FC_TRY(fc_features_put_example(out, &row, err));
    row.rank = 2, row.value = 1.5;
    return fc_features_put_example(out, &row, err);
}

static fc_status put_meaning(fc_features_out *out, fc_err *err)
{
    FC_TRY(fc_features_put_neighbour(out, &(fc_neighbour_row){1, 1, 2, 0.5}, err));
    FC_TRY(fc_features_put_neighbour(out, &(fc_neighbour_row){1, 2, 0, -0.25}, err));
    FC_TRY(fc_features_put_logit(out, &(fc_logit_row){1, 1, 7, 3.5}, err));
    FC_TRY(fc_features_put_logit(out, &(fc_logit_row){1, 2, 5, 1.5}, err));
    FC_TRY(fc_features_put_logit(out, &(fc_logit_row){1, -1, 8, -2.5}, err));
    FC_TRY(
        fc_features_put_profile(out, &(fc_profile_row){1, 1, "before", "of", 0.5}, err));
    return fc_features_put_profile(out, &(fc_profile_row){1, 1, "after", "the", 0.25},
                                   err);
}

static fc_status put_concepts(fc_features_out *out, fc_err *err)
{
    const fc_concept_hit hits[] = {{1, 0.75, 0.5, 0.875, 0.625, 0.9375, 0.25},
                                   {2, 0.5, 0.0, 0.25, 1.0, 0.5, 0.0}};
    const fc_concept_row months = {"months", "a month", 17, hits, 2},
                         none = {"none", "", 0, NULL, 0};
    FC_TRY(fc_features_put_concept(out, 0, &months, err));
    return fc_features_put_concept(out, 1, &none, err);
}

static fc_status put_rows(fc_features_out *out, fc_err *err)
{
    int64_t hist[FC_HISTOGRAM_BINS];
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) hist[i] = i;
    FC_TRY(fc_features_put_text(out, "hook", "model.layers.25.mlp.down_proj", err));
    FC_TRY(fc_features_put_integer(out, "d_sae", D_SAE, err));
    FC_TRY(fc_features_put_real(out, "mse", 0.1, err));
    FC_TRY(fc_features_put_real(out, "fvu", (double)NAN, err));
    for (int64_t i = 0; i < D_SAE; i++) {
        const bool fires = i == 1;
        const fc_feature_row row = {.feature = {.id = i,
                                                .max = fires ? 2.5 : 0.0,
                                                .mean_active = 1.25,
                                                .frequency = 0.5,
                                                .n_active = 20,
                                                .is_dead = !fires,
                                                .description = fires ? "months" : NULL,
                                                .purity = fires ? 0.75 : 0.0},
                                    .nearest = fires ? 0.5 : (double)NAN,
                                    .hist = fires ? hist : NULL};
        FC_TRY(fc_features_put_feature(out, &row, err));
    }
    FC_TRY(put_examples(out, err));
    FC_TRY(fc_features_put_share(
        out, &(fc_share_row){.feature = 1, .rank = 1, .token = 7, .n = 6, .share = 0.75},
        err));
    FC_TRY(fc_features_put_share(
        out, &(fc_share_row){.feature = 1, .rank = 2, .token = 8, .n = 1, .share = 0.25},
        err));
    FC_TRY(put_meaning(out, err));
    FC_TRY(put_concepts(out, err));
    FC_TRY(fc_features_put_document(
        out,
        &(fc_document_row){
            .id = 4, .line = 10, .n_tokens = 30, .title = "Months", .source = "a.txt"},
        err));
    FC_TRY(fc_features_put_l0(out, 0, 3, err));
    FC_TRY(fc_features_put_l0(out, 3, 1, err));
    FC_TRY(fc_features_put_token(out, 5, "It", "It", 2, err));
    return fc_features_put_token(out, 7, "\xe2\x96\x81is", " is", 3, err);
}

static fc_status write_db(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_features_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_features_create(&out, path, err));
    FC_TRY_GOTO(put_rows(out, err));
    FC_TRY_GOTO(fc_features_commit(out, err));
done:
    fc_features_discard(out);
    return status;
}

/* Runs SQL on the file, as a user could. */
static void change(const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- reading ---------------------------------------------------------------------------- */

static void check_features(fc_features_db *db)
{
    int64_t n, bins[FC_HISTOGRAM_BINS];
    fc_err err;
    const fc_feature *features = fc_features_all(db, &n);
    assert_int_equal(n, D_SAE);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(features[i].id, i);
        assert_true(features[i].max == (i == 1 ? 2.5 : 0.0));
        assert_true(features[i].mean_active == 1.25 && features[i].frequency == 0.5);
        assert_int_equal(features[i].n_active, 20);
        assert_int_equal(features[i].is_dead, i != 1);
        fc_assert_ok(fc_features_histogram(db, i, bins, &err), &err);
        for (int k = 0; k < FC_HISTOGRAM_BINS; k++)
            assert_int_equal(bins[k], i == 1 ? k : 0);
    }
    const int64_t *l0 = fc_features_l0_histogram(db);
    const int64_t expected[] = {3, 0, 0, 1};
    assert_memory_equal(l0, expected, sizeof expected);
}

static void check_contexts(fc_features_db *db)
{
    const fc_context *c;
    int64_t n;
    fc_err err;
    fc_assert_ok(fc_features_contexts(db, 0, &c, &n, &err), &err);
    assert_int_equal(n, 0);
    fc_assert_ok(fc_features_contexts(db, 1, &c, &n, &err), &err);
    assert_int_equal(n, 4);
    const double values[] = {2.5, 2.0, 1.5,
                             0.5}; /* strongest, then ranges from the top */
    const int64_t quantiles[] = {0, 2, 2, 1};
    for (int64_t i = 0; i < n; i++) {
        assert_true(c[i].value == values[i]);
        assert_int_equal(c[i].quantile, quantiles[i]);
        assert_int_equal(c[i].row, 11);
        assert_int_equal(c[i].position, 3);
        assert_string_equal(c[i].title,
                            i == 0 ? "Months" : ""); /* a document not listed */
    }
    assert_int_equal(c[0].n, 3);
    assert_int_equal(c[0].peak, 1);
    assert_memory_equal(c[0].token_id, ids, sizeof ids);
    assert_memory_equal(c[0].activation, activations, sizeof activations);
    assert_string_equal(c[0].bytes[0], "It");
    assert_string_equal(c[0].bytes[1], " is");
    assert_string_equal(c[0].bytes[2], ""); /* a token not listed */
    assert_int_equal(c[0].n_bytes[1], 3);
    assert_int_equal(c[0].n_bytes[2], 0);
}

static fc_status read_meaning(fc_features_db *db, int64_t i, fc_err *err)
{
    int64_t n, n_lowered;
    const fc_neighbour *neighbours;
    const fc_token_score *raised, *lowered;
    const fc_profile_line *lines;
    FC_TRY(fc_features_neighbours(db, i, &neighbours, &n, err));
    FC_TRY(fc_features_logits(db, i, &raised, &n, &lowered, &n_lowered, err));
    return fc_features_profile(db, i, &lines, &n, err);
}

static fc_status read_db(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_features_db *db;
    fc_status status;
    FC_TRY(fc_features_open(&db, path, err));
    for (int64_t i = 0; i < D_SAE; i++) {
        int64_t n, bins[FC_HISTOGRAM_BINS];
        const fc_context *contexts;
        const fc_token_share *tokens;
        FC_TRY_GOTO(fc_features_histogram(db, i, bins, err));
        FC_TRY_GOTO(fc_features_contexts(db, i, &contexts, &n, err));
        FC_TRY_GOTO(fc_features_tokens(db, i, &tokens, &n, err));
        FC_TRY_GOTO(read_meaning(db, i, err));
    }
    const fc_concept_row *concepts;
    int64_t n_concepts;
    FC_TRY_GOTO(fc_features_concepts(db, &concepts, &n_concepts, err));
done:
    fc_features_close(db);
    return status;
}

static void check_meaning(fc_features_db *db)
{
    const fc_neighbour *neighbours;
    const fc_token_score *raised, *lowered;
    const fc_profile_line *lines;
    const double *nearest;
    int64_t n, n_lowered;
    fc_err err;
    const fc_feature *features = fc_features_all(db, &n);
    assert_string_equal(features[0].description, "");
    assert_string_equal(features[1].description, "months");
    assert_true(features[1].purity == 0.75);
    fc_assert_ok(fc_features_nearest(db, &nearest, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_true(nearest[0] == 0.5);
    fc_assert_ok(fc_features_neighbours(db, 1, &neighbours, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_int_equal(neighbours[0].feature, 2);
    assert_true(neighbours[0].cosine == 0.5 && neighbours[1].cosine == -0.25);
    fc_assert_ok(fc_features_logits(db, 1, &raised, &n, &lowered, &n_lowered, &err),
                 &err);
    assert_int_equal(n, 2);
    assert_int_equal(n_lowered, 1);
    assert_string_equal(raised[0].bytes, " is");
    assert_true(raised[0].score == 3.5 && raised[1].score == 1.5);
    assert_int_equal(lowered[0].token_id, 8);
    assert_true(lowered[0].score == -2.5);
    fc_assert_ok(fc_features_profile(db, 1, &lines, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(lines[1].kind, "before");
    assert_string_equal(lines[1].text, "of");
    assert_true(lines[1].share == 0.5);
    fc_assert_ok(fc_features_profile(db, 0, &lines, &n, &err), &err);
    assert_int_equal(n, 0);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    fc_features_db *db;
    fc_err err;
    fc_assert_ok(write_db(NULL, &err), &err);
    fc_assert_ok(fc_features_open(&db, path, &err), &err);
    assert_string_equal(fc_features_run(db, "hook"), "model.layers.25.mlp.down_proj");
    assert_string_equal(fc_features_run(db, "nothing"), "");
    assert_true(fc_features_run_number(db, "mse") == 0.1);
    assert_true(isnan(fc_features_run_number(db, "fvu")));
    assert_true(isnan(fc_features_run_number(db, "hook")));
    assert_true(isnan(fc_features_run_number(db, "nothing")));
    check_features(db);
    check_contexts(db);
    check_meaning(db);
    check_contexts(db); /* a second time: the first is let go */
    const fc_token_share *tokens;
    int64_t n;
    fc_assert_ok(fc_features_tokens(db, 1, &tokens, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_int_equal(tokens[0].token_id, 7);
    assert_int_equal(tokens[0].n, 6);
    assert_true(tokens[0].share == 0.75);
    assert_string_equal(tokens[0].bytes, " is");
    fc_assert_ok(fc_features_tokens(db, 2, &tokens, &n, &err), &err);
    assert_int_equal(n, 0);
    fc_assert_fails(fc_features_tokens(db, D_SAE, &tokens, &n, &err), &err, FC_USAGE,
                    path, "3", "0 .. 2");
    fc_assert_fails(fc_features_tokens(db, -1, &tokens, &n, &err), &err, FC_USAGE, "-1");
    fc_features_close(db);
    fc_features_close(NULL);
}

static void sqlite3_opens_it_read_only(void **state)
{
    (void)state;
    char command[2 * FC_PATH_MAX], line[256];
    fc_err err;
    fc_assert_ok(write_db(NULL, &err), &err);
    snprintf(
        command, sizeof command,
        "sqlite3 -readonly '%s' 'PRAGMA integrity_check' 'SELECT before, token, after, "
        "title FROM strongest' 2>&1",
        path);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_non_null(fgets(line, sizeof line, out));
    if (strstr(line, "not found") != NULL) {
        pclose(out);
        skip();
    }
    assert_string_equal(line, "ok\n");
    assert_non_null(fgets(line, sizeof line, out));
    assert_string_equal(line, "It| is| so|Months\n");
    assert_int_equal(pclose(out), 0);
    assert_int_equal(fc_test_count_entries(dir), 1); /* no journal beside it */
}

static void the_same_rows_give_the_same_bytes(void **state)
{
    (void)state;
    char other[FC_PATH_MAX];
    fc_err err;
    fc_test_path(other, dir, "other.db");
    fc_assert_ok(write_db(NULL, &err), &err);
    assert_int_equal(rename(path, other), 0);
    fc_assert_ok(write_db(NULL, &err), &err);
    fc_test_assert_files_equal(path, other);
    assert_int_equal(unlink(other), 0);
}

static void concepts_are_read_back(void **state)
{
    (void)state;
    fc_err err;
    fc_features_db *db;
    const fc_concept_row *c, *again;
    int64_t n;
    fc_assert_ok(write_db(NULL, &err), &err);
    fc_assert_ok(fc_features_open(&db, path, &err), &err);
    fc_assert_ok(fc_features_concepts(db, &c, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(c[0].name, "months");
    assert_string_equal(c[0].rule, "a month");
    assert_int_equal(c[0].n_rows, 17);
    assert_int_equal(c[0].n_hits, 2);
    const fc_concept_hit *hit = c[0].hit;
    assert_int_equal(hit[0].feature, 1);
    assert_true(hit[0].f1 == 0.75 && hit[0].threshold == 0.5);
    assert_true(hit[0].precision == 0.875 && hit[0].recall == 0.625);
    assert_true(hit[0].auc == 0.9375 && hit[0].precision_100 == 0.25);
    assert_int_equal(hit[1].feature, 2);
    assert_int_equal(c[1].n_hits, 0);
    fc_assert_ok(fc_features_concepts(db, &again, &n, &err), &err);
    assert_ptr_equal(again, c);
    fc_features_close(db);
}

/* --- what is not ours ------------------------------------------------------------------- */

static void other_files_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *bytes;
        size_t n;
    } files[] = {{"", 0}, {"hello", 5}, {"SQLite format 3\0", 16}};
    fc_features_db *db;
    fc_err err;
    for (size_t i = 0; i < FC_LEN(files); i++) {
        fc_test_write(path, files[i].bytes, files[i].n);
        fc_assert_fails(fc_features_open(&db, path, &err), &err, FC_FORMAT, path);
        assert_null(db);
    }
    assert_int_equal(unlink(path), 0);
    fc_assert_fails(fc_features_open(&db, path, &err), &err, FC_IO, path, "no such file");
    fc_assert_fails(fc_features_open(&db, dir, &err), &err, FC_IO, dir);
}

static void changed_tables_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *sql, *word;
    } cases[] = {
        {"PRAGMA application_id = 1", "application_id"},
        {"PRAGMA user_version = 1", "version 1"},
        {"DROP TABLE token", "'token' is missing"},
        {"ALTER TABLE feature ADD COLUMN x", "'feature'"},
        {"DROP TABLE run; CREATE VIEW run AS SELECT 'd_sae' AS key, 3 AS value", "'run'"},
        {"DROP TABLE run; CREATE TABLE run(key, value)", "'run'"},
        {"DELETE FROM feature WHERE id = 1", "id 2 where 1"},
        {"UPDATE run SET value = 4 WHERE key = 'd_sae'", "d_sae of the run is 4"},
        {"DELETE FROM run", "d_sae"},
        {"UPDATE l0_histogram SET l0 = 4 WHERE l0 = 3", "l0 = 4"},
        {"UPDATE l0_histogram SET l0 = -1 WHERE l0 = 3", "l0 = -1"},
        {"UPDATE feature SET hist = x'00' WHERE id = 1",
         "histogram of feature 1 has 1 bytes"},
        {"UPDATE feature_neighbour SET neighbour = 3", "neighbour 3"},
        {"UPDATE feature_neighbour SET neighbour = -1", "neighbour -1"},
        {"UPDATE concept_feature SET feature = 3", "concept has the feature 3"},
        {"UPDATE concept_feature SET feature = -1", "concept has the feature -1"},
        {"UPDATE context SET n = 2", "n = 2"},
        {"UPDATE context SET n = -1", "n = -1"},
        {"UPDATE context SET peak = 3", "peak = 3"},
        {"UPDATE context SET peak = -1", "peak = -1"},
        {"UPDATE context SET token_ids = NULL", "0 tokens"},
        {"UPDATE context SET token_ids = 'abcdefghijkl', n = 3", "context of feature 1"},
        {"UPDATE context SET activations = x'00000000'", "1 activations"},
        {"UPDATE context SET n = 9223372036854775807", "context of feature 1"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        fc_assert_ok(write_db(NULL, &err), &err);
        fc_assert_ok(read_db(NULL, &err), &err);
        change(cases[i].sql);
        fc_assert_fails(read_db(NULL, &err), &err, FC_FORMAT, path, cases[i].word);
    }
}

static void odd_values_are_harmless(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "UPDATE feature SET max = 'abc', n_active = NULL",
        "UPDATE document SET title = NULL",
        "UPDATE token SET bytes = NULL",
        "INSERT INTO token VALUES(9999999999, 'x', x'00')",
        "UPDATE feature_token SET token = 9999999999, share = 'x'",
        "INSERT INTO run VALUES('x', NULL)",
        "UPDATE feature SET description = NULL, purity = 'x', nearest = 'x'",
        "UPDATE feature_logit SET token = 9999999999, score = NULL",
        "UPDATE feature_profile SET text = NULL, share = 'x'",
        "CREATE TABLE mine(x)", /* people may add to it */
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        fc_assert_ok(write_db(NULL, &err), &err);
        change(cases[i]);
        fc_assert_ok(read_db(NULL, &err), &err);
    }
}

static void files_cut_short_are_refused(void **state)
{
    (void)state;
    size_t n_bytes;
    fc_err err;
    fc_assert_ok(write_db(NULL, &err), &err);
    char *bytes = fc_test_read(path, &n_bytes);
    for (size_t n = 0; n < n_bytes; n += n < 200 ? 7 : 1021) {
        fc_test_write(path, bytes, n);
        fc_assert_fails(read_db(NULL, &err), &err, FC_FORMAT, path);
    }
    free(bytes);
}

/* No flipped byte may crash the reader; most are noticed, some are only another number. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    size_t n_bytes;
    fc_err err;
    int n_refused = 0;
    fc_assert_ok(write_db(NULL, &err), &err);
    char *bytes = fc_test_read(path, &n_bytes);
    for (size_t at = 0; at < n_bytes; at += at < 4096 ? 61 : 127) {
        bytes[at] = (char)(bytes[at] ^ 0x5a);
        fc_test_write(path, bytes, n_bytes);
        n_refused += read_db(NULL, &err) != FC_OK;
        bytes[at] = (char)(bytes[at] ^ 0x5a);
    }
    assert_true(n_refused > 10);
    free(bytes);
}

/* --- faults ----------------------------------------------------------------------------- */

static void nothing_is_left(void *ctx)
{
    (void)ctx;
    assert_int_equal(fc_test_count_entries(dir), 0);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    fc_err err;
    (void)unlink(path);
    assert_true(fc_test_sweep_alloc(write_db, nothing_is_left, NULL) >= 1);
    fc_assert_ok(write_db(NULL, &err), &err);
    assert_true(fc_test_sweep_alloc(read_db, NULL, NULL) >= 2);
}

/* SQLite's own allocations: the n-th fails. */
static struct {
    sqlite3_mem_methods real;
    int64_t countdown;
} memory;

static void *failing_malloc(int n)
{
    return memory.countdown > 0 && --memory.countdown == 0 ? NULL
                                                           : memory.real.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return memory.countdown > 0 && --memory.countdown == 0 ? NULL
                                                           : memory.real.xRealloc(p, n);
}

static void sqlite_memory_that_runs_out_is_reported(void **state)
{
    fc_test_scenario *const uses[] = {write_db, read_db};
    (void)state;
    (void)unlink(path);
    for (size_t u = 0; u < FC_LEN(uses); u++) {
        fc_err err;
        int64_t n = 1;
        for (;; n += n < 40 ? 1 : 13) {
            memory.countdown = n;
            const fc_status status = uses[u](NULL, &err);
            const bool is_over = memory.countdown > 0;
            memory.countdown = 0;
            if (status == FC_OK && is_over) break;
            assert_true(status == FC_OK || status == FC_NOMEM || status == FC_IO ||
                        status == FC_FORMAT);
            if (u == 0 && status != FC_OK) nothing_is_left(NULL);
            if (u == 0 && status == FC_OK) assert_int_equal(unlink(path), 0);
        }
        assert_true(n > 40);
    }
}

/* A full disk, at every size of file: the old file stays, nothing else is left. */
static void a_write_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    struct rlimit old, small;
    fc_err err;
    char *before, *after;
    size_t n_before, n_after;
    fc_assert_ok(write_db(NULL, &err), &err);
    before = fc_test_read(path, &n_before);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t n = 0; n < n_before; n += 4096) {
        small = old;
        small.rlim_cur = n;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        const fc_status status = write_db(NULL, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(status, FC_IO);
        assert_non_null(strstr(err.text, path));
        assert_int_equal(fc_test_count_entries(dir), 1);
        after = fc_test_read(path, &n_after);
        assert_int_equal(n_after, n_before);
        assert_memory_equal(after, before, n_before);
        free(after);
    }
    (void)signal(SIGXFSZ, handler);
    free(before);
}

static void a_folder_that_is_not_there_is_reported(void **state)
{
    (void)state;
    char other[FC_PATH_MAX];
    fc_features_out *out;
    fc_err err;
    fc_test_path(other, dir, "none/features.db");
    fc_assert_fails(fc_features_create(&out, other, &err), &err, FC_IO, other);
    assert_null(out);
    memset(other, 'x', sizeof other);
    other[sizeof other - 1] = '\0';
    fc_assert_fails(fc_features_create(&out, other, &err), &err, FC_USAGE, "longer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(concepts_are_read_back, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(sqlite3_opens_it_read_only, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_same_rows_give_the_same_bytes, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(other_files_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(changed_tables_are_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(odd_values_are_harmless, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(files_cut_short_are_refused, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(damaged_files_do_no_harm, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(memory_that_runs_out_is_reported, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(sqlite_memory_that_runs_out_is_reported, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_the_old_file, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_reported, make_dir,
                                        remove_dir),
    };
    /* Before SQLite is first used. */
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real);
    sqlite3_mem_methods failing = memory.real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
