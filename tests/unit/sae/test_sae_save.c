/* test_sae_save.c - our own folders: what is saved comes back, folded where it has to be.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "exchange_testing.h"
#include "formats/json.h"
#include "sae/exchange.h"

static void fill(float *w, int64_t n, uint64_t first, double scale)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(scale * fc_rng_normal(7, FC_RNG_TEST, first + (uint64_t)i));
}

enum {
    D_IN = 70,
    D_OUT = 33,
    D_SAE = 131,
    N_ROWS = 9
}; /* not multiples of the transposing block */

static fc_sae *make_sae(fc_norm_kind kind, bool is_subtracted)
{
    fc_err err = {0};
    fc_sae *sae = NULL;
    float mean[D_IN];
    fc_assert_ok(fc_sae_new(&sae, "standard", D_IN, D_IN, D_SAE, &err), &err);
    fill(sae->w_enc, D_IN * D_SAE, 0, 0.2);
    fill(sae->w_dec, D_IN * D_SAE, 100000, 0.2);
    fill(sae->b_enc, D_SAE, 200000, 0.1);
    fill(sae->b_dec, D_IN, 300000, 0.1);
    fill(mean, D_IN, 400000, 5.0);
    snprintf(sae->arch, sizeof sae->arch, "standard");
    snprintf(sae->model, sizeof sae->model, "models/tiny");
    snprintf(sae->hook, sizeof sae->hook, "model.layers.5.mlp.down_proj");
    sae->context_size = 128;
    sae->is_b_dec_subtracted = is_subtracted;
    fc_assert_ok(fc_normaliser_init(&sae->normaliser, kind, D_IN, mean, 3.5f, &err),
                 &err);
    return sae;
}

static void a_saved_sae_comes_back_bit_for_bit(void **state)
{
    (void)state;
    static const fc_norm_kind kinds[] = {FC_NORM_NONE, FC_NORM_CENTER_UNIT};
    for (size_t i = 0; i < FC_LEN(kinds); i++) {
        fc_err err = {0};
        char dir[FC_PATH_MAX];
        fc_sae *sae = make_sae(kinds[i], i == 0), *back = NULL;
        fc_test_dir_make(dir);
        fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
        assert_int_equal(fc_test_count_entries(dir),
                         kinds[i] == FC_NORM_CENTER_UNIT ? 3 : 2);
        fc_assert_ok(fc_sae_load(&back, dir, &err), &err);
        assert_memory_equal(back->w_enc, sae->w_enc, D_IN * D_SAE * sizeof(float));
        assert_memory_equal(back->w_dec, sae->w_dec, D_IN * D_SAE * sizeof(float));
        assert_memory_equal(back->b_enc, sae->b_enc, D_SAE * sizeof(float));
        assert_memory_equal(back->b_dec, sae->b_dec, D_IN * sizeof(float));
        assert_int_equal(back->normaliser.kind, kinds[i]);
        if (kinds[i] == FC_NORM_CENTER_UNIT)
            assert_memory_equal(back->normaliser.mean, sae->normaliser.mean,
                                D_IN * sizeof(float));
        assert_int_equal(back->is_b_dec_subtracted, sae->is_b_dec_subtracted);
        assert_string_equal(back->model, sae->model);
        assert_string_equal(back->hook, sae->hook);
        assert_int_equal(back->context_size, 128);
        fc_sae_free(sae);
        fc_sae_free(back);
        fc_test_dir_remove(dir);
    }
}

/* Every tensor that the architecture has, and center_scale at both ends. */
static fc_sae *make_scaled(const char *arch, bool is_subtracted)
{
    fc_err err = {0};
    fc_sae *sae = NULL;
    const bool is_transcoder = fc_arch_find(arch)->is_transcoder;
    const int64_t d_out = is_transcoder ? D_OUT : D_IN;
    float mean[D_IN];
    fc_assert_ok(fc_sae_new(&sae, arch, D_IN, d_out, D_SAE, &err), &err);
    for (int id = 0; id < FC_SAE_TENSORS; id++) {
        const fc_sae_tensor t = fc_sae_tensor_of(sae, (fc_sae_tensor_id)id);
        if (t.data != NULL) fill(t.data, t.rows * t.cols, (uint64_t)id * 100000, 0.2);
    }
    fill(mean, D_IN, 900000, 5.0);
    sae->k = 7;
    sae->is_b_dec_subtracted = is_subtracted;
    fc_assert_ok(fc_normaliser_init(&sae->normaliser, FC_NORM_CENTER_SCALE, D_IN, mean,
                                    3.5f, &err),
                 &err);
    fill(mean, D_IN, 910000, 3.0);
    if (is_transcoder)
        fc_assert_ok(fc_normaliser_init(&sae->target_normaliser, FC_NORM_CENTER_SCALE,
                                        d_out, mean, 0.5f, &err),
                     &err);
    return sae;
}

