/* gradients.c - the gradients of a step, a block of features at a time.
 *
 * A block's gradient of one matrix is made in the cache and used up at once: by the optimizer or,
 * when gradients are kept, by a copy. Two passes over blocks, each parallel:
 *
 *   whole rows   their f and W_dec rows are gathered; three products with the packed batch
 *   lists        blocks of neighbours; sddmm for df, the architecture for dz, spmm for both
 *                matrices, at the entries alone
 *
 * A second term of the loss either has the entries of the first, whose backward then takes both
 * gradients, or entries of its own, where dz = df.
 *
 * The second pass also serves silent features, whose gradient is 0 and whose first moment may not
 * be. A feature belongs to one block, blocks follow from the batch alone, and what blocks add to
 * b_dec is added in their order: the same bytes for any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/par.h"
#include "sae/step_internal.h"

typedef struct pass {
    fc_step *s;
    const fc_row_update *update; /* NULL: gradients are kept */
} pass;

/* Hands on the gradient of neighbouring features. */
static void emit(const pass *p, int param, int64_t first, int64_t n_rows, float *g)
{
    fc_step *s = p->s;
    const fc_param *of = &s->param[param];
    if (param == FC_W_DEC && s->has_w_dec_scale)
        s->be->ops->add_scaled_rows(s->be, g, s->w_dec_scale + first,
                                    of->w + first * of->cols, n_rows, of->cols);
    if (p->update != NULL)
        fc_optimizer_rows(s, param, first, n_rows, g, p->update);
    else
        memcpy(of->g + first * of->cols, g, (size_t)(n_rows * of->cols) * sizeof *g);
}

/* into_b_dec of a block (+)= sum of sum_i W_enc_i over the n features id, sum_i that of their dz. */
static void add_into_b_dec(const fc_step *s, int64_t block, const int32_t *id,
                           const float *sums, int64_t n, bool accumulate)
{
    if (!s->sae->is_b_dec_subtracted) return;
    const int64_t d = s->sae->d_in, begin = 0;
    const fc_sparse row = {1, s->sae->d_sae, &begin, &n, id, sums};
    const fc_mat w_enc = fc_mat_of(s->sae->w_enc, FC_F32, s->sae->d_sae, d);
    s->be->ops->spmm(s->be, s->scratch->into_b_dec + block * d, d, row, w_enc,
                     FC_PRECISION_F32, accumulate);
}

/* --- whole rows --------------------------------------------------------------------------- */

/* The gradients g of the features id, handed on in runs of neighbours. */
static void emit_runs(const pass *p, int param, const int32_t *id, int64_t n, float *g)
{
    for (int64_t r = 0, end; r < n; r = end) {
        for (end = r + 1; end < n && id[end] == id[end - 1] + 1;) end++;
        emit(p, param, id[r], end - r, g + r * p->s->param[param].cols);
    }
}

static void whole_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const pass *p = ctx;
    fc_step *s = p->s;
    const fc_ops *op = s->be->ops;
    const fc_step_scratch *t = s->scratch;
    const fc_step_worker *w = fc_step_worker_of(s, worker);
    const int64_t m = end - begin, n = s->n;
    const int64_t d_in = s->sae->d_in, d_out = s->sae->d_out;
    const int32_t *id = s->codes->whole + begin;
    float add[FC_STEP_WHOLE], sum[FC_STEP_WHOLE];
    for (int64_t r = 0; r < m; r++) {
        memcpy(w->f + r * n, s->codes->value + id[r] * s->codes->row,
               (size_t)n * sizeof(float));
        memcpy(w->w + r * d_out, s->sae->w_dec + id[r] * d_out,
               (size_t)d_out * sizeof(float));
        add[r] = s->dz_add[id[r]];
    }
    op->matmul_packed(s->be, w->dz, n, fc_mat_of(w->w, FC_F32, m, d_out), &t->delta_cols,
                      false);
    op->relu_grad(s->be, w->dz, w->f, add, sum, m, n);
    for (int64_t r = 0; r < m; r++) s->param[FC_B_ENC].g[id[r]] = sum[r];
    add_into_b_dec(s, begin / FC_STEP_WHOLE, id, sum, m, false);

    op->matmul_packed(s->be, w->g, d_out, fc_mat_of(w->f, FC_F32, m, n), &t->delta_rows,
                      false);
    emit_runs(p, FC_W_DEC, id, m, w->g);
    op->matmul_packed(s->be, w->g, d_in, fc_mat_of(w->dz, FC_F32, m, n), &t->x_rows,
                      false);
    emit_runs(p, FC_W_ENC, id, m, w->g);
}

