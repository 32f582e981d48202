/* test_store_hostile.c - a store whose files say what they like is refused with a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <string.h>

#include "formats/safetensors.h"

enum { N_ROWS = 25, SHARD_ROWS = 10 };

static fc_status open_store(const fake_folders *folders, bool allow_partial, fc_err *err)
{
    fc_store *store = NULL;
    fc_doc doc;
    FC_TRY(fc_store_open(&store, folders->a, false, allow_partial, err));
    const fc_status status = fc_store_doc(store, 0, &doc, err);
    fc_store_close(store);
    return status;
}

/* --- meta.json ---------------------------------------------------------------------------- */

/* Sets a member ("shards.1.rows" goes down) of meta.json to a JSON value; NULL removes it. */
static void edit_meta(fake_folders *folders, const char *where, const char *value)
{
    fc_err err;
    char step[64];
    json_t *root = NULL;
    fc_test_path(folders->path_a, folders->a, "meta.json");
    fc_assert_ok(fc_json_load(&root, folders->path_a, &err), &err);
    json_t *at = root;
    for (const char *dot; (dot = strchr(where, '.')) != NULL; where = dot + 1) {
        snprintf(step, sizeof step, "%.*s", (int)(dot - where), where);
        at = json_is_array(at) ? json_array_get(at, (size_t)strtol(step, NULL, 10))
                               : json_object_get(at, step);
        assert_non_null(at);
    }
    json_t *const set = value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
    if (set == NULL)
        assert_int_equal(json_object_del(at, where), 0);
    else
        assert_int_equal(json_object_set_new(at, where, set), 0);
    fc_assert_ok(fc_json_save(root, folders->path_a, &err), &err);
    json_decref(root);
}

static const struct edit {
    const char *where, *value;
    const char *words[2];
} edits[] = {
    {"format", "\"facet sae\"", {"format is 'facet sae'", "activation store"}},
    {"format", NULL, {"format", "missing"}},
    {"version", "2", {"version is 2", "expected 1"}},
    {"version", "1.0", {"version", "integer"}},
    {"complete", "1", {"complete", "true or false"}},
    {"hook", NULL, {"hook", "missing"}},
    {"hook", "17", {"hook", "an integer"}},
    {"hook",
     "\"" /* 130 bytes */
     "0123456789012345678901234567890123456789012345678901234567890123456789"
     "012345678901234567890123456789012345678901234567890123456789\"",
     {"hook has 130 bytes", "at most 127"}},
    {"width", "0", {"width is 0", "expected 1"}},
    {"width", "-5", {"width is -5", ""}},
    {"width", "20", {"activations", "20"}},
    {"width", "99999999999", {"width is 99999999999", ""}},
    {"dtype", "\"F16\"", {"dtype is F16", "BF16 or F32"}},
    {"dtype", "\"F32\"", {"activations", "F32"}},
    {"dtype", "\"float\"", {"float", ""}},
    {"rows_per_shard", "0", {"rows_per_shard is 0", ""}},
    {"rows_per_shard", "9", {"rows is 10", "expected 1 to 9"}},
    {"rows_per_shard", "11", {"10 rows", "expected 11"}},
    {"rows_per_shard", "9223372036854775807", {"rows_per_shard is", ""}},
    {"rows_wanted", "-1", {"rows_wanted is -1", ""}},
    {"rows", "26", {"rows is 26", "25"}},
    {"documents", "4", {"documents is 4", "3"}},
    {"shards", "{}", {"shards is an object", "expected"}},
    {"shards", "[]", {"rows is 25", "have 0"}},
    {"shards", "[1, 2]", {"an integer", "file"}},
    {"shards.1.file", "\"../../etc/passwd\"", {"etc/passwd", "shard-00001.safetensors"}},
    {"shards.0.rows", "9", {"shard 0 has 9 rows", "expected 10"}},
    {"shards.2.rows", "0", {"rows is 0", ""}},
    {"shards.2.rows", "4", {"rows is 25", "have 24"}},
    {"shards.2.bytes", "17", {"shard-00002.safetensors", "meta.json says 17"}},
    {"shards.0.documents_file", "\"/dev/zero\"", {"/dev/zero", "documents-00000.jsonl"}},
    {"shards.0.documents_bytes", "-1", {"documents_bytes is -1", ""}},
    {"shards.0.documents", "1000000000", {"documents is 1000000000", ""}},
    {"shards.0.xxh3", "\"0123456789abcdef0123456789abcdef0\"", {"xxh3", "at most 32"}},
    {"mean", NULL, {"file", "missing"}},
    {"mean", "[]", {"a list", ""}},
    {"mean.file", "\"x\"", {"file is 'x'", "mean.safetensors"}},
};

