/* bench_config.c - the settings of `facet bench`, one row each.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench.h"

const char *const fc_bench_part_names[FC_N_BENCH_PARTS] = {"peaks", "train", "collect",
                                                           "study", "tokenize"};

void fc_bench_defaults(fc_bench_config *config)
{
    *config = (fc_bench_config){.seconds = 3.0,
                                .d_in = 1152,
                                .d_sae = 9216,
                                .batch = 512,
                                .max_length = 128,
                                .batch_tokens = 2048,
                                .rows = 32768};
}

#define ROW(member) offsetof(fc_bench_config, member)

static const fc_field fields[] = {
    {"seconds", FC_FIELD_F64, ROW(seconds), 0.001, 3600, NULL, "S",
     "time for each line, at most three times as much when others disturb"},
    {"quick", FC_FIELD_BOOL, ROW(is_quick), 0, 0, NULL, NULL,
     "does it all work? The figures mean little"},
    {"d-in", FC_FIELD_I64, ROW(d_in), 1, 1 << 20, NULL, "N",
     "train, study: dimensions of an activation"},
    {"d-sae", FC_FIELD_I64, ROW(d_sae), 1, 1 << 24, NULL, "N", "train, study: features"},
    {"batch", FC_FIELD_I64, ROW(batch), 1, 1 << 20, NULL, "N", "train: rows a step"},
    {"model", FC_FIELD_TEXT, ROW(model), 0, 0, NULL, "DIR",
     "collect, tokenize: checkpoint, if not the example model"},
    {"hook", FC_FIELD_TEXT, ROW(hook), 0, 0, NULL, "NAME",
     "collect: module, if not the last layer's mlp.down_proj"},
    {"max-length", FC_FIELD_I64, ROW(max_length), 2, 1048576, NULL, "N",
     "collect: longest sequence in tokens, <bos> included"},
    {"batch-tokens", FC_FIELD_I64, ROW(batch_tokens), 2, 1048576, NULL, "N",
     "collect: tokens in one forward pass"},
    {"store", FC_FIELD_TEXT, ROW(store), 0, 0, NULL, "ACTS",
     "study: a store, if not a random one"},
    {"sae", FC_FIELD_TEXT, ROW(sae), 0, 0, NULL, "DIR",
     "study: the SAE that goes with the store"},
    {"rows", FC_FIELD_I64, ROW(rows), 1, 1 << 24, NULL, "N",
     "study: activations of the random store"},
};

const fc_field *fc_bench_fields(int64_t *n)
{
    *n = (int64_t)FC_LEN(fields);
    return fields;
}
