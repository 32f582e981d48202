/* par.c - the one parallel loop, on a pool of POSIX threads that starts at the first use.
 *
 * The life of a loop, seen from the caller (worker 0) and a pool thread (worker 1, 2, ...):
 *
 *   caller    writes the job | open = its number | wakes sleepers | takes chunks | open = 0 |
 *             waits until n_inside is 0
 *   thread    sees open != 0 | n_inside++ | sees open again | takes chunks | n_inside--
 *
 * The second look makes it safe: all of these are sequentially consistent, so a thread that
 * comes late either finds the loop closed, or is counted before the caller looks at n_inside.
 * Thus the job is never rewritten under a reader, and no loop waits for a thread that sleeps.
 *
 * Between loops a thread spins for some 20 us, because a forward pass is a chain of short loops,
 * and then sleeps on a condition variable. Own code instead of OpenMP: 200 lines, nothing to
 * install, and ThreadSanitizer understands it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* sched_getaffinity: the cores this process may use. NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _GNU_SOURCE
#include "base/par.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"

typedef struct job {
    int64_t n, grain, n_chunks;
    fc_par_fn *fn;
    void *ctx;
} job;

typedef struct thread_pool {
    pthread_mutex_t in_use; /* held by the thread that runs a loop or changes the pool */
    pthread_mutex_t lock;   /* for the two conditions */
    pthread_cond_t wake, all_left;
    job job; /* written while closed and nobody is inside */
    _Alignas(64) _Atomic int64_t next_chunk;
    _Alignas(64) _Atomic uint64_t open; /* number of the running job, 0 = none */
    _Atomic int n_inside;               /* pool threads that may read the job */
    _Atomic int n_sleeping;
    _Atomic int n_numbered; /* pool threads that took a number */
    _Atomic bool is_stopping;
    _Atomic int n_threads; /* wanted, with the caller; 0 = not yet known */
    uint64_t n_jobs;
    int n_started; /* pool threads that run */
    bool is_started;
    pthread_t thread[FC_PAR_MAX_THREADS];
} thread_pool;

/* A global by intent: there is one set of cores.
 * NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static thread_pool pool = {.in_use = PTHREAD_MUTEX_INITIALIZER,
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .wake = PTHREAD_COND_INITIALIZER,
                           .all_left = PTHREAD_COND_INITIALIZER};

/* -1 = outside of any chunk. NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables) */
static _Thread_local int current_worker = -1;

/* --- waiting ---------------------------------------------------------------------------- */

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

typedef bool condition_fn(uint64_t argument);

/* True as soon as the condition holds; false when it did not within SPIN_S. */
static bool spin_for(condition_fn *is_met, uint64_t argument)
{
    enum { LOOKS = 64 };
    const double SPIN_S = 20e-6, end = fc_clock_s() + SPIN_S;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (is_met(argument)) return true;
            pause_briefly();
        }
    } while (fc_clock_s() < end);
    return false;
}

static bool is_work_there(uint64_t last_job)
{
    const uint64_t open = pool.open;
    return (open != 0 && open != last_job) || pool.is_stopping;
}

static bool have_all_left(uint64_t unused)
{
    (void)unused;
    return pool.n_inside == 0;
}

static void wait_for_work(uint64_t last_job)
{
    if (spin_for(is_work_there, last_job)) return;
    pthread_mutex_lock(&pool.lock);
    pool.n_sleeping++; /* before the look: the caller looks at it after opening */
    while (!is_work_there(last_job)) pthread_cond_wait(&pool.wake, &pool.lock);
    pool.n_sleeping--;
    pthread_mutex_unlock(&pool.lock);
}

