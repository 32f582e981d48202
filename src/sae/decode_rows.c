/* decode_rows.c - features of a file -> activations, a block of rows at a time.
 *
 *   y_t = (sum over features that fire of f_ti W_dec_i + b_dec) * scale_t + mean + shift_t
 *
 * Dense rows are made into lists first: what is zero costs nothing then, and both layouts take one
 * way. Column numbers and row borders of a csr file are compared with its sizes before they are used.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "formats/arrays.h"
#include "formats/little_endian.h"
#include "sae/arch.h"
#include "sae/features_file.h"

enum { BLOCK_ROWS = 256, GRAIN = 16 };

typedef struct decoder {
    const fc_sae *sae;
    fc_backend *be;
    fc_rows *dense;    /* this, or the csr arrays */
    fc_arrays *arrays; /* csr, and norm of both */
    const fc_array *crow, *columns, *values;
    float *norm; /* [n, 2] or NULL */
    int64_t n_rows, n_entries;

    float *f;       /* [BLOCK_ROWS, d_sae] dense */
    int64_t *begin; /* [BLOCK_ROWS] into index and value */
    int64_t *count;
    int32_t *index; /* of the block */
    float *value;
    int64_t index_capacity, value_capacity;
    float *y; /* [BLOCK_ROWS, d_out] */
    fc_sparse lists;
} decoder;

static const fc_normaliser *way_back(const fc_sae *sae)
{
    return fc_arch_find(sae->arch)->is_transcoder ? &sae->target_normaliser
                                                  : &sae->normaliser;
}

bool fc_sae_needs_row_norms(const fc_sae *sae)
{
    const fc_norm_kind kind = way_back(sae)->kind;
    return kind != FC_NORM_NONE && kind != FC_NORM_CENTER_SCALE &&
           !fc_arch_find(sae->arch)->is_transcoder;
}

/* --- the file ------------------------------------------------------------------------------- */

static fc_status need_type(const decoder *d, const char *name, fc_dtype dtype, int64_t n,
                           const fc_array **found, fc_err *err)
{
    const char *path = fc_arrays_path(d->arrays);
    const fc_array *a = fc_arrays_find(d->arrays, name);
    if (a == NULL) return fc_fail(err, FC_FORMAT, "%s: '%s' is missing", path, name);
    if (a->dtype != dtype || a->is_swapped || a->rank != 1 || (n >= 0 && a->n != n) ||
        (a->n > 1 && a->stride[0] != 1))
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' is %s of %" PRId64 " elements, expected %s of %" PRId64,
                       path, name, fc_dtype_name(a->dtype), a->n, fc_dtype_name(dtype),
                       n >= 0 ? n : a->n);
    *found = a;
    return fc_arrays_load(d->arrays, a, err);
}

static int64_t i64_at(const fc_array *a, int64_t i)
{
    return (int64_t)fc_le64((const uint8_t *)a->data + 8 * i);
}

static fc_status open_csr(decoder *d, fc_err *err)
{
    const char *path = fc_arrays_path(d->arrays);
    const fc_array *shape = NULL;
    FC_TRY(need_type(d, "shape", FC_I64, 2, &shape, err));
    FC_TRY(need_type(d, "crow_indices", FC_I64, -1, &d->crow, err));
    FC_TRY(need_type(d, "values", FC_F32, -1, &d->values, err));
    FC_TRY(need_type(d, "col_indices", FC_I32, d->values->n, &d->columns, err));
    d->n_rows = i64_at(shape, 0);
    d->n_entries = d->values->n;
    if (i64_at(shape, 1) != d->sae->d_sae)
        return fc_fail(err, FC_MISMATCH,
                       "%s: rows have %" PRId64 " features, the SAE has %" PRId64, path,
                       i64_at(shape, 1), d->sae->d_sae);
    if (d->n_rows < 0 || d->crow->n - 1 != d->n_rows)
        return fc_fail(err, FC_FORMAT,
                       "%s: 'crow_indices' has %" PRId64 " elements for %" PRId64 " rows",
                       path, d->crow->n, d->n_rows);
    return FC_OK;
}

