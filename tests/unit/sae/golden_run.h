/* golden_run.h - a training run of the fixtures, walked step by step: its data, and comparisons
 * that say where they fail. Tolerances are those of the fixtures' README.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_GOLDEN_RUN_H
#define FC_GOLDEN_RUN_H

#include "testing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "sae/schedule.h"
#include "sae/step.h"

typedef struct golden_run {
    char name[64], dir[FC_PATH_MAX];
    json_t *json;
    fc_train_config config;
    fc_safetensors *start, *trace;
    int64_t n_rows, d_in, d_out, d_sae, n_steps;
    float *x, *y;                /* [n_rows, d_in], [n_rows, d_out]; y NULL: x */
    float *batch, *target_batch; /* [batch_size, d_in], [batch_size, d_out] */
    fc_sae *sae;
    fc_step *step;
    fc_backend *be;
    double worst; /* largest part of a tolerance that was used */
} golden_run;

static inline double number(const golden_run *r, const char *key)
{
    const json_t *value = json_object_get(r->json, key);
    return json_is_null(value) ? 0.0 : json_number_value(value);
}

static inline bool truth(const golden_run *r, const char *key)
{
    return json_is_true(json_object_get(r->json, key));
}

static inline const fc_tensor *find(const fc_safetensors *st, const char *name)
{
    const fc_tensor *t = fc_safetensors_find(st, name);
    if (t == NULL) fail_msg("%s holds no '%s'", fc_safetensors_path(st), name);
    return t;
}

/* A new array; W_enc comes back feature-major, as Facet holds it. */
static inline float *values(const fc_safetensors *st, const char *name)
{
    fc_err err = {0};
    const fc_tensor *t = find(st, name);
    float *v = NULL;
    fc_assert_ok(fc_tensor_to_f32(t, &v, &err), &err);
    if (strstr(name, "W_enc") == NULL) return v;
    float *turned = malloc((size_t)t->n * sizeof *turned);
    assert_non_null(turned);
    for (int64_t i = 0; i < t->shape[0]; i++)
        for (int64_t j = 0; j < t->shape[1]; j++)
            turned[j * t->shape[0] + i] = v[i * t->shape[1] + j];
    memcpy(v, turned, (size_t)t->n * sizeof *v);
    free(turned);
    return v;
}

/* Opens sae/training/NAME and reads what does not depend on the kind of run. */
static inline void golden_open(golden_run *r, const char *name, fc_backend *be)
{
    fc_err err = {0};
    char path[FC_PATH_MAX];
    *r = (golden_run){.be = be};
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(path, sizeof path, "sae/training/%s", name);
    fc_fixture(r->dir, path);
    fc_test_path(path, r->dir, "config.json");
    fc_assert_ok(fc_json_load(&r->json, path, &err), &err);
    fc_test_path(path, r->dir, "start.safetensors");
    fc_assert_ok(fc_safetensors_open(&r->start, path, &err), &err);
    fc_test_path(path, r->dir, "trace.safetensors");
    fc_assert_ok(fc_safetensors_open(&r->trace, path, &err), &err);
    r->n_steps = (int64_t)number(r, "steps");
    r->d_sae = (int64_t)number(r, "d_sae");
    r->d_in = r->d_out = (int64_t)number(r, "d_in");
    r->x = values(r->start, "x");
    r->n_rows = find(r->start, "x")->shape[0];
    if (fc_safetensors_find(r->start, "y") == NULL) return;
    r->d_out = (int64_t)number(r, "d_out");
    r->y = values(r->start, "y");
}

/* The SAE, its start weights and a step, once r->config is set. */
static inline void golden_begin(golden_run *r)
{
    fc_err err = {0};
    const int64_t n = r->config.batch_size;
    fc_assert_ok(fc_alloc(&r->batch, n * r->d_in, sizeof(float), "batch", &err), &err);
    fc_assert_ok(fc_alloc(&r->target_batch, n * r->d_out, sizeof(float), "batch", &err),
                 &err);
    fc_assert_ok(fc_sae_new(&r->sae, fc_arch_at(r->config.arch)->name, r->d_in, r->d_out,
                            r->d_sae, &err),
                 &err);
    r->sae->is_b_dec_subtracted = r->config.apply_b_dec_to_input;
    fc_assert_ok(fc_step_new(&r->step, &r->config, r->be, r->sae, true, &err), &err);
    for (int i = 0; i < r->step->n_params; i++) {
        const fc_param *p = &r->step->param[i];
        if (p->n == 0) continue;
        float *w = values(r->start, p->name);
        memcpy(p->w, w, (size_t)p->n * sizeof *w);
        fc_free(w);
    }
}

