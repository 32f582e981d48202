/* test_views.c - decoder rows for TensorBoard's projector, features for Neuronpedia.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "sae/sae.h"
#include "study/features_out_internal.h"
#include "study/neuronpedia.h"
#include "study/projector.h"

enum { D = 4, FEATURES = 130, DEAD = 7, QUANTILES = 2 };

static char dir[FC_PATH_MAX], run[FC_PATH_MAX], out[FC_PATH_MAX];

static void write_sae(void)
{
    fc_err err = {0};
    fc_sae *sae = NULL;
    char path[FC_PATH_MAX];
    fc_assert_ok(fc_sae_new(&sae, "standard", D, D, FEATURES, &err), &err);
    for (int64_t i = 0; i < FEATURES; i++)
        for (int64_t j = 0; j < D; j++)
            sae->w_dec[i * D + j] = (float)(j == i % D ? -0.5 : 0.125 * (double)j);
    fc_test_path(path, run, "sae");
    fc_assert_ok(fc_sae_save(sae, path, &err), &err);
    fc_sae_free(sae);
}

static void put_example(fc_features_out *db, int64_t feature, int64_t kind, double value)
{
    static const int32_t ids[] = {1, 2, 3};
    static const float activations[] = {0, 1.5f, 0.25f};
    fc_err err = {0};
    const fc_example_row row = {.feature = feature,
                                .kind = kind,
                                .rank = 1,
                                .value = value,
                                .row = 3,
                                .position = 2,
                                .n = 3,
                                .peak = 1,
                                .token_ids = ids,
                                .activations = activations};
    fc_assert_ok(fc_features_put_example(db, &row, &err), &err);
}

static void write_db(void)
{
    static const char *const bytes[] = {"", " the", "\xe2\x82", "a\tb"};
    fc_err err = {0};
    fc_features_out *db = NULL;
    char path[FC_PATH_MAX];
    int64_t hist[FC_HISTOGRAM_BINS] = {[0] = 30, [49] = 10};
    fc_test_path(path, run, "features.db");
    fc_assert_ok(fc_features_create(&db, path, &err), &err);
    fc_assert_ok(fc_features_put_text(db, "model", "google/gemma-3-1b-it", &err), &err);
    fc_assert_ok(fc_features_put_text(db, "hook", "model.layers.25.mlp.down_proj", &err),
                 &err);
    fc_assert_ok(fc_features_put_integer(db, "quantiles", QUANTILES, &err), &err);
    fc_assert_ok(fc_features_put_integer(db, "window", 3, &err), &err);
    fc_assert_ok(fc_features_put_integer(db, "n_docs", 11, &err), &err);
    fc_assert_ok(fc_features_put_integer(db, "n_rows", 1000, &err), &err);
    fc_assert_ok(fc_features_put_integer(db, "d_sae", FEATURES, &err), &err);
    for (int64_t i = 0; i < FEATURES; i++) {
        const bool is_dead = i == DEAD;
        const fc_feature_row row = {.feature = {.id = i,
                                                .max = is_dead ? 0.0 : 1.5,
                                                .frequency = is_dead ? 0.0 : 0.04,
                                                .n_active = is_dead ? 0 : 40,
                                                .is_dead = is_dead,
                                                .description = is_dead ? "" : "a\ttab"},
                                    .nearest = 0.5,
                                    .hist = is_dead ? NULL : hist};
        fc_assert_ok(fc_features_put_feature(db, &row, &err), &err);
        if (is_dead) continue;
        put_example(db, i, 0, 1.5);
        put_example(db, i, 2, 1.2);
    }
    for (int32_t id = 1; id <= 3; id++)
        fc_assert_ok(fc_features_put_token(db, id, bytes[id], bytes[id],
                                           (int64_t)strlen(bytes[id]), &err),
                     &err);
    fc_assert_ok(fc_features_commit(db, &err), &err);
    fc_features_discard(db);
}

static int make_dir(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_test_dir_make(dir);
    fc_test_path(run, dir, "run");
    fc_test_path(out, dir, "out");
    fc_assert_ok(fc_dir_make(run, &err), &err);
    write_sae();
    write_db();
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static char *text_of(const char *name)
{
    char path[FC_PATH_MAX];
    size_t n;
    fc_test_path(path, out, name);
    return fc_test_read(path, &n);
}

static int64_t count_lines(const char *text)
{
    int64_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void the_projector_gets_a_line_for_each_feature(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_assert_ok(fc_projector_write(run, out, &err), &err);
    char *tensors = text_of("tensors.tsv"), *labels = text_of("metadata.tsv"),
         *config = text_of("projector_config.pbtxt");
    assert_int_equal(count_lines(tensors), FEATURES);
    assert_int_equal(count_lines(labels), FEATURES + 1); /* the names of the columns */
    assert_true(strncmp(tensors, "-0.5\t0.125\t0.25\t0.375\n0\t-0.5\t", 28) == 0);
    assert_non_null(strstr(labels, "feature\tdescription\tmax\tfrequency\tpurity\n"));
    assert_non_null(strstr(labels, "\n0\ta tab\t1.5\t0.04\t0.000\n"));
    assert_non_null(strstr(labels, "\n7\tdead\t0\t0\t0.000\n"));
    assert_non_null(strstr(config, "tensor_path: \"tensors.tsv\""));
    free(tensors);
    free(labels);
    free(config);
    fc_test_dir_remove(out);
}

