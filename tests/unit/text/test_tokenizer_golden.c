/* test_tokenizer.c - the tokenizer against Hugging Face tokenizers 0.23.3 (fixtures/tokenizer).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/json.h"
#include "text/tokenizer.h"

static fc_tokenizer *load(const char *name)
{
    char path[FC_PATH_MAX];
    fc_tokenizer *tokenizer = NULL;
    fc_err err = {0};
    fc_fixture(path, name);
    fc_assert_ok(fc_tokenizer_load(&tokenizer, path, &err), &err);
    return tokenizer;
}

/* --- the cases ---------------------------------------------------------------------------- */

/* Calls check for every line of a JSON Lines fixture; returns how many there were. */
typedef void check_line(const json_t *line, const fc_tokenizer *tokenizer,
                        fc_encoder *encoder);

static int64_t each_line(const char *name, const char *tokenizer_name, check_line *check)
{
    char path[FC_PATH_MAX];
    size_t n_bytes = 0;
    fc_err err = {0};
    fc_tokenizer *tokenizer = load(tokenizer_name);
    fc_encoder *encoder = NULL;
    fc_assert_ok(fc_encoder_new(&encoder, tokenizer, &err), &err);
    fc_fixture(path, name);
    char *text = fc_test_read(path, &n_bytes);
    int64_t n_lines = 0;
    for (char *line = text; line < text + n_bytes; n_lines++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        json_t *root = NULL;
        fc_assert_ok(fc_json_parse(&root, line, (size_t)(end - line), name, &err), &err);
        check(root, tokenizer, encoder);
        json_decref(root);
        line = end + 1;
    }
    free(text);
    fc_encoder_free(encoder);
    fc_tokenizer_free(tokenizer);
    return n_lines;
}

static const char *text_of(const json_t *line, const char *key, int64_t *n)
{
    const json_t *value = json_object_get(line, key);
    *n = (int64_t)json_string_length(value);
    return json_string_value(value);
}

static void assert_ids(const json_t *line, const char *key, const fc_tokens *tokens)
{
    const json_t *ids = json_object_get(line, key);
    int64_t n = 0;
    const char *text = text_of(line, "text", &n);
    for (int64_t i = 0; i < fc_min(tokens->n, (int64_t)json_array_size(ids)); i++)
        if (json_integer_value(json_array_get(ids, (size_t)i)) != tokens->id[i])
            fail_msg("'%.80s': %s[%d] is %d, expected %d", text, key, (int)i,
                     tokens->id[i],
                     (int)json_integer_value(json_array_get(ids, (size_t)i)));
    assert_int_equal(tokens->n, json_array_size(ids));
}

