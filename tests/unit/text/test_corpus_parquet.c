/* test_corpus_parquet.c - Parquet and zip archives as corpora: WikiText in any wrapping gives the
 * same documents; rows and conversations are documents.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "formats/zip.h"
#include "text/chat.h"
#include "text/corpus.h"

static fc_corpus *open_paths(const char *const *paths, int64_t n, fc_split split,
                             const char *field)
{
    fc_corpus *corpus = NULL;
    fc_err err = {0};
    const fc_corpus_config config = {
        .paths = paths, .n_paths = n, .split = split, .field = field};
    fc_assert_ok(fc_corpus_open(&corpus, &config, &err), &err);
    return corpus;
}

/* The documents of `a` but for the first `n_skipped` are those of `b`: text, title, line. */
static void assert_same_documents(fc_corpus *a, fc_corpus *b, bool has_names)
{
    fc_err err = {0};
    fc_strbuf text = {0}, title = {0};
    for (int64_t id = 0;; id++) {
        fc_document document;
        bool is_end = false, is_other_end = false;
        fc_assert_ok(fc_corpus_next(a, &document, &is_end, &err), &err);
        if (!is_end) {
            fc_strbuf_clear(&text);
            fc_strbuf_clear(&title);
            fc_assert_ok(fc_strbuf_add(&text, document.text, document.n_bytes, &err),
                         &err);
            fc_assert_ok(fc_strbuf_addf(&title, &err, "%s", document.title), &err);
        }
        const int64_t line = document.line;
        fc_assert_ok(fc_corpus_next(b, &document, &is_other_end, &err), &err);
        assert_int_equal(is_end, is_other_end);
        if (is_end) {
            assert_true(id > 5);
            break;
        }
        assert_int_equal(document.id, id);
        assert_int_equal(document.n_bytes, text.n);
        assert_memory_equal(document.text, text.data, (size_t)text.n);
        assert_int_equal(document.line, line);
        if (has_names) assert_string_equal(document.title, fc_strbuf_text(&title));
    }
    assert_true(fc_corpus_fraction(a) == 1.0);
    assert_true(fc_corpus_fraction(b) == 1.0);
    fc_strbuf_free(&text);
    fc_strbuf_free(&title);
}

static void compare_with_raw(const char *const *paths, int64_t n)
{
    char raw[FC_PATH_MAX];
    fc_fixture(raw, "parquet/wiki.test.raw");
    const char *raw_path = raw;
    for (int split = FC_SPLIT_LINE; split <= FC_SPLIT_PACKED; split++) {
        fc_corpus *a = open_paths(&raw_path, 1, (fc_split)split, "text");
        fc_corpus *b = open_paths(paths, n, (fc_split)split, "text");
        assert_same_documents(a, b, true);
        fc_corpus_close(a);
        fc_corpus_close(b);
    }
}

static void wikitext_in_parquet_gives_the_documents_of_the_raw_file(void **state)
{
    (void)state;
    char parquet[FC_PATH_MAX];
    fc_fixture(parquet, "parquet/wikitext.parquet");
    const char *path = parquet;
    compare_with_raw(&path, 1);
}

static void shards_of_wikitext_are_one_text_and_other_files_are_not(void **state)
{
    (void)state;
    char shard[2][FC_PATH_MAX];
    fc_fixture(shard[0], "parquet/test-00000-of-00002.parquet");
    fc_fixture(shard[1], "parquet/test-00001-of-00002.parquet");
    const char *paths[] = {shard[0], shard[1]};
    compare_with_raw(paths, 2);
    /* In another order they do not go on from one to the other: the article that they share is two. */
    const char *turned[] = {shard[1], shard[0]};
    fc_corpus *corpus = open_paths(turned, 2, FC_SPLIT_DOCUMENT, "text");
    fc_document document;
    fc_err err = {0};
    bool is_end = false;
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_string_equal(document.title, "test-00001-of-00002.parquet");
    assert_string_equal(document.source, shard[1]);
    int64_t n = 0;
    for (; !is_end; n++)
        fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_int_equal(n, 13); /* of 12 articles */
    fc_corpus_close(corpus);
}

static void make_zip(const char *path)
{
    static const char *const names[] = {
        "wikitext-103-raw/", "wikitext-103-raw/README.pdf",
        "wikitext-103-raw/wiki.test.raw", "wikitext-103-raw/more.txt"};
    char raw[FC_PATH_MAX];
    size_t n_bytes;
    fc_zip_out *zip = NULL;
    fc_err err = {0};
    fc_fixture(raw, "parquet/wiki.test.raw");
    char *text = fc_test_read(raw, &n_bytes);
    fc_assert_ok(fc_zip_create(&zip, path, &err), &err);
    fc_assert_ok(fc_zip_add(zip, names[0], "", 0, &err), &err);
    fc_assert_ok(fc_zip_add(zip, names[1], "not a text", 10, &err), &err);
    fc_assert_ok(fc_zip_add(zip, names[2], text, n_bytes, &err), &err);
    fc_assert_ok(fc_zip_add(zip, names[3], "And this .\n", 11, &err), &err);
    fc_assert_ok(fc_zip_commit(zip, &err), &err);
    fc_zip_discard(zip);
    free(text);
}