/* --- lists -------------------------------------------------------------------------------- */

/* A run of neighbours that see the same delta, while their gradients are made. */
typedef struct run {
    const pass *p;
    const fc_step_worker *w;
    int64_t first, m;
    int level;
    fc_sparse rows,
        aux;    /* entries of both terms; aux has n_rows 0 without one of its own */
    int64_t at; /* place of the first entry in the arrays of lists */
} run;

static int64_t entries_of(const fc_sparse *rows)
{
    int64_t n = 0;
    for (int64_t r = 0; r < rows->n_rows; r++) n += rows->count[r];
    return n;
}

/* df of the entries `rows` in one term. */
static void term_gradient(const run *r, const fc_sparse *rows, const fc_term *term,
                          float *df)
{
    const fc_step *s = r->p->s;
    const int64_t d = s->sae->d_out;
    const int level = term->n_levels > 1 ? r->level : 0;
    if (entries_of(rows) == 0) return;
    s->be->ops->sddmm(s->be, df, *rows,
                      fc_mat_of(s->sae->w_dec + r->first * d, FC_F32, r->m, d),
                      fc_step_delta(s, term, level), s->precision);
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)x[j];
    return sum;
}

/* dz from df, gradients of vectors. Returns what feature i adds to the input's gradient. */
static double finish_feature(const run *r, int64_t k)
{
    fc_step *s = r->p->s;
    const int64_t i = r->first + k, at = r->rows.begin[k];
    const fc_lists *l = &s->codes->lists;
    fc_entries e = {.feature = i,
                    .n = r->rows.count[k],
                    .index = r->rows.index + at,
                    .value = r->rows.value + at,
                    .second = l->second != NULL ? l->second + r->at + at : NULL,
                    .df_aux = s->aux.is_second ? r->w->df_aux + at : NULL,
                    .dz = r->w->dz + at,
                    .db_enc = (double)NAN};
    double sum = s->arch->backward(s, &e);
    if (r->aux.n_rows > 0) sum += sum_of(r->w->df_aux + r->aux.begin[k], r->aux.count[k]);
    if (s->has_dz_all) sum += (double)s->n * (double)s->dz_all[i];
    s->param[FC_B_ENC].g[i] = (float)(isnan(e.db_enc) ? sum : e.db_enc);
    return sum;
}

/* All but the whole rows, in runs. */
static void emit_lists(const run *r, int param)
{
    const fc_codes *c = r->p->s->codes;
    const int64_t cols = r->p->s->param[param].cols;
    for (int64_t k = 0, end; k < r->m; k = end) {
        const bool is_whole = fc_codes_is_whole(c, r->first + k);
        for (end = k + 1; end < r->m && fc_codes_is_whole(c, r->first + end) == is_whole;)
            end++;
        if (!is_whole) emit(r->p, param, r->first + k, end - k, r->w->g + k * cols);
    }
}

/* The first term's entries that fire. */
static fc_sparse firing_rows(const run *r)
{
    const fc_step *s = r->p->s;
    fc_sparse rows = r->rows;
    if (s->arch->has_band) rows.count = s->codes->firing.count + r->first;
    return rows;
}

/* g = the first term's entries times delta (+ the second's). */
static void decoder_gradient(const run *r)
{
    fc_step *s = r->p->s;
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_out;
    op->spmm(s->be, r->w->g, d, firing_rows(r), fc_step_delta(s, &s->main, r->level),
             s->precision, false);
    if (s->aux.lists != NULL) {
        fc_sparse rows = r->aux;
        if (s->aux.is_second) {
            rows = r->rows;
            rows.value = s->codes->lists.second + r->at;
        }
        op->spmm(s->be, r->w->g, d, rows,
                 fc_step_delta(s, &s->aux, s->aux.n_levels > 1 ? r->level : 0),
                 s->precision, true);
    }
    emit_lists(r, FC_W_DEC);
}