/* What SAELens calls f where rows compete by z ||W_dec||. */
static void scale_features(const fc_sae *sae, float *f)
{
    for (int64_t i = 0; i < N_ROWS * D_SAE; i++) {
        const float *d = sae->w_dec + i % D_SAE * D_IN;
        double sum = 0.0;
        for (int64_t j = 0; j < D_IN; j++) sum += (double)d[j] * (double)d[j];
        f[i] = (float)((double)f[i] * sqrt(sum));
    }
}

/* Saved in that format and read again, it does the same with raw rows. */
static void check_folding(const fc_sae *sae, const fc_sae_format *format)
{
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_sae *folded = NULL;
    float *raw = floats(N_ROWS * D_IN);
    float *f = floats(N_ROWS * D_SAE), *f_raw = floats(N_ROWS * D_SAE);
    float *y = floats(N_ROWS * D_IN), *y_raw = floats(N_ROWS * D_IN);
    fill(raw, N_ROWS * D_IN, 500000, 4.0);
    fc_test_dir_make(dir);
    fc_assert_ok(format->save(sae, dir, &err), &err);
    fc_assert_ok(fc_sae_load(&folded, dir, &err), &err);
    assert_int_equal(folded->normaliser.kind, FC_NORM_NONE);
    assert_int_equal(folded->target_normaliser.kind, FC_NORM_NONE);
    run_sae(sae, raw, N_ROWS, f, y);
    run_sae(folded, raw, N_ROWS, f_raw, y_raw);
    if (sae->is_rescaled) scale_features(sae, f);
    fc_assert_close(f_raw, f, N_ROWS * D_SAE, 2e-5, 1e-5);
    fc_assert_close(y_raw, y, N_ROWS * sae->d_out, 2e-5, 1e-5);
    float *const all[] = {raw, f, f_raw, y, y_raw};
    for (size_t i = 0; i < FC_LEN(all); i++) fc_free(all[i]);
    fc_sae_free(folded);
    fc_test_dir_remove(dir);
}

static void folding_center_scale_changes_no_feature_of_any_architecture(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        bool is_subtracted, is_rescaled;
        const char *formats;
    } cases[] = {
        {"standard", true, false, "saelens npz dictionary_learning"},
        {"standard", false, false, "saelens npz dictionary_learning"},
        {"topk", true, false, "saelens sparsify dictionary_learning"},
        {"topk", true, true, "saelens sparsify dictionary_learning"},
        {"topk", false, true, "saelens sparsify dictionary_learning"},
        {"jumprelu", true, false, "saelens gemma-scope dictionary_learning"},
        {"jumprelu", false, false, "saelens gemma-scope dictionary_learning"},
        {"batchtopk", true, false, "saelens gemma-scope"},
        {"gated", true, false, "saelens dictionary_learning"},
        {"gated", false, false, "saelens dictionary_learning"},
        {"transcoder", false, false, "saelens"},
        {"skip_transcoder", false, false, "saelens"},
        {"jumprelu_transcoder", false, false, "saelens gemma-scope"},
        {"jumprelu_skip_transcoder", false, false, "saelens"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_sae *sae = make_scaled(cases[i].arch, cases[i].is_subtracted);
        sae->is_rescaled = cases[i].is_rescaled;
        for (int row = 0; fc_sae_format_at(row) != NULL; row++)
            if (strstr(cases[i].formats, fc_sae_format_at(row)->name) != NULL)
                check_folding(sae, fc_sae_format_at(row));
        fc_sae_free(sae);
    }
}

/* What training leaves behind: theta over the length of each decoder row. */
static void a_threshold_over_norms_is_one_number_to_dictionary_learning(void **state)
{
    (void)state;
    fc_sae *sae = make_scaled("batchtopk", false);
    sae->is_rescaled = true;
    for (int64_t i = 0; i < D_SAE; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < D_IN; j++)
            sum += (double)sae->w_dec[i * D_IN + j] * (double)sae->w_dec[i * D_IN + j];
        sae->threshold[i] = (float)(0.25 / sqrt(sum));
    }
    check_folding(sae, fc_sae_format_find("dictionary_learning"));
    check_folding(sae, fc_sae_format_find("gemma-scope"));
    fc_sae_free(sae);
}

