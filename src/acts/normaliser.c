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

static const float LAYER_EPSILON = 1e-5f; /* SAELens' */

const char *fc_norm_name(fc_norm_kind kind)
{
    switch (kind) {
    case FC_NORM_NONE: return "none";
    case FC_NORM_CENTER_UNIT: return "center_unit";
    case FC_NORM_CENTER_SCALE: return "center_scale";
    case FC_NORM_LAYER: return "layer";
    case FC_NORM_CONSTANT: return "constant";
    }
    return "unknown";
}

static bool has_mean(fc_norm_kind kind)
{
    return kind == FC_NORM_CENTER_UNIT || kind == FC_NORM_CENTER_SCALE;
}

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
    if (has_mean(kind)) {
        FC_TRY(fc_alloc(&made.mean, d, sizeof *mean, "the mean activation", err));
        memcpy(made.mean, mean, (size_t)d * sizeof *mean);
    }
    *normaliser = made;
    return FC_OK;
}

fc_status fc_normaliser_of_moments(fc_normaliser *normaliser, fc_norm_kind kind,
                                   int64_t d, const float *mean, double mean_centred_norm,
                                   fc_err *err)
{
    const double norm = mean_centred_norm / sqrt((double)d);
    return fc_normaliser_init(normaliser, kind, d, mean, (float)norm, err);
}

fc_status fc_normaliser_of_store(fc_normaliser *normaliser, fc_norm_kind kind,
                                 const fc_store *store, fc_err *err)
{
    *normaliser = (fc_normaliser){0};
    if (has_mean(kind) && fc_store_mean(store) == NULL)
        return fc_fail(err, FC_MISMATCH,
                       "the activation store is unfinished: its mean is not known yet");
    return fc_normaliser_of_moments(normaliser, kind, fc_store_info_of(store)->d,
                                    fc_store_mean(store),
                                    fc_store_mean_centred_norm(store), err);
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

static float row_mean(const float *x, int64_t d)
{
    double sum = 0.0;
    for (int64_t j = 0; j < d; j++) sum += (double)x[j];
    return (float)(sum / (double)d);
}

/* One row; what it takes back. */
static fc_row_norm normalise_row(const fc_normaliser *normaliser, float *y,
                                 const float *x)
{
    const int64_t d = normaliser->d;
    fc_row_norm back = {1, 0};
    float divisor = 1;
    if (normaliser->kind == FC_NORM_LAYER) back.shift = row_mean(x, d);
    if (has_mean(normaliser->kind))
        for (int64_t j = 0; j < d; j++) y[j] = x[j] - normaliser->mean[j];
    else
        for (int64_t j = 0; j < d; j++) y[j] = x[j] - back.shift;
    switch (normaliser->kind) {
    case FC_NORM_NONE: return back;
    case FC_NORM_CENTER_UNIT: divisor = back.scale = row_norm(y, d); break;
    case FC_NORM_CENTER_SCALE: divisor = back.scale = normaliser->norm; break;
    case FC_NORM_LAYER:
        back.scale = d > 1 ? row_norm(y, d) / sqrtf((float)(d - 1)) : 0;
        divisor = back.scale + LAYER_EPSILON;
        break;
    case FC_NORM_CONSTANT: divisor = back.scale = row_norm(y, d) / sqrtf((float)d); break;
    }
    if (divisor != 0)
        for (int64_t j = 0; j < d; j++) y[j] /= divisor;
    return back;
}

void fc_normalise(const fc_normaliser *normaliser, float *y, const float *x,
                  fc_row_norm *norm, int64_t n)
{
    const int64_t d = normaliser->d;
    FC_ASSERT(d > 0);
    if (normaliser->kind == FC_NORM_NONE) {
        if (y != x && n > 0) memcpy(y, x, (size_t)(n * d) * sizeof *y);
        for (int64_t i = 0; norm != NULL && i < n; i++) norm[i] = (fc_row_norm){1, 0};
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const fc_row_norm back = normalise_row(normaliser, y + i * d, x + i * d);
        if (norm != NULL) norm[i] = back;
    }
}

void fc_denormalise(const fc_normaliser *normaliser, float *y, const fc_row_norm *norm,
                    int64_t n)
{
    const int64_t d = normaliser->d;
    if (normaliser->kind == FC_NORM_NONE) return;
    for (int64_t i = 0; i < n; i++) {
        float *const row = y + i * d;
        if (has_mean(normaliser->kind))
            for (int64_t j = 0; j < d; j++)
                row[j] = row[j] * norm[i].scale + normaliser->mean[j];
        else
            for (int64_t j = 0; j < d; j++)
                row[j] = row[j] * norm[i].scale + norm[i].shift;
    }
}
