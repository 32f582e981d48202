/* torch_zip.c - the tensors of a PyTorch checkpoint.
 *
 *   NAME/data.pkl     the pickle: {"encoder.weight": tensor of storage "1", ...}
 *   NAME/data/1       the storage, raw elements
 *   NAME/byteorder    "little"
 *
 * Tensors of a dictionary within the dictionary are named "outer.inner"; numbers and texts are
 * passed over. A tensor must lie inside its storage with every stride, and may not have more
 * elements than that, so that nothing small can unfold into something large.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays_internal.h"
#include "formats/pickle.h"

static const char pickle_ending[] = "/data.pkl";
enum { DEPTH_MAX = 3, NAME_MAX_BYTES = 512, VISITS_MAX = 100000 };

/* The pickle, NAME/data.pkl, and the length of NAME. */
static const fc_zip_member *find_pickle(const fc_zip *zip, int *n_prefix)
{
    for (int64_t i = 0; i < fc_zip_count(zip); i++) {
        const fc_zip_member *m = fc_zip_at(zip, i);
        const char *slash = strchr(m->name, '/');
        if (slash == NULL || strcmp(slash, pickle_ending) != 0) continue;
        *n_prefix = (int)(slash - m->name);
        return m;
    }
    return NULL;
}

bool fc_arrays_is_torch(const fc_zip *zip)
{
    int n_prefix;
    return find_pickle(zip, &n_prefix) != NULL;
}

typedef struct reading {
    fc_arrays *a;
    const fc_pickle *pickle;
    int n_prefix; /* length of NAME */
    const char *prefix;
    int64_t n_visits;
} reading;

static fc_status check_byte_order(const reading *r, fc_err *err)
{
    char name[NAME_MAX_BYTES];
    fc_zip_bytes bytes;
    (void)snprintf(name, sizeof name, "%.*s/byteorder", r->n_prefix, r->prefix);
    const fc_zip_member *m = fc_zip_find(r->a->zip, name);
    if (m == NULL) return FC_OK; /* older files have none, and are little-endian */
    FC_TRY(fc_zip_load(r->a->zip, m, 16, &bytes, err));
    const bool is_little = bytes.n == 6 && memcmp(bytes.data, "little", 6) == 0;
    fc_zip_bytes_free(&bytes);
    if (is_little) return FC_OK;
    return fc_fail(err, FC_FORMAT, "%s: was not written in little-endian byte order",
                   r->a->path);
}

/* Whether the last element that the strides reach, and all before it, are in the storage. */
static bool is_inside(const fc_pickle_tensor *t, int64_t n)
{
    int64_t last = t->offset;
    if (n == 0) return t->offset <= t->n_storage;
    if (n > t->n_storage) return false;
    for (int i = 0; i < t->rank; i++) {
        const int64_t steps = t->shape[i] - 1;
        if (steps > 0 && t->stride[i] > (INT64_MAX - last) / steps) return false;
        last += steps * t->stride[i];
    }
    return last < t->n_storage;
}

static fc_status count(const reading *r, const char *name, const fc_pickle_tensor *t,
                       int64_t *n, fc_err *err)
{
    *n = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] > 0 && *n > INT64_MAX / t->shape[i])
            return fc_fail(err, FC_FORMAT,
                           "%s: the shape of '%s' multiplies to more than 63 bits",
                           r->a->path, name);
        *n *= t->shape[i];
    }
    return FC_OK;
}

