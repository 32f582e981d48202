/* thrift.c - Thrift's compact protocol (apache/thrift, doc/specs/thrift-compact-protocol.md).
 *
 *   integer  zigzag, then 7 bits a byte, lowest first      text  length, bytes
 *   field    delta << 4 | type; delta 0: the id follows    list  size << 4 | type; 15: size follows
 *
 * Skipping keeps its own stack of at most MAX_DEPTH containers: the depth of a hostile file must not
 * become the depth of our calls.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/thrift.h"

enum { MAX_DEPTH = 32, LONG_LIST = 15 };

fc_thrift fc_thrift_over(const uint8_t *data, size_t n_bytes)
{
    return (fc_thrift){.begin = data, .at = data, .end = data + n_bytes};
}

static void fail(fc_thrift *t, const char *fault)
{
    if (!t->fault) t->fault = fault;
}

static uint8_t next_byte(fc_thrift *t)
{
    if (t->at < t->end && !t->fault) return *t->at++;
    fail(t, "it ends within a value");
    return 0;
}

static uint64_t next_uvarint(fc_thrift *t)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = next_byte(t);
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail(t, "an integer has more than 64 bits");
    return 0;
}

static int64_t next_zigzag(fc_thrift *t)
{
    const uint64_t value = next_uvarint(t);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void pass_bytes(fc_thrift *t, uint64_t n)
{
    if (n > (uint64_t)(t->end - t->at)) fail(t, "it ends within a value");
    if (!t->fault) t->at += n;
}

bool fc_thrift_next(fc_thrift *t, fc_thrift_field *field)
{
    const uint8_t byte = next_byte(t);
    if (t->fault || byte == 0) return false;
    const int delta = byte >> 4;
    const int64_t id = delta > 0 ? field->id + delta : next_zigzag(t);
    if (id < INT16_MIN || id > INT16_MAX) fail(t, "the id of a field is out of range");
    if ((byte & 15) == 0 || (byte & 15) > FC_THRIFT_UUID)
        fail(t, "a field has no known type");
    field->id = (int)id;
    field->type = (fc_thrift_type)(byte & 15);
    return !t->fault;
}

int64_t fc_thrift_i64(fc_thrift *t, fc_thrift_field field)
{
    if (field.type == FC_THRIFT_I8) return (int8_t)next_byte(t);
    if (field.type >= FC_THRIFT_I16 && field.type <= FC_THRIFT_I64) return next_zigzag(t);
    fail(t, "a field is not the integer it should be");
    return 0;
}

bool fc_thrift_bool(fc_thrift *t, fc_thrift_field field)
{
    if (field.type != FC_THRIFT_TRUE && field.type != FC_THRIFT_FALSE)
        fail(t, "a field is not the truth value it should be");
    return field.type == FC_THRIFT_TRUE;
}

const char *fc_thrift_text(fc_thrift *t, fc_thrift_field field, int64_t *n)
{
    *n = 0;
    if (field.type != FC_THRIFT_BINARY) fail(t, "a field is not the text it should be");
    const uint64_t n_bytes = next_uvarint(t);
    const char *text = (const char *)t->at;
    pass_bytes(t, n_bytes);
    if (t->fault) return "";
    *n = (int64_t)n_bytes;
    return text;
}

bool fc_thrift_is_struct(fc_thrift *t, fc_thrift_field field)
{
    if (field.type != FC_THRIFT_STRUCT) fail(t, "a field is not the struct it should be");
    return !t->fault;
}

/* Size and element type of a list or set. */
static uint64_t next_list(fc_thrift *t, fc_thrift_type *of)
{
    const uint8_t byte = next_byte(t);
    *of = (fc_thrift_type)(byte & 15);
    const uint64_t n = byte >> 4 == LONG_LIST ? next_uvarint(t) : byte >> 4;
    if (n <= (uint64_t)(t->end - t->at)) return t->fault ? 0 : n;
    fail(t, "a list has more elements than bytes are left");
    return 0;
}

