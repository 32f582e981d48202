/* pickle_values.c - stack, memo and values of the machine that reads pickles.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "formats/pickle_internal.h"

fc_status fc_pickle_bad(const fc_pickle_machine *m, const char *what, fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: %s, at byte %td of the pickle", m->name, what,
                   m->at - m->begin);
}

fc_status fc_pickle_take(fc_pickle_machine *m, size_t n, const uint8_t **bytes,
                         fc_err *err)
{
    if ((size_t)(m->end - m->at) < n)
        return fc_pickle_bad(m, "ends inside an instruction", err);
    *bytes = m->at;
    m->at += n;
    return FC_OK;
}

fc_status fc_pickle_push(fc_pickle_machine *m, int32_t value, fc_err *err)
{
    FC_TRY(fc_grow(&m->stack, &m->stack_capacity, m->n_stack + 1, sizeof *m->stack,
                   "the stack of a pickle", err));
    m->stack[m->n_stack++] = value;
    return FC_OK;
}

/* Values above the last mark may be taken, and no others. */
static int64_t floor_of(const fc_pickle_machine *m)
{
    return m->n_marks > 0 ? m->marks[m->n_marks - 1] : 0;
}

fc_status fc_pickle_pop(fc_pickle_machine *m, int32_t *value, fc_err *err)
{
    if (m->n_stack <= floor_of(m))
        return fc_pickle_bad(m, "takes from an empty stack", err);
    *value = m->stack[--m->n_stack];
    return FC_OK;
}

fc_status fc_pickle_top(const fc_pickle_machine *m, int32_t *value, fc_err *err)
{
    if (m->n_stack <= floor_of(m))
        return fc_pickle_bad(m, "takes from an empty stack", err);
    *value = m->stack[m->n_stack - 1];
    return FC_OK;
}

static fc_status new_node(fc_pickle_machine *m, fc_pickle_node made, int32_t *value,
                          fc_err *err)
{
    fc_pickle *p = m->p;
    FC_TRY(fc_grow(&p->nodes, &p->nodes_capacity, p->n_nodes + 1, sizeof *p->nodes,
                   "the values of a pickle", err));
    *value = (int32_t)p->n_nodes;
    p->nodes[p->n_nodes++] = made;
    return FC_OK;
}

fc_status fc_pickle_push_node(fc_pickle_machine *m, fc_pickle_node made, fc_err *err)
{
    int32_t value = 0;
    FC_TRY(new_node(m, made, &value, err));
    return fc_pickle_push(m, value, err);
}

fc_status fc_pickle_push_integer(fc_pickle_machine *m, fc_pickle_kind kind,
                                 int64_t integer, fc_err *err)
{
    const fc_pickle_node made = {.kind = kind, .as.integer = integer};
    return fc_pickle_push_node(m, made, err);
}

static fc_pickle_node empty(fc_pickle_kind kind)
{
    const fc_pickle_node made = {.kind = kind,
                                 .as.items = {FC_PICKLE_NOTHING, FC_PICKLE_NOTHING, 0}};
    return made;
}

fc_status fc_pickle_push_empty(fc_pickle_machine *m, fc_pickle_kind kind, fc_err *err)
{
    return fc_pickle_push_node(m, empty(kind), err);
}

static fc_status add_item(fc_pickle_machine *m, int32_t value, int32_t key,
                          int32_t member, fc_err *err)
{
    fc_pickle *p = m->p;
    FC_TRY(fc_grow(&p->items, &p->items_capacity, p->n_items + 1, sizeof *p->items,
                   "the values of a pickle", err));
    const int32_t i = (int32_t)p->n_items++;
    p->items[i] = (fc_pickle_item){key, member, FC_PICKLE_NOTHING};
    fc_pickle_node *n = &p->nodes[value];
    if (n->as.items.last == FC_PICKLE_NOTHING)
        n->as.items.first = i;
    else
        p->items[n->as.items.last].next = i;
    n->as.items.last = i;
    n->as.items.n++;
    return FC_OK;
}

static fc_status add_text(fc_pickle_machine *m, const uint8_t *bytes, size_t n,
                          int64_t *text, fc_err *err)
{
    fc_pickle *p = m->p;
    if (memchr(bytes, '\0', n) != NULL)
        return fc_pickle_bad(m, "a text holds a zero byte", err);
    FC_TRY(fc_grow(&p->texts, &p->texts_capacity, p->n_texts + (int64_t)n + 1, 1,
                   "the texts of a pickle", err));
    *text = p->n_texts;
    memcpy(p->texts + p->n_texts, bytes, n);
    p->n_texts += (int64_t)n;
    p->texts[p->n_texts++] = '\0';
    return FC_OK;
}

fc_status fc_pickle_push_text(fc_pickle_machine *m, size_t n, fc_err *err)
{
    const uint8_t *bytes = NULL;
    fc_pickle_node made = {.kind = FC_PICKLE_TEXT};
    FC_TRY(fc_pickle_take(m, n, &bytes, err));
    FC_TRY(add_text(m, bytes, n, &made.as.text, err));
    return fc_pickle_push_node(m, made, err);
}

