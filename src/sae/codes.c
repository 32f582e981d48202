/* codes.c - encodes in blocks of features, decodes from lists and whole rows.
 *
 *   z [112, n] = W_enc[block] x^T      in the cache of one core
 *   activate                           lists and whole rows of the block, and z is gone
 *
 * x^T is packed once for all blocks, W_enc is read where it lies. The matrix of pre-activations,
 * 19 MB at 9216 features and 512 rows, is never in memory, unless features compete (topk): then it
 * is kept, with the maxima of groups made while a block is in the cache, for select.h.
 *
 *   y = whole rows, 768 at a time, as dense products; then the lists, in ascending order
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/codes.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "sae/arch.h"
#include "sae/select.h"

enum {
    ENCODE_ROWS =
        112, /* features encoded at a time: with n = 512 z fills a quarter of L2 */
    DENSE_ROWS = 768, /* whole rows decoded at a time: one block of the product's sum */
    ROW_ELEMENTS = 16 /* lists and z begin at whole vectors */
};

typedef struct fc_codes_scratch {
    const fc_train_config *config; /* NULL: not training */
    fc_feature_rule rule;
    fc_packed packed; /* x^T [d_in, n] */
    float *centred;   /* [n_max, d_in] */
    float *z;         /* [n_workers, ENCODE_ROWS, row], or [d_sae, row] for a selection */
    float *f;         /* [DENSE_ROWS, n_max] whole rows */
    float *w;     /* [DENSE_ROWS, d_out] their decoder rows, of any type up to float */
    float *norm;  /* [d_sae] for a selection outside training */
    float *dense; /* [d_sae, row] all features, where they are not made so */
    fc_select *select;
    int64_t group;
} fc_codes_scratch;

/* --- memory ----------------------------------------------------------------------------- */

static int64_t list_limit(const fc_codes *codes, const fc_backend *be, int64_t n)
{
    return (int64_t)(fc_backend_dense_share(be, codes->precision) * (double)n);
}

/* What a new fc_codes is made for. */
typedef struct purpose {
    const fc_sae *sae;
    const fc_arch *arch;
    fc_backend *be;
    const fc_train_config *config; /* NULL: not training */
    bool is_whole;
} purpose;

/* Lists at fixed places where each feature makes its own, one after the other for a selection. */
static fc_status alloc_lists(fc_codes *c, const purpose *p, fc_err *err)
{
    fc_codes_scratch *s = c->scratch;
    const bool is_selected = s->rule.selection != FC_SELECT_NONE;
    int64_t n_entries = c->d_sae * c->n_max;
    if (p->arch->has_whole_rows) n_entries = c->d_sae * list_limit(c, p->be, c->n_max);
    if (is_selected)
        n_entries = fc_min(n_entries, (int64_t)(p->sae->k * (double)c->n_max));
    FC_TRY(fc_lists_init(&c->lists, c->d_sae, c->n_max, is_selected ? 0 : c->row,
                         n_entries, p->config != NULL && p->arch->has_second, err));
    if (p->arch->has_whole_rows) c->value = c->lists.value;
    if (!is_selected) return FC_OK;
    double k_max = p->sae->k;
    if (p->config != NULL && p->arch->has_auxk)
        k_max = fmax(k_max, (double)fc_train_aux_k(p->config, c->d_in));
    FC_TRY(fc_select_new(&s->select, c->d_sae, c->n_max, c->row, k_max, err));
    s->group = fc_select_group(s->select, p->sae->k, ENCODE_ROWS);
    return FC_OK;
}

static fc_status alloc_whole(fc_codes *c, const purpose *p, fc_err *err)
{
    fc_codes_scratch *s = c->scratch;
    FC_TRY(fc_alloc(&s->f, DENSE_ROWS * c->n_max, sizeof *s->f, "features", err));
    FC_TRY(fc_alloc(&s->w, DENSE_ROWS * c->d_out, sizeof *s->w, "features", err));
    if (!p->is_whole || p->arch->has_whole_rows) return FC_OK;
    FC_TRY(fc_alloc(&s->dense, c->d_sae * c->row, sizeof *s->dense, "features", err));
    c->value = s->dense;
    return FC_OK;
}

