/* texts.h - names of data sets among the texts of a command line or recipe.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_TEXTS_H
#define FC_CLI_TEXTS_H

#include "cli/args.h"

/* Puts files in the place of names in every list "text": see text/hub_text.h. */
fc_status fc_args_find_texts(fc_args *args, fc_err *err);

#endif
