/* assets.h - where the example model and its corpus lie.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_CLI_ASSETS_H
#define FC_CLI_ASSETS_H

#include "base/err.h"
#include "base/file.h"

/* Folder with example-model/: $FACET_ASSETS, PREFIX/share/facet beside the program's bin/, or
 * assets/ of the source tree that the program was built in. */
fc_status fc_assets_find(char path[FC_PATH_MAX], fc_err *err);

#endif
