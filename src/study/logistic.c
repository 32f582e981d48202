/* logistic.c - Newton's method, each step by conjugate gradients (truncated Newton).
 *
 *   m = X w + b,  p = 1 / (1 + exp(-m)),  q = c p (1 - p)
 *   gradient   X^T (c (p - y)) + l2 w,  sum c (p - y)
 *   Hessian    H v = X^T (q (X v + v_b)) + l2 v,  sum q (X v + v_b)
 *   step       H s = -gradient to a tenth, then halved until the loss falls
 *
 * Gradient, loss and margins are in double. Products with the Hessian are in float: they choose the way,
 * not the end. H is never formed: it would be [d, d] for each of many problems.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/logistic_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { LANES = 16, MOST_STEPS = 100, MOST_PRODUCTS = 100, MOST_HALVINGS = 30 };

#define END_GRADIENT 1e-6
#define STEP_RESIDUE 0.1

/* --- rows ------------------------------------------------------------------------------------ */

double fc_logistic_score(const float *x, const double *w, double b, int64_t d)
{
    double lane[8] = {0};
    int64_t j = 0;
    for (; j + 8 <= d; j += 8)
        for (int64_t l = 0; l < 8; l++) lane[l] += (double)x[j + l] * w[j + l];
    for (int64_t l = 0; j + l < d; l++) lane[l] += (double)x[j + l] * w[j + l];
    for (int64_t half = 4; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0] + b;
}

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float lane[LANES] = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int64_t l = 0; l < LANES; l++) lane[l] += a[j + l] * b[j + l];
    for (int64_t l = 0; j + l < n; l++) lane[l] += a[j + l] * b[j + l];
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static double inner(const double *a, const double *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += a[j] * b[j];
    return sum;
}

/* log(1 + exp(-z)), without overflow. */
static double softplus_of_minus(double z)
{
    return z > 0.0 ? log1p(exp(-z)) : log1p(exp(z)) - z;
}

/* --- the problem ------------------------------------------------------------------------------ */

void fc_logistic_balance(fc_logistic *problem, double total)
{
    int64_t n_positive = 0;
    for (int64_t t = 0; t < problem->n; t++) n_positive += problem->y[t];
    const int64_t n_negative = problem->n - n_positive;
    problem->positive_weight = n_positive > 0 ? total / 2.0 / (double)n_positive : 0.0;
    problem->negative_weight = n_negative > 0 ? total / 2.0 / (double)n_negative : 0.0;
}

static double weight_of(const fc_logistic *p, int64_t t)
{
    return p->y[t] ? p->positive_weight : p->negative_weight;
}

/* Loss at w [d + 1], the bias last; margins are left in s. */
static double loss_at(const fc_logistic *p, fc_logistic_scratch *s, const double *w)
{
    double loss = 0.5 * p->l2 * inner(w, w, p->d);
    for (int64_t t = 0; t < p->n; t++) {
        const double m = fc_logistic_score(p->x + t * p->d, w, w[p->d], p->d);
        s->margin[t] = m;
        loss += weight_of(p, t) * softplus_of_minus(p->y[t] ? m : -m);
    }
    return loss;
}

/* Gradient [d + 1] at the margins in s, and q of each row for the Hessian. */
static void gradient_at(const fc_logistic *p, fc_logistic_scratch *s, const double *w,
                        double *restrict g)
{
    const int64_t d = p->d;
    for (int64_t j = 0; j < d; j++) g[j] = p->l2 * w[j];
    g[d] = 0.0;
    for (int64_t t = 0; t < p->n; t++) {
        const float *restrict x = p->x + t * d;
        const double positive = 1.0 / (1.0 + exp(-s->margin[t]));
        const double c = weight_of(p, t), r = c * (positive - (p->y[t] ? 1.0 : 0.0));
        s->row[t] = (float)(c * positive * (1.0 - positive));
        for (int64_t j = 0; j < d; j++) g[j] += r * (double)x[j];
        g[d] += r;
    }
}

/* hv = H v. Floats are summed over blocks of rows, blocks in double. */
static void hessian_times(const fc_logistic *p, fc_logistic_scratch *s, const double *v,
                          double *restrict hv)
{
    enum { BLOCK = 128 };
    const int64_t d = p->d;
    float *restrict sum = s->vector, *restrict narrow = s->vector + d;
    for (int64_t j = 0; j < d; j++) {
        hv[j] = p->l2 * v[j];
        narrow[j] = (float)v[j];
    }
    hv[d] = 0.0;
    for (int64_t first = 0; first < p->n; first += BLOCK) {
        const int64_t end = fc_min(first + BLOCK, p->n);
        memset(sum, 0, (size_t)d * sizeof *sum);
        for (int64_t t = first; t < end; t++) {
            const float *restrict x = p->x + t * d;
            const float r = s->row[t] * (dot(x, narrow, d) + (float)v[d]);
            for (int64_t j = 0; j < d; j++) sum[j] += r * x[j];
            hv[d] += (double)r;
        }
        for (int64_t j = 0; j < d; j++) hv[j] += (double)sum[j];
    }
}

