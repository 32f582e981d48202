/* test_corpus.c - documents from files of all formats, splits and compressions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "text/corpus.h"

typedef struct expected_document {
    const char *title;
    int64_t line;
    const char *text;
} expected_document;

typedef struct expected_split {
    const char *name;
    fc_split split;
    expected_document document[9]; /* ends with text NULL */
} expected_split;

static fc_corpus *open_one(const char *path, fc_split split, fc_text_format format)
{
    fc_corpus *corpus = NULL;
    fc_err err = {0};
    const fc_corpus_config config = {
        .paths = &path, .n_paths = 1, .format = format, .split = split};
    fc_assert_ok(fc_corpus_open(&corpus, &config, &err), &err);
    return corpus;
}

static void assert_document(fc_corpus *corpus, int64_t id,
                            const expected_document *expected)
{
    fc_document document;
    bool is_end = false;
    fc_err err = {0};
    fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
    assert_int_equal(is_end, expected->text == NULL);
    if (!expected->text) return;
    assert_int_equal(document.id, id);
    assert_int_equal(document.n_bytes, strlen(expected->text));
    assert_memory_equal(document.text, expected->text, strlen(expected->text));
    assert_string_equal(document.title, expected->title);
    assert_int_equal(document.line, expected->line);
}

/* Writes the text as dir/name and checks every split of it. */
static void check_splits(const char *name, const char *text, const expected_split *splits,
                         size_t n_splits)
{
    char dir[FC_PATH_MAX];
    char path[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(path, dir, name);
    fc_test_write(path, text, strlen(text));
    for (size_t i = 0; i < n_splits; i++) {
        fc_corpus *corpus = open_one(path, splits[i].split, FC_TEXT_AUTO);
        int64_t id = 0;
        do assert_document(corpus, id, &splits[i].document[id]);
        while (splits[i].document[id++].text);
        assert_true(fc_corpus_fraction(corpus) == 1.0);
        fc_corpus_close(corpus);
    }
    fc_test_dir_remove(dir);
}

/* --- formats and splits ------------------------------------------------------------------- */

static void wikitext_splits_into_lines_paragraphs_and_articles(void **state)
{
    (void)state;
    static const char text[] =
        " \n = One = \n \n First line . \n Second . \n \n = = Part = = \n"
        " \n x = 1 = y \n = not a title = \n\n = Two = \n \n Last . \n";
    static const expected_split splits[] = {
        {"line",
         FC_SPLIT_LINE,
         {{"One", 2, " = One = "},
          {"One", 4, " First line . "},
          {"One", 5, " Second . "},
          {"One", 7, " = = Part = = "},
          {"One", 9, " x = 1 = y "},
          {"One", 10, " = not a title = "},
          {"Two", 12, " = Two = "},
          {"Two", 14, " Last . "}}},
        {"paragraph",
         FC_SPLIT_PARAGRAPH,
         {{"One", 2, " = One = "},
          {"One", 4, " First line . \n Second . "},
          {"One", 7, " = = Part = = "},
          {"One", 9, " x = 1 = y \n = not a title = "},
          {"Two", 12, " = Two = "},
          {"Two", 14, " Last . "},
          {0}}},
        {"document",
         FC_SPLIT_DOCUMENT,
         {{"One", 2,
           " = One = \n \n First line . \n Second . \n \n = = Part = = \n \n x = 1 = y \n"
           " = not a title = "},
          {"Two", 12, " = Two = \n \n Last . "},
          {0}}},
        {"packed",
         FC_SPLIT_PACKED,
         {{"One", 2,
           " = One = \n \n First line . \n Second . \n \n = = Part = = \n \n x = 1 = y \n"
           " = not a title = "},
          {"Two", 12, " = Two = \n \n Last . "},
          {0}}},
    };
    /* The line split has as many documents as the table holds; its end is checked below. */
    check_splits("wiki.tokens", text, splits + 1, FC_LEN(splits) - 1);
    check_splits("told-by-its-title", text, splits + 1, FC_LEN(splits) - 1);
    char dir[FC_PATH_MAX];
    char path[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "wiki.raw");
    fc_test_write(path, text, strlen(text));
    fc_corpus *corpus = open_one(path, FC_SPLIT_LINE, FC_TEXT_AUTO);
    for (int64_t id = 0; id < 8; id++)
        assert_document(corpus, id, &splits[0].document[id]);
    assert_document(corpus, 8, &(expected_document){0});
    assert_document(corpus, 8, &(expected_document){0}); /* the end stays the end */
    fc_corpus_close(corpus);
    fc_test_dir_remove(dir);
}

static void plain_text_splits_into_lines_paragraphs_and_the_file(void **state)
{
    (void)state;
    static const char text[] = "\n  a\nb \r\n\n\n = c = \n";
    static const expected_split splits[] = {
        {"line",
         FC_SPLIT_LINE,
         {{"t.txt", 2, "  a"}, {"t.txt", 3, "b \r"}, {"t.txt", 6, " = c = "}}},
        {"paragraph",
         FC_SPLIT_PARAGRAPH,
         {{"t.txt", 2, "  a\nb \r"}, {"t.txt", 6, " = c = "}}},
        {"document", FC_SPLIT_DOCUMENT, {{"t.txt", 1, "\n  a\nb \r\n\n\n = c = "}}},
    };
    check_splits("t.txt", text, splits, FC_LEN(splits));
}

static void json_lines_split_into_lines_paragraphs_and_records(void **state)
{
    (void)state;
    static const char text[] = "{\"text\": \"a\\n\\nb\\nc\\n\", \"title\": \"T\"}\n\n"
                               "{\"id\": 7, \"text\": \"d\"}\n{\"text\": \" \"}\n"
                               "{\"text\": \"e\", \"id\": \"x7\"}\n{\"text\": \"f\"}";
    static const expected_split splits[] = {
        {"line",
         FC_SPLIT_LINE,
         {{"T", 1, "a"},
          {"T", 1, "b"},
          {"T", 1, "c"},
          {"7", 3, "d"},
          {"x7", 5, "e"},
          {"t", 6, "f"}}},
        {"paragraph",
         FC_SPLIT_PARAGRAPH,
         {{"T", 1, "a"}, {"T", 1, "b\nc"}, {"7", 3, "d"}, {"x7", 5, "e"}, {"t", 6, "f"}}},
        {"document",
         FC_SPLIT_DOCUMENT,
         {{"T", 1, "a\n\nb\nc\n"}, {"7", 3, "d"}, {"x7", 5, "e"}, {"t", 6, "f"}}},
    };
    check_splits("t", text, splits, FC_LEN(splits));
}

static void text_without_a_telling_name_or_beginning_is_plain(void **state)
{
    (void)state;
    static const expected_split splits[] = {
        {"document", FC_SPLIT_DOCUMENT, {{"notes", 1, " \n\nfirst\nsecond"}}},
    };
    check_splits("notes", " \n\nfirst\nsecond\n", splits, FC_LEN(splits));
}

static void empty_and_blank_files_give_no_documents(void **state)
{
    (void)state;
    static const expected_split splits[] = {
        {"line", FC_SPLIT_LINE, {{0}}},
        {"paragraph", FC_SPLIT_PARAGRAPH, {{0}}},
        {"document", FC_SPLIT_DOCUMENT, {{0}}},
    };
    static const char *const names[] = {"t.txt", "t.raw", "t.jsonl", "t"};
    for (size_t i = 0; i < FC_LEN(names); i++)
        check_splits(names[i], " \n\n \t\r\n", splits, 3);
}

/* --- several files, compression, standard input ------------------------------------------- */

static void ids_run_on_over_files_of_different_formats_and_compressions(void **state)
{
    (void)state;
    static const char packed[] = " = Title = \n \n Text \n";
    static const expected_document expected[] = {{"a.txt", 1, "one"},
                                                 {"a.txt", 2, "two"},
                                                 {"Title", 1, " = Title = "},
                                                 {"Title", 3, " Text "},
                                                 {"a.txt", 1, "one"},
                                                 {"a.txt", 2, "two"},
                                                 {0}};
    char dir[FC_PATH_MAX];
    char plain[FC_PATH_MAX];
    char gzip[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(plain, dir, "a.txt");
    fc_test_path(gzip, dir, "b.wikitext.raw.gz");
    fc_test_write(plain, "one\ntwo", 7);
    gzFile file = gzopen(gzip, "wb");
    assert_int_equal(gzwrite(file, packed, sizeof packed - 1), sizeof packed - 1);
    gzclose(file);
    const char *const paths[] = {plain, gzip, plain};
    const fc_corpus_config config = {.paths = paths, .n_paths = 3};
    fc_corpus *corpus = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_corpus_open(&corpus, &config, &err), &err);
    double fraction = 0;
    for (size_t i = 0; i < FC_LEN(expected); i++) {
        assert_document(corpus, (int64_t)i, &expected[i]);
        assert_true(fc_corpus_fraction(corpus) >= fraction);
        fraction = fc_corpus_fraction(corpus);
    }
    assert_true(fraction == 1.0);
    fc_corpus_close(corpus);
    fc_test_dir_remove(dir);
}

static void standard_input_is_read_where_the_path_is_a_dash(void **state)
{
    (void)state;
    char dir[FC_PATH_MAX];
    char path[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "in");
    fc_test_write(path, "{\"text\": \"a\"}\n", 14);
    assert_non_null(freopen(path, "rb", stdin));
    fc_corpus *corpus = open_one("-", FC_SPLIT_LINE, FC_TEXT_AUTO);
    assert_document(corpus, 0, &(expected_document){"-", 1, "a"});
    assert_document(corpus, 1, &(expected_document){0});
    fc_corpus_close(corpus);
    fc_test_dir_remove(dir);
}

static void the_demo_corpus_has_625_articles_and_9047_lines(void **state)
{
    (void)state;
    static const int64_t expected[] = {[FC_SPLIT_LINE] = 9047, [FC_SPLIT_DOCUMENT] = 625};
    char path[FC_PATH_MAX];
    fc_source_file(path, "assets/example-model/corpus.wikitext.raw.zst");
    for (size_t split = 0; split < FC_LEN(expected); split++) {
        if (!expected[split]) continue;
        fc_corpus *corpus = open_one(path, (fc_split)split, FC_TEXT_AUTO);
        fc_document document;
        fc_err err = {0};
        int64_t n = -1;
        for (bool is_end = false; !is_end; n++)
            fc_assert_ok(fc_corpus_next(corpus, &document, &is_end, &err), &err);
        assert_int_equal(n, expected[split]);
        fc_corpus_close(corpus);
    }
}

/* --- faults ------------------------------------------------------------------------------- */

static void bad_json_lines_are_refused_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{\"text\": \"a\"}\n{\"text\": \n", "line 2"},
        {"{\"title\": \"a\"}\n", "text is"},
        {"{\"text\": 5}\n", "text is an integer"},
        {"[1]\n", "expected an object"},
        {"{\"text\": \"\xFF\"}\n", "not valid JSON"},
    };
    char dir[FC_PATH_MAX];
    char path[FC_PATH_MAX];
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "bad.jsonl");
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_document document;
        fc_err err = {0};
        bool is_end = false;
        fc_status status = FC_OK;
        fc_test_write(path, cases[i].text, strlen(cases[i].text));
        fc_corpus *corpus = open_one(path, FC_SPLIT_LINE, FC_TEXT_AUTO);
        while (status == FC_OK && !is_end)
            status = fc_corpus_next(corpus, &document, &is_end, &err);
        fc_assert_fails(status, &err, FC_FORMAT, "bad.jsonl: line", cases[i].words);
        fc_corpus_close(corpus);
    }
    fc_test_dir_remove(dir);
}