static fc_status alloc_all(fc_codes *c, const purpose *p, fc_err *err)
{
    const char *what = "features";
    fc_codes_scratch *s = c->scratch;
    const int64_t n_blocks = (int64_t)fc_par_threads() * ENCODE_ROWS;
    const int64_t n_rows = s->rule.selection == FC_SELECT_NONE ? n_blocks : c->d_sae;
    FC_TRY(fc_alloc(&c->firing.count, c->d_sae, sizeof *c->firing.count, what, err));
    FC_TRY(fc_alloc(&c->firing.sum, c->d_sae, sizeof *c->firing.sum, what, err));
    FC_TRY(fc_alloc(&c->firing.max, c->d_sae, sizeof *c->firing.max, what, err));
    FC_TRY(fc_alloc(&c->whole, c->d_sae, sizeof *c->whole, what, err));
    FC_TRY(fc_alloc(&s->packed.data,
                    fc_backend_packed_bytes(p->be, c->d_in, c->n_max, c->precision), 1,
                    what, err));
    FC_TRY(fc_alloc(&s->centred, c->n_max * c->d_in, sizeof *s->centred, what, err));
    FC_TRY(fc_alloc(&s->z, n_rows * c->row, sizeof *s->z, what, err));
    if (p->config != NULL && p->arch->has_extra)
        FC_TRY(fc_alloc(&c->extra, c->d_sae, sizeof *c->extra, what, err));
    FC_TRY(alloc_whole(c, p, err));
    return alloc_lists(c, p, err);
}

/* ||W_dec_i|| of an SAE that stays as it is. */
static fc_status set_norms(fc_codes *c, const purpose *p, fc_err *err)
{
    fc_codes_scratch *s = c->scratch;
    if (p->config != NULL || !p->sae->is_rescaled) return FC_OK;
    FC_TRY(fc_alloc(&s->norm, c->d_sae, sizeof *s->norm, "decoder norms", err));
    p->be->ops->row_norms(p->be, s->norm, p->sae->w_dec, c->d_sae, c->d_out);
    c->norm = s->norm;
    return FC_OK;
}

static fc_status make(fc_codes **created, const purpose *p, fc_precision precision,
                      int64_t n_max, fc_err *err)
{
    fc_codes *c = NULL;
    FC_CHECK(p->arch != NULL);
    FC_TRY(fc_alloc(&c, 1, sizeof *c, "features", err));
    *c = (fc_codes){.precision = precision,
                    .d_in = p->sae->d_in,
                    .d_out = p->sae->d_out,
                    .d_sae = p->sae->d_sae,
                    .n_max = n_max,
                    .n_list = p->is_whole ? -1 : 0,
                    .row = fc_round_up(n_max, ROW_ELEMENTS)};
    fc_status status = fc_alloc(&c->scratch, 1, sizeof *c->scratch, "features", err);
    if (status == FC_OK) {
        c->scratch->config = p->config;
        c->scratch->rule = p->config != NULL ? p->arch->training : p->arch->inference;
        status = alloc_all(c, p, err);
    }
    if (status == FC_OK) status = set_norms(c, p, err);
    if (status != FC_OK) {
        fc_codes_free(c);
        return status;
    }
    *created = c;
    return FC_OK;
}

fc_status fc_codes_new(fc_codes **created, const fc_sae *sae, fc_backend *be,
                       fc_precision precision, int64_t n_max, bool is_whole, fc_err *err)
{
    const purpose p = {sae, fc_arch_find(sae->arch), be, NULL, is_whole};
    return make(created, &p, precision, n_max, err);
}

fc_status fc_codes_new_training(fc_codes **created, const fc_sae *sae, fc_backend *be,
                                fc_precision precision, const fc_train_config *config,
                                fc_err *err)
{
    const purpose p = {sae, fc_arch_find(sae->arch), be, config, false};
    return make(created, &p, precision, config->batch_size, err);
}

