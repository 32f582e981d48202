/* recipe_yaml.c - recipe files as a flat stream of (section, key, value as text).
 *
 * Works on libyaml's events, not on a tree: the only shape allowed is
 *
 *   document := { key: value | key: [value, ...] | section: { key: value | [value, ...] } }
 *
 * so two levels of calls suffice and nothing recurses. YAML's typing of plain scalars (1e-3 a
 * string, "no" a boolean, 010 octal) is left out on purpose: the text goes to the field table
 * that knows the type. Everything of YAML that could make a recipe read differently from how it
 * looks (anchors, aliases, tags, duplicate keys, a second document) is refused with its line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/recipe_yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/strbuf.h"

enum { RECIPE_MAX = 1 << 20, KEYS_MAX = 1024 };

typedef struct reader {
    yaml_parser_t yaml;
    yaml_event_t event; /* the event in hand; freed when the next one is read */
    bool has_event;
    const char *name;
    fc_recipe_fn *fn;
    void *ctx;
    fc_arena text;               /* keys and sections */
    const char *keys[KEYS_MAX];  /* of the sections so far */
    const char *homes[KEYS_MAX]; /* the section of each key, compared by address */
    int n_keys;
    fc_strbuf where;
} reader;

static fc_status next(reader *r, fc_err *err)
{
    if (r->has_event) yaml_event_delete(&r->event);
    r->has_event = false;
    if (yaml_parser_parse(&r->yaml, &r->event)) {
        r->has_event = true;
        return FC_OK;
    }
    if (r->yaml.error == YAML_MEMORY_ERROR)
        return fc_fail(err, FC_NOMEM, "%s: no memory to parse the recipe", r->name);
    const char *const problem =
        r->yaml.problem != NULL ? r->yaml.problem : "unknown problem";
    if (r->yaml.error == YAML_READER_ERROR)
        return fc_fail(err, FC_FORMAT, "%s: not valid text at byte %zu: %s", r->name,
                       r->yaml.problem_offset, problem);
    return fc_fail(err, FC_FORMAT, "%s:%zu: not valid YAML: %s", r->name,
                   r->yaml.problem_mark.line + 1, problem);
}

static fc_status refuse(const reader *r, const char *what, fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s:%zu: %s", r->name, r->event.start_mark.line + 1,
                   what);
}

/* The event in hand starts something; anchors and tags are nowhere allowed. */
static fc_status check_plain(const reader *r, fc_err *err)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    const yaml_event_t *const e = &r->event;
    if (e->type == YAML_ALIAS_EVENT)
        return refuse(r, "aliases (*name) are not understood, write the value out", err);
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
            return refuse(r, "the text holds a zero byte", err);
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    }
    if (anchor != NULL) return refuse(r, "anchors (&name) are not understood", err);
    if (tag != NULL) return refuse(r, "tags (!name) are not understood", err);
    return FC_OK;
}

