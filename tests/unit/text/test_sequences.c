/* test_sequences.c - documents to sequences: cut, continued, packed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "base/alloc.h"
#include "text/sequences.h"

static fc_tokenizer *load(void)
{
    char path[FC_PATH_MAX];
    fc_tokenizer *tokenizer = NULL;
    fc_err err = {0};
    fc_fixture(path, "tokenizer");
    fc_assert_ok(fc_tokenizer_load(&tokenizer, path, &err), &err);
    return tokenizer;
}

typedef struct stream { /* all that is open for one run */
    fc_tokenizer *tokenizer;
    fc_corpus *corpus;
    fc_sequences *sequences;
    int64_t n_documents, n_tokens;
} stream;

static fc_status count_document(void *ctx, const fc_document *document, int64_t n_tokens,
                                fc_err *err)
{
    stream *s = ctx;
    (void)err;
    assert_int_equal(document->id, s->n_documents);
    s->n_documents++;
    s->n_tokens += n_tokens;
    return FC_OK;
}

static stream open_stream(const char *path, fc_split split, int64_t max_length,
                          fc_overflow overflow)
{
    stream s = {.tokenizer = load()};
    fc_err err = {0};
    const fc_corpus_config config = {.paths = &path, .n_paths = 1, .split = split};
    fc_assert_ok(fc_corpus_open(&s.corpus, &config, &err), &err);
    fc_assert_ok(fc_sequences_new(&s.sequences, s.corpus, s.tokenizer, max_length, split,
                                  overflow, &err),
                 &err);
    return s;
}

static void close_stream(stream *s)
{
    fc_sequences_free(s->sequences);
    fc_corpus_close(s->corpus);
    fc_tokenizer_free(s->tokenizer);
}

/* The three columns of what comes next; n = 0 is the end. */
typedef struct expected_sequence {
    int64_t n;
    int32_t id[6], doc_id[6], offset[6];
} expected_sequence;

static void check(fc_split split, int64_t max_length, fc_overflow overflow,
                  int64_t n_kept, const expected_sequence *expected)
{
    char dir[FC_PATH_MAX];
    char path[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "t.jsonl");
    static const char text[] =
        "{\"text\": \"<eos><eos><pad><unk>\"}\n{\"text\": \"<pad>\"}\n"
        "{\"text\": \"<unk><pad>\"}\n";
    fc_test_write(path, text, sizeof text - 1);
    stream s = open_stream(path, split, max_length, overflow);
    fc_sequences_on_document(s.sequences, count_document, &s);
    fc_err err = {0};
    for (bool is_end = false; !is_end; expected++) {
        fc_sequence sequence;
        fc_assert_ok(fc_sequences_next(s.sequences, &sequence, &is_end, &err), &err);
        assert_int_equal(sequence.n, expected->n);
        assert_int_equal(is_end, expected->n == 0);
        if (is_end) break;
        const size_t n_bytes = (size_t)sequence.n * sizeof(int32_t);
        assert_memory_equal(sequence.id, expected->id, n_bytes);
        assert_memory_equal(sequence.doc_id, expected->doc_id, n_bytes);
        assert_memory_equal(sequence.offset, expected->offset, n_bytes);
    }
    assert_int_equal(s.n_documents, 3);
    assert_int_equal(s.n_tokens, n_kept);
    close_stream(&s);
    fc_test_dir_remove(dir);
}

static void a_document_is_one_sequence_and_is_cut_on_the_right(void **state)
{
    (void)state;
    static const expected_sequence expected[] = {
        {4, {2, 1, 1, 0}, {0, 0, 0, 0}, {-1, 0, 1, 2}},
        {2, {2, 0}, {1, 1}, {-1, 0}},
        {3, {2, 3, 0}, {2, 2, 2}, {-1, 0, 1}},
        {0}};
    check(FC_SPLIT_DOCUMENT, 4, FC_OVERFLOW_TRUNCATE, 6, expected);
}

static void what_is_longer_continues_in_further_sequences_of_the_document(void **state)
{
    (void)state;
    static const expected_sequence expected[] = {
        {4, {2, 1, 1, 0}, {0, 0, 0, 0}, {-1, 0, 1, 2}},
        {2, {2, 3}, {0, 0}, {-1, 3}},
        {2, {2, 0}, {1, 1}, {-1, 0}},
        {3, {2, 3, 0}, {2, 2, 2}, {-1, 0, 1}},
        {0}};
    check(FC_SPLIT_LINE, 4, FC_OVERFLOW_SPLIT, 7, expected);
}

