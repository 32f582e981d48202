/* test_core_metrics.c - SAEBench's measures against float64 formulas and against what the tools
 * printed (fixtures/sae/metrics): the right ones, those with known faults, and each feature.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "study/core_metrics.h"
#include "study/splice.h"

enum { PROMPT = 100, MOST_ROWS = 2000 };
static const double tolerance = 2e-5;

typedef struct fixture {
    fc_backend *be;
    fc_sae *sae;
    json_t *expected;
    float *x;
    int64_t n, d;
} fixture;

static void read_rows(fixture *f)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file;
    const fc_tensor *x;
    fc_err err;
    fc_fixture(path, "sae/metrics/data.safetensors");
    fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
    fc_assert_ok(fc_safetensors_need(file, "x", FC_F32, 2, (int64_t[]){-1, -1}, &x, &err),
                 &err);
    fc_assert_ok(fc_tensor_to_f32(x, &f->x, &err), &err);
    f->n = x->shape[0];
    f->d = x->shape[1];
    fc_safetensors_close(file);
    assert_int_equal(f->n, MOST_ROWS);
}

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    char path[FC_PATH_MAX];
    fc_err err;
    assert_non_null(f);
    fc_fixture(path, "sae/metrics/sae");
    fc_assert_ok(fc_sae_load(&f->sae, path, &err), &err);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    fc_fixture(path, "sae/metrics/expected.json");
    fc_assert_ok(fc_json_load(&f->expected, path, &err), &err);
    read_rows(f);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    fc_sae_free(f->sae);
    fc_backend_close(f->be);
    json_decref(f->expected);
    fc_free(f->x);
    free(f);
    return 0;
}

/* --- running over the rows -------------------------------------------------------------------- */

typedef struct feeding {
    fc_core_metrics *core;
    const int64_t *prompt;
} feeding;

static void feed_features(void *ctx, const fc_splice *splice, const float *made,
                          int64_t first, int64_t n)
{
    const feeding *f = ctx;
    (void)made, (void)n;
    fc_core_metrics_features(f->core, splice->codes, f->prompt + first);
}

/* Rows in batches of n_prompts prompts, without the first `skip` of each prompt. */
static fc_status measure(const fixture *f, const fc_sae *sae, const float *x,
                         int64_t n_prompts, int64_t skip, fc_core_metrics **core,
                         fc_err *err)
{
    static int64_t prompt[MOST_ROWS];
    fc_splice *splice = NULL;
    float *rows = NULL, *y = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_core_metrics_new(core, sae, f->n, err));
    FC_TRY_GOTO(fc_splice_new(&splice, sae, f->be, FC_PRECISION_F32, err));
    FC_TRY_GOTO(fc_alloc(&rows, f->n * f->d, sizeof *rows, "rows", err));
    FC_TRY_GOTO(fc_alloc(&y, f->n * f->d, sizeof *y, "rows", err));
    for (int64_t first = 0; first < f->n; first += n_prompts * PROMPT) {
        int64_t n = 0;
        for (int64_t t = first; t < fc_min(f->n, first + n_prompts * PROMPT); t++) {
            if (t % PROMPT < skip) continue;
            memcpy(rows + n * f->d, x + t * f->d, (size_t)f->d * sizeof *rows);
            prompt[n++] = t / PROMPT;
        }
        feeding feed = {*core, prompt};
        const fc_splice_rows in = {rows, rows, n};
        fc_splice_apply(splice, y, &in, feed_features, &feed);
        fc_core_metrics_batch(*core, rows, y, n);
    }
    FC_TRY_GOTO(fc_core_metrics_weights(*core, sae, f->be, err));
done:
    fc_splice_free(splice);
    fc_free(rows);
    fc_free(y);
    return status;
}

static fc_core_metrics *measured(const fixture *f, const fc_sae *sae, const float *x,
                                 int64_t n_prompts, int64_t skip)
{
    fc_core_metrics *core = NULL;
    fc_err err;
    fc_assert_ok(measure(f, sae, x, n_prompts, skip, &core, &err), &err);
    return core;
}

/* --- comparing ---------------------------------------------------------------------------------- */

static void compare(const fc_core_metrics *core, const fc_core_table *table,
                    const json_t *expected, const char *where)
{
    double number[FC_CORE_N];
    int64_t n_seen = 0;
    assert_non_null(expected);
    fc_core_metrics_numbers(core, number);
    for (int64_t i = 0; i < table->n; i++) {
        const json_t *value = json_object_get(expected, table->name[i].name);
        if (value == NULL) continue;
        const double want = json_number_value(value),
                     found = number[table->name[i].number];
        if (!(fabs(found - want) <= tolerance * fabs(want)))
            fail_msg("%s: %s is %.9g, expected %.9g", where, table->name[i].name, found,
                     want);
        n_seen++;
    }
    assert_true(n_seen >= table->n - 1);
}

