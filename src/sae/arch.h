/* arch.h - the plug-in point of architectures: what is special about one, and nothing else.
 *
 * A batch goes through three hands:
 *
 *   mixer -> x [n, d_in] -> arch->step: losses and gradients -> optimizer: weights
 *
 * The loop around owns parameters, moments, clipping, projection, Adam, schedules and logs; an
 * architecture says which parameters it has, how a pre-activation becomes a feature, and what
 * the gradient of its loss is. A new one is a file arch_NAME.c and a row in arch.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_ARCH_H
#define FC_SAE_ARCH_H

#include "sae/train.h"

/* Sizes that a parameter can have along an axis. */
typedef enum fc_axis { FC_AXIS_ONE, FC_AXIS_IN, FC_AXIS_SAE } fc_axis;

/* One row of an architecture's table of parameters. The first four are those of every SAE. */
typedef struct fc_param_kind {
    const char *name;   /* as in checkpoints: "W_enc" */
    size_t offset;      /* of the float * in fc_sae */
    fc_axis rows, cols; /* [rows, cols], row-major */
} fc_param_kind;

enum { FC_W_ENC, FC_W_DEC, FC_B_ENC, FC_B_DEC, FC_MAX_PARAMS = 8 };

/* A parameter while it is trained. w lies in the SAE; g, m, v belong to the fc_step. */
typedef struct fc_param {
    const char *name;
    int64_t rows, cols, n; /* n = rows * cols */
    float *w, *g, *m, *v;  /* weights, gradient, Adam's first and second moment */
} fc_param;

/* What the features of a batch amount to; one entry for each of d_sae features. */
typedef struct fc_firing {
    int64_t *count; /* tokens on which it is above 0 */
    double *sum;    /* of its activations */
    float *max;     /* the largest, 0 when it never fires */
} fc_firing;

typedef struct fc_losses { /* of one batch */
    double total, mse,
        l1;    /* total = mse + coefficient * l1 (+ what an architecture adds) */
    double l0; /* mean number of features above 0 for a token */
} fc_losses;

typedef struct fc_arch fc_arch;

/* Everything one training step works on. Made once; a step allocates nothing. */
typedef struct fc_step {
    const fc_arch *arch;
    fc_train_config config;
    fc_backend *be;         /* borrowed */
    fc_precision precision; /* of the products */
    fc_sae *sae;            /* borrowed: the weights */
    int64_t n_max;          /* largest batch */
    fc_param param[FC_MAX_PARAMS];
    int n_params;

    /* set before arch->step */
    const float *x; /* [n, d_in] normalised batch, borrowed */
    int64_t n; /* 1 .. n_max: a short last batch is a smaller one, not a padded one */
    double l1_coefficient; /* of this step */

    /* scratch for arch->step; [n, d_in] and [d_sae, n] have no gap between rows */
    float *xc, *y; /* [n_max, d_in] centred input; reconstruction, then its gradient */
    float *f, *df; /* [d_sae, n_max] features; their gradient */
    float *row, *norm; /* [d_sae] */
    int64_t *active;   /* [d_sae] features that fire in the batch, ascending */
    int64_t n_active;  /* rows that f and df have: those, or all of d_sae */
    double *column;    /* [d_in] */

    /* set by arch->step, besides param[].g */
    fc_firing firing;
    fc_losses losses;
} fc_step;

struct fc_arch {
    const char *name;
    const fc_param_kind *params; /* the four of every SAE first */
    int n_params;

    /* Whether the configuration makes sense for it; FC_USAGE names the option. */
    fc_status (*check)(const fc_train_config *config, fc_err *err);

    /* z [d_sae, n], pre-activations without bias, become features in place. Members of `firing`
     * may be NULL. */
    void (*activate)(const fc_sae *sae, fc_backend *be, float *z, fc_firing firing,
                     int64_t n);

    /* Losses, firing and the gradient of every parameter for the batch step->x. */
    void (*step)(fc_step *step);
};

extern const fc_arch fc_arch_standard;

const fc_arch *fc_arch_at(int row); /* row of the table: fc_train_config.arch */
const fc_arch *fc_arch_find(const char *name); /* or NULL */
#define FC_ARCH_NAMES "standard" /* all of them, "a|b|c", in the order of rows */

/* Pre-activations without bias: z [d_sae, n] = W_enc (x - b_dec)^T. xc [n, d_in] receives
 * x - b_dec if that is subtracted. Returns the input that was used, x or xc. */
const float *fc_arch_encode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                            const float *x, int64_t n, float *xc, float *z);

/* Reconstruction without bias: y [n, d_in] = f^T W_dec. */
void fc_arch_decode(const fc_sae *sae, fc_backend *be, fc_precision precision,
                    const float *f, int64_t n, float *y);

/* Buffers, zeroed moments. `sae` and `be` are borrowed until fc_step_free. */
fc_status fc_step_new(fc_step **created, const fc_train_config *config, fc_backend *be,
                      fc_sae *sae, fc_err *err);
void fc_step_free(fc_step *step);

#endif
