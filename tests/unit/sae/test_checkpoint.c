/* test_checkpoint.c - checkpoints against damage and against kill -9.
 *
 * The program starts itself as a child, `test_checkpoint --train STORE RUN STEP`, which trains with
 * --resume and kills itself after step STEP (0: never), or is killed from outside.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "formats/safetensors.h"
#include "sae/checkpoint.h"
#include "sae_testing.h"

typedef struct world {
    char dir[FC_PATH_MAX], store[FC_PATH_MAX], whole[FC_PATH_MAX];
    fc_backend *be;
} world;

/* 20 steps, a checkpoint at every third; the newest two are those of steps 18 and 20. */
static fc_train_config short_config(void)
{
    fc_train_config c = test_config();
    c.max_steps = 20;
    c.checkpoint_every = (fc_every){.steps = 3};
    return c;
}

static fc_status train(const world *w, const char *run, bool is_resume, fc_err *err)
{
    const fc_train_config config = short_config();
    fc_train_result result;
    return fc_train(&config, w->store, w->be, run, is_resume, &result, err);
}

static int make_world(void **state)
{
    static world w;
    fc_err err = {0};
    fc_test_dir_make(w.dir);
    fc_test_path(w.store, w.dir, "acts");
    fc_test_path(w.whole, w.dir, "whole");
    fc_assert_ok(fc_backend_open(&w.be, NULL, &err), &err);
    fc_assert_ok(make_test_store(w.store, 1.0, &err), &err);
    fc_assert_ok(train(&w, w.whole, false, &err), &err);
    *state = &w;
    return 0;
}

static int remove_world(void **state)
{
    world *w = *state;
    fc_backend_close(w->be);
    fc_test_dir_remove(w->dir);
    return 0;
}

static void assert_same_run(const char *a, const char *b)
{
    static const char *const names[] = {"metrics.csv", "sae/sae_weights.safetensors",
                                        "checkpoints/step-00000020.safetensors"};
    char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX];
    for (size_t i = 0; i < FC_LEN(names); i++) {
        fc_test_path(path_a, a, names[i]);
        fc_test_path(path_b, b, names[i]);
        fc_test_assert_files_equal(path_a, path_b);
    }
}

/* --- warnings ----------------------------------------------------------------------------- */

typedef struct listener {
    char warning[2048]; /* the last */
    int n;
} listener;

static void hear(void *ctx, fc_log_level level, const char *text)
{
    listener *l = ctx;
    if (level != FC_LOG_WARN) return;
    snprintf(l->warning, sizeof l->warning, "%s", text);
    l->n++;
}

/* --- damage ------------------------------------------------------------------------------- */

typedef struct damage {
    const char *name, *word; /* what the warning says */
    int64_t at;              /* place of the byte that is changed; < 0: from the end */
    int64_t n_bytes;         /* length that is kept; 0: all, < 0: less by that */
} damage;

static const damage damages[] = {
    {"empty", "header", 0, -1000000000},
    {"torn", "bytes", -200, -100},
    {"header", "JSON", 8, 0},
    {"header length", "header", 6, 0},
    {"last weight", "checksum", -1200, 0},
    {"last byte", "checksum", -1, 0},
};

static void newest(char *path, const char *run)
{
    fc_test_path(path, run, "checkpoints/step-00000020.safetensors");
}

static void damage_file(const char *path, const damage *d)
{
    size_t n;
    char *bytes = fc_test_read(path, &n);
    const int64_t at = d->at < 0 ? (int64_t)n + d->at : d->at;
    bytes[at] = (char)(bytes[at] ^ 0x55);
    const int64_t kept = d->n_bytes < 0 ? fc_max(0, (int64_t)n + d->n_bytes) : (int64_t)n;
    fc_test_write(path, bytes, (size_t)kept);
    free(bytes);
}

