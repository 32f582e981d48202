/* test_absorption.c - judgements by hand, a planted absorption, and words and prompts of the model.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/absorption.h"
#include "study/absorption_internal.h"
#include "study/first_letter_internal.h"

static fc_backend *be;

/* --- one word ------------------------------------------------------------------------------- */

static void words_are_judged_as_by_hand(void **state)
{
    (void)state;
    /* features 0, 1: main; 2, 3, 4, 5: others; 6: against the probe */
    const float cosine[] = {0.9f, 0.5f, 0.5f, 0.2f, 0.125f, 0.0625f, -0.5f};
    const struct {
        int64_t n;
        int32_t feature[5];
        float value[5];
        double a, fraction;
        bool is_full;
    } cases[] = {
        {0, {0}, {0}, 1, 0, false},             /* nothing fires */
        {1, {0}, {10}, 9, 0, false},            /* the main feature does it all */
        {1, {2}, {4}, 4, 1, true},              /* 2 of 4 by another */
        {1, {2}, {2}, 4, 0, false},             /* 1 of 4 is less than .4 */
        {1, {2}, {4}, 0, 0, false},             /* the probe is not in it */
        {1, {2}, {4}, -1, 0, false},            /* .. or points away */
        {1, {5}, {64}, 4, 0, true},             /* full from .025, a fraction from .1 */
        {1, {6}, {64}, 4, 0, false},            /* against the probe */
        {2, {1, 2}, {2, 4}, 4, 2.0 / 3, false}, /* main 1, absorber 2 of 3 */
        {2, {1, 2}, {2, 20}, 4, 0.75, false},   /* no more than is missing: 3 */
        {3, {2, 3, 4}, {2, 5, 8}, 4, 1, false}, /* three of 1 each: none alone .4 */
        {5,
         {0, 2, 3, 4, 5},
         {1, 2, 5, 8, 99},
         4,
         3.0 / 3.9,
         false},                            /* main .9 and three */
        {2, {1, 3}, {10, 30}, 4, 0, false}, /* main gives more than there is */
    };
    const int32_t main_feature[] = {0, 1};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const fc_word_features word = {cases[i].n, cases[i].feature, cases[i].value};
        const fc_word_judgement j =
            fc_judge_word(&word, cosine, main_feature, 2, cases[i].a);
        assert_int_equal(j.is_full, cases[i].is_full);
        assert_true(fabs(j.fraction - cases[i].fraction) < 1e-6);
    }
}

/* --- planted letters -------------------------------------------------------------------------- */

/* Three letters, a direction each. Words of letter 0 whose number is a multiple of 4 have a direction
 * of their own beside it, and a feature that reads this one and writes both: the feature of letter 0
 * is silent there. */
enum {
    D = 12,
    N_LETTERS = 3,
    N_WORDS = 300,
    N_TRAIN = 240,
    N_FEATURES = 8,
    ABSORBER = 3
};

typedef struct planted {
    float x[N_WORDS * D];
    uint8_t letter[N_WORDS];
    fc_sae *sae;
    int64_t n_absorbed; /* test words */
} planted;

static planted *plant(void)
{
    planted *p = calloc(1, sizeof *p);
    fc_err err;
    assert_non_null(p);
    fc_assert_ok(fc_sae_new(&p->sae, "standard", D, D, N_FEATURES, &err), &err);
    for (int64_t t = 0; t < N_WORDS; t++) {
        const int64_t letter = t % N_LETTERS;
        const bool is_absorbed = letter == 0 && t / N_LETTERS % 4 == 0;
        float *x = p->x + t * D;
        for (int64_t j = N_LETTERS + 1; j < D; j++)
            x[j] = 0.2f * (float)fc_rng_normal(1, FC_RNG_TEST, (uint64_t)(t * D + j));
        x[letter] = 3.0f;
        if (is_absorbed) x[ABSORBER] = 4.0f;
        p->letter[t] = (uint8_t)letter;
        p->n_absorbed += is_absorbed && t >= N_TRAIN;
    }
    float *enc = p->sae->w_enc, *dec = p->sae->w_dec;
    for (int64_t i = 0; i < N_LETTERS; i++) enc[i * D + i] = dec[i * D + i] = 1.0f;
    enc[ABSORBER] = -1.0f; /* feature 0 sees x_0 - x_3 */
    enc[ABSORBER * D + ABSORBER] = 1.0f;
    dec[ABSORBER * D + ABSORBER] = 4.0f; /* decoder rows need not have length 1 */
    dec[ABSORBER * D] = 3.0f;
    for (int64_t i = ABSORBER + 1; i < N_FEATURES; i++)
        enc[i * D + i] = dec[i * D + i] = 1.0f;
    return p;
}

