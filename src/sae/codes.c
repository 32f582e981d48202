/* codes.c - encodes in blocks of features, decodes from lists and whole rows.
 *
 *   z [112, n] = W_enc[block] x^T      in the cache of one core, gone again after
 *   relu_rows                          lists and whole rows of the block
 *
 * x^T is packed once for all blocks, W_enc is read where it lies. The matrix of pre-activations,
 * 19 MB at 9216 features and 512 rows, is never in memory.
 *
 * The way back needs the lists by row of the batch. They are turned in blocks of features too: a
 * count for each block and row says where its entries begin, so that threads fill in their own.
 *
 *   y = whole rows, 768 at a time, as dense products; then the lists, in ascending order
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/codes.h"

#include <string.h>

#include "base/alloc.h"
#include "base/par.h"
#include "sae/arch.h"

enum {
    ENCODE_ROWS =
        112, /* features encoded at a time: with n = 512 z fills a quarter of L2 */
    TURN_ROWS = 512,  /* features whose lists are turned at a time */
    DENSE_ROWS = 768, /* whole rows decoded at a time: one block of the product's sum */
    ROW_ELEMENTS = 16 /* lists and z begin at whole vectors */
};

typedef struct fc_codes_scratch {
    fc_activate_fn *activate;
    fc_packed packed; /* x^T [d_in, n] */
    float *centred;   /* [n_max, d_in] */
    float *z;         /* [n_workers, ENCODE_ROWS, row] */
    int32_t *turn;    /* [blocks of TURN_ROWS, n_max] entries of a block in each row */
    float *f;         /* [DENSE_ROWS, n_max] whole rows */
    float *w;         /* [DENSE_ROWS, d_in] their decoder rows, of any type up to float */
} fc_codes_scratch;

/* --- memory ----------------------------------------------------------------------------- */

static int64_t n_turns(const fc_codes *codes)
{
    return fc_ceil_div(codes->d_sae, TURN_ROWS);
}

static int64_t list_limit(const fc_codes *codes, const fc_backend *be, int64_t n)
{
    return (int64_t)(fc_backend_dense_share(be, codes->precision) * (double)n);
}

static fc_status alloc_lists(fc_codes *c, const fc_backend *be, fc_err *err)
{
    const char *what = "lists of features";
    const int64_t n_entries = c->d_sae * list_limit(c, be, c->n_max);
    FC_TRY(fc_alloc(&c->index, c->d_sae * c->row, sizeof *c->index, what, err));
    FC_TRY(fc_alloc(&c->token_begin, c->n_max + 1, sizeof *c->token_begin, what, err));
    FC_TRY(fc_alloc(&c->token_count, c->n_max, sizeof *c->token_count, what, err));
    FC_TRY(fc_alloc(&c->feature, n_entries, sizeof *c->feature, what, err));
    FC_TRY(fc_alloc(&c->token_value, n_entries, sizeof *c->token_value, what, err));
    return fc_alloc(&c->scratch->turn, n_turns(c) * c->n_max, sizeof *c->scratch->turn,
                    what, err);
}

static fc_status alloc_all(fc_codes *c, const fc_backend *be, bool is_whole, fc_err *err)
{
    const char *what = "features";
    fc_codes_scratch *s = c->scratch;
    const int64_t n_z = (int64_t)fc_par_threads() * ENCODE_ROWS * c->row;
    FC_TRY(fc_alloc(&c->value, c->d_sae * c->row, sizeof *c->value, what, err));
    FC_TRY(fc_alloc(&c->firing.count, c->d_sae, sizeof *c->firing.count, what, err));
    FC_TRY(fc_alloc(&c->firing.sum, c->d_sae, sizeof *c->firing.sum, what, err));
    FC_TRY(fc_alloc(&c->firing.max, c->d_sae, sizeof *c->firing.max, what, err));
    FC_TRY(fc_alloc(&c->whole, c->d_sae, sizeof *c->whole, what, err));
    FC_TRY(fc_alloc(&s->packed.data,
                    fc_backend_packed_bytes(be, c->d_in, c->n_max, c->precision), 1, what,
                    err));
    FC_TRY(fc_alloc(&s->centred, c->n_max * c->d_in, sizeof *s->centred, what, err));
    FC_TRY(fc_alloc(&s->z, n_z, sizeof *s->z, what, err));
    FC_TRY(fc_alloc(&s->f, DENSE_ROWS * c->n_max, sizeof *s->f, what, err));
    FC_TRY(fc_alloc(&s->w, DENSE_ROWS * c->d_in, sizeof *s->w, what, err));
    return is_whole ? FC_OK : alloc_lists(c, be, err);
}

