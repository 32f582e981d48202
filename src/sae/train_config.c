/* train_config.c - the options of `facet train`: one row each, the seed recipe as defaults.
 *
 * The seed experiment's SAE is two plain linear layers: b_dec is not subtracted from the input.
 * That matters: with the subtraction the same recipe keeps nearly every feature alive on the
 * example model, without it three quarters die, as published.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "sae/arch.h"

void fc_train_defaults(fc_train_config *config)
{
    *config = (fc_train_config){
        .expansion = 8,
        .epochs = 300,
        .batch_size = 512,
        .lr = 3e-3,
        .lr_final_factor = 0.5,
        .lr_warm_up_steps = 500,
        .lr_schedule = FC_LR_COSINE,
        .l1_coefficient = 3e-4,
        .l1_form = FC_L1_SUM,
        .mse_form = FC_MSE_MEAN,
        .adam_beta1 = 0.9,
        .adam_beta2 = 0.999,
        .adam_eps = 1e-8,
        .shuffle = FC_SHUFFLE_AUTO,
        .normalization = FC_NORM_CENTER_UNIT,
        .init = FC_INIT_LINEAR,
        .precision = FC_AUTO_PRECISION,
        .dead_threshold = 1e-6,
        .checkpoint_every = {.seconds = 300},
        .log_every = {.steps = 100},
        .histogram_every = {.steps = 1000},
    };
}

#define ROW(name, kind, member, min, max, choices, value, help)                       \
    {                                                                                 \
        name, kind, offsetof(fc_train_config, member), min, max, choices, value, help \
    }
#define I64(name, member, min, max, help) \
    ROW(name, FC_FIELD_I64, member, min, max, NULL, "N", help)
#define F64(name, member, min, max, value, help) \
    ROW(name, FC_FIELD_F64, member, min, max, NULL, value, help)
#define CHOICE(name, member, choices, help) \
    ROW(name, FC_FIELD_CHOICE, member, 0, 0, choices, "WORD", help)
#define BOOL(name, member, help) ROW(name, FC_FIELD_BOOL, member, 0, 0, NULL, NULL, help)
#define EVERY(name, member, help) \
    ROW(name, FC_FIELD_EVERY, member, 0, 0, NULL, "EVERY", help)

static const fc_field fields[] = {
    CHOICE("arch", arch, FC_ARCH_NAMES, "architecture of the SAE"),
    I64("d-sae", d_sae, 0, 1 << 24,
        "number of features; 0: expansion times the input's width"),
    I64("expansion", expansion, 1, 65536,
        "features per input dimension, unless --d-sae is given"),
    I64("epochs", epochs, 1, 1e9, "times that every activation is seen"),
    I64("batch-size", batch_size, 1, 1 << 20, "activations a step"),
    I64("max-steps", max_steps, 0, 1e15, "end after so many steps; 0: after the epochs"),
    F64("lr", lr, 0, 10, "RATE", "learning rate of Adam, at its highest"),
    F64("lr-final-factor", lr_final_factor, 0, 1, "X",
        "share of the rate left at the last step"),
    I64("lr-warm-up-steps", lr_warm_up_steps, 0, 1e15,
        "steps in which the rate rises to its full value"),
    CHOICE("lr-schedule", lr_schedule, "cosine|linear|constant",
           "course of the rate after the warm-up"),
    F64("l1-coefficient", l1_coefficient, 0, 1e6, "X", "weight of the sparsity penalty"),
    I64("l1-warm-up-steps", l1_warm_up_steps, 0, 1e15,
        "steps in which the penalty rises from 0"),
    CHOICE("l1-form", l1_form, "sum|mean|decoder_norm",
           "penalty over features; decoder_norm weighs them by their decoder's length"),
    CHOICE("mse-form", mse_form, "mean|sum", "squared error over dimensions"),
    F64("adam-beta1", adam_beta1, 0, 0.999999, "X", "decay of Adam's first moment"),
    F64("adam-beta2", adam_beta2, 0, 0.9999999, "X", "decay of Adam's second moment"),
    F64("adam-eps", adam_eps, 0, 1, "X", "Adam's epsilon"),
    F64("grad-clip-norm", grad_clip_norm, 0, 1e9, "X",
        "largest norm of the gradient; 0: no clipping"),
    BOOL("unit-norm-decoder", unit_norm_decoder, "keep the decoder's rows at length 1"),
    BOOL("apply-b-dec-to-input", apply_b_dec_to_input,
         "subtract the decoder's bias from the input"),
    BOOL("drop-last", drop_last, "leave out an epoch's short last batch"),
    CHOICE("shuffle", shuffle, FC_SHUFFLE_CHOICES,
           "order of activations; auto: blocks for a store of half the memory or more"),
    I64("mix-buffer-rows", mix_buffer_rows, 0, UINT32_MAX,
        "rows to draw from with shuffle blocks; 0: a quarter of the memory, at most 2 "
        "GiB"),
    CHOICE("normalization", normalization, FC_NORM_CHOICES,
           "of the activations: less their mean, then to unit length or by one scale"),
    CHOICE("init", init, "linear|tied_unit|saelens", "start weights"),
    CHOICE("precision", precision, FC_PRECISION_CHOICES,
           "of matrix products; auto: bf16 where it is faster"),
    F64("dead-threshold", dead_threshold, 0, 1e9, "X",
        "a feature that never exceeds it is dead"),
    EVERY("checkpoint-every", checkpoint_every, "time or steps between checkpoints"),
    EVERY("log-every", log_every, "steps between lines of the log"),
    EVERY("histogram-every", histogram_every, "steps between histograms in the log"),
    I64("seed", seed, 0, 9e15, "of start weights and of the order of activations"),
};

const fc_field *fc_train_fields(int64_t *n)
{
    *n = (int64_t)FC_LEN(fields);
    return fields;
}

/* Every member through its row: as text and back, so that ranges are stated once. */
static fc_status check_ranges(const fc_train_config *config, fc_err *err)
{
    fc_train_config copy = *config;
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    for (size_t i = 0; i < FC_LEN(fields) && status == FC_OK; i++) {
        fc_strbuf_clear(&text);
        status = fc_field_get(&fields[i], config, &text, err);
        if (status == FC_OK)
            status = fc_field_set(&fields[i], &copy, fc_strbuf_text(&text),
                                  fields[i].name, err);
    }
    fc_strbuf_free(&text);
    return status;
}

fc_status fc_train_check(const fc_train_config *config, fc_err *err)
{
    FC_TRY(check_ranges(config, err));
    if (config->log_every.steps <= 0 || config->histogram_every.steps <= 0)
        return fc_fail(
            err, FC_USAGE,
            "%s is a time, expected a count of steps: a log by the clock would "
            "not be the same twice",
            config->log_every.steps <= 0 ? "log-every" : "histogram-every");
    return fc_arch_at(config->arch)->check(config, err);
}