static void right_values_agree_with_float64_formulas(void **state)
{
    const fixture *f = *state;
    const json_t *e = f->expected;
    static const int64_t batches[] = {20, 4, 3, 1};
    /* In one batch the legacy measure is the one of all rows; the others do not see batches. */
    fc_core_metrics *core = measured(f, f->sae, f->x, 20, 0);
    compare(core, &fc_core_right, json_object_get(e, "correct"), "correct");
    fc_core_metrics_free(core);
    core = measured(f, f->sae, f->x, 20, 1);
    compare(core, &fc_core_right,
            json_object_get(e, "correct_first_token_of_each_prompt_ignored"),
            "without first");
    assert_int_equal(fc_core_metrics_rows(core), 1980);
    fc_core_metrics_free(core);
    json_t *others = json_deep_copy(json_object_get(e, "correct"));
    json_object_del(others, "explained_variance_legacy");
    for (size_t i = 0; i < FC_LEN(batches); i++) {
        core = measured(f, f->sae, f->x, batches[i], 0);
        compare(core, &fc_core_right, others, "correct, in batches");
        fc_core_metrics_free(core);
    }
    json_decref(others);
}

static const fc_core_table *table_of(const char *tool)
{
    for (int64_t i = 0; i < fc_core_n_printed; i++)
        if (strcmp(fc_core_printed[i].tool, tool) == 0) return &fc_core_printed[i];
    fail_msg("no table for %s", tool);
    return NULL;
}

static void compare_printed(const fc_core_metrics *core, const json_t *printed)
{
    for (int64_t i = 0; i < fc_core_n_printed; i++)
        compare(core, &fc_core_printed[i],
                json_object_get(printed, fc_core_printed[i].tool),
                fc_core_printed[i].tool);
}

static void values_as_tools_print_them_have_their_faults(void **state)
{
    const fixture *f = *state;
    const json_t *printed = json_object_get(f->expected, "printed");
    fc_core_metrics *core = measured(f, f->sae, f->x, 4, 0);
    compare_printed(core, printed);
    fc_core_metrics_free(core);
    core = measured(f, f->sae, f->x, 4, 1);
    compare(core, table_of("saelens_6_54"),
            json_object_get(printed, "saelens_6_54_first_token_of_each_prompt_ignored"),
            "without first");
    fc_core_metrics_free(core);
    core = measured(f, f->sae, f->x, 20, 0);
    compare(core, table_of("saelens_6_54"),
            json_object_get(printed, "saelens_6_54_one_batch"), "one batch");
    fc_core_metrics_free(core);
}

static void rows_and_biases_twenty_times_as_large_show_what_has_no_scale(void **state)
{
    const fixture *f = *state;
    fc_sae *sae = NULL;
    char path[FC_PATH_MAX];
    float *x = NULL;
    fc_err err;
    fc_fixture(path, "sae/metrics/sae");
    fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
    fc_assert_ok(fc_alloc(&x, f->n * f->d, sizeof *x, "rows", &err), &err);
    for (int64_t i = 0; i < f->n * f->d; i++) x[i] = 20.0f * f->x[i];
    for (int64_t i = 0; i < sae->d_sae; i++) sae->b_enc[i] *= 20.0f;
    for (int64_t j = 0; j < sae->d_in; j++) sae->b_dec[j] *= 20.0f;
    fc_core_metrics *core = measured(f, sae, x, 20, 0);
    json_t *right = json_deep_copy(json_object_get(f->expected, "correct_times_20"));
    json_object_del(right, "dead_features_max_activation_at_most_1e-6"); /* has a scale */
    compare(core, &fc_core_right, right, "times 20");
    json_decref(right);
    fc_core_metrics_free(core);
    core = measured(f, sae, x, 4, 0);
    compare_printed(core, json_object_get(f->expected, "printed_times_20"));
    fc_core_metrics_free(core);
    fc_sae_free(sae);
    fc_free(x);
}

/* --- features ----------------------------------------------------------------------------------- */

static double value_of(const fc_safetensors *file, const char *name, int64_t i)
{
    const fc_tensor *tensor = fc_safetensors_find(file, name);
    double value;
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, FC_F64);
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof value, sizeof value);
    return value;
}