fc_status fc_codes_new(fc_codes **created, const fc_sae *sae, fc_backend *be,
                       fc_precision precision, int64_t n_max, bool is_whole, fc_err *err)
{
    fc_codes *c = NULL;
    const fc_arch *arch = fc_arch_find(sae->arch);
    FC_CHECK(arch != NULL);
    FC_TRY(fc_alloc(&c, 1, sizeof *c, "features", err));
    *c = (fc_codes){.precision = precision,
                    .d_in = sae->d_in,
                    .d_sae = sae->d_sae,
                    .n_max = n_max,
                    .n_list = is_whole ? -1 : 0,
                    .row = fc_round_up(n_max, ROW_ELEMENTS)};
    fc_status status = fc_alloc(&c->scratch, 1, sizeof *c->scratch, "features", err);
    if (status == FC_OK) {
        c->scratch->activate = arch->activate;
        status = alloc_all(c, be, is_whole, err);
    }
    if (status != FC_OK) {
        fc_codes_free(c);
        return status;
    }
    *created = c;
    return FC_OK;
}

void fc_codes_free(fc_codes *c)
{
    if (c == NULL) return;
    if (c->scratch != NULL) {
        fc_codes_scratch *s = c->scratch;
        fc_free(s->packed.data);
        fc_free(s->centred);
        fc_free(s->z);
        fc_free(s->turn);
        fc_free(s->f);
        fc_free(s->w);
    }
    void *const arrays[] = {c->scratch,     c->index,      c->value,      c->firing.count,
                            c->firing.sum,  c->firing.max, c->whole,      c->token_begin,
                            c->token_count, c->feature,    c->token_value};
    for (size_t i = 0; i < FC_LEN(arrays); i++) fc_free(arrays[i]);
    fc_free(c);
}

/* --- encoding --------------------------------------------------------------------------- */

typedef struct encoding {
    fc_codes *codes;
    const fc_sae *sae;
    fc_backend *be;
} encoding;

static void encode_block(int64_t begin, int64_t end, int worker, void *ctx)
{
    const encoding *e = ctx;
    fc_codes *c = e->codes;
    float *z = c->scratch->z + (int64_t)worker * ENCODE_ROWS * c->row;
    const fc_mat w =
        fc_mat_of(e->sae->w_enc + begin * c->d_in, FC_F32, end - begin, c->d_in);
    e->be->ops->matmul_packed(e->be, z, c->row, w, &c->scratch->packed, false);
    const fc_feature_rows to = {
        .n_list = c->n_list,
        .index = c->index != NULL ? c->index + begin * c->row : NULL,
        .value = c->value + begin * c->row,
        .index_row = c->row,
        .value_row = c->row,
        .count = c->firing.count + begin,
        .sum = c->firing.sum + begin,
        .max = c->firing.max + begin,
    };
    c->scratch->activate(e->sae, e->be, &to, z, c->row, begin, end - begin, c->n);
}

