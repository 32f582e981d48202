/* study_examples.c - a short second step: the rows around each example, for one feature each.
 *
 *   z_t = w_enc_i . (x_t - b_dec)          t over the rows shown
 *   a_t = f(z_t)                           as the architecture has it (fc_codes_one_feature)
 *
 * The pass cannot keep activations around a maximum that it does not know yet. Gathering them
 * afterwards costs 11 dot products for each example, some hundredth of the pass. Examples are
 * taken in order of rows, so that the store is read forwards and rows behind can be let go. Where
 * features compete, the pass has kept what it took to win on each row. With
 * bf16 products the operands are rounded here too, so that a neighbour cannot exceed the peak for
 * rounding alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/study_examples_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"

enum { EXAMPLE_GRAIN = 64, GROUP_BYTES = 64 << 20 };

fc_status fc_examples_init(fc_examples *examples, const fc_study_job *job, fc_err *err)
{
    const fc_study_config *config = job->config;
    const int64_t width = config->window + 1, d = job->sae->d_in;
    const int64_t per_feature =
        config->contexts + config->quantiles * config->per_quantile;
    const int64_t bytes_each = width * 8 + (int64_t)sizeof(fc_example) + 8;
    const int64_t that_fit = GROUP_BYTES / (fc_max(1, per_feature) * bytes_each);
    fc_examples e = {.job = job,
                     .width = width,
                     .n_features = fc_max(1, fc_min(job->sae->d_sae, that_fit)),
                     .row_stride = (width + 1) * d};
    e.capacity = e.n_features * per_feature;
    const int64_t n_rows = (int64_t)fc_par_threads() * (width + 1);
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&e.example, e.capacity, sizeof *e.example, "examples", err));
    FC_TRY_GOTO(
        fc_alloc(&e.order, e.capacity, sizeof *e.order, "order of examples", err));
    FC_TRY_GOTO(fc_alloc(&e.activation, e.capacity * width, sizeof *e.activation,
                         "activations of examples", err));
    FC_TRY_GOTO(fc_alloc(&e.token, e.capacity * width, sizeof *e.token,
                         "tokens of examples", err));
    FC_TRY_GOTO(fc_alloc(&e.rows, n_rows * d, sizeof *e.rows, "rows of examples", err));
    FC_TRY_GOTO(fc_alloc(&e.rounded, n_rows * d, sizeof *e.rounded, "rounded rows", err));
    e.list_row = fc_round_up(width, 16);
    const int64_t n_entries = fc_par_threads() * e.list_row;
    FC_TRY_GOTO(fc_alloc(&e.index, n_entries, sizeof *e.index, "entries", err));
    FC_TRY_GOTO(fc_alloc(&e.value, n_entries, sizeof *e.value, "entries", err));
    FC_TRY_GOTO(fc_alloc(&e.z, n_entries, sizeof *e.z, "pre-activations", err));
done:
    if (status != FC_OK) fc_examples_deinit(&e);
    *examples = e;
    return status;
}

void fc_examples_deinit(fc_examples *examples)
{
    fc_free(examples->example);
    fc_free(examples->order);
    fc_free(examples->activation);
    fc_free(examples->token);
    fc_free(examples->rows);
    fc_free(examples->rounded);
    fc_free(examples->index);
    fc_free(examples->value);
    fc_free(examples->z);
    *examples = (fc_examples){0};
}

/* --- choice ----------------------------------------------------------------------------- */

static void add(fc_examples *e, int64_t feature, int64_t kind, const fc_peak *peaks,
                int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        e->example[e->n++] = (fc_example){
            .feature = feature, .kind = kind, .rank = i + 1, .peak = peaks[i]};
}

static void choose(fc_examples *e, const fc_study_pass *pass, int64_t feature)
{
    const fc_study_config *config = e->job->config;
    const float max = pass->feature[feature].max;
    if (pass->feature[feature].n == 0) return;
    add(e, feature, 0, pass->strongest.peak + feature * pass->strongest.k,
        pass->strongest.n[feature]);
    const double n = (double)config->quantiles;
    for (int64_t q = 1; q <= config->quantiles; q++) {
        fc_peak peaks[FC_SPECTRUM_MOST_DRAWS];
        const double lo = (double)max * (double)(q - 1) / n,
                     hi = (double)max * (double)q / n;
        add(e, feature, q, peaks,
            fc_spectrum_sample(&pass->spectrum, feature, lo, hi, peaks));
    }
}

