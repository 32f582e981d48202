/* meaning.c - from the samples of the pass to what each live feature is about.
 *
 * A feature is described by what explains half of its whole activation: one thing, or two ("X;
 * also Y"). Many features of a dense SAE are a little active nearly everywhere, so that nothing
 * does, and still their strong activations have one cause. Then the line begins with what they
 * have in common when they are strong (at least half their maximum, else in their strongest
 * contexts) and which part of that activation it holds for, and ends in "otherwise mixed"; or, where
 * it says more of the whole, it names what explains a part ("mixed; partly X"). Behind something
 * special comes the general thing that explains half ("X when strong; weaker on Y"). The purity is
 * always the share of the whole.
 *
 * Features are independent and each is handled by one thread: the same bytes for any number of
 * them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/meaning_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"

enum { GROUP = 512, FEATURE_GRAIN = 4, LEAST_STRONG = 20, RARE = 10 };
enum { PHRASE_BYTES = FC_DESCRIPTION_BYTES / 2 - 30 };
/* What holds of more of the corpus is general; special is what holds of a third of that. */
static const double general_base = 0.05, special_ratio = 1.0 / 3.0;
static const double main_share = 0.5; /* of its activation */

typedef struct desk { /* of one worker */
    fc_weighed mass[FC_SAMPLE_MASS], strong[FC_SAMPLE_STRONG];
    fc_facts mass_facts[FC_SAMPLE_MASS], strong_facts[FC_SAMPLE_STRONG];
} desk;

typedef struct workspace {
    const fc_study_job *job;
    const fc_study_pass *pass;
    fc_meaning *meaning;
    fc_corpus_facts corpus;
    desk *desk;    /* [n_workers] */
    int64_t first; /* of the group */
} workspace;

/* --- evidence --------------------------------------------------------------------------- */

static fc_evidence evidence_of(const workspace *w, const fc_weighed *hit, fc_facts *facts,
                               int64_t n)
{
    fc_evidence e = {.n = n, .hit = hit, .facts = facts};
    for (int64_t i = 0; i < n; i++) {
        fc_facts_of(&facts[i], w->job->store, &w->meaning->kinds, (int64_t)hit[i].row);
        e.total += hit[i].weight;
    }
    return e;
}

static int compare_values(const void *a, const void *b)
{
    const float p = *(const float *)a, q = *(const float *)b;
    return (p < q) - (p > q);
}

/* Keeps what is at least half the maximum, or among the strongest few; returns how many. */
static int64_t keep_strong(fc_weighed *hit, int64_t n, float max)
{
    float value[FC_SAMPLE_STRONG];
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++) value[i] = hit[i].value;
    qsort(value, (size_t)n, sizeof *value, compare_values);
    float least = 0.5f * max;
    if (n > 0) {
        const float last = value[fc_min(n, LEAST_STRONG) - 1];
        least = last < least ? last : least;
    }
    for (int64_t i = 0; i < n; i++)
        if (hit[i].value >= least) hit[n_kept++] = hit[i];
    return n_kept;
}

/* The strongest contexts, few from one document, as they are shown to people. */
static int64_t strongest_of(const fc_study_pass *pass, int64_t feature, fc_weighed *hit)
{
    const fc_strongest *strongest = &pass->strongest;
    const fc_peak *peak = strongest->peak + feature * strongest->k;
    const int64_t n = fc_min(strongest->n[feature], LEAST_STRONG);
    for (int64_t i = 0; i < n; i++)
        hit[i] = (fc_weighed){peak[i].row, peak[i].value, (double)peak[i].value};
    return n;
}

/* --- one feature ------------------------------------------------------------------------ */

/* What strong activations have in common: those above half the maximum, or else the strongest. */
static fc_finding find_strong(const workspace *w, int64_t feature, desk *d)
{
    const float max = w->pass->feature[feature].max;
    int64_t n = fc_hit_sample_strong(&w->pass->sample, feature, d->strong);
    n = keep_strong(d->strong, n, max);
    fc_evidence strong = evidence_of(w, d->strong, d->strong_facts, n);
    const fc_finding found = fc_find_in_strong(&w->corpus, &strong);
    if (found.n > 0) return found;
    n = strongest_of(w->pass, feature, d->strong);
    strong = evidence_of(w, d->strong, d->strong_facts, n);
    return fc_find_in_strong(&w->corpus, &strong);
}

typedef struct said { /* what a description is made of */
    fc_cover main;    /* n 0: mixed */
    fc_cover partly;  /* of a mixed one */
    fc_finding strong;
} said;

