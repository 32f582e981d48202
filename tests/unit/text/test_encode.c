/* test_encode.c - encoding of whole files, of long and damaged text, and of odd tokenizers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "formats/json.h"
#include "text/corpus.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

typedef struct setup {
    fc_tokenizer *tokenizer;
    fc_encoder *encoder;
    fc_tokens tokens;
} setup;

static setup make_setup(const char *path)
{
    setup s = {0};
    fc_err err = {0};
    fc_assert_ok(fc_tokenizer_load(&s.tokenizer, path, &err), &err);
    fc_assert_ok(fc_encoder_new(&s.encoder, s.tokenizer, &err), &err);
    return s;
}

static setup make_example(void)
{
    char path[FC_PATH_MAX];
    fc_fixture(path, "tokenizer/tokenizer.json");
    return make_setup(path);
}

static void free_setup(setup *s)
{
    fc_tokens_free(&s->tokens);
    fc_encoder_free(s->encoder);
    fc_tokenizer_free(s->tokenizer);
}

static void encode(setup *s, const char *text, int64_t n, fc_encode_options options)
{
    fc_err err = {0};
    fc_assert_ok(fc_encode(s->encoder, text, n, options, &s->tokens, &err), &err);
}

static void assert_pieces(const setup *s, const char *const *pieces)
{
    int64_t n = 0;
    for (; pieces[n]; n++) {
        assert_true(n < s->tokens.n);
        assert_string_equal(fc_tokenizer_piece(s->tokenizer, s->tokens.id[n]), pieces[n]);
    }
    assert_int_equal(s->tokens.n, n);
}

/* --- whole files -------------------------------------------------------------------------- */

/* SHA-256 over the ids (little-endian uint32, with bos) of all lines that are not blank. */
static void check_digest(const char *path, const char *name)
{
    char file[FC_PATH_MAX];
    char hex[FC_SHA256_HEX];
    fc_err err = {0};
    json_t *all = NULL;
    fc_corpus *corpus = NULL;
    fc_sha256 *sha = NULL;
    setup s = make_example();
    fc_fixture(file, "tokenizer/wikitext.sha256.json");
    fc_assert_ok(fc_json_load(&all, file, &err), &err);
    const json_t *expected = json_object_get(all, name);
    const fc_corpus_config config = {
        .paths = &path, .n_paths = 1, .split = FC_SPLIT_LINE};
    fc_assert_ok(fc_corpus_open(&corpus, &config, &err), &err);
    fc_assert_ok(fc_sha256_new(&sha, &err), &err);
    int64_t n_lines = 0;
    int64_t n_tokens = 0;
    for (;; n_lines++) {
        fc_document line;
        bool is_end = false;
        fc_assert_ok(fc_corpus_next(corpus, &line, &is_end, &err), &err);
        if (is_end) break;
        encode(&s, line.text, line.n_bytes, (fc_encode_options){0});
        for (int64_t i = 0; i < s.tokens.n; i++) {
            const uint32_t id = (uint32_t)s.tokens.id[i];
            const uint8_t bytes[] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
                                     (uint8_t)(id >> 24)};
            fc_sha256_update(sha, bytes, sizeof bytes);
        }
        n_tokens += s.tokens.n;
    }
    fc_sha256_hex(sha, hex);
    assert_int_equal(n_lines,
                     json_integer_value(json_object_get(expected, "lines_encoded")));
    assert_int_equal(n_tokens,
                     json_integer_value(json_object_get(expected, "tokens_with_bos")));
    assert_string_equal(hex, json_string_value(json_object_get(expected, "sha256")));
    fc_sha256_free(sha);
    fc_corpus_close(corpus);
    json_decref(all);
    free_setup(&s);
}

static void wikitext_103_valid_gives_the_digest_of_hugging_face(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_source_file(path, "tests/data/wikitext-103.valid.tokens.zst");
    check_digest(path, "wikitext-103.valid.tokens");
}

static void the_enwiki_sample_gives_the_digest_of_hugging_face(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    const char *data = getenv("FACET_DATA");
    if (!data ||
        fc_path_join(path, data, "enwiki-sample.wikitext.raw.zst", NULL) != FC_OK ||
        !fc_path_exists(path))
    {
        print_message(
            "skipped: set FACET_DATA to a folder with enwiki-sample.wikitext.raw.zst\n");
        skip();
    }
    check_digest(path, "enwiki-sample.wikitext.raw");
}

/* --- long text ---------------------------------------------------------------------------- */

