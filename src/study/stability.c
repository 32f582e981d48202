/* stability.c - nearest rows give pairs, pairs an assignment, its potentials the pairs that were missed.
 *
 *   pairs      nearest_internal.h: a_i . b_j, the 32 largest of each row and of each column
 *   solve      assignment_internal.h: u, v
 *   try all    the largest a_i . b_j - v_j of each row against u_i: one more product of all pairs
 *   bound      sum u + sum v + sum over rows of max(0, max_j (a_i . b_j - v_j) - u_i)
 *
 * Two or three products of [n, d] by [d, n] instead of a table of n^2 numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/stability.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "study/assignment_internal.h"
#include "study/nearest_internal.h"

enum { NEAR = 32, TRIED = 8, LEFTOVERS = 4, MOST_ROUNDS = 12 };

#define SAME_FEATURE 0.7
#define TOLERANCE    1e-6
#define ALONE        (-2.0) /* less than any cosine: nobody is left over who could be matched */

/* One SAE: the decoder rows that take part. */
typedef struct side {
    const fc_sae *sae;
    fc_unit_rows rows; /* id: features */
} side;

typedef struct listed {
    int32_t row;
    fc_pair pair;
} listed;

typedef struct matching {
    side row, col; /* row: the smaller one */
    int64_t d;
    listed *listed; /* [n_listed] pairs found so far */
    int64_t n_listed, capacity;
    fc_pairs pairs; /* the same by row */
    fc_assignment assignment;
    double missed; /* what pairs outside could add to the sum, at most */
    int64_t n_rounds;
    bool is_settled; /* no pair outside could add anything */
    fc_backend *be;
} matching;

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

/* --- pairs ---------------------------------------------------------------------------------- */

static fc_status list_pair(matching *m, int64_t row, int64_t col, double score,
                           fc_err *err)
{
    FC_TRY(fc_grow(&m->listed, &m->capacity, m->n_listed + 1, sizeof *m->listed,
                   "pairs of features", err));
    m->listed[m->n_listed++] = (listed){(int32_t)row, {(int32_t)col, (float)score}};
    return FC_OK;
}

static int by_row_and_column(const void *a, const void *b)
{
    const listed *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->pair.col > y->pair.col) - (x->pair.col < y->pair.col);
}

/* The list by row, without what is there twice. */
static fc_status settle_pairs(matching *m, fc_err *err)
{
    int64_t n = 0;
    fc_pairs *p = &m->pairs;
    if (m->n_listed > 0)
        qsort(m->listed, (size_t)m->n_listed, sizeof *m->listed, by_row_and_column);
    fc_free(p->pair);
    p->pair = NULL;
    FC_TRY(fc_alloc(&p->pair, m->n_listed, sizeof *p->pair, "pairs of features", err));
    memset(p->begin, 0, (size_t)(m->row.rows.n + 1) * sizeof *p->begin);
    for (int64_t e = 0; e < m->n_listed; e++) {
        if (n > 0 && by_row_and_column(&m->listed[n - 1], &m->listed[e]) == 0) continue;
        p->begin[m->listed[e].row + 1]++;
        p->pair[n] = m->listed[e].pair;
        m->listed[n++] = m->listed[e];
    }
    for (int64_t i = 0; i < m->row.rows.n; i++) p->begin[i + 1] += p->begin[i];
    m->n_listed = n;
    return FC_OK;
}

static fc_near_rows rows_of(const matching *m, bool is_turned)
{
    const side *a = is_turned ? &m->col : &m->row, *b = is_turned ? &m->row : &m->col;
    return (fc_near_rows){.a = a->rows.unit,
                          .b = b->rows.unit,
                          .n_a = a->rows.n,
                          .n_b = b->rows.n,
                          .d = m->d,
                          .job = "eval"};
}

/* The nearest of each row (is_turned: of each column); mean_max: the mean of the first cosines. */
static fc_status list_nearest(matching *m, bool is_turned, double *mean_max, fc_err *err)
{
    const fc_near_rows rows = rows_of(m, is_turned);
    fc_nearest nearest;
    fc_status status = FC_OK;
    FC_TRY(fc_nearest_find(&nearest, &rows, NEAR, m->be, err));
    *mean_max = 0.0;
    for (int64_t i = 0; i < nearest.n; i++) {
        const fc_near *near = nearest.list + i * NEAR;
        if (nearest.count[i] > 0) *mean_max += near[0].score / (double)nearest.n;
        for (int64_t k = 0; k < nearest.count[i]; k++)
            FC_TRY_GOTO(list_pair(m, is_turned ? near[k].row : i,
                                  is_turned ? i : near[k].row, near[k].score, err));
    }
done:
    fc_nearest_deinit(&nearest);
    return status;
}

