/* run_testing.h - one whole run to compare with, comparing runs, and a sink that listens and stops.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_RUN_TESTING_H
#define FC_SAE_RUN_TESTING_H

#include "testing.h"

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "formats/tfevents.h"
#include "sae_testing.h"

typedef struct world {
    char dir[FC_PATH_MAX], store[FC_PATH_MAX], whole[FC_PATH_MAX];
    fc_backend *be;
    fc_train_result result; /* of the run `whole` */
} world;

static inline void run_path(char *path, const world *w, const char *name)
{
    fc_test_path(path, w->dir, name);
}

static inline fc_status train(const world *w, const char *run,
                              const fc_train_config *config, bool is_resume,
                              fc_train_result *result, fc_err *err)
{
    return fc_train(config, w->store, w->be, run, is_resume, result, err);
}

static inline int make_world(void **state)
{
    static world w;
    fc_err err = {0};
    const fc_train_config config = test_config();
    fc_test_dir_make(w.dir);
    fc_test_path(w.store, w.dir, "acts");
    fc_test_path(w.whole, w.dir, "whole");
    fc_par_set_threads(3); /* a backend serves as many as at its opening */
    fc_assert_ok(fc_backend_open(&w.be, NULL, &err), &err);
    fc_par_set_threads(0);
    fc_assert_ok(make_test_store(w.store, 1.0, &err), &err);
    fc_assert_ok(train(&w, w.whole, &config, false, &w.result, &err), &err);
    *state = &w;
    return 0;
}

static inline int remove_world(void **state)
{
    world *w = *state;
    fc_backend_close(w->be);
    fc_test_dir_remove(w->dir);
    return 0;
}

/* --- comparing runs */

static inline void assert_same_file(const char *a, const char *b, const char *name)
{
    char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX];
    fc_test_path(path_a, a, name);
    fc_test_path(path_b, b, name);
    fc_test_assert_files_equal(path_a, path_b);
}

enum { MAX_VALUES = 4096 };

typedef struct values { /* what TensorBoard shows: the last value of each tag and step */
    struct value {
        char tag[32];
        int64_t step;
        double value;
    } at[MAX_VALUES];
    int n;
} values;

static inline fc_status take_value(void *ctx, const char *tag, int64_t step, double value,
                                   fc_err *err)
{
    values *v = ctx;
    (void)err;
    int i = 0;
    while (i < v->n && (v->at[i].step != step || strcmp(v->at[i].tag, tag) != 0)) i++;
    assert_true(i < MAX_VALUES);
    snprintf(v->at[i].tag, sizeof v->at[i].tag, "%s", tag);
    v->at[i].step = step;
    v->at[i].value = value;
    if (i == v->n) v->n++;
    return FC_OK;
}

static inline int by_step_and_tag(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return strcmp(x->tag, y->tag);
}

static inline values *read_values(const char *run)
{
    fc_err err = {0};
    values *v = calloc(1, sizeof *v);
    assert_non_null(v);
    fc_assert_ok(fc_tfevents_read(run, take_value, v, &err), &err);
    qsort(v->at, (size_t)v->n, sizeof v->at[0], by_step_and_tag);
    return v;
}

static inline void assert_same_run(const char *a, const char *b)
{
    assert_same_file(a, b, "metrics.csv");
    assert_same_file(a, b, "sae/sae_weights.safetensors");
    assert_same_file(a, b, "sae/cfg.json");
    assert_same_file(a, b, "sae/normalization.safetensors");
    values *va = read_values(a), *vb = read_values(b);
    assert_int_equal(va->n, vb->n);
    assert_true(va->n >= 6 * 17);
    for (int i = 0; i < va->n; i++) {
        assert_string_equal(va->at[i].tag, vb->at[i].tag);
        assert_int_equal(va->at[i].step, vb->at[i].step);
        assert_true(va->at[i].value == vb->at[i].value);
    }
    free(va);
    free(vb);
}

/* --- a sink that acts at a step */

typedef struct watcher {
    double cancel_at;   /* Ctrl-C after this step; < 0: never */
    int64_t allocs[2];  /* fc_alloc_count after steps 3 and 100 */
    char warning[2048]; /* the last */
    int n_warnings;
} watcher;

static inline void watch_progress(void *ctx, const fc_progress *p, int is_end)
{
    watcher *w = ctx;
    if (is_end || strcmp(p->job, "train") != 0) return;
    if (p->done == 3.0) w->allocs[0] = fc_alloc_count();
    if (p->done == 100.0) w->allocs[1] = fc_alloc_count();
    if (p->done == w->cancel_at) fc_cancel_set(true);
}

static inline void watch_message(void *ctx, fc_log_level level, const char *text)
{
    watcher *w = ctx;
    if (level != FC_LOG_WARN) return;
    snprintf(w->warning, sizeof w->warning, "%s", text);
    w->n_warnings++;
}

static inline void watch(watcher *w)
{
    *w = (watcher){.cancel_at = -1.0};
    fc_log_set_sink((fc_log_sink){watch_message, watch_progress, w});
}

static inline void unwatch(void)
{
    fc_log_set_sink((fc_log_sink){0});
    fc_cancel_set(false);
}

#endif
