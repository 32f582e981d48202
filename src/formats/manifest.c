/* manifest.c - configs as typed JSON through their field tables, and the log of a run folder.
 *
 * The field table is the only list of options: what it can print (fc_field_get) and take back
 * (fc_field_set) is what a manifest holds. Numbers and booleans are written as such, so that
 * other programs can read them; the rest is text. Names have '_' in files, where '-' is awkward.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/manifest.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

enum { NAME_MAX_BYTES = 128 };

static void file_name(char name[NAME_MAX_BYTES], const fc_field *field)
{
    (void)snprintf(name, NAME_MAX_BYTES, "%s", field->name);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-') *c = '_';
}

/* The member as a new JSON value; NULL in *value when jansson will not have it. */
static fc_status field_json(json_t **value, const fc_field *field, const void *config,
                            fc_strbuf *text, fc_err *err)
{
    const void *const member = (const char *)config + field->offset;
    switch (field->kind) {
    case FC_FIELD_I64: {
        int64_t n;
        memcpy(&n, member, sizeof n);
        *value = json_integer(n);
        return FC_OK;
    }
    case FC_FIELD_BOOL: {
        bool is_set;
        memcpy(&is_set, member, sizeof is_set);
        *value = json_boolean(is_set);
        return FC_OK;
    }
    case FC_FIELD_F64: {
        double x;
        memcpy(&x, member, sizeof x);
        if (isfinite(x)) {
            *value = json_real(x);
            return FC_OK;
        }
        break; /* JSON has no infinity: text */
    }
    case FC_FIELD_TEXT:
    case FC_FIELD_TEXTS:
    case FC_FIELD_CHOICE:
    case FC_FIELD_EVERY:
    default: break;
    }
    fc_strbuf_clear(text);
    FC_TRY(fc_field_get(field, config, text, err));
    *value = json_stringn(fc_strbuf_text(text), (size_t)text->n);
    return FC_OK;
}

fc_status fc_manifest_config(json_t **object, const fc_field *fields, int64_t n,
                             const void *config, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    json_t *made = json_object();
    for (int64_t i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES];
        json_t *value = NULL;
        FC_TRY_GOTO(field_json(&value, &fields[i], config, &text, err));
        file_name(name, &fields[i]);
        if (json_object_set_new(made, name, value) != 0)
            FC_TRY_GOTO(fc_fail(err, FC_FORMAT, "%s is not UTF-8, which JSON needs",
                                fields[i].name));
    }
    if (made == NULL)
        FC_TRY_GOTO(fc_fail(err, FC_NOMEM, "no memory for the configuration"));
    *object = made;
    made = NULL;
done:
    json_decref(made);
    fc_strbuf_free(&text);
    return status;
}

/* Says which key is unknown, and which name is near. */
static fc_status unknown_key(const fc_field *fields, int64_t n, const char *key,
                             const char *name, fc_err *err)
{
    const char **names = NULL;
    char near_name[NAME_MAX_BYTES] = "";
    if (n > 0 && fc_alloc(&names, n, sizeof *names, "field names", err) == FC_OK) {
        for (int64_t i = 0; i < n; i++) names[i] = fields[i].name;
        const char *const nearest = fc_nearest_name(key, names, n);
        const fc_field *const field =
            nearest != NULL ? fc_fields_find(fields, n, nearest) : NULL;
        if (field != NULL) file_name(near_name, field);
        fc_free(names);
    }
    if (near_name[0] == '\0')
        return fc_fail(err, FC_FORMAT, "%s: '%s' is not a known key", name, key);
    return fc_fail(err, FC_FORMAT, "%s: '%s' is not a known key, did you mean '%s'?",
                   name, key, near_name);
}