void fc_codes_free(fc_codes *c)
{
    if (c == NULL) return;
    if (c->scratch != NULL) {
        fc_codes_scratch *s = c->scratch;
        void *const of_scratch[] = {s->packed.data, s->centred, s->z,    s->f,
                                    s->w,           s->norm,    s->dense};
        for (size_t i = 0; i < FC_LEN(of_scratch); i++) fc_free(of_scratch[i]);
        fc_select_free(s->select);
    }
    void *const arrays[] = {c->scratch,    c->firing.count, c->firing.sum,
                            c->firing.max, c->whole,        c->extra};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    fc_lists_deinit(&c->lists);
    fc_free(c);
}

/* --- encoding --------------------------------------------------------------------------- */

typedef struct encoding {
    fc_codes *codes;
    const fc_sae *sae;
    fc_backend *be;
} encoding;

/* z of features begin .. end-1, without bias. */
static void multiply_block(const encoding *e, float *z, int64_t begin, int64_t end)
{
    const fc_codes *c = e->codes;
    const fc_mat w =
        fc_mat_of(e->sae->w_enc + begin * c->d_in, FC_F32, end - begin, c->d_in);
    e->be->ops->matmul_packed(e->be, z, c->row, w, &c->scratch->packed, false);
}

static void activate_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const encoding *e = ctx;
    fc_codes *c = e->codes;
    const int64_t at = begin * c->row;
    float *z = c->scratch->z + (int64_t)worker * ENCODE_ROWS * c->row;
    multiply_block(e, z, begin, end);
    const fc_feature_block block = {
        .sae = e->sae,
        .be = e->be,
        .config = c->scratch->config,
        .first = begin,
        .n_rows = end - begin,
        .n = c->n,
        .z = z,
        .z_row = c->row,
        .to = {.n_list = c->n_list,
               .index = c->lists.index + at,
               .value = c->lists.value + at,
               .index_row = c->row,
               .value_row = c->row,
               .count = c->lists.count + begin,
               .sum = c->firing.sum + begin,
               .max = c->firing.max + begin},
        .second = c->lists.second != NULL ? c->lists.second + at : NULL,
        .firing = {c->firing.count + begin, c->firing.sum + begin, c->firing.max + begin},
        .is_dead = c->is_dead != NULL ? c->is_dead + begin : NULL,
        .extra = c->extra != NULL ? c->extra + begin : NULL,
    };
    c->scratch->rule.activate(&block);
}

/* z stays; the maxima of its groups are made while it is in the cache. */
static void compete_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const encoding *e = ctx;
    const fc_codes *c = e->codes;
    const fc_codes_scratch *s = c->scratch;
    float *z = s->z + begin * c->row;
    multiply_block(e, z, begin, end);
    for (int64_t i = begin; i < end; i += s->group)
        e->be->ops->bias_max(e->be, s->z + i * c->row, c->row, e->sae->b_enc + i,
                             c->norm != NULL ? c->norm + i : NULL,
                             fc_select_max(s->select, i / s->group),
                             fc_min(s->group, end - i), c->n);
}

static void sum_lists(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_codes *c = ctx;
    for (int64_t i = begin; i < end; i++) {
        const float *value = c->lists.value + c->lists.begin[i];
        double sum = 0.0;
        float max = 0.0f;
        for (int64_t j = 0; j < c->lists.count[i]; j++) {
            sum += (double)value[j];
            max = value[j] > max ? value[j] : max;
        }
        c->firing.count[i] = c->lists.count[i];
        c->firing.sum[i] = sum;
        c->firing.max[i] = max;
    }
}

/* Of each run of d_sae / k neighbours only the largest z stays; of equal ones the first. */
static void keep_largest(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const encoding *e = ctx;
    const fc_codes *c = e->codes;
    const int64_t size = c->d_sae / (int64_t)e->sae->k, row = c->row;
    for (int64_t g = begin; g < end; g++) {
        float *const z = c->scratch->z + g * size * row;
        for (int64_t t = 0; t < c->n; t++) {
            int64_t best = 0;
            for (int64_t i = 1; i < size; i++)
                if (z[i * row + t] > z[best * row + t]) best = i;
            for (int64_t i = 0; i < size; i++)
                if (i != best) z[i * row + t] = -1.0f; /* does not fire */
        }
    }
}

