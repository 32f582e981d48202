/* singular_values.c - square roots of the eigenvalues of the smaller of W^T W and W W^T.
 *
 *   G = sum over rows of w w^T          [k, k], k = min(n, d)   (or products of rows, when n < d)
 *   Q^T G Q = tridiagonal               Householder reflections, 4/3 k^3
 *   eigenvalues of it                   QL with implicit shifts, k^2
 *
 * (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3; tred1 and imtql1 of EISPACK.) No
 * vectors are wanted, which leaves little of the general algorithms, and not enough to bring in a
 * library for. Squaring costs half the digits: in double 8 remain, float32 weights have 7.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/singular_values_internal.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/par.h"

/* --- G ---------------------------------------------------------------------------------- */

enum { TILE = 32, DEPTH = 256, LANES = 8, ROW_GRAIN = 16, MOST_ROUNDS = 60 };

typedef struct gram {
    const float *w;
    int64_t k, m;         /* k columns of m elements each */
    int64_t col, element; /* element t of column i: w[i * col + t * element] */
    int64_t first;        /* element of the panel */
    int64_t n_tiles;
    double *
        panel; /* [n_tiles, DEPTH, TILE] elements first .. of all columns; beyond them 0 */
    double *g; /* [n_tiles * TILE, n_tiles * TILE] lower triangle of tiles */
} gram;

static void pack(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const gram *in = ctx;
    for (int64_t tile = begin; tile < end; tile++)
        for (int64_t t = 0; t < DEPTH; t++)
            for (int64_t i = 0; i < TILE; i++) {
                const int64_t column = tile * TILE + i, element = in->first + t;
                const bool is_in = column < in->k && element < in->m;
                in->panel[(tile * DEPTH + t) * TILE + i] =
                    is_in ? (double)in->w[column * in->col + element * in->element] : 0.0;
            }
}

/* Four columns of one tile with four of the other: the 16 sums stay in registers. */
static void add_four(const double *restrict a, const double *restrict b,
                     double *restrict sum, int64_t row)
{
    double s[4][4] = {{0.0}};
    for (int64_t t = 0; t < DEPTH; t++)
        for (int64_t i = 0; i < 4; i++)
            for (int64_t j = 0; j < 4; j++) s[i][j] += a[t * TILE + i] * b[t * TILE + j];
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 4; j++) sum[i * row + j] += s[i][j];
}

static void add_tiles(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const gram *in = ctx;
    const int64_t row = in->n_tiles * TILE;
    for (int64_t pair = begin; pair < end; pair++) {
        const int64_t i = pair / in->n_tiles, j = pair % in->n_tiles;
        if (j > i) continue;
        const double *a = in->panel + i * DEPTH * TILE, *b = in->panel + j * DEPTH * TILE;
        for (int64_t p = 0; p < TILE; p += 4)
            for (int64_t q = 0; q < TILE; q += 4)
                add_four(a + p, b + q, in->g + (i * TILE + p) * row + j * TILE + q, row);
    }
}

/* G [k, k] at the beginning of in->g, both triangles. */
static void form_gram(gram *in)
{
    const int64_t k = in->k, row = in->n_tiles * TILE;
    for (in->first = 0; in->first < in->m; in->first += DEPTH) {
        fc_par_for(in->n_tiles, 1, pack, in);
        fc_par_for(in->n_tiles * in->n_tiles, 1, add_tiles, in);
    }
    for (int64_t i = 0; i < k; i++) /* rows come closer together: i k <= i row */
        for (int64_t j = 0; j <= i; j++) in->g[i * k + j] = in->g[i * row + j];
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++) in->g[i * k + j] = in->g[j * k + i];
}

/* --- tridiagonal form ------------------------------------------------------------------- */

static double dot(const double *restrict a, const double *restrict b, int64_t n)
{
    double lane[LANES] = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int64_t l = 0; l < LANES; l++) lane[l] += a[j + l] * b[j + l];
    for (int64_t l = 0; j + l < n; l++) lane[l] += a[j + l] * b[j + l];
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

/* One reflection I - beta v v^T of the square that begins at row and column `first`. */
typedef struct reflection {
    double *a;
    int64_t k, first;
    double beta;
    double *v, *p; /* [k - first] each */
} reflection;

static void multiply_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const reflection *r = ctx;
    const int64_t n = r->k - r->first;
    for (int64_t i = begin; i < end; i++)
        r->p[i] = r->beta * dot(r->a + (r->first + i) * r->k + r->first, r->v, n);
}

