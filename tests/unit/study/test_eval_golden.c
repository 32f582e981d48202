/* test_eval_golden.c - an evaluation on the example model against transformers and PyTorch with the
 * same SAEs on the same text (fixtures/eval): borders of layers, the inside of a layer, the first
 * and the last tensor, transcoders, each way to treat <bos>; and what an evaluation promises.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/par.h"
#include "formats/json.h"
#include "sae/arch.h"
#include "study/eval.h"

typedef struct fixture {
    fc_model *model;
    fc_tokenizer *tokenizer;
    fc_backend *be;
    json_t *expected;
    char text[FC_PATH_MAX];
    const char *paths[1];
} fixture;

static int open_fixture(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    char path[FC_PATH_MAX];
    fc_err err;
    assert_non_null(f);
    fc_source_file(path, "assets/example-model");
    fc_assert_ok(fc_model_load(&f->model, path, &err), &err);
    fc_assert_ok(fc_tokenizer_load(&f->tokenizer, path, &err), &err);
    fc_assert_ok(fc_backend_open(&f->be, NULL, &err), &err);
    fc_fixture(path, "eval/expected.json");
    fc_assert_ok(fc_json_load(&f->expected, path, &err), &err);
    fc_fixture(f->text, "eval/text.txt");
    f->paths[0] = f->text;
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    fc_model_close(f->model);
    fc_tokenizer_free(f->tokenizer);
    fc_backend_close(f->be);
    json_decref(f->expected);
    free(f);
    return 0;
}

static fc_sae *sae_of(const char *folder)
{
    char name[128], path[FC_PATH_MAX];
    fc_sae *sae = NULL;
    fc_err err;
    (void)snprintf(name, sizeof name, "eval/%s", folder);
    fc_fixture(path, name);
    fc_assert_ok(fc_sae_load(&sae, path, &err), &err);
    return sae;
}

static fc_eval_source source_of(const fixture *f, const fc_sae *sae)
{
    return (fc_eval_source){
        .model = f->model,
        .text = {.corpus = {.paths = f->paths,
                            .n_paths = 1,
                            .format = FC_TEXT_PLAIN,
                            .split = FC_SPLIT_LINE,
                            .field = "text"},
                 .tokenizer = f->tokenizer,
                 .max_length = 64,
                 .overflow = FC_OVERFLOW_TRUNCATE},
        .mean = sae->normaliser.mean,
        .name = "golden",
    };
}

static fc_eval_config exact_config(const char *special)
{
    fc_eval_config config;
    fc_eval_defaults(&config);
    config.tokens = 0;
    config.batch_tokens = 300;
    config.precision = FC_F32_PRECISION;
    config.special = strcmp(special, "keep") == 0     ? FC_SPECIAL_KEEP
                     : strcmp(special, "ablate") == 0 ? FC_SPECIAL_ABLATE
                                                      : FC_SPECIAL_REPLACE;
    return config;
}

/* --- against transformers ----------------------------------------------------------------------- */

static double number_at(const json_t *root, const char *path)
{
    char key[64];
    while (*path != '\0') {
        const size_t n = strcspn(path, "/");
        assert_true(n < sizeof key);
        memcpy(key, path, n);
        key[n] = '\0';
        root = json_object_get(root, key);
        path += n + (path[n] == '/');
    }
    if (!json_is_number(root)) fail_msg("%s is no number", key);
    return json_number_value(root);
}

