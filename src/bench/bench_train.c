/* bench_train.c - one training step, at three ways of firing and two of competing, in two precisions.
 *
 *   1 %      of the features fire on a row: what sparse recipes end with
 *   12 %     the beginning of training
 *   seed     the end of the recipe 'seed' at 1152 -> 9216: 6,788 of 9,216 features are dead, and
 *            1,131 fire on a row
 *   topk     the 32 or 128 strongest of each row; `select` is what the choice itself takes
 *
 * The step is that of `facet train` with the recipe's configuration, but a learning rate of almost 0,
 * so that the features go on firing as they were set to (rates.h). Batches are parts of one set
 * of rows, again and again; the first round brings the moments to where they stay.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "bench/bench_internal.h"
#include "bench/train_limit.h"
#include "sae/select.h"
#include "sae/step.h"

typedef struct cell {
    const char *name;
    double share; /* of the features that are not dead, firing on a row */
    double dead;  /* share of all features */
    const char *arch;
    int64_t k;
} cell;

static const cell cells[] = {
    {"1 % fire", 0.01, 0.0, "standard", 0},
    {"12 % fire", 0.12, 0.0, "standard", 0},
    {"as after the seed recipe", 1131.0 / (9216 - 6788), 6788.0 / 9216, "standard", 0},
    {"topk 32", 0.12, 0.0, "topk", 32},
    {"topk 128", 0.12, 0.0, "topk", 128},
};

typedef struct training {
    fc_step *step;
    const float *x; /* [n_batches, batch, d_in] */
    int64_t n_batches;
    int64_t k; /* steps done */
    double forward_s, update_s;
} training;

static fc_status one_step(void *ctx, double *seconds, fc_err *err)
{
    training *const t = ctx;
    fc_step *const step = t->step;
    (void)seconds;
    (void)err;
    step->x = t->x + t->k % t->n_batches * step->n * step->sae->d_in;
    const double begin_s = fc_clock_s();
    fc_step_forward(step);
    const double between_s = fc_clock_s();
    fc_step_update(step, 1e-12, ++t->k);
    t->forward_s += between_s - begin_s;
    t->update_s += fc_clock_s() - between_s;
    return FC_OK;
}

static fc_status encode(void *ctx, double *seconds, fc_err *err)
{
    const training *const t = ctx;
    fc_step *const step = t->step;
    (void)seconds;
    (void)err;
    fc_codes_encode(step->codes, step->sae, step->be, t->x, step->n);
    return FC_OK;
}

/* The selection alone, from z in memory. */
static fc_status choose(void *ctx, double *seconds, fc_err *err)
{
    const training *const t = ctx;
    fc_codes *const codes = t->step->codes;
    const fc_select_job job = {.z = fc_codes_z(codes),
                               .scale = codes->norm,
                               .n_ids = codes->d_sae,
                               .n = codes->n,
                               .k = t->step->sae->k,
                               .is_positive = true};
    (void)seconds;
    (void)err;
    (void)fc_select_run(fc_codes_select(codes), t->step->be, &job, &codes->lists, 0);
    return FC_OK;
}

/* Features whose first moment is not 0 yet: those that fired in any batch. */
static int64_t count_moving(const fc_step *step)
{
    int64_t n = 0;
    for (int64_t i = 0; i < step->sae->d_sae; i++) n += step->fired[i] > 0;
    return n;
}

/* Where the time went: shares of all steps, of the median step. */
static void add_parts(fc_bench_row *row, const training *t, double encode_s)
{
    const double all_s = fmax(t->forward_s + t->update_s, 1e-12);
    const double forward_ms = row->median * t->forward_s / all_s;
    const double encode_ms = fmin(1e3 * encode_s, forward_ms);
    fc_bench_detail_add(row, "encode", encode_ms, "ms");
    fc_bench_detail_add(row, "decode", forward_ms - encode_ms, "ms");
    fc_bench_detail_add(row, "update", row->median - forward_ms, "ms");
}

