/* dir_out.h - a folder that appears complete or not at all: files are written into PATH.tmp-PID, which
 * is renamed at the end. What is there already is never touched.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_DIR_OUT_H
#define FC_BASE_DIR_OUT_H

#include "base/file.h"

typedef struct fc_dir_out {
    char path[FC_PATH_MAX];
    char dir[FC_PATH_MAX]; /* write here; "" when there is nothing to discard */
} fc_dir_out;

/* FC_USAGE when something is at path already. */
fc_status fc_dir_out_begin(fc_dir_out *out, const char *path, fc_err *err);
fc_status fc_dir_out_commit(fc_dir_out *out, fc_err *err);
void fc_dir_out_discard(
    fc_dir_out *out); /* after commit: nothing; files in the folder, no folders */

#endif
