/* stage_entry.h - how a stage records itself in manifest.json, and finds what the stage before it made.
 *
 *   entry = fc_entry_begin(cli, "eval", be);  inputs = json_array();  fc_entry_input(inputs, path, err) ..
 *   fc_entry_end(entry, run_dir, inputs, config, seconds, result, err)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_STAGE_ENTRY_H
#define FC_CLI_STAGE_ENTRY_H

#include "cli/cli.h"

/* be may be NULL. The caller releases the entry, or hands it to fc_entry_end. */
json_t *fc_entry_begin(const fc_cli *cli, const char *command, const fc_backend *be);

/* Appends {"path", "bytes", "xxh3"} of a file; standard input has none. */
fc_status fc_entry_input(json_t *inputs, const char *path, fc_err *err);

/* Takes over config and inputs (NULL: none); the result is shared. */
void fc_entry_fill(json_t *entry, json_t *inputs, json_t *config, double seconds,
                   json_t *result);

/* The same, and adds the entry, which it takes over, to dir/manifest.json. */
fc_status fc_entry_end(json_t *entry, const char *dir, json_t *inputs, json_t *config,
                       double seconds, json_t *result, fc_err *err);

/* Whether the command last ran in dir on these inputs with this config. */
bool fc_entry_is_current(const char *dir, const char *command, const json_t *inputs,
                         const json_t *config);

/* Whether the command last ran in dir on a file of the content of this input, wherever it lay. */
bool fc_entry_has_read(const char *dir, const char *command, const json_t *input);

/* The store a run was trained on, or acts_dir when that is given. */
fc_status fc_run_store(char *path, const char *acts_dir, const char *run_dir,
                       fc_err *err);

#endif
