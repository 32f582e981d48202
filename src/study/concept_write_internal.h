/* concept_write_internal.h - what was found for each concept, into features.db.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_CONCEPT_WRITE_INTERNAL_H
#define FC_STUDY_CONCEPT_WRITE_INTERNAL_H

#include "study/concept_find_internal.h"
#include "study/features_out_internal.h"

/* Five features of each; nothing when the search is off. */
fc_status fc_concept_search_write(const fc_concept_search *search, fc_features_out *out,
                                  fc_err *err);

#endif