#define OWN     "eval_result_unstructured/facet/"
#define METRICS "eval_result_metrics/"
static const struct {
    const char *theirs, *ours;
    double limit; /* of the difference, relative to 1 or to the value if that is larger */
} pairs[] = {
    {"sequences", OWN "sequences", 0},
    {"predictions", OWN "predictions", 0},
    {"rows", METRICS "token_stats/total_tokens_eval_reconstruction", 0},
    {"losses/original/cross_entropy", OWN "losses/original/cross_entropy", 1e-5},
    {"losses/sae/cross_entropy", OWN "losses/sae/cross_entropy", 1e-5},
    {"losses/zero_ablation/cross_entropy", OWN "losses/zero_ablation/cross_entropy",
     1e-5},
    {"losses/mean_ablation/cross_entropy", OWN "losses/mean_ablation/cross_entropy",
     1e-5},
    {"losses/original/kl_divergence", OWN "losses/original/kl_divergence", 0},
    {"losses/sae/kl_divergence", OWN "losses/sae/kl_divergence", 1e-5},
    {"losses/zero_ablation/kl_divergence", OWN "losses/zero_ablation/kl_divergence",
     1e-5},
    {"losses/mean_ablation/kl_divergence", OWN "losses/mean_ablation/kl_divergence",
     1e-5},
    {"ce_loss_score", METRICS "model_performance_preservation/ce_loss_score", 1e-4},
    {"kl_div_score", METRICS "model_behavior_preservation/kl_div_score", 1e-4},
    {"ce_loss_score_mean", OWN "recovered_from_mean_ablation/cross_entropy", 1e-4},
    {"token_deltas/mean", OWN "token_deltas/mean", 1e-5},
    {"token_deltas/min", OWN "token_deltas/min", 1e-4},
    {"token_deltas/p05", OWN "token_deltas/p05", 1e-4},
    {"token_deltas/median", OWN "token_deltas/median", 1e-4},
    {"token_deltas/p95", OWN "token_deltas/p95", 1e-4},
    {"token_deltas/max", OWN "token_deltas/max", 1e-4},
    {"core/explained_variance", METRICS "reconstruction_quality/explained_variance",
     2e-5},
    {"core/mse_sum_over_d", METRICS "reconstruction_quality/mse", 2e-5},
    {"core/cosine_similarity", METRICS "reconstruction_quality/cossim", 2e-5},
    {"core/relative_reconstruction_bias",
     METRICS "shrinkage/relative_reconstruction_bias", 2e-5},
    {"core/l2_ratio", METRICS "shrinkage/l2_ratio", 2e-5},
    {"core/l0", METRICS "sparsity/l0", 2e-5},
    {"core/l1", METRICS "sparsity/l1", 2e-5},
    {"core/frac_alive", METRICS "misc_metrics/frac_alive", 0},
};

static void compare(const char *name, const json_t *found, const json_t *expected)
{
    for (size_t i = 0; i < FC_LEN(pairs); i++) {
        const double want = number_at(expected, pairs[i].theirs),
                     got = number_at(found, pairs[i].ours);
        if (!(fabs(got - want) <= pairs[i].limit * fmax(1.0, fabs(want))))
            fail_msg("%s: %s is %.9g, expected %.9g", name, pairs[i].theirs, got, want);
    }
}

static void losses_and_measures_are_those_of_transformers(void **state)
{
    const fixture *f = *state;
    const char *name;
    json_t *expected;
    json_object_foreach(json_object_get(f->expected, "cases"), name, expected)
    {
        const char *folder = json_string_value(json_object_get(expected, "sae"));
        fc_sae *sae = sae_of(folder);
        const fc_eval_source source = source_of(f, sae);
        const fc_eval_config config =
            exact_config(json_string_value(json_object_get(expected, "special")));
        fc_eval_result result;
        json_t *eval = NULL;
        fc_err err;
        fc_assert_ok(fc_eval(&config, sae, &source, f->be, &eval, &result, &err), &err);
        compare(name, eval, expected);
        json_decref(eval);
        fc_sae_free(sae);
    }
}

/* --- promises ----------------------------------------------------------------------------------- */

/* eval.json of a case as text, without the clock. */
static char *text_of(const fixture *f, fc_backend *be, const fc_eval_config *config,
                     const char *folder)
{
    fc_sae *sae = sae_of(folder);
    const fc_eval_source source = source_of(f, sae);
    fc_eval_result result;
    json_t *eval = NULL;
    fc_err err;
    fc_assert_ok(fc_eval(config, sae, &source, be, &eval, &result, &err), &err);
    json_object_del(eval, "datetime_epoch_millis");
    char *text = json_dumps(eval, 0);
    assert_non_null(text);
    json_decref(eval);
    fc_sae_free(sae);
    return text;
}

