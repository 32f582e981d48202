/* encode_rows.c - rows -> normalised -> features -> file, a block of rows at a time.
 *
 * A dense block goes to the file as it is. For csr the number of entries stands in the header but is
 * known at the end only, so columns and values wait in nameless files on the output's disk; row
 * borders, 8 bytes a row, wait in memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/features_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "base/spool.h"
#include "formats/arrays.h"
#include "sae/codes.h"

enum { ROWS_MOST = 1024, ROWS_LEAST = 16, BLOCK_BYTES = 64 << 20, GRAIN = 16 };

typedef struct encoder {
    const fc_encode_job *job;
    fc_codes *codes;
    int64_t n_block;
    float *x;          /* [n_block, d_in] */
    float *f;          /* [n_block, d_sae] */
    fc_row_norm *norm; /* [n] of all rows, or [n_block] when they are not kept */
    bool has_norm;
    int32_t *column; /* [d_sae] csr: entries of one row */
    float *value;
    int64_t *border; /* [n + 1] csr */
    fc_spool *columns, *values;
} encoder;

static int64_t block_rows(int64_t d_sae)
{
    const int64_t n = BLOCK_BYTES / (int64_t)sizeof(float) / d_sae / GRAIN * GRAIN;
    return fc_min(ROWS_MOST, fc_max(ROWS_LEAST, n));
}

static fc_status init(encoder *e, const fc_encode_job *job, fc_err *err)
{
    const fc_sae *sae = job->sae;
    const int64_t n = fc_rows_count(job->rows);
    const char *what = "features of a block of rows";
    *e = (encoder){.job = job, .n_block = block_rows(sae->d_sae)};
    e->has_norm =
        fc_sae_needs_row_norms(sae) && fc_arrays_kind_of(job->out) != FC_ARRAYS_NPY;
    const int64_t n_norms = fc_max(e->has_norm ? n : 0, e->n_block);
    FC_TRY(
        fc_codes_new(&e->codes, sae, job->be, FC_PRECISION_F32, e->n_block, true, err));
    FC_TRY(fc_alloc(&e->x, e->n_block * sae->d_in, sizeof *e->x, what, err));
    FC_TRY(fc_alloc(&e->f, e->n_block * sae->d_sae, sizeof *e->f, what, err));
    FC_TRY(fc_alloc(&e->norm, n_norms, sizeof *e->norm, "norms of rows", err));
    if (job->layout == FC_LAYOUT_DENSE) return FC_OK;
    FC_TRY(fc_alloc(&e->column, sae->d_sae, sizeof *e->column, what, err));
    FC_TRY(fc_alloc(&e->value, sae->d_sae, sizeof *e->value, what, err));
    FC_TRY(fc_alloc(&e->border, n + 1, sizeof *e->border, "borders of rows", err));
    FC_TRY(fc_spool_open(&e->columns, job->out, err));
    return fc_spool_open(&e->values, job->out, err);
}

static void deinit(encoder *e)
{
    void *const arrays[] = {e->x, e->f, e->norm, e->column, e->value, e->border};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    fc_codes_free(e->codes);
    fc_spool_close(e->columns);
    fc_spool_close(e->values);
}

/* Feature-major to row-major. */
static void turn(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    enum { TILE = 64 };
    const encoder *e = ctx;
    const int64_t d_sae = e->codes->d_sae, row = e->codes->row;
    for (int64_t i0 = 0; i0 < d_sae; i0 += TILE)
        for (int64_t t = begin; t < end; t++)
            for (int64_t i = i0; i < fc_min(d_sae, i0 + TILE); i++)
                e->f[t * d_sae + i] = e->codes->value[i * row + t];
}

static void encode_block(encoder *e, int64_t begin, int64_t n)
{
    const fc_encode_job *job = e->job;
    fc_rows_read(job->rows, begin, n, e->x);
    fc_rows_drop(job->rows, begin, begin + n);
    fc_normalise(&job->sae->normaliser, e->x, e->x, e->norm + (e->has_norm ? begin : 0),
                 n);
    fc_codes_encode(e->codes, job->sae, job->be, e->x, n);
    fc_par_for(n, GRAIN, turn, e);
}

static int64_t count_entries(const float *f, int64_t n)
{
    int64_t n_entries = 0;
    for (int64_t i = 0; i < n; i++) n_entries += f[i] != 0.0f;
    return n_entries;
}

/* The entries of a row to the end of what is set aside. */
static fc_status set_aside(encoder *e, const float *f, int64_t row, fc_err *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < e->codes->d_sae; i++) {
        e->column[n] = (int32_t)i;
        e->value[n] = f[i];
        n += f[i] != 0.0f;
    }
    e->border[row + 1] = e->border[row] + n;
    FC_TRY(fc_spool_write(e->columns, e->column, (size_t)n * sizeof *e->column, err));
    return fc_spool_write(e->values, e->value, (size_t)n * sizeof *e->value, err);
}