static void packed_sequences_are_full_and_know_the_document_of_each_token(void **state)
{
    (void)state;
    static const expected_sequence expected[] = {
        {6, {2, 1, 1, 0, 3, 0}, {0, 0, 0, 0, 0, 1}, {-1, 0, 1, 2, 3, 0}},
        {3, {2, 3, 0}, {2, 2, 2}, {-1, 0, 1}},
        {0}};
    check(FC_SPLIT_PACKED, 6, FC_OVERFLOW_TRUNCATE, 7, expected);
}

static void the_shortest_sequence_is_bos_and_one_token(void **state)
{
    (void)state;
    static const expected_sequence expected[] = {
        {2, {2, 1}, {0, 0}, {-1, 0}}, {2, {2, 1}, {0, 0}, {-1, 1}},
        {2, {2, 0}, {0, 0}, {-1, 2}}, {2, {2, 3}, {0, 0}, {-1, 3}},
        {2, {2, 0}, {1, 1}, {-1, 0}}, {2, {2, 3}, {2, 2}, {-1, 0}},
        {2, {2, 0}, {2, 2}, {-1, 1}}, {0}};
    check(FC_SPLIT_PACKED, 2, FC_OVERFLOW_SPLIT, 7, expected);
    fc_tokenizer *tokenizer = load();
    fc_sequences *sequences = NULL;
    fc_err err = {0};
    fc_assert_fails(fc_sequences_new(&sequences, NULL, tokenizer, 1, FC_SPLIT_LINE,
                                     FC_OVERFLOW_SPLIT, &err),
                    &err, FC_USAGE, "length is 1", "at least 2");
    fc_tokenizer_free(tokenizer);
}

static void
the_demo_corpus_gives_705989_tokens_and_541973_positions_at_length_128(void **state)
{
    (void)state;
    static const struct {
        int64_t max_length, n_tokens; /* bos included */
    } cases[] = {{1 << 30, 705989}, {128, 541973 + 9047}};
    char path[FC_PATH_MAX];
    fc_source_file(path, "assets/example-model/corpus.wikitext.raw.zst");
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        stream s =
            open_stream(path, FC_SPLIT_LINE, cases[i].max_length, FC_OVERFLOW_TRUNCATE);
        fc_sequences_on_document(s.sequences, count_document, &s);
        int64_t n_tokens = 0;
        int64_t n_allocations = 0;
        fc_sequence sequence;
        fc_err err = {0};
        for (bool is_end = false; !is_end; n_tokens += sequence.n) {
            fc_assert_ok(fc_sequences_next(s.sequences, &sequence, &is_end, &err), &err);
            if (s.n_documents == 8000) n_allocations = fc_alloc_count();
        }
        assert_int_equal(n_tokens, cases[i].n_tokens);
        assert_int_equal(s.n_documents, 9047);
        assert_int_equal(s.n_tokens, n_tokens - 9047);
        assert_int_equal(fc_alloc_count(),
                         n_allocations); /* the steady state allocates nothing */
        close_stream(&s);
    }
}

static fc_status run_all(void *ctx, fc_err *err)
{
    const char *const *path = ctx;
    const fc_corpus_config config = {
        .paths = &path[1], .n_paths = 1, .split = FC_SPLIT_PACKED};
    stream s = {0};
    fc_sequence sequence;
    bool is_end = false;
    fc_status status = FC_OK;
    FC_TRY_GOTO(fc_tokenizer_load(&s.tokenizer, path[0], err));
    FC_TRY_GOTO(fc_corpus_open(&s.corpus, &config, err));
    FC_TRY_GOTO(fc_sequences_new(&s.sequences, s.corpus, s.tokenizer, 5, FC_SPLIT_PACKED,
                                 FC_OVERFLOW_SPLIT, err));
    while (!is_end) FC_TRY_GOTO(fc_sequences_next(s.sequences, &sequence, &is_end, err));
done:
    close_stream(&s);
    return status;
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    static const char text[] =
        "{\"text\": \"one two three four five six \xC3\xA9\"}\n{\"text\": \"x\"}\n";
    char dir[FC_PATH_MAX];
    char tokenizer[FC_PATH_MAX];
    char corpus[FC_PATH_MAX];
    const char *paths[] = {tokenizer, corpus};
    fc_test_dir_make(dir);
    fc_fixture(tokenizer, "tokenizer/bad/good.json");
    fc_test_path(corpus, dir, "t.jsonl");
    fc_test_write(corpus, text, sizeof text - 1);
    assert_true(fc_test_sweep_alloc(run_all, NULL, paths) > 20);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_one_sequence_and_is_cut_on_the_right),
        cmocka_unit_test(what_is_longer_continues_in_further_sequences_of_the_document),
        cmocka_unit_test(packed_sequences_are_full_and_know_the_document_of_each_token),
        cmocka_unit_test(the_shortest_sequence_is_bos_and_one_token),
        cmocka_unit_test(
            the_demo_corpus_gives_705989_tokens_and_541973_positions_at_length_128),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