static fc_status open_norm(decoder *d, fc_err *err)
{
    const int64_t shape[] = {d->n_rows, 2};
    const fc_array *a = NULL;
    const char *path = fc_arrays_path(d->arrays);
    if (way_back(d->sae)->kind == FC_NORM_NONE ||
        way_back(d->sae)->kind == FC_NORM_CENTER_SCALE)
        return FC_OK;
    if (!fc_sae_needs_row_norms(d->sae))
        return fc_fail(
            err, FC_MISMATCH,
            "%s: the way back needs the lengths of the targets, which features "
            "do not know",
            path);
    if (fc_arrays_find(d->arrays, "norm") == NULL)
        return fc_fail(err, FC_MISMATCH,
                       "%s: 'norm' is missing: the SAE normalises its input by '%s', and "
                       "the way back needs scale and shift of each row",
                       path, fc_norm_name(way_back(d->sae)->kind));
    FC_TRY(fc_arrays_need(d->arrays, "norm", 2, shape, &a, err));
    return fc_array_to_f32(a, &d->norm, err);
}

static fc_status open_features(decoder *d, const char *path, fc_err *err)
{
    FC_TRY(fc_arrays_open(&d->arrays, path, err));
    if (fc_arrays_find(d->arrays, "crow_indices") != NULL) {
        FC_TRY(open_csr(d, err));
    } else {
        FC_TRY(fc_rows_open(&d->dense, path, NULL, err));
        d->n_rows = fc_rows_count(d->dense);
        if (fc_rows_width(d->dense) != d->sae->d_sae)
            return fc_fail(err, FC_MISMATCH,
                           "%s: rows have %" PRId64 " features, the SAE has %" PRId64,
                           path, fc_rows_width(d->dense), d->sae->d_sae);
    }
    return open_norm(d, err);
}

static fc_status alloc_block(decoder *d, fc_err *err)
{
    const char *what = "a block of features";
    const int64_t d_sae = d->sae->d_sae;
    FC_TRY(fc_alloc(&d->begin, BLOCK_ROWS, sizeof *d->begin, what, err));
    FC_TRY(fc_alloc(&d->count, BLOCK_ROWS, sizeof *d->count, what, err));
    FC_TRY(fc_alloc(&d->y, BLOCK_ROWS * d->sae->d_out, sizeof *d->y, what, err));
    if (d->dense == NULL) return FC_OK;
    return fc_alloc(&d->f, BLOCK_ROWS * d_sae, sizeof *d->f, what, err);
}

/* --- a block as lists ----------------------------------------------------------------------- */

static fc_status make_room(decoder *d, int64_t n, fc_err *err)
{
    FC_TRY(fc_grow(&d->index, &d->index_capacity, n, sizeof *d->index, "features", err));
    return fc_grow(&d->value, &d->value_capacity, n, sizeof *d->value, "features", err);
}

static fc_status read_dense(decoder *d, int64_t first, int64_t n, fc_err *err)
{
    const int64_t d_sae = d->sae->d_sae;
    int64_t at = 0;
    fc_rows_read(d->dense, first, n, d->f);
    for (int64_t t = 0; t < n; t++) {
        const float *f = d->f + t * d_sae;
        FC_TRY(make_room(d, at + d_sae, err));
        d->begin[t] = at;
        for (int64_t i = 0; i < d_sae; i++) {
            d->index[at] = (int32_t)i;
            d->value[at] = f[i];
            at += f[i] != 0.0f;
        }
        d->count[t] = at - d->begin[t];
    }
    return FC_OK;
}

/* Borders ascend within the entries; columns ascend within the features. */
static fc_status read_csr(decoder *d, int64_t first, int64_t n, fc_err *err)
{
    int64_t at = 0;
    for (int64_t t = 0; t < n; t++) {
        const int64_t begin = i64_at(d->crow, first + t),
                      end = i64_at(d->crow, first + t + 1);
        if (begin < 0 || end < begin || end > d->n_entries || end - begin > d->sae->d_sae)
            return fc_fail(err, FC_FORMAT,
                           "%s: row %" PRId64 " has the entries %" PRId64 " to %" PRId64
                           " of %" PRId64,
                           fc_arrays_path(d->arrays), first + t, begin, end,
                           d->n_entries);
        d->begin[t] = at;
        d->count[t] = end - begin;
        FC_TRY(make_room(d, at + end - begin, err));
        const uint8_t *columns = (const uint8_t *)d->columns->data + 4 * begin;
        const uint8_t *values = (const uint8_t *)d->values->data + 4 * begin;
        for (int64_t j = 0, last = -1; j < end - begin; j++, at++) {
            const int32_t column = (int32_t)fc_le32(columns + 4 * j);
            if (column <= last || column >= d->sae->d_sae)
                return fc_fail(err, FC_FORMAT,
                               "%s: row %" PRId64 " has column %" PRId32 " after %" PRId64
                               ", expected ascending ones below %" PRId64,
                               fc_arrays_path(d->arrays), first + t, column, last,
                               d->sae->d_sae);
            last = column;
            d->index[at] = column;
            memcpy(d->value + at, values + 4 * j, sizeof(float));
        }
    }
    return FC_OK;
}