static fc_status add_tensor(const reading *r, const char *name, const fc_pickle_tensor *t,
                            fc_err *err)
{
    char member[NAME_MAX_BYTES];
    fc_array array = {.name = name, .dtype = t->dtype, .rank = t->rank};
    const int64_t size = (int64_t)fc_dtype_size(t->dtype);
    FC_TRY(count(r, name, t, &array.n, err));
    const int n_name = snprintf(member, sizeof member, "%.*s/data/%s", r->n_prefix,
                                r->prefix, t->storage);
    const fc_zip_member *m =
        n_name < (int)sizeof member ? fc_zip_find(r->a->zip, member) : NULL;
    if (m == NULL || t->n_storage > INT64_MAX / size || m->n_bytes != t->n_storage * size)
        return fc_fail(err, FC_FORMAT,
                       "%s: '%s' should be in the storage '%.64s' of %" PRId64
                       " elements of %s, which %s",
                       r->a->path, name, t->storage, t->n_storage,
                       fc_dtype_name(t->dtype),
                       m == NULL ? "is not there" : "has another size");
    if (!is_inside(t, array.n))
        return fc_fail(err, FC_FORMAT,
                       "%s: the shape and strides of '%s' reach beyond its storage of "
                       "%" PRId64 " elements",
                       r->a->path, name, t->n_storage);
    memcpy(array.shape, t->shape, sizeof array.shape);
    memcpy(array.stride, t->stride, sizeof array.stride);
    const fc_array_source source = {
        .member = m, .at = t->offset * size, .n_bytes = m->n_bytes};
    return fc_arrays_add(r->a, &array, &source, err);
}

/* Tensors of a dictionary and of those in it, down to DEPTH_MAX: a pickle may hold itself. */
static fc_status add_all(reading *r, int32_t value, const char *prefix, int depth,
                         fc_err *err)
{
    char name[NAME_MAX_BYTES];
    fc_pickle_item item;
    const fc_pickle_value dict = fc_pickle_at(r->pickle, value);
    for (int32_t i = dict.first; i >= 0; i = item.next) {
        item = fc_pickle_item_at(r->pickle, i);
        const fc_pickle_value key = fc_pickle_at(r->pickle, item.key);
        const fc_pickle_value member = fc_pickle_at(r->pickle, item.member);
        if (++r->n_visits > VISITS_MAX)
            return fc_fail(err, FC_FORMAT, "%s: the pickle holds more than %d values",
                           r->a->path, VISITS_MAX);
        if (key.kind != FC_PICKLE_TEXT) continue;
        const int n = snprintf(name, sizeof name, "%s%s", prefix, key.text);
        if (n + 1 >= (int)sizeof name)
            return fc_fail(err, FC_FORMAT,
                           "%s: '%.40s...' is a name of more than %d bytes", r->a->path,
                           name, NAME_MAX_BYTES - 2);
        if (member.kind == FC_PICKLE_TENSOR)
            FC_TRY(add_tensor(r, name, &member.tensor, err));
        if (member.kind != FC_PICKLE_DICT || depth == DEPTH_MAX) continue;
        name[n] = '.';
        name[n + 1] = '\0';
        FC_TRY(add_all(r, item.member, name, depth + 1, err));
    }
    return FC_OK;
}

fc_status fc_arrays_read_torch(fc_arrays *arrays, fc_err *err)
{
    reading r = {.a = arrays};
    const fc_zip_member *m = find_pickle(arrays->zip, &r.n_prefix);
    fc_zip_bytes bytes;
    fc_pickle *pickle = NULL;
    FC_CHECK(m != NULL); /* fc_arrays_is_torch has said so */
    arrays->format = "torch";
    r.prefix = m->name;
    FC_TRY(fc_zip_load(arrays->zip, m, FC_PICKLE_MAX_BYTES, &bytes, err));
    fc_status status =
        fc_pickle_parse(&pickle, bytes.data, (size_t)bytes.n, arrays->path, err);
    if (status == FC_OK) status = check_byte_order(&r, err);
    if (status == FC_OK) {
        r.pickle = pickle;
        const int32_t root = fc_pickle_root(pickle);
        if (fc_pickle_at(pickle, root).kind != FC_PICKLE_DICT)
            status =
                fc_fail(err, FC_FORMAT, "%s: the pickle holds no dictionary of tensors",
                        arrays->path);
        else
            status = add_all(&r, root, "", 0, err);
    }
    fc_pickle_free(pickle);
    fc_zip_bytes_free(&bytes);
    return status;
}
