/* pickle.c - the instructions of pickles, reduced to those that build values.
 *
 * Instructions that are not in `step` are refused by number; names by name (pickle_torch.c).
 * Protocols 2 to 5, as torch.save and pickle.dump write them. Lib/pickletools.py describes all.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "formats/pickle_internal.h"

/* BUILD sets attributes of an object; a state dictionary has some that mean nothing here. */
static fc_status build(fc_pickle_machine *m, fc_err *err)
{
    int32_t state = 0, object = 0;
    FC_TRY(fc_pickle_pop(m, &state, err));
    FC_TRY(fc_pickle_top(m, &object, err));
    if (m->p->nodes[object].kind != FC_PICKLE_DICT)
        return fc_pickle_bad(m, "sets attributes of what is no dictionary", err);
    return FC_OK;
}

/* An unsigned number of n bytes that belongs to the instruction. */
static fc_status argument(fc_pickle_machine *m, int n, uint64_t *value, fc_err *err)
{
    const uint8_t *bytes = NULL;
    FC_TRY(fc_pickle_take(m, (size_t)n, &bytes, err));
    *value = 0;
    for (int i = n; i-- > 0;) *value = *value << 8 | bytes[i];
    return FC_OK;
}

/* --- instructions --------------------------------------------------------------------------- */

static fc_status stop(fc_pickle_machine *m, fc_err *err)
{
    FC_TRY(fc_pickle_pop(m, &m->p->root, err));
    m->is_stopped = true;
    return FC_OK;
}

/* Those that take what lies above the last mark. */
static fc_status with_mark(fc_pickle_machine *m, uint8_t code, fc_err *err)
{
    int64_t n = 0;
    FC_TRY(fc_pickle_pop_mark(m, &n, err));
    switch (code) {
    case 't':
    case 'l': return fc_pickle_make(m, FC_PICKLE_LIST, n, err);
    case 'd': return fc_pickle_make(m, FC_PICKLE_DICT, n, err);
    case 'u': return fc_pickle_add_to(m, FC_PICKLE_DICT, n, err);
    default: return fc_pickle_add_to(m, FC_PICKLE_LIST, n, err);
    }
}

/* Those with a number: its width in bytes, 0 for all others. */
static int argument_bytes(uint8_t code)
{
    switch (code) {
    case 'K':
    case 'q':
    case 'h':
    case 'U':
    case 0x80:
    case 0x8c: return 1;
    case 'M': return 2;
    case 'J':
    case 'X':
    case 'T':
    case 'r':
    case 'j': return 4;
    case 0x8d:
    case 0x95: return 8;
    default: return 0;
    }
}

static fc_status with_argument(fc_pickle_machine *m, uint8_t code, int width, fc_err *err)
{
    uint64_t n = 0;
    FC_TRY(argument(m, width, &n, err));
    switch (code) {
    case 0x80: /* PROTO */
        return n <= 5 ? FC_OK : fc_pickle_bad(m, "has an unknown protocol", err);
    case 0x95: /* FRAME */ return FC_OK;
    case 'K':
    case 'M': return fc_pickle_push_integer(m, FC_PICKLE_INT, (int64_t)n, err);
    case 'J': return fc_pickle_push_integer(m, FC_PICKLE_INT, (int32_t)(uint32_t)n, err);
    case 'q':
    case 'r': return fc_pickle_remember(m, n, err);
    case 'h':
    case 'j': return fc_pickle_recall(m, n, err);
    default: return fc_pickle_push_text(m, n, err);
    }
}

