/* model.c - loads a checkpoint folder into a model: config, weights, RoPE tables, fingerprint.
 *
 *   inv_freq[j] = 1 / theta^(2j / d_head) / factor,  j = 0 .. d_head/2 - 1
 *
 * Every step of it rounds to float32, as torch does: one unit in the last place of a frequency
 * grows with the position, so the more exact double would be the less equal.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include <math.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/hub_cache.h"
#include "model/model_internal.h"

static fc_status make_inv_freq(fc_model *model, const float **table, fc_rope rope,
                               fc_err *err)
{
    const int64_t d_head = model->config.d_head;
    const float theta = (float)rope.theta, factor = (float)rope.factor;
    float *inv_freq;
    FC_TRY(fc_arena_alloc(&model->arena, &inv_freq, d_head / 2, sizeof *inv_freq, err));
    for (int64_t j = 0; j < d_head / 2; j++) {
        const float exponent = (float)(2 * j) / (float)d_head;
        const float power = powf(theta, exponent);
        const float frequency = 1.0f / power;
        inv_freq[j] = frequency / factor;
    }
    *table = inv_freq;
    return FC_OK;
}

static fc_status load(fc_model *model, const char *given, fc_err *err)
{
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    FC_TRY(fc_strdup(&model->dir, given, err));
    FC_TRY(fc_hub_model_path(dir, given, err));
    FC_TRY(fc_path_join(path, dir, "config.json", err));
    FC_TRY(fc_gemma_config_load(&model->config, path, err));
    FC_TRY(fc_weight_files_open(&model->files, dir, err));
    FC_TRY(fc_weights_load(&model->weights, &model->files, &model->config, &model->arena,
                           err));
    FC_TRY(make_inv_freq(model, &model->inv_freq_full, model->config.rope_full, err));
    FC_TRY(
        make_inv_freq(model, &model->inv_freq_sliding, model->config.rope_sliding, err));
    return fc_weight_files_fingerprint(&model->files, path, model->fingerprint, err);
}

fc_status fc_model_load(fc_model **model, const char *dir, fc_err *err)
{
    fc_model *made;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "the model", err));
    const fc_status status = load(made, dir, err);
    if (status == FC_OK)
        *model = made;
    else
        fc_model_close(made);
    return status;
}

void fc_model_close(fc_model *model)
{
    if (model == NULL) return;
    fc_weight_files_close(&model->files);
    fc_arena_free(&model->arena);
    fc_free(model->dir);
    fc_free(model);
}

const fc_gemma_config *fc_model_config(const fc_model *model)
{
    return &model->config;
}

const char *fc_model_dir(const fc_model *model)
{
    return model->dir;
}

const fc_weights *fc_model_weights(const fc_model *model)
{
    return &model->weights;
}

const char *fc_model_fingerprint(const fc_model *model)
{
    return model->fingerprint;
}
