/* cancel.c - the signal handler only raises a flag; who works looks at it.
 *
 * The handler is removed as it fires (SA_RESETHAND), so a second Ctrl-C ends the process at
 * once, as people expect of a program that seems stuck.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/macros.h"

/* A signal handler reaches nothing but globals; this one is lock-free, as it must be. */
static atomic_bool is_cancelled; /* NOLINT(*-avoid-non-const-global-variables) */

static void on_signal(int number)
{
    (void)number;
    is_cancelled = true;
}

void fc_cancel_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    FC_CHECK(sigemptyset(&action.sa_mask) == 0);
    FC_CHECK(sigaction(SIGINT, &action, NULL) == 0);
    FC_CHECK(sigaction(SIGTERM, &action, NULL) == 0);
}

bool fc_cancel_requested(void)
{
    return is_cancelled;
}

void fc_cancel_set(bool is_requested)
{
    is_cancelled = is_requested;
}