/* Every byte belongs to a token, in order; characters in byte pieces repeat their range. */
static void assert_tiles(const fc_tokens *tokens, int64_t n)
{
    int64_t end = 0;
    for (int64_t i = 0; i < tokens->n; i++) {
        const bool is_repeat =
            i > 0 && tokens->begin[i] == tokens->begin[i - 1] && tokens->end[i] == end;
        assert_true(is_repeat || tokens->begin[i] == end);
        assert_true(tokens->end[i] > tokens->begin[i]);
        end = tokens->end[i];
    }
    assert_int_equal(end, n);
}

enum { LONG = 1 << 20 };

static void fill(char *text, int64_t n, const char *unit)
{
    const int64_t n_unit = (int64_t)strlen(unit);
    for (int64_t i = 0; i < n; i++)
        text[i] =
            n_unit ? unit[i % n_unit] : (char)fc_rng_u64(1, FC_RNG_TEST, (uint64_t)i);
}

/* Quadratic merging would take a trillion steps here, far beyond the time a test may run. */
static void a_megabyte_without_borders_is_encoded(void **state)
{
    (void)state;
    static const char *const units[] = {"a",  " ",    "\xE6\xBC\xA2", "ab",
                                        "\n", "\xF0", "the",          ""};
    setup s = make_example();
    char *text = malloc(LONG);
    for (size_t i = 0; i < FC_LEN(units); i++) {
        fill(text, LONG, units[i]);
        encode(&s, text, LONG, (fc_encode_options){.no_bos = true});
        assert_tiles(&s.tokens, LONG);
    }
    free(text);
    free_setup(&s);
}

static void a_word_of_5000_characters_is_encoded_whole(void **state)
{
    (void)state;
    enum { N = 5000 };
    setup s = make_example();
    char text[N];
    for (int i = 0; i < N; i++)
        text[i] = (char)('a' + fc_rng_u64(2, FC_RNG_TEST, (uint64_t)i) % 26);
    encode(&s, text, N, (fc_encode_options){.no_bos = true});
    assert_tiles(&s.tokens, N);
    fc_strbuf back = {0};
    fc_err err = {0};
    fc_assert_ok(fc_decode(s.tokenizer, s.tokens.id, s.tokens.n, false, &back, &err),
                 &err);
    assert_int_equal(back.n, N);
    assert_memory_equal(back.data, text, N);
    fc_strbuf_free(&back);
    free_setup(&s);
}

static void a_text_beyond_512_mebibytes_is_refused(void **state)
{
    (void)state;
    setup s = make_example();
    fc_err err = {0};
    fc_assert_fails(fc_encode(s.encoder, "", INT64_C(1) << 40, (fc_encode_options){0},
                              &s.tokens, &err),
                    &err, FC_USAGE, "1099511627776 bytes", "at most");
    free_setup(&s);
}

/* --- damaged text ------------------------------------------------------------------------- */

/* Bytes of Unicode 15, tables 3-8 and 3-11, and more: the ranges that count as one character. */
static void
each_maximal_invalid_subsequence_counts_as_one_replacement_character(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int lengths[10]; /* > 0 valid, < 0 invalid, 0 ends */
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", {-1, -1, -1, -1, -1, -1, -1, -1, 1}},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", {-1, -1, -1, -1, -1, -1, -1, -1, 1}},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", {-1, -1, -1, -1, -1, 1, -1, -1, 1}},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", {-2, -1, -3, -2, 1}},
        {"\xF0\x9F\x98", {-3}},
        {"\xE2\x96", {-2}},
        {"\xF0\xE2\x96\x81", {-1, 3}},
        {"\xF4\x8F\xBF\xBF\xEF\xBF\xBF\xDF\xBF\x7F", {4, 3, 2, 1}},
    };
    setup s = make_example();
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const char *text = cases[i].text;
        int64_t at = 0;
        for (const int *length = cases[i].lengths; *length; length++) {
            uint32_t code = 0;
            bool is_valid = false;
            const int64_t left = (int64_t)strlen(text) - at;
            assert_int_equal(fc_utf8_next(text + at, left, &code, &is_valid),
                             abs(*length));
            assert_int_equal(is_valid, *length > 0);
            if (!is_valid) assert_int_equal(code, FC_UTF8_REPLACEMENT);
            at += abs(*length);
        }
        assert_int_equal(at, strlen(text));
        encode(&s, text, at, (fc_encode_options){.no_bos = true});
        assert_tiles(&s.tokens, at);
    }
    static const char *const replaced[] = {"a", "<0xEF>", "<0xBF>", "<0xBD>", "b", NULL};
    encode(&s,
           "a\xE1\x80"
           "b",
           4, (fc_encode_options){.no_bos = true});
    assert_pieces(&s, replaced);
    assert_int_equal(s.tokens.begin[3], 1);
    assert_int_equal(s.tokens.end[3], 3);
    free_setup(&s);
}

