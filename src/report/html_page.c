/* html_page.c - report.html: the sources of the page with the run's data put in.
 *
 * page/page.html has places {{name}} for style, programs and data, and for the hashes of the first
 * two. Those hashes are all that the page's policy allows to run; data lies in elements that no
 * browser runs, and none of its letters could end one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "formats/embed.h"
#include "report/html_data.h"
#include "report/html_parts.h"

enum { SHA256_BYTES = 32 };

typedef struct place {
    const char *name;
    const char *text;
    int64_t n;
} place;

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* 'sha256-...' as a Content-Security-Policy takes it. */
static fc_status add_source_hash(fc_strbuf *out, const char *text, fc_err *err)
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
static fc_status add_escaped(fc_strbuf *out, const char *text, fc_err *err)
{
    for (; *text; text++)
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            FC_TRY(fc_strbuf_addf(out, err, "&#%d;", *text));
        else
            FC_TRY(fc_strbuf_add(out, text, 1, err));
    return FC_OK;
}

static const place *find_place(const place *places, int64_t n, const char *name,
                               int64_t n_name)
{
    for (int64_t i = 0; i < n; i++)
        if ((int64_t)strlen(places[i].name) == n_name &&
            memcmp(places[i].name, name, (size_t)n_name) == 0)
            return &places[i];
    return NULL;
}

/* The template with every {{name}} replaced. What is put in is not looked at again. */
static fc_status fill(fc_out *out, const char *template, const place *places,
                      int64_t n_places, fc_err *err)
{
    const char *open;
    while ((open = strstr(template, "{{")) != NULL) {
        const char *close = strstr(open, "}}");
        const place *found =
            close != NULL ? find_place(places, n_places, open + 2, close - open - 2)
                          : NULL;
        FC_CHECK(found != NULL); /* a mistake in page.html */
        FC_TRY(fc_out_write(out, template, (size_t)(open - template), err));
        FC_TRY(fc_out_write(out, found->text, (size_t)found->n, err));
        template = close + 2;
    }
    return fc_out_write(out, template, strlen(template), err);
}

typedef struct page {
    fc_strbuf title, style_hash, data_hash, script_hash, run_json, run;
    fc_html_cards cards;
} page;

static fc_status make(page *p, const fc_report_data *d, fc_err *err)
{
    const char *hook = d->hook[0] ? d->hook : "an unnamed hook";
    FC_TRY(
        add_escaped(&p->title, strncmp(hook, "model.", 6) == 0 ? hook + 6 : hook, err));
    FC_TRY(add_source_hash(&p->style_hash, fc_html_part_text("page.css"), err));
    FC_TRY(add_source_hash(&p->data_hash, fc_html_part_text("data.js"), err));
    FC_TRY(add_source_hash(&p->script_hash, fc_html_part_text("page.js"), err));
    FC_TRY(fc_html_cards_make(&p->cards, d, err));
    FC_TRY(fc_html_run(&p->run_json, d, &p->cards, err));
    return fc_html_block(&p->run, "run", fc_strbuf_text(&p->run_json), p->run_json.n,
                         err);
}

static fc_status save(const page *p, const char *path, fc_err *err)
{
    const char *style = fc_html_part_text("page.css"),
               *data = fc_html_part_text("data.js"),
               *script = fc_html_part_text("page.js");
    const place places[] = {
        {"title", fc_strbuf_text(&p->title), p->title.n},
        {"style", style, (int64_t)strlen(style)},
        {"style-hash", fc_strbuf_text(&p->style_hash), p->style_hash.n},
        {"data", data, (int64_t)strlen(data)},
        {"data-hash", fc_strbuf_text(&p->data_hash), p->data_hash.n},
        {"script", script, (int64_t)strlen(script)},
        {"script-hash", fc_strbuf_text(&p->script_hash), p->script_hash.n},
        {"run", fc_strbuf_text(&p->run), p->run.n},
        {"cards", fc_strbuf_text(&p->cards.blocks), p->cards.blocks.n},
    };
    fc_out *out = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_out_open(&out, path, err));
    FC_TRY_GOTO(fill(out, fc_html_part_text("page.html"), places, FC_LEN(places), err));
    FC_TRY_GOTO(fc_out_commit(out, err));
done:
    fc_out_close(out);
    return status;
}

fc_status fc_html_save(const fc_report_data *d, const char *path, fc_err *err)
{
    page p = {0};
    fc_status status = make(&p, d, err);
    if (status == FC_OK) status = save(&p, path, err);
    fc_strbuf_free(&p.title);
    fc_strbuf_free(&p.style_hash);
    fc_strbuf_free(&p.data_hash);
    fc_strbuf_free(&p.script_hash);
    fc_strbuf_free(&p.run_json);
    fc_strbuf_free(&p.run);
    fc_html_cards_free(&p.cards);
    return status;
}
