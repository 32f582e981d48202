/* gradients.c - the gradients of a step, a block of features at a time.
 *
 * A block's gradient of one matrix is made in the cache and used up at once: by the optimizer or,
 * when gradients are kept, by a copy. Two passes over blocks, each parallel:
 *
 *   whole rows   their f and W_dec rows are gathered; three products with the packed batch
 *   lists        blocks of neighbours; sddmm for dz, spmm for both matrices, at the entries alone
 *
 * The second pass also serves silent features, whose gradient is 0 and whose first moment may not
 * be. A feature belongs to one block, blocks follow from the batch alone, and what blocks add to
 * b_dec is added in their order: the same bytes for any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
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

/* into_b_dec of a block = sum of db_enc_i W_enc_i over the n features id. */
static void add_into_b_dec(const fc_step *s, int64_t block, const int32_t *id,
                           const float *db_enc, int64_t n)
{
    if (!s->sae->is_b_dec_subtracted) return;
    const int64_t d = s->sae->d_in, begin = 0;
    const fc_sparse row = {1, s->sae->d_sae, &begin, &n, id, db_enc};
    const fc_mat w_enc = fc_mat_of(s->sae->w_enc, FC_F32, s->sae->d_sae, d);
    s->be->ops->spmm(s->be, s->scratch->into_b_dec + block * d, d, row, w_enc,
                     FC_PRECISION_F32, false);
}

/* --- whole rows --------------------------------------------------------------------------- */

/* The gradients g of the features id, handed on in runs of neighbours. */
static void emit_runs(const pass *p, int param, const int32_t *id, int64_t n, float *g)
{
    for (int64_t r = 0, end; r < n; r = end) {
        for (end = r + 1; end < n && id[end] == id[end - 1] + 1;) end++;
        emit(p, param, id[r], end - r, g + r * p->s->sae->d_in);
    }
}

static void whole_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const pass *p = ctx;
    fc_step *s = p->s;
    const fc_ops *op = s->be->ops;
    const fc_step_scratch *t = s->scratch;
    const fc_step_worker *w = fc_step_worker_of(s, worker);
    const int64_t m = end - begin, n = s->n, d = s->sae->d_in;
    const int32_t *id = s->codes->whole + begin;
    float add[FC_STEP_WHOLE], sum[FC_STEP_WHOLE];
    for (int64_t r = 0; r < m; r++) {
        memcpy(w->f + r * n, s->codes->value + id[r] * s->codes->row,
               (size_t)n * sizeof(float));
        memcpy(w->w + r * d, s->sae->w_dec + id[r] * d, (size_t)d * sizeof(float));
        add[r] = s->dz_add[id[r]];
    }
    op->matmul_packed(s->be, w->dz, n, fc_mat_of(w->w, FC_F32, m, d), &t->delta_cols,
                      false);
    op->relu_grad(s->be, w->dz, w->f, add, sum, m, n);
    for (int64_t r = 0; r < m; r++) s->param[FC_B_ENC].g[id[r]] = sum[r];
    add_into_b_dec(s, begin / FC_STEP_WHOLE, id, sum, m);

    op->matmul_packed(s->be, w->g, d, fc_mat_of(w->f, FC_F32, m, n), &t->delta_rows,
                      false);
    emit_runs(p, FC_W_DEC, id, m, w->g);
    op->matmul_packed(s->be, w->g, d, fc_mat_of(w->dz, FC_F32, m, n), &t->x_rows, false);
    emit_runs(p, FC_W_ENC, id, m, w->g);
}

/* --- lists -------------------------------------------------------------------------------- */

/* The lists of features first .. first+m-1; whole rows and silent features have none. Returns
 * the number of entries. */
static int64_t lists_of(const fc_codes *c, const fc_step_worker *w, int64_t first,
                        int64_t m)
{
    int64_t n_entries = 0;
    for (int64_t r = 0; r < m; r++) {
        w->begin[r] = r * c->row;
        w->n[r] = fc_codes_is_whole(c, first + r) ? 0 : c->firing.count[first + r];
        n_entries += w->n[r];
    }
    return n_entries;
}

