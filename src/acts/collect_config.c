/* collect_config.c - the settings of `facet collect`, one row each.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "acts/harvest.h"

void fc_collect_defaults(fc_collect_config *config)
{
    *config = (fc_collect_config){.max_length = 128,
                                  .split = FC_SPLIT_LINE,
                                  .overflow = FC_OVERFLOW_TRUNCATE,
                                  .text_format = FC_TEXT_AUTO,
                                  .precision = FC_AUTO_PRECISION,
                                  .batch_tokens = 2048,
                                  .shard_rows = 65536,
                                  .checkpoint_every = {.seconds = 300}};
    memcpy(config->field, "text", sizeof "text");
}

#define ROW(member) offsetof(fc_collect_config, member)

enum { STORE_FIELDS = 2 }; /* the last of the table */

static const fc_field fields[] = {
    {"model", FC_FIELD_TEXT, ROW(model), 0, 0, NULL, "DIR",
     "Gemma 3 checkpoint: folder with config.json, safetensors, tokenizer.json; or its "
     "name on the hub"},
    {"hook", FC_FIELD_TEXTS, ROW(hook), 0, 0, NULL, "NAME",
     "module whose output is collected; given again, or A,B: several, a store each"},
    {"tokens", FC_FIELD_I64, ROW(tokens), 0, 4294967295.0, NULL, "N",
     "activations to collect; 0 takes all that the text gives"},
    {"max-length", FC_FIELD_I64, ROW(max_length), 2, 1048576, NULL, "N",
     "longest sequence in tokens, <bos> included"},
    {"split", FC_FIELD_CHOICE, ROW(split), 0, 0, FC_SPLIT_CHOICES, "WHERE",
     "what makes one document of the text"},
    {"overflow", FC_FIELD_CHOICE, ROW(overflow), 0, 0, FC_OVERFLOW_CHOICES, "HOW",
     "tokens beyond max-length: drop them, or go on in a further sequence"},
    {"text-format", FC_FIELD_CHOICE, ROW(text_format), 0, 0, FC_TEXT_FORMAT_CHOICES,
     "FORMAT", "form of the text files; auto goes by name, then content"},
    {"text-column", FC_FIELD_TEXT, ROW(field), 0, 0, NULL, "NAME",
     "column of Parquet, or member of JSON lines, that holds the text"},
    {"dtype", FC_FIELD_CHOICE, ROW(dtype), 0, 0, FC_COLLECT_DTYPE_CHOICES, "TYPE",
     "how activations are stored; bf16 takes half the space"},
    {"precision", FC_FIELD_CHOICE, ROW(precision), 0, 0, FC_PRECISION_CHOICES, "P",
     "operands of the model's matrix products"},
    {"batch-tokens", FC_FIELD_I64, ROW(batch_tokens), 1, 1048576, NULL, "N",
     "tokens in one forward pass; changes speed and memory, not the result"},
    {"allow-fewer", FC_FIELD_BOOL, ROW(allow_fewer), 0, 0, NULL, NULL,
     "take what there is when the text gives fewer tokens than asked"},
    /* of stores alone */
    {"shard-rows", FC_FIELD_I64, ROW(shard_rows), 1, 4294967295.0, NULL, "N",
     "activations in one file; those of each hook are in memory until it is written"},
    {"checkpoint-every", FC_FIELD_EVERY, ROW(checkpoint_every), 0, 0, NULL, "EVERY",
     "time or activations between saves of the file being filled"},
};

const fc_field *fc_collect_fields(int64_t *n)
{
    *n = (int64_t)FC_LEN(fields);
    return fields;
}

const fc_field *fc_stream_fields(int64_t *n)
{
    *n = (int64_t)FC_LEN(fields) - STORE_FIELDS;
    return fields;
}
