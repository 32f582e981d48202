/* backend.c - chooses, once, the kernels that this machine can run.
 *
 * The table climbs from plain C to the widest vectors; the last row that the machine has wins,
 * and a mask stops the climb early, for tests and comparisons. Products in bf16 have a kernel of
 * their own only with AVX512_BF16, and a faster one with AMX; elsewhere the operands are rounded
 * and the float32 kernel does the rest.
 *
 * Whether bf16 pays is measured and not looked up: on some machines vdpbf16ps does half the
 * work of a float32 multiply-add, on others twice, and tiles may be slow where they are emulated.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor/backend.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/par.h"
#include "tensor/cpu/cpu_internal.h"
#include "tensor/cpu/rowops_internal.h"

typedef struct fc_isa {
    const char *name;
    bool (*is_here)(void);
    const fc_gemm *f32, *rounded; /* products of either precision */
    const fc_gemm *bf16; /* products of bf16 in hardware, where it has them, or NULL */
    void (*rowops[7])(fc_cpu *cpu);
} fc_isa;

static bool always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
}

static bool has_amx(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16") && fc_cpu_has_amx();
}
#endif

#define ROWOPS(isa)                                                               \
    {                                                                             \
        fc_rowops_norm_##isa, fc_rowops_elem_##isa, fc_rowops_sae_##isa,          \
            fc_rowops_sparse_##isa, fc_rowops_relu_##isa, fc_rowops_select_##isa, \
            fc_rowops_attention_##isa                                             \
    }

static const fc_isa isas[] = {
    {"ref", always, &fc_gemm_ref, &fc_gemm_ref_rounded, NULL, ROWOPS(ref)},
#if defined(__x86_64__)
    {"avx2", has_avx2, &fc_gemm_avx2, &fc_gemm_avx2_rounded, NULL, ROWOPS(avx2)},
    {"avx512", has_avx512, &fc_gemm_avx512, &fc_gemm_avx512_rounded, &fc_gemm_avx512bf16,
     ROWOPS(avx512)},
    {"amx", has_amx, &fc_gemm_avx512, &fc_gemm_avx512_rounded, &fc_gemm_amx,
     ROWOPS(avx512)},
#endif
};

static fc_status choose_isa(const fc_isa **choice, const char *name, fc_err *err)
{
    const bool is_native = name == NULL || strcmp(name, "native") == 0;
    const fc_isa *best = NULL, *named = NULL;
    for (size_t i = 0; i < FC_LEN(isas) && isas[i].is_here(); i++) {
        best = &isas[i];
        if (!is_native && strcmp(name, best->name) == 0) named = best;
    }
    *choice = is_native ? best : named;
    if (*choice != NULL) return FC_OK;
    return fc_fail(
        err, FC_USAGE,
        "the processor kernels asked for are '%.32s', expected 'native' or one that this "
        "machine has: ref%s%s%s",
        name, best >= isas + 1 ? ", avx2" : "", best >= isas + 2 ? ", avx512" : "",
        best >= isas + 3 ? ", amx" : "");
}

/* Seconds for one whole tile from L1, the best of a few. */
static double tile_seconds(const fc_gemm *gemm, fc_scratch scratch)
{
    const fc_gemm_part part = {.c = scratch.lines,
                               .c_row = gemm->nr,
                               .a = scratch.a,
                               .a_row = FC_GEMM_UNITS,
                               .b = scratch.b,
                               .m = gemm->mr,
                               .n = gemm->nr,
                               .n_units = FC_GEMM_UNITS,
                               .soon = (const unsigned char *)scratch.b};
    double best = 1;
    for (int repeat = 0; repeat < 12; repeat++) {
        struct timespec t0, t1;
        (void)clock_gettime(CLOCK_MONOTONIC, &t0);
        for (int i = 0; i < 4; i++) gemm->tile(&part);
        (void)clock_gettime(CLOCK_MONOTONIC, &t1);
        const double s =
            (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
        best = s < best ? s : best;
    }
    return best / (double)(gemm->mr * gemm->nr * gemm->k_per_unit);
}

static void choose_bf16(fc_cpu *cpu, const fc_isa *isa)
{
    cpu->gemm[FC_PRECISION_BF16] = isa->rounded;
#if defined(__x86_64__)
    if (isa->bf16 == NULL || !__builtin_cpu_supports("avx512bf16")) return;
    const fc_scratch scratch = fc_cpu_scratch(cpu, 0);
    const fc_gemm *best = &fc_gemm_avx512bf16;
    double best_s = tile_seconds(best, scratch);
    if (isa->bf16 != best) {
        const double s = tile_seconds(isa->bf16, scratch);
        if (s < best_s) best = isa->bf16, best_s = s;
    }
    cpu->gemm[FC_PRECISION_BF16] = best;
    cpu->sparse[FC_PRECISION_BF16] = &fc_sparse_avx512bf16;
    cpu->prefers_bf16 = best_s < 0.8 * tile_seconds(isa->f32, scratch);
#endif
}

fc_status fc_backend_open(fc_backend **be, const char *cpu, fc_err *err)
{
    fc_status status = FC_OK;
    fc_backend *made = NULL;
    fc_cpu *state = NULL;
    const fc_isa *isa = NULL;
    FC_TRY_GOTO(choose_isa(&isa, cpu, err));
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the backend", err));
    FC_TRY_GOTO(fc_alloc(&state, 1, sizeof *state, "the backend", err));
    state->n_workers = fc_par_threads();
    const int64_t n_floats =
        (int64_t)state->n_workers * FC_SCRATCH + 2 * (FC_SLAB_A + FC_SLAB_B);
    FC_TRY_GOTO(fc_alloc(&state->scratch, n_floats, sizeof(float),
                         "scratch memory of the backend", err));
    state->slab_a = state->scratch + (int64_t)state->n_workers * FC_SCRATCH;
    state->slab_b = state->slab_a + 2 * FC_SLAB_A;
    state->gemm[FC_PRECISION_F32] = isa->f32;
    state->ops.name = isa->name;
    state->ops.matmul = fc_cpu_matmul;
    state->ops.pack = fc_cpu_pack;
    state->ops.matmul_packed = fc_cpu_matmul_packed;
    state->ops.attention = fc_cpu_attention;
    for (size_t i = 0; i < FC_LEN(isa->rowops); i++) isa->rowops[i](state);
    choose_bf16(state, isa);
    made->ops = &state->ops;
    made->state = state;
    *be = made;
    return FC_OK;

done:
    fc_free(state);
    fc_free(made);
    return status;
}

void fc_backend_close(fc_backend *be)
{
    if (be == NULL) return;
    fc_cpu *const cpu = be->state;
    fc_free(cpu->scratch);
    fc_free(cpu);
    fc_free(be);
}

double fc_backend_dense_share(const fc_backend *be, fc_precision precision)
{
    const fc_cpu *const cpu = be->state;
    return cpu->gemm[precision]->dense_share;
}

bool fc_backend_prefers_bf16(const fc_backend *be)
{
    const fc_cpu *const cpu = be->state;
    return cpu->prefers_bf16;
}
