/* described.c - descriptions: plain words around boxed tokens.
 *
 * A token runs from a backtick to the next one but at least over one character, so that the token
 * "`" can be quoted too. A mark without a partner is shown as it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/described.h"

#include <limits.h>
#include <string.h>

#include "base/macros.h"
#include "report/display.h"

static const double above = 0.92, below = 0.28, pad = 1.5;
static const uint32_t paper = 0xededf1;

/* The mark that ends the token which begins at `text`, or NULL. */
static const char *find_end(const char *text)
{
    return *text ? strchr(text + 1, '`') : NULL;
}

/* Appends the shown text; where tokens begin and end goes to d, if given. */
static fc_status take_apart(fc_strbuf *out, fc_described *d, const char *text,
                            fc_err *err)
{
    while (*text) {
        const char *mark = strchr(text, '`');
        const char *end = mark != NULL ? find_end(mark + 1) : NULL;
        const int64_t n = end != NULL ? mark - text : (int64_t)strlen(text);
        FC_TRY(fc_display_text(out, text, n, err));
        if (end == NULL) return FC_OK;
        const int begin = (int)out->n;
        FC_TRY(fc_display_text(out, mark + 1, end - mark - 1, err));
        if (d != NULL && d->n_tokens < FC_DESCRIBED_TOKENS) {
            d->token[d->n_tokens][0] = begin;
            d->token[d->n_tokens++][1] = (int)out->n;
        }
        text = end + 1;
    }
    return FC_OK;
}

fc_status fc_described_plain(fc_strbuf *out, const char *text, fc_err *err)
{
    return take_apart(out, NULL, text, err);
}

/* The words around the tokens are English, whatever the first token is. */
static void set_left_to_right(PangoLayout *layout)
{
    pango_context_set_base_dir(pango_layout_get_context(layout), PANGO_DIRECTION_LTR);
    pango_layout_set_auto_dir(layout, FALSE);
    pango_layout_context_changed(layout);
}

fc_status fc_described_init(fc_described *d, cairo_t *cr, const char *text, fc_err *err)
{
    fc_strbuf shown = {0};
    const fc_status status = take_apart(&shown, d, text, err);
    if (status == FC_OK) {
        d->layout = fc_layout_new(cr, d->type, fc_strbuf_text(&shown));
        set_left_to_right(d->layout);
        pango_layout_set_width(d->layout, (int)(d->width * PANGO_SCALE));
        pango_layout_set_wrap(d->layout, PANGO_WRAP_WORD_CHAR);
        pango_layout_set_line_spacing(d->layout, 1.28F);
        pango_layout_set_height(d->layout, -d->max_lines);
        pango_layout_set_ellipsize(d->layout, PANGO_ELLIPSIZE_END);
        if (d->max_lines == 1) pango_layout_set_single_paragraph_mode(d->layout, TRUE);
    }
    fc_strbuf_free(&shown);
    return status;
}

double fc_described_height(const fc_described *d)
{
    int h;
    pango_layout_get_size(d->layout, NULL, &h);
    return (double)h / PANGO_SCALE;
}

double fc_described_width(const fc_described *d)
{
    return fc_layout_width(d->layout);
}

/* Where an ellipsis begins to stand for text of the line; INT_MAX without one. */
static int hidden_from(PangoLayoutLine *line)
{
    for (const GSList *at = line->runs; at != NULL; at = at->next) {
        const PangoItem *item = ((const PangoGlyphItem *)at->data)->item;
        if (item->analysis.flags & PANGO_ANALYSIS_FLAG_IS_ELLIPSIS) return item->offset;
    }
    return INT_MAX;
}

/* The part of a token that lies on a line. */
static void draw_box(const fc_described *d, cairo_t *cr, PangoLayoutLine *line,
                     const int token[2], double x, double baseline)
{
    int *range, n;
    const int begin = MAX(token[0], line->start_index),
              end =
                  MIN(MIN(token[1], line->start_index + line->length), hidden_from(line));
    if (begin >= end) return;
    pango_layout_line_get_x_ranges(line, begin, end, &range, &n);
    for (int i = 0; i < n; i++) {
        const double x0 = x + (double)range[2 * i] / PANGO_SCALE,
                     x1 = x + (double)range[2 * i + 1] / PANGO_SCALE;
        if (x1 - x0 < 0.01) continue;
        fc_rounded(cr, x0 - pad, baseline - above * d->type.size, x1 - x0 + 2 * pad,
                   (above + below) * d->type.size);
        fc_color(cr, paper, 1);
        cairo_fill(cr);
    }
    g_free(range);
}

void fc_described_draw(const fc_described *d, cairo_t *cr, double x, double baseline)
{
    const double y =
        baseline - (double)pango_layout_get_baseline(d->layout) / PANGO_SCALE;
    PangoLayoutIter *iter = pango_layout_get_iter(d->layout);
    do {
        PangoLayoutLine *line = pango_layout_iter_get_line_readonly(iter);
        const double at = y + (double)pango_layout_iter_get_baseline(iter) / PANGO_SCALE;
        for (int i = 0; i < d->n_tokens; i++) draw_box(d, cr, line, d->token[i], x, at);
    } while (pango_layout_iter_next_line(iter));
    pango_layout_iter_free(iter);
    fc_layout_show(cr, d->layout, x, y, d->type.color);
}

void fc_described_free(fc_described *d)
{
    if (d->layout != NULL) g_object_unref(d->layout);
    d->layout = NULL;
    d->n_tokens = 0;
}

fc_status fc_described_line(cairo_t *cr, double x, double baseline, double width,
                            fc_type type, const char *text, fc_err *err)
{
    fc_described d = {.type = type, .width = width, .max_lines = 1};
    const fc_status status = fc_described_init(&d, cr, text, err);
    if (status == FC_OK) fc_described_draw(&d, cr, x, baseline);
    fc_described_free(&d);
    return status;
}

/* The "; " that ends the first part, or the end of the text. */
static int64_t first_part(const char *text)
{
    bool is_token = false;
    for (int64_t i = 0; text[i]; i++) {
        if (text[i] == '`') is_token = !is_token;
        if (!is_token && text[i] == ';' && text[i + 1] == ' ') return i;
    }
    return (int64_t)strlen(text);
}

fc_status fc_described_briefly(cairo_t *cr, double x, double baseline, double width,
                               fc_type type, const char *text, fc_err *err)
{
    fc_strbuf part = {0};
    fc_status status = fc_strbuf_add(&part, text, first_part(text), err);
    if (status == FC_OK)
        status =
            fc_described_line(cr, x, baseline, width, type, fc_strbuf_text(&part), err);
    fc_strbuf_free(&part);
    return status;
}