static fc_cover cover_of(const fc_finding *finding)
{
    return (fc_cover){.n = finding->n > 0,
                      .part = {*finding},
                      .share = finding->share,
                      .base = finding->base,
                      .score = finding->score};
}

/* One cause that explains half, or two that explain more with less; else nothing does. */
static void find_parts(const workspace *w, said *s, int64_t feature, desk *d,
                       const fc_evidence *mass)
{
    const fc_finding one = fc_find_description(&w->corpus, mass);
    const bool is_rare = w->pass->feature[feature].n < RARE;
    const fc_cover two = is_rare ? (fc_cover){0} : fc_find_cover(&w->corpus, mass);
    s->main = cover_of(&one);
    if (two.n == 2 && two.share >= main_share && (one.n == 0 || two.score > one.score))
        s->main = two;
    if (is_rare || s->main.n == 2 || (s->main.n == 1 && s->main.base <= general_base))
        return;
    s->strong = find_strong(w, feature, d);
    if (s->main.n > 0) {
        if (s->strong.base > special_ratio * s->main.base) s->strong.n = 0;
        return;
    }
    const double share = fc_finding_share(&s->strong, mass);
    if (two.n > 0 && (s->strong.n == 0 || two.share > 2.0 * share)) s->partly = two;
}

/* "X", "X; also Y". */
static void add_cover(char *text, size_t n_bytes, const fc_cover *cover,
                      const fc_token_kinds *kinds)
{
    for (int k = 0; k < cover->n; k++) {
        if (k > 0) snprintf(text + strlen(text), n_bytes - strlen(text), "; also ");
        const size_t at = strlen(text);
        fc_finding_phrase(&cover->part[k], kinds, text + at, (int64_t)(n_bytes - at));
    }
}

/* The special first: "X when strong (83 %); weaker on Y", "X when strong (83 %); otherwise mixed". */
static void describe(const workspace *w, int64_t feature, desk *d,
                     const fc_evidence *mass)
{
    fc_description *description = &w->meaning->description[feature];
    const fc_token_kinds *kinds = &w->meaning->kinds;
    char *text = description->text, main[PHRASE_BYTES] = "", strong[PHRASE_BYTES] = "";
    const size_t size = sizeof description->text;
    const int64_t n_active = w->pass->feature[feature].n;
    const fc_cover *whole;
    said s = {0};
    find_parts(w, &s, feature, d, mass);
    whole = s.main.n > 0 ? &s.main : &s.partly;
    add_cover(main, sizeof main, whole, kinds);
    description->purity = whole->share;
    if (s.strong.n > 0) fc_finding_phrase(&s.strong, kinds, strong, sizeof strong);
    if (s.strong.n > 0 && whole->n == 0)
        description->purity = fc_finding_share(&s.strong, mass);
    if (s.strong.n > 0)
        snprintf(text, size, "%s when strong (%d %%); %s%s", strong,
                 (int)(100.0 * s.strong.share + 0.5),
                 whole->n > 0 ? "weaker on " : "otherwise mixed", main);
    else if (s.main.n > 0 && n_active < RARE)
        snprintf(text, size, "%s (fires on %" PRId64 " %s)", main, n_active,
                 n_active == 1 ? "row" : "rows");
    else
        snprintf(text, size, "%s%s%s", s.main.n > 0 ? "" : "mixed",
                 s.partly.n > 0 ? "; partly " : "", main);
}

static void describe_features(int64_t begin, int64_t end, int worker, void *ctx)
{
    const workspace *w = ctx;
    desk *d = &w->desk[worker];
    for (int64_t i = w->first + begin; i < w->first + end; i++) {
        if (!w->meaning->is_live[i]) continue;
        const int64_t n = fc_hit_sample_mass(&w->pass->sample, i, d->mass);
        const fc_evidence mass = evidence_of(w, d->mass, d->mass_facts, n);
        fc_profile_find(&w->meaning->profile[i], &mass, &w->meaning->kinds);
        describe(w, i, d, &mass);
    }
}

static fc_status describe_all(workspace *w, fc_err *err)
{
    const int64_t n = w->job->sae->d_sae;
    fc_progress progress = fc_progress_begin("study", "descriptions", 0.0, (double)n);
    fc_status status = FC_OK;
    for (w->first = 0; w->first < n && status == FC_OK; w->first += GROUP) {
        const int64_t n_group = fc_min(GROUP, n - w->first);
        fc_par_for(n_group, FEATURE_GRAIN, describe_features, w);
        if (fc_cancel_requested())
            status = fc_fail(err, FC_CANCELLED, "study was interrupted at descriptions");
        fc_progress_set(&progress, (double)(w->first + n_group));
    }
    fc_progress_end(&progress);
    return status;
}