static void update_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const reflection *r = ctx;
    const int64_t n = r->k - r->first;
    const double *restrict v = r->v, *restrict q = r->p;
    for (int64_t i = begin; i < end; i++) {
        double *restrict row = r->a + (r->first + i) * r->k + r->first;
        const double vi = v[i], qi = q[i];
        for (int64_t j = 0; j < n; j++) row[j] -= vi * q[j] + qi * v[j];
    }
}

/* A <- H A H = A - v q^T - q v^T with p = beta A v, q = p - (beta/2)(v^T p) v. */
static void reflect(reflection *r)
{
    const int64_t n = r->k - r->first;
    fc_par_for(n, ROW_GRAIN, multiply_rows, r);
    const double half = 0.5 * r->beta * dot(r->v, r->p, n);
    for (int64_t i = 0; i < n; i++) r->p[i] -= half * r->v[i];
    fc_par_for(n, ROW_GRAIN, update_rows, r);
}

/* Diagonal d [k] and what is beside it, e [k]: e[i] couples i and i + 1, the last is 0. */
static void make_tridiagonal(double *a, int64_t k, double *d, double *e, double *scratch)
{
    for (int64_t c = 0; c < k; c++) {
        const int64_t n = k - c - 1;
        double *v = scratch, *x = a + c * k + c + 1;
        d[c] = a[c * k + c];
        e[c] = n > 0 ? x[0] : 0.0;
        if (n < 2) continue;
        const double norm = sqrt(dot(x, x, n));
        if (norm == 0.0) continue;
        for (int64_t i = 0; i < n; i++) v[i] = x[i];
        e[c] = x[0] > 0.0 ? -norm : norm;
        v[0] -= e[c];
        reflection r = {a, k, c + 1, 2.0 / dot(v, v, n), v, scratch + k};
        reflect(&r);
    }
}

/* --- its eigenvalues ---------------------------------------------------------------------- */

/* One sweep over the block i .. m, from its end, with Wilkinson's shift. */
static void ql_sweep(double *d, double *e, int64_t i, int64_t m)
{
    double g = (d[i + 1] - d[i]) / (2.0 * e[i]), r = hypot(g, 1.0);
    double s = 1.0, c = 1.0, p = 0.0;
    g = d[m] - d[i] + e[i] / (g + copysign(r, g));
    for (int64_t j = m - 1; j >= i; j--) {
        const double f = s * e[j], b = c * e[j];
        r = hypot(f, g);
        e[j + 1] = r;
        if (r == 0.0) { /* it has split */
            d[j + 1] -= p;
            e[m] = 0.0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[j + 1] - p;
        r = (d[j] - g) * s + 2.0 * c * b;
        p = s * r;
        d[j + 1] = g + p;
        g = c * r - b;
    }
    d[i] -= p;
    e[i] = g;
    e[m] = 0.0;
}

static void diagonalise(double *d, double *e, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        for (int round = 0; round < MOST_ROUNDS; round++) {
            int64_t m = i;
            while (m < k - 1 && fabs(e[m]) > DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])))
                m++;
            if (m == i) break;
            ql_sweep(d, e, i, m);
        }
}

static int falling(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

fc_status fc_symmetric_eigenvalues(double *a, int64_t k, double *value, fc_err *err)
{
    double *scratch = NULL;
    FC_TRY(fc_alloc(&scratch, k, 3 * sizeof *scratch, "a tridiagonal matrix", err));
    make_tridiagonal(a, k, value, scratch + 2 * k, scratch);
    diagonalise(value, scratch + 2 * k, k);
    qsort(value, (size_t)k, sizeof *value, falling);
    fc_free(scratch);
    return FC_OK;
}

fc_status fc_singular_values(const float *w, int64_t n, int64_t d, double *sigma,
                             fc_err *err)
{
    const bool is_tall = n >= d;
    const int64_t k = fc_min(n, d), n_tiles = fc_ceil_div(k, TILE);
    gram in = {.w = w,
               .k = k,
               .m = fc_max(n, d),
               .col = is_tall ? 1 : d,
               .element = is_tall ? d : 1,
               .n_tiles = n_tiles};
    fc_status status = FC_OK;
    if (k == 0) return FC_OK;
    FC_TRY_GOTO(fc_alloc(&in.panel, n_tiles, DEPTH * TILE * sizeof *in.panel,
                         "columns of a matrix", err));
    FC_TRY_GOTO(fc_alloc(&in.g, n_tiles * n_tiles, TILE * TILE * sizeof *in.g,
                         "products of columns", err));
    form_gram(&in);
    FC_TRY_GOTO(fc_symmetric_eigenvalues(in.g, k, sigma, err));
    for (int64_t i = 0; i < k; i++) sigma[i] = sqrt(fmax(sigma[i], 0.0));
done:
    fc_free(in.panel);
    fc_free(in.g);
    return status;
}
