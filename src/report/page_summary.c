/* page_summary.c - page 1: what was looked at, the numbers that matter and what they mean, three
 * features that make people look, and all strengths in one picture.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/pages.h"
#include "report/shaded.h"

/* ---- the numbers ---- */

typedef struct number {
    const char *name;
    uint32_t mark; /* green good, orange fair, red bad, blue neither */
    char value[32];
    char remark[200];
} number;

enum { FC_GOOD = FC_GREEN, FC_FAIR = FC_ORANGE, FC_BAD = FC_VERMILION };

static void describe_variance(number *n, const fc_report_data *d)
{
    const double ev = fc_features_run_number(d->db, "explained_variance");
    n->name = "explained variance";
    n->mark = ev > 0.95 ? FC_GOOD : ev > 0.8 ? FC_FAIR : FC_BAD;
    fc_format_percent(n->value, ev);
    snprintf(n->remark, sizeof n->remark, "%s",
             ev > 0.95  ? "Good: the reconstruction keeps nearly all of the activations."
             : ev > 0.8 ? "Fair: the reconstruction keeps most of the activations."
             : ev > 0   ? "Weak: a good part of the activations is not reconstructed."
                        : "Bad: the mean alone would be a better reconstruction.");
}

static void describe_l0(number *n, const fc_report_data *d)
{
    const double l0 = fc_features_run_number(d->db, "l0"),
                 share = l0 / (double)fc_max(d->n_features, 1);
    char percent[32];
    n->name = "features per token (L0)";
    n->mark = share > 0.05 || d->n_dense > 0 ? FC_BAD : share > 0.02 ? FC_FAIR : FC_GOOD;
    fc_format_percent(percent, share);
    if (isfinite(l0)) snprintf(n->value, sizeof n->value, "%.1f", l0);
    if (d->n_dense > 0)
        snprintf(n->remark, sizeof n->remark,
                 "%s of all. Dense: %" PRId64 " %s on more than half of the tokens.",
                 percent, d->n_dense,
                 d->n_dense == 1 ? "feature fires" : "features fire");
    else
        snprintf(n->remark, sizeof n->remark, "%s of all features. %s", percent,
                 share > 0.05   ? "Dense: a single feature says little alone."
                 : share > 0.02 ? "Fair: a token is described by many features."
                                : "Good: sparse enough to read a token by its features.");
}

static void describe_dead(number *n, const fc_report_data *d)
{
    const double share = 1 - (double)d->n_live / (double)fc_max(d->n_features, 1);
    char percent[32], live[32];
    n->name = "dead features";
    n->mark = share > 0.5 ? FC_BAD : share > 0.1 ? FC_FAIR : FC_GOOD;
    fc_format_percent(n->value, share);
    fc_format_count(percent, d->n_features - d->n_live);
    fc_format_count(live, d->n_live);
    snprintf(n->remark, sizeof n->remark, "%s never fire, %s do. %s", percent, live,
             share > 0.5   ? "Weak: most of the dictionary is unused."
             : share > 0.1 ? "Fair: a part of the dictionary is unused."
                           : "Good: nearly all of the dictionary is in use.");
}

static void describe_mse(number *n, const fc_report_data *d)
{
    n->name = "mean squared error";
    n->mark = FC_BLUE;
    fc_format_value(n->value, fc_features_run_number(d->db, "mse"), 3);
    snprintf(n->remark, sizeof n->remark,
             "Per dimension of the normalised activations: compare runs on the same "
             "activations only.");
}

static void draw_numbers(fc_flow *f, const fc_report_data *d)
{
    static void (*const describe[])(number * n, const fc_report_data *d) = {
        describe_variance, describe_l0, describe_dead, describe_mse};
    const int n = FC_LEN(describe);
    const fc_type value_type = {19, 600, FC_INK, false};
    const double gap = 16, w = (fc_column - gap * (n - 1)) / n;
    double height = 0;
    for (int i = 0; i < n; i++) {
        number shown = {.value = "\u2013"};
        const double x = FC_MARGIN + i * (w + gap);
        describe[i](&shown, d);
        fc_color(f->cr, shown.mark, 1);
        cairo_rectangle(f->cr, x, f->y, w, 2);
        cairo_fill(f->cr);
        fc_text(f->cr, x, f->y + 8, FC_LEFT, FC_TOP, value_type, shown.value);
        fc_text(f->cr, x, f->y + 34, FC_LEFT, FC_TOP, fc_type_strong, shown.name);
        height = fmax(height, 48 + fc_paragraph(f->cr, x, f->y + 48, w, fc_type_small, 5,
                                                false, shown.remark));
    }
    f->y += height + 20;
}

