/* terminal.h - messages and progress on standard error, results on standard output.
 *
 * On a terminal a job draws a bar with rate and time left, at most ten times a second; elsewhere a
 * plain line every ten seconds; with --json one object a line. Jobs under two seconds stay silent.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_TERMINAL_H
#define FC_CLI_TERMINAL_H

#include <stdbool.h>

#include "base/err.h"

void fc_terminal_init(bool is_quiet, bool is_json, bool is_verbose);
void fc_terminal_error(const char *command, const fc_err *err);

#endif