/* --- rounds --------------------------------------------------------------------------------- */

/* Pairs that the potentials leave something to gain from, the eight best of each row. */
static fc_status list_missed(matching *m, fc_err *err)
{
    const fc_assignment *a = &m->assignment;
    fc_near_rows rows = rows_of(m, false);
    fc_nearest nearest = {0};
    double *bias = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&bias, a->n_cols, sizeof *bias, "potentials", err));
    for (int64_t j = 0; j < a->n_cols; j++) bias[j] = -a->v[j];
    rows.bias = bias;
    FC_TRY_GOTO(fc_nearest_find(&nearest, &rows, TRIED, m->be, err));
    m->missed = 0.0;
    m->is_settled = true;
    for (int64_t i = 0; i < nearest.n; i++) {
        const fc_near *near = nearest.list + i * TRIED;
        if (nearest.count[i] > 0) m->missed += fmax(0.0, near[0].score - a->u[i]);
        for (int64_t k = 0; k < nearest.count[i]; k++) {
            if (near[k].score - a->u[i] <= TOLERANCE) break;
            m->is_settled = false;
            FC_TRY_GOTO(
                list_pair(m, i, near[k].row, near[k].score + a->v[near[k].row], err));
        }
    }
done:
    fc_nearest_deinit(&nearest);
    fc_free(bias);
    return status;
}

/* Rows left alone, and as many free columns at least: each row gets the next few in turn, so that a
 * complete matching is among the pairs from then on. */
static fc_status list_leftovers(matching *m, fc_err *err)
{
    const fc_assignment *a = &m->assignment;
    int32_t *free_col = NULL;
    int64_t n_free = 0, next = 0;
    fc_status status = FC_OK;
    if (a->n_alone == 0) return FC_OK;
    FC_TRY_GOTO(fc_alloc(&free_col, a->n_cols, sizeof *free_col, "free features", err));
    for (int64_t i = 0; i < a->n_rows; i++)
        if (a->col[i] >= 0) free_col[a->col[i]] = 1;
    for (int64_t j = 0; j < a->n_cols; j++)
        if (free_col[j] == 0) free_col[n_free++] = (int32_t)j; /* n_free <= j */
    for (int64_t i = 0; i < a->n_rows; i++) {
        if (a->col[i] >= 0) continue;
        for (int64_t k = 0; k < fc_min(LEFTOVERS, n_free); k++) {
            const int64_t col = free_col[(next + k) % n_free];
            FC_TRY_GOTO(list_pair(
                m, i, col,
                dot(m->row.rows.unit + i * m->d, m->col.rows.unit + col * m->d, m->d),
                err));
        }
        next++;
    }
done:
    fc_free(free_col);
    return status;
}

static fc_status match(matching *m, fc_err *err)
{
    while (!m->is_settled && m->n_rounds < MOST_ROUNDS) {
        fc_assignment_deinit(&m->assignment);
        FC_TRY(settle_pairs(m, err));
        FC_TRY(fc_assignment_solve(&m->assignment, &m->pairs, ALONE, err));
        FC_TRY(list_missed(m, err));
        FC_TRY(list_leftovers(m, err));
        m->n_rounds++;
    }
    return FC_OK;
}

/* --- result --------------------------------------------------------------------------------- */

static double cosine_of(const float *a, const float *b, int64_t d)
{
    const double lengths = sqrt(dot(a, a, d) * dot(b, b, d));
    return lengths > 0.0 ? dot(a, b, d) / lengths : (double)NAN;
}

/* One pair: row i of the matching. Returns the cosine of the encoder rows, NaN without direction. */
static double take_pair(fc_stability *s, const matching *m, const fc_sae *a, int64_t i,
                        double *cosine)
{
    const int64_t j = m->assignment.col[i], d_in = a->d_in;
    const int32_t of_row = m->row.rows.id[i], of_col = m->col.rows.id[j];
    const bool is_row_a = m->row.sae == a;
    const int32_t own = is_row_a ? of_row : of_col;
    *cosine = dot(m->row.rows.unit + i * m->d, m->col.rows.unit + j * m->d, m->d);
    s->partner[own] = is_row_a ? of_col : of_row;
    s->cosine[own] = (float)*cosine;
    return cosine_of(m->row.sae->w_enc + of_row * d_in, m->col.sae->w_enc + of_col * d_in,
                     d_in);
}

