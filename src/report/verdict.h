/* verdict.h - the numbers of a run that matter, each with a grade and a sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_VERDICT_H
#define FC_REPORT_VERDICT_H

#include "report/report_data.h"

typedef enum fc_grade {
    FC_GRADE_NONE,
    FC_GRADE_GOOD,
    FC_GRADE_FAIR,
    FC_GRADE_BAD
} fc_grade;

typedef struct fc_verdict {
    const char *name;
    fc_grade grade;
    char value[32]; /* as text; an en dash where the run does not say */
    char remark[200];
} fc_verdict;

enum { FC_MOST_VERDICTS = 5 };
/* Returns how many: what only an evaluation knows is left out without one. */
int fc_verdicts(fc_verdict verdict[FC_MOST_VERDICTS], const fc_report_data *data);

#endif
