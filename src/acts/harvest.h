/* harvest.h - corpus through model into a store: `facet collect`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_HARVEST_H
#define FC_ACTS_HARVEST_H

#include "acts/store.h"
#include "base/fields.h"
#include "model/model.h"
#include "text/sequences.h"

#define FC_COLLECT_DTYPE_CHOICES "bf16|f32"

enum { FC_MAX_HOOKS = 64 };

typedef struct fc_collect_config {
    char model[FC_FIELD_TEXT_MAX];    /* checkpoint folder */
    char hook[FC_FIELD_TEXT_MAX];     /* one, or several with commas between */
    int64_t tokens;                   /* rows wanted; 0 = all there are */
    int64_t max_length;               /* tokens a sequence, bos included */
    int split, overflow, text_format; /* fc_split, fc_overflow, fc_text_format */
    char field[FC_FIELD_TEXT_MAX];    /* Parquet column, or JSON lines member */
    int dtype;                        /* how rows are stored: FC_COLLECT_DTYPE_CHOICES */
    int precision;                    /* fc_precision_choice */
    int64_t batch_tokens;             /* tokens a forward pass */
    int64_t shard_rows;
    fc_every checkpoint_every; /* a count means rows */
    bool allow_fewer;          /* corpus shorter than `tokens`: take what there is */
} fc_collect_config;

void fc_collect_defaults(fc_collect_config *config);
const fc_field *fc_collect_fields(int64_t *n);
const fc_field *fc_stream_fields(int64_t *n); /* the same but for those of stores */

typedef struct fc_collect_result {
    int64_t n_rows, n_docs, n_tokens_run; /* tokens_run: bos included, this process */
    int n_hooks;
    char hook[FC_MAX_HOOKS][96]; /* their names: of the stores, if there are several */
    double seconds;
    fc_precision precision;
} fc_collect_result;

/* Fills out_dir, or continues it: a store, or with several hooks a folder of stores, each by its
 * hook's name, whose row r is the same token in all. Paths are text files, "-" = stdin (which cannot be continued).
 * Fewer tokens in the corpus than asked: fails and says how many there are, unless allow_fewer.
 * Rows are safe on disk at every checkpoint, and on Ctrl-C: then FC_CANCELLED after the running
 * batch. The same call goes on from them. (Not from stdin, of which only whole shards are kept.) */
fc_status fc_collect(const fc_collect_config *config, const char *const *paths,
                     int64_t n_paths, fc_backend *be, const char *out_dir,
                     fc_collect_result *result, fc_err *err);

#endif