static void every_lie_in_meta_json_is_told(void **state)
{
    fake_folders *const folders = *state;
    for (size_t i = 0; i < FC_LEN(edits); i++) {
        fc_err err;
        fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
        edit_meta(folders, edits[i].where, edits[i].value);
        fc_store *store = NULL;
        const fc_status status = fc_store_open(&store, folders->a, false, true, &err);
        if (status == FC_OK)
            fail_msg("%s = %s was accepted", edits[i].where, edits[i].value);
        for (int w = 0; w < 2; w++)
            if (strstr(err.text, edits[i].words[w]) == NULL)
                fail_msg("%s: \"%s\" does not mention \"%s\"", edits[i].where, err.text,
                         edits[i].words[w]);
        fake_empty(folders->a);
    }
}

static void a_meta_json_that_is_no_object_is_refused(void **state)
{
    fake_folders *const folders = *state;
    const char *const texts[] = {
        "", "[]", "17", "{", "{}", "null", "{\"format\": [", "\xff\xfe"};
    for (size_t i = 0; i < FC_LEN(texts); i++) {
        fc_err err;
        fc_test_path(folders->path_a, folders->a, "meta.json");
        fc_test_write(folders->path_a, texts[i], strlen(texts[i]));
        fc_assert_fails(open_store(folders, true, &err), &err, FC_FORMAT, "meta.json");
    }
    fc_err err;
    fc_assert_ok(fc_file_remove(folders->path_a, &err), &err);
    fc_assert_fails(open_store(folders, true, &err), &err, FC_IO, "meta.json");
}

/* --- documents ---------------------------------------------------------------------------- */

static const struct lines {
    const char *text, *word;
} document_lines[] = {
    {"", "fewer documents"},
    {"{\"doc\":0}\n{\"doc\":1}\n", "documents-00000.jsonl:2: more documents"},
    {"\n", ":1"},
    {"{\"doc\":-1}\n", "doc is -1"},
    {"{\"doc\":2147483648}\n", "doc is 2147483648"},
    {"{\"doc\":\"0\"}\n", "doc is a string"},
    {"{\"doc\":0,\"title\":5}\n", "title is an integer"},
    {"{\"doc\":0,\"line\":\"x\"}\n", "line is a string"},
    {"{\"title\":\"x\"}\n", "doc is missing"},
    {"[]\n", "a list"},
    {"{\"doc\":7}\n", "doc is 3, expected one above 7"}};

static void damaged_documents_are_told_with_their_line(void **state)
{
    fake_folders *const folders = *state;
    for (size_t i = 0; i < FC_LEN(document_lines); i++) {
        fc_err err;
        char bytes[32];
        fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
        fc_test_path(folders->path_a, folders->a, "documents-00000.jsonl");
        fc_test_write(folders->path_a, document_lines[i].text,
                      strlen(document_lines[i].text));
        snprintf(bytes, sizeof bytes, "%zu", strlen(document_lines[i].text));
        edit_meta(folders, "shards.0.documents_bytes", bytes);
        if (document_lines[i].text[0] == '\0') {
            edit_meta(folders, "shards.0.documents", "0");
            edit_meta(folders, "documents", "2");
            fc_assert_fails(open_store(folders, false, &err), &err, FC_FORMAT,
                            "no document 0");
        } else {
            fc_assert_fails(open_store(folders, false, &err), &err, FC_FORMAT,
                            document_lines[i].word);
        }
        fake_empty(folders->a);
    }
}

