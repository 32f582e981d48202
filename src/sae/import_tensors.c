/* import_tensors.c - tensors of other tools into an SAE, by a table of names.
 *
 *   file [cols, rows] -> transposed -> fc_sae tensor [rows, cols]
 *
 * Files are hostile: names first, then shapes against the sizes that the config or the first matrix
 * gave, then memory, then values, which must be finite.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sae/arch.h"
#include "sae/import_internal.h"

fc_status fc_check_finite(const float *w, int64_t n, const char *name, const char *where,
                          fc_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(w[i]))
            return fc_fail(err, FC_FORMAT,
                           "%s: '%s' holds %g at place %" PRId64
                           ", expected finite numbers",
                           where, name, (double)w[i], i);
    return FC_OK;
}

/* --- names and shapes ----------------------------------------------------------------------- */

static bool is_wanted(const fc_import *im, const fc_import_row *row)
{
    return (fc_arch_find(im->arch)->tensors & ~im->absent & 1U << row->id) != 0;
}

static bool is_expected(const fc_import *im, const char *name)
{
    for (int i = 0; i < im->n_rows; i++)
        if (is_wanted(im, &im->rows[i]) && strcmp(name, im->rows[i].name) == 0)
            return true;
    for (const char *const *other = im->others; other != NULL && *other != NULL; other++)
        if (strcmp(name, *other) == 0) return true;
    return false;
}

static fc_status check_names(const fc_import *im, const fc_arrays *arrays, fc_err *err)
{
    for (int64_t i = 0; i < fc_arrays_count(arrays); i++) {
        const char *name = fc_arrays_at(arrays, i)->name;
        if (!is_expected(im, name))
            return fc_fail(err, FC_FORMAT,
                           "%s: '%.64s' is no tensor of the architecture '%s'",
                           fc_arrays_path(arrays), name, im->arch);
    }
    return FC_OK;
}

static bool is_matrix(fc_sae_tensor_id id)
{
    return id == FC_W_ENC || id == FC_W_DEC || id == FC_W_SKIP;
}

static fc_status need(const fc_import *im, const fc_import_row *row, fc_arrays *arrays,
                      const fc_array **array, fc_err *err)
{
    const fc_sae sizes = {.d_in = im->d_in, .d_out = im->d_out, .d_sae = im->d_sae};
    const fc_sae_tensor t = fc_sae_tensor_of(&sizes, row->id);
    const int64_t shape[] = {row->is_transposed ? t.cols : t.rows,
                             row->is_transposed ? t.rows : t.cols};
    if (!is_matrix(row->id))
        return fc_arrays_need(arrays, row->name, 1, &t.cols, array, err);
    return fc_arrays_need(arrays, row->name, 2, shape, array, err);
}

/* --- values --------------------------------------------------------------------------------- */

/* to [cols, rows] = from [rows, cols] transposed. */
static void transpose(float *to, const float *from, int64_t rows, int64_t cols)
{
    enum { TILE = 32 };
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < cols; j0 += TILE)
            for (int64_t j = j0; j < fc_min(cols, j0 + TILE); j++)
                for (int64_t i = i0; i < fc_min(rows, i0 + TILE); i++)
                    to[j * rows + i] = from[i * cols + j];
}

static fc_status take(fc_sae *sae, const fc_import_row *row, const fc_array *array,
                      const char *path, fc_err *err)
{
    const fc_sae_tensor t = fc_sae_tensor_of(sae, row->id);
    float *w = NULL;
    FC_TRY(fc_array_to_f32(array, &w, err));
    if (row->is_transposed)
        transpose(t.data, w, t.cols, t.rows);
    else
        memcpy(t.data, w, (size_t)array->n * sizeof *w);
    fc_free(w);
    return fc_check_finite(t.data, array->n, row->name, path, err);
}

fc_status fc_import_sae(fc_sae **sae, const fc_import *import, fc_arrays *arrays,
                        fc_err *err)
{
    const fc_import *im = import;
    const fc_array *array[FC_SAE_TENSORS] = {NULL};
    fc_sae *made = NULL;
    FC_CHECK(im->n_rows <= FC_SAE_TENSORS);
    FC_TRY(check_names(im, arrays, err));
    for (int i = 0; i < im->n_rows; i++)
        if (is_wanted(im, &im->rows[i]))
            FC_TRY(need(im, &im->rows[i], arrays, &array[i], err));
    /* the sizes are those of tensors in the file, so this is bounded by its length */
    FC_TRY(fc_sae_new(&made, im->arch, im->d_in, im->d_out, im->d_sae, err));
    fc_status status = FC_OK;
    for (int i = 0; i < im->n_rows && status == FC_OK; i++)
        if (array[i] != NULL)
            status = take(made, &im->rows[i], array[i], fc_arrays_path(arrays), err);
    if (status != FC_OK) {
        fc_sae_free(made);
        return status;
    }
    *sae = made;
    return FC_OK;
}

