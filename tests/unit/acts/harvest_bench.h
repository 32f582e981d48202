/* harvest_bench.h - a tiny random model, a text of 60 lines and two folders, to test collecting.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_HARVEST_BENCH_H
#define FC_HARVEST_BENCH_H

#include "fake_store.h"

#include <string.h>

#include "acts/harvest.h"
#include "base/cancel.h"
#include "base/log.h"
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

static inline void copy_tokenizer(const char *dir)
{
    char path[FC_PATH_MAX];
    size_t n;
    fc_source_file(path, "assets/example-model/tokenizer.json");
    char *const bytes = fc_test_read(path, &n);
    fc_test_path(path, dir, "tokenizer.json");
    fc_test_write(path, bytes, n);
    free(bytes);
}

static inline void write_text(const char *path, int n_lines)
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

static inline void write_model(const char *dir)
{
    fc_tiny_gemma tiny = fc_tiny_gemma_defaults();
    tiny.n_vocab = 8192; /* as the tokenizer has */
    fc_tiny_gemma_write(dir, &tiny);
    copy_tokenizer(dir);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    bench *const b = *state;
    void *folders = b->folders;
    fc_backend_close(b->be);
    fc_test_dir_remove(b->model);
    free(b);
    return fake_teardown(&folders);
}

static inline fc_status collect(bench *b, const char *dir, fc_err *err)
{
    const char *const paths[] = {b->text};
    return fc_collect(&b->config, paths, 1, b->be, dir, &b->result, err);
}

/* --- Ctrl-C --------------------------------------------------------------------------- */

/* A sink that asks to stop at the n-th batch. */
typedef struct stopper {
    int n_left;
} stopper;

static inline void stop_after_some(void *ctx, const fc_progress *progress, int is_end)
{
    stopper *const s = ctx;
    (void)progress;
    if (!is_end && --s->n_left == 0) fc_cancel_set(true);
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
