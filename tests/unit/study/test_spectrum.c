/* test_spectrum.c - histograms and samples against all the values.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "hits_feed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "study/spectrum_internal.h"

enum { N = 6000, BINS = 50, PER_CELL = 5, RANGES = 5 };

static float value[N];
static int32_t doc[N];

static void add(void *statistic, const fc_hits *hits, const fc_block *block)
{
    fc_spectrum_add(statistic, hits, block);
}

static void make(fc_spectrum *s, int64_t n, int64_t block_rows)
{
    fc_err err;
    fc_assert_ok(fc_spectrum_init(s, 2, PER_CELL, 3, &err), &err);
    for (int64_t t = 0; t < n; t++) doc[t] = (int32_t)(t / 10);
    const feed stream = {n, value, doc, doc};
    feed_rows(&stream, block_rows, 1, add, s);
}

static float largest(int64_t n)
{
    float max = 0.0f;
    for (int64_t t = 0; t < n; t++) max = fmaxf(max, value[t]);
    return max;
}

static void values_on_borders_fall_into_the_bin_below(void **state)
{
    (void)state;
    fc_spectrum s;
    int64_t bins[BINS];
    for (int i = 0; i < 50; i++) value[i] = (float)(i + 1); /* one in each bin (i, i+1] */
    make(&s, 50, 50);
    fc_spectrum_histogram(&s, 1, 50.0f, BINS, bins);
    for (int i = 0; i < BINS; i++) assert_int_equal(bins[i], 1);
    fc_spectrum_deinit(&s);
}

/* Kinds of stream: spread over many octaves, rising so that the window moves, equal, tiny. */
static float draw(int kind, int64_t t)
{
    const double u = fc_rng_uniform((uint64_t)kind, FC_RNG_TEST, (uint64_t)t);
    switch (kind) {
    case 0: return (float)u;
    case 1: return (float)exp(20.0 * u - 10.0);
    case 2: return (float)((double)t * u * u);
    case 3: return (float)pow(2.0, (double)t * 0.02 - 60.0) * (float)(0.5 + u);
    case 4: return 0.75f;
    case 5: return (float)(u * 1e-42); /* denormal */
    case 6: return t == N - 1 ? 1e30f : (float)u;
    default: return u < 0.5 ? 0.0f : (float)-log(u);
    }
}

enum { KINDS = 8, DENORMAL = 5 };

static void histograms_add_up_and_borders_are_nearly_exact(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        fc_spectrum s;
        int64_t bins[BINS], n_active = 0, sum = 0;
        for (int64_t t = 0; t < N; t++) n_active += (value[t] = draw(kind, t)) > 0.0f;
        make(&s, N, 100);
        const float max = largest(N);
        fc_spectrum_histogram(&s, 1, max, BINS, bins);
        for (int i = 0; i < BINS; i++) {
            sum += bins[i];
            /* values below the upper border of bin i, give or take one slot at the border */
            const double border = (double)max * (i + 1) / BINS;
            int64_t least = 0, most = 0;
            for (int64_t t = 0; t < N; t++) {
                if (!(value[t] > 0.0f)) continue;
                least += (double)value[t] <= border * (1.0 - 1.0 / 256);
                most += (double)value[t] <= border * (1.0 + 1.0 / 256);
            }
            if (kind != DENORMAL) assert_true(sum >= least && sum <= most);
        }
        assert_int_equal(sum, n_active);
        fc_spectrum_deinit(&s);
    }
}

static void samples_are_distinct_rows_of_their_range_strongest_first(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        fc_spectrum s;
        for (int64_t t = 0; t < N; t++) value[t] = draw(kind, t);
        make(&s, N, 64);
        const double max = (double)largest(N);
        for (int q = 1; q <= RANGES; q++) {
            fc_peak peaks[PER_CELL];
            const double lo = max * (q - 1) / RANGES, hi = max * q / RANGES;
            int64_t n_in = 0;
            for (int64_t t = 0; t < N; t++)
                n_in += (double)value[t] > lo && (double)value[t] <= hi;
            const int64_t n = fc_spectrum_sample(&s, 1, lo, hi, peaks);
            if (kind != DENORMAL) assert_int_equal(n, fc_min(n_in, PER_CELL));
            for (int64_t i = 0; i < n; i++) {
                assert_true(value[peaks[i].row] == peaks[i].value);
                assert_int_equal(doc[peaks[i].row], peaks[i].doc);
                assert_true((double)peaks[i].value > lo && (double)peaks[i].value <= hi);
                if (i > 0)
                    assert_true(peaks[i - 1].value > peaks[i].value ||
                                (peaks[i - 1].value == peaks[i].value &&
                                 peaks[i - 1].row < peaks[i].row));
            }
        }
        fc_spectrum_deinit(&s);
    }
}

