/* compare_html.c - compare.html: page/compare.html with the numbers put in as JSON.
 *
 * The JSON is ASCII and has no '<', so that nothing in it can end the element which holds it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/compare_html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/json.h"
#include "report/display.h"
#include "report/figures.h"
#include "report/html_fill.h"
#include "report/html_parts.h"

enum { MOST_POINTS = 400 /* of a curve */ };

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* Text fit to be shown; NULL when memory ends, which json_pack passes on. */
static json_t *shown(const char *text)
{
    fc_strbuf out = {0};
    json_t *value = NULL;
    fc_err err;
    if (fc_display_text(&out, text, (int64_t)strlen(text), &err) == FC_OK)
        value = json_string(fc_strbuf_text(&out));
    fc_strbuf_free(&out);
    return value;
}

/* ---- one run ---- */

/* {value, text} for each column. */
static json_t *numbers_of(const fc_compare_data *d, int64_t run)
{
    json_t *list = json_array();
    for (int k = 0; k < FC_COMPARED_NUMBERS; k++) {
        char text[32];
        const double value = d->run[run].number[k];
        fc_compare_text(text, value, (fc_compared_number)k);
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:b}", "value", number(value), "text", text,
                            "best", fc_compare_is_best(d, run, (fc_compared_number)k)));
    }
    return list;
}

static json_t *curve_of(const fc_report_data *d, fc_metric metric)
{
    json_t *list = json_array();
    const int64_t every = fc_max(1, (d->n_points + MOST_POINTS - 1) / MOST_POINTS);
    for (int64_t i = 0; i < d->n_points; i += every)
        json_array_append_new(list, number(d->metric[metric][i]));
    return list;
}

static json_t *curves_of(const fc_report_data *d)
{
    if (d->n_points < 2) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "step", curve_of(d, FC_METRIC_STEP),
                     "total", curve_of(d, FC_METRIC_TOTAL), "mse",
                     curve_of(d, FC_METRIC_MSE), "l0", curve_of(d, FC_METRIC_L0), "dead",
                     curve_of(d, FC_METRIC_DEAD));
}

/* Live features by frequency, in fifths of a decade from 10^-6 on; what is rarer is in the first. */
static json_t *frequencies_of(const fc_report_data *d)
{
    enum { DECADES = 6, A_DECADE = 5, N = DECADES * A_DECADE };
    int64_t count[N] = {0};
    json_t *list = json_array();
    for (int64_t i = 0; i < d->n_features; i++) {
        const double f = d->feature[i].frequency;
        if (d->feature[i].is_dead || !(f > 0)) continue;
        const double at = floor((log10(f) + DECADES) * A_DECADE);
        count[(int)fmin(N - 1, fmax(0, at))]++;
    }
    for (int i = 0; i < N; i++) json_array_append_new(list, json_integer(count[i]));
    return list;
}

static json_t *run_of(const fc_compare_data *d, int64_t i)
{
    const fc_compared *run = &d->run[i];
    char color[8];
    snprintf(color, sizeof color, "#%06x", (unsigned)run->color & 0xffffff);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "name",
                     shown(run->name), "arch", shown(run->arch), "color", color, "report",
                     shown(run->report), "model", shown(run->data.model), "hook",
                     shown(run->data.hook), "numbers", numbers_of(d, i), "curves",
                     curves_of(&run->data), "frequencies", frequencies_of(&run->data),
                     "live", (json_int_t)run->data.n_live, "features",
                     (json_int_t)run->data.n_features);
}

/* ---- all of them ---- */

static json_t *columns_of(void)
{
    json_t *list = json_array();
    for (int k = 0; k < FC_COMPARED_NUMBERS; k++)
        json_array_append_new(
            list, json_pack("{s:s}", "label", fc_compare_label((fc_compared_number)k)));
    return list;
}

static json_t *settings_of(const fc_compare_data *d)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < d->n_settings; i++) {
        json_t *values = json_array();
        for (int64_t k = 0; k < d->n; k++)
            json_array_append_new(values, shown(d->setting[i].value[k]));
        json_array_append_new(
            list,
            json_pack("{s:o, s:o}", "name", shown(d->setting[i].name), "values", values));
    }
    return list;
}

static json_t *concepts_of(const fc_compare_data *d)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < d->n_concepts; i++) {
        const fc_compared_concept *c = &d->concept[i];
        json_t *best = json_array();
        for (int64_t k = 0; k < d->n; k++) {
            const int64_t feature = c->best[k].feature;
            json_array_append_new(
                best,
                feature < 0
                    ? json_null()
                    : json_pack("{s:I, s:o, s:o}", "feature", (json_int_t)feature, "f1",
                                number(c->best[k].f1), "description",
                                shown(d->run[k].data.feature[feature].description)));
        }
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:I}", "name", shown(c->name),
                                        "rule", shown(c->rule), "best", best, "winner",
                                        (json_int_t)c->winner));
    }
    return list;
}

static fc_status make_json(fc_strbuf *out, const fc_compare_data *d, fc_err *err)
{
    fc_strbuf text = {0};
    json_t *runs = json_array();
    for (int64_t i = 0; i < d->n; i++) json_array_append_new(runs, run_of(d, i));
    json_t *root =
        json_pack("{s:o, s:o, s:o, s:o}", "runs", runs, "columns", columns_of(),
                  "settings", settings_of(d), "concepts", concepts_of(d));
    fc_status status = fc_json_dump(
        root, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6), &text, err);
    const char *at = fc_strbuf_text(&text);
    for (const char *mark; status == FC_OK && (mark = strchr(at, '<')) != NULL;
         at = mark + 1) {
        status = fc_strbuf_add(out, at, mark - at, err);
        if (status == FC_OK) status = fc_strbuf_addf(out, err, "\\u003c");
    }
    if (status == FC_OK) status = fc_strbuf_addf(out, err, "%s", at);
    json_decref(root);
    fc_strbuf_free(&text);
    return status;
}

typedef struct page {
    fc_strbuf style_hash, script_hash, json;
} page;

static fc_status make(page *p, const fc_compare_data *d, fc_err *err)
{
    FC_TRY(fc_html_source_hash(&p->style_hash, fc_html_part_text("page.css"), err));
    FC_TRY(fc_html_source_hash(&p->script_hash, fc_html_part_text("compare.js"), err));
    return make_json(&p->json, d, err);
}

static fc_status save(const page *p, const char *path, fc_err *err)
{
    const char *style = fc_html_part_text("page.css"),
               *script = fc_html_part_text("compare.js");
    const fc_html_place places[] = {
        {"style", style, (int64_t)strlen(style)},
        {"style-hash", fc_strbuf_text(&p->style_hash), p->style_hash.n},
        {"script", script, (int64_t)strlen(script)},
        {"script-hash", fc_strbuf_text(&p->script_hash), p->script_hash.n},
        {"json", fc_strbuf_text(&p->json), p->json.n},
    };
    fc_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_out_open(&out, path, err));
    FC_TRY_GOTO(fc_html_fill(out, fc_html_part_text("compare.html"), places,
                             FC_LEN(places), err));
    FC_TRY_GOTO(fc_out_commit(out, err));
done:
    fc_out_close(out);
    return status;
}

fc_status fc_compare_html(const fc_compare_data *d, const char *path, fc_err *err)
{
    page p = {0};
    fc_status status = make(&p, d, err);
    if (status == FC_OK) status = save(&p, path, err);
    fc_strbuf_free(&p.style_hash);
    fc_strbuf_free(&p.script_hash);
    fc_strbuf_free(&p.json);
    return status;
}