static void any_number_of_threads_gives_the_same_file(void **state)
{
    const fixture *f = *state;
    fc_eval_config config = exact_config("keep");
    char *first = NULL;
    config.tokens = 70;
    for (int n_threads = 1; n_threads <= 3; n_threads += 2) {
        fc_backend *be = NULL;
        fc_err err;
        fc_par_set_threads(n_threads);
        fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
        char *text = text_of(f, be, &config, "mlp");
        fc_backend_close(be);
        if (first == NULL) {
            first = text;
            continue;
        }
        assert_string_equal(first, text);
        free(text);
    }
    free(first);
    fc_par_set_threads(0);
}

static void sequences_do_not_depend_on_the_batch_they_are_in(void **state)
{
    const fixture *f = *state;
    static const int64_t batches[] = {64, 130, 4096};
    double first[FC_EVAL_RUNS] = {0};
    for (size_t i = 0; i < FC_LEN(batches); i++) {
        fc_sae *sae = sae_of("residual");
        const fc_eval_source source = source_of(f, sae);
        fc_eval_config config = exact_config("keep");
        fc_eval_result r;
        json_t *eval = NULL;
        fc_err err;
        config.tokens = 140;
        config.batch_tokens = batches[i];
        fc_assert_ok(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err);
        if (i == 0) memcpy(first, r.cross_entropy, sizeof first);
        assert_true(r.cross_entropy[FC_RUN_ORIGINAL] == first[FC_RUN_ORIGINAL]);
        assert_true(r.cross_entropy[FC_RUN_ZERO] == first[FC_RUN_ZERO]);
        for (int run = 0; run < FC_EVAL_RUNS; run++)
            assert_true(fabs(r.cross_entropy[run] - first[run]) < 1e-6);
        json_decref(eval);
        fc_sae_free(sae);
    }
}

static void with_its_error_added_back_an_sae_changes_nothing(void **state)
{
    const fixture *f = *state;
    static const char *const folders[] = {"mlp", "residual", "embedding", "post-norm"};
    for (size_t i = 0; i < FC_LEN(folders); i++) {
        fc_sae *sae = sae_of(folders[i]);
        const fc_eval_source source = source_of(f, sae);
        fc_eval_config config = exact_config("replace");
        fc_eval_result r;
        json_t *eval = NULL;
        fc_err err;
        config.tokens = 70;
        config.has_error_term = true;
        fc_assert_ok(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err);
        assert_true(fabs(r.cross_entropy[FC_RUN_SAE] - r.cross_entropy[FC_RUN_ORIGINAL]) <
                    1e-6);
        assert_true(fabs(r.divergence[FC_RUN_SAE]) < 1e-6);
        assert_true(r.number[FC_CORE_FVU] > 0.01); /* measured without it */
        json_decref(eval);
        fc_sae_free(sae);
    }
}

static void whole_sequences_are_taken_until_there_are_enough_tokens(void **state)
{
    const fixture *f = *state;
    fc_sae *sae = sae_of("mlp");
    const fc_eval_source source = source_of(f, sae);
    fc_eval_config config = exact_config("keep");
    fc_eval_result r;
    json_t *eval = NULL;
    fc_err err;
    config.tokens = 100;
    config.worst = 5;
    fc_assert_ok(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err);
    assert_true(r.n_rows >= 100 && r.n_rows < 100 + 63);
    assert_int_equal(r.n_predictions, r.n_rows - r.n_sequences);

    const json_t *worst = json_object_get(
        json_object_get(json_object_get(eval, "eval_result_unstructured"), "facet"),
        "worst_tokens");
    assert_int_equal(json_array_size(worst), 5);
    double last = (double)INFINITY;
    for (size_t i = 0; i < 5; i++) {
        const double delta = number_at(json_array_get(worst, i), "delta");
        assert_true(delta <= last);
        last = delta;
    }
    assert_true(number_at(json_array_get(worst, 0), "delta") == r.delta.max);
    json_decref(eval);
    fc_sae_free(sae);
}

/* --- mistakes ------------------------------------------------------------------------------------ */

