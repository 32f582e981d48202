/* bench_study.c - rows a second of the pass that `facet study` makes, and of its encoding alone.
 *
 * Without a store of the user's, one is made: random unit rows, and an SAE of which 1 % of the
 * features fire on a row (rates.h). The pass counts as the library times it: reading, encoding,
 * statistics and reconstruction, without writing the database. Its limit is that of encoding and
 * decoding in train_limit.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/par.h"
#include "bench/bench_internal.h"
#include "bench/scratch_dir.h"
#include "bench/train_limit.h"
#include "sae/codes.h"
#include "study/study.h"

enum { ROWS = 1024 }; /* encoded at a time */

typedef struct studying {
    fc_backend *be;
    fc_sae *sae;
    fc_store *store;
    float *x; /* [n, d_in] the store's first rows, normalised; n <= ROWS */
    int64_t n;
    fc_codes *codes;
    fc_precision precision;
    fc_study_config config;
    char dir[FC_PATH_MAX], db[FC_PATH_MAX];
} studying;

/* --- what is studied ---------------------------------------------------------------------- */

/* x [n, d]; every 64 rows are a document. */
static fc_status write_rows(fc_store_writer *writer, const float *x, int64_t n, int64_t d,
                            fc_err *err)
{
    enum { DOCUMENT = 64 };
    for (int64_t t = 0; t < n; t += DOCUMENT) {
        fc_row row[DOCUMENT];
        const int64_t n_rows = fc_min(DOCUMENT, n - t);
        const int32_t id = (int32_t)(t / DOCUMENT);
        const fc_doc doc = {
            .title = "random", .source = "bench", .line = id + 1, .n_tokens = n_rows};
        for (int64_t i = 0; i < n_rows; i++)
            row[i] = (fc_row){.token_id = (int32_t)((t + i) % 1000),
                              .doc_id = id,
                              .position = (int32_t)i + 1};
        FC_TRY(fc_store_document(writer, id, &doc, err));
        FC_TRY(fc_store_append(writer, x + t * d, row, n_rows, err));
    }
    return fc_store_finish(writer, false, err);
}

static fc_status make_store(const char *dir, const float *x, int64_t n, int64_t d,
                            fc_err *err)
{
    const fc_store_info info = {.hook = "bench",
                                .model = "",
                                .d = d,
                                .dtype = FC_BF16,
                                .n_wanted = n,
                                .rows_per_shard = n,
                                .max_length = 128};
    fc_store_writer *writer = NULL;
    int64_t n_done;
    FC_TRY(fc_store_create(&writer, dir, &info, NULL, &n_done, err));
    const fc_status status = write_rows(writer, x, n, d, err);
    fc_store_writer_close(writer);
    return status;
}

static fc_status make_all(const fc_bench_run *run, studying *s, fc_err *err)
{
    const fc_bench_config *const c = run->config;
    const int64_t n = c->is_quick ? fc_min(c->rows, 256) : c->rows;
    char store[FC_PATH_MAX];
    float *x = NULL;
    FC_TRY(fc_bench_sae(run, 0.01, 0, n, &s->sae, &x, err));
    fc_status status = make_store(s->dir, x, n, c->d_in, err);
    fc_free(x);
    FC_TRY(status);
    FC_TRY(fc_path_join(store, NULL, s->dir, err));
    return fc_store_open(&s->store, store, false, false, err);
}

