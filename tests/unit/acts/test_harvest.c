/* test_harvest.c - collecting with a tiny random model: the same bytes for every batch size, thread
 * count and interruption; the right tokens in the right order; every refusal in a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>
#include <unistd.h>

#include "acts/harvest.h"
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "text/tokenizer.h"
#include "tiny_gemma.h"

enum { N_LINES = 60, MAX_LENGTH = 24 };

typedef struct bench {
    fake_folders *folders; /* two empty folders for stores */
    char model[FC_PATH_MAX], text[FC_PATH_MAX];
    fc_backend *be;
    fc_collect_config config;
    fc_collect_result result;
} bench;

/* --- a model, a text ---------------------------------------------------------------------- */

static void copy_tokenizer(const char *dir)
{
    char path[FC_PATH_MAX];
    size_t n;
    fc_source_file(path, "assets/example-model/tokenizer.json");
    char *const bytes = fc_test_read(path, &n);
    fc_test_path(path, dir, "tokenizer.json");
    fc_test_write(path, bytes, n);
    free(bytes);
}

static void write_text(const char *path, int n_lines)
{
    static const char *const words[] = {
        "the", " river", " flows", " in", " 1995", " ,", " century",
        "zyx", " of",    " and",   " .",  " @-@",  "=",  " caf\xc3\xa9"};
    fc_strbuf text = {0};
    fc_err err;
    for (int line = 0, i = 0; line < n_lines; line++) {
        const int n_words = 1 + (int)(fc_rng_u64(3, FC_RNG_TEST, (uint64_t)line) % 30);
        for (int w = 0; w < n_words; w++, i++) {
            const char *const word =
                words[fc_rng_u64(4, FC_RNG_TEST, (uint64_t)i) % FC_LEN(words)];
            fc_assert_ok(fc_strbuf_add(&text, word, (int64_t)strlen(word), &err), &err);
        }
        fc_assert_ok(fc_strbuf_add(&text, line % 7 == 0 ? "\n\n" : "\n",
                                   1 + (line % 7 == 0), &err),
                     &err);
    }
    fc_test_write(path, fc_strbuf_text(&text), (size_t)text.n);
    fc_strbuf_free(&text);
}

static void write_model(const char *dir)
{
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.n_vocab = 8192; /* as the tokenizer has */
    fc_tiny_gemma_write(dir, &tiny);
    copy_tokenizer(dir);
}

static int set_up(void **state)
{
    bench *const b = calloc(1, sizeof *b);
    void *folders = NULL;
    fc_err err;
    assert_non_null(b);
    assert_int_equal(fake_setup(&folders), 0);
    b->folders = folders;
    fc_test_dir_make(b->model);
    write_model(b->model);
    fc_test_path(b->text, b->model, "text.txt");
    write_text(b->text, N_LINES);
    fc_assert_ok(fc_backend_open(&b->be, NULL, &err), &err);
    fc_collect_defaults(&b->config);
    assert_true(strlen(b->model) < sizeof b->config.model);
    memcpy(b->config.model, b->model, strlen(b->model) + 1);
    snprintf(b->config.hook, sizeof b->config.hook, "model.layers.1.mlp.down_proj");
    b->config.max_length = MAX_LENGTH;
    b->config.batch_tokens = 100;
    b->config.shard_rows = 150;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    bench *const b = *state;
    void *folders = b->folders;
    fc_backend_close(b->be);
    fc_test_dir_remove(b->model);
    free(b);
    return fake_teardown(&folders);
}

static fc_status collect(bench *b, const char *dir, fc_err *err)
{
    const char *const paths[] = {b->text};
    return fc_collect(&b->config, paths, 1, b->be, dir, &b->result, err);
}

/* --- what is collected -------------------------------------------------------------------- */