static void select_features(encoding *e)
{
    const bool is_grouped = e->codes->scratch->rule.selection == FC_SELECT_GROUP;
    if (is_grouped) fc_par_for((int64_t)e->sae->k, 1, keep_largest, e);
    fc_codes *c = e->codes;
    const fc_codes_scratch *s = c->scratch;
    const fc_select_job job = {.z = s->z,
                               .scale = c->norm,
                               .n_ids = c->d_sae,
                               .n = c->n,
                               .k = e->sae->k,
                               .is_batch = s->rule.selection == FC_SELECT_BATCH,
                               .is_positive = true,
                               .group = is_grouped ? 0 : s->group};
    (void)fc_select_run(s->select, e->be, &job, &c->lists, 0);
    c->cut = fc_select_cut(s->select);
    fc_par_for(c->d_sae, ENCODE_ROWS, sum_lists, c);
}

static void spread_lists(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_codes *c = ctx;
    for (int64_t i = begin; i < end; i++) {
        float *const f = c->value + i * c->row;
        const int64_t at = c->lists.begin[i];
        memset(f, 0, (size_t)c->n * sizeof *f);
        for (int64_t j = 0; j < c->lists.count[i]; j++)
            f[c->lists.index[at + j]] = c->lists.value[at + j];
    }
}

/* Which features are whole rows; the others have lists, or all are spread out. */
static void note_whole(fc_codes *c)
{
    if (c->scratch->dense != NULL) fc_par_for(c->d_sae, ENCODE_ROWS, spread_lists, c);
    c->n_whole = 0;
    for (int64_t i = 0; i < c->d_sae; i++) {
        if (!fc_codes_is_whole(c, i)) continue;
        c->whole[c->n_whole++] = (int32_t)i;
        c->lists.count[i] = 0;
    }
}

static void pack_input(fc_codes *c, const fc_sae *sae, fc_backend *be, const float *x)
{
    fc_codes_scratch *s = c->scratch;
    c->input = c->x = x;
    if (sae->is_b_dec_subtracted) {
        be->ops->sub_row(be, s->centred, x, sae->b_dec, c->n, c->d_in);
        c->input = s->centred;
    }
    s->packed.k = c->d_in;
    s->packed.n = c->n;
    s->packed.precision = c->precision;
    be->ops->pack(be, &s->packed,
                  fc_mat_transposed(fc_mat_of(c->input, FC_F32, c->n, c->d_in)));
}

void fc_codes_encode(fc_codes *codes, const fc_sae *sae, fc_backend *be, const float *x,
                     int64_t n)
{
    encoding e = {codes, sae, be};
    FC_ASSERT(n >= 0 && n <= codes->n_max);
    codes->n = n;
    codes->w_skip = sae->w_skip;
    if (codes->n_list >= 0)
        codes->n_list = codes->value != NULL ? list_limit(codes, be, n) : n;
    pack_input(codes, sae, be, x);
    if (codes->scratch->rule.selection == FC_SELECT_NONE) {
        fc_par_for(codes->d_sae, ENCODE_ROWS, activate_block, &e);
    } else {
        fc_par_for(codes->d_sae, ENCODE_ROWS, compete_block, &e);
        select_features(&e);
    }
    note_whole(codes);
}

fc_select *fc_codes_select(const fc_codes *codes)
{
    return codes->scratch->select;
}

const float *fc_codes_z(const fc_codes *codes)
{
    return codes->scratch->z;
}

/* --- one feature -------------------------------------------------------------------------- */

static void one_alone(const fc_one_feature *one, const fc_feature_rule *rule,
                      const fc_sae *sae, fc_backend *be)
{
    int64_t n_entries = 0, n_firing = 0;
    double sum = 0.0;
    float max = 0.0f;
    const int64_t row = fc_round_up(one->n, ROW_ELEMENTS);
    const fc_feature_block block = {
        .sae = sae,
        .be = be,
        .first = one->feature,
        .n_rows = 1,
        .n = one->n,
        .z = one->z,
        .z_row = one->n,
        .to = {.n_list = one->n, /* a list in any case */
               .index = one->index,
               .value = one->value,
               .index_row = row,
               .value_row = row,
               .count = &n_entries,
               .sum = &sum,
               .max = &max},
        .firing = {&n_firing, &sum, &max},
    };
    rule->activate(&block);
    memset(one->f, 0, (size_t)one->n * sizeof *one->f);
    for (int64_t j = 0; j < n_entries; j++) one->f[one->index[j]] = one->value[j];
}

