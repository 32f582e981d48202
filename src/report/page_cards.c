/* page_cards.c - one card a feature: numbers, histogram, what makes it fire.
 *
 * Cards are measured before they are drawn: one that does not fit begins a new page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "report/pages.h"
#include "report/shaded.h"

enum { MAX_STRONG = 8, MAX_WEAK = 4, MAX_TOKENS = 6 };

typedef struct card {
    fc_pdf *pdf;
    const fc_report_data *data;
    const fc_feature *feature;
    fc_display *display;
    cairo_t *cr;
    bool is_measured_only;
} card;

static void draw_head(const card *c, double y)
{
    char text[256], max[32], mean[32], share[32], count[32];
    if (c->is_measured_only) return;
    fc_format_value(max, c->feature->max, 4);
    fc_format_value(mean, c->feature->mean_active, 3);
    fc_format_percent(share, c->feature->frequency);
    fc_format_count(count, c->feature->n_active);
    snprintf(text, sizeof text, "Feature %lld", (long long)c->feature->id);
    fc_text(c->cr, FC_MARGIN, y, FC_LEFT, FC_TOP, fc_type_section, text);
    snprintf(text, sizeof text,
             "maximum %s \u00b7 mean when active %s \u00b7 fires on %s of tokens (%s)",
             max, mean, share, count);
    fc_text(c->cr, FC_MARGIN + fc_column, y + 4, FC_RIGHT, FC_TOP, fc_type_small, text);
    fc_color(c->cr, FC_GRID, 1);
    cairo_set_line_width(c->cr, 0.6);
    cairo_move_to(c->cr, FC_MARGIN, y + 21);
    cairo_rel_line_to(c->cr, fc_column, 0);
    cairo_stroke(c->cr);
}

static fc_status draw_histogram(const card *c, fc_box box, fc_err *err)
{
    int64_t bins[FC_HISTOGRAM_BINS];
    double edges[FC_HISTOGRAM_BINS + 1], heights[FC_HISTOGRAM_BINS], most = 0;
    char text[32];
    FC_TRY(fc_features_histogram(c->data->db, c->feature->id, bins, err));
    if (c->is_measured_only) return FC_OK;
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) {
        edges[i] = c->feature->max * i / FC_HISTOGRAM_BINS;
        heights[i] = (double)bins[i];
        most = fmax(most, heights[i]);
    }
    edges[FC_HISTOGRAM_BINS] = c->feature->max;
    const fc_axes a = {.box = box,
                       .x0 = 0,
                       .x1 = c->feature->max,
                       .y0 = 0.5,
                       .y1 = fmax(most * 1.2, 2),
                       .is_log_y = true};
    fc_chart_bars(c->cr, &a, edges, heights, FC_HISTOGRAM_BINS, FC_BLUE);
    fc_color(c->cr, FC_AXIS, 1);
    cairo_set_line_width(c->cr, 0.5);
    cairo_move_to(c->cr, box.x, box.y + box.h);
    cairo_rel_line_to(c->cr, box.w, 0);
    cairo_stroke(c->cr);
    fc_text(c->cr, box.x, box.y + box.h + 2, FC_LEFT, FC_TOP, fc_type_faint, "0");
    fc_format_value(text, c->feature->max, 3);
    fc_text(c->cr, box.x + box.w, box.y + box.h + 2, FC_RIGHT, FC_TOP, fc_type_faint,
            text);
    return FC_OK;
}

/* "January" 41 %, ... on one line beside the histogram. */
static fc_status draw_tokens(const card *c, double x, double y, double width, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    fc_strbuf text = {0};
    FC_TRY(fc_features_tokens(c->data->db, c->feature->id, &token, &n, err));
    fc_status status = FC_OK;
    for (int64_t i = 0; i < n && i < MAX_TOKENS && status == FC_OK; i++) {
        char share[32];
        fc_format_percent(share, token[i].share);
        status = fc_strbuf_add(&text, i ? "   \u2018" : "\u2018", i ? 6 : 3, err);
        if (status == FC_OK)
            status =
                fc_display_text(&text, token[i].bytes, fc_min(token[i].n_bytes, 40), err);
        if (status == FC_OK) status = fc_strbuf_addf(&text, err, "\u2019 %s", share);
    }
    if (status == FC_OK && n > 0 && !c->is_measured_only) {
        fc_text(c->cr, x, y, FC_LEFT, FC_TOP, fc_type_faint, "Activation by token");
        fc_paragraph(c->cr, x, y + 11, width, fc_type_body, 2, 0, fc_strbuf_text(&text));
    }
    fc_strbuf_free(&text);
    return status;
}

static fc_status draw_context(const card *c, const fc_context *context, double *y,
                              fc_err *err)
{
    const double left = FC_MARGIN + 38, title_width = 92,
                 width = fc_column - 38 - title_width - 10;
    char value[32];
    FC_TRY(fc_display_context(c->display, context, err));
    const double h = fc_shaded_text(c->cr, left, *y, width, c->display, c->feature->max,
                                    context->peak, c->is_measured_only);
    if (!c->is_measured_only) {
        fc_strbuf title = {0};
        fc_format_value(value, context->value, 3);
        fc_text(c->cr, FC_MARGIN + 30, *y + 1.2, FC_RIGHT, FC_TOP, fc_type_small, value);
        const fc_status status =
            fc_display_text(&title, context->title, (int64_t)strlen(context->title), err);
        if (status == FC_OK) {
            fc_type faint = fc_type_faint;
            fc_paragraph(c->cr, FC_MARGIN + fc_column - title_width, *y + 1.6,
                         title_width, faint, 1, 0, fc_strbuf_text(&title));
        }
        fc_strbuf_free(&title);
        FC_TRY(status);
    }
    *y += h + 3.5;
    return FC_OK;
}

