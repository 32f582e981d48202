/* page_cards.c - one card a feature: what it is about, numbers, tokens, what makes it fire.
 *
 *   Feature 1177                                  number 3 of 535 by maximum
 *   ------------------------------------------------------------------------
 *   months before a day number                         71 % of its activation
 *   numbers, histogram, tokens ...                            card_overview.c
 *   0.834  the treaty was signed on [October] 8                  Treaty of ...
 *   ...
 *
 * Every context is one line, so a card's height is known before it is drawn: two full cards fill a
 * page, and none is ever cut. Each line of a description beyond the first costs a context. The
 * pass that counts pages draws no card.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "report/card_overview.h"
#include "report/described.h"
#include "report/pages.h"
#include "report/shaded.h"

enum { MAX_STRONG = 8, MAX_WEAK = 4, MAX_DESCRIPTION = 4 /* lines */ };

static const double head = 27, label = 12, row = 14.6, gap = 22, purity_width = 120;
static const double value_width = 30, title_width = 96;

typedef struct card { /* one feature's, being drawn */
    const fc_feature *feature;
    fc_described description; /* no layout: none */
    double lines_height;      /* of surroundings and neighbours */
    int64_t most_strong;      /* contexts */
} card;

/* ---- head and description ---- */

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
    fc_rule(f->cr, FC_MARGIN, f->y + 19, fc_column);
}

static double description_height(const card *c)
{
    return c->description.layout ? fc_described_height(&c->description) + 5 : 0;
}

static void draw_description(fc_flow *f, const card *c)
{
    char text[64], purity[32];
    if (c->description.layout == NULL) return;
    fc_described_draw(&c->description, f->cr, FC_MARGIN, f->y + 9.2);
    fc_format_percent(purity, c->feature->purity);
    snprintf(text, sizeof text, "%s of its activation", purity);
    if (c->feature->purity > 0)
        fc_text(f->cr, FC_MARGIN + fc_column, f->y + 9.2, FC_RIGHT, FC_BASELINE,
                fc_type_small, text);
    f->y += description_height(c);
}

/* ---- contexts ---- */

/* The strongest contexts and one from each weaker range; the top range is the strongest's. */
static bool is_shown(const card *c, const fc_context *context, int64_t n, int64_t i,
                     int64_t *n_strong, int64_t *n_weak)
{
    const int64_t quantile = context[i].quantile;
    if (quantile == 0) return ++*n_strong <= c->most_strong;
    bool is_top = true, is_first = true;
    for (int64_t k = 0; k < n; k++) {
        if (context[k].quantile > quantile) is_top = false;
        if (k < i && context[k].quantile == quantile) is_first = false;
    }
    return is_first && !is_top && ++*n_weak <= MAX_WEAK;
}

static double card_height(const card *c, const fc_context *context, int64_t n)
{
    int64_t n_strong = 0, n_weak = 0, n_rows = 0;
    for (int64_t i = 0; i < n; i++)
        n_rows += is_shown(c, context, n, i, &n_strong, &n_weak);
    return head + description_height(c) + fc_card_overview_height + c->lines_height +
           (n_strong > 0 ? label : 0) + (n_weak > 0 ? label + 4 : 0) +
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
    FC_TRY(fc_shaded_line(f->cr, FC_MARGIN + FC_CARD_INDENT, baseline, width, display,
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
    fc_text(f->cr, FC_MARGIN + FC_CARD_INDENT, f->y + 8, FC_LEFT, FC_BASELINE,
            fc_type_faint, text);
    f->y += label;
}

static fc_status draw_contexts(fc_flow *f, const card *c, const fc_context *context,
                               int64_t n, fc_display *display, fc_err *err)
{
    int64_t n_strong = 0, n_weak = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool is_strong = context[i].quantile == 0;
        if (!is_shown(c, context, n, i, &n_strong, &n_weak)) continue;
        if (is_strong && n_strong == 1) draw_label(f, "Strongest contexts");
        if (!is_strong && n_weak == 1) {
            f->y += 4;
            draw_label(f, "Weaker, one from each part of its range");
        }
        FC_TRY(draw_context(f, &context[i], c->feature->max, display, err));
    }
    return FC_OK;
}

/* ---- cards ---- */

/* Everything that decides on the card's height. */
static fc_status measure(card *c, fc_flow *f, const fc_report_data *d, fc_err *err)
{
    fc_described *said = &c->description;
    said->type = fc_type_strong;
    said->width = fc_column - purity_width;
    said->max_lines = MAX_DESCRIPTION;
    c->most_strong = MAX_STRONG;
    if (c->feature->description[0]) {
        FC_TRY(fc_described_init(said, f->cr, c->feature->description, err));
        const int n_lines = pango_layout_get_line_count(said->layout);
        c->most_strong -= n_lines - 1;
    }
    return fc_card_lines(f, d, c->feature->id, true, &c->lines_height, err);
}

/* Anchor and entry of the outline: "254  film". */
static fc_status announce(const fc_flow *f, const fc_feature *feature, fc_err *err)
{
    char name[96];
    fc_strbuf title = {0};
    fc_status status;
    snprintf(name, sizeof name, "feature-%" PRId64, feature->id);
    fc_pdf_anchor(f->pdf, name, f->y);
    FC_TRY_GOTO(fc_strbuf_addf(&title, err, "%" PRId64 "  ", feature->id));
    FC_TRY_GOTO(fc_described_plain(&title, feature->description, err));
    fc_display_name(name, sizeof name, fc_strbuf_text(&title));
    fc_pdf_outline(f->pdf, 1, f->y, name);
done:
    fc_strbuf_free(&title);
    return status;
}

static fc_status draw_card(fc_flow *f, const fc_report_data *d, card *c, int *page,
                           fc_display *display, fc_err *err)
{
    const fc_context *context;
    int64_t n;
    const int64_t id = c->feature->id;
    FC_TRY(measure(c, f, d, err));
    FC_TRY(fc_features_contexts(d->db, id, &context, &n, err));
    const double height = card_height(c, context, n);
    fc_flow_need(f, height);
    *page = fc_pdf_pages(f->pdf);
    const double next = f->y + height + gap;
    if (fc_pdf_is_counting(f->pdf)) {
        f->y = next;
        return FC_OK;
    }
    FC_TRY(announce(f, c->feature, err));
    draw_head(f, d, c->feature);
    f->y += head;
    draw_description(f, c);
    FC_TRY(fc_card_overview(f, d, c->feature, err));
    FC_TRY(fc_card_lines(f, d, id, false, &c->lines_height, err));
    FC_TRY(fc_features_contexts(d->db, id, &context, &n, err)); /* the loan had ended */
    FC_TRY(draw_contexts(f, c, context, n, display, err));
    f->y = next; /* as when counting, to the bit */
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
        card c = {.feature = &d->feature[d->card[i]]};
        status = draw_card(&f, d, &c, &page_of[i], &display, err);
        fc_described_free(&c.description);
        fc_progress_set(&progress, (double)i + 1);
    }
    fc_progress_end(&progress);
    fc_display_free(&display);
    return status;
}
