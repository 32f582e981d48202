/* sae.c - the SAE as a value: memory, and use of one on a batch.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/sae.h"

#include "base/alloc.h"
#include "base/par.h"
#include "sae/arch.h"

fc_status fc_sae_new(fc_sae **created, int64_t d_in, int64_t d_sae, fc_err *err)
{
    FC_CHECK(d_in > 0 && d_sae > 0);
    if (d_sae > INT64_MAX / d_in)
        return fc_fail(err, FC_NOMEM,
                       "an SAE of %lld features of %lld dimensions is too large",
                       (long long)d_sae, (long long)d_in);
    fc_sae *sae = NULL;
    FC_TRY(fc_alloc(&sae, 1, sizeof *sae, "SAE", err));
    sae->d_in = d_in;
    sae->d_sae = d_sae;
    sae->normaliser = (fc_normaliser){.d = d_in};
    fc_status status = fc_alloc(&sae->w_enc, d_sae * d_in, sizeof(float), "W_enc", err);
    if (status == FC_OK)
        status = fc_alloc(&sae->w_dec, d_sae * d_in, sizeof(float), "W_dec", err);
    if (status == FC_OK)
        status = fc_alloc(&sae->b_enc, d_sae, sizeof(float), "b_enc", err);
    if (status == FC_OK)
        status = fc_alloc(&sae->b_dec, d_in, sizeof(float), "b_dec", err);
    if (status != FC_OK) {
        fc_sae_free(sae);
        return status;
    }
    *created = sae;
    return FC_OK;
}

void fc_sae_free(fc_sae *sae)
{
    if (sae == NULL) return;
    fc_free(sae->w_enc);
    fc_free(sae->w_dec);
    fc_free(sae->b_enc);
    fc_free(sae->b_dec);
    fc_normaliser_deinit(&sae->normaliser);
    fc_free(sae);
}

void fc_sae_encode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                   const float *x, int64_t n, float *scratch, float *f)
{
    if (sae->is_b_dec_subtracted)
        be->ops->sub_row(be, scratch, x, sae->b_dec, n, sae->d_in);
    const float *input = sae->is_b_dec_subtracted ? scratch : x;
    const fc_mat w_enc = fc_mat_of(sae->w_enc, FC_F32, sae->d_sae, sae->d_in);
    const fc_mat in = fc_mat_of(input, FC_F32, n, sae->d_in);
    be->ops->matmul(be, f, n, w_enc, fc_mat_transposed(in), precision, false);
    be->ops->bias_relu(be, f, sae->b_enc, NULL, NULL, NULL, sae->d_sae, n);
}

typedef struct add_bias {
    float *y;
    const float *bias;
    int64_t d;
} add_bias;

static void add_bias_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const add_bias *a = ctx;
    for (int64_t t = begin; t < end; t++)
        for (int64_t j = 0; j < a->d; j++) a->y[t * a->d + j] += a->bias[j];
}

void fc_sae_decode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                   const float *f, int64_t n, float *y)
{
    const fc_mat codes = fc_mat_of(f, FC_F32, sae->d_sae, n);
    const fc_mat w_dec = fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_in);
    be->ops->matmul(be, y, sae->d_in, fc_mat_transposed(codes), w_dec, precision, false);
    add_bias a = {y, sae->b_dec, sae->d_in};
    fc_par_for(n, 64, add_bias_chunk, &a);
}
