/* html_data.h - a run as the two things that report.html carries.
 *
 *   run    JSON: names, numbers with a sentence each, curves, a column for each statistic of all
 *          features, and the texts that everything else refers to by number
 *   cards  blocks of FC_CARDS_A_BLOCK live features each, in order of id: histogram, tokens, nearest
 *          features, logits, surroundings, contexts; see html_cards.c for the bytes
 *
 * The page unpacks the first at once and a block of cards when one of them is opened.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_HTML_DATA_H
#define FC_REPORT_HTML_DATA_H

#include "report/html_strings.h"
#include "report/report_data.h"

enum { FC_CARDS_A_BLOCK = 64 };

typedef struct fc_html_cards { /* set to {0} to begin */
    fc_strbuf blocks;          /* deflated, in base64, each in its HTML element */
    int64_t n_blocks;
    fc_strings pieces, titles, phrases;
    int64_t n_strong, n_weak; /* contexts a card keeps at most, of a weaker range */
    int64_t *tokens; /* [n_features, FC_HTML_TOKENS] pieces it fires on most; -1: none */
    double *nearest; /* [n_features] cosine with the nearest feature; NaN: unknown */
} fc_html_cards;

enum { FC_HTML_TOKENS = 10 };

fc_status fc_html_cards_make(fc_html_cards *cards, const fc_report_data *data,
                             fc_err *err);
void fc_html_cards_free(fc_html_cards *cards);

/* Appends the JSON. */
fc_status fc_html_run(fc_strbuf *out, const fc_report_data *data,
                      const fc_html_cards *cards, fc_err *err);

/* Appends a deflated, base64 element: <script type="text/plain" id="NAME">...</script>. */
fc_status fc_html_block(fc_strbuf *out, const char *name, const void *bytes,
                        int64_t n_bytes, fc_err *err);

#endif
