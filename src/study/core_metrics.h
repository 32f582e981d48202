/* core_metrics.h - SAEBench's "core" measures of an SAE over rows: as they should be, and as tools
 * print them.
 *
 *   x [n, d]   what is to be reconstructed        y [n, d]   the reconstruction        e = x - y
 *   f          features, of which count, sum, largest and prompts are kept for each
 *
 * A measure is a number (fc_core_number); a name is a row of a table. Tools differ in formulas and in
 * how batches are averaged; the numbers of some depend on the batches for that reason:
 *
 *   mean over rows       all that is here unless it says "batch"
 *   mean over batches    FC_CORE_BATCH_*: of the batch's own value, short batches count as full ones
 *
 * Definitions: SAEBench 0.6, SAELens 6.18 and 6.54, dictionary_learning 0.1; docs/FORMATS.md lists
 * them. A value without meaning (no rows, a variance of 0) is NaN.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CORE_METRICS_H
#define FC_STUDY_CORE_METRICS_H

#include "sae/codes.h"

typedef enum fc_core_number {
    FC_CORE_L2_NORM_IN,  /* mean ||x|| */
    FC_CORE_L2_NORM_OUT, /* mean ||y|| */
    FC_CORE_L2_RATIO,    /* mean ||y|| / ||x||; ||x|| below 1e-4 counts as 1 */
    FC_CORE_BIAS,        /* sum ||y||^2 / sum x.y: below 1 is shrinkage */
    FC_CORE_L0,          /* features above 0 on a row */
    FC_CORE_L1,          /* their sum */
    FC_CORE_COSINE,      /* mean cosine of x and y; 0 where either is 0 */
    FC_CORE_MSE_SUM,     /* mean ||e||^2 */
    FC_CORE_MSE_MEAN,    /* the same per dimension */
    FC_CORE_FVU,         /* sum ||e||^2 / sum ||x - mean x||^2 */
    FC_CORE_EXPLAINED,   /* 1 - FVU */
    FC_CORE_CENTRED, /* 1 - variance of e / variance of x: a constant error is forgiven */
    FC_CORE_FREQ_1,  /* share of features that fire on more than 1 % of rows */
    FC_CORE_FREQ_10,
    FC_CORE_MASS_1, /* share of all firings that these have */
    FC_CORE_MASS_10,
    FC_CORE_ALIVE,       /* share of features that fired at all */
    FC_CORE_SILENT,      /* features that never fired */
    FC_CORE_DEAD,        /* features whose largest activation is at most 1e-6 */
    FC_CORE_MAX_ENCODER, /* mean over features of the largest cosine with another's row */
    FC_CORE_MAX_DECODER,
    FC_CORE_LEGACY,    /* mean over rows of 1 - ||e||^2 / ||x - mean of the batch||^2 */
    FC_CORE_MSE_TWICE, /* ||e||^2 over the rows of its batch, averaged over rows again */
    FC_CORE_SLIP,      /* 1 - batch mean ||e||^2 / (S - (S/d)^2), S batch mean ||x||^2 */
    FC_CORE_BATCH_BIAS,
    FC_CORE_BATCH_L0,
    FC_CORE_BATCH_L1,
    FC_CORE_BATCH_RATIO,
    FC_CORE_BATCH_COSINE,
    FC_CORE_BATCH_ERROR, /* ||e||, not squared */
    FC_CORE_BATCH_CENTRED,
    FC_CORE_N
} fc_core_number;

/* Under which names a tool shows them. */
typedef struct fc_core_name {
    const char *name;
    fc_core_number number;
} fc_core_name;
typedef struct fc_core_table {
    const char *tool; /* "saelens_6_54" */
    const fc_core_name *name;
    int64_t n;
} fc_core_table;
extern const fc_core_table fc_core_right;     /* every measure as it should be */
extern const fc_core_table fc_core_printed[]; /* as each tool prints its own */
extern const int64_t fc_core_n_printed;

typedef struct fc_core_feature {
    int64_t n_active;  /* rows on which it fires */
    int64_t n_prompts; /* prompts in which it fires */
    double sum;        /* of its activations */
    float max;
    float encoder_norm, decoder_norm, encoder_bias;
    double encoder_decoder_cosine; /* NaN without a direction, or where widths differ */
    double max_encoder_cosine, max_decoder_cosine; /* NaN without another row */
    int32_t max_encoder_id, max_decoder_id;        /* -1 then */
} fc_core_feature;

typedef struct fc_core_metrics fc_core_metrics;

/* For batches of up to n_max rows of an SAE of this shape. */
fc_status fc_core_metrics_new(fc_core_metrics **created, const fc_sae *sae, int64_t n_max,
                              fc_err *err);
void fc_core_metrics_free(fc_core_metrics *core);

/* Part of a batch: its features, and the prompt of each of its rows, [codes->n]. Prompts never
 * descend, and each is in one batch. */
void fc_core_metrics_features(fc_core_metrics *core, const fc_codes *codes,
                              const int64_t *prompt);
/* Ends the batch. x, y: [n, d_out] of all its rows. */
void fc_core_metrics_batch(fc_core_metrics *core, const float *x, const float *y,
                           int64_t n);

/* What the weights alone say. FC_CANCELLED after Ctrl-C. */
fc_status fc_core_metrics_weights(fc_core_metrics *core, const fc_sae *sae,
                                  fc_backend *be, fc_err *err);

int64_t fc_core_metrics_rows(const fc_core_metrics *core);
const fc_core_feature *fc_core_metrics_of(const fc_core_metrics *core); /* [d_sae] */
void fc_core_metrics_numbers(const fc_core_metrics *core, double number[FC_CORE_N]);

#endif
