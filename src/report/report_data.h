/* report_data.h - everything a report shows, gathered from a run folder; drawing knows no files.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_REPORT_DATA_H
#define FC_REPORT_REPORT_DATA_H

#include <jansson.h>

#include "report/report.h"
#include "study/features_db.h"
#include "study/highlights.h"

/* Columns of metrics.csv. */
typedef enum fc_metric {
    FC_METRIC_STEP,
    FC_METRIC_EPOCH,
    FC_METRIC_TOTAL,
    FC_METRIC_MSE,
    FC_METRIC_L1,
    FC_METRIC_L0,
    FC_METRIC_DEAD,
    FC_METRIC_LR,
    FC_N_METRICS
} fc_metric;

enum { FC_REPORT_HIGHLIGHTS = 3, FC_REPORT_BLOCKS_MAX = 128 /* a side, as bars */ };

typedef struct fc_report_data {
    fc_features_db *db;
    const fc_feature *feature; /* [n_features], by id; borrowed from db */
    int64_t n_features, n_live, n_rows;
    int64_t side;     /* of the square that holds all features */
    double *strength; /* [n_features] maximum activation, 0 for dead ones */
    double max_strength, min_strength; /* over live features; 0 when none is */
    double *block_max; /* [block_side^2] largest strength of block x block features */
    int64_t block, block_side;
    int64_t *nearest;       /* [n_features] by decoder direction; -1: none is known */
    double *nearest_cosine; /* [n_features], 0 where none */
    int64_t n_nearest;      /* features that have one */
    int64_t n_dense;        /* features that fire on more than half of the rows */
    int64_t *card; /* [n_cards] which have one: the highlights first, then by strength */
    int64_t n_cards;
    int64_t *card_of;             /* [n_features] position in card[], -1: none */
    double *metric[FC_N_METRICS]; /* [n_points] each; NULL when there is no metrics.csv */
    int64_t n_points;
    json_t *manifest;      /* of the run; NULL when absent */
    json_t *collected;     /* of its activations; NULL when absent */
    json_t *eval;          /* eval.json, in SAEBench's form; NULL when absent */
    double loss_recovered; /* of cross-entropy, as eval.json has it; NaN when unknown */
    fc_highlight highlight[FC_REPORT_HIGHLIGHTS];
    int64_t n_highlights;
    const char *run_dir;        /* borrowed */
    char model[256], hook[256]; /* names fit to be shown */
    char date[32]; /* of the study or SOURCE_DATE_EPOCH, ISO 8601; "" unknown */
} fc_report_data;

/* Set to {0} before. On failure everything is released. */
fc_status fc_report_load(fc_report_data *data, const fc_report_config *config,
                         const char *run_dir, fc_err *err);
void fc_report_unload(fc_report_data *data);

/* The entry of a command ("collect", "train", "study") in the manifests, or NULL. */
const json_t *fc_report_stage(const fc_report_data *data, const char *command);

#endif