static void a_transcoder_of_unit_rows_keeps_both_means(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_sae *sae = make_scaled("transcoder", false), *back = NULL;
    sae->normaliser.kind = sae->target_normaliser.kind = FC_NORM_CENTER_UNIT;
    (void)snprintf(sae->target_hook, sizeof sae->target_hook, "model.layers.5.mlp");
    fc_test_dir_make(dir);
    fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
    fc_assert_ok(fc_sae_load(&back, dir, &err), &err);
    assert_int_equal(back->normaliser.kind, FC_NORM_CENTER_UNIT);
    assert_int_equal(back->target_normaliser.kind, FC_NORM_CENTER_UNIT);
    assert_memory_equal(back->normaliser.mean, sae->normaliser.mean,
                        D_IN * sizeof(float));
    assert_memory_equal(back->target_normaliser.mean, sae->target_normaliser.mean,
                        D_OUT * sizeof(float));
    assert_string_equal(back->target_hook, "model.layers.5.mlp");
    assert_int_equal(back->d_out, D_OUT);
    fc_sae_free(sae);
    fc_sae_free(back);
    fc_test_dir_remove(dir);
}

static void cfg_json_holds_what_saelens_needs(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    json_t *cfg = NULL;
    fc_sae *sae = make_sae(FC_NORM_CENTER_UNIT, true);
    fc_test_dir_make(dir);
    fc_assert_ok(fc_sae_save(sae, dir, &err), &err);
    fc_test_path(path, dir, "cfg.json");
    fc_assert_ok(fc_json_load(&cfg, path, &err), &err);
    const json_t *meta = json_object_get(cfg, "metadata");
    assert_string_equal(json_string_value(json_object_get(cfg, "architecture")),
                        "standard");
    assert_string_equal(json_string_value(json_object_get(cfg, "dtype")), "float32");
    assert_string_equal(json_string_value(json_object_get(cfg, "normalize_activations")),
                        "none");
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_in")), D_IN);
    assert_int_equal(json_integer_value(json_object_get(cfg, "d_sae")), D_SAE);
    assert_true(json_is_true(json_object_get(cfg, "apply_b_dec_to_input")));
    assert_string_equal(json_string_value(json_object_get(meta, "sae_lens_version")),
                        "6.18.0");
    assert_string_equal(json_string_value(json_object_get(meta, "hf_hook_name")),
                        sae->hook);
    assert_string_equal(json_string_value(json_object_get(meta, "facet_normalization")),
                        "center_unit");
    json_decref(cfg);
    fc_sae_free(sae);
    fc_test_dir_remove(dir);
}

static void an_sae_that_is_not_finite_is_not_saved(void **state)
{
    (void)state;
    fc_err err = {0};
    char dir[FC_PATH_MAX];
    fc_sae *sae = make_sae(FC_NORM_NONE, true);
    sae->b_enc[3] = NAN;
    fc_test_dir_make(dir);
    fc_assert_fails(fc_sae_save(sae, dir, &err), &err, FC_FORMAT,
                    "'b_enc' holds nan at place 3");
    assert_int_equal(fc_test_count_entries(dir), 0);
    fc_sae_free(sae);
    fc_test_dir_remove(dir);
}

/* --- faults ------------------------------------------------------------------------------- */

typedef struct place {
    char dir[FC_PATH_MAX];
    const fc_sae *sae;
} place;

static fc_status save_and_load(void *ctx, fc_err *err)
{
    const place *p = ctx;
    fc_sae *back = NULL;
    fc_status status = fc_sae_save(p->sae, p->dir, err);
    if (status == FC_OK) status = fc_sae_load(&back, p->dir, err);
    fc_sae_free(back);
    return status;
}

static void no_temporary_is_left(void *ctx)
{
    const place *p = ctx;
    fc_err err = {0};
    fc_names names;
    fc_assert_ok(fc_dir_list(&names, p->dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) assert_null(strstr(names.name[i], ".tmp"));
    fc_names_free(&names);
}

static void faults_end_with_a_sentence_and_no_leftovers(void **state)
{
    (void)state;
    place p;
    fc_sae *sae = make_sae(FC_NORM_CENTER_UNIT, true);
    p.sae = sae;
    fc_test_dir_make(p.dir);
    assert_true(fc_test_sweep_alloc(save_and_load, no_temporary_is_left, &p) > 10);
    assert_true(fc_test_sweep_write(save_and_load, no_temporary_is_left, &p) > 3);
    fc_sae_free(sae);
    fc_test_dir_remove(p.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_sae_comes_back_bit_for_bit),
        cmocka_unit_test(folding_center_scale_changes_no_feature_of_any_architecture),
        cmocka_unit_test(a_threshold_over_norms_is_one_number_to_dictionary_learning),
        cmocka_unit_test(a_transcoder_of_unit_rows_keeps_both_means),
        cmocka_unit_test(cfg_json_holds_what_saelens_needs),
        cmocka_unit_test(an_sae_that_is_not_finite_is_not_saved),
        cmocka_unit_test(faults_end_with_a_sentence_and_no_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
