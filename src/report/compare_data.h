/* compare_data.h - what a comparison shows of each run, gathered from their folders.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_COMPARE_DATA_H
#define FC_REPORT_COMPARE_DATA_H

#include "report/compare.h"
#include "report/report_data.h"

/* The numbers of a run, columns of the table; NaN where it does not say. */
typedef enum fc_compared_number {
    FC_COMPARED_FEATURES,
    FC_COMPARED_L0,
    FC_COMPARED_MSE,
    FC_COMPARED_VARIANCE,
    FC_COMPARED_LOSS,
    FC_COMPARED_DEAD, /* share of the features */
    FC_COMPARED_F1,   /* mean over the concepts that all runs looked for */
    FC_COMPARED_SECONDS,
    FC_COMPARED_NUMBERS
} fc_compared_number;

typedef struct fc_compared { /* a run */
    fc_report_data data;
    char name[64]; /* fit to be shown, different for each run */
    char arch[64];
    char report
        [2048]; /* of the page of the run, from the comparison's folder; "" without */
    uint32_t color;
    double number[FC_COMPARED_NUMBERS];
} fc_compared;

/* A concept with the best feature of each run. */
typedef struct fc_compared_concept {
    const char *name, *rule; /* borrowed */
    struct {
        int64_t feature; /* -1: the run did not look for it */
        double f1;
    } best[FC_COMPARE_MOST];
    int64_t winner; /* run with the largest f1; -1: none */
} fc_compared_concept;

/* A setting of the training whose value is not the same in all runs. */
typedef struct fc_compared_setting {
    char name[64];
    char value[FC_COMPARE_MOST][40];
} fc_compared_setting;

typedef struct fc_compare_data {
    fc_compared *run; /* [n] */
    int64_t n;
    fc_compared_concept *concept; /* [n_concepts] */
    int64_t n_concepts;
    fc_compared_setting *setting; /* [n_settings] */
    int64_t n_settings;
    bool has_loss; /* recovered, of some run */
} fc_compare_data;

/* Set to {0} before. On failure everything is released. */
fc_status fc_compare_load(fc_compare_data *data, const char *const *run_dirs, int64_t n,
                          const char *dir, fc_err *err);
void fc_compare_unload(fc_compare_data *data);

/* Whether no run has a better one, of a number that can be better or worse. */
bool fc_compare_is_best(const fc_compare_data *data, int64_t run,
                        fc_compared_number number);

/* A number as text of a table. */
void fc_compare_text(char out[32], double value, fc_compared_number number);
const char *fc_compare_label(fc_compared_number number);

#endif
