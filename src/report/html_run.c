/* html_run.c - the JSON of report.html: the run, its curves, a column for each statistic, texts.
 *
 * Columns ("max": [..]) in place of rows: equal keys are not repeated 9,216 times, like numbers
 * deflate together, and the page sorts and filters over plain arrays. docs/FORMATS.md lists the keys.
 *
 * Texts of the corpus are made showable first (display.h), so that they are valid UTF-8 without a
 * control character; then only the quote and the backslash need an escape.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/json.h"
#include "report/colormap.h"
#include "report/display.h"
#include "report/html_data.h"
#include "report/verdict.h"

enum { VERSION = 1, CURVE_POINTS = 600, PALETTE_STEPS = 64 };

/* ---- values ---- */

static fc_status add_shown(fc_strbuf *out, const char *text, int64_t n, fc_err *err)
{
    FC_TRY(fc_strbuf_add(out, "\"", 1, err));
    for (int64_t i = 0, begin = 0; i <= n; i++) {
        if (i < n && text[i] != '"' && text[i] != '\\') continue;
        FC_TRY(fc_strbuf_add(out, text + begin, i - begin, err));
        if (i < n) FC_TRY(fc_strbuf_add(out, "\\", 1, err));
        begin = i;
    }
    return fc_strbuf_add(out, "\"", 1, err);
}

/* Any bytes, as a JSON string. */
static fc_status add_text(fc_strbuf *out, const char *text, fc_err *err)
{
    fc_strbuf shown = {0};
    fc_status status;
    FC_TRY_GOTO(fc_display_text(&shown, text, (int64_t)strlen(text), err));
    FC_TRY_GOTO(add_shown(out, fc_strbuf_text(&shown), shown.n, err));
done:
    fc_strbuf_free(&shown);
    return status;
}

static fc_status add_number(fc_strbuf *out, double x, fc_err *err)
{
    return isfinite(x) ? fc_strbuf_addf(out, err, "%.5g", x)
                       : fc_strbuf_add(out, "null", 4, err);
}

static fc_status add_comma(fc_strbuf *out, int64_t i, fc_err *err)
{
    return i > 0 ? fc_strbuf_add(out, ",", 1, err) : FC_OK;
}

