/* test_bench.c - every part gives its rows, with numbers that can be; nothing is left behind.
 *
 * No figure is compared with another one that depends on the clock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/par.h"
#include "bench/bench.h"

typedef struct bench {
    fc_bench_config config;
    char corpus[FC_PATH_MAX];
    char dir[FC_PATH_MAX], parent[FC_PATH_MAX]; /* TMPDIR during the test, and before */
    const char *texts[1];
    const char *cpu;
} bench;

static void begin(bench *b)
{
    char model[FC_PATH_MAX];
    *b = (bench){0};
    fc_bench_defaults(&b->config);
    b->config.is_quick = true;
    b->config.seconds = 1e-6; /* one sample each */
    b->config.d_in = 32;
    b->config.d_sae = 96;
    b->config.batch = 48;
    fc_source_file(model, "assets/example-model");
    assert_true(strlen(model) < sizeof b->config.model);
    memcpy(b->config.model, model, strlen(model) + 1);
    fc_source_file(b->corpus, "assets/example-model/corpus.wikitext.raw.zst");
    b->texts[0] = b->corpus;
    b->config.texts = b->texts;
    b->config.n_texts = 1;
    const char *const parent = getenv("TMPDIR");
    if (parent != NULL) snprintf(b->parent, sizeof b->parent, "%s", parent);
    fc_test_dir_make(b->dir);
    assert_int_equal(setenv("TMPDIR", b->dir, 1), 0);
}

static void end(bench *b)
{
    assert_int_equal(fc_test_count_entries(b->dir), 0);
    fc_test_dir_remove(b->dir);
    if (b->parent[0] != '\0')
        assert_int_equal(setenv("TMPDIR", b->parent, 1), 0);
    else
        assert_int_equal(unsetenv("TMPDIR"), 0);
    fc_par_set_threads(0);
}

static fc_status run_bench(void *ctx, fc_err *err)
{
    const bench *const b = ctx;
    fc_backend *be = NULL;
    fc_bench_result *result = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_backend_open(&be, b->cpu, err));
    status = fc_bench(&b->config, be, &result, err);
done:
    fc_free(result);
    fc_backend_close(be);
    return status;
}

static void assert_row_is_sound(const fc_bench_row *r)
{
    const double numbers[] = {r->median, r->min, r->max};
    for (size_t i = 0; i < FC_LEN(numbers); i++)
        if (!isfinite(numbers[i]) || numbers[i] <= 0.0)
            fail_msg("%s: %g", r->name, numbers[i]);
    assert_true(r->min <= r->median && r->median <= r->max);
    assert_true(r->n_kept + r->n_dropped >= 1);
    if (!isnan(r->limit)) assert_true(r->limit > 0.0 && r->percent > 0.0);
    for (int i = 0; i < r->n_details; i++) {
        assert_true(isfinite(r->detail[i].value));
        assert_true(r->detail[i].value >= 0.0);
    }
}

static double detail(const fc_bench_row *r, const char *name)
{
    for (int i = 0; i < r->n_details; i++)
        if (strcmp(r->detail[i].name, name) == 0 && r->detail[i].of[0] == '\0')
            return r->detail[i].value;
    fail_msg("%s has no '%s'", r->name, name);
    return 0.0;
}

static void every_part_gives_its_rows(void **state)
{
    (void)state;
    static const struct {
        fc_bench_part part;
        int n_one, n_two; /* rows with one thread, with two; -1: depends on the machine */
        bool has_limit;
    } cases[] = {
        {FC_BENCH_PEAKS, -1, -1, false},  {FC_BENCH_TRAIN, 10, 10, true},
        {FC_BENCH_COLLECT, 2, 2, true},   {FC_BENCH_STUDY, 2, 4, false},
        {FC_BENCH_TOKENIZE, 1, 2, false},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++)
        for (int n_threads = 1; n_threads <= 2; n_threads++) {
            bench b;
            fc_err err;
            fc_backend *be;
            fc_bench_result *result;
            begin(&b);
            fc_par_set_threads(n_threads);
            b.config.has_part[cases[i].part] = true;
            fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
            fc_assert_ok(fc_bench(&b.config, be, &result, &err), &err);
            assert_int_equal(fc_par_threads(), n_threads);
            assert_int_equal(result->machine.n_threads, n_threads);
            const int expected = n_threads == 1 ? cases[i].n_one : cases[i].n_two;
            if (expected >= 0) assert_int_equal(result->n_rows, expected);
            assert_true(result->n_rows >= 1);
            for (int k = 0; k < result->n_rows; k++) {
                assert_int_equal(result->row[k].part, cases[i].part);
                assert_row_is_sound(&result->row[k]);
                if (cases[i].has_limit) assert_true(isfinite(result->row[k].limit));
            }
            fc_free(result);
            fc_backend_close(be);
            end(&b);
        }
}

