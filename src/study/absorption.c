/* absorption.c - words to activations to probes to judgements; a letter at a time, letters side by side.
 *
 *   x [n, d] -> probe w_l, b_l          logistic.c, on x - mean of the training words
 *   f        -> weights of features     l1_logistic.c, on columns
 *            -> k-sparse probes, F1     logistic.c, on k columns
 *   cos      [letters, d_sae]           one product of unit rows
 *   judgement of each test word         absorption_judge.c
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/absorption.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/par.h"
#include "study/absorption_codes_internal.h"
#include "study/absorption_internal.h"
#include "study/first_letter_internal.h"
#include "study/logistic_internal.h"
#include "study/study_pass_internal.h"

/* SAEBench's training: weight decay of the probe, L1 of the choice, and the F1 a split must bring. */
#define PROBE_DECAY      1e-4
#define CHOICE_L1        0.01
#define CHOICE_TOLERANCE 0.01
#define F1_JUMP          0.03

void fc_absorption_defaults(fc_absorption_config *config)
{
    *config = (fc_absorption_config){
        .words = 2000, .examples = 10, .precision = FC_AUTO_PRECISION};
}

/* --- training ------------------------------------------------------------------------------- */

typedef struct worker_memory {
    bool *y;                    /* [n] */
    float *dense;               /* [n_train, FC_ABSORPTION_K] */
    double *w;                  /* [d_sae] */
    fc_logistic_scratch probe;  /* [n_train, d] */
    fc_logistic_scratch sparse; /* [n_train, FC_ABSORPTION_K] */
    fc_l1_scratch choice;
} worker_memory;

typedef struct judging {
    const fc_letter_rows *rows;
    const fc_sae *sae;
    float *x; /* [n, d] scaled, less the mean of the training words */
    double scale;
    double *mean;          /* [d] of the scaled training words */
    fc_word_codes train;   /* of the training words */
    fc_word_codes test;    /* of the others */
    double *probe, *bias;  /* [letters, d], [letters] */
    worker_memory *memory; /* [n_workers] */
    int n_workers;
    fc_absorption *result;
} judging;

/* F1 of guesses about n test words: y, and a score above 0. */
typedef struct counts {
    int64_t n_hit, n_guessed, n_true;
} counts;

static void count(counts *c, bool is_guessed, bool is_true)
{
    c->n_hit += is_guessed && is_true;
    c->n_guessed += is_guessed;
    c->n_true += is_true;
}

static double f1_of(const counts *c)
{
    const int64_t n = c->n_guessed + c->n_true;
    return n > 0 ? 2.0 * (double)c->n_hit / (double)n : 0.0;
}

/* The probe of a letter on activations, and how good it is. */
static void train_probe(const judging *j, worker_memory *m, int letter)
{
    const int64_t d = j->sae->d_in, n = j->rows->n, n_train = j->rows->n_train;
    double *w = j->probe + letter * d, *b = &j->bias[letter];
    fc_logistic problem = {.n = n_train, .d = d, .x = j->x, .y = m->y, .l2 = PROBE_DECAY};
    counts c = {0};
    const double n_negative = (double)(n_train - j->result->letter[letter].n_train);
    fc_logistic_balance(&problem, 2.0 * n_negative / (double)n_train);
    fc_logistic_solve(&problem, &m->probe, w, b);
    for (int64_t t = n_train; t < n; t++)
        count(&c, fc_logistic_score(j->x + t * d, w, *b, d) > 0.0, m->y[t]);
    j->result->letter[letter].probe_f1 = f1_of(&c);
}

