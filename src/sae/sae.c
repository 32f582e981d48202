/* sae.c - the SAE as a value: its memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/sae.h"

#include "base/alloc.h"

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
