/* page_summary.c - page 1: what was looked at, the numbers that matter and what they mean, three
 * features that make people look, and all strengths in one picture.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/described.h"
#include "report/pages.h"
#include "report/shaded.h"
#include "report/verdict.h"

/* ---- the numbers ---- */

static void draw_numbers(fc_flow *f, const fc_report_data *d)
{
    static const uint32_t mark[] = {[FC_GRADE_NONE] = FC_BLUE,
                                    [FC_GRADE_GOOD] = FC_GREEN,
                                    [FC_GRADE_FAIR] = FC_ORANGE,
                                    [FC_GRADE_BAD] = FC_VERMILION};
    const fc_type value_type = {19, 600, FC_INK, false};
    fc_verdict verdict[FC_MOST_VERDICTS];
    const int n = fc_verdicts(verdict, d);
    const double gap = n > 4 ? 12 : 16, w = (fc_column - gap * (n - 1)) / n;
    double height = 0;
    for (int i = 0; i < n; i++) {
        const fc_verdict *v = &verdict[i];
        const double x = FC_MARGIN + i * (w + gap);
        fc_color(f->cr, mark[v->grade], 1);
        cairo_rectangle(f->cr, x, f->y, w, 2);
        cairo_fill(f->cr);
        fc_text(f->cr, x, f->y + 8, FC_LEFT, FC_TOP, value_type, v->value);
        fc_text(f->cr, x, f->y + 35, FC_LEFT, FC_TOP, fc_type_strong, v->name);
        height = fmax(height, 50 + fc_paragraph(f->cr, x, f->y + 50, w, fc_type_small, 6,
                                                false, v->remark));
    }
    f->y += height + 22;
}

/* ---- features worth a look ---- */

enum { NAME_WIDTH = 78, MOST_BARS = 424 /* height of the picture */ };

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
    FC_TRY_GOTO(fc_shaded_line(f->cr, FC_MARGIN + NAME_WIDTH, f->y + 38,
                               fc_column - NAME_WIDTH, &display, d->feature[feature].max,
                               context->peak, err));
done:
    fc_display_free(&display);
    return status;
}

/* "explains 90 % of its activation; fires on 0.065 % of tokens". */
static void draw_share(fc_flow *f, const fc_feature *feature)
{
    char text[128], purity[32], frequency[32];
    fc_format_percent(purity, feature->purity);
    fc_format_percent(frequency, feature->frequency);
    snprintf(text, sizeof text,
             "This explains %s of its activation. It fires on %s of all tokens.", purity,
             frequency);
    fc_text(f->cr, FC_MARGIN + NAME_WIDTH, f->y + 22, FC_LEFT, FC_BASELINE, fc_type_faint,
            text);
}

static fc_status draw_highlight(fc_flow *f, const fc_report_data *d,
                                const fc_highlight *highlight, const int *page_of,
                                fc_err *err)
{
    char text[64];
    const double height = 52;
    const int64_t card = d->card_of[highlight->feature];
    const fc_feature *feature = &d->feature[highlight->feature];
    const char *said = feature->description[0] ? feature->description : highlight->text;
    snprintf(text, sizeof text, "Feature %" PRId64, highlight->feature);
    fc_text(f->cr, FC_MARGIN, f->y + 9, FC_LEFT, FC_BASELINE, fc_type_strong, text);
    FC_TRY(fc_described_line(f->cr, FC_MARGIN + NAME_WIDTH, f->y + 9,
                             fc_column - NAME_WIDTH - 50, fc_type_body, said, err));
    if (feature->description[0]) draw_share(f, feature);
    if (card >= 0) {
        fc_type link = fc_type_small;
        link.color = FC_BLUE;
        snprintf(text, sizeof text, "page %d", page_of[card]);
        fc_text(f->cr, FC_MARGIN + fc_column, f->y + 9, FC_RIGHT, FC_BASELINE, link,
                text);
        fc_flow_link(f, d, highlight->feature,
                     (fc_box){FC_MARGIN, f->y - 2, fc_column, height - 6});
    }
    FC_TRY(draw_strongest(f, d, highlight->feature, err));
    f->y += height;
    return FC_OK;
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
            f.cr, (fc_box){FC_MARGIN, f.y, fc_column, fmin(room, MOST_BARS)}, d);
    else
        fc_text(f.cr, FC_MARGIN, f.y, FC_LEFT, FC_TOP, fc_type_body,
                "Nothing in the text made any feature fire: there are no cards.");
    return FC_OK;
}
