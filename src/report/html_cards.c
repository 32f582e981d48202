/* html_cards.c - the cards of live features as bytes, 64 to a block.
 *
 * A block, before zlib and base64, is three streams; like things beside each other deflate better
 * than card after card. v is a varint: 7 bits a byte, low first, the high bit says that more
 * follow.
 *
 *   v bytes of numbers, v bytes of pieces, numbers, pieces, activations
 *
 *   numbers, card after card, counts before lists:
 *     v n, n x (v count)                            histogram, equal bins of (0, maximum]
 *     v n, n x (v piece, v share, v times)          what it fires on; share in 1/10000
 *     v n, n x (v feature, v cosine)                nearest; (cosine + 1) in 1/1000
 *     v n, n x (v piece, v score), twice            logits raised, lowered; |score| in 1/1000
 *     v n, n x (v kind, v text, v share)            surroundings: numbers of phrases
 *     v n, n x (v quantile, v value, v title, v peak, v n_pieces)
 *                                                   contexts; value in 1/10000 of the maximum
 *   pieces: of all contexts in order, v each
 *   activations: as many, a byte each, 255 = the feature's maximum; 0 only where it does not fire
 *
 * A run so large that the page would pass 15 MB keeps fewer contexts of each weaker range, then fewer
 * of the strongest.
 *
 * A piece is what a reader takes for the text of one token, made by display.h as for the PDF: the
 * page shows texts and knows nothing of bytes and encodings.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "formats/embed.h"
#include "report/display.h"
#include "report/html_data.h"

enum { MOST_PIECES = 2700000 /* shown in all contexts: 10 MB of the page */ };

typedef struct block { /* being made */
    fc_strbuf numbers, pieces, activations;
    fc_display display;
    fc_strbuf text; /* scratch */
} block;

/* ---- numbers and texts ---- */

static fc_status put(fc_strbuf *out, int64_t value, fc_err *err)
{
    uint8_t bytes[10];
    int64_t n = 0;
    uint64_t rest = (uint64_t)fc_max(value, 0);
    for (; rest >= 0x80; rest >>= 7) bytes[n++] = (uint8_t)(rest & 0x7f) | 0x80;
    bytes[n++] = (uint8_t)rest;
    return fc_strbuf_add(out, bytes, n, err);
}

/* A fraction in units of 1/scale; what no reading can give counts as 0. */
static fc_status put_scaled(fc_strbuf *out, double value, double scale, fc_err *err)
{
    const double x = value * scale;
    return put(out, x > 0 && x < 1e15 ? (int64_t)lround(x) : 0, err);
}

static fc_status piece_number(fc_html_cards *c, block *b, const char *bytes,
                              int64_t n_bytes, int64_t *number, fc_err *err)
{
    const int64_t n = fc_display_cut(bytes, n_bytes);
    fc_strbuf_clear(&b->text);
    FC_TRY(fc_display_text(&b->text, bytes, n, err));
    if (n < n_bytes) FC_TRY(fc_strbuf_add(&b->text, "\u2026", 3, err));
    return fc_strings_number(&c->pieces, fc_strbuf_text(&b->text), b->text.n, number,
                             err);
}

static fc_status text_number(fc_strings *strings, const char *text, int64_t *number,
                             fc_err *err)
{
    enum { MOST_BYTES = 256 };
    char shown[MOST_BYTES];
    fc_display_name(shown, sizeof shown, text);
    return fc_strings_number(strings, shown, (int64_t)strlen(shown), number, err);
}

/* ---- the parts of a card ---- */

static fc_status put_histogram(block *b, const fc_report_data *d, int64_t id, fc_err *err)
{
    int64_t bins[FC_HISTOGRAM_BINS];
    FC_TRY(fc_features_histogram(d->db, id, bins, err));
    FC_TRY(put(&b->numbers, FC_HISTOGRAM_BINS, err));
    for (int i = 0; i < FC_HISTOGRAM_BINS; i++) FC_TRY(put(&b->numbers, bins[i], err));
    return FC_OK;
}

static fc_status put_tokens(fc_html_cards *c, block *b, const fc_report_data *d,
                            int64_t id, fc_err *err)
{
    const fc_token_share *token;
    int64_t n, piece;
    FC_TRY(fc_features_tokens(d->db, id, &token, &n, err));
    FC_TRY(put(&b->numbers, n, err));
    for (int64_t i = 0; i < n; i++) {
        FC_TRY(piece_number(c, b, token[i].bytes, token[i].n_bytes, &piece, err));
        FC_TRY(put(&b->numbers, piece, err));
        FC_TRY(put_scaled(&b->numbers, token[i].share, 10000, err));
        FC_TRY(put(&b->numbers, token[i].n, err));
        if (i < FC_HTML_TOKENS) c->tokens[id * FC_HTML_TOKENS + i] = piece;
    }
    return FC_OK;
}