static void unplant(planted *p)
{
    fc_sae_free(p->sae);
    free(p);
}

static fc_letter_rows rows_of(const planted *p)
{
    return (fc_letter_rows){N_WORDS, N_TRAIN, p->x, p->letter};
}

static void a_planted_absorption_is_found_where_it_is(void **state)
{
    (void)state;
    planted *p = plant();
    fc_absorption r;
    fc_err err;
    const fc_letter_rows rows = rows_of(p);
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    assert_true(r.n_letters == N_LETTERS && r.n_words == N_WORDS && r.n_test == 60);
    for (int i = 0; i < N_LETTERS; i++) {
        const fc_letter_absorption *l = &r.letter[i];
        assert_true(l->n_train == 80 && l->n_test == 20 && l->n_judged == 20);
        assert_true(l->probe_f1 == 1.0);
        if (i == 0) continue;
        assert_true(l->n_split == 1 && l->feature[0] == i && l->f1[0] == 1.0);
        assert_true(l->n_full == 0 && l->fraction == 0.0);
    }
    /* Letter 0: its feature alone misses a quarter, and the second one makes good for it: a split. */
    assert_true(r.letter[0].feature[0] == 0 || r.letter[0].feature[0] == ABSORBER);
    assert_true(r.letter[0].n_split == 2 && r.letter[0].f1[1] == 1.0 &&
                r.letter[0].n_full == 0);
    assert_true(p->n_absorbed == 5 && r.probe_f1 == 1.0);
    unplant(p);
}

/* When the absorber also fires on words of other letters, at random, it is no good as a main feature, and
 * what it takes is absorbed. */
static void an_absorber_that_is_no_split_absorbs(void **state)
{
    (void)state;
    planted *p = plant();
    fc_absorption r;
    fc_err err;
    for (int64_t t = 0; t < N_WORDS; t++) /* as often elsewhere, where it says nothing */
        if (t % N_LETTERS != 0 && t / N_LETTERS % 4 < 3) p->x[t * D + ABSORBER] = 4.0f;
    const fc_letter_rows rows = rows_of(p);
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    const fc_letter_absorption *l = &r.letter[0];
    assert_true(l->n_judged == 20 && l->n_split == 1 && l->feature[0] == 0);
    assert_true(fabs(l->f1[0] - 6.0 / 7) < 1e-9); /* 15 of 20, none wrong */
    assert_int_equal(l->n_full, p->n_absorbed);
    assert_true(l->full == 0.25 && l->fraction == 0.25);
    assert_true(fabs(r.full - 0.25 / 3) < 1e-12 && r.full_std > 0.1);
    unplant(p);
}

static void scale_of_activations_does_not_matter(void **state)
{
    (void)state;
    fc_absorption r[2];
    fc_err err;
    for (int k = 0; k < 2; k++) {
        planted *p = plant();
        for (int64_t e = 0; e < N_WORDS * D; e++) p->x[e] *= k == 0 ? 1.0f : 256.0f;
        const fc_letter_rows rows = rows_of(p);
        fc_assert_ok(
            fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r[k], &err), &err);
        unplant(p);
    }
    assert_true(r[0].full == r[1].full && r[0].n_split == r[1].n_split);
    assert_true(fabs(r[0].fraction - r[1].fraction) < 1e-9);
}

static void dead_tiny_and_broken_cases_are_answered(void **state)
{
    (void)state;
    planted *p = plant();
    fc_absorption r;
    fc_err err;
    fc_letter_rows rows = rows_of(p);
    memset(p->sae->w_enc, 0, N_FEATURES * D * sizeof(float)); /* nothing fires */
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    assert_true(r.n_letters == 0 && r.letter[0].n_k == 0 && r.letter[0].probe_f1 == 1.0);
    rows.n = rows.n_train = 0;
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    assert_true(r.n_words == 0 && r.n_letters == 0);
    rows.n = rows.n_train = 1; /* no test word */
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    rows = rows_of(p);
    memset(p->letter, 5,
           sizeof p->letter); /* one letter alone is nothing to tell apart */
    fc_assert_ok(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                 &err);
    assert_true(r.n_letters == 0 && r.letter[5].n_train == N_TRAIN);
    p->x[7 * D] = (float)INFINITY;
    fc_assert_fails(fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, &err),
                    &err, FC_FORMAT, "word 7", "not finite");
    unplant(p);
    fc_sae *transcoder;
    fc_assert_ok(fc_sae_new(&transcoder, "transcoder", D, 5, 2, &err), &err);
    fc_assert_fails(
        fc_absorption_judge(&rows, transcoder, FC_PRECISION_F32, be, &r, &err), &err,
        FC_MISMATCH, "transcoder");
    fc_sae_free(transcoder);
}