/* The last to win has the cut itself for its key: sums in another order must not throw it out. */
static void one_of_many(const fc_one_feature *one, const fc_sae *sae, fc_backend *be)
{
    static const float slack = 1e-5f;
    float scale = 1.0f;
    if (sae->is_rescaled)
        be->ops->row_norms(be, &scale, sae->w_dec + one->feature * sae->d_out, 1,
                           sae->d_out);
    for (int64_t t = 0; t < one->n; t++) {
        const float z = one->z[t] + sae->b_enc[one->feature];
        const float cut = one->cut[t] - slack * fabsf(one->cut[t]);
        one->f[t] = z > 0.0f && z * scale >= cut ? z : 0.0f;
    }
}

void fc_codes_one_feature(const fc_one_feature *one, const fc_sae *sae, fc_backend *be)
{
    const fc_feature_rule *rule = &fc_arch_find(sae->arch)->inference;
    FC_CHECK(rule->selection != FC_SELECT_GROUP);
    if (rule->selection == FC_SELECT_NONE)
        one_alone(one, rule, sae, be);
    else
        one_of_many(one, sae, be);
}

/* --- decoding ----------------------------------------------------------------------------- */

typedef struct gathering {
    const fc_codes *codes;
    const int32_t *id;
    const unsigned char *w;
    size_t row_bytes;
} gathering;

static void gather_rows(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const gathering *g = ctx;
    const fc_codes *c = g->codes;
    for (int64_t r = begin; r < end; r++) {
        memcpy(c->scratch->f + r * c->n, c->value + g->id[r] * c->row,
               (size_t)c->n * sizeof(float));
        memcpy((unsigned char *)c->scratch->w + (size_t)r * g->row_bytes,
               g->w + (size_t)g->id[r] * g->row_bytes, g->row_bytes);
    }
}

static void decode_whole(const fc_codes *c, fc_backend *be, fc_mat w_dec, float *y)
{
    for (int64_t first = 0; first < c->n_whole; first += DENSE_ROWS) {
        const int64_t n_rows = fc_min(DENSE_ROWS, c->n_whole - first);
        gathering g = {c, c->whole + first, w_dec.data,
                       (size_t)c->d_out * fc_dtype_size(w_dec.dtype)};
        fc_par_for(n_rows, 16, gather_rows, &g);
        const fc_mat f = fc_mat_of(c->scratch->f, FC_F32, n_rows, c->n);
        const fc_mat w = fc_mat_of(c->scratch->w, w_dec.dtype, n_rows, c->d_out);
        be->ops->matmul(be, y, c->d_out, fc_mat_transposed(f), w, c->precision,
                        first > 0);
    }
}

/* y += x W_skip^T */
static void add_skip(const fc_codes *c, fc_backend *be, float *y)
{
    const fc_mat x = fc_mat_of(c->x, FC_F32, c->n, c->d_in);
    const fc_mat w = fc_mat_of(c->w_skip, FC_F32, c->d_out, c->d_in);
    be->ops->matmul(be, y, c->d_out, x, fc_mat_transposed(w), c->precision, true);
}

void fc_codes_decode(fc_codes *codes, fc_backend *be, fc_mat w_dec, float *y)
{
    FC_ASSERT(w_dec.rows == codes->d_sae && w_dec.row == codes->d_out && w_dec.col == 1);
    decode_whole(codes, be, w_dec, y);
    if (codes->n_list >= 0) {
        fc_lists_turn(&codes->lists, codes->n);
        be->ops->spmm(be, y, codes->d_out, fc_lists_by_row(&codes->lists), w_dec,
                      codes->precision, codes->n_whole > 0);
    }
    if (codes->w_skip != NULL) add_skip(codes, be, y);
}
