/* store_stats.c - mean.safetensors: the moments of all rows as stored (row_stats.h).
 *
 * Two passes over the files when collecting ends, rather than sums kept while it runs: they cost
 * seconds where the forward passes took hours, the second needs the mean anyway, and there is no
 * state that a resumed run could get wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "acts/store_internal.h"
#include "base/alloc.h"

static fc_status save(const fc_row_stats *r, int64_t d, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, FC_STORE_MEAN, err));
    const fc_tensor tensors[] = {
        {.name = "mean", .dtype = FC_F32, .rank = 1, .shape = {d}, .data = r->mean},
        {.name = "mean_f64",
         .dtype = FC_F64,
         .rank = 1,
         .shape = {d},
         .data = r->mean_f64},
        {.name = "variance_f64",
         .dtype = FC_F64,
         .rank = 1,
         .shape = {d},
         .data = r->variance_f64},
        {.name = "mean_norm", .dtype = FC_F64, .rank = 0, .data = &r->mean_norm},
        {.name = "mean_centred_norm",
         .dtype = FC_F64,
         .rank = 0,
         .data = &r->mean_centred_norm},
    };
    return fc_safetensors_save(path, tensors, (int64_t)FC_LEN(tensors), err);
}

static void read_rows(const void *ctx, int64_t begin, int64_t n, float *out)
{
    fc_store_read(ctx, begin, n, out);
}

fc_status fc_store_stats_write(const char *dir, char rows_hash[FC_HASH_HEX], fc_err *err)
{
    fc_store *store = NULL;
    fc_row_stats stats = {0};
    fc_status status;
    FC_TRY_GOTO(fc_store_open(&store, dir, false, true, err));
    const int64_t d = fc_store_info_of(store)->d;
    FC_TRY_GOTO(
        fc_row_stats_make(&stats, read_rows, store, fc_store_rows(store), d, err));
    FC_TRY_GOTO(save(&stats, d, dir, err));
    status = fc_store_rows_hash(store, rows_hash, err);
done:
    fc_store_close(store);
    fc_row_stats_deinit(&stats);
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

static fc_status read_scalar(const fc_safetensors *file, const char *name, double *value,
                             fc_err *err)
{
    const fc_tensor *tensor = NULL;
    FC_TRY(fc_safetensors_need(file, name, FC_F64, 0, NULL, &tensor, err));
    memcpy(value, tensor->data, sizeof *value);
    return FC_OK;
}

static fc_status read_stats(fc_row_stats *stats, const fc_safetensors *file, int64_t d,
                            fc_err *err)
{
    const fc_tensor *mean = NULL;
    FC_TRY(fc_safetensors_need(file, "mean", FC_F32, 1, &d, &mean, err));
    FC_TRY(read_scalar(file, "mean_norm", &stats->mean_norm, err));
    FC_TRY(read_scalar(file, "mean_centred_norm", &stats->mean_centred_norm, err));
    return fc_tensor_to_f32(mean, &stats->mean, err);
}

fc_status fc_store_stats_load(fc_row_stats *stats, const char *dir, int64_t d,
                              fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_safetensors *file = NULL;
    fc_row_stats made = {0};
    FC_TRY(fc_path_join(path, dir, FC_STORE_MEAN, err));
    FC_TRY(fc_safetensors_open(&file, path, err));
    const fc_status status = read_stats(&made, file, d, err);
    fc_safetensors_close(file);
    FC_TRY(status);
    *stats = made;
    return FC_OK;
}
