/* l1_logistic.c - one coordinate after the other (Genkin, Lewis and Madigan 2007, "BBR").
 *
 *   r_t = c_t (p_t - y_t)                      kept up to date
 *   g_j = sum over the column of r_t x_tj      |g_j| <= l1 where w_j = 0 at the minimum
 *   step = what minimises g s + h s^2 / 2 + l1 |w_j + s|, at most radius_j
 *   h    = a bound on the second derivative for all steps within the radius, so that no step goes up and
 *          no line search is needed; the radius follows the steps
 *
 * A column that stands where it is costs one product, so sweeps over all columns are cheap, and between them
 * only those that are not 0 are visited until they stand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/l1_logistic_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { MOST_ROUNDS = 50, MOST_SWEEPS = 50 };

typedef struct descent {
    const fc_l1_logistic *p;
    fc_l1_scratch *s;
    double *w, b;
    double enough; /* violations up to that are none */
    int64_t n_active;
} descent;

static double weight_of(const fc_l1_logistic *p, int64_t t)
{
    return p->y[t] ? p->positive_weight : p->negative_weight;
}

static void set_residue(descent *d, int64_t t)
{
    const double positive = 1.0 / (1.0 + exp(-d->s->margin[t]));
    d->s->residue[t] = weight_of(d->p, t) * (positive - (d->p->y[t] ? 1.0 : 0.0));
}

/* The largest p (1 - p) when the margin of row t moves by up to `reach`: p (1 - p) grows by at most
 * e^reach <= 1 / (1 - reach), and is never above 1/4. */
static double largest_slope(const descent *d, int64_t t, double reach)
{
    const double c = weight_of(d->p, t);
    if (reach >= 0.75 || !(c > 0.0)) return 0.25;
    const double p = d->s->residue[t] / c + (d->p->y[t] ? 1.0 : 0.0);
    return fmin(0.25, p * (1.0 - p) / (1.0 - reach));
}

/* Where w goes, given its gradient and curvature; l1 0: no penalty. */
static double step_of(double w, double g, double h, double l1, double radius)
{
    const double to = w - g / h, by = l1 / h;
    const double shrunk = to > by ? to - by : to < -by ? to + by : 0.0;
    return fmax(-radius, fmin(radius, shrunk - w));
}

static double violation_of(double w, double g, double l1)
{
    if (w == 0.0) return fmax(0.0, fabs(g) - l1);
    return fabs(g + (w > 0.0 ? l1 : -l1));
}

static double move_bias(descent *d)
{
    const int64_t n = d->p->x.n_rows;
    double *radius = &d->s->radius[d->p->x.n_cols], g = 0.0, h = 0.0;
    for (int64_t t = 0; t < n; t++) {
        g += d->s->residue[t];
        h += weight_of(d->p, t) * largest_slope(d, t, *radius);
    }
    if (!(h > 0.0)) return fabs(g);
    const double step = step_of(d->b, g, h, 0.0, *radius);
    *radius = fmax(2.0 * fabs(step), *radius / 2.0);
    d->b += step;
    for (int64_t t = 0; t < n; t++) {
        d->s->margin[t] += step;
        set_residue(d, t);
    }
    return fabs(g);
}

/* Returns the violation that there was. */
static double move_column(descent *d, int64_t j)
{
    const fc_columns *x = &d->p->x;
    const int64_t begin = x->begin[j], end = x->begin[j + 1];
    double g = 0.0, h = 0.0, *radius = &d->s->radius[j];
    for (int64_t e = begin; e < end; e++)
        g += d->s->residue[x->row[e]] * (double)x->value[e];
    const double violation = violation_of(d->w[j], g, d->p->l1);
    if (violation <= d->enough) return violation; /* it stands where it is */
    for (int64_t e = begin; e < end; e++) {
        const double f = (double)x->value[e];
        h += weight_of(d->p, x->row[e]) * f * f *
             largest_slope(d, x->row[e], *radius * fabs(f));
    }
    if (!(h > 0.0)) return 0.0; /* an empty column, or one of zeros */
    const double step = step_of(d->w[j], g, h, d->p->l1, *radius);
    *radius = fmax(2.0 * fabs(step), *radius / 2.0);
    d->w[j] += step;
    for (int64_t e = begin; e < end; e++) {
        d->s->margin[x->row[e]] += step * (double)x->value[e];
        set_residue(d, x->row[e]);
    }
    return violation;
}

static double sweep_all(descent *d)
{
    double worst = move_bias(d);
    d->n_active = 0;
    for (int64_t j = 0; j < d->p->x.n_cols; j++) {
        worst = fmax(worst, move_column(d, j));
        if (d->w[j] != 0.0) d->s->active[d->n_active++] = (int32_t)j;
    }
    return worst;
}

static double sweep_active(descent *d)
{
    double worst = move_bias(d);
    for (int64_t i = 0; i < d->n_active; i++)
        worst = fmax(worst, move_column(d, d->s->active[i]));
    return worst;
}

double fc_l1_logistic_solve(const fc_l1_logistic *problem, fc_l1_scratch *scratch,
                            double *w, double *b)
{
    descent d = {.p = problem, .s = scratch, .w = w};
    d.enough = problem->tolerance * problem->l1;
    double worst = 0.0;
    memset(w, 0, (size_t)problem->x.n_cols * sizeof *w);
    memset(scratch->margin, 0, (size_t)problem->x.n_rows * sizeof *scratch->margin);
    for (int64_t t = 0; t < problem->x.n_rows; t++) set_residue(&d, t);
    for (int64_t j = 0; j <= problem->x.n_cols; j++) scratch->radius[j] = 1.0;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        worst = sweep_all(&d);
        if (worst <= d.enough) break;
        for (int sweep = 0; sweep < MOST_SWEEPS; sweep++)
            if (sweep_active(&d) <= d.enough) break;
    }
    *b = d.b;
    return worst;
}

fc_status fc_l1_scratch_init(fc_l1_scratch *scratch, int64_t n_rows, int64_t n_cols,
                             fc_err *err)
{
    fc_l1_scratch s = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&s.margin, n_rows, sizeof *s.margin, "margins", err));
    FC_TRY_GOTO(fc_alloc(&s.residue, n_rows, sizeof *s.residue, "residues", err));
    FC_TRY_GOTO(fc_alloc(&s.radius, n_cols + 1, sizeof *s.radius, "a probe", err));
    FC_TRY_GOTO(fc_alloc(&s.active, n_cols, sizeof *s.active, "a probe", err));
done:
    if (status != FC_OK) fc_l1_scratch_deinit(&s);
    *scratch = s;
    return status;
}

void fc_l1_scratch_deinit(fc_l1_scratch *scratch)
{
    fc_free(scratch->margin);
    fc_free(scratch->residue);
    fc_free(scratch->radius);
    fc_free(scratch->active);
    *scratch = (fc_l1_scratch){0};
}