static fc_status scenario(void *ctx, fc_err *err)
{
    const planted *p = ctx;
    const fc_letter_rows rows = {30, 24, p->x, p->letter};
    fc_absorption r;
    return fc_absorption_judge(&rows, p->sae, FC_PRECISION_F32, be, &r, err);
}

static void faults_and_interruptions_are_reported(void **state)
{
    (void)state;
    planted *p = plant();
    fc_err err;
    assert_true(fc_test_sweep_alloc(scenario, NULL, p) >= 30);
    fc_cancel_set(true);
    fc_assert_fails(scenario(p, &err), &err, FC_CANCELLED, "first letters");
    fc_cancel_set(false);
    unplant(p);
}

/* --- words and prompts -------------------------------------------------------------------------- */

static fc_tokenizer *example_tokenizer(void)
{
    char path[FC_PATH_MAX];
    fc_tokenizer *tokenizer;
    fc_err err;
    fc_source_file(path, "assets/example-model");
    fc_assert_ok(fc_tokenizer_load(&tokenizer, path, &err), &err);
    return tokenizer;
}

static void words_are_a_space_and_letters_a_fifth_of_each_for_tests(void **state)
{
    (void)state;
    fc_tokenizer *tokenizer = example_tokenizer();
    fc_letter_words words, again, few;
    fc_err err;
    int64_t n_of[2][FC_LETTERS] = {{0}};
    fc_assert_ok(fc_letter_words_choose(&words, tokenizer, INT64_MAX, 3, &err), &err);
    assert_true(words.n == words.n_vocabulary && words.n > 4000);
    for (int64_t i = 0; i < words.n; i++) {
        const char *piece = fc_tokenizer_piece(tokenizer, words.token[i]);
        assert_memory_equal(piece, "\xe2\x96\x81", 3);
        assert_true(strlen(piece) > 3);
        assert_true(strspn(piece + 3, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                                      "YZ") == strlen(piece + 3));
        assert_int_equal((piece[3] | 0x20) - 'a', words.letter[i]);
        n_of[i >= words.n_train][words.letter[i]]++;
    }
    for (int i = 0; i < FC_LETTERS; i++)
        assert_int_equal(n_of[1][i], (n_of[0][i] + n_of[1][i]) / 5);
    fc_assert_ok(fc_letter_words_choose(&again, tokenizer, INT64_MAX, 3, &err), &err);
    assert_memory_equal(words.token, again.token, (size_t)words.n * sizeof(int32_t));
    fc_assert_ok(fc_letter_words_choose(&few, tokenizer, 100, 4, &err), &err);
    assert_true(few.n == 100 && few.n_vocabulary == words.n && few.n_train >= 80);
    fc_letter_words_deinit(&words);
    fc_letter_words_deinit(&again);
    fc_letter_words_deinit(&few);
    fc_tokenizer_free(tokenizer);
}

typedef struct example {
    fc_model *model;
    fc_tokenizer *tokenizer;
} example;

static fc_letter_prompts prompts_of(const example *e, int64_t examples)
{
    return (fc_letter_prompts){.model = e->model,
                               .tokenizer = e->tokenizer,
                               .hook = "model.layers.0.mlp.down_proj",
                               .d = 256,
                               .examples = examples,
                               .seed = 1,
                               .precision = FC_F32_PRECISION,
                               .be = be};
}

static fc_status keep_last_row(void *ctx, const fc_hook_point *point, float *x,
                               int64_t n_tokens, fc_err *err)
{
    (void)point;
    (void)err;
    memcpy(ctx, x + (n_tokens - 1) * 256, 256 * sizeof *x);
    return FC_OK;
}

