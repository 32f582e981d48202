/* test_harvest.c - collecting with a tiny random model: the same bytes for every batch size and thread
 * count; the right tokens in the right order; every refusal in a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "harvest_bench.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/par.h"
#include "text/tokenizer.h"

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
    fake_empty(
        b->folders->b); /* nor is an open shard kept that nothing could go on from */
    b->config.checkpoint_every = (fc_every){.steps = 1};
    stopper s = {.n_left = 2};
    fc_log_set_sink((fc_log_sink){.progress = stop_after_some, .ctx = &s});
    fc_assert_fails(collect_from_stdin(b, &err), &err, FC_CANCELLED, "only begin again");
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
    assert_int_equal(fc_test_count_entries(b->folders->b), 1); /* meta.json */
    fc_assert_ok(collect_from_stdin(b, &err), &err);
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
    assert_int_equal(copy.checkpoint_every.steps, 0);
    assert_true(copy.checkpoint_every.seconds == 300);
    assert_string_equal(copy.field, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MODEL(rows_are_the_tokens_of_the_text_in_order),
        WITH_MODEL(the_number_of_rows_asked_for_is_met_exactly),
        WITH_MODEL(a_bf16_store_holds_the_rounded_rows_of_a_float32_one),
        WITH_MODEL(the_size_of_batches_changes_no_byte),
        WITH_MODEL(the_number_of_threads_changes_no_byte),
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
