/* test_cancel.c - the first signal asks, the second ends.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/cancel.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_signal_raises_the_flag(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < FC_LEN(signals); i++) {
        fc_cancel_install();
        assert_false(fc_cancel_requested());
        raise(signals[i]);
        assert_true(fc_cancel_requested());
        fc_cancel_set(false);
        assert_false(fc_cancel_requested());
    }
}

static void a_second_interrupt_ends_the_process(void **state)
{
    (void)state;
    int status = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fc_cancel_install();
        raise(SIGINT);
        if (fc_cancel_requested()) raise(SIGINT);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_raises_the_flag),
        cmocka_unit_test(a_second_interrupt_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