static void without_a_study_the_label_is_the_number(void **state)
{
    (void)state;
    fc_err err = {0};
    char sae[FC_PATH_MAX];
    fc_test_path(sae, run, "sae");
    fc_assert_ok(fc_projector_write(sae, out, &err), &err);
    char *labels = text_of("metadata.tsv");
    assert_true(strncmp(labels, "0\n1\n2\n", 6) == 0);
    assert_int_equal(count_lines(labels), FEATURES);
    free(labels);
    fc_test_dir_remove(out);
}

static json_t *json_of(const char *name)
{
    fc_err err = {0};
    char path[FC_PATH_MAX];
    json_t *root = NULL;
    fc_test_path(path, out, name);
    fc_assert_ok(fc_json_load(&root, path, &err), &err);
    return root;
}

static const json_t *at(const json_t *list, size_t i)
{
    assert_true(i < json_array_size(list));
    return json_array_get(list, i);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void check_feature(const json_t *f)
{
    assert_true(number(f, "frac_nonzero") == 0.04);
    assert_true(number(f, "n_prompts_total") == 11);
    /* row 0: -0.5 0.125 0.25 0.375 */
    const json_t *index = json_object_get(f, "neuron_alignment_indices");
    assert_int_equal(json_array_size(index), 3);
    assert_int_equal(json_integer_value(at(index, 0)), 0);
    assert_int_equal(json_integer_value(at(index, 1)), 3);
    assert_true(json_real_value(at(json_object_get(f, "neuron_alignment_l1"), 0)) == 0.4);
    assert_int_equal(json_array_size(json_object_get(f, "freq_hist_data_bar_heights")),
                     50);
    const json_t *activations = json_object_get(f, "activations");
    assert_int_equal(json_array_size(activations), 2);
    const json_t *top = at(activations, 0), *second = at(activations, 1);
    assert_true(number(top, "bin_min") == -1 && number(top, "bin_contains") == -1);
    assert_true(number(top, "bin_max") == 1.5);
    assert_true(number(second, "bin_min") == 0.75 && number(second, "bin_max") == 1.5);
    assert_true(number(second, "bin_contains") == 0.25); /* 10 of 40 */
    assert_true(number(top, "qualifying_token_index") == 1);
    const json_t *tokens = json_object_get(top, "tokens");
    assert_string_equal(json_string_value(at(tokens, 0)), " the");
    assert_string_equal(json_string_value(at(tokens, 1)),
                        "\xef\xbf\xbd"); /* half a sign */
    assert_true(json_real_value(at(json_object_get(top, "values"), 2)) == 0.25);
}

static void neuronpedia_gets_batches_of_live_features(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_assert_ok(fc_neuronpedia_write(run, out, &err), &err);
    assert_int_equal(fc_test_count_entries(out), 4);
    json_t *first = json_of("batch-0.json"), *second = json_of("batch-1.json"),
           *skipped = json_of("skipped_indexes.json");
    const json_t *features = json_object_get(first, "features");
    assert_string_equal(json_string_value(json_object_get(first, "model_id")),
                        "gemma-3-1b-it");
    assert_string_equal(json_string_value(json_object_get(first, "sae_set")),
                        "facet-mlp.down_proj");
    assert_true(number(first, "layer") == 25);
    assert_int_equal(json_array_size(features), 127);
    assert_int_equal(json_array_size(json_object_get(second, "features")), 2);
    assert_true(number(at(features, DEAD), "feature_index") == DEAD + 1);
    check_feature(at(features, 0));
    assert_int_equal(
        json_integer_value(at(json_object_get(skipped, "skipped_indexes"), 0)), DEAD);
    json_decref(first);
    json_decref(second);
    json_decref(skipped);
    fc_test_dir_remove(out);
}

static void what_is_there_is_not_overwritten(void **state)
{
    (void)state;
    fc_err err = {0};
    fc_assert_fails(fc_projector_write(run, run, &err), &err, FC_USAGE,
                    "is there already");
    fc_assert_fails(fc_neuronpedia_write(run, run, &err), &err, FC_USAGE,
                    "is there already");
    fc_assert_fails(fc_neuronpedia_write(dir, out, &err), &err, FC_USAGE,
                    "no features.db");
}

typedef fc_status view(const char *in, const char *to, fc_err *err);

static fc_status write_view(void *ctx, fc_err *err)
{
    return (*(view **)ctx)(run, out, err);
}

static void only_the_run_is_there(void *ctx)
{
    (void)ctx;
    assert_int_equal(fc_test_count_entries(dir), 1);
}

static void faults_leave_nothing(void **state)
{
    (void)state;
    view *views[] = {fc_projector_write, fc_neuronpedia_write};
    for (size_t i = 0; i < FC_LEN(views); i++) {
        assert_true(fc_test_sweep_alloc(write_view, only_the_run_is_there, &views[i]) >
                    10);
        fc_test_dir_remove(out);
        assert_true(fc_test_sweep_write(write_view, only_the_run_is_there, &views[i]) >
                    5);
        fc_test_dir_remove(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_projector_gets_a_line_for_each_feature),
        cmocka_unit_test(without_a_study_the_label_is_the_number),
        cmocka_unit_test(neuronpedia_gets_batches_of_live_features),
        cmocka_unit_test(what_is_there_is_not_overwritten),
        cmocka_unit_test(faults_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
