/* manifest.h - manifest.json of a run folder: what each command used and did.
 *
 *   {"facet": "0.1.0", "commands": [{"command": "train", "started": "2026-01-02T03:04:05Z",
 *     "seconds": 12.3, "backend": "avx512", "threads": 2, "seed": 0, "inputs": [{"path",
 *     "bytes", "xxh3"}], "config": {...}, "result": {...}}, ...]}
 *
 * A command that runs again replaces its own entry. A resumed one leaves "started" out of the
 * entry it gives, and keeps that of the entry it replaces. "facet" is the last writer's version.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_MANIFEST_H
#define FC_FORMATS_MANIFEST_H

#include "base/fields.h"
#include "formats/json.h"

/* JSON object of a config through its field table: numbers and booleans typed, choices as words. */
fc_status fc_manifest_config(json_t **object, const fc_field *fields, int64_t n,
                             const void *config, fc_err *err);

/* Sets members of a config from such an object; unknown keys are an error. */
fc_status fc_manifest_read_config(const json_t *object, const fc_field *fields, int64_t n,
                                  void *config, const char *name, fc_err *err);

/* Takes over `entry` (steals the reference): adds or replaces the entry with its "command". */
fc_status fc_manifest_add(const char *dir, json_t *entry, fc_err *err);

#endif