static void a_missing_file_or_no_file_is_refused_before_reading(void **state)
{
    (void)state;
    const char *path = "/nowhere/text.txt";
    fc_corpus *corpus = NULL;
    fc_err err = {0};
    fc_corpus_config config = {.paths = &path, .n_paths = 1};
    fc_assert_fails(fc_corpus_open(&corpus, &config, &err), &err, FC_IO, path);
    config.n_paths = 0;
    fc_assert_fails(fc_corpus_open(&corpus, &config, &err), &err, FC_USAGE, "no files");
}

static fc_status read_all(void *ctx, fc_err *err)
{
    const fc_corpus_config config = {
        .paths = ctx, .n_paths = 3, .split = FC_SPLIT_PARAGRAPH};
    fc_corpus *corpus = NULL;
    fc_document document;
    bool is_end = false;
    FC_TRY(fc_corpus_open(&corpus, &config, err));
    fc_status status = FC_OK;
    while (status == FC_OK && !is_end)
        status = fc_corpus_next(corpus, &document, &is_end, err);
    fc_corpus_close(corpus);
    return status;
}

static void a_failed_allocation_gives_a_sentence_and_leaks_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    static const char *const texts[] = {"{\"text\": \"a\\n\\nb\"}", "\n = T = \n \n x \n",
                                        "y\nz"};
    char dir[FC_PATH_MAX];
    static char path[3][FC_PATH_MAX];
    const char *paths[3];
    fc_test_dir_make(dir);
    for (int i = 0; i < 3; i++) {
        fc_test_path(path[i], dir, names[i]);
        fc_test_write(path[i], texts[i], strlen(texts[i]));
        paths[i] = path[i];
    }
    assert_true(fc_test_sweep_alloc(read_all, NULL, paths) > 10);
    fc_test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wikitext_splits_into_lines_paragraphs_and_articles),
        cmocka_unit_test(plain_text_splits_into_lines_paragraphs_and_the_file),
        cmocka_unit_test(json_lines_split_into_lines_paragraphs_and_records),
        cmocka_unit_test(text_without_a_telling_name_or_beginning_is_plain),
        cmocka_unit_test(empty_and_blank_files_give_no_documents),
        cmocka_unit_test(ids_run_on_over_files_of_different_formats_and_compressions),
        cmocka_unit_test(standard_input_is_read_where_the_path_is_a_dash),
        cmocka_unit_test(the_demo_corpus_has_625_articles_and_9047_lines),
        cmocka_unit_test(bad_json_lines_are_refused_with_file_and_line),
        cmocka_unit_test(a_missing_file_or_no_file_is_refused_before_reading),
        cmocka_unit_test(a_failed_allocation_gives_a_sentence_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("corpus", tests, NULL, NULL);
}
