/* page_cards.c - one card a feature: numbers, histogram, tokens, what makes it fire.
 *
 *   Feature 1177                                  3rd strongest of 535
 *   ------------------------------------------------------------------
 *   maximum        Activation when it fires      Fires on
 *   mean           [histogram]                   January  ====== 41 %
 *   ...                                          ...
 *   0.834  the treaty was signed on [October] 8            Treaty of ...
 *   ...
 *
 * Every context is one line, so a card's height follows from how many there are: two full cards
 * fill a page, and none is ever cut.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "report/pages.h"
#include "report/shaded.h"

enum { MAX_STRONG = 10, MAX_WEAK = 4, MAX_TOKENS = 5 };

static const double head = 31, overview = 68, label = 13, row = 15.2, gap = 24;
static const double value_width = 30, title_width = 96;

/* ---- head and overview ---- */

static void draw_head(fc_flow *f, const fc_report_data *d, const fc_feature *feature)
{
    char text[96], count[32];
    int64_t rank = 1;
    for (int64_t i = 0; i < d->n_features; i++) rank += d->feature[i].max > feature->max;
    snprintf(text, sizeof text, "Feature %" PRId64, feature->id);
    fc_text(f->cr, FC_MARGIN, f->y + 12, FC_LEFT, FC_BASELINE, fc_type_section, text);
    fc_format_count(count, d->n_live);
    snprintf(text, sizeof text, "number %" PRId64 " of %s by maximum", rank, count);
    fc_text(f->cr, FC_MARGIN + fc_column, f->y + 12, FC_RIGHT, FC_BASELINE, fc_type_small,
            text);
    fc_rule(f->cr, FC_MARGIN, f->y + 20, fc_column);
}

static void draw_numbers(const fc_flow *f, double width, const fc_feature *feature)
{
    static const char *const name[] = {"maximum", "mean when it fires", "share of tokens",
                                       "tokens"};
    char value[FC_LEN(name)][32];
    fc_type type = fc_type_number;
    type.weight = 600;
    fc_format_like(value[0], feature->max, feature->max);
    fc_format_like(value[1], feature->mean_active, feature->max);
    fc_format_percent(value[2], feature->frequency);
    fc_format_count(value[3], feature->n_active);
    for (size_t i = 0; i < FC_LEN(name); i++) {
        const double y = f->y + 8 + 14 * (double)i;
        fc_text(f->cr, FC_MARGIN, y, FC_LEFT, FC_BASELINE, fc_type_small, name[i]);
        fc_text(f->cr, FC_MARGIN + width, y, FC_RIGHT, FC_BASELINE, type, value[i]);
    }
}

static fc_status draw_histogram(const fc_flow *f, fc_box box, const fc_report_data *d,
                                const fc_feature *feature, fc_err *err)
{
    int64_t bins[FC_HISTOGRAM_BINS];
    double edges[FC_HISTOGRAM_BINS + 1], heights[FC_HISTOGRAM_BINS], most = 1;
    char text[32];
    const double bottom = box.y + box.h;
    FC_TRY(fc_features_histogram(d->db, feature->id, bins, err));
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) {
        edges[i] = feature->max * i / FC_HISTOGRAM_BINS;
        heights[i] = (double)bins[i];
        most = fmax(most, heights[i]);
    }
    edges[FC_HISTOGRAM_BINS] = feature->max;
    const fc_axes a = {.box = box, .x1 = feature->max, .y1 = most};
    fc_text(f->cr, box.x, f->y + 8, FC_LEFT, FC_BASELINE, fc_type_faint,
            "Activation when it fires");
    fc_chart_bars(f->cr, &a, edges, heights, FC_HISTOGRAM_BINS, FC_BLUE);
    fc_color(f->cr, FC_AXIS, 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_move_to(f->cr, box.x, bottom);
    cairo_rel_line_to(f->cr, box.w, 0);
    cairo_stroke(f->cr);
    fc_text(f->cr, box.x, bottom + 9, FC_LEFT, FC_BASELINE, fc_type_faint, "0");
    fc_format_like(text, feature->max, feature->max);
    fc_text(f->cr, box.x + box.w, bottom + 9, FC_RIGHT, FC_BASELINE, fc_type_faint, text);
    return FC_OK;
}

static fc_status draw_tokens(const fc_flow *f, double x, double width,
                             const fc_report_data *d, int64_t feature, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    const double bar_x = x + 84, bar_width = width - 84 - 34;
    FC_TRY(fc_features_tokens(d->db, feature, &token, &n, err));
    fc_text(f->cr, x, f->y + 8, FC_LEFT, FC_BASELINE, fc_type_faint,
            "Tokens that carry its activation");
    for (int64_t i = 0; i < n && i < MAX_TOKENS; i++) {
        char share[32];
        const double y = f->y + 21 + 11 * (double)i,
                     part = fmin(1, fmax(0, token[i].share));
        FC_TRY(fc_token_label(f->cr, x, y, 78, token[i].bytes, token[i].n_bytes, err));
        fc_color(f->cr, 0xfdc98b, 1);
        cairo_rectangle(f->cr, bar_x, y - 6, fmax(0.5, bar_width * part), 6);
        cairo_fill(f->cr);
        fc_format_percent(share, token[i].share);
        fc_text(f->cr, x + width, y, FC_RIGHT, FC_BASELINE, fc_type_number, share);
    }
    return FC_OK;
}