/* ---- features worth a look ---- */

static fc_status draw_strongest(fc_flow *f, const fc_report_data *d, int64_t feature,
                                fc_err *err)
{
    const fc_context *context;
    int64_t n;
    fc_display display = {0};
    fc_status status;
    FC_TRY_GOTO(fc_features_contexts(d->db, feature, &context, &n, err));
    if (n == 0) goto done;
    FC_TRY_GOTO(fc_display_context(&display, context, err));
    FC_TRY_GOTO(fc_shaded_line(f->cr, FC_MARGIN + 78, f->y + 23, fc_column - 78, &display,
                               d->feature[feature].max, context->peak, err));
done:
    fc_display_free(&display);
    return status;
}

static fc_status draw_highlight(fc_flow *f, const fc_report_data *d,
                                const fc_highlight *highlight, const int *page_of,
                                fc_err *err)
{
    char name[64];
    const double height = 34;
    const int64_t card = fc_report_card(d, highlight->feature);
    fc_strbuf text = {0};
    fc_status status;
    FC_TRY_GOTO(
        fc_display_text(&text, highlight->text, (int64_t)strlen(highlight->text), err));
    snprintf(name, sizeof name, "Feature %" PRId64, highlight->feature);
    fc_text(f->cr, FC_MARGIN, f->y + 9, FC_LEFT, FC_BASELINE, fc_type_strong, name);
    fc_paragraph(f->cr, FC_MARGIN + 78, f->y + 0.4, fc_column - 78 - 50, fc_type_small, 1,
                 false, fc_strbuf_text(&text));
    if (card >= 0) {
        fc_type link = fc_type_small;
        link.color = FC_BLUE;
        snprintf(name, sizeof name, "page %d", page_of[card]);
        fc_text(f->cr, FC_MARGIN + fc_column, f->y + 9, FC_RIGHT, FC_BASELINE, link,
                name);
        snprintf(name, sizeof name, "feature-%" PRId64, highlight->feature);
        fc_pdf_link(f->pdf, name, FC_MARGIN, f->y - 2, fc_column, height - 4);
    }
    FC_TRY_GOTO(draw_strongest(f, d, highlight->feature, err));
    f->y += height;
done:
    fc_strbuf_free(&text);
    return status;
}

static fc_status draw_highlights(fc_flow *f, const fc_report_data *d, const int *page_of,
                                 fc_err *err)
{
    if (d->n_highlights == 0) return FC_OK;
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart, "Worth a look");
    f->y += 18;
    for (int64_t i = 0; i < d->n_highlights; i++)
        FC_TRY(draw_highlight(f, d, &d->highlight[i], page_of, err));
    f->y += 8;
    return FC_OK;
}

/* ---- the page ---- */

static void draw_title(fc_flow *f, const fc_report_data *d)
{
    char line[1024], rows[32], features[32];
    const char *hook = d->hook[0] ? d->hook : "an unnamed hook";
    fc_format_count(rows, d->n_rows);
    fc_format_count(features, d->n_features);
    snprintf(line, sizeof line, "Features of %s",
             strncmp(hook, "model.", 6) == 0 ? hook + 6 : hook);
    fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_title, 1, false, line);
    f->y += 31;
    snprintf(
        line, sizeof line,
        "A sparse autoencoder with %s features, trained on the output of %s in %s and "
        "studied on %s tokens.",
        features, hook, d->model[0] ? d->model : "an unnamed model", rows);
    f->y += fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_body, 3, false, line);
    f->y += 18;
}

fc_status fc_page_summary(fc_pdf *pdf, const fc_report_data *d, const int *page_of,
                          fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "Summary"};
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, "Summary");
    draw_title(&f, d);
    draw_numbers(&f, d);
    FC_TRY(draw_highlights(&f, d, page_of, err));
    const double room = FC_PAGE_BOTTOM - f.y;
    if (d->n_live > 0)
        fc_fig_strength_bars.draw(
            f.cr,
            (fc_box){FC_MARGIN, f.y, fc_column, fmin(room, fc_fig_strength_bars.height)},
            d);
    else
        fc_text(f.cr, FC_MARGIN, f.y, FC_LEFT, FC_TOP, fc_type_body,
                "Nothing in the text made any feature fire: there are no cards.");
    return FC_OK;
}