/* --- Newton ------------------------------------------------------------------------------------ */

/* H step = -g, until a tenth of g is left. All [k]; r, u, hu are work space. */
static void find_step(const fc_logistic *p, fc_logistic_scratch *s, const double *g,
                      double *step)
{
    const int64_t k = p->d + 1;
    double *r = s->dim + 3 * k, *u = s->dim + 4 * k, *hu = s->dim + 5 * k;
    double square = inner(g, g, k);
    const double enough = STEP_RESIDUE * STEP_RESIDUE * square;
    for (int64_t j = 0; j < k; j++) {
        step[j] = 0.0;
        r[j] = u[j] = -g[j];
    }
    for (int i = 0; i < MOST_PRODUCTS && square > enough; i++) {
        hessian_times(p, s, u, hu);
        const double curvature = inner(u, hu, k);
        if (!(curvature > 0.0)) break; /* flat to rounding: what there is will do */
        const double a = square / curvature, before = square;
        for (int64_t j = 0; j < k; j++) {
            step[j] += a * u[j];
            r[j] -= a * hu[j];
        }
        square = inner(r, r, k);
        for (int64_t j = 0; j < k; j++) u[j] = r[j] + square / before * u[j];
    }
}

/* w + a step for the first a = 1, 1/2, 1/4 .. where the loss falls enough. False: nowhere. */
static bool walk(const fc_logistic *p, fc_logistic_scratch *s, double *w, const double *g,
                 const double *step, double *loss)
{
    const int64_t k = p->d + 1;
    double *tried = s->dim + 6 * k;
    const double slope = inner(g, step, k);
    double a = 2.0;
    for (int i = 0; i < MOST_HALVINGS && slope < 0.0; i++) {
        a *= 0.5;
        for (int64_t j = 0; j < k; j++) tried[j] = w[j] + a * step[j];
        const double found = loss_at(p, s, tried);
        if (!(found <= *loss + 1e-4 * a * slope)) continue;
        memcpy(w, tried, (size_t)k * sizeof *w);
        *loss = found;
        return true;
    }
    return false;
}

double fc_logistic_solve(const fc_logistic *problem, fc_logistic_scratch *scratch,
                         double *w, double *b)
{
    const int64_t k = problem->d + 1;
    double *at = scratch->dim, *g = scratch->dim + k, *step = scratch->dim + 2 * k;
    memset(at, 0, (size_t)k * sizeof *at);
    double loss = loss_at(problem, scratch, at);
    gradient_at(problem, scratch, at, g);
    const double begin = sqrt(inner(g, g, k));
    double norm = begin;
    for (int i = 0; i < MOST_STEPS && norm > END_GRADIENT * begin; i++) {
        find_step(problem, scratch, g, step);
        if (!walk(problem, scratch, at, g, step, &loss)) break;
        gradient_at(problem, scratch, at, g);
        norm = sqrt(inner(g, g, k));
    }
    memcpy(w, at, (size_t)problem->d * sizeof *w);
    *b = at[problem->d];
    return norm;
}

fc_status fc_logistic_scratch_init(fc_logistic_scratch *scratch, int64_t n, int64_t d,
                                   fc_err *err)
{
    fc_logistic_scratch s = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.margin, n, sizeof *s.margin, "margins", err));
    FC_TRY_GOTO(fc_alloc(&s.dim, d + 1, 7 * sizeof *s.dim, "a probe", err));
    FC_TRY_GOTO(fc_alloc(&s.row, n, sizeof *s.row, "curvatures", err));
    FC_TRY_GOTO(fc_alloc(&s.vector, d, 2 * sizeof *s.vector, "a probe", err));
done:
    if (status != FC_OK) fc_logistic_scratch_deinit(&s);
    *scratch = s;
    return status;
}

void fc_logistic_scratch_deinit(fc_logistic_scratch *scratch)
{
    fc_free(scratch->margin);
    fc_free(scratch->dim);
    fc_free(scratch->row);
    fc_free(scratch->vector);
    *scratch = (fc_logistic_scratch){0};
}