static fc_status take_pairs(fc_stability *s, const matching *m, const fc_sae *a,
                            fc_err *err)
{
    double *decoder = NULL, *encoder = NULL;
    int64_t n_encoders = 0;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&decoder, m->row.rows.n, sizeof *decoder, "cosines", err));
    FC_TRY_GOTO(fc_alloc(&encoder, m->row.rows.n, sizeof *encoder, "cosines", err));
    for (int64_t i = 0; i < m->row.rows.n; i++) {
        if (m->assignment.col[i] < 0) continue;
        const double of_encoder = take_pair(s, m, a, i, &decoder[s->n_matched]);
        const bool is_same = decoder[s->n_matched++] >= SAME_FEATURE;
        s->n_same += is_same;
        s->n_same_of_both += is_same && of_encoder >= SAME_FEATURE;
        if (!isnan(of_encoder)) encoder[n_encoders++] = of_encoder;
    }
    s->matched = fc_quantiles_of(decoder, s->n_matched);
    s->encoders = fc_quantiles_of(encoder, n_encoders);
    if (s->n_matched > 0)
        s->mean_bound = (m->assignment.total + m->missed) / (double)s->n_matched;
    s->is_exact =
        m->assignment.n_alone == 0 && s->mean_bound <= s->matched.mean + TOLERANCE;
    s->n_rounds = m->n_rounds;
done:
    fc_free(decoder);
    fc_free(encoder);
    return status;
}

static fc_status prepare(matching *m, const bool *is_live_row, const bool *is_live_col,
                         fc_err *err)
{
    FC_TRY(fc_unit_rows_of(&m->row.rows, m->row.sae->w_dec, is_live_row,
                           m->row.sae->d_sae, m->d, m->be, err));
    FC_TRY(fc_unit_rows_of(&m->col.rows, m->col.sae->w_dec, is_live_col,
                           m->col.sae->d_sae, m->d, m->be, err));
    if (m->row.rows.n > m->col.rows.n) {
        const side larger = m->row;
        m->row = m->col;
        m->col = larger;
    }
    m->pairs = (fc_pairs){.n_rows = m->row.rows.n, .n_cols = m->col.rows.n};
    return fc_alloc(&m->pairs.begin, m->row.rows.n + 1, sizeof *m->pairs.begin, "pairs",
                    err);
}

static void deinit(matching *m)
{
    fc_assignment_deinit(&m->assignment);
    fc_free(m->pairs.begin);
    fc_free(m->pairs.pair);
    fc_free(m->listed);
    fc_unit_rows_deinit(&m->row.rows);
    fc_unit_rows_deinit(&m->col.rows);
}

fc_status fc_stability_measure(fc_stability *stability, const fc_sae *a,
                               const bool *is_live_a, const fc_sae *b,
                               const bool *is_live_b, fc_backend *be, fc_err *err)
{
    fc_stability s = {.d_sae = a->d_sae};
    matching m = {.row = {.sae = a}, .col = {.sae = b}, .d = a->d_out, .be = be};
    double mean_rows, mean_cols;
    fc_status status;
    if (a->d_in != b->d_in || a->d_out != b->d_out)
        return fc_fail(err, FC_MISMATCH,
                       "the SAEs are of %" PRId64 " to %" PRId64 " and %" PRId64
                       " to %" PRId64 " dimensions, expected the same widths",
                       a->d_in, a->d_out, b->d_in, b->d_out);
    FC_TRY_GOTO(prepare(&m, is_live_a, is_live_b, err));
    FC_TRY_GOTO(fc_alloc(&s.partner, s.d_sae, sizeof *s.partner, "partners", err));
    FC_TRY_GOTO(fc_alloc(&s.cosine, s.d_sae, sizeof *s.cosine, "cosines", err));
    for (int64_t i = 0; i < s.d_sae; i++) s.partner[i] = -1;
    FC_TRY_GOTO(list_nearest(&m, false, &mean_rows, err));
    FC_TRY_GOTO(list_nearest(&m, true, &mean_cols, err));
    FC_TRY_GOTO(match(&m, err));
    FC_TRY_GOTO(take_pairs(&s, &m, a, err));
    const bool is_row_a = m.row.sae == a;
    s.n_a = is_row_a ? m.row.rows.n : m.col.rows.n;
    s.n_b = is_row_a ? m.col.rows.n : m.row.rows.n;
    s.mean_max_a = is_row_a ? mean_rows : mean_cols;
    s.mean_max_b = is_row_a ? mean_cols : mean_rows;
done:
    deinit(&m);
    if (status != FC_OK) fc_stability_deinit(&s);
    *stability = s;
    return status;
}

void fc_stability_deinit(fc_stability *stability)
{
    fc_free(stability->partner);
    fc_free(stability->cosine);
    *stability = (fc_stability){0};
}