/* --- shards ------------------------------------------------------------------------------- */

typedef struct column {
    const char *name;
    fc_dtype dtype;
    int rank;
    int64_t shape[2];
} column;

static void write_shard(fake_folders *folders, const column *columns, int n)
{
    static int32_t ones[SHARD_ROWS * FAKE_D * 2];
    fc_tensor tensors[8];
    fc_err err;
    char bytes[32];
    for (size_t i = 0; i < FC_LEN(ones); i++) ones[i] = 1;
    for (int i = 0; i < n; i++)
        tensors[i] = (fc_tensor){.name = columns[i].name,
                                 .dtype = columns[i].dtype,
                                 .rank = columns[i].rank,
                                 .shape = {columns[i].shape[0], columns[i].shape[1]},
                                 .data = ones};
    fc_test_path(folders->path_a, folders->a, "shard-00000.safetensors");
    fc_assert_ok(fc_safetensors_save(folders->path_a, tensors, n, &err), &err);
    snprintf(bytes, sizeof bytes, "%lld", (long long)fc_file_size(folders->path_a));
    edit_meta(folders, "shards.0.bytes", bytes);
}

static void a_shard_with_other_tensors_is_refused(void **state)
{
    fake_folders *const folders = *state;
    static const column good[4] = {{"activations", FC_BF16, 2, {SHARD_ROWS, FAKE_D}},
                                   {"token_ids", FC_I32, 1, {SHARD_ROWS, 0}},
                                   {"doc_ids", FC_I32, 1, {SHARD_ROWS, 0}},
                                   {"positions", FC_I32, 1, {SHARD_ROWS, 0}}};
    static const struct change {
        int at;
        column column;
        const char *word;
    } cases[] = {{0, {"activation", FC_BF16, 2, {SHARD_ROWS, FAKE_D}}, "activations"},
                 {0, {"activations", FC_F32, 2, {SHARD_ROWS, FAKE_D}}, "F32"},
                 {0, {"activations", FC_BF16, 2, {SHARD_ROWS - 1, FAKE_D}}, "9"},
                 {0, {"activations", FC_BF16, 2, {SHARD_ROWS, FAKE_D + 1}}, "20"},
                 {0, {"activations", FC_BF16, 1, {SHARD_ROWS, 0}}, "activations"},
                 {1, {"token_ids", FC_I64, 1, {SHARD_ROWS, 0}}, "I64"},
                 {2, {"doc_ids", FC_I32, 1, {SHARD_ROWS - 1, 0}}, "doc_ids"},
                 {3, {"positions", FC_I32, 2, {SHARD_ROWS, 1}}, "positions"}};
    fc_err err;
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    write_shard(folders, good, 4);
    fc_assert_ok(open_store(folders, false, &err), &err);
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        column columns[4];
        fc_store *store = NULL;
        memcpy(columns, good, sizeof columns);
        columns[cases[i].at] = cases[i].column;
        write_shard(folders, columns, 4);
        const fc_status status = fc_store_open(&store, folders->a, false, false, &err);
        assert_true(status == FC_FORMAT || status == FC_MISMATCH);
        assert_non_null(strstr(err.text, "shard-00000.safetensors"));
        assert_non_null(strstr(err.text, cases[i].word));
    }
    write_shard(folders, good, 3);
    fc_store *store = NULL;
    assert_true(fc_store_open(&store, folders->a, false, false, &err) != FC_OK);
    assert_non_null(strstr(err.text, "positions"));
}

