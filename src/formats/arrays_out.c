/* arrays_out.c - one writer of named arrays for three formats.
 *
 *   safetensors   safetensors_out.c, which sorts by type and name
 *   npy           one array
 *   npz           NAME.npy members, stored
 *   torch         NAME/data.pkl with the shapes, NAME/data/I with the elements (torch_pickle.c)
 *
 * A zip is written as it comes, member after member, so nothing waits in memory. What PyTorch wants
 * beside the storages is what torch.save writes: version 3, byteorder, and the pickle first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/arrays.h"
#include "formats/npy.h"
#include "formats/torch_pickle_internal.h"
#include "formats/zip.h"

enum { MEMBER_MAX_BYTES = 512 };

struct fc_arrays_out {
    fc_arrays_kind kind;
    char *path;
    fc_safetensors_out *st;
    fc_zip_out *zip;
    fc_out *npy;
    fc_declared *entries;
    int64_t n, capacity;
    int64_t current; /* the entry that is being written; -1: none yet */
    int64_t n_given; /* bytes of it */
};

fc_arrays_kind fc_arrays_kind_of(const char *path)
{
    static const struct {
        const char *ending;
        fc_arrays_kind kind;
    } kinds[] = {
        {".npy", FC_ARRAYS_NPY}, {".npz", FC_ARRAYS_NPZ}, {".pt", FC_ARRAYS_TORCH}};
    const size_t n = strlen(path);
    for (size_t i = 0; i < FC_LEN(kinds); i++) {
        const size_t n_ending = strlen(kinds[i].ending);
        if (n > n_ending && strcmp(path + n - n_ending, kinds[i].ending) == 0)
            return kinds[i].kind;
    }
    return FC_ARRAYS_SAFETENSORS;
}

fc_status fc_arrays_create(fc_arrays_out **out, fc_arrays_kind kind, const char *path,
                           fc_err *err)
{
    fc_arrays_out *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "a file of arrays", err));
    made->kind = kind;
    made->current = -1;
    FC_TRY_GOTO(fc_strdup(&made->path, path, err));
    if (kind == FC_ARRAYS_SAFETENSORS)
        FC_TRY_GOTO(fc_safetensors_create(&made->st, path, err));
    else if (kind == FC_ARRAYS_NPY)
        FC_TRY_GOTO(fc_out_open(&made->npy, path, err));
    else
        FC_TRY_GOTO(fc_zip_create(&made->zip, path, err));
    *out = made;
    made = NULL;
done:
    fc_arrays_discard(made);
    return status;
}

fc_status fc_arrays_declare(fc_arrays_out *out, const char *name, fc_dtype dtype,
                            int rank, const int64_t *shape, fc_err *err)
{
    if (out->kind == FC_ARRAYS_SAFETENSORS)
        return fc_safetensors_declare(out->st, name, dtype, rank, shape, err);
    FC_CHECK(rank <= FC_MAX_RANK && out->current < 0);
    FC_CHECK(out->kind != FC_ARRAYS_NPY || out->n == 0);
    FC_TRY(fc_grow(&out->entries, &out->capacity, out->n + 1, sizeof *out->entries,
                   out->path, err));
    fc_declared *e = &out->entries[out->n];
    *e = (fc_declared){.dtype = dtype, .rank = rank, .n = 1};
    for (int i = 0; i < rank; i++) {
        e->shape[i] = shape[i];
        e->n *= shape[i];
    }
    size_t n_bytes = 0;
    FC_TRY(fc_bytes(e->n, fc_dtype_size(dtype), &n_bytes, err));
    e->n_bytes = (int64_t)n_bytes;
    FC_TRY(fc_strdup(&e->name, name, err));
    out->n++;
    return FC_OK;
}

/* --- members -------------------------------------------------------------------------------- */

static fc_status begin_npy(fc_arrays_out *out, const fc_declared *e, fc_err *err)
{
    fc_strbuf header = {0};
    fc_status status = fc_npy_header(&header, e->dtype, e->rank, e->shape, err);
    if (status == FC_OK)
        status = fc_out_write(out->npy, header.data, (size_t)header.n, err);
    fc_strbuf_free(&header);
    return status;
}