static fc_status put_neighbours(fc_html_cards *c, block *b, const fc_report_data *d,
                                int64_t id, fc_err *err)
{
    const fc_neighbour *neighbour;
    int64_t n;
    FC_TRY(fc_features_neighbours(d->db, id, &neighbour, &n, err));
    FC_TRY(put(&b->numbers, n, err));
    for (int64_t i = 0; i < n; i++) {
        FC_TRY(put(&b->numbers, neighbour[i].feature, err));
        FC_TRY(put_scaled(&b->numbers, neighbour[i].cosine + 1, 1000, err));
    }
    if (n > 0) c->nearest[id] = neighbour[0].cosine;
    return FC_OK;
}

static fc_status put_scores(fc_html_cards *c, block *b, const fc_token_score *score,
                            int64_t n, fc_err *err)
{
    int64_t piece;
    FC_TRY(put(&b->numbers, n, err));
    for (int64_t i = 0; i < n; i++) {
        FC_TRY(piece_number(c, b, score[i].bytes, score[i].n_bytes, &piece, err));
        FC_TRY(put(&b->numbers, piece, err));
        FC_TRY(put_scaled(&b->numbers, fabs(score[i].score), 1000, err));
    }
    return FC_OK;
}

static fc_status put_logits(fc_html_cards *c, block *b, const fc_report_data *d,
                            int64_t id, fc_err *err)
{
    const fc_token_score *raised, *lowered;
    int64_t n_raised, n_lowered;
    FC_TRY(fc_features_logits(d->db, id, &raised, &n_raised, &lowered, &n_lowered, err));
    FC_TRY(put_scores(c, b, raised, n_raised, err));
    return put_scores(c, b, lowered, n_lowered, err);
}

static fc_status put_profile(fc_html_cards *c, block *b, const fc_report_data *d,
                             int64_t id, fc_err *err)
{
    const fc_profile_line *line;
    int64_t n, number;
    FC_TRY(fc_features_profile(d->db, id, &line, &n, err));
    FC_TRY(put(&b->numbers, n, err));
    for (int64_t i = 0; i < n; i++) {
        FC_TRY(text_number(&c->phrases, line[i].kind, &number, err));
        FC_TRY(put(&b->numbers, number, err));
        FC_TRY(text_number(&c->phrases, line[i].text, &number, err));
        FC_TRY(put(&b->numbers, number, err));
        FC_TRY(put_scaled(&b->numbers, line[i].share, 10000, err));
    }
    return FC_OK;
}

/* ---- contexts ---- */

static uint8_t shade(double activation, double max)
{
    const double t = activation / max;
    return t > 0 ? (uint8_t)fmax(1, round(255 * fmin(t, 1))) : 0;
}

/* Where the peak is among the spans: its own, or that of the character it is a part of. */
static int64_t find_peak(const fc_display *display, int64_t peak)
{
    int64_t found = 0;
    for (int64_t i = 0; i < display->n_spans && display->span[i].token <= peak; i++)
        found = i;
    return found;
}

static fc_status put_context(fc_html_cards *c, block *b, const fc_context *context,
                             double max, fc_err *err)
{
    const fc_display *display = &b->display;
    int64_t number;
    FC_TRY(fc_display_context(&b->display, context, err));
    FC_TRY(text_number(&c->titles, context->title, &number, err));
    FC_TRY(put(&b->numbers, context->quantile, err));
    FC_TRY(put_scaled(&b->numbers, context->value / max, 10000, err));
    FC_TRY(put(&b->numbers, number, err));
    FC_TRY(put(&b->numbers, find_peak(display, context->peak), err));
    FC_TRY(put(&b->numbers, display->n_spans, err));
    for (int64_t i = 0; i < display->n_spans; i++) {
        const fc_span *span = &display->span[i];
        const uint8_t a = shade((double)span->activation, max);
        FC_TRY(fc_strings_number(&c->pieces, fc_strbuf_text(&display->text) + span->begin,
                                 span->end - span->begin, &number, err));
        FC_TRY(put(&b->pieces, number, err));
        FC_TRY(fc_strbuf_add(&b->activations, &a, 1, err));
    }
    return FC_OK;
}

/* How many contexts a card keeps: all, unless those of all cards would be too many. */
static void set_kept(fc_html_cards *c, const fc_report_data *d)
{
    const double ranges = fmax(0, fc_features_run_number(d->db, "quantiles")),
                 window = fmax(0, fc_features_run_number(d->db, "window")),
                 most = MOST_PIECES / fmax(1, (double)d->n_live * (window + 1));
    double strong = fmin(1000, fc_features_run_number(d->db, "contexts")),
           weak = fmin(1000, fc_features_run_number(d->db, "per_quantile"));
    while (weak > 1 && strong + ranges * weak > most) weak--;
    while (strong > 5 && strong + ranges * weak > most) strong--;
    c->n_strong = isfinite(strong) ? (int64_t)strong : INT64_MAX;
    c->n_weak = isfinite(weak) ? (int64_t)weak : INT64_MAX;
}

/* Contexts come range after range, the strongest of each first. */
static bool is_kept(const fc_html_cards *c, const fc_context *context, int64_t i)
{
    const int64_t most = context[i].quantile == 0 ? c->n_strong : c->n_weak;
    return i < most || context[i - most].quantile != context[i].quantile;
}