/* Features by their weight, the ten largest; of equal ones the lower. */
static void choose_features(const judging *j, worker_memory *m, fc_letter_absorption *l)
{
    const int64_t n_train = j->rows->n_train;
    fc_logistic weights = {.n = n_train, .y = m->y};
    double b;
    fc_logistic_balance(&weights, 2.0 * (double)(n_train - l->n_train) / (double)n_train);
    const fc_l1_logistic problem = {
        fc_word_columns(&j->train), m->y,      weights.positive_weight,
        weights.negative_weight,    CHOICE_L1, CHOICE_TOLERANCE};
    fc_l1_logistic_solve(&problem, &m->choice, m->w, &b);
    for (int64_t i = 0; i < j->sae->d_sae; i++) {
        if (!(m->w[i] > 0.0)) continue;
        int64_t at = l->n_k;
        for (; at > 0 && m->w[l->feature[at - 1]] < m->w[i]; at--)
            if (at < FC_ABSORPTION_K) l->feature[at] = l->feature[at - 1];
        if (at < FC_ABSORPTION_K) l->feature[at] = (int32_t)i;
        l->n_k = fc_min(l->n_k + 1, FC_ABSORPTION_K);
    }
}

/* Columns of k chosen features, dense; rows of other words stay 0. */
static void gather(const fc_word_codes *c, const int32_t *feature, int64_t k,
                   float *dense)
{
    memset(dense, 0, (size_t)(c->n * k) * sizeof *dense);
    for (int64_t i = 0; i < k; i++)
        for (int64_t e = c->begin[feature[i]]; e < c->begin[feature[i] + 1]; e++)
            dense[c->row[e] * k + i] = c->value[e];
}

static double k_sparse_f1(const judging *j, worker_memory *m,
                          const fc_letter_absorption *l, int64_t k)
{
    double w[FC_ABSORPTION_K], b;
    counts c = {0};
    fc_logistic problem = {
        .n = j->rows->n_train, .d = k, .x = m->dense, .y = m->y, .l2 = 1.0};
    gather(&j->train, l->feature, k, m->dense);
    fc_logistic_balance(&problem, (double)problem.n);
    fc_logistic_solve(&problem, &m->sparse, w, &b);
    gather(&j->test, l->feature, k, m->dense);
    for (int64_t t = 0; t < j->test.n; t++)
        count(&c, fc_logistic_score(m->dense + t * k, w, b, k) > 0.0,
              m->y[problem.n + t]);
    return f1_of(&c);
}

static void train_letter(const judging *j, worker_memory *m, int letter)
{
    fc_letter_absorption *l = &j->result->letter[letter];
    double best = -1.0;
    for (int64_t t = 0; t < j->rows->n; t++) m->y[t] = j->rows->letter[t] == letter;
    for (int64_t t = 0; t < j->rows->n; t++)
        *(t < j->rows->n_train ? &l->n_train : &l->n_test) += m->y[t];
    if (l->n_train == 0 || l->n_train == j->rows->n_train || l->n_test == 0) return;
    train_probe(j, m, letter);
    choose_features(j, m, l);
    for (int64_t k = 1; k <= l->n_k; k++) {
        l->f1[k - 1] = k_sparse_f1(j, m, l, k);
        if (l->n_split == k - 1 && (k == 1 || l->f1[k - 1] > best + F1_JUMP)) {
            best = l->f1[k - 1];
            l->n_split = k;
        }
    }
}

/* Letters first .. of the whole alphabet that are trained side by side. */
typedef struct group {
    const judging *j;
    int64_t first;
} group;

static void train_letters(int64_t begin, int64_t end, int worker, void *ctx)
{
    const group *g = ctx;
    for (int64_t i = begin; i < end && !fc_cancel_requested(); i++)
        train_letter(g->j, &g->j->memory[worker], (int)(g->first + i));
}

/* --- judging -------------------------------------------------------------------------------- */

/* cosine [letters, d_sae] of the probes' directions with decoder rows; probes become unit vectors, with
 * biases to match. */
