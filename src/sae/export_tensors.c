/* export_tensors.c - tensors of an SAE as another tool stores them, folded and transposed row by row.
 *
 * Nothing is copied whole: a tensor is made a row at a time, or, where the file has our columns as rows,
 * a block of 64 columns at a time. Folding is in double, rounded once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "sae/arch.h"
#include "sae/export_internal.h"

enum { BLOCK = 64 }; /* columns that are transposed at once */

/* --- what is folded ------------------------------------------------------------------------- */

static void fold_norm(const fc_normaliser *n, double *scale, const float **mean)
{
    const bool is_folded = n->kind == FC_NORM_CENTER_SCALE;
    *scale = is_folded ? (double)n->norm : 1.0;
    *mean = is_folded ? n->mean : NULL;
}

static double row_length(const float *w, int64_t n)
{
    double sum = 0.0;
    for (int64_t j = 0; j < n; j++) sum += (double)w[j] * (double)w[j];
    return sqrt(sum);
}

/* What b_enc loses: what x' has and the file's input has not. */
static double shift_of(const fc_export *e, const float *w)
{
    const fc_sae *sae = e->sae;
    const bool is_here = sae->is_b_dec_subtracted, is_there = e->is_b_dec_subtracted;
    double mean = 0.0, bias = 0.0;
    for (int64_t j = 0; !is_there && e->in_mean != NULL && j < sae->d_in; j++)
        mean += (double)w[j] * (double)e->in_mean[j];
    for (int64_t j = 0; is_here != is_there && j < sae->d_in; j++)
        bias += (double)w[j] * (double)sae->b_dec[j];
    return mean / e->in_scale + (is_there ? -bias : bias);
}

static void find_gains(fc_export *e)
{
    const fc_sae *sae = e->sae;
    for (int64_t i = 0; i < sae->d_sae; i++) {
        double gain = 1.0;
        if (sae->is_rescaled) gain = row_length(sae->w_dec + i * sae->d_out, sae->d_out);
        e->gain[i] = gain > 0.0 ? gain : 1.0;
        e->shift[i] = shift_of(e, sae->w_enc + i * sae->d_in);
    }
}

static fc_status check_finite(const fc_sae *sae, const fc_import_row *rows, int n_rows,
                              const char *where, fc_err *err)
{
    for (int r = 0; r < n_rows; r++) {
        const fc_sae_tensor t = fc_sae_tensor_of(sae, rows[r].id);
        if (t.data != NULL)
            FC_TRY(fc_check_finite(t.data, t.rows * t.cols, t.name, where, err));
    }
    return FC_OK;
}

fc_status fc_export_init(fc_export *export, const char *where, fc_err *err)
{
    fc_export *const e = export;
    const fc_sae *sae = e->sae;
    fc_status status;
    FC_TRY(check_finite(sae, e->rows, e->n_rows, where, err));
    FC_CHECK(sae->d_in == sae->d_out ||
             (!sae->is_b_dec_subtracted && !e->is_b_dec_subtracted));
    fold_norm(&sae->normaliser, &e->in_scale, &e->in_mean);
    const bool is_transcoder = fc_arch_find(sae->arch)->is_transcoder;
    fold_norm(is_transcoder ? &sae->target_normaliser : &sae->normaliser, &e->out_scale,
              &e->out_mean);
    const int64_t widest = fc_max(fc_max(sae->d_in, sae->d_out), sae->d_sae);
    FC_TRY_GOTO(fc_alloc(&e->gain, sae->d_sae, sizeof *e->gain, "decoder norms", err));
    FC_TRY_GOTO(fc_alloc(&e->shift, sae->d_sae, sizeof *e->shift, "biases", err));
    FC_TRY_GOTO(
        fc_alloc(&e->block, BLOCK * widest, sizeof *e->block, "a block of weights", err));
    find_gains(e);
done:
    if (status != FC_OK) fc_export_deinit(e);
    return status;
}

void fc_export_deinit(fc_export *export)
{
    fc_free(export->gain);
    fc_free(export->shift);
    fc_free(export->block);
    *export = (fc_export){0};
}

fc_status fc_export_check_norm(const fc_sae *sae, const char *format, fc_err *err)
{
    const fc_normaliser *const both[] = {&sae->normaliser, &sae->target_normaliser};
    for (size_t i = 0; i < FC_LEN(both); i++)
        if (both[i]->kind != FC_NORM_NONE && both[i]->kind != FC_NORM_CENTER_SCALE)
            return fc_fail(err, FC_MISMATCH,
                           "the SAE wants its input normalised by '%s', which %s cannot "
                           "say and weights cannot hold; saelens keeps it",
                           fc_norm_name(both[i]->kind), format);
    return FC_OK;
}

