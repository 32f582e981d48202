/* json.h - JSON in and out: jansson behind sentences that name file, key, found and expected.
 *
 * The json_t of jansson is used as it is; this header adds what every reader here needs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_JSON_H
#define FC_FORMATS_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/strbuf.h"

/* Whole file or n_bytes of text; `name` stands for the file in sentences. Refuses duplicate keys,
 * trailing text and nesting beyond jansson's limit; strings may hold U+0000. Release the root
 * with json_decref. */
fc_status fc_json_load(json_t **root, const char *path, fc_err *err);
fc_status fc_json_parse(json_t **root, const char *text, size_t n_bytes, const char *name,
                        fc_err *err);

/* Typed members of an object. `name` is the file. Absent (or null) leaves *value untouched and
 * succeeds: set the default before. fc_json_need_* fail when absent. A wrong type fails:
 * "config.json: hidden_size is a string, expected an integer". */
fc_status fc_json_i64(const json_t *object, const char *key, int64_t *value,
                      const char *name, fc_err *err);
fc_status fc_json_f64(const json_t *object, const char *key, double *value,
                      const char *name, fc_err *err);
fc_status fc_json_bool(const json_t *object, const char *key, bool *value,
                       const char *name, fc_err *err);
fc_status fc_json_text(const json_t *object, const char *key, const char **value,
                       const char *name, fc_err *err); /* borrowed from object */
fc_status fc_json_need_i64(const json_t *object, const char *key, int64_t *value,
                           const char *name, fc_err *err);
fc_status fc_json_need_text(const json_t *object, const char *key, const char **value,
                            const char *name, fc_err *err);

const char *
fc_json_type_word(const json_t *value); /* "an object", "a string", "nothing" */

/* Appends the text of root; flags as json_dumps takes them. What was appended before a failure
 * stays. A root that is NULL fails with FC_NOMEM: json_pack gives that when memory ends. */
fc_status fc_json_dump(const json_t *root, size_t flags, fc_strbuf *text, fc_err *err);

/* Indented by 2, keys in order of insertion, doubles with 17 digits, final newline; written
 * beside and renamed. */
fc_status fc_json_save(const json_t *root, const char *path, fc_err *err);

#endif
