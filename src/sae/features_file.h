/* features_file.h - features of rows into a file, and rows of activations back from features.
 *
 *   dense   features      F32 [n, d_sae]
 *   csr     crow_indices  I64 [n + 1]      entries of row t are crow_indices[t] .. [t+1] - 1
 *           col_indices   I32 [entries]    features that fire, ascending in each row
 *           values        F32 [entries]    how much
 *           shape         I64 [2]          n, d_sae
 *   both    norm          F32 [n, 2]       scale and shift that bring a reconstruction back to the
 *                                          row's units; only if the SAE normalises each by itself
 *
 * The names of csr are those of torch.sparse_csr_tensor. Files are safetensors, or npz or npy by their
 * ending (npy: one array, so dense features alone). Rows are read, encoded and written in blocks:
 * neither input nor output needs to fit into memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_FEATURES_FILE_H
#define FC_SAE_FEATURES_FILE_H

#include "acts/rows.h"
#include "sae/sae.h"

typedef enum fc_layout { FC_LAYOUT_DENSE, FC_LAYOUT_CSR } fc_layout;
#define FC_LAYOUT_CHOICES "dense|csr"

typedef struct fc_encode_job {
    const fc_sae *sae;
    fc_backend *be;
    const fc_rows *rows; /* raw activations, d_in wide */
    const char *out;
    fc_layout layout;
} fc_encode_job;

typedef struct fc_encode_result {
    int64_t n_rows, n_entries; /* entries above 0 */
} fc_encode_result;

/* Whether the way back needs a scale and a shift of each row: `norm`. */
bool fc_sae_needs_row_norms(const fc_sae *sae);

fc_status fc_encode_rows(const fc_encode_job *job, fc_encode_result *result, fc_err *err);

/* y [n, d_out] in the units of the activations: f W_dec + b_dec, the normalisation undone. `features`
 * is a file as above, or any array of features of d_sae columns. Refuses an SAE with a skip path,
 * whose y needs x too. Writes "reconstruction", F32. */
fc_status fc_decode_features(const fc_sae *sae, fc_backend *be, const char *features,
                             const char *out, int64_t *n_rows, fc_err *err);

#endif