/* Walks the text beside the store: every token after <bos> is the next row. */
static void check_tokens(const bench *b, const fc_store *store)
{
    const char *const paths[] = {b->text};
    const fc_corpus_config source = {.paths = paths,
                                     .n_paths = 1,
                                     .split = (fc_split)b->config.split,
                                     .field = "text"};
    fc_err err;
    fc_corpus *corpus = NULL;
    fc_tokenizer *tokenizer = NULL;
    fc_sequences *sequences = NULL;
    int64_t row = 0;
    fc_assert_ok(fc_tokenizer_load(&tokenizer, b->model, &err), &err);
    fc_assert_ok(fc_corpus_open(&corpus, &source, &err), &err);
    fc_assert_ok(fc_sequences_new(&sequences, corpus, tokenizer, b->config.max_length,
                                  source.split, (fc_overflow)b->config.overflow, &err),
                 &err);
    for (bool is_end = false; !is_end;) {
        fc_sequence sequence;
        fc_assert_ok(fc_sequences_next(sequences, &sequence, &is_end, &err), &err);
        for (int64_t i = 1; !is_end && i < sequence.n && row < fc_store_rows(store);
             i++, row++) {
            const fc_row found = fc_store_row(store, row);
            assert_int_equal(found.token_id, sequence.id[i]);
            assert_int_equal(found.doc_id, sequence.doc_id[i]);
            assert_int_equal(found.position, i);
        }
    }
    assert_int_equal(row, fc_store_rows(store));
    fc_sequences_free(sequences);
    fc_corpus_close(corpus);
    fc_tokenizer_free(tokenizer);
}

static void rows_are_the_tokens_of_the_text_in_order(void **state)
{
    bench *const b = *state;
    for (int split = FC_SPLIT_LINE; split <= FC_SPLIT_PACKED; split++)
        for (int overflow = 0; overflow < 2; overflow++) {
            fc_err err;
            fc_store *store = NULL;
            fc_doc doc;
            b->config.split = split;
            b->config.overflow = overflow;
            fc_assert_ok(collect(b, b->folders->a, &err), &err);
            fc_assert_ok(fc_store_open(&store, b->folders->a, true, false, &err), &err);
            assert_int_equal(fc_store_rows(store), b->result.n_rows);
            assert_int_equal(fc_store_docs(store), b->result.n_docs);
            check_tokens(b, store);
            const fc_row last = fc_store_row(store, fc_store_rows(store) - 1);
            fc_assert_ok(fc_store_doc(store, last.doc_id, &doc, &err), &err);
            assert_string_equal(doc.source, b->text);
            fc_store_close(store);
            fake_empty(b->folders->a);
        }
}

static void the_number_of_rows_asked_for_is_met_exactly(void **state)
{
    bench *const b = *state;
    const int64_t tokens[] = {1, 23, 149, 150, 151, 300, 333};
    for (size_t i = 0; i < FC_LEN(tokens); i++) {
        fc_err err;
        fc_store *store = NULL;
        b->config.tokens = tokens[i];
        fc_assert_ok(collect(b, b->folders->a, &err), &err);
        assert_int_equal(b->result.n_rows, tokens[i]);
        fc_assert_ok(fc_store_open(&store, b->folders->a, true, false, &err), &err);
        assert_int_equal(fc_store_rows(store), tokens[i]);
        check_tokens(b, store);
        fc_store_close(store);
        fake_empty(b->folders->a);
    }
}

static void a_bf16_store_holds_the_rounded_rows_of_a_float32_one(void **state)
{
    bench *const b = *state;
    fc_err err;
    fc_store *exact = NULL, *rounded = NULL;
    float x[64], y[64];
    b->config.dtype = 1;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    b->config.dtype = 0;
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    fc_assert_ok(fc_store_open(&exact, b->folders->a, true, false, &err), &err);
    fc_assert_ok(fc_store_open(&rounded, b->folders->b, true, false, &err), &err);
    assert_int_equal(fc_store_info_of(exact)->d, FC_LEN(x));
    for (int64_t i = 0; i < fc_store_rows(exact); i++) {
        fc_store_read(exact, i, 1, x);
        fc_store_read(rounded, i, 1, y);
        for (size_t j = 0; j < FC_LEN(x); j++)
            assert_true(y[j] == fc_bf16_to_f32(fc_bf16_from_f32(x[j])));
    }
    fc_store_close(exact);
    fc_store_close(rounded);
}