static fc_status open_all(const fc_bench_run *run, studying *s, fc_err *err)
{
    const fc_bench_config *const c = run->config;
    FC_TRY(fc_scratch_dir_make(s->dir, err));
    FC_TRY(fc_path_join(s->db, s->dir, "features.db", err));
    if (c->store[0] != '\0') {
        FC_TRY(fc_store_open(&s->store, c->store, false, false, err));
        FC_TRY(fc_sae_load(&s->sae, c->sae, err));
    } else {
        FC_TRY(make_all(run, s, err));
    }
    const int64_t d = fc_store_info_of(s->store)->d;
    if (d != s->sae->d_in)
        return fc_fail(err, FC_MISMATCH,
                       "the activations have %lld dimensions, but the SAE expects %lld",
                       (long long)d, (long long)s->sae->d_in);
    s->n = fc_min(ROWS, fc_store_rows(s->store));
    FC_TRY(fc_alloc(&s->x, s->n * d, sizeof *s->x, "activations", err));
    fc_store_read(s->store, 0, s->n, s->x);
    fc_normalise(&s->sae->normaliser, s->x, s->x, NULL, s->n);
    s->precision = fc_backend_prefers_bf16(s->be) ? FC_PRECISION_BF16 : FC_PRECISION_F32;
    fc_study_defaults(&s->config);
    return fc_codes_new(&s->codes, s->sae, s->be, s->precision, s->n, false, err);
}

/* --- work --------------------------------------------------------------------------------- */

static fc_status pass(void *ctx, double *seconds, fc_err *err)
{
    studying *const s = ctx;
    fc_study_result result;
    FC_TRY(fc_study(&s->config, s->sae, s->store, NULL, s->be, s->db, &result, err));
    *seconds = result.seconds;
    return FC_OK;
}

static fc_status encode(void *ctx, double *seconds, fc_err *err)
{
    const studying *const s = ctx;
    (void)seconds;
    (void)err;
    fc_codes_encode(s->codes, s->sae, s->be, s->x, s->n);
    return FC_OK;
}

/* --- rows --------------------------------------------------------------------------------- */

/* Seconds for n rows, at the firing of the last block encoded. */
static fc_train_limit limit_of(const fc_bench_run *run, const studying *s)
{
    const fc_train_shape shape = {.d_in = s->sae->d_in,
                                  .d_sae = s->sae->d_sae,
                                  .n = s->n,
                                  .count = s->codes->firing.count,
                                  .precision = s->precision};
    return fc_train_limit_of(&shape, &run->peaks);
}

/* With the current number of threads; the peaks are those of all. */
static fc_status measure(fc_bench_run *run, studying *s, double *pass_rate, fc_err *err)
{
    const int n_threads = fc_par_threads();
    const bool is_all = n_threads == run->n_threads;
    const fc_bench_unit block = {"rows/s", (double)s->n};
    const fc_bench_unit store = {"rows/s", (double)fc_store_rows(s->store)};
    const char *const plural = n_threads == 1 ? "" : "s";
    fc_bench_row *row;
    char name[80];
    (void)snprintf(name, sizeof name, "encode alone, %d thread%s", n_threads, plural);
    FC_TRY(fc_bench_measure(run, name, block, encode, s, &row, err));
    const double encode_rate = row->median;
    const fc_train_limit limit = limit_of(run, s);
    if (is_all) fc_bench_limit(row, block, limit.encode);
    (void)snprintf(name, sizeof name, "pass, %d thread%s", n_threads, plural);
    FC_TRY(fc_bench_measure(run, name, store, pass, s, &row, err));
    if (is_all)
        fc_bench_limit(row, store,
                       (limit.encode + limit.decode) * store.work / block.work);
    fc_bench_detail_add(row, "share of encoding's rate",
                        100.0 * row->median / encode_rate, "%");
    if (*pass_rate > 0.0)
        fc_bench_detail_add(row, "against 1 thread", row->median / *pass_rate, "times");
    *pass_rate = row->median;
    return FC_OK;
}

fc_status fc_bench_study(fc_bench_run *run, fc_err *err)
{
    studying s = {.be = run->be};
    double pass_rate = 0.0;
    fc_status status;
    FC_TRY_GOTO(open_all(run, &s, err));
    if (run->n_threads > 1) {
        fc_par_set_threads(1);
        FC_TRY_GOTO(measure(run, &s, &pass_rate, err));
        fc_par_set_threads(run->n_threads);
    }
    status = measure(run, &s, &pass_rate, err);
done:
    fc_codes_free(s.codes);
    fc_store_close(s.store);
    fc_sae_free(s.sae);
    fc_free(s.x);
    fc_scratch_dir_remove(s.dir);
    return status;
}
