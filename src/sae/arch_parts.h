/* arch_parts.h - pieces that several architectures are made of.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_ARCH_PARTS_H
#define FC_SAE_ARCH_PARTS_H

#include "sae/step.h"

enum { FC_BLOCK_ROWS = 112 }; /* most features of an fc_feature_block */

/* f = max(z + b_enc, 0), as lists or whole rows. */
void fc_activate_relu(const fc_feature_block *block);

/* f = max(z + b_enc, 0) where z + b_enc > threshold. */
void fc_activate_threshold(const fc_feature_block *block);

/* Lists of all entries with z + b_enc above `floor` [n_rows], value z + b_enc, and maybe a few that
 * are not, by a rounding: for who looks at each again. */
void fc_list_above(const fc_feature_block *block, const float *floor);

/* An entry of row r of the block: z + b_enc. */
static inline float fc_block_z(const fc_feature_block *block, int64_t r, int32_t t)
{
    return block->z[r * block->z_row + t] + block->sae->b_enc[block->first + r];
}

/* The penalty lambda sum_i c_i sum_i / n of sums [d_sae] into losses, with the weights c_i of
 * arch_standard.c; dz_add and w_dec_scale for it. */
void fc_penalty_l1(fc_step *step, const double *sums);

/* The same for the sums of f. */
void fc_loss_l1(fc_step *step);

/* dz = df + dz_add. */
double fc_backward_plain(fc_step *step, fc_entries *entries);

/* dz = df: what was kept by a selection. */
double fc_backward_kept(fc_step *step, fc_entries *entries);

/* ReLU of a transcoder has no b_dec in its input: FC_USAGE if one is asked for. */
fc_status fc_check_transcoder(const fc_train_config *config, fc_err *err);

/* --- jumprelu ----------------------------------------------------------------------------- */

void fc_activate_jumprelu(const fc_feature_block *block); /* while training */
void fc_begin_jumprelu(fc_step *step);
void fc_loss_jumprelu(fc_step *step);
double fc_backward_jumprelu(fc_step *step, fc_entries *entries);
fc_status fc_check_jumprelu(const fc_train_config *config, fc_err *err);

/* --- competing features ------------------------------------------------------------------- */

fc_status fc_check_k(const fc_train_config *config, bool is_whole_number, fc_err *err);
void fc_update_topk_threshold(fc_step *step);
void fc_finish_topk_threshold(fc_step *step);

/* Ends of levels from "0.25,0.5,1" or "1024,4096": shares of d_sae or numbers of features, ascending;
 * the last level is d_sae. Returns how many, 0 when the text is not that. */
int fc_matryoshka_levels(const char *widths, int64_t d_sae, int64_t *level_end);

#endif