static void a_damaged_newest_checkpoint_falls_back_to_the_one_before(void **state)
{
    const world *w = *state;
    static char run[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err = {0};
    listener heard;
    fc_test_path(run, w->dir, "damaged");
    fc_assert_ok(train(w, run, true, &err), &err);
    newest(path, run);
    fc_log_set_sink((fc_log_sink){.message = hear, .ctx = &heard});
    for (size_t i = 0; i < FC_LEN(damages); i++) {
        heard = (listener){0};
        damage_file(path, &damages[i]);
        fc_assert_ok(train(w, run, true, &err), &err);
        if (heard.n != 1 || strstr(heard.warning, damages[i].word) == NULL)
            fail_msg("%s: %d warnings, the last: %s", damages[i].name, heard.n,
                     heard.warning);
        assert_non_null(strstr(heard.warning, "step-00000020.safetensors"));
        assert_same_run(w->whole, run);
    }
    fc_log_set_sink((fc_log_sink){0});
}

static void
when_every_checkpoint_is_damaged_nothing_is_lost_by_starting_over(void **state)
{
    const world *w = *state;
    static char run[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err = {0};
    fc_test_path(run, w->dir, "all-damaged");
    fc_assert_ok(train(w, run, true, &err), &err);
    newest(path, run);
    damage_file(path, &damages[1]);
    fc_test_path(path, run, "checkpoints/step-00000018.safetensors");
    damage_file(path, &damages[4]);
    fc_assert_fails(train(w, run, true, &err), &err, FC_FORMAT, "no checkpoint",
                    "checksum", "start over");
    assert_true(fc_path_exists(path)); /* refused, not removed */
    fc_test_path(path, run, "checkpoints");
    fc_test_dir_remove(path);
    fc_assert_ok(train(w, run, true, &err), &err);
    assert_same_run(w->whole, run);
}

/* What is different in a rewritten checkpoint; NULL: nothing. */
typedef struct change {
    const char *drop;        /* a tensor that is left out */
    const char *rank_of;     /* a tensor with one dimension more or less */
    const char *key, *value; /* a line of metadata; value NULL: left out */
} change;

static bool is_same_name(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

static void rewrite_tensor(fc_safetensors_out *out, const fc_tensor *t, const change *c,
                           bool is_declaration)
{
    fc_err err = {0};
    int64_t shape[FC_MAX_RANK] = {1, 1};
    int rank = t->rank;
    if (is_same_name(c->drop, t->name)) return;
    if (!is_declaration) {
        fc_assert_ok(fc_safetensors_write(out, t->name, t->data, t->n_bytes, &err), &err);
        return;
    }
    memcpy(shape, t->shape, (size_t)rank * sizeof *shape);
    if (is_same_name(c->rank_of, t->name)) {
        shape[rank == 2 ? 0 : 1] = rank == 2 ? t->n : 1;
        rank = 3 - rank;
    }
    fc_assert_ok(fc_safetensors_declare(out, t->name, t->dtype, rank, shape, &err), &err);
}

/* The same data, so the checksum stays right. */
static void rewrite(const char *path, const change *c)
{
    static const char *const keys[] = {"facet_checkpoint", "step", "recipe", "xxh3"};
    fc_err err = {0};
    fc_safetensors *st = NULL;
    fc_safetensors_out *out = NULL;
    fc_assert_ok(fc_safetensors_open(&st, path, &err), &err);
    fc_assert_ok(fc_safetensors_create(&out, path, &err), &err);
    for (size_t i = 0; i < FC_LEN(keys); i++) {
        const char *text = fc_safetensors_metadata(st, keys[i]);
        if (is_same_name(c->key, keys[i])) text = c->value;
        if (text != NULL)
            fc_assert_ok(fc_safetensors_meta(out, keys[i], text, &err), &err);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < fc_safetensors_count(st); i++)
            rewrite_tensor(out, fc_safetensors_at(st, i), c, pass == 0);
    fc_assert_ok(fc_safetensors_commit(out, &err), &err);
    fc_safetensors_discard(out);
    fc_safetensors_close(st);
}

static void a_well_formed_checkpoint_of_something_else_is_not_used(void **state)
{
    const world *w = *state;
    static const struct {
        change change;
        const char *word;
    } cases[] = {
        {{"adam_v.b_enc", NULL, NULL, NULL}, "tensors"},
        {{NULL, "W_enc", NULL, NULL}, "W_enc"},
        {{NULL, "max.epoch", NULL, NULL}, "max.epoch"},
        {{NULL, NULL, "facet_checkpoint", "1"}, "version is '1'"},
        {{NULL, NULL, "facet_checkpoint", NULL}, "version is ''"},
        {{NULL, NULL, "step", "19"}, "of step '19'"},
        {{NULL, NULL, "step", NULL}, "of step ''"},
        {{NULL, NULL, "recipe", "00000000000000000000000000000000"},
         "another configuration"},
        {{NULL, NULL, "xxh3", ""}, "checksum"},
        {{NULL, NULL, "xxh3", NULL}, "checksum"},
    };
    static char run[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err = {0};
    listener heard;
    fc_test_path(run, w->dir, "foreign");
    fc_assert_ok(train(w, run, true, &err), &err);
    newest(path, run);
    fc_log_set_sink((fc_log_sink){.message = hear, .ctx = &heard});
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        heard = (listener){0};
        rewrite(path, &cases[i].change);
        fc_assert_ok(train(w, run, true, &err), &err);
        if (heard.n != 1 || strstr(heard.warning, cases[i].word) == NULL)
            fail_msg("case %zu: %d warnings, the last: %s", i, heard.n, heard.warning);
        assert_same_run(w->whole, run);
    }
    fc_log_set_sink((fc_log_sink){0});
}

static void other_files_beside_checkpoints_are_left_alone(void **state)
{
    const world *w = *state;
    static char run[FC_PATH_MAX], note[FC_PATH_MAX], torn[FC_PATH_MAX];
    fc_err err = {0};
    fc_test_path(run, w->dir, "beside");
    fc_test_path(note, run, "checkpoints");
    fc_assert_ok(fc_dir_make(note, &err), &err);
    fc_test_path(note, run, "checkpoints/notes.txt");
    fc_test_path(torn, run, "checkpoints/step-00000003.safetensors.tmp-1234");
    fc_test_write(note, "mine", 4);
    fc_test_write(torn, "half", 4);
    fc_assert_ok(train(w, run, true, &err), &err);
    assert_true(fc_path_exists(note));
    assert_false(fc_path_exists(torn)); /* left by a process that was killed */
    assert_same_run(w->whole, run);
}

static void metrics_csv_goes_back_to_the_checkpoint(void **state)
{
    const world *w = *state;
    static char run[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_err err = {0};
    fc_test_path(run, w->dir, "metrics");
    fc_assert_ok(train(w, run, true, &err), &err);
    fc_test_path(path, run, "metrics.csv");
    fc_test_write(path, "step,epo", 8);
    fc_assert_ok(train(w, run, true, &err), &err);
    assert_same_run(w->whole, run);
    fc_assert_ok(fc_file_remove(path, &err), &err);
    fc_assert_ok(train(w, run, true, &err), &err);
    assert_same_run(w->whole, run);
}

/* --- kill -9 ------------------------------------------------------------------------------ */

static void kill_at(void *ctx, const fc_progress *p, int is_end)
{
    const double *step = ctx;
    if (!is_end && p->done == *step && p->done > p->begin_done) raise(SIGKILL);
}

static int train_as_child(const char *store, const char *run, double step)
{
    const fc_train_config config = short_config();
    fc_train_result result;
    fc_backend *be = NULL;
    fc_err err = {0};
    if (step > 0) fc_log_set_sink((fc_log_sink){.progress = kill_at, .ctx = &step});
    if (fc_backend_open(&be, NULL, &err) != FC_OK) return 2;
    const fc_status status = fc_train(&config, store, be, run, true, &result, &err);
    fc_backend_close(be);
    if (status != FC_OK) fprintf(stderr, "child: %s\n", err.text);
    return status == FC_OK ? 0 : 1;
}

static pid_t start_child(const world *w, const char *run, int step)
{
    char text[16];
    snprintf(text, sizeof text, "%d", step);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execl("/proc/self/exe", "test_checkpoint", "--train", w->store, run, text,
              (char *)NULL);
        _exit(127);
    }
    return child;
}

/* Waits; true when the child was killed, fails when it ended with a failure. */
static bool was_killed(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void killed_after_any_step_a_run_goes_on_to_the_same_bytes(void **state)
{
    const world *w = *state;
    static const int steps[] = {1, 2, 3, 4, 7, 12, 19, 20};
    static char run[FC_PATH_MAX];
    fc_test_path(run, w->dir, "killed");
    for (size_t i = 0; i < FC_LEN(steps); i++)
        assert_true(was_killed(start_child(w, run, steps[i])));
    assert_false(was_killed(start_child(w, run, 0)));
    assert_same_run(w->whole, run);
}

/* From outside, wherever it happens to be: between steps, in a file, in a rename. */
static void killed_at_any_moment_a_run_goes_on_to_the_same_bytes(void **state)
{
    const world *w = *state;
    enum { N_KILLS = 12 };
    for (int64_t i = 0; i < N_KILLS; i++) {
        static char run[FC_PATH_MAX], name[32];
        snprintf(name, sizeof name, "moment-%d", (int)(i / 4));
        fc_test_path(run, w->dir, name);
        const struct timespec pause = {0, (3 + 5 * i) * 1000000};
        const pid_t child = start_child(w, run, 0);
        nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        const bool is_killed = was_killed(child);
        if (i % 4 < 3 && is_killed) continue;
        assert_false(was_killed(start_child(w, run, 0)));
        assert_same_run(w->whole, run);
    }
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--train") == 0)
        return train_as_child(argv[2], argv[3], strtod(argv[4], NULL));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_newest_checkpoint_falls_back_to_the_one_before),
        cmocka_unit_test(
            when_every_checkpoint_is_damaged_nothing_is_lost_by_starting_over),
        cmocka_unit_test(a_well_formed_checkpoint_of_something_else_is_not_used),
        cmocka_unit_test(other_files_beside_checkpoints_are_left_alone),
        cmocka_unit_test(metrics_csv_goes_back_to_the_checkpoint),
        cmocka_unit_test(killed_after_any_step_a_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(killed_at_any_moment_a_run_goes_on_to_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
