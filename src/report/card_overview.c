/* card_overview.c - five columns of five lines, then a line each for surroundings and neighbours.
 *
 *   Activation         When it fires   Fires on         Raises        Lowers
 *   maximum    0.067   [histogram]     January  41 %    of   +0.94    film  -1.02
 *   ...                                ...              ...           ...
 *   around     before the 41 %   after was 21 %   lower case 98 %
 *   nearest    244 0.31   1350 0.27   ...
 *
 * A share is shown by the length of a pale bar behind its line. Tokens keep what room there is: they
 * are shortened, never the numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/card_overview.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/shaded.h"

enum { N_LINES = 5, STEP = 11, FIRST = 22 /* baseline below the top */ };
static const double line_height = 13.6;

static void draw_column_head(const fc_flow *f, double x, const char *text)
{
    fc_text(f->cr, x, f->y + 8, FC_LEFT, FC_BASELINE, fc_type_faint, text);
}

static double baseline_of(const fc_flow *f, int64_t i)
{
    return f->y + FIRST + STEP * (double)i;
}

/* ---- numbers and histogram ---- */

static void draw_numbers(const fc_flow *f, double width, const fc_feature *feature)
{
    static const char *const name[] = {"maximum", "mean", "share of tokens", "tokens"};
    char value[FC_LEN(name)][32];
    fc_type type = fc_type_number;
    type.weight = 600;
    fc_format_like(value[0], feature->max, feature->max);
    fc_format_like(value[1], feature->mean_active, feature->max);
    fc_format_percent(value[2], feature->frequency);
    fc_format_count(value[3], feature->n_active);
    draw_column_head(f, FC_MARGIN, "Activation");
    for (size_t i = 0; i < FC_LEN(name); i++) {
        const double y = baseline_of(f, (int64_t)i);
        fc_text(f->cr, FC_MARGIN, y, FC_LEFT, FC_BASELINE, fc_type_small, name[i]);
        fc_text(f->cr, FC_MARGIN + width, y, FC_RIGHT, FC_BASELINE, type, value[i]);
    }
}

static fc_status draw_histogram(const fc_flow *f, double x, double width,
                                const fc_report_data *d, const fc_feature *feature,
                                fc_err *err)
{
    int64_t bins[FC_HISTOGRAM_BINS];
    double edges[FC_HISTOGRAM_BINS + 1], heights[FC_HISTOGRAM_BINS], most = 1;
    char text[32];
    const fc_box box = {x, f->y + 15, width, baseline_of(f, 3) - f->y - 15};
    const double bottom = box.y + box.h;
    FC_TRY(fc_features_histogram(d->db, feature->id, bins, err));
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) {
        edges[i] = feature->max * i / FC_HISTOGRAM_BINS;
        heights[i] = (double)bins[i];
        most = fmax(most, heights[i]);
    }
    edges[FC_HISTOGRAM_BINS] = feature->max;
    const fc_axes a = {.box = box, .x1 = feature->max, .y1 = most};
    draw_column_head(f, x, "When it fires");
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

/* ---- tokens ---- */

static fc_status draw_tokens(const fc_flow *f, double x, double width,
                             const fc_report_data *d, int64_t feature, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    FC_TRY(fc_features_tokens(d->db, feature, &token, &n, err));
    if (n > 0) draw_column_head(f, x, "Fires on");
    for (int64_t i = 0; i < n && i < N_LINES; i++) {
        char share[32];
        const double y = baseline_of(f, i), part = fmin(1, fmax(0, token[i].share));
        fc_color(f->cr, 0xfeebcf, 1);
        cairo_rectangle(f->cr, x - 2, y - 7.4, (width + 4) * part, 9.6);
        cairo_fill(f->cr);
        FC_TRY(fc_token_label(f->cr, x, y, width - 34, token[i].token_id, token[i].bytes,
                              token[i].n_bytes, err));
        fc_format_percent(share, token[i].share);
        fc_text(f->cr, x + width, y, FC_RIGHT, FC_BASELINE, fc_type_number, share);
    }
    return FC_OK;
}