static void an_archive_stands_for_its_texts_and_a_member_for_itself(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX], zip[FC_PATH_MAX];
    char member[FC_PATH_MAX + 64];
    fc_test_dir_make(dir);
    fc_test_path(zip, dir, "wikitext-103-raw-v1.zip");
    make_zip(zip);
    snprintf(member, sizeof member, "%s:wikitext-103-raw/wiki.test.raw", zip);
    const char *one = member;
    compare_with_raw(&one, 1);

    const char *all = zip;
    fc_corpus *corpus = open_paths(&all, 1, FC_SPLIT_DOCUMENT, "text");
    fc_document document;
    fc_err err = {0};
    bool is_end = false;
    for (int i = 0; i < 13; i++)
        fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_false(is_end);
    assert_string_equal(document.title, "more.txt");
    assert_string_equal(document.text, "And this .");
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_true(is_end);
    assert_true(fc_corpus_fraction(corpus) == 1.0);
    fc_corpus_close(corpus);

    snprintf(member, sizeof member, "%s:none.raw", zip);
    const fc_corpus_config config = {.paths = &one, .n_paths = 1};
    fc_assert_fails(fc_corpus_open(&corpus, &config, &err), &err, FC_IO, zip,
                    "no member 'none.raw'");
    fc_test_dir_remove(dir);
}

static void a_row_is_a_document_and_its_lines_have_its_number(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_fixture(path, "parquet/records.parquet");
    const char *paths = path;
    static const struct {
        const char *title, *text;
        int64_t line;
    } expected[] = {{"One", "First .", 1},
                    {"One", "Second .", 1},
                    {"records.parquet", "No title .", 3},
                    {"Four", "Straße", 4}};
    fc_corpus *corpus = open_paths(&paths, 1, FC_SPLIT_LINE, "body");
    fc_document document;
    fc_err err = {0};
    bool is_end = false;
    for (size_t i = 0; i < FC_LEN(expected); i++) {
        fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
        assert_false(is_end);
        assert_string_equal(document.title, expected[i].title);
        assert_string_equal(document.text, expected[i].text);
        assert_int_equal(document.line, expected[i].line);
    }
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_true(is_end);
    fc_corpus_close(corpus);
}

static void a_conversation_is_never_split(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_fixture(path, "parquet/messages.parquet");
    const char *paths = path;
    for (int split = FC_SPLIT_LINE; split <= FC_SPLIT_PACKED; split++) {
        fc_corpus *corpus = open_paths(&paths, 1, (fc_split)split, "messages");
        fc_document document;
        fc_err err = {0};
        bool is_end = false;
        for (int64_t id = 0; id < 3; id++)
            fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
        assert_string_equal(
            document.text, "<start_of_turn>user\n<end_of_turn>\n"
                           "<start_of_turn>model\nturn 1 of 3<end_of_turn>\n"
                           "<start_of_turn>user\nturn 2 of 3 turn 2 of 3<end_of_turn>\n");
        assert_int_equal(document.line, 4); /* the first row has no turn */
        fc_corpus_close(corpus);
    }
}

static void conversations_in_json_lines_are_those_of_parquet(void **state)
{
    (void)state;
    static const char text[] = "{\"messages\": [{\"role\": \"system\", \"content\": "
                               "\"S\"}, {\"role\": \"user\", "
                               "\"content\": \"a\\nb\"}, {\"role\": \"assistant\", "
                               "\"content\": null}], \"id\": 7}\n"
                               "{\"messages\": []}\n{\"messages\": [1, {\"from\": "
                               "\"gpt\", \"value\": \"c\"}]}\n";
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_document document;
    bool is_end = false;
    fc_err err = {0};
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "x.jsonl");
    fc_test_write(path, text, strlen(text));
    const char *paths = path;
    fc_corpus *corpus = open_paths(&paths, 1, FC_SPLIT_LINE, "messages");
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_string_equal(document.text, "<start_of_turn>user\nS\n\na\nb<end_of_turn>\n");
    assert_string_equal(document.title, "7");
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_string_equal(document.text, "<start_of_turn>model\nc<end_of_turn>\n");
    assert_int_equal(document.line, 3);
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_true(is_end);
    fc_corpus_close(corpus);
    fc_test_dir_remove(dir);
}