static void wait_until_all_left(void)
{
    if (spin_for(have_all_left, 0)) return;
    pthread_mutex_lock(&pool.lock);
    while (!have_all_left(0)) pthread_cond_wait(&pool.all_left, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

static void wake_sleepers(int64_t n_wanted)
{
    if (pool.n_sleeping == 0) return;
    pthread_mutex_lock(&pool.lock);
    if (n_wanted >= pool.n_sleeping)
        pthread_cond_broadcast(&pool.wake);
    else
        for (int64_t i = 0; i < n_wanted; i++) pthread_cond_signal(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

/* --- working ---------------------------------------------------------------------------- */

static void run_chunk(const job *j, int64_t chunk, int worker)
{
    const int64_t begin = chunk * j->grain;
    j->fn(begin, begin + fc_min(j->grain, j->n - begin), worker, j->ctx);
}

static void run_shared(int worker)
{
    for (;;) {
        const int64_t chunk = atomic_fetch_add(&pool.next_chunk, 1);
        if (chunk >= pool.job.n_chunks) return;
        run_chunk(&pool.job, chunk, worker);
    }
}

static void *thread_main(void *unused)
{
    uint64_t last_job = 0;
    (void)unused;
    current_worker = ++pool.n_numbered;
    for (;;) {
        wait_for_work(last_job);
        if (pool.is_stopping) return NULL;
        pool.n_inside++;
        const uint64_t open = pool.open;
        if (open != 0) {
            last_job = open;
            run_shared(current_worker);
        }
        if (--pool.n_inside == 0 && pool.open == 0)
        { /* the caller may be asleep by now */
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.all_left);
            pthread_mutex_unlock(&pool.lock);
        }
    }
}

/* --- the pool --------------------------------------------------------------------------- */

static int count_cores(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    return (int)fc_max(1, fc_min(CPU_COUNT(&allowed), FC_PAR_MAX_THREADS));
}

static int choose_threads(void)
{
    const int n_cores = count_cores();
    const char *text = getenv("FACET_THREADS");
    if (text == NULL || text[0] == '\0') return n_cores;
    char *end;
    const long n = strtol(text, &end, 10);
    if (*end == '\0' && n >= 1 && n <= FC_PAR_MAX_THREADS) return (int)n;
    fc_log(FC_LOG_WARN, "FACET_THREADS is '%s', expected 1 to %d; using %d", text,
           FC_PAR_MAX_THREADS, n_cores);
    return n_cores;
}

/* Threads that cannot be started are done without: the result does not depend on them. Signals
 * are left to the main thread. */
static void start_pool(void)
{
    sigset_t all, before;
    FC_CHECK(sigfillset(&all) == 0);
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    while (pool.n_started < fc_par_threads() - 1) {
        if (pthread_create(&pool.thread[pool.n_started], NULL, thread_main, NULL) != 0)
            break;
        pool.n_started++;
    }
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    pool.is_started = true;
}

static void stop_pool(void)
{
    pool.is_stopping = true;
    wake_sleepers(FC_PAR_MAX_THREADS);
    for (int i = 0; i < pool.n_started; i++) pthread_join(pool.thread[i], NULL);
    pool.is_stopping = false;
    pool.n_numbered = 0;
    pool.is_started = false;
    pool.n_started = 0;
}

int fc_par_threads(void)
{
    int n = pool.n_threads;
    if (n != 0) return n;
    n = choose_threads();
    pool.n_threads = n;
    return n;
}

void fc_par_set_threads(int n_threads)
{
    FC_CHECK(current_worker < 0); /* not from inside a loop */
    FC_CHECK(n_threads >= 0 && n_threads <= FC_PAR_MAX_THREADS);
    pthread_mutex_lock(&pool.in_use);
    if (pool.is_started) stop_pool();
    pool.n_threads = n_threads;
    pthread_mutex_unlock(&pool.in_use);
}

/* --- the loop --------------------------------------------------------------------------- */

static void run_with_pool(const job *j)
{
    if (!pool.is_started) start_pool();
    pool.job = *j;
    pool.next_chunk = 0;
    pool.open = ++pool.n_jobs;
    wake_sleepers(j->n_chunks - 1);
    run_shared(0);
    pool.open = 0;
    wait_until_all_left();
}

int fc_par_threads_here(void)
{
    return current_worker >= 0 ? 1 : fc_par_threads();
}

void fc_par_for(int64_t n, int64_t grain, fc_par_fn *fn, void *ctx)
{
    FC_CHECK(grain >= 1);
    if (n <= 0) return;
    const job j = {
        .n = n, .grain = grain, .n_chunks = (n - 1) / grain + 1, .fn = fn, .ctx = ctx};
    const bool is_nested = current_worker >= 0;
    if (!is_nested) {
        pthread_mutex_lock(&pool.in_use);
        current_worker = 0;
    }
    if (is_nested || j.n_chunks == 1 || fc_par_threads() == 1)
        for (int64_t chunk = 0; chunk < j.n_chunks; chunk++)
            run_chunk(&j, chunk, current_worker);
    else
        run_with_pool(&j);
    if (!is_nested) {
        current_worker = -1;
        pthread_mutex_unlock(&pool.in_use);
    }
}
