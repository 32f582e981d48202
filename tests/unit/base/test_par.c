/* test_par.c - the parallel loop: each index once, the same bytes for any number of threads, nesting.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/par.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_THREADS = 4, MAX_N = 1000 };

/* What a loop saw. Assertions would jump out of a pool thread, so faults are counted. */
typedef struct record {
    int64_t n, grain;
    atomic_int times[MAX_N];
    atomic_int n_faults;
    atomic_bool is_busy[FC_PAR_MAX_THREADS];
} record;

static void visit(int64_t begin, int64_t end, int worker, void *ctx)
{
    record *r = ctx;
    const bool is_worker = worker >= 0 && worker < fc_par_threads();
    const bool is_chunk = begin % r->grain == 0 && end == fc_min(begin + r->grain, r->n);
    if (!is_worker || !is_chunk || begin >= end ||
        atomic_exchange(&r->is_busy[worker], true))
        r->n_faults++;
    for (int64_t i = begin; i < end; i++) r->times[i]++;
    r->is_busy[worker] = false;
}

static void check_loop(int64_t n, int64_t grain)
{
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->n = n;
    r->grain = grain;
    fc_par_for(n, grain, visit, r);
    assert_int_equal(r->n_faults, 0);
    for (int64_t i = 0; i < MAX_N; i++) assert_int_equal(r->times[i], i < n ? 1 : 0);
    free(r);
}

static void every_index_is_visited_once(void **state)
{
    (void)state;
    static const int64_t ns[] = {-1, 0, 1, 2, 63, 64, 65, MAX_N};
    static const int64_t grains[] = {1, 7, 64, 999, 1000, 1001, INT64_MAX};
    for (int n_threads = 1; n_threads <= MAX_THREADS; n_threads++) {
        fc_par_set_threads(n_threads);
        for (size_t i = 0; i < FC_LEN(ns); i++)
            for (size_t j = 0; j < FC_LEN(grains); j++) check_loop(ns[i], grains[j]);
    }
}

enum { N_SUM = 100003, SUM_GRAIN = 1000, N_CHUNKS = (N_SUM + SUM_GRAIN - 1) / SUM_GRAIN };

static void sum_chunk(int64_t begin, int64_t end, int worker, void *ctx)
{
    float *partial = ctx;
    float sum = 0;
    (void)worker;
    for (int64_t i = begin; i < end; i++) sum += 1.0f / (float)(i + 1);
    partial[begin / SUM_GRAIN] = sum;
}

static void sums_per_chunk_are_the_same_bytes_for_any_number_of_threads(void **state)
{
    (void)state;
    float expected[N_CHUNKS], got[N_CHUNKS];
    fc_par_set_threads(1);
    fc_par_for(N_SUM, SUM_GRAIN, sum_chunk, expected);
    for (int n_threads = 2; n_threads <= MAX_THREADS; n_threads++) {
        memset(got, 0xff, sizeof got);
        fc_par_set_threads(n_threads);
        fc_par_for(N_SUM, SUM_GRAIN, sum_chunk, got);
        assert_memory_equal(got, expected, sizeof got);
    }
}

enum { OUTER = 8, INNER = 37 };

typedef struct nested {
    atomic_int count, n_faults;
    pthread_t owner[OUTER];
    int worker[OUTER];
} nested;

typedef struct inner {
    nested *all;
    int64_t row;
} inner;

static void visit_inner(int64_t begin, int64_t end, int worker, void *ctx)
{
    const inner *in = ctx;
    if (worker != in->all->worker[in->row]) in->all->n_faults++;
    if (!pthread_equal(pthread_self(), in->all->owner[in->row])) in->all->n_faults++;
    atomic_fetch_add(&in->all->count, (int)(end - begin));
}