/* --- the same bytes ----------------------------------------------------------------------- */

static void the_size_of_batches_changes_no_byte(void **state)
{
    bench *const b = *state;
    const int64_t sizes[] = {1, MAX_LENGTH, 64, 512, 100000};
    fc_err err;
    for (int precision = FC_F32_PRECISION; precision <= FC_BF16_PRECISION; precision++) {
        b->config.precision = precision;
        fc_assert_ok(collect(b, b->folders->a, &err), &err);
        for (size_t i = 0; i < FC_LEN(sizes); i++) {
            b->config.batch_tokens = sizes[i];
            fc_assert_ok(collect(b, b->folders->b, &err), &err);
            fake_assert_same(b->folders);
            fake_empty(b->folders->b);
        }
        fake_empty(b->folders->a);
    }
}

static void the_number_of_threads_changes_no_byte(void **state)
{
    bench *const b = *state;
    fc_err err;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    for (int n_threads = 1; n_threads <= 5; n_threads += 2) {
        fc_par_set_threads(n_threads);
        fc_backend *be = NULL;
        fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
        const char *const paths[] = {b->text};
        fc_assert_ok(
            fc_collect(&b->config, paths, 1, be, b->folders->b, &b->result, &err), &err);
        fc_backend_close(be);
        fake_assert_same(b->folders);
        fake_empty(b->folders->b);
    }
    fc_par_set_threads(0);
}

/* A sink that asks to stop at the n-th batch. */
typedef struct stopper {
    int n_left;
} stopper;

static void stop_after_some(void *ctx, const fc_progress *progress, int is_end)
{
    stopper *const s = ctx;
    (void)progress;
    if (!is_end && --s->n_left == 0) fc_cancel_set(true);
}

/* Stops at batch `step` again and again; each run keeps what shards it completed. */
static void stopping_at_any_batch_changes_no_byte(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 500;
    b->config.shard_rows = 40;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    for (int step = 1; step <= 4; step++) {
        fc_status status = FC_CANCELLED;
        int n_stops = -1;
        for (; status == FC_CANCELLED && n_stops < 50; n_stops++) {
            stopper s = {.n_left = step + 1}; /* the first call is the beginning */
            fc_log_set_sink((fc_log_sink){.progress = stop_after_some, .ctx = &s});
            status = collect(b, b->folders->b, &err);
            fc_log_set_sink((fc_log_sink){0});
            fc_cancel_set(false);
        }
        fc_assert_ok(status, &err);
        assert_true(n_stops >= 1);
        fake_assert_same(b->folders);
        fake_empty(b->folders->b);
    }
}

static void stored_rows_are_not_computed_again(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 500;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    const int64_t n_whole = b->result.n_tokens_run;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_int_equal(b->result.n_tokens_run, 0);
    assert_int_equal(b->result.n_rows, 500);
    fc_test_path(b->folders->path_a, b->folders->a,
                 "shard-00003.safetensors"); /* rows 450.. */
    fc_assert_ok(fc_file_remove(b->folders->path_a, &err), &err);
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_in_range(b->result.n_tokens_run, 50, 50 + 2 * b->config.batch_tokens);
    assert_true(b->result.n_tokens_run < n_whole / 2);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    fake_assert_same(b->folders);
}

static fc_status collect_into_b(void *ctx, fc_err *err)
{
    bench *const b = ctx;
    return collect(b, b->folders->b, err);
}

static void goes_on(void *ctx)
{
    bench *const b = ctx;
    fc_err err;
    fc_write_fail_at(0);
    fc_alloc_fail_at(0);
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    fake_assert_same(b->folders);
    fake_empty(b->folders->b);
}

