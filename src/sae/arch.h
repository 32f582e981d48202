/* arch.h - the plug-in point of architectures: what is special about one, and nothing else.
 *
 * An architecture says which tensors it has, how a pre-activation becomes a feature, and what its
 * loss adds to the squared error. Encoding and decoding (codes.h), selection (select.h), gradients
 * of matrices, projection, clipping and Adam (step.h), schedules and logs (train.h) are the same
 * for all. A new one is a file arch_NAME.c and a row in arch.c.
 *
 * One training step asks it in this order; what it leaves out is NULL:
 *
 *   begin        weights may be put right
 *   activate     blocks of z to lists, or a selection among all z
 *   reconstruct  y and the gradient of its error
 *   loss         penalties and further terms
 *   backward     gradients of features to gradients of z, feature by feature
 *   finish       after the last step
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_ARCH_H
#define FC_SAE_ARCH_H

#include "sae/codes.h"
#include "sae/losses.h"
#include "sae/train.h"

/* A block of features on its way from z to lists, from inside a parallel loop. Arrays begin with
 * its first feature. */
typedef struct fc_feature_block {
    const fc_sae *sae;
    fc_backend *be;
    const fc_train_config *config; /* NULL: not training */
    int64_t first, n_rows, n; /* features first .. first+n_rows-1, n rows of the batch */
    const float *z;           /* [n_rows, n] pre-activations without bias */
    int64_t z_row;            /* elements from row to row */
    fc_feature_rows to;       /* count: entries of the lists */
    float *second;            /* as to.value: another number of each entry, or NULL */
    fc_firing firing;
    const uint8_t *is_dead; /* while training; see codes.h */
    double *extra;
} fc_feature_block;

typedef enum fc_selection {
    FC_SELECT_NONE,
    FC_SELECT_ROW,
    FC_SELECT_BATCH,
    FC_SELECT_GROUP /* the largest of each of k runs of neighbours */
} fc_selection;

/* How features are made: each for itself, or competing. */
typedef struct fc_feature_rule {
    void (*activate)(const fc_feature_block *block); /* without a selection */
    fc_selection selection;
} fc_feature_rule;

/* The entries of one feature on their way back. */
typedef struct fc_entries {
    int64_t feature, n;
    const int32_t *index; /* [n] rows of the batch */
    const float *value;   /* [n] f */
    const float *second;  /* [n] where lists have it */
    const float
        *df_aux;   /* [n] gradient of the second term, if that has the same entries */
    float *dz;     /* [n] holds df, the gradient of f; becomes that of z */
    double db_enc; /* gradient of b_enc, when not the sum of dz: see backward */
} fc_entries;

struct fc_step;

typedef struct fc_arch {
    const char *name;
    unsigned tensors;    /* bit 1 << fc_sae_tensor_id for each that it has */
    bool is_transcoder;  /* y is not x; b_dec is never subtracted */
    bool has_whole_rows; /* dz = f > 0 ? df + dz_add : 0, so that whole rows will do */
    bool has_second;     /* lists have a second number while training */
    bool
        has_auxk; /* competing features: by z ||W_dec_i|| if asked; dead ones have a loss */
    bool has_levels; /* matryoshka_widths */
    bool has_band;  /* lists while training: what fires, then what might have (value 0) */
    bool has_extra; /* codes.extra is made while training */
    bool needs_norms; /* ||W_dec_i|| in every step */
    unsigned fixed;   /* tensors that no gradient moves */
    unsigned losses;  /* bit 1 << fc_loss for each beyond total, mse, l1 and l0 */
    fc_feature_rule inference, training;

    /* Whether the configuration makes sense for it; FC_USAGE names the option. */
    fc_status (*check)(const fc_train_config *config, fc_err *err);

    void (*begin)(struct fc_step *step);

    /* losses.mse, and delta with what belongs to it; NULL: y = decoder, one squared error. */
    void (*reconstruct)(struct fc_step *step);

    /* Adds to losses, sets what step.h lists as `for arch->loss`. */
    void (*loss)(struct fc_step *step);

    /* dz of one feature from df, in place, and gradients of vectors of its own. Returns the sum of
     * dz; db_enc is preset to NaN and stands for that sum unless set. */
    double (*backward)(struct fc_step *step, fc_entries *entries);

    void (*finish)(struct fc_step *step);
} fc_arch;

enum { /* tensors that every SAE has, and some have */
       FC_HAS_FOUR = 1U << FC_W_ENC | 1U << FC_W_DEC | 1U << FC_B_ENC | 1U << FC_B_DEC,
       FC_HAS_THRESHOLD = 1U << FC_THRESHOLD,
       FC_HAS_GATE = 1U << FC_R_MAG | 1U << FC_B_MAG,
       FC_HAS_SKIP = 1U << FC_W_SKIP
};

extern const fc_arch fc_arch_standard, fc_arch_topk, fc_arch_batchtopk, fc_arch_jumprelu,
    fc_arch_gated, fc_arch_matryoshka_batchtopk, fc_arch_transcoder,
    fc_arch_skip_transcoder, fc_arch_jumprelu_transcoder,
    fc_arch_jumprelu_skip_transcoder, fc_arch_topk_transcoder,
    fc_arch_topk_skip_transcoder, fc_arch_groupmax;

const fc_arch *fc_arch_at(int row); /* row of the table: fc_train_config.arch */
const fc_arch *fc_arch_find(const char *name); /* or NULL */

/* all that can be trained, "a|b|c", in the order of rows */
#define FC_ARCH_NAMES                                                         \
    "standard|topk|batchtopk|jumprelu|gated|matryoshka_batchtopk|transcoder|" \
    "skip_transcoder|jumprelu_transcoder|jumprelu_skip_transcoder"

#endif
