/* page_index.c - ways to a card: by number, by description, and from a token to the features that
 * fire on it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "report/described.h"
#include "report/pages.h"
#include "report/shaded.h"

static const double row = 13, first_baseline = 98, gap = 22;
static const double least_share =
    0.05; /* of a feature's activation, for a token's entry */

/* ---- cells in columns ---- */

typedef struct grid { /* n cells, down the columns of page after page */
    fc_flow *flow;
    const char *title, *note;
    int64_t n, n_columns;
    int64_t at, n_rows; /* of the current page */
} grid;

static void begin_page(grid *g, int64_t n_left)
{
    const int64_t most = (int64_t)((FC_PAGE_BOTTOM - first_baseline) / row) + 1;
    const bool is_first = g->n_rows == 0;
    g->at = 0;
    g->n_rows =
        fc_min(most, (n_left + g->n_columns - 1) / g->n_columns); /* even columns */
    fc_flow_page(g->flow);
    if (is_first) fc_pdf_outline(g->flow->pdf, 0, g->flow->y, g->title);
    fc_text(g->flow->cr, FC_MARGIN + fc_column, g->flow->y + 12.5, FC_RIGHT, FC_BASELINE,
            fc_type_faint, g->note);
    fc_flow_heading(g->flow, g->title);
}

/* Where the next cell goes; y is its baseline. */
static fc_box next_cell(grid *g)
{
    const double width =
        (fc_column - gap * (double)(g->n_columns - 1)) / (double)g->n_columns;
    if (g->at == g->n_rows * g->n_columns) begin_page(g, g->n);
    const int64_t column = g->at / g->n_rows, line = g->at % g->n_rows;
    g->at++;
    g->n--;
    return (fc_box){FC_MARGIN + (double)column * (width + gap),
                    first_baseline + (double)line * row, width, row};
}

static void draw_page_number(const fc_flow *f, fc_box cell, int page)
{
    char text[32];
    snprintf(text, sizeof text, "%d", page);
    fc_text(f->cr, cell.x + cell.w, cell.y, FC_RIGHT, FC_BASELINE, fc_type_faint, text);
}

/* ---- features ---- */

typedef struct entry {
    int64_t feature;
    int page;
    const char *key; /* for the order; "" when there is none */
} entry;

