/* meaning_write_internal.h - what a feature is about, into features.db.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_MEANING_WRITE_INTERNAL_H
#define FC_STUDY_MEANING_WRITE_INTERNAL_H

#include "study/features_out_internal.h"
#include "study/meaning_internal.h"

/* Rows of one feature; none when it is dead. */
fc_status fc_meaning_write_neighbours(const fc_meaning *meaning, fc_features_out *out,
                                      int64_t feature, fc_err *err);
fc_status fc_meaning_write_logits(const fc_meaning *meaning, fc_features_out *out,
                                  int64_t feature, fc_err *err);
fc_status fc_meaning_write_profile(const fc_meaning *meaning, fc_features_out *out,
                                   int64_t feature, fc_err *err);

#endif
