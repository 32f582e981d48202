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
    unsigned absent; /* bit 1 << id */

    double in_scale,
        out_scale; /* x' = (x - in_mean) / in_scale, y = y' out_scale + out_mean */
    const float *in_mean, *out_mean; /* or NULL */
    double *gain;  /* [d_sae] length of the decoder row that goes to the encoder */
    double *shift; /* [d_sae] W_enc . in_mean / in_scale, where b_dec does not take it */
    float *block;
} fc_export;

/* center_scale is folded into the weights exactly: with c, s and m, t the means and scales of input and
 * output (the same but for transcoders)
 *
 *   W_enc / s    W_dec t    W_skip t / s    b_dec t + m - W_skip c t / s
 *   b_enc, b_mag as they are if b_dec is subtracted from x, else less W_enc c / s (times e^r_mag)
 *
 * and with is_rescaled the length of each decoder row goes to the encoder. Other normalisations stay
 * as they are: the weights are those for normalised input. Fails on a value that is not finite. */
fc_status fc_export_init(fc_export *export, const fc_sae *sae, const fc_import_row *rows,
                         int n_rows, const char *where, fc_err *err);
void fc_export_deinit(fc_export *export);

/* Declares all tensors; writes all tensors, in the order of the table. */
fc_status fc_export_declare(const fc_export *export, fc_arrays_out *out, fc_err *err);
fc_status fc_export_write(const fc_export *export, fc_arrays_out *out, fc_err *err);

/* FC_MISMATCH when input has to be normalised in a way that `format` cannot say. */
fc_status fc_export_check_norm(const fc_sae *sae, const char *format, fc_err *err);

fc_status fc_gemma_scope_save(const fc_sae *sae, const char *dir, fc_err *err);

#endif