static fc_status find_cosines(judging *j, float *cosine, fc_backend *be, fc_err *err)
{
    const int64_t d = j->sae->d_in, d_sae = j->sae->d_sae;
    float *unit = NULL, *rows = NULL;
    size_t row_bytes;
    fc_status status;
    FC_TRY_GOTO(fc_bytes(d, sizeof *unit, &row_bytes, err));
    FC_TRY_GOTO(fc_alloc(&unit, d_sae, row_bytes, "unit decoder rows", err));
    FC_TRY_GOTO(fc_alloc(&rows, FC_LETTERS, row_bytes, "probes", err));
    for (int64_t letter = 0; letter < FC_LETTERS; letter++) {
        double *p = j->probe + letter * d, length = 0.0;
        for (int64_t i = 0; i < d; i++) length += p[i] * p[i];
        length = sqrt(length);
        for (int64_t i = 0; i < d && length > 0.0; i++) {
            p[i] /= length;
            rows[letter * d + i] = (float)p[i];
        }
        if (length > 0.0) j->bias[letter] /= length;
    }
    memcpy(unit, j->sae->w_dec, (size_t)d_sae * row_bytes);
    be->ops->unit_rows(be, unit, NULL, d_sae, d, 1.0f);
    be->ops->matmul(be, cosine, d_sae, fc_mat_of(rows, FC_F32, FC_LETTERS, d),
                    fc_mat_transposed(fc_mat_of(unit, FC_F32, d_sae, d)),
                    FC_PRECISION_F32, false);
done:
    fc_free(unit);
    fc_free(rows);
    return status;
}

static void judge_letter(const judging *j, const float *cosine, int letter)
{
    fc_letter_absorption *l = &j->result->letter[letter];
    const int64_t d = j->sae->d_in, n_train = j->rows->n_train;
    const double *p = j->probe + letter * d;
    double mean = 0.0;
    for (int64_t i = 0; i < d; i++) mean += j->mean[i] * p[i];
    for (int64_t t = 0; t < j->test.n && l->n_split > 0; t++) {
        const double centred = fc_logistic_score(j->x + (n_train + t) * d, p, 0.0, d);
        const bool is_found = centred + j->bias[letter] > 0.0;
        if (j->rows->letter[n_train + t] != letter || !is_found) continue;
        const int64_t begin = j->test.row_begin[t];
        const fc_word_features word = {j->test.row_begin[t + 1] - begin,
                                       j->test.feature + begin,
                                       j->test.row_value + begin};
        const fc_word_judgement judgement =
            fc_judge_word(&word, cosine, l->feature, l->n_split, centred + mean);
        l->n_judged++;
        l->n_full += judgement.is_full;
        l->fraction += judgement.fraction;
    }
    if (l->n_judged == 0) return;
    l->full = (double)l->n_full / (double)l->n_judged;
    l->fraction /= (double)l->n_judged;
}

/* Mean and deviation (n - 1) of a number over the letters that have judged words. */
static double mean_of(const fc_absorption *r,
                      double (*number)(const fc_letter_absorption *), double *deviation)
{
    double sum = 0.0, squares = 0.0;
    const double n = (double)r->n_letters;
    if (deviation != NULL) *deviation = 0.0;
    if (r->n_letters == 0) return 0.0;
    for (int i = 0; i < FC_LETTERS; i++)
        if (r->letter[i].n_judged > 0) sum += number(&r->letter[i]);
    for (int i = 0; i < FC_LETTERS; i++)
        if (r->letter[i].n_judged > 0)
            squares += pow(number(&r->letter[i]) - sum / n, 2.0);
    if (deviation != NULL && r->n_letters > 1) *deviation = sqrt(squares / (n - 1.0));
    return sum / n;
}

static double full_of(const fc_letter_absorption *l)
{
    return l->full;
}
static double fraction_rate_of(const fc_letter_absorption *l)
{
    return l->fraction;
}
static double n_split_of(const fc_letter_absorption *l)
{
    return (double)l->n_split;
}
static double probe_f1_of(const fc_letter_absorption *l)
{
    return l->probe_f1;
}
static double f1_1_of(const fc_letter_absorption *l)
{
    return l->f1[0];
}