int64_t fc_thrift_list(fc_thrift *t, fc_thrift_field field, fc_thrift_type of)
{
    if (field.type != FC_THRIFT_LIST) fail(t, "a field is not the list it should be");
    fc_thrift_type found = FC_THRIFT_STOP;
    const uint64_t n = next_list(t, &found);
    if (n > 0 && found != of) fail(t, "the elements of a list have the wrong type");
    return t->fault ? 0 : (int64_t)n;
}

/* --- skipping ----------------------------------------------------------------------------- */

typedef struct frame { /* a container that is being skipped */
    bool is_struct;
    int id;                   /* of the struct's last field */
    uint64_t n_left;          /* values of a list, keys and values of a map */
    fc_thrift_type even, odd; /* their types by n_left */
} frame;

static void skip_scalar(fc_thrift *t, fc_thrift_type type, bool is_field)
{
    switch (type) {
    case FC_THRIFT_TRUE:
    case FC_THRIFT_FALSE:
        if (!is_field) (void)next_byte(t);
        break;
    case FC_THRIFT_I8: (void)next_byte(t); break;
    case FC_THRIFT_I16:
    case FC_THRIFT_I32:
    case FC_THRIFT_I64: (void)next_uvarint(t); break;
    case FC_THRIFT_DOUBLE: pass_bytes(t, 8); break;
    case FC_THRIFT_BINARY: pass_bytes(t, next_uvarint(t)); break;
    case FC_THRIFT_UUID: pass_bytes(t, 16); break;
    case FC_THRIFT_STOP:
    case FC_THRIFT_LIST:
    case FC_THRIFT_SET:
    case FC_THRIFT_MAP:
    case FC_THRIFT_STRUCT:
    default: fail(t, "a value has no known type");
    }
}

static frame begin_map(fc_thrift *t)
{
    frame map = {0};
    const uint64_t n = next_uvarint(t);
    if (n == 0) return map;
    const uint8_t types = next_byte(t);
    if (n > (uint64_t)(t->end - t->at) / 2)
        fail(t, "a map has more elements than bytes are left");
    map.n_left = t->fault ? 0 : 2 * n;
    map.even = (fc_thrift_type)(types >> 4);
    map.odd = (fc_thrift_type)(types & 15);
    return map;
}

/* Opens a container of this type, or passes over a value that is none. */
static void enter(fc_thrift *t, frame *stack, int *depth, fc_thrift_type type,
                  bool is_field)
{
    frame opened = {.is_struct = type == FC_THRIFT_STRUCT};
    if (type == FC_THRIFT_LIST || type == FC_THRIFT_SET) {
        opened.n_left = next_list(t, &opened.even);
        opened.odd = opened.even;
    } else if (type == FC_THRIFT_MAP) {
        opened = begin_map(t);
    } else if (type != FC_THRIFT_STRUCT) {
        skip_scalar(t, type, is_field);
        return;
    }
    if (*depth == MAX_DEPTH)
        fail(t, "it is nested more than 32 deep");
    else
        stack[(*depth)++] = opened;
}

void fc_thrift_skip(fc_thrift *t, fc_thrift_field field)
{
    frame stack[MAX_DEPTH];
    int depth = 0;
    enter(t, stack, &depth, field.type, true);
    while (depth > 0 && !t->fault) {
        frame *top = &stack[depth - 1];
        if (top->is_struct) {
            fc_thrift_field inner = {.id = top->id};
            if (fc_thrift_next(t, &inner)) {
                top->id = inner.id;
                enter(t, stack, &depth, inner.type, true);
            } else {
                depth--;
            }
        } else if (top->n_left > 0) {
            const fc_thrift_type type = top->n_left % 2 == 0 ? top->even : top->odd;
            top->n_left--;
            enter(t, stack, &depth, type, false);
        } else {
            depth--;
        }
    }
}