/* --- lists and dictionaries ----------------------------------------------------------------- */

/* The n values on top go into `to`; a dictionary takes key and value in turn. */
static fc_status add_top(fc_pickle_machine *m, int32_t to, int64_t n, fc_err *err)
{
    const bool is_dict = m->p->nodes[to].kind == FC_PICKLE_DICT;
    const int64_t step = is_dict ? 2 : 1, first = m->n_stack - n;
    if (n % step != 0)
        return fc_pickle_bad(m, "a dictionary has a key without value", err);
    for (int64_t i = first; i < m->n_stack; i += step)
        FC_TRY(add_item(m, to, is_dict ? m->stack[i] : FC_PICKLE_NOTHING,
                        m->stack[i + step - 1], err));
    m->n_stack = first;
    return FC_OK;
}

fc_status fc_pickle_make(fc_pickle_machine *m, fc_pickle_kind kind, int64_t n,
                         fc_err *err)
{
    int32_t value = 0;
    if (m->n_stack - floor_of(m) < n)
        return fc_pickle_bad(m, "takes from an empty stack", err);
    FC_TRY(new_node(m, empty(kind), &value, err));
    FC_TRY(add_top(m, value, n, err));
    return fc_pickle_push(m, value, err);
}

/* Drops the last mark; *n: how many values lie above it. */
fc_status fc_pickle_pop_mark(fc_pickle_machine *m, int64_t *n, fc_err *err)
{
    if (m->n_marks == 0) return fc_pickle_bad(m, "there is no mark", err);
    *n = m->n_stack - m->marks[--m->n_marks];
    return FC_OK;
}

fc_status fc_pickle_add_to(fc_pickle_machine *m, fc_pickle_kind kind, int64_t n,
                           fc_err *err)
{
    if (m->n_stack - floor_of(m) < n + 1)
        return fc_pickle_bad(m, "takes from an empty stack", err);
    const int32_t to = m->stack[m->n_stack - n - 1];
    if (m->p->nodes[to].kind != kind)
        return fc_pickle_bad(m,
                             kind == FC_PICKLE_DICT
                                 ? "adds pairs to what is no dictionary"
                                 : "appends to what is no list",
                             err);
    return add_top(m, to, n, err);
}

/* --- marks ---------------------------------------------------------------------------------- */

fc_status fc_pickle_set_mark(fc_pickle_machine *m, fc_err *err)
{
    FC_TRY(fc_grow(&m->marks, &m->marks_capacity, m->n_marks + 1, sizeof *m->marks,
                   "the stack of a pickle", err));
    m->marks[m->n_marks++] = m->n_stack;
    return FC_OK;
}

/* --- memo and numbers ----------------------------------------------------------------------- */

fc_status fc_pickle_remember(fc_pickle_machine *m, uint64_t place, fc_err *err)
{
    int32_t value = 0;
    FC_TRY(fc_pickle_top(m, &value, err));
    if (place > FC_PICKLE_MAX_BYTES)
        return fc_pickle_bad(m, "remembers a value at an absurd place", err);
    const int64_t n = (int64_t)place + 1;
    if (n > m->n_memo) {
        FC_TRY(fc_grow(&m->memo, &m->memo_capacity, n, sizeof *m->memo,
                       "the memory of a pickle", err));
        for (int64_t i = m->n_memo; i < n; i++) m->memo[i] = FC_PICKLE_NOTHING;
        m->n_memo = n;
    }
    m->memo[place] = value;
    return FC_OK;
}

fc_status fc_pickle_recall(fc_pickle_machine *m, uint64_t place, fc_err *err)
{
    if (place >= (uint64_t)m->n_memo || m->memo[place] == FC_PICKLE_NOTHING)
        return fc_pickle_bad(m, "asks for a value that was not remembered", err);
    return fc_pickle_push(m, m->memo[place], err);
}

/* LONG1: little-endian two's complement of n bytes. */
fc_status fc_pickle_push_long(fc_pickle_machine *m, fc_err *err)
{
    const uint8_t *bytes = NULL;
    FC_TRY(fc_pickle_take(m, 1, &bytes, err));
    const size_t n = bytes != NULL ? bytes[0] : 0;
    if (n > 8) return fc_pickle_bad(m, "an integer has more than 64 bits", err);
    FC_TRY(fc_pickle_take(m, n, &bytes, err));
    uint64_t value = n > 0 && (bytes[n - 1] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = n; i-- > 0;) value = value << 8 | bytes[i];
    return fc_pickle_push_integer(m, FC_PICKLE_INT, (int64_t)value, err);
}

fc_status fc_pickle_push_float(fc_pickle_machine *m, fc_err *err)
{
    const uint8_t *bytes = NULL;
    fc_pickle_node made = {.kind = FC_PICKLE_FLOAT};
    uint64_t bits = 0;
    FC_TRY(fc_pickle_take(m, 8, &bytes, err));
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i]; /* the only big-endian one */
    memcpy(&made.as.number, &bits, sizeof bits);
    return fc_pickle_push_node(m, made, err);
}