static fc_status add_strings(fc_strbuf *out, const char *key, const fc_strings *strings,
                             fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"%s\":[", key));
    for (int64_t i = 0; i < strings->n; i++) {
        int64_t n;
        const char *text = fc_strings_get(strings, i, &n);
        FC_TRY(add_comma(out, i, err));
        FC_TRY(add_shown(out, text, n, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

/* ---- the run ---- */

static fc_status add_names(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    static const char *const keys[] = {
        "arch",       "normalization", "precision",
        "d_in",       "d_sae",         "n_rows",
        "n_docs",     "n_dead",        "l0",
        "mse",        "fvu",           "explained_variance",
        "contexts",   "per_document",  "window",
        "quantiles",  "per_quantile",  "dead_threshold",
        "seed",       "logit_lens",    "facet_version",
        "model_hash", "text_hash"};
    FC_TRY(fc_strbuf_addf(out, err, "{\"version\":%d,\n\"run\":{\"model\":", VERSION));
    FC_TRY(add_text(out, d->model, err));
    FC_TRY(fc_strbuf_addf(out, err, ",\"hook\":"));
    FC_TRY(add_text(out, d->hook, err));
    FC_TRY(fc_strbuf_addf(out, err, ",\"date\":"));
    FC_TRY(add_text(out, d->date, err));
    for (size_t i = 0; i < FC_LEN(keys); i++) {
        FC_TRY(fc_strbuf_addf(out, err, ",\"%s\":", keys[i]));
        FC_TRY(add_text(out, fc_features_run(d->db, keys[i]), err));
    }
    return fc_strbuf_add(out, "}", 1, err);
}

static fc_status add_verdicts(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    static const char *const grades[] = {[FC_GRADE_NONE] = "none",
                                         [FC_GRADE_GOOD] = "good",
                                         [FC_GRADE_FAIR] = "fair",
                                         [FC_GRADE_BAD] = "bad"};
    fc_verdict verdict[FC_MOST_VERDICTS];
    const int n = fc_verdicts(verdict, d);
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"numbers\":["));
    for (int i = 0; i < n; i++)
        FC_TRY(fc_strbuf_addf(out, err,
                              "%s{\"name\":\"%s\",\"grade\":\"%s\",\"value\":\"%s\","
                              "\"remark\":\"%s\"}",
                              i > 0 ? "," : "", verdict[i].name, grades[verdict[i].grade],
                              verdict[i].value, verdict[i].remark));
    return fc_strbuf_add(out, "]", 1, err);
}

static fc_status add_highlights(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"highlights\":["));
    for (int64_t i = 0; i < d->n_highlights; i++) {
        FC_TRY(add_comma(out, i, err));
        FC_TRY(fc_strbuf_addf(
            out, err, "{\"feature\":%" PRId64 ",\"text\":", d->highlight[i].feature));
        FC_TRY(add_text(out, d->highlight[i].text, err));
        FC_TRY(fc_strbuf_add(out, "}", 1, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

/* What a command was run with, as its manifest has it. jansson escapes controls and quotes; what
 * remains to be made showable are direction marks. */
static fc_status add_stage(fc_strbuf *out, const json_t *stage, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status;
    FC_TRY_GOTO(fc_json_dump(stage, JSON_COMPACT, &text, err));
    FC_TRY_GOTO(fc_display_text(out, fc_strbuf_text(&text), text.n, err));
done:
    fc_strbuf_free(&text);
    return status;
}

static fc_status add_stages(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    static const char *const commands[] = {"collect", "train", "study"};
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"stages\":["));
    for (size_t i = 0, n = 0; i < FC_LEN(commands); i++) {
        const json_t *stage = fc_report_stage(d, commands[i]);
        if (stage == NULL) continue;
        FC_TRY(add_comma(out, (int64_t)n++, err));
        FC_TRY(add_stage(out, stage, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

/* The scale of the heat map: 64 colours, 6 hex digits each. */
static fc_status add_palette(fc_strbuf *out, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"palette\":\""));
    for (int i = 0; i < PALETTE_STEPS; i++) {
        const fc_rgb c = fc_colormap(FC_MAGMA, i / (PALETTE_STEPS - 1.0));
        FC_TRY(fc_strbuf_addf(out, err, "%02lx%02lx%02lx", lround(255 * c.r),
                              lround(255 * c.g), lround(255 * c.b)));
    }
    return fc_strbuf_add(out, "\"", 1, err);
}

/* ---- curves ---- */

typedef struct range {
    double mean, low, high;
} range;

/* Over points [begin, end) that are numbers; NaN where there is none. */
static range sum_up(const double *value, int64_t begin, int64_t end)
{
    range r = {0, (double)INFINITY, -(double)INFINITY};
    int64_t n = 0;
    for (int64_t i = begin; i < end; i++) {
        if (!isfinite(value[i])) continue;
        r = (range){r.mean + value[i], fmin(r.low, value[i]), fmax(r.high, value[i])};
        n++;
    }
    r.mean = n > 0 ? r.mean / (double)n : (double)NAN;
    return r;
}

/* [mean, lowest, highest] of runs of points, at most CURVE_POINTS of them: no peak is lost. */
static fc_status add_curve(fc_strbuf *out, const double *value, int64_t n, fc_err *err)
{
    const int64_t per = fc_max(1, (n + CURVE_POINTS - 1) / CURVE_POINTS);
    for (int part = 0; part < 3; part++) {
        FC_TRY(fc_strbuf_addf(out, err, part > 0 ? ",[" : "[["));
        for (int64_t i = 0; i < n; i += per) {
            const range r = sum_up(value, i, fc_min(i + per, n));
            FC_TRY(add_comma(out, i, err));
            FC_TRY(add_number(out, part == 0 ? r.mean : part == 1 ? r.low : r.high, err));
        }
        FC_TRY(fc_strbuf_add(out, "]", 1, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

static fc_status add_curves(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    static const struct {
        fc_metric metric;
        const char *key;
    } curves[] = {{FC_METRIC_STEP, "step"}, {FC_METRIC_TOTAL, "total"},
                  {FC_METRIC_MSE, "mse"},   {FC_METRIC_L1, "l1"},
                  {FC_METRIC_L0, "l0"},     {FC_METRIC_DEAD, "dead"},
                  {FC_METRIC_LR, "lr"}};
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"curves\":{"));
    for (size_t i = 0; i < FC_LEN(curves) && d->n_points > 0; i++) {
        FC_TRY(fc_strbuf_addf(out, err, "%s\"%s\":", i > 0 ? "," : "", curves[i].key));
        FC_TRY(add_curve(out, d->metric[curves[i].metric], d->n_points, err));
    }
    return fc_strbuf_add(out, "}", 1, err);
}

/* ---- columns ---- */

static fc_status add_l0(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    const int64_t *counts = fc_features_l0_histogram(d->db);
    int64_t n = d->n_features + 1;
    while (n > 0 && counts[n - 1] == 0) n--;
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"l0\":["));
    for (int64_t i = 0; i < n; i++)
        FC_TRY(fc_strbuf_addf(out, err, "%s%" PRId64, i > 0 ? "," : "", counts[i]));
    return fc_strbuf_add(out, "]", 1, err);
}

typedef double value_of(const fc_html_cards *cards, const fc_feature *feature);

static double max_of(const fc_html_cards *c, const fc_feature *f)
{
    (void)c;
    return f->max;
}

static double mean_of(const fc_html_cards *c, const fc_feature *f)
{
    (void)c;
    return f->mean_active;
}

static double density_of(const fc_html_cards *c, const fc_feature *f)
{
    (void)c;
    return f->frequency;
}

static double purity_of(const fc_html_cards *c, const fc_feature *f)
{
    (void)c;
    return f->description[0] ? f->purity : (double)NAN;
}

static double nearest_of(const fc_html_cards *c, const fc_feature *f)
{
    return c->nearest[f->id];
}

static fc_status add_column(fc_strbuf *out, const char *key, const fc_report_data *d,
                            const fc_html_cards *cards, value_of *of, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"%s\":[", key));
    for (int64_t i = 0; i < d->n_features; i++) {
        FC_TRY(add_comma(out, i, err));
        FC_TRY(add_number(out, of(cards, &d->feature[i]), err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

static fc_status add_counts(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, "\"dead\":["));
    for (int64_t i = 0; i < d->n_features; i++)
        FC_TRY(fc_strbuf_addf(out, err, "%s%d", i > 0 ? "," : "", d->feature[i].is_dead));
    FC_TRY(fc_strbuf_addf(out, err, "],\n\"times\":["));
    for (int64_t i = 0; i < d->n_features; i++)
        FC_TRY(fc_strbuf_addf(out, err, "%s%" PRId64, i > 0 ? "," : "",
                              d->feature[i].n_active));
    return fc_strbuf_add(out, "]", 1, err);
}

/* Per feature the pieces it fires on most, [] when it is dead. */
static fc_status add_tokens(fc_strbuf *out, const fc_report_data *d,
                            const fc_html_cards *cards, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"tokens\":["));
    for (int64_t i = 0; i < d->n_features; i++) {
        const int64_t *piece = &cards->tokens[i * FC_HTML_TOKENS];
        FC_TRY(fc_strbuf_addf(out, err, i > 0 ? ",[" : "["));
        for (int k = 0; k < FC_HTML_TOKENS && piece[k] >= 0; k++)
            FC_TRY(fc_strbuf_addf(out, err, "%s%" PRId64, k > 0 ? "," : "", piece[k]));
        FC_TRY(fc_strbuf_add(out, "]", 1, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

static fc_status add_descriptions(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"description\":["));
    for (int64_t i = 0; i < d->n_features; i++) {
        FC_TRY(add_comma(out, i, err));
        FC_TRY(add_text(out, d->feature[i].description, err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

static fc_status add_features(fc_strbuf *out, const fc_report_data *d,
                              const fc_html_cards *cards, fc_err *err)
{
    static const struct {
        const char *key;
        value_of *of;
    } columns[] = {{"max", max_of},
                   {"mean", mean_of},
                   {"density", density_of},
                   {"purity", purity_of},
                   {"nearest", nearest_of}};
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"features\":{"));
    FC_TRY(add_counts(out, d, err));
    for (size_t i = 0; i < FC_LEN(columns); i++)
        FC_TRY(add_column(out, columns[i].key, d, cards, columns[i].of, err));
    FC_TRY(add_descriptions(out, d, err));
    FC_TRY(add_tokens(out, d, cards, err));
    return fc_strbuf_add(out, "}", 1, err);
}

/* ---- concepts ---- */

static fc_status add_hit(fc_strbuf *out, const fc_concept_hit *hit, fc_err *err)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"f1", hit->f1},
                   {"threshold", hit->threshold},
                   {"precision", hit->precision},
                   {"recall", hit->recall},
                   {"auc", hit->auc},
                   {"precision_100", hit->precision_100}};
    FC_TRY(fc_strbuf_addf(out, err, "{\"feature\":%" PRId64, hit->feature));
    for (size_t i = 0; i < FC_LEN(numbers); i++) {
        FC_TRY(fc_strbuf_addf(out, err, ",\"%s\":", numbers[i].key));
        FC_TRY(add_number(out, numbers[i].value, err));
    }
    return fc_strbuf_add(out, "}", 1, err);
}

static fc_status add_concept(fc_strbuf *out, const fc_concept_row *concept, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(out, err, "{\"name\":"));
    FC_TRY(add_text(out, concept->name, err));
    FC_TRY(fc_strbuf_addf(out, err, ",\"rule\":"));
    FC_TRY(add_text(out, concept->rule, err));
    FC_TRY(fc_strbuf_addf(out, err, ",\"rows\":%" PRId64 ",\"hits\":[", concept->n_rows));
    for (int64_t i = 0; i < concept->n_hits; i++) {
        FC_TRY(add_comma(out, i, err));
        FC_TRY(add_hit(out, &concept->hit[i], err));
    }
    return fc_strbuf_add(out, "]}", 2, err);
}

static fc_status add_concepts(fc_strbuf *out, const fc_report_data *d, fc_err *err)
{
    const fc_concept_row *concept;
    int64_t n;
    FC_TRY(fc_features_concepts(d->db, &concept, &n, err));
    FC_TRY(fc_strbuf_addf(out, err, ",\n\"concepts\":["));
    for (int64_t i = 0; i < n; i++) {
        FC_TRY(add_comma(out, i, err));
        FC_TRY(add_concept(out, &concept[i], err));
    }
    return fc_strbuf_add(out, "]", 1, err);
}

/* ---- the whole ---- */

fc_status fc_html_run(fc_strbuf *out, const fc_report_data *d, const fc_html_cards *cards,
                      fc_err *err)
{
    FC_TRY(add_names(out, d, err));
    FC_TRY(add_verdicts(out, d, err));
    FC_TRY(add_highlights(out, d, err));
    FC_TRY(add_stages(out, d, err));
    FC_TRY(add_palette(out, err));
    FC_TRY(add_curves(out, d, err));
    FC_TRY(add_l0(out, d, err));
    FC_TRY(add_features(out, d, cards, err));
    FC_TRY(add_concepts(out, d, err));
    FC_TRY(fc_strbuf_addf(
        out, err, ",\n\"cards_a_block\":%d,\"kept\":[%" PRId64 ",%" PRId64 "]",
        FC_CARDS_A_BLOCK, fc_min(cards->n_strong, 1000), fc_min(cards->n_weak, 1000)));
    FC_TRY(add_strings(out, "pieces", &cards->pieces, err));
    FC_TRY(add_strings(out, "titles", &cards->titles, err));
    FC_TRY(add_strings(out, "phrases", &cards->phrases, err));
    return fc_strbuf_add(out, "}\n", 2, err);
}