static void few_values_are_all_sampled(void **state)
{
    (void)state;
    fc_spectrum s;
    const float few[] = {1.0f, 0.0f, 2.0f, 9.5f, 10.0f};
    memcpy(value, few, sizeof few);
    make(&s, 5, 2);
    fc_peak peaks[PER_CELL];
    assert_int_equal(fc_spectrum_sample(&s, 1, 0.0, 2.0, peaks), 2);
    assert_int_equal(peaks[0].row, 2);
    assert_int_equal(peaks[1].row, 0);
    assert_int_equal(fc_spectrum_sample(&s, 1, 2.0, 8.0, peaks), 0);
    assert_int_equal(fc_spectrum_sample(&s, 1, 8.0, 10.0, peaks), 2);
    assert_int_equal(fc_spectrum_sample(&s, 0, 0.0, 10.0, peaks),
                     0); /* another feature */
    fc_spectrum_deinit(&s);
}

static void blocks_of_any_size_give_the_same(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        fc_spectrum a, b;
        for (int64_t t = 0; t < N; t++) value[t] = draw(kind, t);
        make(&a, N, 1);
        make(&b, N, 512);
        assert_memory_equal(a.count, b.count, 2 * FC_SPECTRUM_SLOTS * sizeof *a.count);
        assert_memory_equal(a.draw, b.draw,
                            2 * FC_SPECTRUM_CELLS * PER_CELL * sizeof *a.draw);
        fc_spectrum_deinit(&a);
        fc_spectrum_deinit(&b);
    }
}

/* 200 features with the same 1,000 equal activations: each row should come up about equally
 * often, in the first half as in the second. */
static void samples_favour_no_row(void **state)
{
    (void)state;
    enum { FEATURES = 200, ROWS = 1000 };
    fc_spectrum s;
    fc_err err;
    int64_t n_low = 0, n_all = 0, n_first = 0;
    for (int64_t t = 0; t < ROWS; t++) value[t] = 1.0f;
    const feed stream = {ROWS, value, doc, doc};
    fc_assert_ok(fc_spectrum_init(&s, FEATURES, PER_CELL, 3, &err), &err);
    for (int64_t i = 0; i < FEATURES; i++) {
        fc_peak peaks[PER_CELL];
        feed_rows(&stream, 500, i, add, &s);
        const int64_t n = fc_spectrum_sample(&s, i, 0.8, 1.0, peaks);
        assert_int_equal(n, PER_CELL);
        for (int64_t k = 0; k < n; k++) n_low += peaks[k].row < ROWS / 2;
        for (int64_t k = 0; k < n; k++) n_first += peaks[k].row < ROWS / 10;
        n_all += n;
    }
    assert_int_equal(n_all, 1000);
    assert_in_range(n_low, 420, 580);  /* 500 expected, 5 standard deviations */
    assert_in_range(n_first, 52, 148); /* 100 expected */
    fc_spectrum_deinit(&s);
}

static fc_status use(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_spectrum s;
    FC_TRY(fc_spectrum_init(&s, 3, 4, 1, err));
    fc_spectrum_deinit(&s);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fc_test_sweep_alloc(use, NULL, NULL), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_on_borders_fall_into_the_bin_below),
        cmocka_unit_test(histograms_add_up_and_borders_are_nearly_exact),
        cmocka_unit_test(samples_are_distinct_rows_of_their_range_strongest_first),
        cmocka_unit_test(few_values_are_all_sampled),
        cmocka_unit_test(blocks_of_any_size_give_the_same),
        cmocka_unit_test(samples_favour_no_row),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