static void take_means(fc_absorption *r)
{
    for (int i = 0; i < FC_LETTERS; i++) r->n_letters += r->letter[i].n_judged > 0;
    r->full = mean_of(r, full_of, &r->full_std);
    r->fraction = mean_of(r, fraction_rate_of, &r->fraction_std);
    r->n_split = mean_of(r, n_split_of, &r->n_split_std);
    r->probe_f1 = mean_of(r, probe_f1_of, NULL);
    r->f1_1 = mean_of(r, f1_1_of, NULL);
}

/* --- all of it ------------------------------------------------------------------------------- */

/* Scales all rows so that the training words have a mean square of d, then takes their mean off. */
static void centre(judging *j)
{
    const int64_t d = j->sae->d_in, n = j->rows->n, n_train = j->rows->n_train;
    double square = 0.0;
    for (int64_t e = 0; e < n_train * d; e++)
        square += (double)j->rows->x[e] * (double)j->rows->x[e];
    j->scale = square > 0.0 ? sqrt((double)d * (double)n_train / square) : 1.0;
    for (int64_t t = 0; t < n_train; t++)
        for (int64_t i = 0; i < d; i++)
            j->mean[i] += j->scale * (double)j->rows->x[t * d + i] / (double)n_train;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < d; i++)
            j->x[t * d + i] =
                (float)(j->scale * (double)j->rows->x[t * d + i] - j->mean[i]);
}

static fc_status prepare(judging *j, fc_precision precision, fc_backend *be, fc_err *err)
{
    const int64_t d = j->sae->d_in, n = j->rows->n, n_train = j->rows->n_train;
    const int64_t k = FC_ABSORPTION_K;
    size_t row_bytes;
    FC_TRY(fc_bytes(d, sizeof *j->x, &row_bytes, err));
    FC_TRY(fc_alloc(&j->x, n, row_bytes, "activations of words", err));
    FC_TRY(fc_alloc(&j->mean, d, sizeof *j->mean, "a mean", err));
    FC_TRY(fc_alloc(&j->probe, d, FC_LETTERS * sizeof *j->probe, "probes", err));
    FC_TRY(fc_alloc(&j->bias, FC_LETTERS, sizeof *j->bias, "probes", err));
    centre(j);
    FC_TRY(fc_word_codes_make(&j->train, j->sae, j->rows->x, n_train, j->scale, precision,
                              be, err));
    FC_TRY(fc_word_codes_make(&j->test, j->sae, j->rows->x + n_train * d, n - n_train,
                              j->scale, precision, be, err));
    j->n_workers = fc_par_threads();
    FC_TRY(fc_alloc(&j->memory, j->n_workers, sizeof *j->memory, "workers", err));
    for (int i = 0; i < j->n_workers; i++) {
        worker_memory *m = &j->memory[i];
        FC_TRY(fc_alloc(&m->y, n, sizeof *m->y, "letters", err));
        FC_TRY(fc_alloc(&m->dense, fc_max(n_train, n - n_train), k * sizeof *m->dense,
                        "chosen features", err));
        FC_TRY(fc_alloc(&m->w, j->sae->d_sae, sizeof *m->w, "a probe", err));
        FC_TRY(fc_logistic_scratch_init(&m->probe, n_train, d, err));
        FC_TRY(fc_logistic_scratch_init(&m->sparse, n_train, k, err));
        FC_TRY(fc_l1_scratch_init(&m->choice, n_train, j->sae->d_sae, err));
    }
    return FC_OK;
}

static void deinit(judging *j)
{
    for (int i = 0; j->memory != NULL && i < j->n_workers; i++) {
        worker_memory *m = &j->memory[i];
        fc_free(m->y);
        fc_free(m->dense);
        fc_free(m->w);
        fc_logistic_scratch_deinit(&m->probe);
        fc_logistic_scratch_deinit(&m->sparse);
        fc_l1_scratch_deinit(&m->choice);
    }
    fc_free(j->memory);
    fc_free(j->x);
    fc_free(j->mean);
    fc_free(j->probe);
    fc_free(j->bias);
    fc_word_codes_deinit(&j->train);
    fc_word_codes_deinit(&j->test);
}