/* Without examples the prompt is a new line and the word: the plain way makes the same. */
static void activations_are_those_of_the_words_in_their_prompts(void **state)
{
    const example *e = *state;
    fc_letter_words words;
    float *x, *with, row[256];
    fc_runner *runner;
    fc_encoder *encoder;
    fc_tokens line = {0};
    fc_hook hook = {.fn = keep_last_row, .ctx = row};
    fc_err err;
    fc_letter_prompts prompts = prompts_of(e, 0);
    fc_assert_ok(fc_letter_words_choose(&words, e->tokenizer, 40, 2, &err), &err);
    fc_assert_ok(fc_letter_activations(&words, &prompts, &x, &err), &err);
    assert_int_equal(words.n, 40);
    fc_assert_ok(
        fc_hook_parse(&hook.point, prompts.hook, fc_model_config(e->model), &err), &err);
    fc_assert_ok(fc_runner_new(&runner, e->model, be, FC_F32_PRECISION, 64, &err), &err);
    fc_assert_ok(fc_encoder_new(&encoder, e->tokenizer, &err), &err);
    fc_assert_ok(fc_encode(encoder, "\n", 1, (fc_encode_options){0}, &line, &err), &err);
    assert_int_equal(line.n, 2);
    for (int64_t i = 0; i < words.n; i++) {
        const int32_t id[] = {line.id[0], line.id[1], words.token[i]};
        const int64_t begin[] = {0, 3};
        const fc_batch batch = {id, {1, begin}};
        fc_assert_ok(fc_runner_run(runner, batch, &hook, 1, &err), &err);
        fc_assert_close(x + i * 256, row, 256, 1e-6, 1e-6);
    }
    prompts.examples = 10; /* examples change what the word is seen in */
    fc_assert_ok(fc_letter_activations(&words, &prompts, &with, &err), &err);
    assert_true(fc_compare(with, x, words.n * 256).l2 > 0.01);
    prompts.d = 255;
    float *none;
    fc_assert_fails(fc_letter_activations(&words, &prompts, &none, &err), &err,
                    FC_MISMATCH, "256", "255");
    assert_null(none);
    fc_tokens_free(&line);
    fc_encoder_free(encoder);
    fc_runner_free(runner);
    fc_letter_words_deinit(&words);
    fc_free(x);
    fc_free(with);
}

static fc_sae *random_sae(const char *hook)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, "standard", 256, 256, 64, &err), &err);
    (void)snprintf(sae->hook, sizeof sae->hook, "%s", hook);
    for (int64_t i = 0; i < 256 * 64; i++)
        sae->w_enc[i] = sae->w_dec[i] =
            (float)fc_rng_normal(9, FC_RNG_TEST, (uint64_t)i) / 16.0f;
    return sae;
}

static void any_number_of_threads_gives_the_same_numbers(void **state)
{
    const example *e = *state;
    fc_absorption r[2];
    fc_absorption_config config;
    fc_err err;
    fc_sae *sae = random_sae("model.layers.0.mlp.down_proj");
    fc_absorption_defaults(&config);
    config.words = 400;
    config.examples = 2;
    config.precision = FC_F32_PRECISION;
    memset(r, 0, sizeof r);
    for (int t = 0; t < 2; t++) {
        fc_backend *own;
        fc_par_set_threads(t == 0 ? 1 : 3);
        fc_assert_ok(fc_backend_open(&own, NULL, &err), &err);
        fc_assert_ok(
            fc_absorption_measure(&config, sae, e->model, e->tokenizer, own, &r[t], &err),
            &err);
        fc_backend_close(own);
    }
    assert_memory_equal(&r[0], &r[1], sizeof r[0]);
    assert_true(r[0].n_words == 400 && r[0].n_vocabulary > 4000 && r[0].n_letters > 0);
    fc_cancel_set(true);
    fc_assert_fails(
        fc_absorption_measure(&config, sae, e->model, e->tokenizer, be, &r[0], &err),
        &err, FC_CANCELLED, "first letters");
    fc_cancel_set(false);
    (void)snprintf(sae->hook, sizeof sae->hook, "nowhere");
    fc_assert_fails(
        fc_absorption_measure(&config, sae, e->model, e->tokenizer, be, &r[0], &err),
        &err, FC_USAGE, "nowhere");
    fc_sae_free(sae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_judged_as_by_hand),
        cmocka_unit_test(a_planted_absorption_is_found_where_it_is),
        cmocka_unit_test(an_absorber_that_is_no_split_absorbs),
        cmocka_unit_test(scale_of_activations_does_not_matter),
        cmocka_unit_test(dead_tiny_and_broken_cases_are_answered),
        cmocka_unit_test(faults_and_interruptions_are_reported),
        cmocka_unit_test(words_are_a_space_and_letters_a_fifth_of_each_for_tests),
    };
    char path[FC_PATH_MAX];
    example e = {0};
    fc_par_set_threads(3);
    if (fc_backend_open(&be, NULL, NULL) != FC_OK) return 1;
    fc_source_file(path, "assets/example-model");
    if (fc_model_load(&e.model, path, NULL) != FC_OK) return 1;
    if (fc_tokenizer_load(&e.tokenizer, path, NULL) != FC_OK) return 1;
    const struct CMUnitTest model_tests[] = {
        cmocka_unit_test_prestate(activations_are_those_of_the_words_in_their_prompts,
                                  &e),
        cmocka_unit_test_prestate(any_number_of_threads_gives_the_same_numbers, &e),
    };
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL) +
                         cmocka_run_group_tests(model_tests, NULL, NULL);
    fc_tokenizer_free(e.tokenizer);
    fc_model_close(e.model);
    fc_backend_close(be);
    return n_failed;
}
