/* machine.h - what a figure was measured on: without it, it means nothing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_MACHINE_H
#define FC_BENCH_MACHINE_H

#include "tensor/backend.h"

typedef struct fc_machine {
    char processor[128]; /* as the system names it */
    int n_threads;
    const char *kernels;    /* "avx512" */
    const char *f32, *bf16; /* the instructions behind the peaks: "avx512 fma" */
    char date[32];          /* UTC, "2026-11-25T01:02:03Z" */
    const char *version, *commit;
} fc_machine;

/* Of the program, from git at build time; "" when it is not known. */
extern const char fc_commit[];

/* All but f32 and bf16. */
void fc_machine_describe(fc_machine *machine, const fc_backend *be);

#endif