static const char *scalar(const reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

/* "key:" with nothing behind it. Quoted empty text is a value. */
static bool is_blank(const reader *r)
{
    return r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0 &&
           r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Takes the scalar in hand as a key of the section, copied into the arena. */
static fc_status take_key(reader *r, const char *section, char **key, fc_err *err)
{
    FC_TRY(check_plain(r, err));
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, "a key must be plain text", err);
    const char *const text = scalar(r);
    for (int i = 0; i < r->n_keys; i++) {
        if (r->homes[i] == section && strcmp(r->keys[i], text) == 0)
            return fc_fail(err, FC_FORMAT, "%s:%zu: '%s' is given twice", r->name,
                           r->event.start_mark.line + 1, text);
    }
    if (r->n_keys == KEYS_MAX) return refuse(r, "more than 1024 keys", err);
    FC_TRY(
        fc_arena_strdup(&r->text, key, text, (int64_t)r->event.data.scalar.length, err));
    r->homes[r->n_keys] = section;
    r->keys[r->n_keys++] = *key;
    return FC_OK;
}

static fc_status give(reader *r, const char *section, const char *key, fc_err *err)
{
    fc_strbuf_clear(&r->where);
    FC_TRY(fc_strbuf_addf(&r->where, err, "%s:%zu: %s", r->name,
                          r->event.start_mark.line + 1, key));
    return r->fn(r->ctx, section, key, scalar(r), r->where.data, err);
}

/* The value in hand: a scalar, or a list of scalars. */
static fc_status read_value(reader *r, const char *section, const char *key, fc_err *err)
{
    if (r->event.type == YAML_SCALAR_EVENT)
        return is_blank(r) ? FC_OK : give(r, section, key, err);
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return refuse(
            r, "nested too deeply: only sections of \"key: value\" are understood", err);
    for (;;) {
        FC_TRY(next(r, err));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return FC_OK;
        FC_TRY(check_plain(r, err));
        if (r->event.type != YAML_SCALAR_EVENT)
            return refuse(r, "nested too deeply: a list holds plain values only", err);
        FC_TRY(give(r, section, key, err));
    }
}

static fc_status read_section(reader *r, const char *section, fc_err *err)
{
    for (;;) {
        char *key;
        FC_TRY(next(r, err));
        if (r->event.type == YAML_MAPPING_END_EVENT) return FC_OK;
        FC_TRY(take_key(r, section, &key, err));
        FC_TRY(next(r, err));
        FC_TRY(check_plain(r, err));
        FC_TRY(read_value(r, section, key, err));
    }
}

static fc_status read_top(reader *r, fc_err *err)
{
    static const char top[] = "";
    FC_TRY(check_plain(r, err));
    if (is_blank(r)) return FC_OK; /* "---" and nothing else */
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, "expected \"key: value\" lines", err);
    for (;;) {
        char *key;
        FC_TRY(next(r, err));
        if (r->event.type == YAML_MAPPING_END_EVENT) return FC_OK;
        FC_TRY(take_key(r, top, &key, err));
        FC_TRY(next(r, err));
        FC_TRY(check_plain(r, err));
        if (r->event.type == YAML_MAPPING_START_EVENT)
            FC_TRY(read_section(r, key, err));
        else
            FC_TRY(read_value(r, top, key, err));
    }
}

static fc_status read_stream(reader *r, fc_err *err)
{
    FC_TRY(next(r, err)); /* stream start */
    FC_TRY(next(r, err));
    if (r->event.type == YAML_STREAM_END_EVENT) return FC_OK;
    FC_TRY(next(r, err)); /* after the document start */
    FC_TRY(read_top(r, err));
    FC_TRY(next(r, err)); /* document end */
    FC_TRY(next(r, err));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return refuse(r, "a second document begins, expected one", err);
    return FC_OK;
}

fc_status fc_recipe_parse(const char *text, size_t n_bytes, const char *name,
                          fc_recipe_fn *fn, void *ctx, fc_err *err)
{
    reader *r = NULL;
    fc_status status;
    if (n_bytes > RECIPE_MAX)
        return fc_fail(err, FC_FORMAT, "%s: has %zu bytes, expected at most %d", name,
                       n_bytes, RECIPE_MAX);
    FC_TRY(fc_alloc(&r, 1, sizeof *r, "a recipe", err));
    r->name = name;
    r->fn = fn;
    r->ctx = ctx;
    if (!yaml_parser_initialize(&r->yaml)) {
        fc_free(r);
        return fc_fail(err, FC_NOMEM, "%s: no memory to parse the recipe", name);
    }
    yaml_parser_set_input_string(
        &r->yaml, (const unsigned char *)(n_bytes > 0 ? text : ""), n_bytes);
    status = read_stream(r, err);
    if (r->has_event) yaml_event_delete(&r->event);
    yaml_parser_delete(&r->yaml);
    fc_arena_free(&r->text);
    fc_strbuf_free(&r->where);
    fc_free(r);
    return status;
}

fc_status fc_recipe_load(const char *path, fc_recipe_fn *fn, void *ctx, fc_err *err)
{
    fc_map map = {0};
    FC_TRY(fc_map_open(&map, path, err));
    const fc_status status =
        fc_recipe_parse((const char *)map.data, map.n_bytes, path, fn, ctx, err);
    fc_map_close(&map);
    return status;
}