/* Encodes all rows; dense ones go to `out`. */
static fc_status encode_all(encoder *e, fc_arrays_out *out, fc_encode_result *result,
                            fc_err *err)
{
    const int64_t n_rows = fc_rows_count(e->job->rows), d_sae = e->codes->d_sae;
    fc_progress progress = fc_progress_begin("encode", "rows", 0, (double)n_rows);
    fc_status status = FC_OK;
    for (int64_t begin = 0; begin < n_rows && status == FC_OK; begin += e->n_block) {
        const int64_t n = fc_min(e->n_block, n_rows - begin);
        encode_block(e, begin, n);
        result->n_entries += count_entries(e->f, n * d_sae);
        if (out != NULL)
            status = fc_arrays_write(out, "features", e->f,
                                     (size_t)(n * d_sae) * sizeof *e->f, err);
        for (int64_t t = 0; out == NULL && t < n && status == FC_OK; t++)
            status = set_aside(e, e->f + t * d_sae, begin + t, err);
        if (status == FC_OK && fc_cancel_requested())
            status = fc_fail(err, FC_CANCELLED, "cancelled; nothing was written");
        fc_progress_set(&progress, (double)(begin + n));
    }
    fc_progress_end(&progress);
    result->n_rows = n_rows;
    return status;
}

static fc_status declare_norm(const encoder *e, fc_arrays_out *out, fc_err *err)
{
    const int64_t shape[] = {fc_rows_count(e->job->rows), 2};
    return e->has_norm ? fc_arrays_declare(out, "norm", FC_F32, 2, shape, err) : FC_OK;
}

static fc_status write_norm(const encoder *e, fc_arrays_out *out, fc_err *err)
{
    const size_t n_bytes = (size_t)fc_rows_count(e->job->rows) * sizeof *e->norm;
    return e->has_norm ? fc_arrays_write(out, "norm", e->norm, n_bytes, err) : FC_OK;
}

static fc_status write_dense(encoder *e, fc_arrays_out *out, fc_encode_result *result,
                             fc_err *err)
{
    const int64_t shape[] = {fc_rows_count(e->job->rows), e->codes->d_sae};
    FC_TRY(fc_arrays_declare(out, "features", FC_F32, 2, shape, err));
    FC_TRY(declare_norm(e, out, err));
    FC_TRY(encode_all(e, out, result, err));
    return write_norm(e, out, err);
}

static fc_status write_csr(encoder *e, fc_arrays_out *out, fc_encode_result *result,
                           fc_err *err)
{
    const int64_t shape[] = {fc_rows_count(e->job->rows), e->codes->d_sae}, two = 2;
    const int64_t n_borders = shape[0] + 1;
    fc_map columns, values;
    FC_TRY(encode_all(e, NULL, result, err));
    FC_TRY(fc_spool_map(e->columns, &columns, err));
    FC_TRY(fc_spool_map(e->values, &values, err));
    FC_TRY(fc_arrays_declare(out, "crow_indices", FC_I64, 1, &n_borders, err));
    FC_TRY(fc_arrays_declare(out, "shape", FC_I64, 1, &two, err));
    FC_TRY(declare_norm(e, out, err));
    FC_TRY(fc_arrays_declare(out, "values", FC_F32, 1, &result->n_entries, err));
    FC_TRY(fc_arrays_declare(out, "col_indices", FC_I32, 1, &result->n_entries, err));
    FC_TRY(fc_arrays_write(out, "crow_indices", e->border,
                           (size_t)n_borders * sizeof *e->border, err));
    FC_TRY(fc_arrays_write(out, "shape", shape, sizeof shape, err));
    FC_TRY(write_norm(e, out, err));
    FC_TRY(fc_arrays_write(out, "values", values.data, values.n_bytes, err));
    return fc_arrays_write(out, "col_indices", columns.data, columns.n_bytes, err);
}

static fc_status check(const fc_encode_job *job, fc_arrays_kind kind, fc_err *err)
{
    const int64_t width = fc_rows_width(job->rows);
    if (width != job->sae->d_in)
        return fc_fail(err, FC_MISMATCH,
                       "the rows are %" PRId64 " wide, the SAE takes %" PRId64, width,
                       job->sae->d_in);
    if (kind == FC_ARRAYS_NPY && job->layout == FC_LAYOUT_CSR)
        return fc_fail(err, FC_USAGE,
                       "%s: an npy file holds one array, csr needs several: expected a "
                       "safetensors or npz file",
                       job->out);
    return FC_OK;
}

fc_status fc_encode_rows(const fc_encode_job *job, fc_encode_result *result, fc_err *err)
{
    encoder e = {0};
    fc_arrays_out *out = NULL;
    fc_status status;
    const fc_arrays_kind kind = fc_arrays_kind_of(job->out);
    *result = (fc_encode_result){0};
    FC_TRY(check(job, kind, err));
    FC_TRY_GOTO(init(&e, job, err));
    FC_TRY_GOTO(fc_arrays_create(&out, kind, job->out, err));
    FC_TRY_GOTO(job->layout == FC_LAYOUT_DENSE ? write_dense(&e, out, result, err)
                                               : write_csr(&e, out, result, err));
    status = fc_arrays_commit(out, err);
done:
    fc_arrays_discard(out);
    deinit(&e);
    return status;
}