static void each_instruction_set_has_its_peaks(void **state)
{
    (void)state;
    static const char *const cpus[] = {"ref", "avx2", "avx512"};
    for (size_t i = 0; i < FC_LEN(cpus); i++) {
        bench b;
        fc_err err;
        fc_backend *be;
        fc_bench_result *result;
        if (fc_backend_open(&be, cpus[i], &err) != FC_OK) continue;
        begin(&b);
        b.config.has_part[FC_BENCH_PEAKS] = true;
        fc_assert_ok(fc_bench(&b.config, be, &result, &err), &err);
        assert_string_equal(result->machine.kernels, cpus[i]);
        assert_non_null(strstr(result->machine.f32, cpus[i]));
        for (int k = 0; k < result->n_rows; k++) assert_row_is_sound(&result->row[k]);
        fc_free(result);
        fc_backend_close(be);
        end(&b);
    }
}

static void training_cells_fire_as_they_are_called(void **state)
{
    (void)state;
    bench b;
    fc_err err;
    fc_backend *be;
    fc_bench_result *result;
    static const double expected[6] = {1, 1, 12, 12, 12.27, 12.27};
    begin(&b);
    b.config.d_sae = 512;
    b.config.batch = 256;
    b.config.has_part[FC_BENCH_TRAIN] = true;
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_bench(&b.config, be, &result, &err), &err);
    assert_int_equal(result->n_rows, 10);
    for (int i = 6; i < 10; i++) /* at most: what is negative does not fire */
        assert_true(detail(&result->row[i], "l0") <= (i < 8 ? 32.0 : 128.0));
    for (int i = 0; i < 6; i++) {
        const double fire = detail(&result->row[i], "fire");
        if (fabs(fire - expected[i]) > 0.2 * expected[i])
            fail_msg("%s: %.2f %% fire", result->row[i].name, fire);
        const double moving = detail(&result->row[i], "moving");
        assert_true(i < 4 ? moving > 0.7 * 512 : moving <= 512 - 377 && moving > 100);
    }
    fc_free(result);
    fc_backend_close(be);
    end(&b);
}

static void mistakes_are_sentences(void **state)
{
    (void)state;
    bench b;
    fc_err err;
    begin(&b);
    b.config.has_part[FC_BENCH_STUDY] = true;
    memcpy(b.config.store, "x", 2);
    fc_assert_fails(run_bench(&b, &err), &err, FC_USAGE, "--store", "--sae");
    memcpy(b.config.sae, "x", 2);
    fc_assert_fails(run_bench(&b, &err), &err, FC_IO, "x");
    b.config.has_part[FC_BENCH_STUDY] = false;
    b.config.has_part[FC_BENCH_COLLECT] = true;
    b.config.store[0] = b.config.sae[0] = '\0';
    memcpy(b.config.hook, "model.layers.77", 16);
    fc_assert_fails(run_bench(&b, &err), &err, FC_USAGE, "77");
    b.config.hook[0] = '\0';
    b.texts[0] = "/nowhere/text";
    fc_assert_fails(run_bench(&b, &err), &err, FC_IO, "/nowhere/text");
    b.texts[0] = "/dev/null";
    fc_assert_fails(run_bench(&b, &err), &err, FC_MISMATCH, "/dev/null");
    b.config.has_part[FC_BENCH_COLLECT] = false;
    b.config.has_part[FC_BENCH_TOKENIZE] = true;
    fc_assert_fails(run_bench(&b, &err), &err, FC_MISMATCH, "/dev/null");
    end(&b);
}

static void make_small(bench *b)
{
    b->config.d_in = 8;
    b->config.d_sae = 16;
    b->config.batch = 8;
    b->config.rows = 64;
    fc_par_set_threads(1);
}

/* Every stride-th: training makes the same allocations for ten cells, and a pass of study makes
 * hundreds that have their own test. */
static void allocations_may_fail(void **state)
{
    (void)state;
    static const struct {
        fc_bench_part part;
        int64_t stride;
    } cases[] = {{FC_BENCH_TRAIN, 5}, {FC_BENCH_STUDY, 13}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        bench b;
        fc_err err;
        fc_status status = FC_NOMEM;
        int64_t n;
        begin(&b);
        make_small(&b);
        b.config.has_part[cases[i].part] = true;
        for (n = 1; status != FC_OK; n += cases[i].stride) {
            fc_alloc_fail_at(n);
            status = run_bench(&b, &err);
            fc_alloc_fail_at(0);
            if (status != FC_OK) assert_int_equal(status, FC_NOMEM);
            assert_int_equal(fc_test_count_entries(b.dir), 0);
        }
        assert_true(n > 5 * cases[i].stride);
        end(&b);
    }
}