static fc_status train(judging *j, fc_err *err)
{
    fc_progress progress = fc_progress_begin("eval", "letters", 0.0, FC_LETTERS);
    for (group g = {j, 0}; g.first < FC_LETTERS; g.first += j->n_workers) {
        const int64_t n = fc_min(j->n_workers, FC_LETTERS - g.first);
        fc_par_for(n, 1, train_letters, &g);
        fc_progress_set(&progress, (double)(g.first + n));
    }
    fc_progress_end(&progress);
    return fc_cancel_requested()
               ? fc_fail(err, FC_CANCELLED, "eval was interrupted at first letters")
               : FC_OK;
}

static fc_status check(const fc_letter_rows *rows, const fc_sae *sae, fc_err *err)
{
    if (sae->d_in != sae->d_out || sae->target_hook[0] != '\0')
        return fc_fail(err, FC_MISMATCH,
                       "absorption needs an SAE that writes what it reads, found a "
                       "transcoder of %" PRId64 " to %" PRId64 " dimensions",
                       sae->d_in, sae->d_out);
    for (int64_t e = 0; e < rows->n * sae->d_in; e++)
        if (!isfinite(rows->x[e]))
            return fc_fail(err, FC_FORMAT,
                           "the activation of word %" PRId64
                           " is not finite, expected finite activations",
                           e / sae->d_in);
    return FC_OK;
}

fc_status fc_absorption_judge(const fc_letter_rows *rows, const fc_sae *sae,
                              fc_precision precision, fc_backend *be,
                              fc_absorption *result, fc_err *err)
{
    fc_absorption found = {.n_words = rows->n, .n_test = rows->n - rows->n_train};
    judging j = {.rows = rows, .sae = sae, .result = &found};
    float *cosine = NULL;
    fc_status status;
    *result = (fc_absorption){0};
    FC_TRY(check(rows, sae, err));
    FC_TRY_GOTO(prepare(&j, precision, be, err));
    FC_TRY_GOTO(
        fc_alloc(&cosine, sae->d_sae, FC_LETTERS * sizeof *cosine, "cosines", err));
    FC_TRY_GOTO(train(&j, err));
    FC_TRY_GOTO(find_cosines(&j, cosine, be, err));
    for (int letter = 0; letter < FC_LETTERS; letter++)
        judge_letter(&j, cosine + letter * sae->d_sae, letter);
    take_means(&found);
    *result = found;
done:
    fc_free(cosine);
    deinit(&j);
    return status;
}

fc_status fc_absorption_measure(const fc_absorption_config *config, const fc_sae *sae,
                                const fc_model *model, const fc_tokenizer *tokenizer,
                                fc_backend *be, fc_absorption *result, fc_err *err)
{
    const fc_letter_prompts prompts = {
        model,        tokenizer,         sae->hook, sae->d_in, config->examples,
        config->seed, config->precision, be};
    const int64_t n_most = config->words > 0 ? config->words : INT64_MAX;
    fc_letter_words words = {0};
    float *x = NULL;
    fc_status status;
    *result = (fc_absorption){0};
    FC_TRY_GOTO(fc_letter_words_choose(&words, tokenizer, n_most, config->seed, err));
    FC_TRY_GOTO(fc_letter_activations(&words, &prompts, &x, err));
    fc_normalise(&sae->normaliser, x, x, NULL, words.n);
    const fc_letter_rows rows = {words.n, words.n_train, x, words.letter};
    FC_TRY_GOTO(fc_absorption_judge(&rows, sae, fc_study_precision(config->precision, be),
                                    be, result, err));
    result->n_vocabulary = words.n_vocabulary;
done:
    fc_free(x);
    fc_letter_words_deinit(&words);
    return status;
}
