/* bench.h - `facet bench`: how fast this machine could be, and how near to that the program comes.
 *
 *   peaks      multiply-adds from registers, and passes over memory
 *   train      one training step of a random SAE whose features fire as in real ones
 *   collect    forward passes up to a hook, and the whole command with its store
 *   study      the pass over a store, and its encoding alone
 *   tokenize   text to ids
 *
 * A row has a limit where a simple model gives one: the work that cannot be left out, at the peaks
 * measured in the same run (train_limit.h, collect_limit.h). How samples are taken: sampler.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_BENCH_H
#define FC_BENCH_BENCH_H

#include <jansson.h>

#include "base/fields.h"
#include "bench/machine.h"

typedef enum fc_bench_part {
    FC_BENCH_PEAKS,
    FC_BENCH_TRAIN,
    FC_BENCH_COLLECT,
    FC_BENCH_STUDY,
    FC_BENCH_TOKENIZE,
    FC_N_BENCH_PARTS
} fc_bench_part;

extern const char *const fc_bench_part_names[FC_N_BENCH_PARTS];

typedef struct fc_bench_config {
    bool has_part[FC_N_BENCH_PARTS];
    double seconds;                /* for each row */
    bool is_quick;                 /* does it all work? small arrays, few samples */
    int64_t d_in, d_sae, batch;    /* of train and study */
    char model[FC_FIELD_TEXT_MAX]; /* of collect and tokenize */
    char hook[FC_FIELD_TEXT_MAX];  /* "": the last layer's mlp.down_proj */
    const char *const *texts;      /* [n_texts], borrowed */
    int64_t n_texts;
    int64_t max_length, batch_tokens;
    char store[FC_FIELD_TEXT_MAX], sae[FC_FIELD_TEXT_MAX]; /* of study; both or neither */
    int64_t rows; /* of the store made for study */
} fc_bench_config;

void fc_bench_defaults(fc_bench_config *config);
const fc_field *fc_bench_fields(int64_t *n);

typedef struct fc_bench_detail {
    const char *of; /* "": of the median; "limit": of the limit */
    const char *name, *unit;
    double value;
} fc_bench_detail;

enum { FC_BENCH_MAX_ROWS = 48, FC_BENCH_MAX_DETAILS = 14 };

typedef struct fc_bench_row {
    fc_bench_part part;
    char name[80];
    const char *unit;
    bool is_rate;              /* more is better; else less */
    double median, min, max;   /* over the samples kept */
    int64_t n_kept, n_dropped; /* n_kept 0: all were bad, and all are used */
    double limit, percent;     /* NaN: none */
    fc_bench_detail detail[FC_BENCH_MAX_DETAILS];
    int n_details;
} fc_bench_row;

typedef struct fc_bench_result {
    fc_machine machine;
    fc_bench_row row[FC_BENCH_MAX_ROWS];
    int n_rows;
} fc_bench_result;

/* Runs the parts asked for, in order, on the threads that the backend was opened with; leaves
 * fc_par with as many. Temporary folders are removed. Free the result with fc_free. */
fc_status fc_bench(const fc_bench_config *config, fc_backend *be,
                   fc_bench_result **result, fc_err *err);

/* For people, a table; for machines, {"command": "bench", "machine": {}, "rows": [{}]}. */
fc_status fc_bench_text(const fc_bench_result *result, fc_strbuf *out, fc_err *err);
json_t *fc_bench_json(const fc_bench_result *result); /* NULL when memory ends */

#endif