static void the_chat_template_writes_roles_and_system_as_gemma_does(void **state)
{
    (void)state;
    static const char *const turns[][2] = {
        {"system", " Be brief. "}, {"user", "  Hi\n"}, {"assistant", "Hello"},
        {"human", "And?"},         {"gpt", ""},        {"tool", "x"}};
    fc_chat chat = {0};
    fc_err err = {0};
    for (size_t i = 0; i < FC_LEN(turns); i++)
        fc_assert_ok(fc_chat_turn(&chat, turns[i][0], (int64_t)strlen(turns[i][0]),
                                  turns[i][1], (int64_t)strlen(turns[i][1]), &err),
                     &err);
    assert_string_equal(fc_strbuf_text(&chat.text),
                        "<start_of_turn>user\n Be brief. \n\nHi<end_of_turn>\n"
                        "<start_of_turn>model\nHello<end_of_turn>\n"
                        "<start_of_turn>user\nAnd?<end_of_turn>\n"
                        "<start_of_turn>model\n<end_of_turn>\n"
                        "<start_of_turn>tool\nx<end_of_turn>\n");
    fc_chat_begin(&chat);
    assert_int_equal(chat.text.n, 0);
    fc_chat_free(&chat);
}

static fc_status read_all(void *ctx, fc_err *err)
{
    const char *path = ctx;
    const fc_corpus_config config = {
        .paths = &path,
        .n_paths = 1,
        .split = FC_SPLIT_DOCUMENT,
        .field = strstr(path, "messages") ? "messages" : "text",
    };
    fc_corpus *corpus = NULL;
    fc_document document;
    bool is_end = false;
    fc_status status;
    FC_TRY_GOTO(fc_corpus_open(&corpus, &config, err));
    while (!is_end) FC_TRY_GOTO(fc_corpus_next(corpus, &document, &is_end, err));
done:
    fc_corpus_close(corpus);
    return status;
}

static void a_column_that_is_not_there_names_those_that_are(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err = {0};
    fc_fixture(path, "parquet/records.parquet");
    fc_assert_fails(read_all(path, &err), &err, FC_MISMATCH, path, "'text'",
                    "'title', 'body'");
    char zip[FC_PATH_MAX];
    fc_fixture(zip, "parquet/conversations.parquet");
    fc_assert_fails(read_all(zip, &err), &err, FC_MISMATCH, "'text'");
}

static void parquet_within_another_file_is_refused(void **state)
{
    (void)state;
    char fixture[FC_PATH_MAX], dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_zip_out *zip = NULL;
    size_t n_bytes;
    fc_err err = {0};
    fc_fixture(fixture, "parquet/records.parquet");
    char *bytes = fc_test_read(fixture, &n_bytes);
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "x.zip");
    fc_assert_ok(fc_zip_create(&zip, path, &err), &err);
    fc_assert_ok(fc_zip_add(zip, "rows", bytes, n_bytes, &err), &err);
    fc_assert_ok(fc_zip_commit(zip, &err), &err);
    fc_zip_discard(zip);
    fc_assert_fails(read_all(path, &err), &err, FC_FORMAT, "x.zip:rows",
                    "give it as a file of its own");
    fc_test_dir_remove(dir);
    free(bytes);
}

static void bytes_that_are_not_utf8_are_refused_where_nobody_says_text(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_err err = {0};
    fc_fixture(path, "parquet/bytes.parquet");
    fc_assert_fails(read_all(path, &err), &err, FC_FORMAT, path, "row 2", "'text'",
                    "not UTF-8");
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"parquet/wikitext.parquet",
                                        "parquet/messages.parquet",
                                        "parquet/dictionary.parquet"};
    char path[FC_PATH_MAX];
    char dir[FC_PATH_MAX];
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_fixture(path, names[i]);
        assert_true(fc_test_sweep_alloc(read_all, NULL, path) > 5);
    }
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "x.zip");
    make_zip(path);
    assert_true(fc_test_sweep_alloc(read_all, NULL, path) > 5);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wikitext_in_parquet_gives_the_documents_of_the_raw_file),
        cmocka_unit_test(shards_of_wikitext_are_one_text_and_other_files_are_not),
        cmocka_unit_test(an_archive_stands_for_its_texts_and_a_member_for_itself),
        cmocka_unit_test(a_row_is_a_document_and_its_lines_have_its_number),
        cmocka_unit_test(a_conversation_is_never_split),
        cmocka_unit_test(conversations_in_json_lines_are_those_of_parquet),
        cmocka_unit_test(the_chat_template_writes_roles_and_system_as_gemma_does),
        cmocka_unit_test(a_column_that_is_not_there_names_those_that_are),
        cmocka_unit_test(parquet_within_another_file_is_refused),
        cmocka_unit_test(bytes_that_are_not_utf8_are_refused_where_nobody_says_text),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("corpus_parquet", tests, NULL, NULL);
}