static fc_status begin_npz(fc_arrays_out *out, const fc_declared *e, fc_err *err)
{
    char member[MEMBER_MAX_BYTES];
    fc_strbuf header = {0};
    (void)snprintf(member, sizeof member, "%s.npy", e->name);
    fc_status status = fc_npy_header(&header, e->dtype, e->rank, e->shape, err);
    if (status == FC_OK)
        status = fc_zip_begin(out->zip, member, header.n + e->n_bytes, err);
    if (status == FC_OK)
        status = fc_zip_write(out->zip, header.data, (size_t)header.n, err);
    fc_strbuf_free(&header);
    return status;
}

/* What comes before the first storage. */
static fc_status begin_torch(fc_arrays_out *out, fc_err *err)
{
    fc_strbuf pickle = {0};
    fc_status status = fc_torch_pickle(&pickle, out->entries, out->n, err);
    if (status == FC_OK)
        status = fc_zip_add(out->zip, "ae/data.pkl", pickle.data, (size_t)pickle.n, err);
    if (status == FC_OK) status = fc_zip_add(out->zip, "ae/byteorder", "little", 6, err);
    fc_strbuf_free(&pickle);
    return status;
}

static fc_status begin_next(fc_arrays_out *out, fc_err *err)
{
    char member[MEMBER_MAX_BYTES];
    if (out->kind == FC_ARRAYS_TORCH && out->current < 0) FC_TRY(begin_torch(out, err));
    out->current++;
    out->n_given = 0;
    FC_CHECK(out->current < out->n);
    const fc_declared *e = &out->entries[out->current];
    if (out->kind == FC_ARRAYS_NPY) return begin_npy(out, e, err);
    if (out->kind == FC_ARRAYS_NPZ) return begin_npz(out, e, err);
    (void)snprintf(member, sizeof member, "ae/data/%" PRId64, out->current);
    return fc_zip_begin(out->zip, member, e->n_bytes, err);
}

/* Goes on to the array of that name; the ones before it are complete. */
static fc_status turn_to(fc_arrays_out *out, const char *name, fc_err *err)
{
    while (out->current < 0 || strcmp(out->entries[out->current].name, name) != 0)
        FC_TRY(begin_next(out, err));
    return FC_OK;
}

fc_status fc_arrays_write(fc_arrays_out *out, const char *name, const void *data,
                          size_t n_bytes, fc_err *err)
{
    if (out->kind == FC_ARRAYS_SAFETENSORS)
        return fc_safetensors_write(out->st, name, data, n_bytes, err);
    FC_TRY(turn_to(out, name, err));
    out->n_given += (int64_t)n_bytes;
    if (out->kind == FC_ARRAYS_NPY) return fc_out_write(out->npy, data, n_bytes, err);
    return fc_zip_write(out->zip, data, n_bytes, err);
}

fc_status fc_arrays_commit(fc_arrays_out *out, fc_err *err)
{
    if (out->kind == FC_ARRAYS_SAFETENSORS) return fc_safetensors_commit(out->st, err);
    while (out->current < out->n - 1) FC_TRY(begin_next(out, err)); /* empty ones */
    if (out->kind == FC_ARRAYS_NPY) {
        FC_CHECK(out->n == 1 && out->n_given == out->entries[0].n_bytes);
        return fc_out_commit(out->npy, err);
    }
    if (out->kind == FC_ARRAYS_TORCH) {
        if (out->n == 0) FC_TRY(begin_torch(out, err));
        FC_TRY(fc_zip_add(out->zip, "ae/version", "3\n", 2, err));
    }
    return fc_zip_commit(out->zip, err);
}

void fc_arrays_discard(fc_arrays_out *out)
{
    if (out == NULL) return;
    fc_safetensors_discard(out->st);
    fc_zip_discard(out->zip);
    fc_out_close(out->npy);
    for (int64_t i = 0; i < out->n; i++) fc_free(out->entries[i].name);
    fc_free(out->entries);
    fc_free(out->path);
    fc_free(out);
}
