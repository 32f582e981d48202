/* html_page.c - report.html: the sources of the page with the run's data put in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "report/html_data.h"
#include "report/html_fill.h"
#include "report/html_parts.h"

typedef struct page {
    fc_strbuf title, style_hash, data_hash, script_hash, run_json, run;
    fc_html_cards cards;
} page;

static fc_status make(page *p, const fc_report_data *d, fc_err *err)
{
    const char *hook = d->hook[0] ? d->hook : "an unnamed hook";
    FC_TRY(fc_html_escaped(&p->title, strncmp(hook, "model.", 6) == 0 ? hook + 6 : hook,
                           err));
    FC_TRY(fc_html_source_hash(&p->style_hash, fc_html_part_text("page.css"), err));
    FC_TRY(fc_html_source_hash(&p->data_hash, fc_html_part_text("data.js"), err));
    FC_TRY(fc_html_source_hash(&p->script_hash, fc_html_part_text("page.js"), err));
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
    const fc_html_place places[] = {
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
    FC_TRY_GOTO(
        fc_html_fill(out, fc_html_part_text("page.html"), places, FC_LEN(places), err));
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
