/* pdf_mend.h - what Cairo 1.16 gets wrong in a PDF.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_REPORT_PDF_MEND_H
#define FC_REPORT_PDF_MEND_H

#include <stdint.h>

/* Mends it in place, at the same length; bytes that are no PDF are left alone. */
void fc_pdf_mend(char *bytes, int64_t n);

#endif