/* g += what entries behind those that fire send to z. */
static void add_band(const run *r)
{
    const fc_step *s = r->p->s;
    int64_t begin[FC_STEP_LISTS], count[FC_STEP_LISTS];
    fc_sparse rows = r->rows;
    for (int64_t k = 0; k < r->m; k++) {
        const int64_t n_firing = s->codes->firing.count[r->first + k];
        begin[k] = r->rows.begin[k] + n_firing;
        count[k] = r->rows.count[k] - n_firing;
    }
    rows.begin = begin;
    rows.count = count;
    rows.value = r->w->dz;
    s->be->ops->spmm(s->be, r->w->g, s->sae->d_in, rows, fc_step_x(s), s->precision,
                     true);
}

static void encoder_gradient(const run *r)
{
    fc_step *s = r->p->s;
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_in;
    fc_sparse rows = firing_rows(r);
    rows.value = r->w->dz;
    op->spmm(s->be, r->w->g, d, rows, fc_step_x(s), s->precision, false);
    if (s->arch->has_band && s->config.jumprelu_ste_to_input) add_band(r);
    if (r->aux.n_rows > 0) {
        rows = r->aux;
        rows.value = r->w->df_aux;
        op->spmm(s->be, r->w->g, d, rows, fc_step_x(s), s->precision, true);
    }
    for (int64_t k = 0; s->has_dz_all && k < r->m; k++) {
        const float a = s->dz_all[r->first + k];
        float *const g = r->w->g + k * d;
        for (int64_t j = 0; a != 0.0f && j < d; j++) g[j] += a * s->scratch->x_sum[j];
    }
    emit_lists(r, FC_W_ENC);
}

/* Both terms' df, then dz; what goes into b_dec is taken from W_enc before that moves. */
static void feature_gradients(run *r, int64_t block, bool is_first)
{
    fc_step *s = r->p->s;
    int32_t id[FC_STEP_LISTS];
    float sums[FC_STEP_LISTS];
    int64_t n_ids = 0;
    term_gradient(r, &r->rows, &s->main, r->w->dz);
    if (s->aux.lists != NULL)
        term_gradient(r, s->aux.is_second ? &r->rows : &r->aux, &s->aux, r->w->df_aux);
    for (int64_t k = 0; k < r->m; k++) {
        if (fc_codes_is_whole(s->codes, r->first + k)) continue;
        const double sum = finish_feature(r, k);
        if (!s->scratch->is_moved[r->first + k]) continue;
        id[n_ids] = (int32_t)(r->first + k);
        sums[n_ids++] = (float)sum;
    }
    add_into_b_dec(s, block, id, sums, n_ids, !is_first);
}

/* A block, cut where levels end. */
static void list_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const pass *p = ctx;
    const fc_step *s = p->s;
    const fc_step_worker *w = fc_step_worker_of(s, worker);
    const int64_t block =
        fc_ceil_div(s->codes->n_whole, FC_STEP_WHOLE) + begin / FC_STEP_LISTS;
    int64_t last;
    int level = 0;
    for (int64_t first = begin; first < end; first = last) {
        while (s->level_end[level] <= first) level++;
        last = fc_min(end, s->level_end[level]);
        run r = {.p = p, .w = w, .first = first, .m = last - first, .level = level};
        r.at = s->codes->lists.begin[first];
        r.rows = fc_lists_by_feature(&s->codes->lists, first, r.m, w->begin);
        if (s->aux.lists != NULL && !s->aux.is_second)
            r.aux =
                fc_lists_by_feature(s->aux.lists, first, r.m, w->begin + FC_STEP_LISTS);
        feature_gradients(&r, block, first == begin);
        decoder_gradient(&r);
        encoder_gradient(&r);
    }
}

/* --- all of it ---------------------------------------------------------------------------- */

/* A gradient other than 0, or as good as that. */
static bool is_moved(const fc_step *s, int64_t i)
{
    const bool is_aux = s->aux.lists != NULL && s->aux.lists->count[i] > 0;
    return s->codes->lists.count[i] > 0 || fc_codes_is_whole(s->codes, i) || is_aux ||
           (s->has_dz_all && s->dz_all[i] != 0.0f);
}

