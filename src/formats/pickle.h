/* pickle.h - a pickle as data: dictionaries, lists, numbers, texts and tensors, nothing else.
 *
 * A pickle is a program for a stack machine that may call anything in Python. This reader knows the
 * instructions that build plain values, and of the names it may be told only these:
 *
 *   collections.OrderedDict                      an empty dictionary
 *   torch._utils._rebuild_tensor_v2              a tensor: storage, offset, shape, strides
 *   torch._utils._rebuild_parameter              the tensor it is given
 *   torch.FloatStorage, DoubleStorage, ...       types of storages
 *
 * Any other name is refused by name. Nothing is called: a tensor is a record of numbers that the
 * caller compares with the storage it points to.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_PICKLE_H
#define FC_FORMATS_PICKLE_H

#include <stdbool.h>

#include "formats/safetensors.h"

typedef enum fc_pickle_kind {
    FC_PICKLE_NONE,
    FC_PICKLE_BOOL,
    FC_PICKLE_INT,
    FC_PICKLE_FLOAT,
    FC_PICKLE_TEXT,
    FC_PICKLE_LIST, /* tuples too */
    FC_PICKLE_DICT,
    FC_PICKLE_TENSOR,
    FC_PICKLE_STORAGE, /* only inside the pickle */
    FC_PICKLE_NAME     /* of something in Python; only inside the pickle */
} fc_pickle_kind;

typedef struct fc_pickle_tensor {
    const char *storage; /* its key: "3" is the member data/3 */
    int64_t n_storage;   /* elements the storage is said to have */
    fc_dtype dtype;
    int64_t offset; /* elements */
    int rank;
    int64_t shape[FC_MAX_RANK], stride[FC_MAX_RANK];
} fc_pickle_tensor;

/* One value, borrowed from the pickle. */
typedef struct fc_pickle_value {
    fc_pickle_kind kind;
    int64_t integer; /* BOOL, INT */
    double number;   /* FLOAT */
    const char *text;
    int64_t n_items;         /* LIST, DICT (pairs) */
    int32_t first;           /* LIST, DICT: the first item, below 0 when empty */
    fc_pickle_tensor tensor; /* TENSOR */
} fc_pickle_value;

typedef struct fc_pickle_item { /* of a list or dictionary */
    int32_t key;                /* value, below 0 in a list */
    int32_t member;             /* value */
    int32_t next;               /* item, below 0 after the last */
} fc_pickle_item;

typedef struct fc_pickle fc_pickle;
enum { FC_PICKLE_MAX_BYTES = 1 << 20 };

/* Values may be shared and may even contain themselves: who walks them needs a limit. */
fc_status fc_pickle_parse(fc_pickle **pickle, const uint8_t *bytes, size_t n_bytes,
                          const char *name, fc_err *err);
void fc_pickle_free(fc_pickle *pickle);

/* Values have numbers; the root is what the pickle stands for. */
int32_t fc_pickle_root(const fc_pickle *pickle);
fc_pickle_value fc_pickle_at(const fc_pickle *pickle, int32_t value);

fc_pickle_item fc_pickle_item_at(const fc_pickle *pickle, int32_t item);

#endif