/* Rows of the peak's document around it. */
static void set_window(const fc_study_job *job, fc_example *example)
{
    const int64_t row = example->peak.row, before = job->config->window / 2;
    const int64_t lowest = fc_max(0, row - before);
    const int64_t highest = fc_min(job->n_rows - 1, row + job->config->window - before);
    int64_t first = row, last = row;
    while (first > lowest &&
           fc_store_row(job->store, first - 1).doc_id == example->peak.doc)
        first--;
    while (last < highest &&
           fc_store_row(job->store, last + 1).doc_id == example->peak.doc)
        last++;
    example->first = first;
    example->n = last - first + 1;
}

/* --- activations ------------------------------------------------------------------------ */

static void round_to_bf16(float *x, fc_bf16 *rounded, int64_t n)
{
    fc_from_f32(rounded, FC_BF16, x, n);
    fc_to_f32(x, rounded, FC_BF16, n);
}

static float dot(const float *x, const float *w, int64_t d)
{
    float lane[16] = {0};
    int64_t j = 0;
    for (; j + 16 <= d; j += 16)
        for (int64_t l = 0; l < 16; l++) lane[l] += x[j + l] * w[j + l];
    for (; j < d; j++) lane[j % 16] += x[j] * w[j];
    for (int64_t half = 8; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

/* Row i of W_enc and the rows shown, as the encoder would see them: x [n, d], w [d]. */
static void load_operands(const fc_study_job *job, const fc_example *example, float *w,
                          float *x, fc_bf16 *rounded)
{
    const fc_sae *sae = job->sae;
    const int64_t d = sae->d_in;
    memcpy(w, sae->w_enc + example->feature * d, (size_t)d * sizeof *w);
    fc_store_read(job->store, example->first, example->n, x);
    fc_normalise(&sae->normaliser, x, x, NULL, example->n);
    if (sae->is_b_dec_subtracted)
        for (int64_t t = 0; t < example->n; t++)
            for (int64_t j = 0; j < d; j++) x[t * d + j] -= sae->b_dec[j];
    if (job->precision == FC_PRECISION_BF16) {
        round_to_bf16(w, rounded, d);
        round_to_bf16(x, rounded, example->n * d);
    }
}

static void fill_example(const fc_examples *e, int64_t id, int worker)
{
    const fc_study_job *job = e->job;
    const int64_t d = job->sae->d_in, own = worker * e->list_row;
    float *w = e->rows + worker * e->row_stride, *x = w + d, *z = e->z + own;
    fc_example *example = &e->example[id];
    set_window(job, example);
    load_operands(job, example, w, x, e->rounded + worker * e->row_stride);
    for (int64_t t = 0; t < example->n; t++) {
        z[t] = dot(x + t * d, w, d);
        e->token[id * e->width + t] =
            fc_store_row(job->store, example->first + t).token_id;
    }
    const fc_one_feature one = {.feature = example->feature,
                                .n = example->n,
                                .z = z,
                                .cut = e->cut != NULL ? e->cut + example->first : NULL,
                                .index = e->index + own,
                                .value = e->value + own,
                                .f = e->activation + id * e->width};
    fc_codes_one_feature(&one, job->sae, job->be);
    one.f[example->peak.row - example->first] = example->peak.value;
}

static void fill_examples(int64_t begin, int64_t end, int worker, void *ctx)
{
    const fc_examples *e = ctx;
    const fc_study_job *job = e->job;
    for (int64_t k = begin; k < end; k++) fill_example(e, e->order[k], worker);
    const int64_t first = e->example[e->order[begin]].first;
    fc_store_drop(job->store, first, e->example[e->order[end - 1]].first - first);
}

/* qsort has no context: rows and ids are sorted as one number, row above id. */
static int compare_i64(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

static void order_by_row(fc_examples *e)
{
    for (int64_t i = 0; i < e->n; i++)
        e->order[i] = ((int64_t)e->example[i].peak.row << 31) | i;
    qsort(e->order, (size_t)e->n, sizeof *e->order, compare_i64);
    for (int64_t i = 0; i < e->n; i++) e->order[i] &= INT32_MAX;
}

void fc_examples_fill(fc_examples *examples, const fc_study_pass *pass, int64_t begin,
                      int64_t end)
{
    FC_ASSERT(end - begin <= examples->n_features);
    examples->n = 0;
    examples->cut = pass->cut;
    for (int64_t i = begin; i < end; i++) choose(examples, pass, i);
    FC_ASSERT(examples->n <= examples->capacity);
    order_by_row(examples);
    fc_par_for(examples->n, EXAMPLE_GRAIN, fill_examples, examples);
}