static void every_failed_write_is_reported_and_collecting_goes_on(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 350;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    assert_in_range(fc_test_sweep_write(collect_into_b, goes_on, b), 10, 100);
}

/* The tokenizer's own thousands have their own sweep: here every 1st to 40th, then every 97th. */
static void failed_allocations_are_reported_and_leave_no_half_store(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 350;
    const int64_t n_before = fc_alloc_count();
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    const int64_t n = fc_alloc_count() - n_before;
    for (int64_t i = 1; i <= n; i += i < 20 || i > n - 60 ? 3 : n / 20 + 1) {
        fc_alloc_fail_at(i);
        const fc_status status = collect(b, b->folders->b, &err);
        fc_alloc_fail_at(0);
        assert_int_equal(status, FC_NOMEM);
        goes_on(b);
    }
}

typedef struct counter {
    int n_calls;
    int64_t at_third, last;
} counter;

static void count_allocations(void *ctx, const fc_progress *progress, int is_end)
{
    counter *const c = ctx;
    (void)progress;
    if (is_end) return;
    c->last = fc_alloc_count();
    if (++c->n_calls == 3) c->at_third = c->last;
}

/* One long document, so that no list of documents grows. */
static void the_steady_state_allocates_nothing(void **state)
{
    bench *const b = *state;
    fc_err err;
    counter c = {0};
    b->config.split = FC_SPLIT_DOCUMENT;
    b->config.overflow = FC_OVERFLOW_SPLIT;
    b->config.shard_rows = 100000;
    fc_log_set_sink((fc_log_sink){.progress = count_allocations, .ctx = &c});
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    fc_log_set_sink((fc_log_sink){0});
    assert_true(c.n_calls > 6);
    assert_int_equal(c.last, c.at_third);
}

/* --- refusals ----------------------------------------------------------------------------- */

static void too_little_text_is_told_before_the_model_runs(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.tokens = 100000;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, b->text, "100000",
                    "--allow-fewer");
    assert_int_equal(b->result.n_tokens_run, 0);
    assert_int_equal(fc_test_count_entries(b->folders->a), 0);
    b->config.allow_fewer = true;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    const int64_t n_rows = b->result.n_rows;
    b->config.tokens = 0;
    b->config.allow_fewer = false;
    fc_assert_ok(collect(b, b->folders->b, &err), &err);
    assert_int_equal(b->result.n_rows, n_rows);
    fake_assert_same(b->folders);
}

static void an_empty_text_is_refused(void **state)
{
    bench *const b = *state;
    fc_err err;
    fc_test_write(b->text, "\n\n\n", 3);
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, b->text,
                    "no tokens");
    assert_int_equal(fc_test_count_entries(b->folders->a), 0);
}

static void settings_that_cannot_work_are_refused(void **state)
{
    bench *const b = *state;
    const fc_collect_config good = b->config;
    fc_err err;
    b->config.hook[0] = '\0';
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "no hook");
    b->config = good;
    snprintf(b->config.hook, sizeof b->config.hook, "model.layers.2.mlp.down_proj");
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "2");
    b->config = good;
    b->config.model[0] = '\0';
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "no model");
    b->config = good;
    snprintf(b->config.model, sizeof b->config.model, "/nowhere");
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_IO, "/nowhere");
    b->config = good;
    b->config.max_length = 1;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "max-length is 1");
    b->config = good;
    b->config.batch_tokens = 0;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "batch-tokens is 0");
    b->config = good;
    b->config.tokens = -1;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "tokens is -1");
    b->config = good;
    b->config.shard_rows = 0;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_USAGE, "0 rows a shard");
    assert_int_equal(fc_test_count_entries(b->folders->a), 0);
}

