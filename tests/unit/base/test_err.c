/* test_err.c - the sentence of a failure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <errno.h>
#include <string.h>

static void a_failure_is_recorded_and_returned(void **state)
{
    (void)state;
    fc_err err = {0};
    assert_int_equal(fc_fail(&err, FC_MISMATCH, "%s is %d, expected %d", "k", 3, 4),
                     FC_MISMATCH);
    assert_int_equal(err.status, FC_MISMATCH);
    assert_string_equal(err.text, "k is 3, expected 4");
    assert_int_equal(fc_fail(NULL, FC_FORMAT, "x"), FC_FORMAT);
}

static void prefixes_are_put_before(void **state)
{
    (void)state;
    fc_err err = {0};
    assert_int_equal(fc_fail(&err, FC_FORMAT, "no"), FC_FORMAT);
    assert_int_equal(fc_fail_in(&err, "line %d", 3), FC_FORMAT);
    assert_int_equal(fc_fail_in(&err, "%s", "a.json"), FC_FORMAT);
    assert_string_equal(err.text, "a.json: line 3: no");
    assert_int_equal(err.status, FC_FORMAT);
}

static void the_sentence_may_quote_itself(void **state)
{
    (void)state;
    fc_err err = {0};
    assert_int_equal(fc_fail(&err, FC_IO, "disk full"), FC_IO);
    assert_int_equal(fc_fail(&err, FC_DEVICE, "stopped: %s", err.text), FC_DEVICE);
    assert_string_equal(err.text, "stopped: disk full");
}

static void errno_is_explained(void **state)
{
    (void)state;
    fc_err err = {0};
    errno = ENOENT;
    assert_int_equal(fc_fail_errno(&err, "cannot open '%s'", "x"), FC_IO);
    assert_string_equal(err.text, "cannot open 'x': No such file or directory");
    errno = ENOMEM;
    assert_int_equal(fc_fail_errno(&err, "cannot map"), FC_NOMEM);
    errno = 99999;
    assert_int_equal(fc_fail_errno(&err, "cannot map"), FC_IO);
    assert_non_null(strstr(err.text, "99999"));
}

static void a_long_sentence_is_cut_at_its_end(void **state)
{
    (void)state;
    fc_err err = {0};
    char name[3000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(fc_fail(&err, FC_FORMAT, "file: %s", name), FC_FORMAT);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "file: xxx", 9);
    assert_int_equal(fc_fail_in(&err, "%s", name), FC_FORMAT);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void every_status_has_a_word_and_an_exit_code(void **state)
{
    (void)state;
    assert_string_equal(fc_status_word(FC_OK), "ok");
    assert_int_equal(fc_status_exit_code(FC_OK), 0);
    assert_int_equal(fc_status_exit_code(FC_USAGE), 2);
    assert_int_equal(fc_status_exit_code(FC_NOMEM), 1);
    assert_int_equal(fc_status_exit_code(FC_CANCELLED), 130);
    assert_string_equal(fc_status_word((fc_status)77), "unknown");
    assert_int_equal(fc_status_exit_code((fc_status)77), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_recorded_and_returned),
        cmocka_unit_test(prefixes_are_put_before),
        cmocka_unit_test(the_sentence_may_quote_itself),
        cmocka_unit_test(errno_is_explained),
        cmocka_unit_test(a_long_sentence_is_cut_at_its_end),
        cmocka_unit_test(every_status_has_a_word_and_an_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