typedef struct scores { /* a column of them */
    const char *head;
    double x, width;
    const fc_token_score *token;
    int64_t n;
} scores;

static fc_status draw_scores(const fc_flow *f, const scores *s, fc_err *err)
{
    fc_type type = fc_type_faint;
    type.is_tabular = true;
    type.color = FC_SECONDARY;
    if (s->n > 0) draw_column_head(f, s->x, s->head);
    for (int64_t i = 0; i < s->n && i < N_LINES; i++) {
        char score[32], text[40];
        const double y = baseline_of(f, i);
        fc_format_like(score, s->token[i].score,
                       10 * fabs(s->token[0].score)); /* two digits */
        snprintf(text, sizeof text, "%s%s", s->token[i].score > 0 ? "+" : "", score);
        FC_TRY(fc_token_label(f->cr, s->x, y, s->width - 24, s->token[i].token_id,
                              s->token[i].bytes, s->token[i].n_bytes, err));
        fc_text(f->cr, s->x + s->width, y, FC_RIGHT, FC_BASELINE, type, text);
    }
    return FC_OK;
}

/* *is_drawn: whether there was anything. */
static fc_status draw_logits(const fc_flow *f, double x, const fc_report_data *d,
                             int64_t feature, bool *is_drawn, fc_err *err)
{
    scores up = {.head = "Raises", .x = x}, down = {.head = "Lowers"};
    const double gap = 15, width = (FC_MARGIN + fc_column - x - gap) / 2;
    FC_TRY(
        fc_features_logits(d->db, feature, &up.token, &up.n, &down.token, &down.n, err));
    *is_drawn = up.n > 0 || down.n > 0;
    down.x = x + width + gap;
    up.width = down.width = width;
    FC_TRY(draw_scores(f, &up, err));
    return draw_scores(f, &down, err);
}

fc_status fc_card_overview(fc_flow *f, const fc_report_data *d, const fc_feature *feature,
                           fc_err *err)
{
    const double fires = FC_MARGIN + 215, logits = FC_MARGIN + 324;
    bool has_logits = false;
    draw_numbers(f, 98, feature);
    FC_TRY(draw_histogram(f, FC_MARGIN + 114, 84, d, feature, err));
    FC_TRY(draw_logits(f, logits, d, feature->id, &has_logits, err));
    FC_TRY(draw_tokens(f, fires, has_logits ? 93 : FC_MARGIN + fc_column - fires, d,
                       feature->id, err));
    f->y += fc_card_overview_height;
    return FC_OK;
}

/* ---- surroundings and neighbours ---- */

static void draw_line_head(const fc_flow *f, double y, const char *text)
{
    fc_text(f->cr, FC_MARGIN, y, FC_LEFT, FC_BASELINE, fc_type_faint, text);
}

/* Neighbours are told from a tenth of the activation on, two of each side; other things when they hold
 * for half of it. */
static bool is_telling(const fc_profile_line *line, int64_t place)
{
    const bool is_token =
        strcmp(line->kind, "before") == 0 || strcmp(line->kind, "after") == 0;
    if (line->text[0] == 0) return false;
    return is_token ? line->share >= 0.1 && place < 2 : line->share >= 0.5;
}

static double width_of(cairo_t *cr, fc_type type, const char *text)
{
    PangoLayout *layout = fc_layout_new(cr, type, text);
    const double width = fc_layout_width(layout);
    g_object_unref(layout);
    return width;
}

/* "before the 41 %" from x on if there is room; returns where the next begins. */
static double draw_surrounding(cairo_t *cr, double x, double baseline, const char *head,
                               const char *text, const char *share)
{
    const double head_width = head[0] ? width_of(cr, fc_type_faint, head) + 4 : 0,
                 width = head_width + width_of(cr, fc_type_token, text) + 4 +
                         width_of(cr, fc_type_small, share);
    if (x + width > FC_MARGIN + fc_column) return x;
    if (head[0]) fc_text(cr, x, baseline, FC_LEFT, FC_BASELINE, fc_type_faint, head);
    fc_text(cr, x + head_width, baseline, FC_LEFT, FC_BASELINE, fc_type_token, text);
    fc_text(cr, x + width, baseline, FC_RIGHT, FC_BASELINE, fc_type_small, share);
    return x + width + 12;
}

