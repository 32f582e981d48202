/* test_sampler.c - which samples count, and how work is called; not how long anything takes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/cancel.h"
#include "base/macros.h"
#include "bench/peak_internal.h"
#include "bench/sampler.h"

/* --- what is kept ------------------------------------------------------------------------- */

static void samples_count_by_canary_and_waiting(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        fc_sample sample[4];
        int64_t n, n_kept;
        double median, min, max;
    } cases[] = {
        {"one good sample", {{3.0, 100.0, 0.0}}, 1, 1, 3.0, 3.0, 3.0},
        {"the mean of the middle two",
         {{4.0, 100.0, 0.0}, {1.0, 100.0, 0.0}, {3.0, 100.0, 0.0}, {2.0, 100.0, 0.0}},
         4,
         4,
         2.5,
         1.0,
         4.0},
        {"a slow canary drops its sample",
         {{1.0, 84.9, 0.0}, {2.0, 85.1, 0.0}, {3.0, 100.0, 0.0}},
         3,
         2,
         2.5,
         2.0,
         3.0},
        {"waiting drops its sample",
         {{9.0, 100.0, 0.011}, {2.0, 100.0, 0.009}, {3.0, 100.0, -0.5}},
         3,
         2,
         2.5,
         2.0,
         3.0},
        {"all dropped: all are used",
         {{5.0, 10.0, 0.0}, {1.0, 100.0, 0.5}, {3.0, 20.0, 0.2}},
         3,
         0,
         3.0,
         1.0,
         5.0},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_sample sample[4];
        for (int k = 0; k < 4; k++) sample[k] = cases[i].sample[k];
        const fc_sample_stats stats = fc_samples_sum_up(sample, cases[i].n, 100.0);
        if (stats.n_kept != cases[i].n_kept || stats.median != cases[i].median ||
            stats.min != cases[i].min || stats.max != cases[i].max)
            fail_msg("%s: kept %lld, median %g of %g .. %g", cases[i].what,
                     (long long)stats.n_kept, stats.median, stats.min, stats.max);
        assert_int_equal(stats.n_kept + stats.n_dropped, cases[i].n);
    }
}

/* --- how work is called ------------------------------------------------------------------- */

typedef struct work {
    int n_calls, fails_at;
    double says;
} work;

static fc_status count_calls(void *ctx, double *seconds, fc_err *err)
{
    work *const w = ctx;
    if (++w->n_calls == w->fails_at) return fc_fail(err, FC_IO, "the disk is full");
    if (w->says > 0.0) *seconds = w->says;
    return FC_OK;
}

static fc_sampler *new_sampler(void)
{
    fc_sampler *sampler;
    fc_err err;
    fc_assert_ok(fc_sampler_new(&sampler, &fc_peak_fma_ref, 0.01, &err), &err);
    return sampler;
}

static void the_first_call_warms_up_and_every_other_is_a_sample(void **state)
{
    (void)state;
    fc_err err;
    fc_sample_stats stats;
    work w = {0};
    fc_sampler *const sampler = new_sampler();
    fc_assert_ok(fc_sampler_run(sampler, count_calls, &w, &stats, &err), &err);
    assert_int_equal(stats.n_kept + stats.n_dropped, w.n_calls - 1);
    assert_true(w.n_calls >= 2);
    assert_true(stats.min > 0.0 && stats.min <= stats.median);
    assert_true(stats.median <= stats.max);
    fc_sampler_free(sampler);
}

static void work_that_says_how_long_it_took_is_believed(void **state)
{
    (void)state;
    fc_err err;
    fc_sample_stats stats;
    work w = {.says = 123.0};
    fc_sampler *const sampler = new_sampler();
    fc_assert_ok(fc_sampler_run(sampler, count_calls, &w, &stats, &err), &err);
    assert_true(stats.median == 123.0);
    fc_sampler_free(sampler);
}

static void a_failure_of_the_work_is_passed_on(void **state)
{
    (void)state;
    for (int n = 1; n <= 2; n++) {
        fc_err err;
        fc_sample_stats stats;
        work w = {.fails_at = n};
        fc_sampler *const sampler = new_sampler();
        fc_assert_fails(fc_sampler_run(sampler, count_calls, &w, &stats, &err), &err,
                        FC_IO, "disk");
        assert_int_equal(w.n_calls, n);
        fc_sampler_free(sampler);
    }
}

static void an_interrupt_ends_between_samples(void **state)
{
    (void)state;
    fc_err err;
    fc_sample_stats stats;
    work w = {0};
    fc_sampler *const sampler = new_sampler();
    fc_cancel_set(true);
    fc_assert_fails(fc_sampler_run(sampler, count_calls, &w, &stats, &err), &err,
                    FC_CANCELLED, "stopped");
    fc_cancel_set(false);
    fc_sampler_free(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_count_by_canary_and_waiting),
        cmocka_unit_test(the_first_call_warms_up_and_every_other_is_a_sample),
        cmocka_unit_test(work_that_says_how_long_it_took_is_believed),
        cmocka_unit_test(a_failure_of_the_work_is_passed_on),
        cmocka_unit_test(an_interrupt_ends_between_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
