/* fuzz_store.c - a sound little store in which one file is the input; the first byte says which.
 *
 * meta.json is told the new size, so that what stands behind the size check is reached.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "acts/store.h"
#include "base/file.h"

enum { D = 3, N_ROWS = 5, SHARD_ROWS = 3, N_FILES = 6 };

static const char *const files[N_FILES] = {
    "meta.json",        "shard-00000.safetensors", "shard-00001.safetensors",
    "mean.safetensors", "documents-00000.jsonl",   "documents-00001.jsonl"};

static void require(fc_status status, const fc_err *err)
{
    if (status == FC_OK) return;
    fprintf(stderr, "%s\n", err->text);
    abort();
}

static void path_of(char *path, int i)
{
    fc_err err;
    require(fc_path_join(path, fuzz_dir(), files[i], &err), &err);
}

static void remove_store(void)
{
    for (int i = 0; i < N_FILES; i++) {
        char path[FC_PATH_MAX];
        path_of(path, i);
        (void)unlink(path);
    }
}

static void make_store(void)
{
    const fc_store_info info = {.hook = "model.norm",
                                .model = "m",
                                .model_hash = "h",
                                .text_hash = "t",
                                .d = D,
                                .dtype = FC_BF16,
                                .n_wanted = N_ROWS,
                                .rows_per_shard = SHARD_ROWS};
    fc_store_writer *writer = NULL;
    fc_err err;
    int64_t n_done;
    require(fc_store_create(&writer, fuzz_dir(), &info, NULL, &n_done, &err), &err);
    for (int32_t i = 0; i < N_ROWS && !fc_store_writer_is_complete(writer); i++) {
        const float x[D] = {(float)i, 1, 2};
        const fc_row row = {.token_id = i, .doc_id = i, .position = 1};
        const fc_doc doc = {"title", "text.txt", i, 1};
        require(fc_store_document(writer, i, &doc, &err), &err);
        require(fc_store_append(writer, x, &row, 1, &err), &err);
    }
    require(fc_store_finish(writer, false, &err), &err);
    fc_store_writer_close(writer);
}

/* In meta.json, the size of file `which`. */
static void tell_size(int which, size_t n_bytes)
{
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_err err;
    path_of(path, 0);
    require(fc_json_load(&root, path, &err), &err);
    json_t *const shards = json_object_get(root, "shards");
    json_t *const shard = json_array_get(shards, which == 2 || which == 5 ? 1 : 0);
    const char *const key = which >= 4 ? "documents_bytes" : "bytes";
    if (which != 3 &&
        json_object_set_new(shard, key, json_integer((json_int_t)n_bytes)) != 0)
        abort();
    char *const text = json_dumps(root, 0);
    (void)fuzz_file(files[0], (const uint8_t *)text, strlen(text));
    free(text);
    json_decref(root);
}

static void read_all(fc_store *store)
{
    enum { FEW = 64 };
    const int64_t d = fc_store_info_of(store)->d, n = fc_store_rows(store);
    fc_err err;
    for (int64_t row = 0; row < n && row < FEW && d <= FEW; row++) {
        float x[FEW];
        fc_doc doc;
        const fc_row from = fc_store_row(store, n - 1 - row);
        if (from.token_id < 0 || from.position < 1) abort();
        fc_store_read(store, n - 1 - row, 1, x);
        if (fc_store_doc(store, from.doc_id, &doc, &err) == FC_OK && doc.title == NULL)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static int is_first = 1;
    if (n_bytes == 0) return 0;
    (void)fuzz_dir(); /* its own clean-up must run after ours */
    if (is_first && atexit(remove_store) != 0) abort();
    is_first = 0;
    remove_store();
    make_store();
    const int which = data[0] % N_FILES;
    (void)fuzz_file(files[which], data + 1, n_bytes - 1);
    if (which != 0) tell_size(which, n_bytes - 1);
    for (int is_verified = 0; is_verified < 2; is_verified++) {
        fc_store *store = NULL;
        fc_err err;
        if (fc_store_open(&store, fuzz_dir(), is_verified, true, &err) != FC_OK) continue;
        read_all(store);
        fc_store_close(store);
    }
    return 0;
}