/* dz += dz_add, and db_enc and what it sends into b_dec. */
static void finish_dz(const fc_step *s, const fc_step_worker *w, int64_t first, int64_t m)
{
    float *const db_enc = s->param[FC_B_ENC].g;
    int32_t id[FC_STEP_LISTS];
    float sums[FC_STEP_LISTS];
    int64_t n_ids = 0;
    for (int64_t r = 0; r < m; r++) {
        const int64_t i = first + r;
        if (fc_codes_is_whole(s->codes, i)) continue;
        float *const dz = w->dz + w->begin[r];
        const float add = s->dz_add[i];
        double sum = 0.0;
        for (int64_t j = 0; j < w->n[r]; j++) {
            dz[j] += add;
            sum += (double)dz[j];
        }
        db_enc[i] = (float)sum;
        if (w->n[r] == 0) continue;
        id[n_ids] = (int32_t)i;
        sums[n_ids++] = db_enc[i];
    }
    const int64_t block = fc_ceil_div(s->codes->n_whole, FC_STEP_WHOLE);
    add_into_b_dec(s, block + first / FC_STEP_LISTS, id, sums, n_ids);
}

/* All but the whole rows, in runs. */
static void emit_lists(const pass *p, int param, int64_t first, int64_t m, float *g)
{
    const fc_codes *c = p->s->codes;
    for (int64_t r = 0, end; r < m; r = end) {
        const bool is_whole = fc_codes_is_whole(c, first + r);
        for (end = r + 1; end < m && fc_codes_is_whole(c, first + end) == is_whole;)
            end++;
        if (!is_whole) emit(p, param, first + r, end - r, g + r * c->d_in);
    }
}

static void list_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const pass *p = ctx;
    fc_step *s = p->s;
    const fc_ops *op = s->be->ops;
    const fc_codes *c = s->codes;
    const fc_step_worker *w = fc_step_worker_of(s, worker);
    const int64_t m = end - begin, d = c->d_in;
    fc_sparse rows = {.n_rows = m,
                      .n_cols = c->n,
                      .begin = w->begin,
                      .count = w->n,
                      .index = c->index + begin * c->row,
                      .value = c->value + begin * c->row};
    if (lists_of(c, w, begin, m) > 0)
        op->sddmm(s->be, w->dz, rows, fc_mat_of(s->sae->w_dec + begin * d, FC_F32, m, d),
                  fc_step_delta(s), s->precision);
    finish_dz(s, w, begin, m);
    op->spmm(s->be, w->g, d, rows, fc_step_delta(s), s->precision, false);
    emit_lists(p, FC_W_DEC, begin, m, w->g);
    rows.value = w->dz;
    op->spmm(s->be, w->g, d, rows, fc_step_x(s), s->precision, false);
    emit_lists(p, FC_W_ENC, begin, m, w->g);
}

/* --- all of it ---------------------------------------------------------------------------- */

static void prepare_batch(fc_step *s)
{
    const fc_ops *op = s->be->ops;
    fc_step_scratch *t = s->scratch;
    const int64_t n = s->n, d = s->sae->d_in;
    if (t->x != NULL) {
        op->convert(s->be, t->x, FC_BF16, s->codes->input, FC_F32, n * d);
        op->convert(s->be, t->delta, FC_BF16, s->delta, FC_F32, n * d);
    }
    t->x_rows.k = t->delta_rows.k = t->delta_cols.n = n;
    if (s->codes->n_whole == 0) return;
    op->pack(s->be, &t->x_rows, fc_step_x(s));
    op->pack(s->be, &t->delta_rows, fc_step_delta(s));
    op->pack(s->be, &t->delta_cols, fc_mat_transposed(fc_step_delta(s)));
}

static void output_bias(fc_step *s)
{
    const fc_step_scratch *t = s->scratch;
    const int64_t d = s->sae->d_in;
    s->be->ops->col_sum(s->be, t->column, s->delta, s->n, d);
    if (s->sae->is_b_dec_subtracted) {
        const int64_t n_blocks = fc_ceil_div(s->codes->n_whole, FC_STEP_WHOLE) +
                                 fc_ceil_div(s->sae->d_sae, FC_STEP_LISTS);
        for (int64_t b = 0; b < n_blocks; b++)
            for (int64_t j = 0; j < d; j++)
                t->column[j] -= (double)t->into_b_dec[b * d + j];
    }
    for (int64_t j = 0; j < d; j++) s->param[FC_B_DEC].g[j] = (float)t->column[j];
}

static void all_gradients(fc_step *s, const fc_row_update *update)
{
    pass p = {s, update};
    prepare_batch(s);
    fc_par_for(s->codes->n_whole, FC_STEP_WHOLE, whole_block, &p);
    fc_par_for(s->sae->d_sae, FC_STEP_LISTS, list_block, &p);
    output_bias(s);
}

void fc_step_gradients(fc_step *step)
{
    FC_CHECK(step->has_gradients);
    all_gradients(step, NULL);
}

void fc_step_update(fc_step *step, double lr, int64_t k)
{
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