static void any_write_may_fail(void **state)
{
    (void)state;
    bench b;
    begin(&b);
    make_small(&b);
    b.config.has_part[FC_BENCH_STUDY] = true;
    assert_true(fc_test_sweep_write(run_bench, NULL, &b) > 2);
    end(&b);
}

/* --- what is shown ------------------------------------------------------------------------ */

static fc_bench_result *made_up(void)
{
    fc_bench_result *r;
    fc_err err;
    fc_assert_ok(fc_alloc(&r, 1, sizeof *r, "figures", &err), &err);
    r->machine = (fc_machine){.processor = "A \"fast\" one",
                              .n_threads = 2,
                              .kernels = "avx512",
                              .f32 = "f",
                              .bf16 = "b",
                              .date = "2026-01-02T03:04:05Z",
                              .version = "1.2.3",
                              .commit = "abc"};
    r->n_rows = 2;
    r->row[0] = (fc_bench_row){
        .part = FC_BENCH_TRAIN,
        .name = "a step",
        .unit = "ms",
        .median = 50.0,
        .min = 49.0,
        .max = 60.0,
        .n_kept = 40,
        .n_dropped = 2,
        .limit = 40.0,
        .percent = 80.0,
        .detail = {{"", "encode", "ms", 25.0}, {"limit", "encode", "ms", 24.0}},
        .n_details = 2};
    r->row[1] = (fc_bench_row){.part = FC_BENCH_TOKENIZE,
                               .name = "encode",
                               .unit = "MB/s",
                               .is_rate = true,
                               .median = 200.0,
                               .min = 150.0,
                               .max = 234.0,
                               .n_dropped = 7,
                               .limit = (double)NAN,
                               .percent = (double)NAN};
    return r;
}

static void the_table_says_what_was_kept_and_what_is_best(void **state)
{
    (void)state;
    fc_bench_result *const r = made_up();
    fc_strbuf text = {0};
    fc_err err;
    fc_assert_ok(fc_bench_text(r, &text, &err), &err);
    static const char *const expected[] = {
        "A \"fast\" one, 2 threads, b; facet 1.2.3, commit abc\n",
        "a step                                      50.0      49.0 ms             40.0  "
        " 80 ",
        "40     2\n    encode 25.0 ms\n    limit: encode 24.0 ms\n",
        "encode                                       200       234 MB/s              -  "
        "  - ",
        "0     7  (all disturbed, all used)\n",
    };
    for (size_t i = 0; i < FC_LEN(expected); i++)
        if (strstr(fc_strbuf_text(&text), expected[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", expected[i], fc_strbuf_text(&text));
    fc_strbuf_free(&text);
    fc_free(r);
}

static void the_json_has_machine_and_rows(void **state)
{
    (void)state;
    fc_bench_result *const r = made_up();
    json_t *const object = fc_bench_json(r);
    const char *processor, *name, *unit, *of;
    double median, percent, value;
    json_int_t n_kept, n_dropped;
    json_t *limit;
    assert_non_null(object);
    assert_int_equal(
        json_unpack(object, "{s{ss}, s[{ss, ss, sF, sF, sI, s[{}, {ss, sF}]}, {so, sI}]}",
                    "machine", "processor", &processor, "rows", "name", &name, "unit",
                    &unit, "median", &median, "percent", &percent, "kept", &n_kept,
                    "details", "of", &of, "value", &value, "limit", &limit, "dropped",
                    &n_dropped),
        0);
    assert_string_equal(processor, "A \"fast\" one");
    assert_string_equal(name, "a step");
    assert_string_equal(unit, "ms");
    assert_string_equal(of, "limit");
    assert_true(median == 50.0 && percent == 80.0 && value == 24.0);
    assert_true(n_kept == 40 && n_dropped == 7);
    assert_true(json_is_null(limit));
    json_decref(object);
    fc_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_gives_its_rows),
        cmocka_unit_test(each_instruction_set_has_its_peaks),
        cmocka_unit_test(training_cells_fire_as_they_are_called),
        cmocka_unit_test(mistakes_are_sentences),
        cmocka_unit_test(allocations_may_fail),
        cmocka_unit_test(any_write_may_fail),
        cmocka_unit_test(the_table_says_what_was_kept_and_what_is_best),
        cmocka_unit_test(the_json_has_machine_and_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
