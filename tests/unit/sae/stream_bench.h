/* stream_bench.h - a tiny model, a text, and runs on its stream.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STREAM_BENCH_H
#define FC_STREAM_BENCH_H

#include "../acts/harvest_bench.h"

#include "sae/feed.h"

static const char stream_hook[] = "model.layers.1.mlp.down_proj";
static const char stream_target[] = "model.layers.0.self_attn.o_proj:input";

/* 2 epochs of what the text gives (some 800 rows), in batches of 64. */
static inline fc_train_config stream_train_config(void)
{
    fc_train_config config;
    fc_train_defaults(&config);
    config.d_sae = 96;
    config.epochs = 2;
    config.batch_size = 64;
    config.lr_warm_up_steps = 3;
    config.precision = FC_F32_PRECISION;
    config.log_every = (fc_every){.steps = 5};
    config.histogram_every = (fc_every){.steps = 10};
    config.checkpoint_every = (fc_every){.seconds = 1e9};
    config.mix_buffer_rows = 200;
    config.seed = 7;
    return config;
}

/* Opens hooks of the bench's text as windows. */
static inline fc_status open_windows(fc_windows **windows, const fc_harvest_text *text,
                                     fc_backend *be, fc_err *err)
{
    fc_harvester *harvester = NULL;
    FC_TRY(fc_harvester_open(&harvester, text, be, FC_F32_PRECISION, err));
    return fc_windows_open(windows, harvester, FC_BF16, err);
}

/* Trains on the stream of config.hook, the second of its hooks being the target if there are two. */
static inline fc_status train_stream(const bench *b, const fc_train_config *config,
                                     const char *run, bool is_resume,
                                     fc_train_result *result, fc_err *err)
{
    const char *const paths[] = {b->text};
    const fc_harvest_text text = {&b->config, paths, 1};
    fc_windows *windows = NULL;
    fc_feed *feed = NULL;
    fc_backend *be[2] = {NULL, NULL};
    fc_status status;
    FC_TRY_GOTO(fc_backend_open(&be[0], NULL, err));
    FC_TRY_GOTO(fc_backend_open(&be[1], NULL, err));
    FC_TRY_GOTO(open_windows(&windows, &text, be[0], err));
    const int target = strchr(b->config.hook, ',') != NULL ? 1 : -1;
    FC_TRY_GOTO(fc_feed_of_windows(&feed, windows, 0, target, true, err));
    status = fc_train_feed(config, feed, be[1], run, is_resume, result, err);
done:
    fc_backend_close(be[0]);
    fc_backend_close(be[1]);
    return status;
}

static inline void assert_same_weights(const char *a, const char *b)
{
    static const char *const names[] = {"metrics.csv", "sae/sae_weights.safetensors",
                                        "sae/cfg.json", "sae/normalization.safetensors"};
    for (size_t i = 0; i < FC_LEN(names); i++) {
        char path_a[FC_PATH_MAX], path_b[FC_PATH_MAX];
        fc_test_path(path_a, a, names[i]);
        fc_test_path(path_b, b, names[i]);
        fc_test_assert_files_equal(path_a, path_b);
    }
}

#endif
