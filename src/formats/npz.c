/* npz.c - the arrays of a NumPy archive: a zip of NAME.npy members.
 *
 * Only the first 10 kB of each member are looked at when the file is opened: its header. A member must
 * have exactly the bytes that its header asks for, so what is unpacked later is what was announced.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/arrays_internal.h"
#include "formats/npy.h"

static const char ending[] = ".npy";

/* "W_enc.npy" -> "W_enc"; anything else is no array. */
static fc_status array_name(const fc_arrays *a, const char *member, char **name,
                            fc_err *err)
{
    const size_t n = strlen(member), n_ending = sizeof ending - 1;
    if (strchr(member, '/') != NULL || n <= n_ending ||
        strcmp(member + n - n_ending, ending) != 0)
        return fc_fail(
            err, FC_FORMAT,
            "%s: a member is named '%.80s', expected NAME.npy, without folders", a->path,
            member);
    FC_TRY(fc_strdup(name, member, err));
    (*name)[n - n_ending] = '\0';
    return FC_OK;
}

static fc_status read_header(const fc_arrays *a, const fc_zip_member *member,
                             uint8_t *bytes, fc_npy *npy, fc_err *err)
{
    fc_zip_stream *stream = NULL;
    fc_strbuf where = {0};
    fc_status status;
    size_t n = 0, n_read = 1;
    FC_TRY_GOTO(fc_strbuf_addf(&where, err, "%s: '%s'", a->path, member->name));
    FC_TRY_GOTO(fc_zip_stream_open(&stream, a->zip, member, err));
    while (n_read > 0 && n < FC_NPY_HEADER_MAX) {
        FC_TRY_GOTO(
            fc_zip_stream_read(stream, bytes + n, FC_NPY_HEADER_MAX - n, &n_read, err));
        n += n_read;
    }
    FC_TRY_GOTO(fc_npy_parse(npy, bytes, n, where.data, err));
    if (member->n_bytes - npy->at != npy->n_bytes)
        status = fc_fail(err, FC_FORMAT,
                         "%s holds %" PRId64 " bytes of data, expected %" PRId64,
                         where.data, member->n_bytes - npy->at, npy->n_bytes);
done:
    fc_zip_stream_close(stream);
    fc_strbuf_free(&where);
    return status;
}

static fc_status add_member(fc_arrays *a, const fc_zip_member *member, uint8_t *bytes,
                            fc_err *err)
{
    char *name = NULL;
    fc_npy npy;
    fc_array array = {0};
    FC_TRY(array_name(a, member->name, &name, err));
    fc_status status = read_header(a, member, bytes, &npy, err);
    if (status == FC_OK) {
        const fc_array_source source = {
            .member = member, .at = npy.at, .n_bytes = member->n_bytes};
        array.name = name;
        fc_arrays_of_npy(&array, &npy);
        status = fc_arrays_add(a, &array, &source, err);
    }
    fc_free(name);
    return status;
}

fc_status fc_arrays_read_npz(fc_arrays *arrays, fc_err *err)
{
    uint8_t *bytes = NULL;
    fc_status status = FC_OK;
    arrays->format = "npz";
    FC_TRY(fc_alloc(&bytes, FC_NPY_HEADER_MAX, 1, "an npy header", err));
    for (int64_t i = 0; i < fc_zip_count(arrays->zip) && status == FC_OK; i++)
        status = add_member(arrays, fc_zip_at(arrays->zip, i), bytes, err);
    fc_free(bytes);
    return status;
}