static fc_status draw_contexts(const card *c, double *y, fc_err *err)
{
    const fc_context *context;
    int64_t n, n_strong = 0, n_weak = 0, last_quantile = 0;
    FC_TRY(fc_features_contexts(c->data->db, c->feature->id, &context, &n, err));
    for (int64_t i = 0; i < n; i++) {
        const bool is_strong = context[i].quantile == 0;
        if (is_strong ? n_strong >= MAX_STRONG
                      : n_weak >= MAX_WEAK || context[i].quantile == last_quantile)
            continue;
        if (!is_strong && n_weak == 0) {
            if (!c->is_measured_only)
                fc_text(c->cr, FC_MARGIN + 38, *y + 3, FC_LEFT, FC_TOP, fc_type_faint,
                        "Weaker, from each fifth of its range");
            *y += 15;
        }
        FC_TRY(draw_context(c, &context[i], y, err));
        if (is_strong)
            n_strong++;
        else
            n_weak++, last_quantile = context[i].quantile;
    }
    return FC_OK;
}

/* Draws or measures one card at *y and moves *y below it. */
static fc_status draw_card(const card *c, double *y, fc_err *err)
{
    draw_head(c, *y);
    *y += 28;
    FC_TRY(draw_histogram(c, (fc_box){FC_MARGIN + 38, *y, 120, 26}, err));
    FC_TRY(draw_tokens(c, FC_MARGIN + 176, *y, fc_column - 176, err));
    *y += 44;
    FC_TRY(draw_contexts(c, y, err));
    *y += 20;
    return FC_OK;
}

fc_status fc_pages_cards(fc_pdf *pdf, const fc_report_data *data, int *page_of,
                         fc_err *err)
{
    const double bottom = FC_PAGE_HEIGHT - FC_MARGIN + 8;
    fc_display display = {0};
    card c = {.pdf = pdf, .data = data, .display = &display};
    double y = INFINITY;
    fc_status status = FC_OK;
    fc_progress progress = fc_progress_begin("report", "cards", 0, (double)data->n_cards);
    for (int64_t i = 0; i < data->n_cards && status == FC_OK; i++) {
        double height = 0;
        char name[64];
        c.feature = &data->feature[data->card[i]];
        if (!c.cr) {
            c.cr = fc_pdf_page(pdf, "Features");
            fc_pdf_outline(pdf, 0, "Features");
            y = FC_MARGIN;
        }
        c.is_measured_only = true;
        status = draw_card(&c, &height, err);
        if (status != FC_OK) break;
        if (y > FC_MARGIN && y + height > bottom + 20) {
            c.cr = fc_pdf_page(pdf, "Features");
            y = FC_MARGIN;
        }
        page_of[i] = fc_pdf_pages(pdf);
        snprintf(name, sizeof name, "feature-%lld", (long long)c.feature->id);
        fc_pdf_anchor(pdf, name, y);
        snprintf(name, sizeof name, "Feature %lld", (long long)c.feature->id);
        fc_pdf_outline(pdf, 1, name);
        c.is_measured_only = false;
        status = draw_card(&c, &y, err);
        fc_progress_set(&progress, (double)i + 1);
    }
    fc_progress_end(&progress);
    fc_display_free(&display);
    return status;
}

static int by_id(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

void fc_pages_index(fc_pdf *pdf, const fc_report_data *data, const int *page_of)
{
    enum { N_COLUMNS = 6 };
    const double top = 92, row = 12.5, width = fc_column / N_COLUMNS;
    const int64_t rows_per_page = (int64_t)((FC_PAGE_HEIGHT - FC_MARGIN - top) / row);
    int64_t(*entry)[2] = NULL;
    if (data->n_cards == 0 ||
        fc_alloc(&entry, data->n_cards, sizeof *entry, "index", NULL) != FC_OK)
        return;
    for (int64_t i = 0; i < data->n_cards; i++)
        entry[i][0] = data->card[i], entry[i][1] = page_of[i];
    qsort(entry, (size_t)data->n_cards, sizeof *entry, by_id);
    cairo_t *cr = NULL;
    for (int64_t i = 0; i < data->n_cards; i++) {
        char text[64];
        const int64_t at = i % (rows_per_page * N_COLUMNS);
        if (at == 0) {
            cr = fc_pdf_page(pdf, "Index");
            if (i == 0) fc_pdf_outline(pdf, 0, "Index");
            fc_heading(cr, FC_MARGIN, "Index of features");
        }
        const double x = FC_MARGIN + (double)(at / rows_per_page) * width,
                     y = top + (double)(at % rows_per_page) * row;
        snprintf(text, sizeof text, "%lld", (long long)entry[i][0]);
        fc_text(cr, x, y, FC_LEFT, FC_TOP, fc_type_body, text);
        snprintf(text, sizeof text, "%lld", (long long)entry[i][1]);
        fc_text(cr, x + width - 18, y, FC_RIGHT, FC_TOP, fc_type_small, text);
        snprintf(text, sizeof text, "feature-%lld", (long long)entry[i][0]);
        fc_pdf_link(pdf, text, x, y, width - 18, row);
    }
    fc_free(entry);
}
