/* pickle_torch.c - the names a pickle may use, and the tensors that they make.
 *
 *   persistent id    ("storage", torch.FloatStorage, "0", "cpu", 2304)
 *   tensor           _rebuild_tensor_v2(storage, offset, (96, 24), (24, 1), ...)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "formats/pickle_internal.h"

/* --- names that may be used ----------------------------------------------------------------- */

typedef enum name_kind { NAME_DICT, NAME_TENSOR, NAME_PARAMETER, NAME_STORAGE } name_kind;

static const struct {
    const char *module, *name;
    name_kind kind;
    fc_dtype dtype;
} names[] = {
    {"collections", "OrderedDict", NAME_DICT, FC_N_DTYPES},
    {"torch._utils", "_rebuild_tensor_v2", NAME_TENSOR, FC_N_DTYPES},
    {"torch._utils", "_rebuild_parameter", NAME_PARAMETER, FC_N_DTYPES},
    {"torch", "FloatStorage", NAME_STORAGE, FC_F32},
    {"torch", "DoubleStorage", NAME_STORAGE, FC_F64},
    {"torch", "HalfStorage", NAME_STORAGE, FC_F16},
    {"torch", "BFloat16Storage", NAME_STORAGE, FC_BF16},
    {"torch", "LongStorage", NAME_STORAGE, FC_I64},
    {"torch", "IntStorage", NAME_STORAGE, FC_I32},
    {"torch", "ShortStorage", NAME_STORAGE, FC_I16},
    {"torch", "CharStorage", NAME_STORAGE, FC_I8},
    {"torch", "ByteStorage", NAME_STORAGE, FC_U8},
    {"torch", "BoolStorage", NAME_STORAGE, FC_BOOL},
};

/* --- arguments ------------------------------------------------------------------------------ */

/* The k-th member of a list, or NULL. */
static const fc_pickle_node *member_of(const fc_pickle_machine *m,
                                       const fc_pickle_node *list, int k)
{
    if (list->kind != FC_PICKLE_LIST) return NULL;
    int32_t i = list->as.items.first;
    while (i != FC_PICKLE_NOTHING && k-- > 0) i = m->p->items[i].next;
    return i == FC_PICKLE_NOTHING ? NULL : &m->p->nodes[m->p->items[i].member];
}

static bool is_kind(const fc_pickle_node *n, fc_pickle_kind kind)
{
    return n != NULL && n->kind == kind;
}

/* --- names, storages, tensors --------------------------------------------------------------- */

static fc_status push_name(fc_pickle_machine *m, const char *module, int n_module,
                           const char *name, int n_name, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(names); i++) {
        const bool is_it = strlen(names[i].module) == (size_t)n_module &&
                           strlen(names[i].name) == (size_t)n_name &&
                           memcmp(names[i].module, module, (size_t)n_module) == 0 &&
                           memcmp(names[i].name, name, (size_t)n_name) == 0;
        if (!is_it) continue;
        const fc_pickle_node made = {.kind = FC_PICKLE_NAME, .as.name = (int32_t)i};
        return fc_pickle_push_node(m, made, err);
    }
    return fc_fail(err, FC_FORMAT,
                   "%s: the pickle names %.*s.%.*s, which is refused: only dictionaries, "
                   "lists, numbers, texts and tensors of torch may be in it",
                   m->name, n_module > 64 ? 64 : n_module, module,
                   n_name > 64 ? 64 : n_name, name);
}

/* GLOBAL: two lines. */
fc_status fc_pickle_read_name(fc_pickle_machine *m, fc_err *err)
{
    const char *text[2];
    int n[2];
    for (int i = 0; i < 2; i++) {
        const uint8_t *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
        if (end == NULL || end - m->at > 255)
            return fc_pickle_bad(m, "a name does not end", err);
        text[i] = (const char *)m->at;
        n[i] = (int)(end - m->at);
        m->at = end + 1;
    }
    return push_name(m, text[0], n[0], text[1], n[1], err);
}

fc_status fc_pickle_stack_name(fc_pickle_machine *m, fc_err *err)
{
    int32_t name = 0, module = 0;
    FC_TRY(fc_pickle_pop(m, &name, err));
    FC_TRY(fc_pickle_pop(m, &module, err));
    const fc_pickle_node *a = &m->p->nodes[module], *b = &m->p->nodes[name];
    if (a->kind != FC_PICKLE_TEXT || b->kind != FC_PICKLE_TEXT)
        return fc_pickle_bad(m, "a name is no text", err);
    const char *module_text = m->p->texts + a->as.text;
    const char *name_text = m->p->texts + b->as.text;
    return push_name(m, module_text, (int)strlen(module_text), name_text,
                     (int)strlen(name_text), err);
}