static void a_store_with_other_settings_is_not_continued(void **state)
{
    bench *const b = *state;
    const fc_collect_config good = b->config;
    fc_err err;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    b->config.overflow = FC_OVERFLOW_SPLIT;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, "overflow",
                    "truncate", "split");
    b->config = good;
    b->config.precision =
        b->result.precision == FC_PRECISION_F32 ? FC_BF16_PRECISION : FC_F32_PRECISION;
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, "precision",
                    "f32", "bf16");
    b->config = good;
    snprintf(b->config.hook, sizeof b->config.hook, "model.layers.0.mlp.down_proj");
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, "hook",
                    "layers.0");
    b->config = good;
    write_text(b->text, N_LINES + 1);
    fc_assert_fails(collect(b, b->folders->a, &err), &err, FC_MISMATCH, "text files");
}

/* Puts the text on standard input for one collecting run into folder b. */
static fc_status collect_from_stdin(bench *b, fc_err *err)
{
    const char *const paths[] = {"-"};
    assert_non_null(freopen(b->text, "r", stdin));
    assert_int_equal(lseek(STDIN_FILENO, 0, SEEK_SET), 0);
    return fc_collect(&b->config, paths, 1, b->be, b->folders->b, &b->result, err);
}

static void standard_input_gives_the_same_rows_but_cannot_go_on(void **state)
{
    bench *const b = *state;
    fc_err err;
    b->config.text_format = FC_TEXT_PLAIN;
    b->config.tokens = 333;
    fc_assert_ok(collect(b, b->folders->a, &err), &err);
    fc_assert_ok(collect_from_stdin(b, &err), &err);
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "shard-%05d.safetensors", i);
        fc_test_path(b->folders->path_a, b->folders->a, name);
        fc_test_path(b->folders->path_b, b->folders->b, name);
        fc_test_assert_files_equal(b->folders->path_a, b->folders->path_b);
    }
    fc_assert_ok(fc_file_remove(b->folders->path_b, &err), &err);
    fc_assert_fails(collect_from_stdin(b, &err), &err, FC_USAGE, "standard input");
}

static void the_table_of_settings_knows_the_defaults(void **state)
{
    (void)state;
    int64_t n;
    const fc_field *const fields = fc_collect_fields(&n);
    fc_collect_config config, copy;
    fc_err err;
    fc_collect_defaults(&config);
    memset(&copy, 0, sizeof copy);
    for (int64_t i = 0; i < n; i++) {
        fc_strbuf text = {0};
        fc_assert_ok(fc_field_get(&fields[i], &config, &text, &err), &err);
        fc_assert_ok(fc_field_set(&fields[i], &copy, fc_strbuf_text(&text), "--x", &err),
                     &err);
        fc_strbuf_free(&text);
    }
    assert_int_equal(copy.max_length, 128);
    assert_int_equal(copy.shard_rows, 65536);
    assert_int_equal(copy.batch_tokens, config.batch_tokens);
    assert_int_equal(copy.split, FC_SPLIT_LINE);
    assert_string_equal(copy.field, "text");
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(rows_are_the_tokens_of_the_text_in_order),
        WITH_MODEL(the_number_of_rows_asked_for_is_met_exactly),
        WITH_MODEL(a_bf16_store_holds_the_rounded_rows_of_a_float32_one),
        WITH_MODEL(the_size_of_batches_changes_no_byte),
        WITH_MODEL(the_number_of_threads_changes_no_byte),
        WITH_MODEL(stopping_at_any_batch_changes_no_byte),
        WITH_MODEL(stored_rows_are_not_computed_again),
        WITH_MODEL(every_failed_write_is_reported_and_collecting_goes_on),
        WITH_MODEL(failed_allocations_are_reported_and_leave_no_half_store),
        WITH_MODEL(the_steady_state_allocates_nothing),
        WITH_MODEL(too_little_text_is_told_before_the_model_runs),
        WITH_MODEL(an_empty_text_is_refused),
        WITH_MODEL(settings_that_cannot_work_are_refused),
        WITH_MODEL(a_store_with_other_settings_is_not_continued),
        WITH_MODEL(standard_input_gives_the_same_rows_but_cannot_go_on),
        cmocka_unit_test(the_table_of_settings_knows_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