void fc_codes_encode(fc_codes *codes, const fc_sae *sae, fc_backend *be, const float *x,
                     int64_t n)
{
    fc_codes_scratch *s = codes->scratch;
    FC_ASSERT(n >= 0 && n <= codes->n_max);
    codes->n = n;
    if (codes->n_list >= 0) codes->n_list = list_limit(codes, be, n);
    codes->input = x;
    if (sae->is_b_dec_subtracted) {
        be->ops->sub_row(be, s->centred, x, sae->b_dec, n, codes->d_in);
        codes->input = s->centred;
    }
    s->packed.k = codes->d_in;
    s->packed.n = n;
    s->packed.precision = codes->precision;
    const fc_mat input = fc_mat_of(codes->input, FC_F32, n, codes->d_in);
    be->ops->pack(be, &s->packed, fc_mat_transposed(input));
    encoding e = {codes, sae, be};
    fc_par_for(codes->d_sae, ENCODE_ROWS, encode_block, &e);

    codes->n_whole = 0;
    for (int64_t i = 0; i < codes->d_sae; i++)
        if (fc_codes_is_whole(codes, i)) codes->whole[codes->n_whole++] = (int32_t)i;
}

/* --- lists by row of the batch ------------------------------------------------------------ */

static int64_t list_length(const fc_codes *c, int64_t feature)
{
    return fc_codes_is_whole(c, feature) ? 0 : c->firing.count[feature];
}

static void count_turn(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_codes *c = ctx;
    int32_t *count = c->scratch->turn + begin / TURN_ROWS * c->n_max;
    memset(count, 0, (size_t)c->n * sizeof *count);
    for (int64_t i = begin; i < end; i++) {
        const int32_t *index = c->index + i * c->row;
        const int64_t n = list_length(c, i);
        for (int64_t j = 0; j < n; j++) count[index[j]]++;
    }
}

/* Counts become places: first those of row 0, block by block, then those of row 1, ... */
static void place_turns(fc_codes *c)
{
    int64_t place = 0;
    for (int64_t t = 0; t < c->n; t++) {
        c->token_begin[t] = place;
        for (int64_t b = 0; b < n_turns(c); b++) {
            int32_t *count = c->scratch->turn + b * c->n_max + t;
            const int32_t n = *count;
            *count = (int32_t)(place - c->token_begin[t]);
            place += n;
        }
        c->token_count[t] = place - c->token_begin[t];
    }
    c->token_begin[c->n] = place;
}

static void fill_turn(int64_t begin, int64_t end, int worker, void *ctx)
{
    (void)worker;
    const fc_codes *c = ctx;
    int32_t *place = c->scratch->turn + begin / TURN_ROWS * c->n_max;
    for (int64_t i = begin; i < end; i++) {
        const int32_t *index = c->index + i * c->row;
        const float *value = c->value + i * c->row;
        const int64_t n = list_length(c, i);
        for (int64_t j = 0; j < n; j++) {
            const int64_t to = c->token_begin[index[j]] + place[index[j]]++;
            c->feature[to] = (int32_t)i;
            c->token_value[to] = value[j];
        }
    }
}

static void turn_lists(fc_codes *c)
{
    fc_par_for(c->d_sae, TURN_ROWS, count_turn, c);
    place_turns(c);
    fc_par_for(c->d_sae, TURN_ROWS, fill_turn, c);
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
                       (size_t)c->d_in * fc_dtype_size(w_dec.dtype)};
        fc_par_for(n_rows, 16, gather_rows, &g);
        const fc_mat f = fc_mat_of(c->scratch->f, FC_F32, n_rows, c->n);
        const fc_mat w = fc_mat_of(c->scratch->w, w_dec.dtype, n_rows, c->d_in);
        be->ops->matmul(be, y, c->d_in, fc_mat_transposed(f), w, c->precision, first > 0);
    }
}

void fc_codes_decode(fc_codes *codes, fc_backend *be, fc_mat w_dec, float *y)
{
    FC_ASSERT(w_dec.rows == codes->d_sae && w_dec.row == codes->d_in && w_dec.col == 1);
    decode_whole(codes, be, w_dec, y);
    if (codes->n_list < 0) return;
    turn_lists(codes);
    const fc_sparse f = {.n_rows = codes->n,
                         .n_cols = codes->d_sae,
                         .begin = codes->token_begin,
                         .count = codes->token_count,
                         .index = codes->feature,
                         .value = codes->token_value};
    be->ops->spmm(be, y, codes->d_in, f, w_dec, codes->precision, codes->n_whole > 0);
}