/* ---- contexts ---- */

/* The strongest contexts and one from each weaker range; the top range is the strongest's. */
static bool is_shown(const fc_context *context, int64_t n, int64_t i, int64_t *n_strong,
                     int64_t *n_weak)
{
    const int64_t quantile = context[i].quantile;
    if (quantile == 0) return ++*n_strong <= MAX_STRONG;
    bool is_top = true, is_first = true;
    for (int64_t k = 0; k < n; k++) {
        if (context[k].quantile > quantile) is_top = false;
        if (k < i && context[k].quantile == quantile) is_first = false;
    }
    return is_first && !is_top && ++*n_weak <= MAX_WEAK;
}

static double card_height(const fc_context *context, int64_t n)
{
    int64_t n_strong = 0, n_weak = 0, n_rows = 0;
    for (int64_t i = 0; i < n; i++) n_rows += is_shown(context, n, i, &n_strong, &n_weak);
    return head + overview + (n_strong > 0 ? label : 0) + (n_weak > 0 ? label + 5 : 0) +
           row * (double)n_rows;
}

static fc_status draw_context(fc_flow *f, const fc_context *context, double max,
                              fc_display *display, fc_err *err)
{
    char value[32];
    const double baseline = f->y + 10.4, right = FC_MARGIN + fc_column,
                 width = fc_column - value_width - 8 - title_width - 12;
    fc_type type = fc_type_number;
    type.color = FC_SECONDARY;
    fc_format_like(value, context->value, max);
    fc_text(f->cr, FC_MARGIN + value_width, baseline, FC_RIGHT, FC_BASELINE, type, value);
    FC_TRY(fc_display_context(display, context, err));
    FC_TRY(fc_shaded_line(f->cr, FC_MARGIN + value_width + 8, baseline, width, display,
                          max, context->peak, err));
    fc_strbuf_clear(&display->text);
    FC_TRY(fc_display_text(&display->text, context->title,
                           fc_min((int64_t)strlen(context->title), 200), err));
    fc_line_cut(f->cr, right - title_width, baseline, title_width, fc_type_faint,
                fc_strbuf_text(&display->text));
    f->y += row;
    return FC_OK;
}

static void draw_label(fc_flow *f, const char *text)
{
    fc_text(f->cr, FC_MARGIN + value_width + 8, f->y + 8, FC_LEFT, FC_BASELINE,
            fc_type_faint, text);
    f->y += label;
}

static fc_status draw_contexts(fc_flow *f, const fc_context *context, int64_t n,
                               double max, fc_display *display, fc_err *err)
{
    int64_t n_strong = 0, n_weak = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool is_strong = context[i].quantile == 0;
        if (!is_shown(context, n, i, &n_strong, &n_weak)) continue;
        if (is_strong && n_strong == 1) draw_label(f, "Strongest contexts");
        if (!is_strong && n_weak == 1) {
            f->y += 5;
            draw_label(f, "Weaker, one from each part of its range");
        }
        FC_TRY(draw_context(f, &context[i], max, display, err));
    }
    return FC_OK;
}

/* ---- cards ---- */

static fc_status draw_card(fc_flow *f, const fc_report_data *d, int64_t id, int *page,
                           fc_display *display, fc_err *err)
{
    char name[64];
    const fc_context *context;
    int64_t n;
    const fc_feature *feature = &d->feature[id];
    FC_TRY(fc_features_contexts(d->db, id, &context, &n, err));
    fc_flow_need(f, card_height(context, n));
    *page = fc_pdf_pages(f->pdf);
    snprintf(name, sizeof name, "feature-%" PRId64, id);
    fc_pdf_anchor(f->pdf, name, f->y);
    snprintf(name, sizeof name, "Feature %" PRId64, id);
    fc_pdf_outline(f->pdf, 1, f->y, name);
    draw_head(f, d, feature);
    f->y += head;
    draw_numbers(f, 112, feature);
    FC_TRY(draw_histogram(f, (fc_box){FC_MARGIN + 138, f->y + 14, 140, 32}, d, feature,
                          err));
    FC_TRY(draw_tokens(f, FC_MARGIN + 304, fc_column - 304, d, id, err));
    f->y += overview;
    FC_TRY(
        fc_features_contexts(d->db, id, &context, &n, err)); /* tokens ended the loan */
    FC_TRY(draw_contexts(f, context, n, feature->max, display, err));
    f->y += gap;
    return FC_OK;
}

fc_status fc_pages_cards(fc_pdf *pdf, const fc_report_data *d, int *page_of, fc_err *err)
{
    fc_display display = {0};
    fc_flow f = {.pdf = pdf, .footer = "Features"};
    fc_status status = FC_OK;
    if (d->n_cards == 0) return FC_OK;
    fc_progress progress = fc_progress_begin("report", "cards", 0, (double)d->n_cards);
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, "Features");
    for (int64_t i = 0; i < d->n_cards && status == FC_OK; i++) {
        status = draw_card(&f, d, d->card[i], &page_of[i], &display, err);
        fc_progress_set(&progress, (double)i + 1);
    }
    fc_progress_end(&progress);
    fc_display_free(&display);
    return status;
}
