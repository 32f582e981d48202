/* described.h - a feature's description as set text: what it quotes in backticks are tokens, which
 * get a pale box instead of the marks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_DESCRIBED_H
#define FC_REPORT_DESCRIBED_H

#include "base/strbuf.h"
#include "report/draw.h"

enum { FC_DESCRIBED_TOKENS = 16 };

typedef struct fc_described {
    fc_type type; /* these three are set before */
    double width;
    int max_lines; /* the last ends in an ellipsis where there is more */
    PangoLayout *layout;
    int token[FC_DESCRIBED_TOKENS][2]; /* bytes [begin, end) of the layout's text */
    int n_tokens;
} fc_described;

/* Lays the text out; nothing is drawn. Free also after a failure. */
fc_status fc_described_init(fc_described *d, cairo_t *cr, const char *text, fc_err *err);
double fc_described_height(const fc_described *d);
double fc_described_width(const fc_described *d); /* of its widest line */
/* The first line stands on the baseline. */
void fc_described_draw(const fc_described *d, cairo_t *cr, double x, double baseline);
void fc_described_free(fc_described *d);

/* One line on a baseline, no wider than width. */
fc_status fc_described_line(cairo_t *cr, double x, double baseline, double width,
                            fc_type type, const char *text, fc_err *err);

/* The same of its first part only: what comes before "; ". */
fc_status fc_described_briefly(cairo_t *cr, double x, double baseline, double width,
                               fc_type type, const char *text, fc_err *err);

/* The text without the marks, as it is shown; appended. */
fc_status fc_described_plain(fc_strbuf *out, const char *text, fc_err *err);

#endif