static fc_status step(fc_pickle_machine *m, fc_err *err)
{
    const uint8_t *byte = NULL;
    FC_TRY(fc_pickle_take(m, 1, &byte, err));
    const uint8_t code = *byte;
    const int width = argument_bytes(code);
    if (width > 0) return with_argument(m, code, width, err);
    switch (code) {
    case '(': return fc_pickle_set_mark(m, err);
    case ')':
    case ']': return fc_pickle_push_empty(m, FC_PICKLE_LIST, err);
    case '}': return fc_pickle_push_empty(m, FC_PICKLE_DICT, err);
    case 0x85:
    case 0x86:
    case 0x87: return fc_pickle_make(m, FC_PICKLE_LIST, code - 0x84, err);
    case 't':
    case 'l':
    case 'd':
    case 'u':
    case 'e': return with_mark(m, code, err);
    case 's': return fc_pickle_add_to(m, FC_PICKLE_DICT, 2, err);
    case 'a': return fc_pickle_add_to(m, FC_PICKLE_LIST, 1, err);
    case 'c': return fc_pickle_read_name(m, err);
    case 0x93: return fc_pickle_stack_name(m, err);
    case 'Q': return fc_pickle_read_storage(m, err);
    case 'R': return fc_pickle_reduce(m, err);
    case 'b': return build(m, err);
    case 'N': return fc_pickle_push_integer(m, FC_PICKLE_NONE, 0, err);
    case 0x88:
    case 0x89: return fc_pickle_push_integer(m, FC_PICKLE_BOOL, code == 0x88, err);
    case 0x8a: return fc_pickle_push_long(m, err);
    case 'G': return fc_pickle_push_float(m, err);
    case 0x94: return fc_pickle_remember(m, (uint64_t)m->n_memo, err);
    case '.': return stop(m, err);
    default:
        return fc_fail(err, FC_FORMAT,
                       "%s: instruction 0x%02x at byte %td of the pickle builds nothing "
                       "that may be in it",
                       m->name, code, m->at - 1 - m->begin);
    }
}

/* --- entry points --------------------------------------------------------------------------- */

fc_status fc_pickle_parse(fc_pickle **pickle, const uint8_t *bytes, size_t n_bytes,
                          const char *name, fc_err *err)
{
    fc_pickle_machine m = {
        .name = name, .begin = bytes, .at = bytes, .end = bytes + n_bytes};
    fc_status status = FC_OK;
    if (n_bytes > FC_PICKLE_MAX_BYTES)
        return fc_fail(err, FC_FORMAT,
                       "%s: the pickle has %zu bytes, expected at most %d", name, n_bytes,
                       FC_PICKLE_MAX_BYTES);
    FC_TRY(fc_alloc(&m.p, 1, sizeof *m.p, "a pickle", err));
    while (status == FC_OK && !m.is_stopped) status = step(&m, err);
    fc_free(m.stack);
    fc_free(m.memo);
    fc_free(m.marks);
    if (status != FC_OK) {
        fc_pickle_free(m.p);
        return status;
    }
    *pickle = m.p;
    return FC_OK;
}

void fc_pickle_free(fc_pickle *pickle)
{
    if (pickle == NULL) return;
    fc_free(pickle->nodes);
    fc_free(pickle->items);
    fc_free(pickle->texts);
    fc_free(pickle->tensors);
    fc_free(pickle);
}

int32_t fc_pickle_root(const fc_pickle *pickle)
{
    return pickle->root;
}

fc_pickle_value fc_pickle_at(const fc_pickle *pickle, int32_t value)
{
    const fc_pickle_node *n = &pickle->nodes[value];
    fc_pickle_value v = {.kind = n->kind};
    switch (n->kind) {
    case FC_PICKLE_BOOL:
    case FC_PICKLE_INT: v.integer = n->as.integer; break;
    case FC_PICKLE_FLOAT: v.number = n->as.number; break;
    case FC_PICKLE_TEXT: v.text = pickle->texts + n->as.text; break;
    case FC_PICKLE_LIST:
    case FC_PICKLE_DICT:
        v.n_items = n->as.items.n;
        v.first = n->as.items.first;
        break;
    case FC_PICKLE_TENSOR: {
        const fc_pickle_stored *stored = &pickle->tensors[n->as.tensor];
        v.tensor = stored->tensor;
        v.tensor.storage = pickle->texts + stored->key;
        break;
    }
    case FC_PICKLE_NONE:
    case FC_PICKLE_STORAGE:
    case FC_PICKLE_NAME: break;
    }
    return v;
}

fc_pickle_item fc_pickle_item_at(const fc_pickle *pickle, int32_t item)
{
    return pickle->items[item];
}