static void visit_outer(int64_t begin, int64_t end, int worker, void *ctx)
{
    nested *all = ctx;
    if (fc_par_threads_here() != 1) all->n_faults++;
    for (int64_t row = begin; row < end; row++) {
        all->worker[row] = worker;
        all->owner[row] = pthread_self();
        fc_par_for(INNER, 5, visit_inner, &(inner){all, row});
    }
}

static void a_loop_inside_a_chunk_runs_on_the_calling_thread(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= MAX_THREADS; n_threads++) {
        nested all = {0};
        fc_par_set_threads(n_threads);
        fc_par_for(OUTER, 1, visit_outer, &all);
        assert_int_equal(all.count, OUTER * INNER);
        assert_int_equal(all.n_faults, 0);
        assert_int_equal(fc_par_threads_here(), n_threads);
    }
}

static void count_up(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    atomic_fetch_add((_Atomic int64_t *)ctx, end - begin);
}

static void many_tiny_loops_lose_nothing(void **state)
{
    (void)state;
    enum { LOOPS = 20000 };
    for (int n_threads = 2; n_threads <= MAX_THREADS; n_threads += 2) {
        _Atomic int64_t count = 0;
        fc_par_set_threads(n_threads);
        for (int i = 0; i < LOOPS; i++) fc_par_for(1 + i % 5, 1, count_up, &count);
        assert_int_equal(count, LOOPS * 3);
    }
}

static void loops_after_the_threads_fell_asleep_lose_nothing(void **state)
{
    (void)state;
    enum { LOOPS = 200 };
    _Atomic int64_t count = 0;
    fc_par_set_threads(3);
    for (int i = 0; i < LOOPS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        fc_par_for(17, 2, count_up, &count);
    }
    assert_int_equal(count, LOOPS * 17);
}

static void *call_loops(void *ctx)
{
    for (int i = 0; i < 500; i++) fc_par_for(MAX_N, 100, visit, ctx);
    return NULL;
}

/* A reading thread and the main thread may both have loops; they take turns, so that even
 * scratch memory indexed by the worker is not shared. */
static void loops_of_two_threads_take_turns(void **state)
{
    (void)state;
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->n = MAX_N;
    r->grain = 100;
    pthread_t other;
    fc_par_set_threads(3);
    assert_int_equal(pthread_create(&other, NULL, call_loops, r), 0);
    call_loops(r);
    pthread_join(other, NULL);
    assert_int_equal(r->n_faults, 0);
    for (int i = 0; i < MAX_N; i++) assert_int_equal(r->times[i], 1000);
    free(r);
}

static void the_number_of_threads_comes_from_the_caller_or_the_environment(void **state)
{
    (void)state;
    fc_par_set_threads(3);
    assert_int_equal(fc_par_threads(), 3);
    setenv("FACET_THREADS", "2", 1);
    fc_par_set_threads(0);
    assert_int_equal(fc_par_threads(), 2);
    unsetenv("FACET_THREADS");
    fc_par_set_threads(0);
    const int n_cores = fc_par_threads();
    assert_true(n_cores >= 1);
    static const char *const bad[] = {"", "0", "-1", "2x", "257", "99999999999999999999"};
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        setenv("FACET_THREADS", bad[i], 1);
        fc_par_set_threads(0);
        assert_int_equal(fc_par_threads(), n_cores);
    }
    unsetenv("FACET_THREADS");
}

static int stop_pool(void **state)
{
    (void)state;
    fc_par_set_threads(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_visited_once),
        cmocka_unit_test(sums_per_chunk_are_the_same_bytes_for_any_number_of_threads),
        cmocka_unit_test(a_loop_inside_a_chunk_runs_on_the_calling_thread),
        cmocka_unit_test(many_tiny_loops_lose_nothing),
        cmocka_unit_test(loops_after_the_threads_fell_asleep_lose_nothing),
        cmocka_unit_test(loops_of_two_threads_take_turns),
        cmocka_unit_test(the_number_of_threads_comes_from_the_caller_or_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, stop_pool);
}