static void what_does_not_fit_is_refused(void **state)
{
    const fixture *f = *state;
    fc_sae *sae = sae_of("mlp");
    fc_eval_source source = source_of(f, sae);
    fc_eval_config config = exact_config("keep");
    fc_eval_result r;
    json_t *eval = NULL;
    fc_err err;
    static const struct {
        const char *hook;
        fc_status status;
        const char *word;
    } cases[] = {
        {"lm_head", FC_MISMATCH, "lm_head"},
        {"model.layers.9", FC_USAGE, "0..5"},
        {"model.layers.5.mlp.up_proj", FC_MISMATCH, "1024"},
        {"model.layers.5.nothing", FC_USAGE, "nothing"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        (void)snprintf(sae->hook, sizeof sae->hook, "%s", cases[i].hook);
        const fc_status status = fc_eval(&config, sae, &source, f->be, &eval, &r, &err);
        if (status == FC_OK || strstr(err.text, cases[i].word) == NULL)
            fail_msg("%s: %s", cases[i].hook, status == FC_OK ? "accepted" : err.text);
    }
    (void)snprintf(sae->hook, sizeof sae->hook, "model.layers.5.mlp.down_proj");
    config.batch_tokens = 0;
    fc_assert_fails(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err,
                    FC_USAGE, "batch-tokens", "0");
    config.batch_tokens = 100;
    source.text.corpus.n_paths = 0;
    fc_assert_fails(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err,
                    FC_USAGE, "text");
    source.text.corpus.n_paths = 1;
    static const char *const standard_input[] = {"-"};
    source.text.corpus.paths = standard_input;
    source.mean = NULL;
    fc_assert_fails(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err,
                    FC_USAGE, "standard input", "only once");
    source.text.corpus.paths = f->paths;
    source.text.max_length = 1;
    fc_assert_fails(fc_eval(&config, sae, &source, f->be, &eval, &r, &err), &err,
                    FC_USAGE, "max-length");
    assert_null(eval);
    fc_sae_free(sae);
}

static void a_text_without_tokens_is_refused(void **state)
{
    fixture f = *(fixture *)*state;
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_sae *sae = sae_of("mlp");
    const fc_eval_config config = exact_config("keep");
    fc_eval_result r;
    json_t *eval = NULL;
    fc_err err;
    fc_test_dir_make(dir);
    fc_test_path(path, dir, "blank.txt");
    fc_test_write(path, "\n \n\n", 4);
    f.paths[0] = path;
    const fc_eval_source source = source_of(&f, sae);
    fc_assert_fails(fc_eval(&config, sae, &source, f.be, &eval, &r, &err), &err,
                    FC_MISMATCH, "blank.txt", "no tokens");
    fc_test_dir_remove(dir);
    fc_sae_free(sae);
}

typedef struct faulty {
    const fixture *f;
    const fc_sae *sae;
} faulty;

static fc_status use_all(void *ctx, fc_err *err)
{
    const faulty *u = ctx;
    fc_eval_source source = source_of(u->f, u->sae);
    fc_eval_config config = exact_config("keep");
    fc_eval_result r;
    json_t *eval = NULL;
    config.tokens = 5;
    config.batch_tokens = 8;
    source.text.max_length = 8;
    source.mean = NULL; /* so that it is looked for */
    const fc_status status = fc_eval(&config, u->sae, &source, u->f->be, &eval, &r, err);
    json_decref(eval);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    fc_sae *sae = sae_of("mlp");
    faulty u = {*state, sae};
    assert_true(fc_test_sweep_alloc(use_all, NULL, &u) > 50);
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_measures_are_those_of_transformers),
        cmocka_unit_test(any_number_of_threads_gives_the_same_file),
        cmocka_unit_test(sequences_do_not_depend_on_the_batch_they_are_in),
        cmocka_unit_test(with_its_error_added_back_an_sae_changes_nothing),
        cmocka_unit_test(whole_sequences_are_taken_until_there_are_enough_tokens),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_text_without_tokens_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    if (!fc_fixture_exists("eval/expected.json")) return 0;
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
