/* html_strings.h - texts numbered in the order in which they first appear.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_HTML_STRINGS_H
#define FC_REPORT_HTML_STRINGS_H

#include "base/strbuf.h"

typedef struct fc_strings { /* set to {0} to begin */
    fc_strbuf bytes;        /* of all texts, one after the other */
    int64_t *end;           /* [n] where each ends */
    int64_t n, end_capacity;
    int64_t
        *slot; /* [n_slots] number + 1 of a text, 0 = free; a power of two, half empty */
    int64_t n_slots;
} fc_strings;

/* The number of a text, which is copied when it is new. */
fc_status fc_strings_number(fc_strings *strings, const char *text, int64_t n_bytes,
                            int64_t *number, fc_err *err);
/* Borrowed until the next text is added. */
const char *fc_strings_get(const fc_strings *strings, int64_t number, int64_t *n_bytes);
void fc_strings_free(fc_strings *strings); /* back to {0} */

#endif
