/* test_testing.c - the comparison that other tests lean on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <string.h>

static void differences_are_measured_against_what_is_expected(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3}, b[] = {1, 2, 4};
    const fc_difference d = fc_compare(a, b, 3);
    assert_true(d.max_abs == 1 && d.at == 2 && d.max_norm == 0.25);
    assert_true(fabs(d.l2 - 1 / sqrt(21)) < 1e-15);
    const fc_difference same = fc_compare(a, a, 3);
    assert_true(same.max_norm == 0 && same.l2 == 0);
    assert_true(fc_compare(a, b, 0).at == -1);
}

static void what_is_not_a_number_on_one_side_is_far_away(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY}, plain[] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        assert_true(isinf(fc_compare(&odd[i], &plain[i], 1).max_norm));
        assert_true(isinf(fc_compare(&plain[i], &odd[i], 1).max_norm));
        assert_true(fc_compare(&odd[i], &odd[i], 1).max_norm == 0);
    }
    assert_true(isinf(fc_compare(&odd[1], &odd[2], 1).l2));
    assert_true(isinf(fc_compare(&odd[0], &odd[1], 1).l2));
}

static void fixtures_are_found(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    assert_true(fc_fixture_exists("README.md"));
    assert_false(fc_fixture_exists("no-such-file"));
    fc_source_file(path, "CMakeLists.txt");
    assert_true(fc_path_exists(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_measured_against_what_is_expected),
        cmocka_unit_test(what_is_not_a_number_on_one_side_is_far_away),
        cmocka_unit_test(fixtures_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