/* --- options and other tokenizers --------------------------------------------------------- */

static void special_tokens_can_be_taken_as_text(void **state)
{
    (void)state;
    setup s = make_example();
    static const char *const as_tokens[] = {"a", "<bos>", "\n\n", "b", NULL};
    encode(&s, "a<bos>\n\nb", 9, (fc_encode_options){.no_bos = true});
    assert_pieces(&s, as_tokens);
    encode(&s, "a<bos>\n\nb", 9,
           (fc_encode_options){.no_bos = true, .specials_as_text = true});
    assert_tiles(&s.tokens, 9);
    for (int64_t i = 0; i < s.tokens.n; i++)
        assert_false(fc_tokenizer_is_special(s.tokenizer, s.tokens.id[i]));
    assert_string_equal(fc_tokenizer_piece(s.tokenizer, s.tokens.id[s.tokens.n - 2]),
                        "\n\n");
    free_setup(&s);
}

/* good.json with changes, in a folder of its own. */
typedef struct variant {
    json_t *root;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
} variant;

static variant make_variant(void)
{
    variant v = {0};
    char path[FC_PATH_MAX];
    fc_err err = {0};
    fc_fixture(path, "tokenizer/bad/good.json");
    fc_assert_ok(fc_json_load(&v.root, path, &err), &err);
    fc_test_dir_make(v.dir);
    fc_test_path(v.path, v.dir, "tokenizer.json");
    return v;
}

static void save_variant(variant *v)
{
    fc_err err = {0};
    fc_assert_ok(fc_json_save(v->root, v->path, &err), &err);
    json_decref(v->root);
}

static void merges_across_a_space_are_honoured(void **state)
{
    (void)state;
    variant v = make_variant();
    json_t *model = json_object_get(v.root, "model");
    json_t *vocab = json_object_get(model, "vocab");
    const json_int_t id = (json_int_t)json_object_size(vocab);
    json_object_set_new(vocab, "a\xE2\x96\x81", json_integer(id));
    json_array_insert_new(json_object_get(model, "merges"), 0,
                          json_pack("[ss]", "a", "\xE2\x96\x81"));
    save_variant(&v);
    setup s = make_setup(v.dir);
    static const char *const pieces[] = {"a\xE2\x96\x81", "a\xE2\x96\x81", "a", NULL};
    encode(&s, "a a a", 5, (fc_encode_options){.no_bos = true});
    assert_pieces(&s, pieces);
    free_setup(&s);
    fc_test_dir_remove(v.dir);
}

static void added_tokens_beyond_the_vocabulary_get_their_id(void **state)
{
    (void)state;
    variant v = make_variant();
    json_array_append_new(
        json_object_get(v.root, "added_tokens"),
        json_pack("{s:i,s:s,s:b}", "id", 5000, "content", "<image>", "special", 1));
    save_variant(&v);
    setup s = make_setup(v.dir);
    assert_int_equal(fc_tokenizer_vocab(s.tokenizer), 5001);
    assert_null(fc_tokenizer_piece(s.tokenizer, 4999));
    assert_null(fc_tokenizer_piece(s.tokenizer, 5001));
    assert_null(fc_tokenizer_piece(s.tokenizer, -1));
    encode(&s, "a<image>", 8, (fc_encode_options){0});
    assert_int_equal(s.tokens.id[0], fc_tokenizer_bos(s.tokenizer));
    assert_int_equal(s.tokens.id[2], 5000);
    free_setup(&s);
    fc_test_dir_remove(v.dir);
}

