/* page_eval.c - what the model keeps when the SAE stands in for the activations: four runs over one text,
 * what each costs, how the cost is spread over tokens, which tokens pay most, and what the weights
 * alone say.
 *
 *   as it is            3.578  |
 *   with the SAE        3.631  |##          +0.053
 *   with zeros          3.835  |##########  +0.257
 *
 * All of it is in eval.json, which may come from anywhere: a number that is not there is a dash.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/display.h"
#include "report/pages.h"

enum { MOST_WIDE = 66 }; /* a token of the list */
static const double line = 15, number_right = 178, bar_left = 190, bar_width = 150;

/* ---- reading ---- */

/* The member at "a/b/c" of an object, or NULL. */
static const json_t *member(const json_t *object, const char *path)
{
    char key[64];
    while (object != NULL && *path != '\0') {
        const size_t n = strcspn(path, "/");
        if (n >= sizeof key) return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        object = json_object_get(object, key);
        path += n + (path[n] == '/');
    }
    return object;
}

static const json_t *own(const fc_report_data *d)
{
    return member(d->eval, "eval_result_unstructured/facet");
}

static double number(const json_t *object, const char *path)
{
    const json_t *value = member(object, path);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* ---- the runs ---- */

static const struct {
    const char *name, *key;
    uint32_t color;
} runs[] = {
    {"as it is", "losses/original", FC_BLUE},
    {"with the SAE", "losses/sae", FC_BLUE},
    {"with zeros", "losses/zero_ablation", FC_VERMILION},
    {"with the mean", "losses/mean_ablation", FC_ORANGE},
};

static double loss_of(const fc_report_data *d, size_t run, const char *kind)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", runs[run].key, kind);
    return number(own(d), path);
}

static void format_nats(char out[32], double x, bool is_change)
{
    if (isfinite(x))
        snprintf(out, 32, "%s%.4f", x < 0 ? "\u2212" : is_change ? "+" : "", fabs(x));
    else
        snprintf(out, 32, "\u2013");
}

static void draw_run(fc_flow *f, const fc_report_data *d, size_t run, double most)
{
    char text[32];
    const double ce = loss_of(d, run, "cross_entropy"),
                 lost = ce - loss_of(d, 0, "cross_entropy"), baseline = f->y + 10;
    const bool has_bar = isfinite(lost) && lost > 0 && most > 0;
    const double width = has_bar ? bar_width * lost / most : 0;
    fc_text(f->cr, FC_MARGIN, baseline, FC_LEFT, FC_BASELINE, fc_type_body,
            runs[run].name);
    format_nats(text, ce, false);
    fc_text(f->cr, FC_MARGIN + number_right, baseline, FC_RIGHT, FC_BASELINE,
            fc_type_number, text);
    fc_color(f->cr, runs[run].color, 1);
    cairo_rectangle(f->cr, FC_MARGIN + bar_left, f->y + 3, width, 8);
    cairo_fill(f->cr);
    if (run > 0) {
        format_nats(text, lost, true);
        fc_text(f->cr, FC_MARGIN + bar_left + width + 5, baseline, FC_LEFT, FC_BASELINE,
                fc_type_number, text);
        format_nats(text, loss_of(d, run, "kl_divergence"), false);
        fc_text(f->cr, FC_MARGIN + fc_column, baseline, FC_RIGHT, FC_BASELINE,
                fc_type_number, text);
    }
    fc_rule(f->cr, FC_MARGIN, f->y + line - 0.6, fc_column);
    f->y += line;
}

static void draw_runs(fc_flow *f, const fc_report_data *d)
{
    const double first = loss_of(d, 0, "cross_entropy");
    double most = 0;
    for (size_t i = 1; i < FC_LEN(runs); i++) {
        const double lost = loss_of(d, i, "cross_entropy") - first;
        if (isfinite(lost)) most = fmax(most, lost);
    }
    fc_text(f->cr, FC_MARGIN, f->y + 8, FC_LEFT, FC_BASELINE, fc_type_faint, "The model");
    fc_text(f->cr, FC_MARGIN + number_right, f->y + 8, FC_RIGHT, FC_BASELINE,
            fc_type_faint, "cross-entropy");
    fc_text(f->cr, FC_MARGIN + bar_left, f->y + 8, FC_LEFT, FC_BASELINE, fc_type_faint,
            "more than as it is");
    fc_text(f->cr, FC_MARGIN + fc_column, f->y + 8, FC_RIGHT, FC_BASELINE, fc_type_faint,
            "KL divergence");
    fc_rule(f->cr, FC_MARGIN, f->y + 13, fc_column);
    f->y += 15;
    for (size_t i = 0; i < FC_LEN(runs); i++) draw_run(f, d, i, most);
    f->y += 10;
}