static fc_status push_tensor(fc_pickle_machine *m, fc_pickle_kind kind,
                             const fc_pickle_stored *t, fc_err *err)
{
    fc_pickle *p = m->p;
    FC_TRY(fc_grow(&p->tensors, &p->tensors_capacity, p->n_tensors + 1,
                   sizeof *p->tensors, "the tensors of a pickle", err));
    const fc_pickle_node made = {.kind = kind, .as.tensor = (int32_t)p->n_tensors};
    p->tensors[p->n_tensors++] = *t;
    return fc_pickle_push_node(m, made, err);
}

/* BINPERSID: ("storage", type, key, place, elements). */
fc_status fc_pickle_read_storage(fc_pickle_machine *m, fc_err *err)
{
    int32_t value = 0;
    FC_TRY(fc_pickle_pop(m, &value, err));
    const fc_pickle_node *list = &m->p->nodes[value];
    const fc_pickle_node *word = member_of(m, list, 0), *type = member_of(m, list, 1);
    const fc_pickle_node *key = member_of(m, list, 2), *n = member_of(m, list, 4);
    if (!is_kind(word, FC_PICKLE_TEXT) || !is_kind(type, FC_PICKLE_NAME) ||
        !is_kind(key, FC_PICKLE_TEXT) || !is_kind(n, FC_PICKLE_INT) ||
        strcmp(m->p->texts + word->as.text, "storage") != 0 ||
        names[type->as.name].kind != NAME_STORAGE || n->as.integer < 0)
        return fc_pickle_bad(m, "points to something that is no storage of torch", err);
    const fc_pickle_stored t = {
        .tensor = {.n_storage = n->as.integer, .dtype = names[type->as.name].dtype},
        .key = key->as.text};
    return push_tensor(m, FC_PICKLE_STORAGE, &t, err);
}

static fc_status read_sizes(const fc_pickle_machine *m, const fc_pickle_node *list,
                            int64_t *sizes, int *rank, fc_err *err)
{
    if (!is_kind(list, FC_PICKLE_LIST) || list->as.items.n > FC_MAX_RANK)
        return fc_pickle_bad(
            m, "a tensor's shape or strides are no list of up to 8 integers", err);
    *rank = list->as.items.n;
    for (int i = 0; i < *rank; i++) {
        const fc_pickle_node *n = member_of(m, list, i);
        if (!is_kind(n, FC_PICKLE_INT) || n->as.integer < 0)
            return fc_pickle_bad(
                m, "a tensor's shape or strides are no integers of 0 or more", err);
        sizes[i] = n->as.integer;
    }
    return FC_OK;
}

/* _rebuild_tensor_v2(storage, offset, shape, strides, ...). */
static fc_status rebuild_tensor(fc_pickle_machine *m, const fc_pickle_node *list,
                                fc_err *err)
{
    const fc_pickle_node *storage = member_of(m, list, 0),
                         *offset = member_of(m, list, 1);
    int n_strides = 0;
    if (!is_kind(storage, FC_PICKLE_STORAGE) || !is_kind(offset, FC_PICKLE_INT) ||
        offset->as.integer < 0)
        return fc_pickle_bad(m, "a tensor has no storage", err);
    fc_pickle_stored t = m->p->tensors[storage->as.tensor];
    fc_pickle_tensor *const shape = &t.tensor;
    shape->offset = offset->as.integer;
    FC_TRY(read_sizes(m, member_of(m, list, 2), shape->shape, &shape->rank, err));
    FC_TRY(read_sizes(m, member_of(m, list, 3), shape->stride, &n_strides, err));
    if (n_strides != shape->rank)
        return fc_pickle_bad(m, "a tensor has not as many strides as dimensions", err);
    return push_tensor(m, FC_PICKLE_TENSOR, &t, err);
}

fc_status fc_pickle_reduce(fc_pickle_machine *m, fc_err *err)
{
    int32_t arguments = 0, callee = 0;
    FC_TRY(fc_pickle_pop(m, &arguments, err));
    FC_TRY(fc_pickle_pop(m, &callee, err));
    const fc_pickle_node *list = &m->p->nodes[arguments], *name = &m->p->nodes[callee];
    if (name->kind != FC_PICKLE_NAME || list->kind != FC_PICKLE_LIST)
        return fc_pickle_bad(m, "calls something that has no name", err);
    switch (names[name->as.name].kind) {
    case NAME_DICT:
        if (list->as.items.n != 0)
            return fc_pickle_bad(m, "a new dictionary is given values", err);
        return fc_pickle_push_empty(m, FC_PICKLE_DICT, err);
    case NAME_TENSOR: return rebuild_tensor(m, list, err);
    case NAME_PARAMETER:
        if (!is_kind(member_of(m, list, 0), FC_PICKLE_TENSOR))
            return fc_pickle_bad(m, "a parameter is no tensor", err);
        return fc_pickle_push(m, m->p->items[list->as.items.first].member, err);
    case NAME_STORAGE: break;
    }
    return fc_pickle_bad(m, "calls a type of storage", err);
}
