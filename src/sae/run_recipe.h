/* run_recipe.h - recipe.json: what a run was asked to do, and whether a resume asks the same.
 *
 *   {"acts": "/data/acts", "store": {"hook", "model", "model_hash", "width", "dtype", "rows",
 *    "text_hash", "mean_xxh3"}, "train": {every option of fc_train_fields}}
 *
 * "acts" and "store" are what a feed from a store says of its data; other feeds say other things
 * (feed_store.c, feed_stream.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_RUN_RECIPE_H
#define FC_SAE_RUN_RECIPE_H

#include "base/hash.h"
#include "sae/feed.h"

/* Options that are left open become what recipe.json can hold a run to: what the run in run_dir
 * began with, if there is one; else precision bf16 where the backend is faster with it, f32 where
 * not; shuffle and mix_buffer_rows as the feed says. */
fc_status fc_run_settle(const char *run_dir, const fc_backend *be, const fc_feed *feed,
                        int64_t memory_bytes, fc_train_config *config, fc_err *err);

/* Whether the configuration suits the data, and the run in run_dir, if there is one, was asked the
 * same: FC_MISMATCH as below. Nothing is written. */
fc_status fc_run_check(const char *run_dir, const fc_backend *be, const fc_feed *feed,
                       const fc_train_config *config, fc_err *err);

/* Writes run_dir/recipe.json. Where there is one already: is_resume false is refused; otherwise it
 * must say the same but for checkpoint_every and the paths of store and model, and the first
 * difference is named (FC_MISMATCH). hash receives a digest of what must be the same. */
fc_status fc_run_recipe(const char *run_dir, const fc_train_config *config,
                        const fc_feed *feed, bool is_resume, char hash[FC_HASH_HEX],
                        fc_err *err);

#endif
