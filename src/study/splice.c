/* splice.c - normalises, encodes, decodes and undoes the normalisation, block by block.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/splice.h"

#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "sae/arch.h"

enum { ROWS_MOST = 1024, ROWS_LEAST = 64, ROW_GRAIN = 16, CODES_BYTES = 256 << 20 };

/* A feature takes 8 bytes a row: its place in lists and its value. */
static int64_t block_rows(int64_t d_sae)
{
    const int64_t n = CODES_BYTES / 8 / fc_max(d_sae, 1) / 16 * 16;
    return fc_min(ROWS_MOST, fc_max(ROWS_LEAST, n));
}

/* In BF16 products read the decoder rounded; rounding it for each block would cost as much. */
static fc_status take_decoder(fc_splice *s, fc_precision precision, fc_err *err)
{
    const fc_sae *sae = s->sae;
    const int64_t n = sae->d_sae * sae->d_out;
    s->w_dec = fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_out);
    if (precision == FC_PRECISION_F32) return FC_OK;
    FC_TRY(fc_alloc(&s->rounded, n, sizeof(fc_bf16), "rounded decoder", err));
    s->be->ops->convert(s->be, s->rounded, FC_BF16, sae->w_dec, FC_F32, n);
    s->w_dec = fc_mat_of(s->rounded, FC_BF16, sae->d_sae, sae->d_out);
    return FC_OK;
}

fc_status fc_splice_new(fc_splice **created, const fc_sae *sae, fc_backend *be,
                        fc_precision precision, fc_err *err)
{
    fc_splice *s = NULL;
    fc_status status;
    FC_TRY(fc_alloc(&s, 1, sizeof *s, "the SAE in the model", err));
    s->sae = sae;
    s->be = be;
    s->is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    s->n_block = block_rows(sae->d_sae);
    FC_TRY_GOTO(fc_codes_new(&s->codes, sae, be, precision, s->n_block, false, err));
    FC_TRY_GOTO(
        fc_alloc(&s->x, s->n_block * sae->d_in, sizeof *s->x, "normalised rows", err));
    FC_TRY_GOTO(fc_alloc(&s->norm, s->n_block, sizeof *s->norm, "norms of rows", err));
    s->target = s->x;
    if (s->is_transcoder)
        FC_TRY_GOTO(fc_alloc(&s->target, s->n_block * sae->d_out, sizeof *s->target,
                             "normalised targets", err));
    status = take_decoder(s, precision, err);
done:
    if (status == FC_OK)
        *created = s;
    else
        fc_splice_free(s);
    return status;
}

void fc_splice_free(fc_splice *s)
{
    if (s == NULL) return;
    if (s->target != s->x) fc_free(s->target);
    fc_free(s->x);
    fc_free(s->norm);
    fc_free(s->rounded);
    fc_codes_free(s->codes);
    fc_free(s);
}

typedef struct block {
    const fc_splice *splice;
    const float *x, *t;
    float *y;
} block;

static const fc_normaliser *normaliser_of_target(const fc_splice *s)
{
    return s->is_transcoder ? &s->sae->target_normaliser : &s->sae->normaliser;
}

static void normalise_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block *b = ctx;
    const fc_splice *s = b->splice;
    const int64_t d_in = s->sae->d_in, d_out = s->sae->d_out, n = end - begin;
    fc_row_norm *norm_of_x = s->is_transcoder ? NULL : s->norm + begin;
    fc_normalise(&s->sae->normaliser, s->x + begin * d_in, b->x + begin * d_in, norm_of_x,
                 n);
    if (s->is_transcoder)
        fc_normalise(&s->sae->target_normaliser, s->target + begin * d_out,
                     b->t + begin * d_out, s->norm + begin, n);
}

static void denormalise_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block *b = ctx;
    const fc_splice *s = b->splice;
    fc_denormalise(normaliser_of_target(s), b->y + begin * s->sae->d_out, s->norm + begin,
                   end - begin);
}

static void add_bias(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const block *b = ctx;
    const int64_t d = b->splice->sae->d_out;
    const float *bias = b->splice->sae->b_dec;
    for (int64_t t = begin; t < end; t++)
        for (int64_t j = 0; j < d; j++) b->y[t * d + j] += bias[j];
}

void fc_splice_apply(fc_splice *s, float *y, const fc_splice_rows *rows, fc_splice_fn *fn,
                     void *ctx)
{
    const fc_sae *sae = s->sae;
    for (int64_t first = 0; first < rows->n; first += s->n_block) {
        const int64_t n = fc_min(s->n_block, rows->n - first);
        block b = {s, rows->x + first * sae->d_in, rows->t + first * sae->d_out,
                   y + first * sae->d_out};
        fc_par_for(n, ROW_GRAIN, normalise_rows, &b);
        fc_codes_encode(s->codes, sae, s->be, s->x, n);
        fc_codes_decode(s->codes, s->be, s->w_dec, b.y);
        fc_par_for(n, ROW_GRAIN, add_bias, &b);
        if (fn != NULL) fn(ctx, s, b.y, first, n);
        fc_par_for(n, ROW_GRAIN, denormalise_rows, &b);
    }
}
