/* html_fill.c - pages from their sources.
 *
 * A template has places {{name}} for style, programs and data, and for the hashes of the first two.
 * Those hashes are all that the page's policy allows to run; data lies in elements that no browser
 * runs, and none of its letters could end one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/html_fill.h"

#include <string.h>

#include "base/hash.h"
#include "formats/embed.h"

enum { SHA256_BYTES = 32 };

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* 'sha256-...' as a Content-Security-Policy takes it. */
fc_status fc_html_source_hash(fc_strbuf *out, const char *text, fc_err *err)
{
    char hex[FC_SHA256_HEX];
    uint8_t bytes[SHA256_BYTES];
    fc_sha256 *sha = NULL;
    FC_TRY(fc_sha256_new(&sha, err));
    fc_sha256_update(sha, text, strlen(text));
    fc_sha256_hex(sha, hex);
    fc_sha256_free(sha);
    for (int i = 0; i < SHA256_BYTES; i++)
        bytes[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    FC_TRY(fc_strbuf_addf(out, err, "'sha256-"));
    FC_TRY(fc_base64(out, bytes, SHA256_BYTES, err));
    return fc_strbuf_add(out, "'", 1, err);
}

/* Text of the page's title: names of the run may hold anything. */
fc_status fc_html_escaped(fc_strbuf *out, const char *text, fc_err *err)
{
    for (; *text; text++)
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            FC_TRY(fc_strbuf_addf(out, err, "&#%d;", *text));
        else
            FC_TRY(fc_strbuf_add(out, text, 1, err));
    return FC_OK;
}

static const fc_html_place *find_place(const fc_html_place *places, int64_t n,
                                       const char *name, int64_t n_name)
{
    for (int64_t i = 0; i < n; i++)
        if ((int64_t)strlen(places[i].name) == n_name &&
            memcmp(places[i].name, name, (size_t)n_name) == 0)
            return &places[i];
    return NULL;
}

/* The template with every {{name}} replaced. What is put in is not looked at again. */
fc_status fc_html_fill(fc_out *out, const char *template, const fc_html_place *places,
                       int64_t n_places, fc_err *err)
{
    const char *open;
    while ((open = strstr(template, "{{")) != NULL) {
        const char *close = strstr(open, "}}");
        const fc_html_place *found =
            close != NULL ? find_place(places, n_places, open + 2, close - open - 2)
                          : NULL;
        FC_CHECK(found != NULL); /* a mistake in page.html */
        FC_TRY(fc_out_write(out, template, (size_t)(open - template), err));
        FC_TRY(fc_out_write(out, found->text, (size_t)found->n, err));
        template = close + 2;
    }
    return fc_out_write(out, template, strlen(template), err);
}
