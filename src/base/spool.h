/* spool.h - bytes set aside on disk because their number is not known yet: written once, then read.
 *
 * The file lies in the folder of `path` and has no name, so it is gone with the process, however that
 * ends.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_SPOOL_H
#define FC_BASE_SPOOL_H

#include "base/file.h"

typedef struct fc_spool fc_spool;

fc_status fc_spool_open(fc_spool **spool, const char *path, fc_err *err);
fc_status fc_spool_write(fc_spool *spool, const void *data, size_t n_bytes, fc_err *err);
/* All that was written; borrowed until close. Nothing may be written after it. */
fc_status fc_spool_map(fc_spool *spool, fc_map *map, fc_err *err);
void fc_spool_close(fc_spool *spool); /* accepts NULL */

#endif
