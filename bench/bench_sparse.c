/* bench_sparse.c - speed of what a training step does with sparse features, beside its goals.
 *
 *   bench_sparse [ref|avx2|avx512|native]
 *
 *   decode    spmm, tokens x features by W_dec, from outside of a loop
 *   dz        sddmm, W_dec by delta at the entries, 64 features at a time, as inside a loop
 *   grad      spmm, features x tokens by delta, 64 features at a time
 *   relu      relu_rows, 112 features at a time
 *   adam      64 rows at a time, of matrices that are in no cache
 *
 * Milliseconds for a batch of 512 tokens and 9216 features of 1152 columns, by the processor time of
 * one thread, the least of the repeats. Rates of features are spread as those of a trained SAE:
 * log10 is normal with deviation 0.6, none above 0.9.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "tensor/backend.h"

enum {
    N_TOKENS = 512,
    N_FEATURES = 9216,
    D = 1152,
    BLOCK = 64,       /* features of a block of gradients */
    RELU_BLOCK = 112, /* features of a block of pre-activations */
    MOST_REPEATS = 30
};

static const double densities[] = {0.003, 0.01, 0.03, 0.12, 0.25};

/* Everything the operations read and write. */
typedef struct data {
    fc_backend *be;
    fc_precision precision;
    float *w, *delta, *out, *g, *z, *m, *v;
    uint16_t *w16, *delta16;
    fc_sparse by_token, by_feature;
    int64_t *begin[2], *count[2];
    int32_t *index[2], *list;
    float *value[2], *list_value, *dots;
    float bias[RELU_BLOCK];
} data;

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *take(int64_t n, size_t size)
{
    fc_err err = {0};
    void *p = NULL;
    if (fc_alloc(&p, n, size, "the arrays of the benchmark", &err) == FC_OK) return p;
    (void)fprintf(stderr, "%s\n", err.text);
    exit(1);
}

static float *take_noise(int64_t n, uint64_t stream)
{
    float *const x = take(n, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)fc_rng_uniform(1, stream, (uint64_t)i) - 0.5f;
    return x;
}

/* Rates of all features whose mean is `density`. */
static void draw_rates(double *rate, double density)
{
    double low = -9, high = 3;
    for (int step = 0; step < 50; step++) {
        const double shift = 0.5 * (low + high);
        double sum = 0;
        for (int64_t i = 0; i < N_FEATURES; i++) {
            rate[i] = fmin(0.9, pow(10, shift + 0.6 * fc_rng_normal(2, 1, (uint64_t)i)));
            sum += rate[i];
        }
        if (sum / N_FEATURES < density)
            low = shift;
        else
            high = shift;
    }
}

/* The lists by feature (1) and, from them, by token (0). Returns the number of entries. */
static int64_t draw_lists(data *x, double density)
{
    double *const rate = take(N_FEATURES, sizeof *rate);
    int64_t n = 0;
    draw_rates(rate, density);
    memset(x->count[0], 0, N_TOKENS * sizeof *x->count[0]);
    for (int64_t i = 0; i < N_FEATURES; i++) {
        x->begin[1][i] = i * N_TOKENS;
        x->count[1][i] = 0;
        for (int64_t t = 0; t < N_TOKENS; t++) {
            const uint64_t which = (uint64_t)(i * N_TOKENS + t);
            if (fc_rng_uniform(3, 1, which) >= rate[i]) continue;
            const int64_t at = x->begin[1][i] + x->count[1][i]++;
            x->index[1][at] = (int32_t)t;
            x->value[1][at] = (float)fc_rng_uniform(4, 1, which);
            x->count[0][t]++;
        }
    }
    for (int64_t t = 0; t < N_TOKENS; t++) {
        x->begin[0][t] = n;
        n += x->count[0][t];
        x->count[0][t] = 0;
    }
    for (int64_t i = 0; i < N_FEATURES; i++)
        for (int64_t j = 0; j < x->count[1][i]; j++) {
            const int64_t from = x->begin[1][i] + j, t = x->index[1][from];
            const int64_t to = x->begin[0][t] + x->count[0][t]++;
            x->index[0][to] = (int32_t)i;
            x->value[0][to] = x->value[1][from];
        }
    fc_free(rate);
    return n;
}

static fc_mat matrix(const data *x, const float *f32, const uint16_t *bf16, int64_t rows)
{
    return x->precision == FC_PRECISION_F32 ? fc_mat_of(f32, FC_F32, rows, D)
                                            : fc_mat_of(bf16, FC_BF16, rows, D);
}

static void decode(const data *x)
{
    x->be->ops->spmm(x->be, x->out, D, x->by_token, matrix(x, x->w, x->w16, N_FEATURES),
                     x->precision, false);
}

static fc_sparse block_of(const data *x, int64_t first)
{
    const fc_sparse block = {.n_rows = BLOCK,
                             .n_cols = N_TOKENS,
                             .begin = x->begin[1] + first,
                             .count = x->count[1] + first,
                             .index = x->index[1],
                             .value = x->value[1]};
    return block;
}

static void dz(const data *x)
{
    const fc_mat delta = matrix(x, x->delta, x->delta16, N_TOKENS);
    for (int64_t i = 0; i < N_FEATURES; i += BLOCK)
        x->be->ops->sddmm(x->be, x->dots, block_of(x, i),
                          fc_mat_of(x->w + i * D, FC_F32, BLOCK, D), delta, x->precision);
}