fc_status fc_import_sizes(fc_arrays *arrays, const char *name, int64_t *rows,
                          int64_t *cols, fc_err *err)
{
    static const int64_t any[] = {-1, -1};
    const fc_array *array = NULL;
    FC_TRY(fc_arrays_need(arrays, name, 2, any, &array, err));
    *rows = array->shape[0];
    *cols = array->shape[1];
    if (*rows < 1 || *cols < 1 || *rows > INT32_MAX || *cols > INT32_MAX)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' has shape [%" PRId64 ", %" PRId64
                       "], expected sizes of 1 to %d",
                       fc_arrays_path(arrays), name, *rows, *cols, INT32_MAX);
    return FC_OK;
}

fc_status fc_import_scalar(fc_arrays *arrays, const char *name, double *value,
                           fc_err *err)
{
    const fc_array *array = fc_arrays_find(arrays, name);
    float number = 0.0f;
    float *w = NULL;
    if (array == NULL || array->n != 1)
        return fc_fail(err, FC_FORMAT, "%s: '%s' %s, expected one number",
                       fc_arrays_path(arrays), name,
                       array == NULL ? "is missing" : "has several elements");
    FC_TRY(fc_arrays_load(arrays, array, err));
    FC_TRY(fc_array_to_f32(array, &w, err));
    number = w[0];
    fc_free(w);
    *value = (double)number;
    return fc_check_finite(&number, 1, name, fc_arrays_path(arrays), err);
}

/* --- configs -------------------------------------------------------------------------------- */

fc_status fc_import_count(const json_t *object, const char *key, int64_t max,
                          int64_t *value, const char *path, fc_err *err)
{
    FC_TRY(fc_json_need_i64(object, key, value, path, err));
    if (*value < 1 || *value > max)
        return fc_fail(err, FC_FORMAT, "%s: %s is %" PRId64 ", expected 1 to %" PRId64,
                       path, key, *value, max);
    return FC_OK;
}

fc_status fc_import_k(fc_sae *sae, double k, const char *path, fc_err *err)
{
    if (!(k >= 1.0) || k > (double)sae->d_sae)
        return fc_fail(err, FC_FORMAT,
                       "%s: k is %g of %" PRId64 " features, expected 1 to %" PRId64,
                       path, k, sae->d_sae, sae->d_sae);
    sae->k = k;
    return FC_OK;
}

/* "model.layers.13.output" -> "model.layers.13"; "....o_proj.input" -> "....o_proj:input". */
static void plain_hook(char *hook)
{
    static const char output[] = ".output", input[] = ".input";
    const size_t n = strlen(hook);
    if (n > sizeof output - 1 && strcmp(hook + n - (sizeof output - 1), output) == 0)
        hook[n - (sizeof output - 1)] = '\0';
    else if (n > sizeof input - 1 && strcmp(hook + n - (sizeof input - 1), input) == 0)
        hook[n - (sizeof input - 1)] = ':';
}

fc_status fc_import_origin(fc_sae *sae, const char *model, const char *hook,
                           const char *target_hook, const char *path, fc_err *err)
{
    const struct {
        const char *text;
        char *to;
        size_t size;
    } names[] = {
        {model, sae->model, sizeof sae->model},
        {hook, sae->hook, sizeof sae->hook},
        {target_hook, sae->target_hook, sizeof sae->target_hook},
    };
    for (size_t i = 0; i < FC_LEN(names); i++) {
        const char *text = names[i].text != NULL ? names[i].text : "";
        if (strlen(text) >= names[i].size)
            return fc_fail(err, FC_FORMAT,
                           "%s: the name '%.40s...' of the model or a hook is too long "
                           "(at most %zu bytes)",
                           path, text, names[i].size - 1);
        (void)snprintf(names[i].to, names[i].size, "%s", text);
    }
    plain_hook(sae->hook);
    plain_hook(sae->target_hook);
    return FC_OK;
}

/* --- places --------------------------------------------------------------------------------- */

fc_status fc_import_place(char *dir, char *file, const char *path, const char *name,
                          fc_err *err)
{
    if (fc_path_is_dir(path) || !fc_path_exists(path)) {
        FC_TRY(fc_path_join(file, path, name, err));
        FC_TRY(fc_path_join(dir, NULL, path, err));
        for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/';) dir[--n] = '\0';
        return FC_OK;
    }
    FC_TRY(fc_path_join(file, NULL, path, err));
    FC_TRY(fc_path_join(dir, NULL, path, err));
    char *const slash = strrchr(dir, '/');
    if (slash == NULL) return fc_path_join(dir, NULL, ".", err);
    slash[slash == dir ? 1 : 0] = '\0';
    return FC_OK;
}

bool fc_import_has(const char *path, const char *name)
{
    char file[FC_PATH_MAX];
    if (!fc_path_is_dir(path))
        return fc_path_exists(path) && strcmp(fc_path_base(path), name) == 0;
    return fc_path_join(file, path, name, NULL) == FC_OK && fc_path_exists(file);
}
