/* normaliser.c - centre rows and bring them to unit or common length, and back.
 *
 *   c = x - mean                        float32
 *   norm = float(sqrt(sum of c^2))      double, 8 lanes: the nearest float32 in all but rare cases
 *   x' = c / norm                       float32, a true division
 *
 * The sum is in double because it costs nothing beside reading the row, and takes the order of
 * summation out of the result: what is left is within one rounding of any other library's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/normaliser.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { LANES = 8 };

fc_status fc_normaliser_init(fc_normaliser *normaliser, fc_norm_kind kind, int64_t d,
                             const float *mean, float norm, fc_err *err)
{
    *normaliser = (fc_normaliser){0};
    fc_normaliser made = {.kind = kind, .d = d};
    if (d < 1)
        return fc_fail(err, FC_FORMAT,
                       "normalisation: width %" PRId64 ", expected 1 or more", d);
    if (kind == FC_NORM_CENTER_SCALE) {
        if (!isfinite(norm) || norm <= 0)
            return fc_fail(err, FC_FORMAT,
                           "normalisation: norm is %g, expected a number above 0",
                           (double)norm);
        made.norm = norm;
    }
    if (kind != FC_NORM_NONE) {
        FC_TRY(fc_alloc(&made.mean, d, sizeof *mean, "the mean activation", err));
        memcpy(made.mean, mean, (size_t)d * sizeof *mean);
    }
    *normaliser = made;
    return FC_OK;
}

fc_status fc_normaliser_of_store(fc_normaliser *normaliser, fc_norm_kind kind,
                                 const fc_store *store, fc_err *err)
{
    const int64_t d = fc_store_info_of(store)->d;
    const double norm = fc_store_mean_centred_norm(store) / sqrt((double)d);
    *normaliser = (fc_normaliser){0};
    if (kind != FC_NORM_NONE && fc_store_mean(store) == NULL)
        return fc_fail(err, FC_MISMATCH,
                       "the activation store is unfinished: its mean is not known yet");
    return fc_normaliser_init(normaliser, kind, d, fc_store_mean(store), (float)norm,
                              err);
}

void fc_normaliser_deinit(fc_normaliser *normaliser)
{
    fc_free(normaliser->mean);
    *normaliser = (fc_normaliser){0};
}

static float row_norm(const float *x, int64_t d)
{
    double lane[LANES] = {0};
    int64_t j = 0;
    for (; j + LANES <= d; j += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (double)x[j + l] * (double)x[j + l];
    for (int l = 0; j + l < d; l++) lane[l] += (double)x[j + l] * (double)x[j + l];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return (float)sqrt(lane[0]);
}

void fc_normalise(const fc_normaliser *normaliser, float *y, const float *x, float *norm,
                  int64_t n)
{
    const int64_t d = normaliser->d;
    FC_ASSERT(d > 0);
    const bool is_plain = normaliser->kind == FC_NORM_NONE;
    if (is_plain && y != x && n > 0) memcpy(y, x, (size_t)(n * d) * sizeof *y);
    for (int64_t i = 0; i < n; i++) {
        float divisor = 1;
        if (!is_plain) {
            float *const to = y + i * d;
            const float *const from = x + i * d;
            for (int64_t j = 0; j < d; j++) to[j] = from[j] - normaliser->mean[j];
            divisor = normaliser->kind == FC_NORM_CENTER_UNIT ? row_norm(to, d)
                                                              : normaliser->norm;
            if (divisor != 0)
                for (int64_t j = 0; j < d; j++) to[j] /= divisor;
        }
        if (norm != NULL) norm[i] = divisor;
    }
}

void fc_denormalise(const fc_normaliser *normaliser, float *y, const float *norm,
                    int64_t n)
{
    const int64_t d = normaliser->d;
    if (normaliser->kind == FC_NORM_NONE) return;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            y[i * d + j] = y[i * d + j] * norm[i] + normaliser->mean[j];
}
