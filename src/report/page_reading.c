/* page_reading.c - how to read the report: what its numbers, cards and signs mean, once, in one place.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "report/display.h"
#include "report/pages.h"
#include "report/shaded.h"

enum { KEY_WIDTH = 92 };
static const double whole_height = 450;

typedef struct entry {
    const char *key, *text; /* text NULL: a heading; "": said by the study */
} entry;

static const char raises[] = "raises, lowers";

static const entry entries[] = {
    {"The numbers", NULL},
    {"explained variance",
     "The share of the activations\u2019 variance that the reconstruction keeps: 1 less "
     "squared error over variance. FVU is the rest."},
    {"L0", "How many features are above zero on a token, on average over the tokens."},
    {"dead", "A feature that no token of the study made fire."},
    {"activation",
     "In units of the normalised activations: comparable between the features of this "
     "run, not with another run on other activations."},
    {"Cards", NULL},
    {"description",
     "Found by rule, without a language model, from where a sample of the feature\u2019s "
     "activation lies. The share beside it says how much of all its activation falls on "
     "what it names; \u201cmixed\u201d: nothing that was tried explains half."},
    {"when strong",
     "What the activations above half of the maximum have in common, and for which part "
     "of these it holds. Weaker ones may have other causes, which the share counts."},
    {"When it fires", "A histogram of its activations above zero, up to the maximum."},
    {"Fires on",
     "Tokens by their share of the feature\u2019s activation. A bar under a token stands "
     "for the space before it."},
    {raises, ""},
    {"around",
     "Tokens before and after, and what else holds for half of the activation or more."},
    {"nearest",
     "Features by the cosine of their rows of the decoder; blue: with a card."},
    {"contexts",
     "The strongest, one from each document, then one from each fifth of the "
     "feature\u2019s range: they show whether it is clean. The value is that of the "
     "outlined token."},
    {"Signs", NULL},
    {"tokens",
     "In descriptions tokens stand in boxes: \u2026ing goes on a word, W\u2026 begins "
     "one. A space alone, a new line and control characters have small signs of their "
     "own."},
};

static void draw_entry(fc_flow *f, const char *key, const char *text)
{
    const double width = fc_column - KEY_WIDTH;
    const double height = fc_paragraph(f->cr, 0, 0, width, fc_type_body, 6, true, text);
    fc_flow_need(f, height);
    fc_text(f->cr, FC_MARGIN, f->y + 0.8, FC_LEFT, FC_TOP, fc_type_small, key);
    fc_paragraph(f->cr, FC_MARGIN + KEY_WIDTH, f->y, width, fc_type_body, 6, false, text);
    f->y += height + 4;
}

/* From white to dark red: an activation as a part of the feature's maximum. */
static void draw_shades(fc_flow *f)
{
    enum { N = 11 };
    const double left = FC_MARGIN + KEY_WIDTH, w = 26, gap = 2;
    fc_flow_need(f, 30);
    fc_text(f->cr, FC_MARGIN, f->y + 1.8, FC_LEFT, FC_TOP, fc_type_small, "shading");
    for (int i = 0; i < N; i++) {
        char text[16];
        const double share = (double)i / (N - 1), x = left + i * (w + gap);
        const fc_rgb c = fc_shade(share, 1);
        fc_type type = fc_type_tick;
        type.color = share > 0.75 ? 0xffffff : FC_INK;
        fc_rounded(f->cr, x, f->y, w, 13);
        cairo_set_source_rgb(f->cr, c.r, c.g, c.b);
        cairo_fill_preserve(f->cr);
        fc_color(f->cr, FC_GRID, 1);
        cairo_set_line_width(f->cr, 0.4);
        cairo_stroke(f->cr);
        snprintf(text, sizeof text, "%.1f", share);
        fc_text(f->cr, x + w / 2, f->y + 6.5, FC_CENTER, FC_MIDDLE, type, text);
    }
    fc_text(f->cr, left + N * (w + gap) + 6, f->y + 6.5, FC_LEFT, FC_MIDDLE,
            fc_type_small, "of the maximum");
    f->y += 20;
}

void fc_flow_reading(fc_flow *f, const fc_report_data *d)
{
    const char *lens = fc_features_run(d->db, "logit_lens");
    if (d->n_cards == 0) return;
    f->footer = "How to read it";
    f->y += 10;
    if (f->y + whole_height > FC_PAGE_BOTTOM) fc_flow_page(f);
    fc_pdf_outline(f->pdf, 0, f->y, f->footer);
    fc_flow_heading(f, f->footer);
    for (size_t i = 0; i < FC_LEN(entries); i++) {
        char text[512];
        fc_display_name(text, sizeof text, lens);
        if (entries[i].text == NULL) {
            f->y += i > 0 ? 8 : 0;
            fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_strong,
                    entries[i].key);
            f->y += 17;
        } else if (entries[i].text[0] != 0) {
            draw_entry(f, entries[i].key, entries[i].text);
        } else if (lens[0] != 0) {
            draw_entry(f, entries[i].key, text);
        }
    }
    draw_shades(f);
}
