/* sae.c - the SAE as a value: its memory, its tensors by name, folding.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/sae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sae/arch.h"

/* --- tensors -------------------------------------------------------------------------------- */

typedef enum axis { ONE, IN, OUT, SAE } axis;

static const struct {
    const char *name;
    size_t offset; /* of the float * in fc_sae */
    axis rows, cols;
} tensors[FC_SAE_TENSORS] = {
    [FC_W_ENC] = {"W_enc", offsetof(fc_sae, w_enc), SAE, IN},
    [FC_W_DEC] = {"W_dec", offsetof(fc_sae, w_dec), SAE, OUT},
    [FC_B_ENC] = {"b_enc", offsetof(fc_sae, b_enc), ONE, SAE},
    [FC_B_DEC] = {"b_dec", offsetof(fc_sae, b_dec), ONE, OUT},
    [FC_THRESHOLD] = {"threshold", offsetof(fc_sae, threshold), ONE, SAE},
    [FC_R_MAG] = {"r_mag", offsetof(fc_sae, r_mag), ONE, SAE},
    [FC_B_MAG] = {"b_mag", offsetof(fc_sae, b_mag), ONE, SAE},
    [FC_W_SKIP] = {"W_skip", offsetof(fc_sae, w_skip), OUT, IN},
};

static int64_t size_along(axis a, const fc_sae *sae)
{
    switch (a) {
    case ONE: return 1;
    case IN: return sae->d_in;
    case OUT: return sae->d_out;
    case SAE: return sae->d_sae;
    }
    return 0;
}

fc_sae_tensor fc_sae_tensor_of(const fc_sae *sae, fc_sae_tensor_id id)
{
    fc_sae_tensor t = {.name = tensors[id].name,
                       .rows = size_along(tensors[id].rows, sae),
                       .cols = size_along(tensors[id].cols, sae)};
    memcpy(&t.data, (const char *)sae + tensors[id].offset, sizeof t.data);
    if (id == FC_B_ENC && sae->r_mag != NULL) t.name = "b_gate";
    return t;
}

/* --- memory --------------------------------------------------------------------------------- */

static fc_status alloc_tensors(fc_sae *sae, const fc_arch *arch, fc_err *err)
{
    for (int id = 0; id < FC_SAE_TENSORS; id++) {
        if ((arch->tensors & 1U << id) == 0) continue;
        const fc_sae_tensor t = fc_sae_tensor_of(sae, (fc_sae_tensor_id)id);
        float *data = NULL;
        FC_TRY(fc_alloc(&data, t.rows * t.cols, sizeof *data, t.name, err));
        memcpy((char *)sae + tensors[id].offset, &data, sizeof data);
    }
    return FC_OK;
}

fc_status fc_sae_new(fc_sae **created, const char *arch, int64_t d_in, int64_t d_out,
                     int64_t d_sae, fc_err *err)
{
    const fc_arch *kind = fc_arch_find(arch);
    FC_CHECK(kind != NULL && d_in > 0 && d_out > 0 && d_sae > 0);
    FC_CHECK(d_in == d_out || kind->is_transcoder);
    if (d_sae > INT64_MAX / fc_max(d_in, d_out))
        return fc_fail(err, FC_NOMEM,
                       "an SAE of %lld features of %lld dimensions is too large",
                       (long long)d_sae, (long long)fc_max(d_in, d_out));
    fc_sae *sae = NULL;
    FC_TRY(fc_alloc(&sae, 1, sizeof *sae, "SAE", err));
    (void)snprintf(sae->arch, sizeof sae->arch, "%s", arch);
    sae->d_in = d_in;
    sae->d_out = d_out;
    sae->d_sae = d_sae;
    sae->normaliser = (fc_normaliser){.d = d_in};
    sae->target_normaliser = (fc_normaliser){.d = d_out};
    const fc_status status = alloc_tensors(sae, kind, err);
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
    for (int id = 0; id < FC_SAE_TENSORS; id++)
        fc_free(fc_sae_tensor_of(sae, (fc_sae_tensor_id)id).data);
    fc_normaliser_deinit(&sae->normaliser);
    fc_normaliser_deinit(&sae->target_normaliser);
    fc_free(sae);
}

/* --- folding -------------------------------------------------------------------------------- */

static void scale_row(float *w, int64_t n, double s)
{
    for (int64_t j = 0; j < n; j++) w[j] = (float)((double)w[j] * s);
}

void fc_sae_fold_norms(fc_sae *sae)
{
    float *const per_feature[] = {sae->b_enc, sae->b_mag, sae->threshold};
    for (int64_t i = 0; i < sae->d_sae; i++) {
        float *const d = sae->w_dec + i * sae->d_out;
        double sum = 0.0;
        for (int64_t j = 0; j < sae->d_out; j++) sum += (double)d[j] * (double)d[j];
        const double norm = sqrt(sum);
        if (!(norm > 0.0)) continue;
        scale_row(d, sae->d_out, 1.0 / norm);
        scale_row(sae->w_enc + i * sae->d_in, sae->d_in, norm);
        for (size_t p = 0; p < FC_LEN(per_feature); p++)
            if (per_feature[p] != NULL) scale_row(per_feature[p] + i, 1, norm);
    }
}
