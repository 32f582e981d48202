/* scratch_dir.h - a folder for what a measurement writes, removed after it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_SCRATCH_DIR_H
#define FC_BENCH_SCRATCH_DIR_H

#include "base/file.h"

/* A new empty folder in $TMPDIR, else in /tmp. */
fc_status fc_scratch_dir_make(char dir[FC_PATH_MAX], fc_err *err);

/* Removes the files in it; it has no folders in it. */
fc_status fc_scratch_dir_clear(const char *dir, fc_err *err);
/* Likewise, and the folder itself; "" does nothing. */
void fc_scratch_dir_remove(const char *dir);

#endif