/* ---- numbers with a sentence ---- */

typedef enum shape { SHARE, PLAIN } shape;

typedef struct statement {
    const char *path;
    shape shape;
    const char *name, *meaning;
} statement;

static const statement kept[] = {
    {"recovered_from_zero_ablation/cross_entropy", SHARE, "loss recovered",
     "of what zeros cost in cross-entropy; 100 % would be no loss at all"},
    {"recovered_from_mean_ablation/cross_entropy", SHARE, "\u2026 against the mean",
     "of what the mean in its place costs"},
    {"recovered_from_zero_ablation/kl_divergence", SHARE, "divergence avoided",
     "of the KL divergence that zeros cause"},
    {"right_values/explained_variance", SHARE, "explained variance",
     "of the activations on this text, as the model sees them"},
    {"right_values/cosine_similarity", PLAIN, "cosine",
     "between activation and reconstruction, mean over tokens"},
    {"right_values/relative_reconstruction_bias", PLAIN, "shrinkage",
     "below 1 reconstructions are too short, above 1 too long"},
    {"right_values/l0", PLAIN, "features a token", "fire on this text (L0)"},
    {"right_values/frac_alive", SHARE, "features alive", "fire somewhere on this text"},
};

static const statement alone[] = {
    {"offline/geometry/decoder_effective_rank", PLAIN, "effective rank",
     "dimensions that decoder rows fill evenly"},
    {"offline/geometry/encoder_decoder_cosine/mean", PLAIN, "encoder and decoder",
     "mean cosine of a feature\u2019s two rows: 1 means it writes what it reads"},
    {"offline/absorption/mean/mean_full_absorption_score", SHARE, "absorption",
     "of first-letter words on which another feature stands in for the letter\u2019s "
     "own"},
    {"offline/absorption/one_feature_f1", PLAIN, "first letter, F1",
     "how well the best single feature tells a word\u2019s first letter"},
    {"offline/meta_structure/decoder_fraction_variance_explained", SHARE,
     "meta-structure",
     "of decoder rows are mixtures of four directions shared with others"},
    {"offline/stability/mean_matched_cosine", PLAIN, "stability",
     "mean cosine with the matched feature of another SAE"},
};

static void draw_statement(fc_flow *f, const json_t *from, const statement *s)
{
    char text[32] = "\u2013";
    const double x = number(from, s->path), baseline = f->y + 10;
    if (isfinite(x) && s->shape == SHARE)
        snprintf(text, sizeof text, "%.1f %%", 100 * x);
    else if (isfinite(x))
        fc_format_value(text, x, 3);
    fc_text(f->cr, FC_MARGIN, baseline, FC_LEFT, FC_BASELINE, fc_type_body, s->name);
    fc_text(f->cr, FC_MARGIN + number_right, baseline, FC_RIGHT, FC_BASELINE,
            fc_type_number, text);
    fc_line_cut(f->cr, FC_MARGIN + bar_left, baseline, fc_column - bar_left,
                fc_type_small, s->meaning);
    fc_rule(f->cr, FC_MARGIN, f->y + line - 0.6, fc_column);
    f->y += line;
}

static void draw_alone(fc_flow *f, const fc_report_data *d)
{
    bool has_any = false;
    for (size_t i = 0; i < FC_LEN(alone); i++)
        has_any |= member(own(d), alone[i].path) != NULL;
    if (!has_any) return;
    fc_flow_need(f, 20 + line * (double)(int)FC_LEN(alone));
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "What the weights alone say");
    f->y += 16;
    for (size_t i = 0; i < FC_LEN(alone); i++)
        if (member(own(d), alone[i].path) != NULL) draw_statement(f, own(d), &alone[i]);
    f->y += 12;
}

/* ---- tokens ---- */

static void draw_spread(fc_flow *f, const fc_report_data *d)
{
    const json_t *from = member(own(d), "token_delta_histogram");
    const json_t *counts = json_object_get(from, "counts");
    const double low = number(from, "from"), high = number(from, "to"), height = 125;
    char text[64];
    fc_bins h;
    if (json_array_size(counts) != FC_FIGURE_BINS || !(low < high)) return;
    fc_bins_linear(&h, low, high);
    for (size_t i = 0; i < FC_FIGURE_BINS; i++) {
        const double n = json_number_value(json_array_get(counts, i));
        if (n > 0) fc_bins_add(&h, (h.edge[i] + h.edge[i + 1]) / 2, n);
    }
    if (!(h.max > 0)) return;
    fc_flow_need(f, height);
    const fc_axes a = fc_bins_draw(
        f->cr, (fc_box){FC_MARGIN, f->y, fc_column, height}, &h, false,
        "What the SAE changes for each token",
        "loss with the SAE less loss as it is, nats (the ends hold all beyond)",
        "tokens");
    const double median = number(own(d), "token_deltas/median");
    snprintf(text, sizeof text, "median %s%.3f", median < 0 ? "\u2212" : "",
             fabs(median));
    if (median > low && median < high) fc_axes_mark(f->cr, &a, median, text);
    f->y += height + 14;
}