/* In the order in which they are told; the last three say themselves what they are. */
static const struct {
    const char *kind, *head;
} surroundings[] = {{"before", "before"},
                    {"after", "after"},
                    {"slot", ""},
                    {"case", ""},
                    {"position", "at position"}};

/* Draws the lines of one kind from *x on. */
static fc_status draw_kind(const fc_flow *f, double baseline, double *x, size_t kind,
                           const fc_profile_line *line, int64_t n, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    for (int64_t i = 0, place = 0; i < n && status == FC_OK; i++) {
        char share[32];
        if (strcmp(line[i].kind, surroundings[kind].kind) != 0) continue;
        if (!is_telling(&line[i], place++)) continue;
        fc_strbuf_clear(&text);
        status = fc_display_text(&text, line[i].text,
                                 fc_min((int64_t)strlen(line[i].text), 60), err);
        fc_format_percent(share, line[i].share);
        if (status == FC_OK)
            *x = draw_surrounding(f->cr, *x, baseline,
                                  place == 1 ? surroundings[kind].head : "",
                                  fc_strbuf_text(&text), share);
    }
    fc_strbuf_free(&text);
    return status;
}

static fc_status draw_around(const fc_flow *f, double baseline,
                             const fc_profile_line *line, int64_t n, fc_err *err)
{
    double x = FC_MARGIN + FC_CARD_INDENT;
    draw_line_head(f, baseline, "around");
    for (size_t kind = 0; kind < FC_LEN(surroundings); kind++)
        FC_TRY(draw_kind(f, baseline, &x, kind, line, n, err));
    return FC_OK;
}

static void draw_nearest(const fc_flow *f, const fc_report_data *d, double baseline,
                         const fc_neighbour *neighbour, int64_t n)
{
    const double step = (fc_column - FC_CARD_INDENT) / 8;
    draw_line_head(f, baseline, "nearest");
    for (int64_t i = 0; i < n && i < 8; i++) {
        char text[32];
        fc_type type = fc_type_faint;
        type.is_tabular = true;
        double x = FC_MARGIN + FC_CARD_INDENT + step * (double)i;
        if (neighbour[i].feature < 0 || neighbour[i].feature >= d->n_features) continue;
        x += fc_flow_feature(f, d, neighbour[i].feature, x, baseline) + 4;
        snprintf(text, sizeof text, "%s%.2f", neighbour[i].cosine < 0 ? "\u2212" : "",
                 fabs(neighbour[i].cosine));
        fc_text(f->cr, x, baseline, FC_LEFT, FC_BASELINE, type, text);
    }
}

fc_status fc_card_lines(fc_flow *f, const fc_report_data *d, int64_t feature,
                        bool is_measured_only, double *height, fc_err *err)
{
    const fc_profile_line *line;
    const fc_neighbour *neighbour;
    int64_t n, n_telling = 0;
    const double top = f->y;
    *height = 0;
    FC_TRY(fc_features_profile(d->db, feature, &line, &n, err));
    for (int64_t i = 0; i < n; i++) n_telling += is_telling(&line[i], 0);
    if (n_telling > 0) {
        if (!is_measured_only) FC_TRY(draw_around(f, top + 9, line, n, err));
        *height += line_height;
    }
    FC_TRY(fc_features_neighbours(d->db, feature, &neighbour, &n, err));
    if (n > 0) {
        if (!is_measured_only) draw_nearest(f, d, top + *height + 9, neighbour, n);
        *height += line_height;
    }
    if (*height > 0) *height += 3;
    if (!is_measured_only) f->y += *height;
    return FC_OK;
}
