/* page_offline.c - what evaluations without text say one by one: the letters of the absorption test with
 * the features that stand for them, and how near the features of another SAE are.
 *
 *   letter  words  probe  best feature                      F1    split  full   by share
 *   t         412   0.93  1204  words that begin with t     0.81      2   3 %        7 %
 *
 * All of it is in eval.json, which may come from anywhere: a number that is not there is a dash, a
 * feature that does not exist is left out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/described.h"
#include "report/pages.h"

#define LITTLE_KNOWN 0.5 /* F1 of the probes below which rates say little */

static const double line = 15;
static const double words_right = 72, probe_right = 118, feature_left = 132,
                    text_left = 168, f1_right = 352, split_right = 388, full_right = 434;

static const json_t *offline_of(const fc_report_data *d)
{
    const json_t *own =
        json_object_get(json_object_get(d->eval, "eval_result_unstructured"), "facet");
    return json_object_get(own, "offline");
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

typedef enum shape { WHOLE, HUNDREDTHS, PERCENT } shape;

static void show_number(cairo_t *cr, double right, double baseline, shape as, double x)
{
    char text[32] = "\u2013";
    const bool is_shown = fabs(x) < 1e6; /* not NaN either */
    if (is_shown && as == PERCENT)
        snprintf(text, sizeof text, "%.0f %%", 100 * x);
    else if (is_shown)
        snprintf(text, sizeof text, "%.*f", as == WHOLE ? 0 : 2, x);
    fc_text(cr, FC_MARGIN + right, baseline, FC_RIGHT, FC_BASELINE, fc_type_number, text);
}

/* ---- letters ---- */

static void draw_head(fc_flow *f)
{
    const struct {
        double x;
        fc_align align;
        const char *text;
    } head[] = {{0, FC_LEFT, "Letter"},
                {words_right, FC_RIGHT, "words"},
                {probe_right, FC_RIGHT, "probe, F1"},
                {feature_left, FC_LEFT, "Best feature"},
                {f1_right, FC_RIGHT, "F1"},
                {split_right, FC_RIGHT, "split"},
                {full_right, FC_RIGHT, "absorbed"},
                {fc_column, FC_RIGHT, "by share"}};
    for (size_t i = 0; i < FC_LEN(head); i++)
        fc_text(f->cr, FC_MARGIN + head[i].x, f->y + 8, head[i].align, FC_BASELINE,
                fc_type_faint, head[i].text);
    fc_rule(f->cr, FC_MARGIN, f->y + 13, fc_column);
    f->y += 15;
}

/* The first of the letter's features, and what it is about. */
static fc_status draw_feature(const fc_flow *f, const fc_report_data *d,
                              const json_t *letter, double baseline, fc_err *err)
{
    const json_t *first = json_array_get(json_object_get(letter, "split_features"), 0);
    const json_int_t id = json_is_integer(first) ? json_integer_value(first) : -1;
    if (id < 0 || id >= (json_int_t)d->n_features) return FC_OK;
    fc_flow_feature(f, d, (int64_t)id, FC_MARGIN + feature_left, baseline);
    return fc_described_briefly(f->cr, FC_MARGIN + text_left, baseline,
                                f1_right - text_left - 34, fc_type_token,
                                d->feature[id].description, err);
}

static fc_status draw_letter(fc_flow *f, const fc_report_data *d, const json_t *letter,
                             fc_err *err)
{
    const char *name = json_string_value(json_object_get(letter, "first_letter"));
    const json_t *best = json_array_get(json_object_get(letter, "k_sparse_f1"), 0);
    const bool is_judged = number(letter, "num_probe_true_positives") > 0;
    const double missing = (double)NAN;
    if (name == NULL || name[0] < 'a' || name[0] > 'z' || name[1] != '\0') return FC_OK;
    fc_flow_need(f, line);
    const double baseline = f->y + 10;
    fc_text(f->cr, FC_MARGIN, baseline, FC_LEFT, FC_BASELINE, fc_type_strong, name);
    show_number(f->cr, words_right, baseline, WHOLE, number(letter, "words"));
    show_number(f->cr, probe_right, baseline, HUNDREDTHS, number(letter, "probe_f1"));
    FC_TRY(draw_feature(f, d, letter, baseline, err));
    show_number(f->cr, f1_right, baseline, HUNDREDTHS,
                json_is_number(best) ? json_number_value(best) : missing);
    show_number(f->cr, split_right, baseline, WHOLE,
                number(letter, "num_split_features"));
    show_number(f->cr, full_right, baseline, PERCENT,
                is_judged ? number(letter, "full_absorption_rate") : missing);
    show_number(f->cr, fc_column, baseline, PERCENT,
                is_judged ? number(letter, "mean_absorption_fraction") : missing);
    fc_rule(f->cr, FC_MARGIN, f->y + line - 0.6, fc_column);
    f->y += line;
    return FC_OK;
}

static void draw_letters_text(fc_flow *f, const json_t *absorption)
{
    const double words = number(absorption, "words"), f1 = number(absorption, "probe_f1");
    char text[900], of[32] = "Some";
    if (words >= 0 && words < 9e15) fc_format_count(of, (int64_t)words);
    snprintf(text, sizeof text,
             "%s words of the vocabulary were put before the model with the question for "
             "their first letter, after ten examples. A linear probe on the activations "
             "learns each letter; of features, those that tell the letter best are "
             "chosen, and a letter is split over as many as keep raising the F1 by more "
             "than 0.03. A word is absorbed when the probe finds its letter, none of "
             "these features fires, and another that points the probe\u2019s way does "
             "their work; by share counts partial cases.%s",
             of,
             f1 < LITTLE_KNOWN
                 ? " Here the probes themselves find few letters: the model hardly "
                   "knows them at this place, and the rates say little."
                 : "");
    f->y +=
        fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_small, 0, false, text);
    f->y += 10;
}