static void add_limit(const fc_bench_run *run, fc_bench_row *row, const fc_step *step,
                      int64_t n_moving)
{
    const fc_train_shape shape = {.d_in = step->sae->d_in,
                                  .d_sae = step->sae->d_sae,
                                  .n = step->n,
                                  .count = step->codes->firing.count,
                                  .n_moving = n_moving,
                                  .precision = step->precision};
    const fc_train_limit limit = fc_train_limit_of(&shape, &run->peaks);
    fc_bench_limit(row, (fc_bench_unit){"ms", 0.0}, limit.total);
    fc_bench_limit_detail(row, "encode", 1e3 * limit.encode, "ms");
    fc_bench_limit_detail(row, "decode", 1e3 * limit.decode, "ms");
    fc_bench_limit_detail(row, "gradients", 1e3 * limit.gradients, "ms");
    fc_bench_limit_detail(row, "Adam", 1e3 * limit.adam, "ms");
    fc_bench_limit_detail(row, "other", 1e3 * limit.other, "ms");
}

/* A part of the step, for a fifth of a row's time. */
static fc_status sample_part(fc_bench_run *run, fc_work_fn *fn, training *t,
                             fc_sample_stats *stats, fc_err *err)
{
    fc_sampler_set_seconds(run->sampler, 0.2 * run->seconds);
    const fc_status status = fc_sampler_run(run->sampler, fn, t, stats, err);
    fc_sampler_set_seconds(run->sampler, run->seconds);
    return status;
}

static fc_status measure_step(fc_bench_run *run, const char *name, training *t,
                              fc_err *err)
{
    const fc_bench_unit unit = {"ms", 0.0};
    fc_sample_stats encoding;
    fc_bench_row *row;
    double ignored;
    for (int64_t i = 0; i < t->n_batches; i++) FC_TRY(one_step(t, &ignored, err));
    t->forward_s = t->update_s = 0.0;
    FC_TRY(fc_bench_measure(run, name, unit, one_step, t, &row, err));
    const double l0 = t->step->losses.l0;
    const int64_t n_moving = count_moving(t->step);
    add_limit(run, row, t->step, n_moving);
    FC_TRY(sample_part(run, encode, t, &encoding, err));
    add_parts(row, t, encoding.median);
    if (fc_codes_select(t->step->codes) != NULL) {
        FC_TRY(sample_part(run, choose, t, &encoding, err));
        fc_bench_detail_add(row, "select", 1e3 * encoding.median, "ms");
    }
    fc_bench_detail_add(row, "fire", 100.0 * l0 / (double)t->step->sae->d_sae, "%");
    fc_bench_detail_add(row, "l0", l0, "");
    fc_bench_detail_add(row, "moving", (double)n_moving, "features");
    return FC_OK;
}

/* Both precisions, on the same SAE: nothing moves it. */
static fc_status measure_cell(fc_bench_run *run, const cell *at, fc_err *err)
{
    const fc_bench_config *const c = run->config;
    training t = {.n_batches = c->is_quick ? 2 : 8};
    fc_train_config config;
    fc_sae *sae = NULL;
    float *x = NULL;
    const int64_t n_dead = (int64_t)(at->dead * (double)c->d_sae);
    fc_status status;
    fc_train_defaults(&config);
    config.d_sae = c->d_sae;
    config.batch_size = c->batch;
    FC_TRY_GOTO(
        fc_bench_sae(run, at->share, n_dead, t.n_batches * c->batch, &sae, &x, err));
    (void)snprintf(sae->arch, sizeof sae->arch, "%s", at->arch); /* of the same tensors */
    while (strcmp(fc_arch_at(config.arch)->name, at->arch) != 0) config.arch++;
    config.k = (double)fc_max(1, fc_min(at->k, c->d_sae / 2));
    for (int bf16 = 0; bf16 < 2; bf16++) {
        char name[80];
        config.precision = bf16 ? FC_BF16_PRECISION : FC_F32_PRECISION;
        FC_TRY_GOTO(fc_step_new(&t.step, &config, run->be, sae, false, err));
        t.x = x;
        t.k = 0;
        t.step->n = c->batch;
        t.step->l1_coefficient = config.l1_coefficient;
        (void)snprintf(name, sizeof name, "%s, %s", at->name, bf16 ? "bf16" : "f32");
        FC_TRY_GOTO(measure_step(run, name, &t, err));
        fc_step_free(t.step);
        t.step = NULL;
    }
done:
    fc_step_free(t.step);
    fc_sae_free(sae);
    fc_free(x);
    return status;
}

fc_status fc_bench_train(fc_bench_run *run, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(cells); i++) FC_TRY(measure_cell(run, &cells[i], err));
    return FC_OK;
}
