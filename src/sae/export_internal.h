/* export_internal.h - what the writers of SAEs share: tensors by a table, folded on the way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_EXPORT_INTERNAL_H
#define FC_SAE_EXPORT_INTERNAL_H

#include "sae/import_internal.h"

/* What goes into a file: the rows of the table whose tensors the SAE has, but for those in `absent`. */
typedef struct fc_export {
    const fc_sae *sae;
    const fc_import_row *rows;
    int n_rows;
    unsigned absent;          /* bit 1 << id */
    bool is_b_dec_subtracted; /* from x, in the file */

    double in_scale,
        out_scale; /* x' = (x - in_mean) / in_scale, y = y' out_scale + out_mean */
    const float *in_mean, *out_mean; /* or NULL */
    double *gain;  /* [d_sae] length of the decoder row that goes to the encoder */
    double *shift; /* [d_sae] what b_enc loses; see below */
    float *block;
} fc_export;

/* center_scale is folded into the weights exactly: with c, s and m, t the means and scales of input and
 * output (the same but for transcoders)
 *
 *   W_enc / s    W_dec t    W_skip t / s    b_dec t + m - W_skip c t / s
 *   b_enc - h, b_mag - h e^r_mag    h, by who subtracts b_dec from x:
 *                                    both the SAE and the file   0
 *                                    neither                     W_enc c / s
 *                                    the SAE, not the file       W_enc (c / s + b_dec)
 *                                    the file, not the SAE       - W_enc b_dec
 *
 * so a tool that always subtracts, or never does, still gets the same features. With is_rescaled the
 * length of each decoder row goes to the encoder. Other normalisations stay as they are: the weights
 * are those for normalised input. Set all before `in_scale` (absent later). Fails on a value that
 * is not finite. */
fc_status fc_export_init(fc_export *export, const char *where, fc_err *err);
void fc_export_deinit(fc_export *export);

/* Declares all tensors; writes all tensors, in the order of the table. */
fc_status fc_export_declare(const fc_export *export, fc_arrays_out *out, fc_err *err);
fc_status fc_export_write(const fc_export *export, fc_arrays_out *out, fc_err *err);

/* FC_MISMATCH when input has to be normalised in a way that `format` cannot say. */
fc_status fc_export_check_norm(const fc_sae *sae, const char *format, fc_err *err);

fc_status fc_gemma_scope_save(const fc_sae *sae, const char *dir, fc_err *err);

#endif