static fc_status draw_letters(fc_flow *f, const fc_report_data *d, fc_err *err)
{
    const json_t *absorption = json_object_get(offline_of(d), "absorption");
    const json_t *letters = json_object_get(absorption, "letters"), *letter;
    size_t i;
    if (json_array_size(letters) == 0) return FC_OK;
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "First letters: which features stand for them, and where they fall silent");
    f->y += 16;
    draw_letters_text(f, absorption);
    draw_head(f);
    json_array_foreach(letters, i, letter) FC_TRY(draw_letter(f, d, letter, err));
    f->y += 16;
    return FC_OK;
}

/* ---- another SAE ---- */

/* Cosines of the pairs: of features that have a partner. */
static bool bin_pairs(fc_bins *h, const json_t *stability)
{
    const json_t *pairs = json_object_get(stability, "features_of_pairs");
    const json_t *partner = json_object_get(pairs, "partner");
    const json_t *cosine = json_object_get(pairs, "cosine");
    fc_bins_linear(h, -0.2, 1.0);
    for (size_t i = 0; i < json_array_size(cosine); i++) {
        const double x = json_number_value(json_array_get(cosine, i));
        const json_t *other = json_array_get(partner, i);
        if (json_is_integer(other) && json_integer_value(other) >= 0)
            fc_bins_add(h, fmin(fmax(x, -0.2), 1.0), 1);
    }
    return h->max > 0;
}

static void draw_stability(fc_flow *f, const fc_report_data *d)
{
    const json_t *s = json_object_get(offline_of(d), "stability");
    const double same = number(s, "share_same"), mean = number(s, "mean_matched_cosine"),
                 height = 116;
    char text[640], note[64], share[32];
    fc_bins h;
    if (!bin_pairs(&h, s)) return;
    fc_flow_need(f, height + 60);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_chart,
            "The same features in another SAE");
    f->y += 16;
    fc_format_percent(share, same >= 0 && same <= 1 ? same : (double)NAN);
    snprintf(
        text, sizeof text,
        "Features of this SAE and of the other one are paired so that the sum of the "
        "cosines of their decoder rows is the largest there is%s. %s of pairs "
        "reach 0.7, which is taken for the same feature found twice.",
        json_is_true(json_object_get(s, "is_exact")) ? "" : ", as far as was sought",
        share);
    f->y +=
        fc_paragraph(f->cr, FC_MARGIN, f->y, fc_column, fc_type_small, 0, false, text);
    f->y += 8;
    const fc_axes a =
        fc_bins_draw(f->cr, (fc_box){FC_MARGIN, f->y, fc_column, height}, &h, false, NULL,
                     "cosine with the paired feature", "features");
    snprintf(note, sizeof note, "mean %.2f", mean);
    if (mean > -0.2 && mean < 1.0) fc_axes_mark(f->cr, &a, mean, note);
    fc_axes_mark(f->cr, &a, 0.7, "0.7");
    f->y += height + 14;
}

/* ---- the page ---- */

fc_status fc_page_offline(fc_pdf *pdf, const fc_report_data *d, fc_err *err)
{
    fc_flow f = {.pdf = pdf, .footer = "First letters"};
    fc_bins h;
    const json_t *offline = offline_of(d);
    const json_t *letters =
        json_object_get(json_object_get(offline, "absorption"), "letters");
    if (json_array_size(letters) == 0 &&
        !bin_pairs(&h, json_object_get(offline, "stability")))
        return FC_OK;
    if (json_array_size(letters) == 0) f.footer = "Another SAE";
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, f.footer);
    fc_flow_heading(&f, f.footer);
    FC_TRY(draw_letters(&f, d, err));
    draw_stability(&f, d);
    return FC_OK;
}
