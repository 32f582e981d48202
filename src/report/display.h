/* display.h - tokens of a context as text that can be shown: valid UTF-8, nothing invisible.
 *
 * Bytes of neighbouring tokens join to what a reader takes for one character (a grapheme: letter
 * and accents, an emoji of several code points). One that several tokens share belongs to the one
 * with the largest activation. Controls, line breaks and direction marks become visible signs,
 * bytes that are not UTF-8 become U+FFFD, very long tokens end in an ellipsis: no text can break a
 * page or hide on it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_DISPLAY_H
#define FC_REPORT_DISPLAY_H

#include "base/strbuf.h"
#include "study/features_db.h"

enum { FC_TOKEN_BYTES_SHOWN = 60 };

typedef struct fc_span { /* text of one token: bytes [begin, end) of the display text */
    int begin, end;
    int64_t token; /* index in the context */
    float activation;
    double width; /* for those who draw */
} fc_span;

typedef struct fc_display { /* set to {0} to begin; reuse freely */
    fc_strbuf text;
    fc_span *span;
    int64_t n_spans, span_capacity;
    struct fc_display_char *chars; /* scratch */
    int64_t n_chars, char_capacity;
} fc_display;

fc_status fc_display_context(fc_display *display, const fc_context *context, fc_err *err);

/* The same for one piece of text, appended: a title, a token in a list. */
fc_status fc_display_text(fc_strbuf *out, const char *bytes, int64_t n_bytes,
                          fc_err *err);
/* The same for a short text of ours or from a file, into out[size], size >= 8; where it does not
 * fit, an ellipsis ends it. */
void fc_display_name(char *out, size_t size, const char *name);
void fc_display_free(fc_display *display);

/* The bytes of a token that are shown: all, or the first FC_TOKEN_BYTES_SHOWN or a little fewer,
 * cut between two characters. */
int64_t fc_display_cut(const char *bytes, int64_t n_bytes);

#endif
