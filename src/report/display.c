/* display.c - make token bytes showable, keeping track of which token each character came from.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/display.h"

#include <glib.h>
#include <string.h>

#include "base/alloc.h"

/* What stands for a character that would not show or would move others; NULL: it shows itself. */
static const char *visible_sign(gunichar c, char buffer[8])
{
    if (c == '\n' || c == '\r') return "\u21b5";
    if (c == '\t') return "\u21e5";
    if (c < 0x20 || c == 0x7f) {
        buffer[g_unichar_to_utf8(c == 0x7f ? 0x2421 : 0x2400 + c, buffer)] = 0;
        return buffer;
    }
    if (c == 0x2028 || c == 0x2029 || c == 0x85) return "\u21b5";
    if ((c >= 0x80 && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
        (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff ||
        c == 0xad || c == 0xfffe)
        return "\u25ab";
    return NULL;
}

/* Length of the character at bytes, or 0 when it is not valid UTF-8. */
static int character(const char *bytes, int64_t n_bytes, gunichar *c)
{
    *c = g_utf8_get_char_validated(bytes, (gssize)n_bytes);
    if (*c == (gunichar)-1 || *c == (gunichar)-2)
        return bytes[0] == 0 && n_bytes > 0 ? (*c = 0, 1) : 0;
    return *c == 0 ? 1 : g_unichar_to_utf8(*c, NULL);
}

/* Appends one shown character; *n_used bytes of the source are consumed. */
static fc_status append_character(fc_strbuf *out, const char *bytes, int64_t n_bytes,
                                  int *n_used, fc_err *err)
{
    gunichar c;
    char buffer[8];
    const int length = character(bytes, n_bytes, &c);
    *n_used = length ? length : 1;
    if (length == 0) return fc_strbuf_add(out, "\ufffd", 3, err);
    const char *sign = visible_sign(c, buffer);
    return sign ? fc_strbuf_add(out, sign, (int64_t)strlen(sign), err)
                : fc_strbuf_add(out, bytes, length, err);
}

fc_status fc_display_text(fc_strbuf *out, const char *bytes, int64_t n_bytes, fc_err *err)
{
    for (int64_t i = 0; i < n_bytes;) {
        int used;
        FC_TRY(append_character(out, bytes + i, n_bytes - i, &used, err));
        i += used;
    }
    return FC_OK;
}

/* Token that byte `at` of the joined bytes belongs to, and for a whole character the strongest. */
typedef struct joined {
    fc_strbuf bytes;
    int64_t *end; /* [n] end of each token's bytes */
} joined;

static fc_status join(joined *j, const fc_context *context, fc_err *err)
{
    FC_TRY(fc_alloc(&j->end, context->n, sizeof *j->end, "token borders", err));
    for (int64_t t = 0; t < context->n; t++) {
        FC_TRY(fc_strbuf_add(&j->bytes, context->bytes[t], context->n_bytes[t], err));
        j->end[t] = j->bytes.n;
    }
    return FC_OK;
}

static fc_status add_to_span(fc_display *d, int64_t token, float activation, int begin,
                             int end, fc_err *err)
{
    fc_span *last = d->n_spans > 0 ? &d->span[d->n_spans - 1] : NULL;
    if (last && last->token == token) {
        last->end = end;
        return FC_OK;
    }
    FC_TRY(fc_grow(&d->span, &d->capacity, d->n_spans + 1, sizeof *d->span, "token spans",
                   err));
    d->span[d->n_spans++] = (fc_span){begin, end, token, activation};
    return FC_OK;
}

static fc_status show(fc_display *d, const joined *j, const fc_context *context,
                      fc_err *err)
{
    int64_t token = 0;
    for (int64_t at = 0; at < j->bytes.n;) {
        int used;
        const int begin = (int)d->text.n;
        while (j->end[token] <= at) token++;
        FC_TRY(
            append_character(&d->text, j->bytes.data + at, j->bytes.n - at, &used, err));
        int64_t owner = token;
        for (int64_t t = token + 1; t < context->n && j->end[t - 1] < at + used; t++)
            if (context->activation[t] > context->activation[owner]) owner = t;
        FC_TRY(add_to_span(d, owner, context->activation[owner], begin, (int)d->text.n,
                           err));
        at += used;
    }
    return FC_OK;
}

fc_status fc_display_context(fc_display *display, const fc_context *context, fc_err *err)
{
    joined j = {0};
    fc_strbuf_clear(&display->text);
    display->n_spans = 0;
    fc_status status = join(&j, context, err);
    if (status == FC_OK) status = show(display, &j, context, err);
    fc_strbuf_free(&j.bytes);
    fc_free(j.end);
    return status;
}

void fc_display_free(fc_display *display)
{
    fc_strbuf_free(&display->text);
    fc_free(display->span);
    *display = (fc_display){0};
}
