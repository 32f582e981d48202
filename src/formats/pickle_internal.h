/* pickle_internal.h - the stack machine of pickles, shared by the files that make it up.
 *
 *   stack    numbers of values, cut in parts by marks
 *   memo     numbers of values that the pickle asked to remember
 *   nodes    the values; text and tensors lie beside them
 *   items    what lists and dictionaries hold: chains of (key, member) in order of arrival
 *
 * Each instruction makes at most one node and one item for each value it takes from the stack, and
 * takes at least a byte, so memory is bounded by the length of the pickle, which is bounded itself.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_PICKLE_INTERNAL_H
#define FC_FORMATS_PICKLE_INTERNAL_H

#include "formats/pickle.h"

enum { FC_PICKLE_NOTHING = -1 };

typedef struct fc_pickle_node {
    fc_pickle_kind kind;
    union {
        int64_t integer;
        double number;
        int64_t text; /* offset in texts */
        struct {
            int32_t first, last; /* items, or NOTHING */
            int32_t n;
        } items;
        int32_t tensor; /* TENSOR, STORAGE: index in tensors */
        int32_t name;   /* NAME: row of the table in pickle_torch.c */
    } as;
} fc_pickle_node;

typedef struct
    fc_pickle_stored { /* a tensor or storage; its key by offset, as texts move */
    fc_pickle_tensor tensor;
    int64_t key;
} fc_pickle_stored;

struct fc_pickle {
    fc_pickle_node *nodes;
    fc_pickle_item *items;
    char *texts; /* each with its zero byte */
    fc_pickle_stored *tensors;
    int64_t n_nodes, n_items, n_texts, n_tensors;
    int64_t nodes_capacity, items_capacity, texts_capacity, tensors_capacity;
    int32_t root;
};

typedef struct fc_pickle_machine {
    fc_pickle *p;
    const char *name; /* of the file */
    const uint8_t *begin, *at, *end;
    int32_t *stack, *memo;
    int64_t *marks; /* heights of the stack */
    int64_t n_stack, n_memo, n_marks;
    int64_t stack_capacity, memo_capacity, marks_capacity;
    bool is_stopped;
} fc_pickle_machine;

/* FC_FORMAT with the place in the pickle. */
fc_status fc_pickle_bad(const fc_pickle_machine *m, const char *what, fc_err *err);

/* ---- pickle_values.c: bytes, stack, values ---- */
fc_status fc_pickle_take(fc_pickle_machine *m, size_t n, const uint8_t **bytes,
                         fc_err *err);
fc_status fc_pickle_push(fc_pickle_machine *m, int32_t value, fc_err *err);
fc_status fc_pickle_pop(fc_pickle_machine *m, int32_t *value, fc_err *err);
fc_status fc_pickle_top(const fc_pickle_machine *m, int32_t *value, fc_err *err);
fc_status fc_pickle_push_node(fc_pickle_machine *m, fc_pickle_node made, fc_err *err);
fc_status fc_pickle_push_integer(fc_pickle_machine *m, fc_pickle_kind kind,
                                 int64_t integer, fc_err *err);
fc_status fc_pickle_push_empty(fc_pickle_machine *m, fc_pickle_kind kind, fc_err *err);
fc_status fc_pickle_push_text(fc_pickle_machine *m, size_t n, fc_err *err);
fc_status fc_pickle_push_long(fc_pickle_machine *m, fc_err *err);
fc_status fc_pickle_push_float(fc_pickle_machine *m, fc_err *err);
fc_status fc_pickle_remember(fc_pickle_machine *m, uint64_t place, fc_err *err);
fc_status fc_pickle_recall(fc_pickle_machine *m, uint64_t place, fc_err *err);

/* Marks. pop_mark drops the last one; *n: how many values lie above it. */
fc_status fc_pickle_set_mark(fc_pickle_machine *m, fc_err *err);
fc_status fc_pickle_pop_mark(fc_pickle_machine *m, int64_t *n, fc_err *err);

/* The n values on top, lowest first: they become a list or a dictionary, or go into the one below
 * them. */
fc_status fc_pickle_make(fc_pickle_machine *m, fc_pickle_kind kind, int64_t n,
                         fc_err *err);
fc_status fc_pickle_add_to(fc_pickle_machine *m, fc_pickle_kind kind, int64_t n,
                           fc_err *err);

/* ---- pickle_torch.c: names and what they make ---- */
fc_status fc_pickle_read_name(fc_pickle_machine *m, fc_err *err);    /* GLOBAL */
fc_status fc_pickle_stack_name(fc_pickle_machine *m, fc_err *err);   /* STACK_GLOBAL */
fc_status fc_pickle_read_storage(fc_pickle_machine *m, fc_err *err); /* BINPERSID */
fc_status fc_pickle_reduce(fc_pickle_machine *m, fc_err *err);       /* REDUCE */

#endif