/* --- rows ----------------------------------------------------------------------------------- */

static double b_dec_at(const fc_export *e, int64_t j)
{
    const fc_sae *sae = e->sae;
    double b = (double)sae->b_dec[j] * e->out_scale;
    if (e->out_mean != NULL) b += (double)e->out_mean[j];
    if (sae->w_skip == NULL || e->in_mean == NULL) return b;
    double dot = 0.0;
    for (int64_t k = 0; k < sae->d_in; k++)
        dot += (double)sae->w_skip[j * sae->d_in + k] * (double)e->in_mean[k];
    return b - dot * e->out_scale / e->in_scale;
}

/* Element (i, j) of a tensor as it is written; vectors have one row. */
static float value_at(const fc_export *e, fc_sae_tensor_id id, const fc_sae_tensor *t,
                      int64_t i, int64_t j)
{
    const double w = (double)t->data[i * t->cols + j];
    switch (id) {
    case FC_W_ENC: return (float)(w / e->in_scale * e->gain[i]);
    case FC_W_DEC: return (float)(w * e->out_scale / e->gain[i]);
    case FC_B_ENC: return (float)((w - e->shift[j]) * e->gain[j]);
    case FC_B_MAG:
        return (float)((w - exp((double)e->sae->r_mag[j]) * e->shift[j]) * e->gain[j]);
    case FC_THRESHOLD: return (float)(w * e->gain[j]);
    case FC_B_DEC: return (float)b_dec_at(e, j);
    case FC_W_SKIP: return (float)(w * e->out_scale / e->in_scale);
    case FC_R_MAG:
    case FC_SAE_TENSORS: break;
    }
    return (float)w;
}

static fc_status write_rows(const fc_export *e, const fc_import_row *row,
                            const fc_sae_tensor *t, fc_arrays_out *out, fc_err *err)
{
    for (int64_t i = 0; i < t->rows; i++) {
        for (int64_t j = 0; j < t->cols; j++) e->block[j] = value_at(e, row->id, t, i, j);
        FC_TRY(fc_arrays_write(out, row->name, e->block,
                               (size_t)t->cols * sizeof *e->block, err));
    }
    return FC_OK;
}

static fc_status write_columns(const fc_export *e, const fc_import_row *row,
                               const fc_sae_tensor *t, fc_arrays_out *out, fc_err *err)
{
    for (int64_t begin = 0; begin < t->cols; begin += BLOCK) {
        const int64_t n = fc_min(BLOCK, t->cols - begin);
        for (int64_t i = 0; i < t->rows; i++)
            for (int64_t j = 0; j < n; j++)
                e->block[j * t->rows + i] = value_at(e, row->id, t, i, begin + j);
        FC_TRY(fc_arrays_write(out, row->name, e->block,
                               (size_t)(n * t->rows) * sizeof *e->block, err));
    }
    return FC_OK;
}

static bool is_written(const fc_export *e, const fc_import_row *row)
{
    return (e->absent & 1U << row->id) == 0 &&
           fc_sae_tensor_of(e->sae, row->id).data != NULL;
}

fc_status fc_export_declare(const fc_export *export, fc_arrays_out *out, fc_err *err)
{
    for (int r = 0; r < export->n_rows; r++) {
        const fc_import_row *row = &export->rows[r];
        if (!is_written(export, row)) continue;
        const fc_sae_tensor t = fc_sae_tensor_of(export->sae, row->id);
        const int64_t shape[] = {row->is_transposed ? t.cols : t.rows,
                                 row->is_transposed ? t.rows : t.cols};
        const bool is_matrix =
            row->id == FC_W_ENC || row->id == FC_W_DEC || row->id == FC_W_SKIP;
        FC_TRY(fc_arrays_declare(out, row->name, FC_F32, is_matrix ? 2 : 1,
                                 is_matrix ? shape : &t.cols, err));
    }
    return FC_OK;
}

fc_status fc_export_write(const fc_export *export, fc_arrays_out *out, fc_err *err)
{
    for (int r = 0; r < export->n_rows; r++) {
        const fc_import_row *row = &export->rows[r];
        if (!is_written(export, row)) continue;
        const fc_sae_tensor t = fc_sae_tensor_of(export->sae, row->id);
        FC_TRY(row->is_transposed ? write_columns(export, row, &t, out, err)
                                  : write_rows(export, row, &t, out, err));
    }
    return FC_OK;
}
