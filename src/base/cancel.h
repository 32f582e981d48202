/* cancel.h - Ctrl-C as a question: long loops ask at a safe point, save, and stop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_CANCEL_H
#define FC_BASE_CANCEL_H

#include <stdbool.h>

void fc_cancel_install(
    void); /* SIGINT and SIGTERM set the flag; a second SIGINT ends at once */
bool fc_cancel_requested(void);
void fc_cancel_set(bool is_requested); /* for tests, and to start over */

#endif
