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

/* Features first .. first+n_rows-1 of a batch from z [n_rows, n], pre-activations without bias,
 * z_row elements from row to row. Called from inside a parallel loop. */
typedef void fc_activate_fn(const fc_sae *sae, fc_backend *be, const fc_feature_rows *to,
                            const float *z, int64_t z_row, int64_t first, int64_t n_rows,
                            int64_t n);

struct fc_step;

typedef struct fc_arch {
    const char *name;
    unsigned tensors;   /* bit 1 << fc_sae_tensor_id for each that it has */
    bool is_transcoder; /* y is not x; b_dec is never subtracted */

    /* Whether the configuration makes sense for it; FC_USAGE names the option. */
    fc_status (*check)(const fc_train_config *config, fc_err *err);

    fc_activate_fn *activate;

    /* What the loss has besides the squared error: sets losses.l1 and losses.total of the step, and
     * its share of the gradients, dz_add and w_dec_scale. */
    void (*penalty)(struct fc_step *step);
} fc_arch;

enum { /* tensors that every SAE has, and some have */
       FC_HAS_FOUR = 1U << FC_W_ENC | 1U << FC_W_DEC | 1U << FC_B_ENC | 1U << FC_B_DEC,
       FC_HAS_THRESHOLD = 1U << FC_THRESHOLD,
       FC_HAS_GATE = 1U << FC_R_MAG | 1U << FC_B_MAG,
       FC_HAS_SKIP = 1U << FC_W_SKIP
};

extern const fc_arch fc_arch_standard;

const fc_arch *fc_arch_at(int row); /* row of the table: fc_train_config.arch */
const fc_arch *fc_arch_find(const char *name); /* or NULL */
#define FC_ARCH_NAMES "standard" /* all of them, "a|b|c", in the order of rows */

#endif
