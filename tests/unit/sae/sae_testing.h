/* sae_testing.h - a small store from a planted dictionary, and options for a run on it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_TESTING_H
#define FC_SAE_TESTING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "formats/json.h"
#include "sae/train.h"

enum { TEST_D = 16, TEST_F = 48, TEST_ROWS = 490, TEST_BATCH = 20, TEST_EPOCHS = 5 };
/* The last batch of an epoch is short. */
enum { TEST_EPOCH_STEPS = 25, TEST_STEPS = 125 };

/* Rows are sums of three of 32 directions, times scale, in a finished store at dir. */
static inline fc_status make_test_store(const char *dir, double scale, fc_err *err)
{
    fc_store_info info = {.hook = "model.layers.1.mlp.down_proj",
                          .model = "models/tiny",
                          .model_hash = "0123",
                          .d = TEST_D,
                          .dtype = FC_F32,
                          .n_wanted = TEST_ROWS,
                          .rows_per_shard = 200,
                          .max_length = 32,
                          .text_hash = "4567"};
    fc_store_writer *writer = NULL;
    int64_t n_done = 0;
    json_t *meta = json_object();
    fc_status status = fc_store_create(&writer, dir, &info, meta, &n_done, err);
    const fc_doc doc = {"a page", "test", 1, TEST_ROWS};
    if (status == FC_OK) status = fc_store_document(writer, 0, &doc, err);
    for (int64_t t = 0; t < TEST_ROWS && status == FC_OK; t++) {
        float x[TEST_D];
        const fc_row row = {(int32_t)(t % 7), 0, (int32_t)(1 + t % 31)};
        for (int j = 0; j < TEST_D; j++) {
            double v = 1.0;
            for (uint64_t k = 0; k < 3; k++) {
                const uint64_t direction =
                    fc_rng_u64(3, FC_RNG_TEST, (uint64_t)t * 3 + k) % 32;
                v += fc_rng_normal(4, FC_RNG_TEST, direction * TEST_D + (uint64_t)j);
            }
            x[j] = (float)(scale * v);
        }
        status = fc_store_append(writer, x, &row, 1, err);
    }
    if (status == FC_OK) status = fc_store_finish(writer, false, err);
    fc_store_writer_close(writer);
    json_decref(meta);
    return status;
}

static inline fc_train_config test_config(void)
{
    fc_train_config c;
    fc_train_defaults(&c);
    c.d_sae = TEST_F;
    c.epochs = TEST_EPOCHS;
    c.batch_size = TEST_BATCH;
    c.lr_warm_up_steps = 10;
    c.l1_coefficient = 1e-3;
    c.precision = FC_F32_PRECISION;
    c.seed = 5;
    c.log_every = (fc_every){.steps = 7};
    c.histogram_every = (fc_every){.steps = 20};
    c.checkpoint_every = (fc_every){.steps = 10};
    return c;
}

#endif
