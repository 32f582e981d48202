/* harvest_internal.h - the text side of collecting: counting and identity.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_HARVEST_INTERNAL_H
#define FC_ACTS_HARVEST_INTERNAL_H

#include "acts/harvest.h"
#include "acts/text_batch.h"

/* Tokens without <bos>, counted no further than `limit`. FC_CANCELLED after Ctrl-C. */
fc_status fc_text_count(const fc_text_source *source, int64_t limit, int64_t *n,
                        fc_err *err);

/* Hash over names (without folders) and sizes of the files: hex[FC_HASH_HEX]. */
fc_status fc_text_hash(const char *const *paths, int64_t n_paths, char *hex, fc_err *err);

/* Members of meta.json beside those of fc_store_info; NULL when memory ends. Texts identify the
 * run: precision, split, overflow, text_format, field. */
json_t *fc_collect_meta(const fc_collect_config *config, const char *const *paths,
                        int64_t n_paths, fc_precision precision);

#endif
