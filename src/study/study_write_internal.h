/* study_write_internal.h - writes what a pass found as features.db.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STUDY_WRITE_INTERNAL_H
#define FC_STUDY_STUDY_WRITE_INTERNAL_H

#include "study/meaning_internal.h"

/* Beside path, then renamed. */
fc_status fc_study_write(const fc_study_job *job, fc_study_pass *pass,
                         const fc_meaning *meaning, const fc_study_result *result,
                         const char *path, fc_err *err);

#endif
