/* html_parts.h - the sources of report.html that are built into the program: src/report/page/NAME.
 *
 * The build turns the files into one C source (tools/embed_texts.cmake).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_HTML_PARTS_H
#define FC_REPORT_HTML_PARTS_H

/* Text of "page.html", "compare.js" and so on, zero-terminated; NULL for another name. */
const char *fc_html_part_text(const char *name);

/* All names, "a, b, c". */
const char *fc_html_part_names(void);

#endif
