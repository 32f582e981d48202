/* arch.h - the plug-in point of architectures: what is special about one, and nothing else.
 *
 * An architecture says which parameters it has, how a pre-activation becomes a feature, and what
 * its loss adds to the squared error. Encoding and decoding (codes.h), gradients, projection,
 * clipping and Adam (step.h), schedules and logs (train.h) are the same for all. A new one is a
 * file arch_NAME.c and a row in arch.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_ARCH_H
#define FC_SAE_ARCH_H

#include "sae/codes.h"
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

/* Features first .. first+n_rows-1 of a batch from z [n_rows, n], pre-activations without bias,
 * z_row elements from row to row. Called from inside a parallel loop. */
typedef void fc_activate_fn(const fc_sae *sae, fc_backend *be, const fc_feature_rows *to,
                            const float *z, int64_t z_row, int64_t first, int64_t n_rows,
                            int64_t n);

struct fc_step;

typedef struct fc_arch {
    const char *name;
    const fc_param_kind *params; /* the four of every SAE first */
    int n_params;

    /* Whether the configuration makes sense for it; FC_USAGE names the option. */
    fc_status (*check)(const fc_train_config *config, fc_err *err);

    fc_activate_fn *activate;

    /* What the loss has besides the squared error: sets losses.l1 and losses.total of the step, and
     * its share of the gradients, dz_add and w_dec_scale. */
    void (*penalty)(struct fc_step *step);
} fc_arch;

extern const fc_arch fc_arch_standard;

const fc_arch *fc_arch_at(int row); /* row of the table: fc_train_config.arch */
const fc_arch *fc_arch_find(const char *name); /* or NULL */
#define FC_ARCH_NAMES "standard" /* all of them, "a|b|c", in the order of rows */

#endif
