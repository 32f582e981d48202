/* json.c - jansson, with sentences that name file, key, found and expected.
 *
 * jansson parses without recursion beyond 2048 levels, keeps keys in order of insertion and
 * checks UTF-8. What it does not do is say whose file was wrong; that is added here, once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/json.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"

fc_status fc_json_parse(json_t **root, const char *text, size_t n_bytes, const char *name,
                        fc_err *err)
{
    json_error_t error;
    errno = 0;
    json_t *const parsed = json_loadb(n_bytes > 0 ? text : "", n_bytes,
                                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (parsed != NULL) {
        *root = parsed;
        return FC_OK;
    }
    /* jansson takes a refused allocation in its lexer for bad text; errno tells them apart. */
    if (errno == ENOMEM || json_error_code(&error) == json_error_out_of_memory)
        return fc_fail(err, FC_NOMEM, "%s: no memory to parse %zu bytes of JSON", name,
                       n_bytes);
    return fc_fail(err, FC_FORMAT, "%s: not valid JSON at line %d, column %d: %s", name,
                   error.line, error.column, error.text);
}

fc_status fc_json_load(json_t **root, const char *path, fc_err *err)
{
    fc_map map = {0};
    FC_TRY(fc_map_open(&map, path, err));
    const fc_status status =
        fc_json_parse(root, (const char *)map.data, map.n_bytes, path, err);
    fc_map_close(&map);
    return status;
}

const char *fc_json_type_word(const json_t *value)
{
    if (value == NULL) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    default: return "an unknown thing";
    }
}

/* The member, or NULL where it is absent or null. A missing object has no members. */
static fc_status member(const json_t *object, const char *key, const json_t **value,
                        const char *name, fc_err *err)
{
    *value = NULL;
    if (object == NULL) return FC_OK;
    if (!json_is_object(object))
        return fc_fail(err, FC_FORMAT, "%s: found %s, expected an object with '%s'", name,
                       fc_json_type_word(object), key);
    const json_t *const found = json_object_get(object, key);
    if (found != NULL && !json_is_null(found)) *value = found;
    return FC_OK;
}

static fc_status wrong_type(const json_t *value, const char *key, const char *expected,
                            const char *name, fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: %s is %s, expected %s", name, key,
                   fc_json_type_word(value), expected);
}

static fc_status missing(const char *key, const char *expected, const char *name,
                         fc_err *err)
{
    return fc_fail(err, FC_FORMAT, "%s: %s is missing, expected %s", name, key, expected);
}

fc_status fc_json_i64(const json_t *object, const char *key, int64_t *value,
                      const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return FC_OK;
    if (!json_is_integer(found)) return wrong_type(found, key, "an integer", name, err);
    *value = json_integer_value(found);
    return FC_OK;
}

fc_status fc_json_f64(const json_t *object, const char *key, double *value,
                      const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return FC_OK;
    if (!json_is_number(found)) return wrong_type(found, key, "a number", name, err);
    *value = json_number_value(found);
    return FC_OK;
}

fc_status fc_json_bool(const json_t *object, const char *key, bool *value,
                       const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return FC_OK;
    if (!json_is_boolean(found))
        return wrong_type(found, key, "true or false", name, err);
    *value = json_is_true(found);
    return FC_OK;
}

fc_status fc_json_text(const json_t *object, const char *key, const char **value,
                       const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return FC_OK;
    if (!json_is_string(found)) return wrong_type(found, key, "a string", name, err);
    if (strlen(json_string_value(found)) != json_string_length(found))
        return fc_fail(err, FC_FORMAT, "%s: %s holds a zero byte, expected plain text",
                       name, key);
    *value = json_string_value(found);
    return FC_OK;
}

fc_status fc_json_need_i64(const json_t *object, const char *key, int64_t *value,
                           const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return missing(key, "an integer", name, err);
    return fc_json_i64(object, key, value, name, err);
}

fc_status fc_json_need_text(const json_t *object, const char *key, const char **value,
                            const char *name, fc_err *err)
{
    const json_t *found;
    FC_TRY(member(object, key, &found, name, err));
    if (found == NULL) return missing(key, "a string", name, err);
    return fc_json_text(object, key, value, name, err);
}

typedef struct json_sink { /* where jansson's pieces go, and what went wrong there */
    fc_strbuf *text;
    fc_err *err;
    fc_status status;
} json_sink;

/* jansson 2.14 goes on after some pieces that failed: the first failure must not be forgotten. */
static int take_piece(const char *piece, size_t n_bytes, void *ctx)
{
    json_sink *const sink = ctx;
    if (sink->status == FC_OK)
        sink->status = fc_strbuf_add(sink->text, piece, (int64_t)n_bytes, sink->err);
    return sink->status == FC_OK ? 0 : -1;
}

fc_status fc_json_dump(const json_t *root, size_t flags, fc_strbuf *text, fc_err *err)
{
    json_sink sink = {.text = text, .err = err};
    const int result = json_dump_callback(root, take_piece, &sink, flags);
    if (result != 0 && sink.status == FC_OK)
        return fc_fail(err, FC_NOMEM, "no memory to write JSON");
    return sink.status;
}

fc_status fc_json_save(const json_t *root, const char *path, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status;
    FC_TRY_GOTO(fc_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17), &text, err));
    FC_TRY_GOTO(fc_strbuf_add(&text, "\n", 1, err));
    FC_TRY_GOTO(fc_file_write(path, text.data, (size_t)text.n, err));
done:
    fc_strbuf_free(&text);
    return status;
}