static inline void golden_close(golden_run *r)
{
    fc_step_free(r->step);
    fc_sae_free(r->sae);
    fc_free(r->batch);
    fc_free(r->target_batch);
    fc_free(r->x);
    fc_free(r->y);
    fc_safetensors_close(r->start);
    fc_safetensors_close(r->trace);
    json_decref(r->json);
}

static inline void near(golden_run *r, double found, double expected, double tolerance,
                        const char *what, int64_t t)
{
    const double deviation = fabs(found - expected) / fmax(fabs(expected), 1e-300);
    r->worst = fmax(r->worst, deviation / tolerance);
    if (!(deviation <= tolerance))
        fail_msg("%s, step %" PRId64 ": %s is %.9g, expected %.9g (off by %.2g of %.2g)",
                 r->name, t, what, found, expected, deviation, tolerance);
}

static inline void tensor_near(golden_run *r, const float *found, const char *name,
                               double tolerance)
{
    float *expected = values(r->trace, name);
    const fc_difference d = fc_compare(found, expected, find(r->trace, name)->n);
    r->worst = fmax(r->worst, d.max_norm / tolerance);
    if (!(d.max_norm <= tolerance))
        fail_msg("%s: %s is off by %.3g, allowed %.3g", r->name, name, d.max_norm,
                 tolerance);
    fc_free(expected);
}

static inline double scalar_at(const fc_safetensors *st, const char *name, int64_t t)
{
    const fc_tensor *tensor = find(st, name);
    assert_true(t < tensor->n);
    float f;
    double d;
    if (tensor->dtype == FC_F64) {
        memcpy(&d, (const char *)tensor->data + (size_t)t * sizeof d, sizeof d);
        return d;
    }
    assert_int_equal(tensor->dtype, FC_F32);
    memcpy(&f, (const char *)tensor->data + (size_t)t * sizeof f, sizeof f);
    return (double)f;
}

static inline void check_gradients(golden_run *r, const char *prefix)
{
    char name[64];
    for (int i = 0; i < r->step->n_params; i++) {
        if (r->step->param[i].n == 0) continue;
        snprintf(name, sizeof name, "%s.%s", prefix, r->step->param[i].name);
        if (fc_safetensors_find(r->trace, name) != NULL)
            tensor_near(r, r->step->param[i].g, name, 1e-5);
    }
}

static inline void check_state(golden_run *r, const char *stage, double tolerance)
{
    char name[64];
    for (int i = 0; i < r->step->n_params; i++) {
        const fc_param *p = &r->step->param[i];
        if (p->n == 0) continue;
        snprintf(name, sizeof name, "%s.%s", stage, p->name);
        tensor_near(r, p->w, name, tolerance);
        snprintf(name, sizeof name, "%s.adam_m.%s", stage, p->name);
        if (fc_safetensors_find(r->trace, name) == NULL) continue;
        tensor_near(r, p->m, name, 2e-5);
        snprintf(name, sizeof name, "%s.adam_v.%s", stage, p->name);
        tensor_near(r, p->v, name, 2e-5);
    }
}

static inline void take_batch(golden_run *r, int64_t t)
{
    const fc_tensor *index = find(r->start, "batch_index");
    assert_int_equal(index->dtype, FC_I32);
    const int64_t size = index->shape[1];
    int64_t n = 0;
    for (int64_t j = 0; j < size; j++) {
        int32_t row;
        memcpy(&row, (const char *)index->data + (size_t)(t * size + j) * sizeof row,
               sizeof row);
        if (row < 0) continue;
        memcpy(r->batch + n * r->d_in, r->x + row * r->d_in,
               (size_t)r->d_in * sizeof(float));
        if (r->y != NULL)
            memcpy(r->target_batch + n * r->d_out, r->y + row * r->d_out,
                   (size_t)r->d_out * sizeof(float));
        n++;
    }
    r->step->x = r->batch;
    r->step->y = r->y != NULL ? r->target_batch : NULL;
    r->step->n = n;
}

#endif
