/* report_run.h - a small run folder for the tests of the report, made through the study's writer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_REPORT_RUN_H
#define FC_TEST_REPORT_RUN_H

#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "study/features_out_internal.h"

#ifdef __SANITIZE_ADDRESS__
/* Fontconfig keeps 288 bytes of its configuration for good. */
const char *__lsan_default_suppressions(void); /* NOLINT(bugprone-reserved-identifier) */
const char *__lsan_default_suppressions(void)  /* NOLINT(bugprone-reserved-identifier) */
{
    return "leak:libfontconfig\n";
}
#endif

static char dir[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    return unsetenv("SOURCE_DATE_EPOCH");
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- run folders ------------------------------------------------------------------------ */

enum { WINDOW = 7, PEAK = 3, MAX_TEXTS = 32 };

typedef struct text {
    const char *bytes;
    int64_t n; /* 0: up to the zero */
} text;

typedef struct spec {
    int64_t n_features, n_live; /* the first n_live are alive */
    int64_t n_contexts;
    const text *token;
    int64_t n_tokens;
    const char *title;
} spec;

typedef struct meaning { /* of the live features, by turns */
    const char *const *description;
    int64_t n;
} meaning;

static const text plain[] = {{" the", 0}, {" treaty", 0}, {" of", 0}, {" January", 0},
                             {" was", 0}, {" signed", 0}, {".", 0},   {"\n", 0}};

static fc_status put_contexts(fc_features_out *out, const spec *s, int64_t feature,
                              fc_err *err)
{
    const float activations[WINDOW] = {0, 0.2f, 0, 2, 0.5f, 0, 0};
    for (int64_t i = 0; i < s->n_contexts; i++) {
        int32_t ids[WINDOW];
        for (int k = 0; k < WINDOW; k++)
            ids[k] = (int32_t)((k + i + feature) % s->n_tokens);
        const fc_example_row row = {.feature = feature,
                                    .kind = i % 6,
                                    .rank = i + 1,
                                    .value = 2.0 / (double)(i + 1),
                                    .row = i,
                                    .doc = 1,
                                    .position = i,
                                    .n = WINDOW,
                                    .peak = PEAK,
                                    .token_ids = ids,
                                    .activations = activations};
        FC_TRY(fc_features_put_example(out, &row, err));
    }
    return FC_OK;
}

static const char *description_of(const meaning *m, int64_t feature)
{
    return m != NULL ? m->description[feature % m->n] : NULL;
}

/* Neighbours, logits and surroundings of a live feature. */
static fc_status put_meaning(fc_features_out *out, const spec *s, const meaning *m,
                             int64_t feature, fc_err *err)
{
    static const char *const kinds[] = {"after", "before", "case", "position", "slot"};
    for (int64_t k = 1; k <= 8 && k < s->n_live; k++) {
        const fc_neighbour_row near = {feature, k, (feature + k) % s->n_live,
                                       0.97 - 0.1 * (double)k};
        FC_TRY(fc_features_put_neighbour(out, &near, err));
    }
    for (int64_t k = 1; k <= 10; k++) {
        const int64_t token = (feature + k) % s->n_tokens;
        const fc_logit_row up = {feature, k, token, 12.0 / (double)k},
                           down = {feature, -k, token, -1.0 / (double)k};
        FC_TRY(fc_features_put_logit(out, &up, err));
        FC_TRY(fc_features_put_logit(out, &down, err));
    }
    for (size_t k = 0; k < FC_LEN(kinds); k++) {
        const fc_profile_row around = {feature, 1, kinds[k], description_of(m, feature),
                                       0.75};
        FC_TRY(fc_features_put_profile(out, &around, err));
    }
    return FC_OK;
}

static fc_status put_feature(fc_features_out *out, const spec *s, const meaning *m,
                             int64_t i, fc_err *err)
{
    int64_t hist[FC_HISTOGRAM_BINS] = {40, 20, 10};
    const bool is_live = i < s->n_live;
    const fc_feature_row row = {.feature = {.id = i,
                                            .max = is_live ? 2.0 + (double)i : 0,
                                            .mean_active = is_live ? 0.5 : 0,
                                            .frequency = is_live ? 0.01 : 0,
                                            .n_active = is_live ? 70 : 0,
                                            .is_dead = !is_live,
                                            .description = description_of(m, i),
                                            .purity = 0.9},
                                .hist = is_live ? hist : NULL};
    FC_TRY(fc_features_put_feature(out, &row, err));
    if (!is_live) return FC_OK;
    FC_TRY(put_contexts(out, s, i, err));
    if (m != NULL) FC_TRY(put_meaning(out, s, m, i, err));
    if (s->n_contexts == 0) return FC_OK;
    for (int64_t t = 0; t < s->n_tokens && t < 10; t++) {
        const fc_share_row share = {.feature = i,
                                    .rank = t + 1,
                                    .token = (t + i) % s->n_tokens,
                                    .n = 70 - t,
                                    .share = 0.5 / (double)(t + 1)};
        FC_TRY(fc_features_put_share(out, &share, err));
    }
    return FC_OK;
}

static fc_status put_rows(fc_features_out *out, const spec *s, const meaning *m,
                          fc_err *err)
{
    FC_TRY(fc_features_put_text(out, "hook", "model.layers.1.mlp.down_proj", err));
    FC_TRY(fc_features_put_text(out, "model", "/models/tiny", err));
    FC_TRY(fc_features_put_integer(out, "d_sae", s->n_features, err));
    FC_TRY(fc_features_put_integer(out, "n_rows", 7000, err));
    FC_TRY(fc_features_put_real(out, "l0", 1.5, err));
    FC_TRY(fc_features_put_real(out, "mse", 0.001, err));
    FC_TRY(fc_features_put_real(out, "explained_variance", 0.87, err));
    for (int64_t i = 0; i < s->n_features; i++) FC_TRY(put_feature(out, s, m, i, err));
    const fc_document_row document = {.id = 1, .title = s->title, .source = "a.txt"};
    FC_TRY(fc_features_put_document(out, &document, err));
    FC_TRY(fc_features_put_l0(out, 0, 10, err));
    FC_TRY(fc_features_put_l0(out, 1, 20, err));
    const fc_concept_hit hits[] = {{1, 0.75, 0.5, 0.8, 0.7, 0.9, 1},
                                   {0, 0.25, 0, 0.2, 0.3, 0.6, 0.1}};
    const fc_concept_row concept = {"months", "tokens: January", 42, hits, FC_LEN(hits)};
    if (s->n_live > 1) FC_TRY(fc_features_put_concept(out, 1, &concept, err));
    for (int64_t t = 0; t < s->n_tokens; t++) {
        const text *token = &s->token[t];
        FC_TRY(fc_features_put_token(
            out, t, "piece", token->bytes,
            token->n > 0 ? token->n : (int64_t)strlen(token->bytes), err));
    }
    return FC_OK;
}

/* m NULL: nothing is known about what features mean. */
static void make_meant_run(const spec *s, const meaning *m)
{
    char path[FC_PATH_MAX];
    fc_features_out *out = NULL;
    fc_err err;
    fc_test_path(path, dir, "features.db");
    fc_assert_ok(fc_features_create(&out, path, &err), &err);
    fc_assert_ok(put_rows(out, s, m, &err), &err);
    fc_assert_ok(fc_features_commit(out, &err), &err);
    fc_features_discard(out);
}

static void make_run(const spec *s)
{
    make_meant_run(s, NULL);
}

static void add_file(const char *name, const char *content)
{
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, name);
    fc_test_write(path, content, strlen(content));
}

#endif
