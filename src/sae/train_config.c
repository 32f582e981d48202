/* train_config.c - the options of `facet train`: one row each, the seed recipe as defaults.
 *
 * The seed experiment's SAE is two plain linear layers: b_dec is not subtracted from the input.
 * That matters: with the subtraction the same recipe keeps nearly every feature alive on the
 * example model, without it three quarters die, as published.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stddef.h>

#include "sae/arch.h"

int64_t fc_train_aux_k(const fc_train_config *config, int64_t d_in)
{
    return config->aux_k > 0 ? config->aux_k : fc_max(1, d_in / 2);
}

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
        .k = 32,
        .rescale_by_decoder_norm = true,
        .topk_threshold_lr = 0.01,
        .aux_coefficient = 1.0 / 32,
        .dead_feature_window = 1000,
        .matryoshka_widths = "0.0625,0.1875,0.4375,1",
        .jumprelu_threshold = 0.01,
        .jumprelu_bandwidth = 0.05,
        .l0_coefficient = 1.0,
        .jumprelu_tanh_scale = 4.0,
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
    F64("lr-decay-share", lr_decay_share, 0, 1, "X",
        "with lr-schedule constant: last share of the steps, in which the rate falls in "
        "a "
        "line to lr-final-factor"),
    F64("l1-coefficient", l1_coefficient, 0, 1e6, "X",
        "weight of the sparsity penalty of standard, gated and transcoders"),
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
    F64("ema-decay", ema_decay, 0, 0.9999999, "X",
        "decay of the mean of the weights over steps, which is what is saved; 0: the "
        "last "
        "weights are"),
    BOOL("unit-norm-decoder", unit_norm_decoder, "keep the decoder's rows at length 1"),
    BOOL("apply-b-dec-to-input", apply_b_dec_to_input,
         "subtract the decoder's bias from the input"),
    BOOL("drop-last", drop_last, "leave out an epoch's short last batch"),
    CHOICE("shuffle", shuffle, FC_SHUFFLE_CHOICES,
           "order of activations; auto: blocks for a store of half the memory or more, "
           "windows without one"),
    I64("mix-buffer-rows", mix_buffer_rows, 0, UINT32_MAX,
        "rows to draw from with shuffle blocks, rows of each of the two windows; 0: a "
        "quarter of the memory, at most 2 GiB"),
    CHOICE("normalization", normalization, FC_NORM_CHOICES,
           "of the activations: less their mean, then to unit length or by one scale"),
    CHOICE("init", init, "linear|tied_unit|saelens", "start weights"),
    CHOICE(
        "b-dec-init", b_dec_init, "zero|mean|median",
        "start of b_dec: left as init has it, or mean or geometric median of the first "
        "batch"),
    F64("k", k, 1e-6, 1 << 24, "X",
        "topk, batchtopk, matryoshka_batchtopk: features that fire on a row; of a batch, "
        "on average"),
    BOOL("rescale-by-decoder-norm", rescale_by_decoder_norm,
         "with k: features compete by activation times length of their decoder row"),
    F64("topk-threshold-lr", topk_threshold_lr, 0, 1, "X",
        "batchtopk: share of a new step in the threshold that is used after training"),
    F64("aux-coefficient", aux_coefficient, 0, 1e6, "X",
        "with k: weight of the reconstruction of what is left over by dead features "
        "(AuxK)"),
    I64("aux-k", aux_k, 0, 1 << 24,
        "dead features on a row that take part in it; 0: half the input's width"),
    I64("dead-feature-window", dead_feature_window, 1, 1e15,
        "steps without firing after which a feature is dead for losses and resampling"),
    ROW("matryoshka-widths", FC_FIELD_TEXT, matryoshka_widths, 0, 0, NULL, "LIST",
        "matryoshka_batchtopk: prefixes that must do alone, as shares of the features or "
        "numbers of them"),
    BOOL("matryoshka-aux", matryoshka_aux,
         "AuxK for each prefix by itself instead of for all features together"),
    F64("jumprelu-threshold", jumprelu_threshold, 0, 1e6, "X",
        "jumprelu: thresholds at the start"),
    F64("jumprelu-bandwidth", jumprelu_bandwidth, 0, 1e6, "X",
        "jumprelu: width around a threshold in which it has a gradient"),
    CHOICE("l0-penalty", l0_penalty, "tanh|step|quadratic",
           "jumprelu: penalty on activations, on their number, on its distance to "
           "target-l0"),
    F64("l0-coefficient", l0_coefficient, 0, 1e6, "X", "jumprelu: weight of the penalty"),
    I64("l0-warm-up-steps", l0_warm_up_steps, 0, 1e15,
        "steps in which that rises from 0"),
    F64("jumprelu-tanh-scale", jumprelu_tanh_scale, 0, 1e6, "X",
        "l0-penalty tanh: factor of activations before the tanh"),
    F64("target-l0", target_l0, 0, 1 << 24, "X",
        "l0-penalty quadratic: features that should fire on a row"),
    F64("pre-act-coefficient", pre_act_coefficient, 0, 1e6, "X",
        "jumprelu: weight of what dead features lack to their thresholds; 0: none"),
    BOOL("jumprelu-ste-to-input", jumprelu_ste_to_input,
         "jumprelu: the gradient of a threshold also reaches the encoder"),
    I64("resample-every", resample_every, 0, 1e15,
        "steps between fresh starts of features that were silent for half of them; 0: "
        "none"),
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
    if (config->lr_decay_share > 0.0 && config->lr_schedule != FC_LR_CONSTANT)
        return fc_fail(err, FC_USAGE,
                       "lr-decay-share is %g, expected 0 unless lr-schedule is constant: "
                       "the others fall by themselves",
                       config->lr_decay_share);
    return fc_arch_at(config->arch)->check(config, err);
}

fc_status fc_train_resolve(fc_train_config *config, int64_t d_in, fc_err *err)
{
    const fc_arch *const arch = fc_arch_at(config->arch);
    if (config->d_sae == 0) config->d_sae = config->expansion * d_in;
    if (arch->training.selection == FC_SELECT_NONE || config->k <= (double)config->d_sae)
        return FC_OK;
    return fc_fail(err, FC_USAGE, "k is %g, expected at most the %" PRId64 " features",
                   config->k, config->d_sae);
}