static fc_status put_contexts(fc_html_cards *c, block *b, const fc_report_data *d,
                              int64_t id, fc_err *err)
{
    const fc_context *context;
    int64_t n;
    FC_TRY(fc_features_contexts(d->db, id, &context, &n, err));
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++) n_kept += is_kept(c, context, i);
    FC_TRY(put(&b->numbers, n_kept, err));
    for (int64_t i = 0; i < n; i++)
        if (is_kept(c, context, i))
            FC_TRY(put_context(c, b, &context[i], d->feature[id].max, err));
    return FC_OK;
}

static fc_status put_card(fc_html_cards *c, block *b, const fc_report_data *d, int64_t id,
                          fc_err *err)
{
    FC_TRY(put_histogram(b, d, id, err));
    FC_TRY(put_tokens(c, b, d, id, err));
    FC_TRY(put_neighbours(c, b, d, id, err));
    FC_TRY(put_logits(c, b, d, id, err));
    FC_TRY(put_profile(c, b, d, id, err));
    return put_contexts(c, b, d, id, err);
}

/* ---- blocks ---- */

fc_status fc_html_block(fc_strbuf *out, const char *name, const void *bytes,
                        int64_t n_bytes, fc_err *err)
{
    fc_strbuf packed = {0};
    fc_status status;
    FC_TRY_GOTO(fc_deflate(&packed, bytes, n_bytes, err));
    FC_TRY_GOTO(fc_strbuf_addf(out, err, "<script type=\"text/plain\" id=\"%s\">", name));
    FC_TRY_GOTO(fc_base64(out, fc_strbuf_text(&packed), packed.n, err));
    FC_TRY_GOTO(fc_strbuf_addf(out, err, "</script>\n"));
done:
    fc_strbuf_free(&packed);
    return status;
}

/* Appends the block and empties it. */
static fc_status end_block(fc_html_cards *c, block *b, fc_err *err)
{
    char name[32];
    fc_strbuf all = {0};
    fc_status status;
    snprintf(name, sizeof name, "cards-%" PRId64, c->n_blocks++);
    FC_TRY_GOTO(put(&all, b->numbers.n, err));
    FC_TRY_GOTO(put(&all, b->pieces.n, err));
    FC_TRY_GOTO(fc_strbuf_add(&all, fc_strbuf_text(&b->numbers), b->numbers.n, err));
    FC_TRY_GOTO(fc_strbuf_add(&all, fc_strbuf_text(&b->pieces), b->pieces.n, err));
    FC_TRY_GOTO(
        fc_strbuf_add(&all, fc_strbuf_text(&b->activations), b->activations.n, err));
    FC_TRY_GOTO(fc_html_block(&c->blocks, name, fc_strbuf_text(&all), all.n, err));
    fc_strbuf_clear(&b->numbers);
    fc_strbuf_clear(&b->pieces);
    fc_strbuf_clear(&b->activations);
done:
    fc_strbuf_free(&all);
    return status;
}

static fc_status put_cards(fc_html_cards *c, block *b, const fc_report_data *d,
                           fc_progress *progress, fc_err *err)
{
    int64_t n = 0;
    for (int64_t id = 0; id < d->n_features; id++) {
        if (d->feature[id].is_dead) continue;
        FC_TRY(put_card(c, b, d, id, err));
        if (++n % FC_CARDS_A_BLOCK == 0 || n == d->n_live) FC_TRY(end_block(c, b, err));
        fc_progress_set(progress, (double)n);
    }
    return FC_OK;
}

fc_status fc_html_cards_make(fc_html_cards *c, const fc_report_data *d, fc_err *err)
{
    block b = {0};
    const int64_t n_tokens = d->n_features * FC_HTML_TOKENS;
    FC_TRY(fc_alloc(&c->tokens, n_tokens, sizeof *c->tokens, "tokens", err));
    FC_TRY(fc_alloc(&c->nearest, d->n_features, sizeof *c->nearest, "cosines", err));
    for (int64_t i = 0; i < n_tokens; i++) c->tokens[i] = -1;
    for (int64_t i = 0; i < d->n_features; i++) c->nearest[i] = (double)NAN;
    set_kept(c, d);
    fc_progress progress = fc_progress_begin("report", "page", 0, (double)d->n_live);
    const fc_status status = put_cards(c, &b, d, &progress, err);
    fc_progress_end(&progress);
    fc_display_free(&b.display);
    fc_strbuf_free(&b.numbers);
    fc_strbuf_free(&b.pieces);
    fc_strbuf_free(&b.activations);
    fc_strbuf_free(&b.text);
    return status;
}

void fc_html_cards_free(fc_html_cards *c)
{
    fc_strbuf_free(&c->blocks);
    fc_strings_free(&c->pieces);
    fc_strings_free(&c->titles);
    fc_strings_free(&c->phrases);
    fc_free(c->tokens);
    fc_free(c->nearest);
    *c = (fc_html_cards){0};
}
