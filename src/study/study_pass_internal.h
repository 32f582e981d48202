/* study_pass_internal.h - the one pass over the store, and all that it leaves behind.
 *
 *   store -> x [n, d] normalised -> lists of hits -> statistics of each feature
 *                                                -> rows: L0, reconstruction
 *
 * Blocks of 1,024 rows, all features at once. Memory: 28 KB for each feature at the usual
 * settings, 12 KB for a block, and 20 KB for each dimension, whatever the store holds; with concepts
 * 1.4 KB and 256 bytes for each concept more for each feature. Where features compete 4 bytes a row.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STUDY_PASS_INTERNAL_H
#define FC_STUDY_STUDY_PASS_INTERNAL_H

#include "sae/arch.h"
#include "study/concept_find_internal.h"
#include "study/hit_sample_internal.h"
#include "study/reconstruction_internal.h"
#include "study/spectrum_internal.h"
#include "study/strongest_internal.h"
#include "study/study.h"
#include "study/token_mass_internal.h"

/* Rows of a block and of a window; a window is whole blocks. */
enum { FC_STUDY_ROWS = 1024, FC_STUDY_WINDOW = 16 * FC_STUDY_ROWS };

/* What is studied, and how. All borrowed. */
typedef struct fc_study_job {
    const fc_study_config *config;
    const fc_sae *sae;
    fc_store *store;
    const fc_tokenizer *tokenizer; /* or NULL */
    const fc_model *model;         /* or NULL */
    const fc_concepts *concepts;   /* or NULL */
    bool is_find;                  /* nothing but sums and concepts is wanted */
    fc_backend *be;
    fc_precision precision;
    int64_t n_rows;
} fc_study_job;

typedef struct fc_feature_sums {
    int64_t n; /* rows where it fires */
    double sum;
    float max;
} fc_feature_sums;

typedef struct fc_study_pass {
    fc_feature_sums *feature; /* [d_sae] */
    fc_strongest strongest;
    fc_spectrum spectrum;
    fc_token_mass tokens;
    fc_hit_sample sample;
    int64_t *l0; /* [d_sae + 1] rows with so many active features */
    float
        *cut; /* [n_rows] fc_codes.cut of each row; NULL where features do not compete */
    fc_reconstruction reconstruction;
    fc_concept_search search; /* off without concepts or tokenizer */
    int32_t *doc;             /* [n_docs] documents, each time one begins */
    int64_t n_docs, doc_capacity;
} fc_study_pass;

/* Whether SAE and store fit; the precision that a choice comes to (fc_precision_choice). */
fc_status fc_study_check(const fc_study_job *job, fc_err *err);
fc_precision fc_study_precision(int choice, const fc_backend *be);

/* Runs over all rows. FC_FORMAT names a row that is not finite, a token out of range;
 * FC_CANCELLED after Ctrl-C. On failure *pass is {0}. */
fc_status fc_study_pass_run(fc_study_pass *pass, const fc_study_job *job, fc_err *err);
void fc_study_pass_deinit(fc_study_pass *pass);

/* Mean number of active features on a row. */
double fc_study_pass_l0(const fc_study_pass *pass, int64_t d_sae);

#endif