static int32_t index_of(const fc_safetensors *file, const char *name, int64_t i)
{
    const fc_tensor *tensor = fc_safetensors_find(file, name);
    int32_t value;
    assert_non_null(tensor);
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof value, sizeof value);
    return value;
}

static void near(double found, const fc_safetensors *file, const char *name, int64_t i)
{
    const double want = value_of(file, name, i);
    if (!(fabs(found - want) <= tolerance * fmax(1.0, fabs(want))))
        fail_msg("%s of feature %d is %.9g, expected %.9g", name, (int)i, found, want);
}

static void each_feature_is_as_float64_formulas_have_it(void **state)
{
    const fixture *f = *state;
    char path[FC_PATH_MAX];
    fc_safetensors *file;
    fc_err err;
    fc_core_metrics *core = measured(f, f->sae, f->x, 4, 0);
    const fc_core_feature *feature = fc_core_metrics_of(core);
    fc_fixture(path, "sae/metrics/expected_features.safetensors");
    fc_assert_ok(fc_safetensors_open(&file, path, &err), &err);
    for (int64_t i = 0; i < f->sae->d_sae; i++) {
        const fc_core_feature *c = &feature[i];
        near((double)c->n_active / (double)f->n, file, "feature_density", i);
        near((double)c->max, file, "max_activation", i);
        near((double)c->encoder_norm, file, "encoder_norm", i);
        near((double)c->decoder_norm, file, "decoder_norm", i);
        near(c->encoder_decoder_cosine, file, "encoder_decoder_cosine_sim", i);
        near(c->max_encoder_cosine, file, "max_encoder_cosine_sim", i);
        near(c->max_decoder_cosine, file, "max_decoder_cosine_sim", i);
        assert_int_equal(c->max_encoder_id,
                         index_of(file, "max_encoder_cosine_index", i));
        assert_int_equal(c->max_decoder_id,
                         index_of(file, "max_decoder_cosine_index", i));
        if (c->n_active > 0) {
            near(c->sum / (double)c->n_active, file, "mean_activation_when_active", i);
            near((double)c->n_active / (double)c->n_prompts, file,
                 "consistent_activation_heuristic", i);
        } else {
            assert_int_equal(c->n_prompts, 0);
            assert_true(isnan(value_of(file, "consistent_activation_heuristic", i)));
        }
    }
    fc_safetensors_close(file);
    fc_core_metrics_free(core);
}

/* --- promises ----------------------------------------------------------------------------------- */

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    const fixture *f = *state;
    double first[FC_CORE_N] = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
        fixture other = *f;
        double number[FC_CORE_N];
        fc_err err;
        fc_par_set_threads(n_threads);
        fc_assert_ok(fc_backend_open(&other.be, NULL, &err), &err);
        fc_core_metrics *core = measured(&other, f->sae, f->x, 3, 0);
        fc_core_metrics_numbers(core, number);
        if (n_threads == 1) memcpy(first, number, sizeof first);
        assert_memory_equal(first, number, sizeof first);
        fc_core_metrics_free(core);
        fc_backend_close(other.be);
    }
    fc_par_set_threads(0);
}

static void no_rows_have_no_measures(void **state)
{
    const fixture *f = *state;
    double number[FC_CORE_N];
    fc_core_metrics *core = NULL;
    fc_err err;
    fc_assert_ok(fc_core_metrics_new(&core, f->sae, 1, &err), &err);
    fc_core_metrics_batch(core, NULL, NULL, 0);
    fc_core_metrics_numbers(core, number);
    assert_true(isnan(number[FC_CORE_L0]) && isnan(number[FC_CORE_FVU]));
    assert_true(isnan(number[FC_CORE_BATCH_BIAS]));
    fc_core_metrics_free(core);
}

static fc_status use_all(void *ctx, fc_err *err)
{
    const fixture *f = ctx;
    fc_core_metrics *core = NULL;
    const fc_status status = measure(f, f->sae, f->x, 10, 0, &core, err);
    fc_core_metrics_free(core);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    assert_true(fc_test_sweep_alloc(use_all, NULL, *state) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_values_agree_with_float64_formulas),
        cmocka_unit_test(values_as_tools_print_them_have_their_faults),
        cmocka_unit_test(rows_and_biases_twenty_times_as_large_show_what_has_no_scale),
        cmocka_unit_test(each_feature_is_as_float64_formulas_have_it),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(no_rows_have_no_measures),
        cmocka_unit_test(every_allocation_may_fail),
    };
    if (!fc_fixture_exists("sae/metrics/expected.json")) return 0;
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
