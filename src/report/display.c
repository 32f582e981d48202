/* display.c - make token bytes showable, keeping track of which token each character came from.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/display.h"

#include <pango/pango.h>
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
    if (bytes[0] == 0) { /* which GLib takes for the end */
        *c = 0;
        return 1;
    }
    *c = g_utf8_get_char_validated(bytes, (gssize)n_bytes);
    return *c == (gunichar)-1 || *c == (gunichar)-2 ? 0 : g_unichar_to_utf8(*c, NULL);
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* One character as it is shown, into out (not terminated); returns its length. *n_used bytes of
 * the source are consumed; those of one broken character give one U+FFFD. */
static int show_character(char out[8], const char *bytes, int64_t n_bytes,
                          int64_t *n_used)
{
    gunichar c;
    char buffer[8];
    const int length = character(bytes, n_bytes, &c);
    const char *sign = length == 0 ? "\ufffd" : visible_sign(c, buffer);
    *n_used = length > 0 ? length : 1;
    while (length == 0 && *n_used < n_bytes && *n_used < 4 &&
           is_continuation(bytes[*n_used]))
        ++*n_used;
    const int n = sign != NULL ? (int)strlen(sign) : length;
    memcpy(out, sign != NULL ? sign : bytes, (size_t)n);
    return n;
}

fc_status fc_display_text(fc_strbuf *out, const char *bytes, int64_t n_bytes, fc_err *err)
{
    int64_t used;
    for (int64_t i = 0; i < n_bytes; i += used) {
        char shown[8];
        const int n = show_character(shown, bytes + i, n_bytes - i, &used);
        FC_TRY(fc_strbuf_add(out, shown, n, err));
    }
    return FC_OK;
}

void fc_display_name(char *out, size_t size, const char *name)
{
    const int64_t n_bytes = (int64_t)strlen(name);
    int64_t used;
    size_t at = 0;
    for (int64_t i = 0; i < n_bytes; i += used) {
        char shown[8];
        const int n = show_character(shown, name + i, n_bytes - i, &used);
        if (at + (size_t)n + 4 > size) { /* room for the ellipsis and the zero */
            memcpy(out + at, "\u2026", 3);
            at += 3;
            break;
        }
        memcpy(out + at, shown, (size_t)n);
        at += (size_t)n;
    }
    out[at] = 0;
}

int64_t fc_display_cut(const char *bytes, int64_t n_bytes)
{
    if (n_bytes <= FC_TOKEN_BYTES_SHOWN) return n_bytes;
    int64_t n = FC_TOKEN_BYTES_SHOWN;
    while (n > FC_TOKEN_BYTES_SHOWN - 4 && is_continuation(bytes[n])) n--;
    return n;
}

/* ---- tokens to characters ---- */

typedef struct joined {
    fc_strbuf bytes; /* of all tokens, one after the other */
    int64_t *end;    /* [n] where each token's bytes end */
} joined;

struct fc_display_char {
    int begin;     /* in the display text */
    int64_t owner; /* token */
};

static fc_status join(joined *j, const fc_context *context, fc_err *err)
{
    FC_TRY(fc_alloc(&j->end, context->n, sizeof *j->end, "token borders", err));
    for (int64_t t = 0; t < context->n; t++) {
        const int64_t n = fc_display_cut(context->bytes[t], context->n_bytes[t]);
        FC_TRY(fc_strbuf_add(&j->bytes, context->bytes[t], n, err));
        if (n < context->n_bytes[t]) FC_TRY(fc_strbuf_add(&j->bytes, "\u2026", 3, err));
        j->end[t] = j->bytes.n;
    }
    return FC_OK;
}

/* The stronger of two tokens; among equals the peak, then the first. */
static int64_t stronger(const fc_context *context, int64_t a, int64_t b)
{
    const float x = context->activation[a], y = context->activation[b];
    return y > x || (y == x && b == context->peak) ? b : a;
}

static fc_status add_char(fc_display *d, int begin, int64_t owner, fc_err *err)
{
    FC_TRY(fc_grow(&d->chars, &d->char_capacity, d->n_chars + 1, sizeof *d->chars,
                   "characters", err));
    d->chars[d->n_chars++] = (struct fc_display_char){begin, owner};
    return FC_OK;
}

static fc_status make_chars(fc_display *d, const joined *j, const fc_context *context,
                            fc_err *err)
{
    int64_t token = 0, used;
    for (int64_t at = 0; at < j->bytes.n; at += used) {
        char shown[8];
        const int begin = (int)d->text.n;
        const int n = show_character(shown, j->bytes.data + at, j->bytes.n - at, &used);
        FC_TRY(fc_strbuf_add(&d->text, shown, n, err));
        while (j->end[token] <= at) token++;
        int64_t owner = token;
        for (int64_t t = token + 1; t < context->n && j->end[t - 1] < at + used; t++)
            if (j->end[t] > j->end[t - 1]) owner = stronger(context, owner, t);
        FC_TRY(add_char(d, begin, owner, err));
    }
    return FC_OK;
}

/* ---- characters to graphemes to spans ---- */

static fc_status add_to_span(fc_display *d, int64_t token, float activation, int begin,
                             int end, fc_err *err)
{
    fc_span *last = d->n_spans > 0 ? &d->span[d->n_spans - 1] : NULL;
    if (last && last->token == token) {
        last->end = end;
        return FC_OK;
    }
    FC_TRY(fc_grow(&d->span, &d->span_capacity, d->n_spans + 1, sizeof *d->span,
                   "token spans", err));
    d->span[d->n_spans++] = (fc_span){begin, end, token, activation, 0};
    return FC_OK;
}

static fc_status make_spans(fc_display *d, const fc_context *context,
                            const PangoLogAttr *attr, fc_err *err)
{
    for (int64_t i = 0; i < d->n_chars;) {
        const int begin = d->chars[i].begin;
        int64_t owner = d->chars[i].owner;
        for (i++; i < d->n_chars && !attr[i].is_cursor_position; i++)
            owner = stronger(context, owner, d->chars[i].owner);
        const int end = i < d->n_chars ? d->chars[i].begin : (int)d->text.n;
        FC_TRY(add_to_span(d, owner, context->activation[owner], begin, end, err));
    }
    return FC_OK;
}

fc_status fc_display_context(fc_display *d, const fc_context *context, fc_err *err)
{
    joined j = {0};
    PangoLogAttr *attr = NULL;
    fc_status status;
    fc_strbuf_clear(&d->text);
    d->n_spans = d->n_chars = 0;
    FC_TRY_GOTO(join(&j, context, err));
    FC_TRY_GOTO(make_chars(d, &j, context, err));
    FC_TRY_GOTO(fc_alloc(&attr, d->n_chars + 1, sizeof *attr, "text breaks", err));
    pango_get_log_attrs(fc_strbuf_text(&d->text), (int)d->text.n, -1,
                        pango_language_from_string("en"), attr, (int)d->n_chars + 1);
    FC_TRY_GOTO(make_spans(d, context, attr, err));
done:
    fc_free(attr);
    fc_strbuf_free(&j.bytes);
    fc_free(j.end);
    return status;
}

void fc_display_free(fc_display *d)
{
    fc_strbuf_free(&d->text);
    fc_free(d->span);
    fc_free(d->chars);
    *d = (fc_display){0};
}