static int by_number(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* Without regard to the case of ASCII letters; bytes otherwise. */
static int compare_text(const char *a, const char *b)
{
    for (; *a && tolower((unsigned char)*a) == tolower((unsigned char)*b); a++, b++)
        ;
    return tolower((unsigned char)*a) - tolower((unsigned char)*b);
}

static bool is_mixed(const char *description)
{
    return strncmp(description, "mixed", 5) == 0;
}

/* Those that say least come last. */
static int by_description(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (is_mixed(x->key) != is_mixed(y->key)) return is_mixed(x->key) ? 1 : -1;
    const int order = compare_text(x->key, y->key);
    return order != 0 ? order : by_number(a, b);
}

/* What a description is found under: marks of quoting and of joined pieces do not count. */
static const char *key_of(const char *description)
{
    static const char joined[] = "\u2026";
    const char *key = description + (description[0] == '`');
    return strncmp(key, joined, 3) == 0 ? key + 3 : key;
}

/* The description, or the main token of a feature that has none. */
static fc_status draw_subject(const fc_flow *f, const fc_report_data *d, int64_t feature,
                              double x, double baseline, double width, fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    const char *description = d->feature[feature].description;
    if (description[0])
        return fc_described_briefly(f->cr, x, baseline, width, fc_type_token, description,
                                    err);
    FC_TRY(fc_features_tokens(d->db, feature, &token, &n, err));
    return n > 0 ? fc_token_label(f->cr, x, baseline, width, token->token_id,
                                  token->bytes, token->n_bytes, err)
                 : FC_OK;
}

static fc_status draw_by_number(fc_flow *f, const fc_report_data *d, const entry *entries,
                                fc_err *err)
{
    grid g = {.flow = f,
              .title = "Index of features",
              .note = "number, description, page",
              .n = d->n_cards,
              .n_columns = 2};
    for (int64_t i = 0; i < d->n_cards; i++) {
        const fc_box cell = next_cell(&g);
        fc_flow_feature(f, d, entries[i].feature, cell.x, cell.y);
        FC_TRY(draw_subject(f, d, entries[i].feature, cell.x + 34, cell.y, cell.w - 56,
                            err));
        draw_page_number(f, cell, entries[i].page);
        fc_flow_link(f, d, entries[i].feature,
                     (fc_box){cell.x + 34, cell.y - 9, cell.w - 34, row});
    }
    return FC_OK;
}

static fc_status draw_by_description(fc_flow *f, const fc_report_data *d,
                                     const entry *entries, int64_t n, fc_err *err)
{
    grid g = {.flow = f,
              .title = "Index of descriptions",
              .note = "description, number, page",
              .n = n,
              .n_columns = 2};
    for (int64_t i = 0; i < n; i++) {
        const fc_box cell = next_cell(&g);
        FC_TRY(draw_subject(f, d, entries[i].feature, cell.x, cell.y, cell.w - 62, err));
        fc_flow_feature(f, d, entries[i].feature, cell.x + cell.w - 48, cell.y);
        draw_page_number(f, cell, entries[i].page);
        fc_flow_link(f, d, entries[i].feature,
                     (fc_box){cell.x, cell.y - 9, cell.w - 52, row});
    }
    return FC_OK;
}

static fc_status draw_features(fc_flow *f, const fc_report_data *d, const int *page_of,
                               fc_err *err)
{
    entry *entries = NULL;
    fc_status status;
    int64_t n = 0;
    FC_TRY(fc_alloc(&entries, d->n_cards, sizeof *entries, "index", err));
    for (int64_t i = 0; i < d->n_cards; i++)
        entries[i] =
            (entry){d->card[i], page_of[i], key_of(d->feature[d->card[i]].description)};
    qsort(entries, (size_t)d->n_cards, sizeof *entries, by_number);
    FC_TRY_GOTO(draw_by_number(f, d, entries, err));
    for (int64_t i = 0; i < d->n_cards; i++) /* alone, "mixed" leads nowhere */
        if (entries[i].key[0] && strcmp(entries[i].key, "mixed") != 0)
            entries[n++] = entries[i];
    if (n > 0) qsort(entries, (size_t)n, sizeof *entries, by_description);
    FC_TRY_GOTO(draw_by_description(f, d, entries, n, err));
done:
    fc_free(entries);
    return status;
}

/* ---- tokens ---- */

typedef struct firing { /* a feature that fires on a token */
    int64_t feature;
    int32_t token;
    double share;
    int64_t text; /* where in the texts; then n_bytes of it */
    int64_t n_bytes;
    const char *bytes; /* the same once the texts are complete */
} firing;

typedef struct firings {
    firing *list;
    int64_t n, capacity;
    fc_strbuf texts;
} firings;

static fc_status gather(firings *all, const fc_report_data *d, int64_t feature,
                        fc_err *err)
{
    const fc_token_share *token;
    int64_t n;
    FC_TRY(fc_features_tokens(d->db, feature, &token, &n, err));
    for (int64_t i = 0; i < n && token[i].share >= least_share; i++) {
        const int64_t n_bytes = fc_display_cut(token[i].bytes, token[i].n_bytes);
        FC_TRY(fc_grow(&all->list, &all->capacity, all->n + 1, sizeof *all->list,
                       "index of tokens", err));
        all->list[all->n++] = (firing){feature,      token[i].token_id, token[i].share,
                                       all->texts.n, n_bytes,           NULL};
        FC_TRY(fc_strbuf_add(&all->texts, token[i].bytes, n_bytes, err));
        FC_TRY(fc_strbuf_add(&all->texts, "", 1, err)); /* ends a text for compare_text */
    }
    return FC_OK;
}

static const char *after_spaces(const char *text)
{
    while (*text == ' ') text++;
    return text;
}

static int by_token(const void *a, const void *b)
{
    const firing *x = a, *y = b;
    const int order = compare_text(after_spaces(x->bytes), after_spaces(y->bytes));
    if (order != 0) return order;
    if (x->token != y->token) return x->token < y->token ? -1 : 1;
    if (x->share != y->share) return x->share > y->share ? -1 : 1;
    return x->feature < y->feature ? -1 : x->feature > y->feature;
}

/* One token with as many of its features as there is room for. */
static fc_status draw_token(grid *g, const fc_report_data *d, const firing *first,
                            int64_t n, fc_err *err)
{
    const double label = 54, more_width = 17, slot = d->n_features > 9999 ? 30 : 24;
    const fc_box cell = next_cell(g);
    const double from = cell.x + label + 6, to = cell.x + cell.w - more_width + 4;
    const int64_t n_slots = to > from ? (int64_t)((to - from) / slot) : 0;
    const int64_t n_shown = fc_min(n, n_slots);
    FC_TRY(fc_token_label(g->flow->cr, cell.x, cell.y, label, first->token, first->bytes,
                          first->n_bytes, err));
    for (int64_t i = 0; i < n_shown; i++)
        fc_flow_feature(g->flow, d, first[i].feature, from + (double)i * slot, cell.y);
    if (n_shown < n) {
        char more[32];
        snprintf(more, sizeof more, "+%" PRId64, n - n_shown);
        fc_text(g->flow->cr, cell.x + cell.w, cell.y, FC_RIGHT, FC_BASELINE,
                fc_type_faint, more);
    }
    return FC_OK;
}

static int64_t count_same(const firings *all, int64_t i)
{
    int64_t n = 1;
    while (i + n < all->n && all->list[i + n].token == all->list[i].token) n++;
    return n;
}

static fc_status draw_tokens(fc_flow *f, const fc_report_data *d, fc_err *err)
{
    firings all = {0};
    grid g = {.flow = f,
              .title = "Index of tokens",
              .note =
                  "tokens that carry 5 % of a feature\u2019s activation or more, with "
                  "those features",
              .n_columns = 3};
    fc_status status = FC_OK;
    for (int64_t i = 0; i < d->n_cards; i++)
        FC_TRY_GOTO(gather(&all, d, d->card[i], err));
    for (int64_t i = 0; i < all.n; i++)
        all.list[i].bytes = fc_strbuf_text(&all.texts) + all.list[i].text;
    if (all.n > 0) qsort(all.list, (size_t)all.n, sizeof *all.list, by_token);
    for (int64_t i = 0; i < all.n; i += count_same(&all, i)) g.n++;
    for (int64_t i = 0, n; i < all.n; i += n) {
        n = count_same(&all, i);
        FC_TRY_GOTO(draw_token(&g, d, &all.list[i], n, err));
    }
done:
    fc_strbuf_free(&all.texts);
    fc_free(all.list);
    return status;
}

fc_status fc_pages_index(fc_pdf *pdf, const fc_report_data *d, const int *page_of,
                         fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "Index"};
    if (d->n_cards == 0) return FC_OK;
    FC_TRY(draw_features(&f, d, page_of, err));
    return draw_tokens(&f, d, err);
}
