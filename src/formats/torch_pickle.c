/* torch_pickle.c - writes the pickle of a PyTorch state dictionary, protocol 2.
 *
 *   OrderedDict() (
 *     "encoder.weight"  _rebuild_tensor_v2 ( persistent ( "storage" FloatStorage "0" "cpu" n )
 *                                            0 shape strides False OrderedDict() )
 *     ...
 *   set them all. stop
 *
 * The same instructions as torch.save, but for the memo, which nothing here needs: no value is used
 * twice. torch.load opens it with weights_only, since it names only what that allows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/torch_pickle_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/little_endian.h"

static fc_status code(fc_strbuf *p, const char *codes, fc_err *err)
{
    return fc_strbuf_add(p, codes, (int64_t)strlen(codes), err);
}

static fc_status text(fc_strbuf *p, const char *words, fc_err *err)
{
    uint8_t head[5] = "X";
    const size_t n = strlen(words);
    (void)fc_le_put(head + 1, n, 4);
    FC_TRY(fc_strbuf_add(p, head, sizeof head, err));
    return fc_strbuf_add(p, words, (int64_t)n, err);
}

/* LONG1 of 8 bytes: one form for every size. */
static fc_status integer(fc_strbuf *p, int64_t value, fc_err *err)
{
    uint8_t bytes[10] = {0x8a, 8};
    (void)fc_le_put(bytes + 2, (uint64_t)value, 8);
    return fc_strbuf_add(p, bytes, sizeof bytes, err);
}

static const char *storage_of(fc_dtype dtype)
{
    switch (dtype) {
    case FC_F32: return "FloatStorage";
    case FC_F64: return "DoubleStorage";
    case FC_F16: return "HalfStorage";
    case FC_BF16: return "BFloat16Storage";
    case FC_I64: return "LongStorage";
    case FC_I32: return "IntStorage";
    case FC_I16: return "ShortStorage";
    case FC_I8: return "CharStorage";
    case FC_U8: return "ByteStorage";
    case FC_BOOL: return "BoolStorage";
    case FC_U64:
    case FC_U32:
    case FC_U16:
    case FC_N_DTYPES: break;
    }
    FC_CHECK(dtype == FC_F32); /* torch has no such storage */
    return "";
}

static fc_status tuple(fc_strbuf *p, const int64_t *sizes, int n, fc_err *err)
{
    FC_TRY(code(p, "(", err));
    for (int i = 0; i < n; i++) FC_TRY(integer(p, sizes[i], err));
    return code(p, "t", err);
}

static fc_status tensor(fc_strbuf *p, const fc_declared *a, int64_t key, fc_err *err)
{
    char key_text[24];
    int64_t stride[FC_MAX_RANK], step = 1;
    for (int i = a->rank; i-- > 0;) {
        stride[i] = step;
        step *= a->shape[i] > 0 ? a->shape[i] : 1;
    }
    (void)snprintf(key_text, sizeof key_text, "%" PRId64, key);
    FC_TRY(text(p, a->name, err));
    FC_TRY(code(p, "ctorch._utils\n_rebuild_tensor_v2\n((", err));
    FC_TRY(text(p, "storage", err));
    FC_TRY(fc_strbuf_addf(p, err, "ctorch\n%s\n", storage_of(a->dtype)));
    FC_TRY(text(p, key_text, err));
    FC_TRY(text(p, "cpu", err));
    FC_TRY(integer(p, a->n, err));
    FC_TRY(code(p, "tQ", err));
    FC_TRY(integer(p, 0, err));
    FC_TRY(tuple(p, a->shape, a->rank, err));
    FC_TRY(tuple(p, stride, a->rank, err));
    return code(p,
                "\x89"
                "ccollections\nOrderedDict\n)RtR",
                err);
}

fc_status fc_torch_pickle(fc_strbuf *pickle, const fc_declared *arrays, int64_t n,
                          fc_err *err)
{
    FC_TRY(code(pickle,
                "\x80\x02"
                "ccollections\nOrderedDict\n)R(",
                err));
    for (int64_t i = 0; i < n; i++) FC_TRY(tensor(pickle, &arrays[i], i, err));
    return code(pickle, "u.", err);
}