static void assert_decodes(const json_t *line, const char *key,
                           const fc_tokenizer *tokenizer, bool skip_special)
{
    int64_t n = 0;
    const char *expected = text_of(line, key, &n);
    const json_t *ids = json_object_get(line, "ids");
    const size_t n_ids = json_array_size(ids);
    int32_t *id = calloc(n_ids + 1, sizeof *id);
    for (size_t i = 0; i < n_ids; i++)
        id[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    fc_strbuf text = {0};
    fc_err err = {0};
    fc_assert_ok(fc_decode(tokenizer, id, (int64_t)n_ids, skip_special, &text, &err),
                 &err);
    assert_int_equal(text.n, n);
    assert_memory_equal(fc_strbuf_text(&text), expected, (size_t)n + 1);
    fc_strbuf_free(&text);
    free(id);
}

static void check_decoding(const json_t *line, const fc_tokenizer *tokenizer,
                           fc_encoder *encoder)
{
    (void)encoder;
    assert_decodes(line, "decoded", tokenizer, false);
    assert_decodes(line, "decoded_skip_special", tokenizer, true);
}

static void check_case(const json_t *line, const fc_tokenizer *tokenizer,
                       fc_encoder *encoder)
{
    fc_tokens tokens = {0};
    fc_err err = {0};
    int64_t n = 0;
    const char *text = text_of(line, "text", &n);
    fc_assert_ok(
        fc_encode(encoder, text, n, (fc_encode_options){.no_bos = true}, &tokens, &err),
        &err);
    assert_ids(line, "ids_no_bos", &tokens);
    fc_assert_ok(fc_encode(encoder, text, n, (fc_encode_options){0}, &tokens, &err),
                 &err);
    assert_ids(line, "ids", &tokens);
    const json_t *pieces = json_object_get(line, "tokens");
    const json_t *offsets = json_object_get(line, "offsets");
    for (int64_t i = 0; i < tokens.n; i++) {
        const json_t *range = json_array_get(offsets, (size_t)i);
        assert_string_equal(fc_tokenizer_piece(tokenizer, tokens.id[i]),
                            json_string_value(json_array_get(pieces, (size_t)i)));
        assert_int_equal(tokens.begin[i], json_integer_value(json_array_get(range, 0)));
        assert_int_equal(tokens.end[i], json_integer_value(json_array_get(range, 1)));
    }
    fc_tokens_free(&tokens);
    check_decoding(line, tokenizer, encoder);
}

static void all_cases_give_the_ids_pieces_offsets_and_text_of_hugging_face(void **state)
{
    (void)state;
    assert_int_equal(each_line("tokenizer/cases.jsonl", "tokenizer", check_case), 453);
}

static void id_sequences_that_no_text_gives_decode_as_in_hugging_face(void **state)
{
    (void)state;
    assert_int_equal(each_line("tokenizer/decode.jsonl", "tokenizer", check_decoding),
                     79);
}

static void other_spellings_of_the_file_give_the_same_ids(void **state)
{
    (void)state;
    static const char *const files[] = {"merges-as-strings", "no-pre-tokenizer",
                                        "added-tokens-reordered", "escaped-ascii"};
    for (size_t i = 0; i < FC_LEN(files); i++) {
        char name[128];
        snprintf(name, sizeof name, "tokenizer/variants/%s.json", files[i]);
        assert_int_equal(each_line("tokenizer/cases.jsonl", name, check_case), 453);
    }
}

/* --- damaged files ------------------------------------------------------------------------ */

static void damaged_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        fc_status status;
        const char *words[2];
    } cases[] = {
        {"merge-unknown-token", FC_FORMAT, {"merges[5]", "'zz' is not in"}},
        {"duplicate-ids", FC_FORMAT, {"'e' and 'a' both have id", "vocab"}},
        {"missing-model", FC_FORMAT, {"model is nothing", "expected an object"}},
        {"not-bpe", FC_MISMATCH, {"'Unigram'", "expected 'BPE'"}},
        {"truncated", FC_FORMAT, {"end of the file", "byte 3450"}},
        {"wrong-types", FC_FORMAT, {"'the'", "expected an integer"}},
        {"deep-nesting", FC_FORMAT, {"not valid JSON", "depth"}},
        {"merges-missing", FC_FORMAT, {"model.merges is missing", "expected"}},
    };
    fc_tokenizer_free(load("tokenizer/bad/good.json"));
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        char name[128];
        char path[FC_PATH_MAX];
        fc_tokenizer *tokenizer = NULL;
        fc_err err = {0};
        snprintf(name, sizeof name, "tokenizer/bad/%s.json", cases[i].file);
        fc_fixture(path, name);
        fc_assert_fails(fc_tokenizer_load(&tokenizer, path, &err), &err, cases[i].status,
                        cases[i].file, cases[i].words[0], cases[i].words[1]);
        assert_null(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_cases_give_the_ids_pieces_offsets_and_text_of_hugging_face),
        cmocka_unit_test(id_sequences_that_no_text_gives_decode_as_in_hugging_face),
        cmocka_unit_test(other_spellings_of_the_file_give_the_same_ids),
        cmocka_unit_test(damaged_files_are_refused_with_a_sentence),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