/* delta of a term as the sparse products read it. */
static void round_term(const fc_step *s, const fc_term *term)
{
    const int64_t n = s->n * s->sae->d_out, stride = s->config.batch_size * s->sae->d_out;
    if (term->lists == NULL || term->rounded == NULL) return;
    for (int l = 0; l < term->n_levels; l++)
        s->be->ops->convert(s->be, term->rounded + l * stride, FC_BF16,
                            term->delta + l * stride, FC_F32, n);
}

static void prepare_batch(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    fc_step_scratch *t = s->scratch;
    const int64_t n = s->n, d_in = s->sae->d_in;
    round_term(s, &s->main);
    round_term(s, &s->aux);
    if (t->x != NULL)
        op->convert(s->be, t->x, FC_BF16, s->codes->input, FC_F32, n * d_in);
    for (int64_t i = 0; i < s->sae->d_sae; i++) t->is_moved[i] = is_moved(s, i);
    if (s->has_dz_all) {
        op->col_sum(s->be, t->column, s->codes->input, n, d_in);
        for (int64_t j = 0; j < d_in; j++) t->x_sum[j] = (float)t->column[j];
    }
    if (s->codes->n_whole == 0) return;
    const fc_mat delta = fc_step_delta(s, &s->main, 0);
    t->x_rows.k = t->delta_rows.k = t->delta_cols.n = n;
    op->pack(s->be, &t->x_rows, fc_step_x(s));
    op->pack(s->be, &t->delta_rows, delta);
    op->pack(s->be, &t->delta_cols, fc_mat_transposed(delta));
}

/* b_dec is part of every level of the first term: what features of level 0 see is the sum of all
 * levels. Of a second term only where that decodes with a bias too. */
static void output_bias(fc_step *s)
{
    const fc_step_scratch *t = s->scratch;
    float *const g = s->param[FC_B_DEC].g;
    const int64_t d_in = s->sae->d_in, d_out = s->sae->d_out;
    s->be->ops->col_sum(s->be, t->column, s->main.delta, s->n, d_out);
    for (int64_t j = 0; j < d_out; j++) g[j] = (float)t->column[j];
    if (s->aux.lists != NULL && s->aux.is_second) {
        s->be->ops->col_sum(s->be, t->column, s->aux.delta, s->n, d_out);
        for (int64_t j = 0; j < d_out; j++) g[j] += (float)t->column[j];
    }
    if (!s->sae->is_b_dec_subtracted) return;
    const int64_t n_blocks = fc_ceil_div(s->codes->n_whole, FC_STEP_WHOLE) +
                             fc_ceil_div(s->sae->d_sae, FC_STEP_LISTS);
    for (int64_t j = 0; j < d_in; j++) t->column[j] = 0.0;
    for (int64_t b = 0; b < n_blocks; b++)
        for (int64_t j = 0; j < d_in; j++)
            t->column[j] += (double)t->into_b_dec[b * d_in + j];
    for (int64_t j = 0; j < d_in; j++) g[j] = (float)((double)g[j] - t->column[j]);
}

static void skip_path(fc_step *s)
{
    const fc_mat delta = fc_mat_of(s->main.delta, FC_F32, s->n, s->sae->d_out);
    const fc_mat x = fc_mat_of(s->x, FC_F32, s->n, s->sae->d_in);
    s->be->ops->matmul(s->be, s->param[FC_W_SKIP].g, s->sae->d_in,
                       fc_mat_transposed(delta), x, s->precision, false);
}

static void all_gradients(fc_step *s, const fc_row_update *update)
{
    pass p = {s, update};
    prepare_batch(s);
    fc_par_for(s->codes->n_whole, FC_STEP_WHOLE, whole_block, &p);
    fc_par_for(s->sae->d_sae, FC_STEP_LISTS, list_block, &p);
    output_bias(s);
    if (fc_step_has(s, FC_W_SKIP)) skip_path(s);
}

void fc_step_gradients(fc_step *step)
{
    FC_CHECK(step->has_gradients);
    all_gradients(step, NULL);
}

void fc_step_update(fc_step *step, double lr, int64_t k)
{
    FC_ASSERT(k == step->n_done + 1);
    if (step->has_gradients) {
        fc_step_gradients(step);
        (void)fc_step_clip(step);
        fc_step_apply(step, lr, k);
        return;
    }
    const fc_row_update update = {.adam = fc_step_adam(step, lr, k)};
    all_gradients(step, &update);
    fc_step_apply_vectors(step, &update.adam);
}