static void other_kinds_of_tokenizer_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *object, *key, *value; /* JSON; object "" = the root */
        const char *words;
    } cases[] = {
        {"", "normalizer", "null", "the normalizer is not"},
        {"", "normalizer", "{\"type\": \"NFC\"}", "expected the replacement"},
        {"", "pre_tokenizer", "{\"type\": \"Whitespace\"}", "the pre_tokenizer is not"},
        {"", "decoder", "{\"type\": \"Fuse\"}", "the decoder is not"},
        {"", "added_tokens", "{}", "expected an array"},
        {"", "added_tokens", "[5]", "added_tokens[0]"},
        {"", "added_tokens", "[{\"id\": 2, \"content\": \"x\"}]", "both have id 2"},
        {"", "added_tokens", "[{\"id\": 7, \"content\": \"<bos>\"}]",
         "but 2 in model.vocab"},
        {"", "added_tokens", "[{\"id\": 9999999, \"content\": \"x\"}]",
         "expected a text and 0.."},
        {"", "added_tokens", "[{\"id\": 999, \"content\": \"\"}]", "expected a text"},
        {"", "added_tokens", "[{\"id\": 999, \"content\": \"x\", \"lstrip\": true}]",
         "lstrip of 'x'"},
        {"model", "byte_fallback", "false", "byte_fallback is not true"},
        {"model", "ignore_merges", "true", "ignore_merges is true"},
        {"model", "dropout", "0.1", "dropout is not 0"},
        {"model", "end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
        {"model", "vocab", "[]", "expected an object"},
        {"model", "vocab", "{\"a\": 0}", "no piece '\xE2\x96\x81'"},
        {"model", "vocab", "{\"a\": 1.0}", "id of 'a'"},
        {"model", "vocab", "{\"a\": -1}", "id of 'a'"},
        {"model", "vocab", "{\"a\": 4294967297}", "id of 'a'"},
        {"model", "vocab", "{\"a\": 4194304}", "too large"},
        {"model", "merges", "[[\"a\"]]", "expected a string"},
        {"model", "merges", "[[\"t\", \"h\", \"e\"]]", "after two pieces"},
        {"model", "merges", "[\"a\"]", "one space between"},
        {"model", "merges", "[\"a b c\"]", "one space between"},
        {"model", "merges", "[5]", "expected an array"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        variant v = make_variant();
        json_t *object =
            *cases[i].object ? json_object_get(v.root, cases[i].object) : v.root;
        json_object_set_new(object, cases[i].key,
                            json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        save_variant(&v);
        fc_tokenizer *tokenizer = NULL;
        fc_err err = {0};
        const fc_status status = fc_tokenizer_load(&tokenizer, v.dir, &err);
        assert_true(status == FC_FORMAT || status == FC_MISMATCH);
        fc_assert_fails(status, &err, status, "tokenizer.json", cases[i].words);
        fc_test_dir_remove(v.dir);
    }
}

static void every_prefix_of_a_file_is_refused(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    size_t n_bytes = 0;
    variant v = make_variant();
    json_decref(v.root);
    fc_fixture(path, "tokenizer/bad/good.json");
    char *text = fc_test_read(path, &n_bytes);
    while (n_bytes > 0 && text[n_bytes - 1] != '}') n_bytes--;
    for (size_t n = 0; n < n_bytes; n += n < 64 ? 1 : 13) {
        fc_tokenizer *tokenizer = NULL;
        fc_err err = {0};
        fc_test_write(v.path, text, n);
        fc_assert_fails(fc_tokenizer_load(&tokenizer, v.dir, &err), &err, FC_FORMAT,
                        "tokenizer.json");
    }
    free(text);
    fc_test_dir_remove(v.dir);
}

static void token_bytes_are_those_of_the_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } cases[] = {{" the", " the"}, {"\t", "\t"}, {"\n\n", "\n\n"}, {"<bos>", "<bos>"}};
    setup s = make_example();
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_strbuf bytes = {0};
        fc_err err = {0};
        encode(&s, cases[i].text, (int64_t)strlen(cases[i].text),
               (fc_encode_options){.no_bos = true});
        assert_int_equal(s.tokens.n, 1);
        fc_assert_ok(fc_token_bytes(s.tokenizer, s.tokens.id[0], &bytes, &err), &err);
        assert_string_equal(fc_strbuf_text(&bytes), cases[i].bytes);
        fc_strbuf_free(&bytes);
    }
    free_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wikitext_103_valid_gives_the_digest_of_hugging_face),
        cmocka_unit_test(the_enwiki_sample_gives_the_digest_of_hugging_face),
        cmocka_unit_test(a_megabyte_without_borders_is_encoded),
        cmocka_unit_test(a_word_of_5000_characters_is_encoded_whole),
        cmocka_unit_test(a_text_beyond_512_mebibytes_is_refused),
        cmocka_unit_test(
            each_maximal_invalid_subsequence_counts_as_one_replacement_character),
        cmocka_unit_test(special_tokens_can_be_taken_as_text),
        cmocka_unit_test(merges_across_a_space_are_honoured),
        cmocka_unit_test(added_tokens_beyond_the_vocabulary_get_their_id),
        cmocka_unit_test(other_kinds_of_tokenizer_are_refused),
        cmocka_unit_test(every_prefix_of_a_file_is_refused),
        cmocka_unit_test(token_bytes_are_those_of_the_text),
    };
    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
