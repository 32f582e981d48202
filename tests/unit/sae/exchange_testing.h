/* exchange_testing.h - fixtures of other tools' SAEs, and any SAE from raw rows to raw rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_EXCHANGE_H
#define FC_TEST_EXCHANGE_H

#include "testing.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sae/arch.h"
#include "sae/codes.h"

static inline void fixture_dir(char *dir, const char *name)
{
    char path[FC_PATH_MAX];
    snprintf(path, sizeof path, "sae/exchange/%s", name);
    fc_fixture(dir, path);
}

static inline float *floats(int64_t n)
{
    float *p = NULL;
    fc_err err = {0};
    fc_assert_ok(fc_alloc(&p, n, sizeof *p, "test values", &err), &err);
    return p;
}

/* Reconstruction [n, d_out] and features [n, d_sae] of raw rows, token-major, as tools store them. */
static inline void run_sae(const fc_sae *sae, const float *raw, int64_t n,
                           float *features, float *y)
{
    fc_err err = {0};
    fc_backend *be = NULL;
    fc_codes *codes = NULL;
    fc_row_norm *norm = NULL;
    float *x = floats(n * sae->d_in);
    fc_assert_ok(fc_alloc(&norm, n, sizeof *norm, "norms", &err), &err);
    fc_assert_ok(fc_backend_open(&be, NULL, &err), &err);
    fc_assert_ok(fc_codes_new(&codes, sae, be, FC_PRECISION_F32, n, true, &err), &err);
    fc_normalise(&sae->normaliser, x, raw, norm, n);
    fc_codes_encode(codes, sae, be, x, n);
    fc_codes_decode(codes, be, fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_out), y);
    for (int64_t i = 0; i < sae->d_sae; i++)
        for (int64_t t = 0; t < n; t++)
            features[t * sae->d_sae + i] = codes->value[i * codes->row + t];
    for (int64_t i = 0; i < n * sae->d_out; i++) y[i] += sae->b_dec[i % sae->d_out];
    if (fc_arch_find(sae->arch)->is_transcoder)
        for (int64_t t = 0; t < n; t++)
            norm[t] = (fc_row_norm){sae->target_normaliser.norm, 0};
    fc_denormalise(fc_arch_find(sae->arch)->is_transcoder ? &sae->target_normaliser
                                                          : &sae->normaliser,
                   y, norm, n);
    fc_codes_free(codes);
    fc_backend_close(be);
    fc_free(x);
    fc_free(norm);
}

#endif