static void decode_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const decoder *d = ctx;
    const fc_sae *sae = d->sae;
    fc_sparse part = d->lists;
    part.n_rows = end - begin;
    part.begin += begin;
    part.count += begin;
    d->be->ops->spmm(d->be, d->y + begin * sae->d_out, sae->d_out, part,
                     fc_mat_of(sae->w_dec, FC_F32, sae->d_sae, sae->d_out),
                     FC_PRECISION_F32, false);
    for (int64_t t = begin; t < end; t++)
        for (int64_t j = 0; j < sae->d_out; j++)
            d->y[t * sae->d_out + j] += sae->b_dec[j];
}

static void undo_norm(decoder *d, int64_t first, int64_t n)
{
    const fc_normaliser *back = way_back(d->sae);
    for (int64_t t = 0; t < n; t++) {
        fc_row_norm norm = {back->norm, 0}; /* center_scale */
        if (d->norm != NULL)
            norm = (fc_row_norm){d->norm[2 * (first + t)], d->norm[2 * (first + t) + 1]};
        fc_denormalise(back, d->y + t * d->sae->d_out, &norm, 1);
    }
}

static fc_status decode_all(decoder *d, fc_arrays_out *out, fc_err *err)
{
    fc_progress progress = fc_progress_begin("decode", "rows", 0, (double)d->n_rows);
    fc_status status = FC_OK;
    for (int64_t first = 0; first < d->n_rows && status == FC_OK; first += BLOCK_ROWS) {
        const int64_t n = fc_min(BLOCK_ROWS, d->n_rows - first);
        status =
            d->dense != NULL ? read_dense(d, first, n, err) : read_csr(d, first, n, err);
        if (status != FC_OK) break;
        d->lists = (fc_sparse){n, d->sae->d_sae, d->begin, d->count, d->index, d->value};
        fc_par_for(n, GRAIN, decode_rows, d);
        undo_norm(d, first, n);
        status = fc_arrays_write(out, "reconstruction", d->y,
                                 (size_t)(n * d->sae->d_out) * sizeof *d->y, err);
        if (status == FC_OK && fc_cancel_requested())
            status = fc_fail(err, FC_CANCELLED, "cancelled; nothing was written");
        fc_progress_set(&progress, (double)(first + n));
    }
    fc_progress_end(&progress);
    return status;
}

fc_status fc_decode_features(const fc_sae *sae, fc_backend *be, const char *features,
                             const char *out_path, int64_t *n_rows, fc_err *err)
{
    decoder d = {.sae = sae, .be = be};
    fc_arrays_out *out = NULL;
    fc_status status;
    if (sae->w_skip != NULL)
        return fc_fail(
            err, FC_MISMATCH,
            "%s: the SAE has a skip path: its output needs the input too, which "
            "features do not hold",
            features);
    FC_TRY_GOTO(open_features(&d, features, err));
    FC_TRY_GOTO(alloc_block(&d, err));
    const int64_t shape[] = {d.n_rows, sae->d_out};
    FC_TRY_GOTO(fc_arrays_create(&out, fc_arrays_kind_of(out_path), out_path, err));
    FC_TRY_GOTO(fc_arrays_declare(out, "reconstruction", FC_F32, 2, shape, err));
    FC_TRY_GOTO(decode_all(&d, out, err));
    FC_TRY_GOTO(fc_arrays_commit(out, err));
    *n_rows = d.n_rows;
done:
    fc_arrays_discard(out);
    void *const arrays[] = {d.norm, d.f, d.begin, d.count, d.index, d.value, d.y};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    fc_rows_close(d.dense);
    fc_arrays_close(d.arrays);
    return status;
}