/* The first shard with one number of its row 3 changed. */
static void rows_with_impossible_ids_are_refused(void **state)
{
    fake_folders *const folders = *state;
    static const struct bad {
        fc_row row; /* added to what is right */
        const char *word;
    } cases[] = {{{-2000, 0, 0}, "token -"},
                 {{0, -1, 0}, "document 2 after 3"},
                 {{0, 1, 0}, "document 3 after 4"},
                 {{0, 0, -4}, "position 0"}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        fc_store_writer *writer = NULL;
        fc_store *store = NULL;
        int64_t n_done;
        float x[SHARD_ROWS * FAKE_D] = {0};
        fc_row rows[SHARD_ROWS];
        const fc_store_info info = fake_info(FC_F32, N_ROWS, SHARD_ROWS);
        for (int64_t r = 0; r < SHARD_ROWS; r++) rows[r] = fake_row(SHARD_ROWS + r);
        rows[3].token_id += cases[i].row.token_id;
        rows[3].doc_id += cases[i].row.doc_id;
        rows[3].position += cases[i].row.position;
        fc_assert_ok(fc_store_create(&writer, folders->a, &info, NULL, &n_done, &err),
                     &err);
        fc_assert_ok(fc_store_append(writer, x, rows, SHARD_ROWS, &err), &err);
        fc_store_writer_close(writer);
        fc_assert_fails(fc_store_open(&store, folders->a, true, true, &err), &err,
                        FC_FORMAT, "shard-00000.safetensors", cases[i].word);
        fake_empty(folders->a);
    }
}

static void documents_descending_from_shard_to_shard_are_refused(void **state)
{
    fake_folders *const folders = *state;
    fc_err err;
    fc_store_writer *writer = NULL;
    fc_store *store = NULL;
    int64_t n_done;
    float x[2 * FAKE_D] = {0};
    const fc_row rows[2] = {{1, 9, 1}, {1, 8, 1}};
    const fc_store_info info = fake_info(FC_F32, 3, 1);
    fc_assert_ok(fc_store_create(&writer, folders->a, &info, NULL, &n_done, &err), &err);
    fc_assert_ok(fc_store_append(writer, x, rows, 2, &err), &err);
    fc_store_writer_close(writer);
    fc_assert_fails(fc_store_open(&store, folders->a, true, true, &err), &err, FC_FORMAT,
                    "shard 1", "document 8", "ends with 9");
}

/* Each byte of each small file changed in turn: opened or refused, never a crash. */
static void any_changed_byte_is_survived(void **state)
{
    fake_folders *const folders = *state;
    const char *const names[] = {"meta.json", "documents-00000.jsonl", "mean.safetensors",
                                 "shard-00002.safetensors"};
    fake_make(folders->a, FC_BF16, N_ROWS, SHARD_ROWS);
    for (size_t i = 0; i < FC_LEN(names); i++) {
        char path[FC_PATH_MAX];
        size_t n;
        fc_test_path(path, folders->a, names[i]);
        char *const bytes = fc_test_read(path, &n);
        for (size_t at = 0; at < n; at++) {
            fc_err err;
            fc_store *store = NULL;
            bytes[at] ^= (char)(1 + at % 255);
            fc_test_write(path, bytes, n);
            const fc_status status = open_store(folders, true, &err);
            if (status != FC_OK) assert_true(err.text[0] != '\0');
            if (names[i][0] != 'm' ||
                i == 2) /* the checksum sees what the checks cannot */
                assert_true(fc_store_open(&store, folders->a, true, true, &err) != FC_OK);
            bytes[at] ^= (char)(1 + at % 255);
        }
        fc_test_write(path, bytes, n);
        free(bytes);
    }
}

#define WITH_FOLDERS(test) \
    cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDERS(every_lie_in_meta_json_is_told),
        WITH_FOLDERS(a_meta_json_that_is_no_object_is_refused),
        WITH_FOLDERS(damaged_documents_are_told_with_their_line),
        WITH_FOLDERS(a_shard_with_other_tensors_is_refused),
        WITH_FOLDERS(rows_with_impossible_ids_are_refused),
        WITH_FOLDERS(documents_descending_from_shard_to_shard_are_refused),
        WITH_FOLDERS(any_changed_byte_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
