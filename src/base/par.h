/* par.h - the whole threading story: one loop.
 *
 * Chunk borders depend on n and grain only, never on the number of threads, so anything
 * computed per chunk is the same for any thread count; fold partial sums in chunk order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_PAR_H
#define FC_BASE_PAR_H

#include "base/macros.h"

enum { FC_PAR_MAX_THREADS = 256 };

/* Called once per chunk [begin, end). worker is 0 .. fc_par_threads()-1: no two running chunks
 * share it, so it can index scratch memory. */
typedef void fc_par_fn(int64_t begin, int64_t end, int worker, void *ctx);

/* Runs fn over 0..n-1 in chunks of `grain` (the last may be shorter) and returns when all are
 * done. Chunks are taken by whichever thread is free. A call from inside a chunk runs on the
 * calling thread, with its worker number. n <= 0 does nothing. */
void fc_par_for(int64_t n, int64_t grain, fc_par_fn *fn, void *ctx);

int fc_par_threads(void);      /* at least 1 */
int fc_par_threads_here(void); /* that a loop begun here has: 1 inside a chunk */

/* 0 = FACET_THREADS, else one for each core allowed. Raise it only before anything is made that
 * holds memory for each worker (backends, steps, codes): they serve as many as there were then. */
void fc_par_set_threads(int n_threads);

#endif