static void grad(const data *x)
{
    const fc_mat delta = matrix(x, x->delta, x->delta16, N_TOKENS);
    for (int64_t i = 0; i < N_FEATURES; i += BLOCK)
        x->be->ops->spmm(x->be, x->g, D, block_of(x, i), delta, x->precision, false);
}

/* The batch of features is always the same rows of z: it lies in L2, as behind a product. */
static void relu(const data *x)
{
    int64_t count[RELU_BLOCK];
    double sum[RELU_BLOCK];
    float max[RELU_BLOCK];
    const fc_feature_rows to = {.n_list = N_TOKENS / 4,
                                .index = x->list,
                                .value = x->list_value,
                                .index_row = N_TOKENS,
                                .value_row = N_TOKENS,
                                .count = count,
                                .sum = sum,
                                .max = max};
    for (int64_t i = 0; i < N_FEATURES; i += RELU_BLOCK)
        x->be->ops->relu_rows(x->be, &to, x->z, N_TOKENS, x->bias, RELU_BLOCK, N_TOKENS);
}

static void adam(const data *x)
{
    const fc_adam scalars = {
        .lr = 1e-9, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 1000};
    for (int64_t i = 0; i < N_FEATURES; i += BLOCK)
        x->be->ops->adam(x->be, x->w + i * D, x->m + i * D, x->v + i * D, x->g, BLOCK * D,
                         &scalars);
}

static double best_ms(void (*run)(const data *x), const data *x)
{
    double best = (double)INFINITY, begin = cpu_s();
    for (int i = 0; i < MOST_REPEATS && (i < 5 || cpu_s() - begin < 0.5); i++) {
        const double t = cpu_s();
        run(x);
        best = fmin(best, cpu_s() - t);
    }
    return best * 1e3;
}

/* z is uniform in -0.5 .. 0.5. */
static void set_bias(data *x, double density)
{
    double *const rate = take(N_FEATURES, sizeof *rate);
    draw_rates(rate, density);
    for (int64_t i = 0; i < RELU_BLOCK; i++) x->bias[i] = (float)rate[i] - 0.5f;
    fc_free(rate);
}

static void take_all(data *x)
{
    const int64_t n = (int64_t)N_FEATURES * D, n_most = (int64_t)N_FEATURES * N_TOKENS;
    x->w = take_noise(n, 5);
    x->m = take_noise(n, 6);
    x->v = take_noise(n, 7);
    for (int64_t i = 0; i < n; i++) x->v[i] = fabsf(x->v[i]);
    x->delta = take_noise((int64_t)N_TOKENS * D, 8);
    x->z = take_noise((int64_t)RELU_BLOCK * N_TOKENS, 9);
    x->w16 = take(n, sizeof *x->w16);
    x->delta16 = take((int64_t)N_TOKENS * D, sizeof *x->delta16);
    fc_from_f32(x->w16, FC_BF16, x->w, n);
    fc_from_f32(x->delta16, FC_BF16, x->delta, (int64_t)N_TOKENS * D);
    x->out = take((int64_t)N_TOKENS * D, sizeof *x->out);
    x->g = take((int64_t)BLOCK * D, sizeof *x->g);
    x->dots = take(n_most, sizeof *x->dots);
    x->list = take((int64_t)RELU_BLOCK * N_TOKENS, sizeof *x->list);
    x->list_value = take((int64_t)RELU_BLOCK * N_TOKENS, sizeof *x->list_value);
    for (int i = 0; i < 2; i++) {
        const int64_t n_rows = i == 0 ? N_TOKENS : N_FEATURES;
        x->begin[i] = take(n_rows, sizeof *x->begin[i]);
        x->count[i] = take(n_rows, sizeof *x->count[i]);
        x->index[i] = take(n_most, sizeof *x->index[i]);
        x->value[i] = take(n_most, sizeof *x->value[i]);
    }
    x->by_token = (fc_sparse){N_TOKENS,    N_FEATURES,  x->begin[0],
                              x->count[0], x->index[0], x->value[0]};
}

static void free_all(data *x)
{
    void *const arrays[] = {x->w,        x->m,        x->v,        x->delta,
                            x->z,        x->w16,      x->delta16,  x->out,
                            x->g,        x->dots,     x->list,     x->list_value,
                            x->begin[0], x->count[0], x->index[0], x->value[0],
                            x->begin[1], x->count[1], x->index[1], x->value[1]};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
}

int main(int argc, char **argv)
{
    data x = {0};
    fc_err err = {0};
    fc_par_set_threads(1);
    if (fc_backend_open(&x.be, argc > 1 ? argv[1] : NULL, &err) != FC_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    take_all(&x);
    printf("%s, one thread, ms\n", x.be->ops->name);
    printf("%-5s %7s %9s  %7s %7s %7s %7s\n", "", "density", "entries", "decode", "dz",
           "grad", "relu");
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < FC_LEN(densities); i++) {
            x.precision = p == 0 ? FC_PRECISION_F32 : FC_PRECISION_BF16;
            const int64_t n = draw_lists(&x, densities[i]);
            set_bias(&x, densities[i]);
            printf("%-5s %6.1f%% %9" PRId64, p == 0 ? "f32" : "bf16", densities[i] * 100,
                   n);
            printf("  %7.2f %7.2f %7.2f %7.2f\n", best_ms(decode, &x), best_ms(dz, &x),
                   best_ms(grad, &x), best_ms(relu, &x));
            (void)fflush(stdout);
        }
    printf("adam %.2f ms for %.1f M parameters\n", best_ms(adam, &x),
           1e-6 * N_FEATURES * D);
    free_all(&x);
    fc_backend_close(x.be);
    return 0;
}
