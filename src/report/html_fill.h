/* html_fill.h - a page from a template, and what its Content-Security-Policy needs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_HTML_FILL_H
#define FC_REPORT_HTML_FILL_H

#include "base/file.h"
#include "base/strbuf.h"

typedef struct fc_html_place { /* what stands for {{name}} */
    const char *name;
    const char *text;
    int64_t n;
} fc_html_place;

/* Writes the template with every {{name}} replaced; each must be among the places. What is put in is
 * not looked at again. */
fc_status fc_html_fill(fc_out *out, const char *template, const fc_html_place *places,
                       int64_t n_places, fc_err *err);

/* Appends 'sha256-...' of a style or script, as a Content-Security-Policy takes it. */
fc_status fc_html_source_hash(fc_strbuf *out, const char *text, fc_err *err);

/* Appends text with < > & " as references. */
fc_status fc_html_escaped(fc_strbuf *out, const char *text, fc_err *err);

#endif