/* The end of a text that is shown before a token; begins at a character. */
static const char *tail_of(const char *text, size_t most)
{
    const size_t n = strlen(text);
    if (n <= most) return text;
    const char *at = text + (n - most);
    while ((*at & 0xc0) == 0x80) at++;
    return at;
}

static void show_text(char out[128], const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    fc_display_name(out, 128, tail_of(text != NULL ? text : "", 66));
}

/* At most MOST_WIDE, which is where fc_line_cut cuts. */
static double width_of(cairo_t *cr, fc_type type, const char *text)
{
    PangoLayout *layout = fc_layout_new(cr, type, text);
    const double width = fc_layout_width(layout);
    g_object_unref(layout);
    return fmin(width, MOST_WIDE);
}

static void draw_worst_token(fc_flow *f, const json_t *token)
{
    char before[128], at[128], next[128], change[32];
    const double middle = FC_MARGIN + 330, right = FC_MARGIN + fc_column,
                 baseline = f->y + 10;
    fc_type strong = fc_type_small;
    strong.weight = 600;
    strong.color = FC_INK;
    format_nats(change, number(token, "delta"), true);
    show_text(before, token, "before");
    show_text(at, token, "token");
    show_text(next, token, "next");
    fc_text(f->cr, FC_MARGIN + 36, baseline, FC_RIGHT, FC_BASELINE, fc_type_number,
            change);
    cairo_save(f->cr);
    cairo_rectangle(f->cr, FC_MARGIN + 46, f->y, middle - FC_MARGIN - 46, line);
    cairo_clip(f->cr);
    fc_text(f->cr, middle - 3, baseline, FC_RIGHT, FC_BASELINE, fc_type_small, before);
    cairo_restore(f->cr);
    fc_line_cut(f->cr, middle, baseline, MOST_WIDE, strong, at);
    const double x = middle + width_of(f->cr, strong, at) + 6;
    fc_text(f->cr, x, baseline, FC_LEFT, FC_BASELINE, fc_type_faint, "\u2192");
    fc_line_cut(f->cr, x + 14, baseline, right - x - 14, strong, next);
    fc_rule(f->cr, FC_MARGIN, f->y + line - 0.6, fc_column);
    f->y += line;
}

static void draw_worst(fc_flow *f, const fc_report_data *d)
{
    enum { MOST = 8 };
    const json_t *list = member(own(d), "worst_tokens");
    const int64_t n = fc_min(MOST, (int64_t)json_array_size(list));
    if (n == 0) return;
    fc_flow_need(f, 34 + line * (double)n);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "The tokens that lose most");
    f->y += 16;
    for (int64_t i = 0; i < n; i++) draw_worst_token(f, json_array_get(list, (size_t)i));
    f->y += 12;
}

/* ---- the page ---- */

static void draw_introduction(fc_flow *f, const fc_report_data *d)
{
    char text[640], rows[32] = "some";
    const double n = number(
        d->eval, "eval_result_metrics/token_stats/total_tokens_eval_reconstruction");
    if (n >= 0 && n < 9e15) fc_format_count(rows, (int64_t)n);
    snprintf(text, sizeof text,
             "%s tokens went through the model four times: as it is, and with the "
             "activations replaced by the SAE\u2019s reconstruction, by zeros, and by "
             "their mean. Cross-entropy is that of the next token; KL divergence "
             "compares the prediction with that of the model as it is; both in nats a "
             "token. Special tokens such as <bos> %s.",
             rows,
             strcmp(json_string_value(member(own(d), "special_tokens")) != NULL
                        ? json_string_value(member(own(d), "special_tokens"))
                        : "",
                    "replace") == 0
                 ? "are replaced as well"
                 : "are left alone and not counted");
    f->y +=
        fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_small, 0, false, text);
    f->y += 12;
}

fc_status fc_page_eval(fc_pdf *pdf, const fc_report_data *d, fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "What the model keeps"};
    (void)err;
    if (own(d) == NULL) return FC_OK;
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, f.footer);
    fc_flow_heading(&f, f.footer);
    draw_introduction(&f, d);
    draw_runs(&f, d);
    for (size_t i = 0; i < FC_LEN(kept); i++) draw_statement(&f, own(d), &kept[i]);
    f.y += 14;
    draw_spread(&f, d);
    draw_worst(&f, d);
    draw_alone(&f, d);
    return FC_OK;
}