/* --- all of it -------------------------------------------------------------------------- */

/* What a unit of activation amounts to, in the model's units, at each feature's maximum. */
static fc_status scales_of(float **scale, const fc_study_job *job,
                           const fc_study_pass *pass, fc_err *err)
{
    const int64_t n = job->sae->d_sae;
    double unit = 1.0;
    switch (job->sae->normaliser.kind) {
    case FC_NORM_NONE: break;
    case FC_NORM_CENTER_SCALE: unit = (double)job->sae->normaliser.norm; break;
    case FC_NORM_CENTER_UNIT: unit = fc_store_mean_centred_norm(job->store); break;
    case FC_NORM_LAYER:
    case FC_NORM_CONSTANT:
        unit = fc_store_mean_norm(job->store) / sqrt((double)job->sae->d_in);
        break;
    }
    if (!(unit > 0.0)) unit = 1.0;
    FC_TRY(fc_alloc(scale, n, sizeof **scale, "maxima", err));
    for (int64_t i = 0; i < n; i++)
        (*scale)[i] = (float)((double)pass->feature[i].max * unit);
    return FC_OK;
}

static fc_status find_logits(fc_meaning *meaning, const fc_study_job *job,
                             const fc_study_pass *pass, fc_err *err)
{
    float *scale = NULL;
    fc_status status;
    FC_TRY_GOTO(scales_of(&scale, job, pass, err));
    const fc_logit_lens_job lens = {.sae = job->sae,
                                    .hook = fc_store_info_of(job->store)->hook,
                                    .model = job->model,
                                    .tokenizer = job->tokenizer,
                                    .is_live = meaning->is_live,
                                    .scale = scale,
                                    .be = job->be,
                                    .precision = job->precision};
    FC_TRY_GOTO(fc_logit_lens_find(&meaning->lens, &lens, err));
done:
    fc_free(scale);
    return status;
}

static fc_status find_descriptions(fc_meaning *meaning, const fc_study_job *job,
                                   const fc_study_pass *pass, fc_err *err)
{
    workspace w = {.job = job, .pass = pass, .meaning = meaning};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&w.desk, fc_par_threads(), sizeof *w.desk, "samples", err));
    FC_TRY_GOTO(fc_token_kinds_init(&meaning->kinds, job->tokenizer, err));
    FC_TRY_GOTO(fc_corpus_facts_init(&w.corpus, job->store, &meaning->kinds, err));
    FC_TRY_GOTO(describe_all(&w, err));
done:
    fc_corpus_facts_deinit(&w.corpus);
    fc_free(w.desk);
    return status;
}

fc_status fc_meaning_find(fc_meaning *meaning, const fc_study_job *job,
                          const fc_study_pass *pass, fc_err *err)
{
    const fc_sae *sae = job->sae;
    const int64_t n = sae->d_sae;
    fc_meaning m = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&m.is_live, n, sizeof *m.is_live, "live features", err));
    FC_TRY_GOTO(fc_alloc(&m.description, n, sizeof *m.description, "descriptions", err));
    FC_TRY_GOTO(fc_alloc(&m.profile, n, sizeof *m.profile, "profiles", err));
    for (int64_t i = 0; i < n; i++)
        m.is_live[i] = (double)pass->feature[i].max > job->config->dead_threshold;
    FC_TRY_GOTO(find_descriptions(&m, job, pass, err));
    FC_TRY_GOTO(fc_neighbours_find(&m.neighbours, sae->w_dec, m.is_live, n, sae->d_in,
                                   job->be, err));
    FC_TRY_GOTO(find_logits(&m, job, pass, err));
done:
    if (status != FC_OK) fc_meaning_deinit(&m);
    *meaning = m;
    return status;
}

void fc_meaning_deinit(fc_meaning *meaning)
{
    fc_free(meaning->is_live);
    fc_free(meaning->description);
    fc_free(meaning->profile);
    fc_token_kinds_deinit(&meaning->kinds);
    fc_neighbours_deinit(&meaning->neighbours);
    fc_logit_lens_deinit(&meaning->lens);
    *meaning = (fc_meaning){0};
}