/* A JSON value as the text that fc_field_set takes; NULL when it is of no such type. */
static fc_status value_text(const json_t *value, const char *key, const char *name,
                            fc_strbuf *text, fc_err *err)
{
    fc_strbuf_clear(text);
    if (json_is_boolean(value))
        return fc_strbuf_addf(text, err, "%s", json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        return fc_strbuf_addf(text, err, "%" JSON_INTEGER_FORMAT,
                              json_integer_value(value));
    if (json_is_real(value))
        return fc_strbuf_addf(text, err, "%.17g", json_real_value(value));
    if (!json_is_string(value))
        return fc_fail(err, FC_FORMAT,
                       "%s: %s is %s, expected a number, a boolean or a string", name,
                       key, fc_json_type_word(value));
    if (strlen(json_string_value(value)) != json_string_length(value))
        return fc_fail(err, FC_FORMAT, "%s: %s holds a zero byte, expected plain text",
                       name, key);
    return fc_strbuf_addf(text, err, "%s", json_string_value(value));
}

fc_status fc_manifest_read_config(const json_t *object, const fc_field *fields, int64_t n,
                                  void *config, const char *name, fc_err *err)
{
    fc_strbuf text = {0}, where = {0};
    fc_status status = FC_OK;
    if (!json_is_object(object))
        return fc_fail(err, FC_FORMAT, "%s: the configuration is %s, expected an object",
                       name, fc_json_type_word(object));
    /* jansson's iterator takes no const, though it changes nothing. */
    for (void *it = json_object_iter((json_t *)(uintptr_t)object); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it))
    {
        const char *const key = json_object_iter_key(it);
        const fc_field *const field = fc_fields_find(fields, n, key);
        if (field == NULL) FC_TRY_GOTO(unknown_key(fields, n, key, name, err));
        FC_TRY_GOTO(value_text(json_object_iter_value(it), key, name, &text, err));
        fc_strbuf_clear(&where);
        FC_TRY_GOTO(fc_strbuf_addf(&where, err, "%s: %s", name, key));
        FC_TRY_GOTO(fc_field_set(field, config, fc_strbuf_text(&text), where.data, err));
    }
done:
    fc_strbuf_free(&where);
    fc_strbuf_free(&text);
    return status;
}

/* The manifest of the folder, or a new one. */
static fc_status load_or_make(json_t **manifest, const char *path, fc_err *err)
{
    if (fc_path_exists(path)) return fc_json_load(manifest, path, err);
    *manifest = json_pack("{s:s, s:[]}", "facet", FACET_VERSION, "commands");
    if (*manifest == NULL)
        return fc_fail(err, FC_NOMEM, "%s: no memory for a manifest", path);
    return FC_OK;
}

/* Puts entry where the command's last entry was, or at the end. */
static fc_status replace(json_t *commands, json_t *entry, const char *command,
                         const char *path, fc_err *err)
{
    int failed = -1;
    size_t i;
    for (i = 0; i < json_array_size(commands); i++) {
        json_t *const old = json_array_get(commands, i);
        const char *const old_command =
            json_string_value(json_object_get(old, "command"));
        if (old_command == NULL || strcmp(old_command, command) != 0) continue;
        json_t *const started = json_object_get(old, "started");
        if (json_object_get(entry, "started") == NULL && started != NULL &&
            json_object_set(entry, "started", started) != 0)
            break;
        failed = json_array_set(commands, i, entry);
        break;
    }
    if (i == json_array_size(commands)) failed = json_array_append(commands, entry);
    if (failed != 0) return fc_fail(err, FC_NOMEM, "%s: no memory for an entry", path);
    return FC_OK;
}

fc_status fc_manifest_add(const char *dir, json_t *entry, fc_err *err)
{
    char path[FC_PATH_MAX];
    json_t *manifest = NULL;
    const char *command = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_path_join(path, dir, "manifest.json", err));
    FC_TRY_GOTO(
        fc_json_need_text(entry, "command", &command, "the new manifest entry", err));
    FC_TRY_GOTO(load_or_make(&manifest, path, err));
    json_t *const commands = json_object_get(manifest, "commands");
    if (!json_is_array(commands))
        FC_TRY_GOTO(fc_fail(err, FC_FORMAT, "%s: commands is %s, expected a list", path,
                            fc_json_type_word(commands)));
    FC_TRY_GOTO(replace(commands, entry, command, path, err));
    if (json_object_set_new(manifest, "facet", json_string(FACET_VERSION)) != 0)
        FC_TRY_GOTO(fc_fail(err, FC_NOMEM, "%s: no memory for the version", path));
    FC_TRY_GOTO(fc_json_save(manifest, path, err));
done:
    json_decref(manifest);
    json_decref(entry);
    return status;
}
