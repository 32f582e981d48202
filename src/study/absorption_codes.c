/* absorption_codes.c - encoding in blocks, and sorting entries by counting.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/absorption_codes_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "sae/codes.h"

enum { BLOCK = 256 };

typedef struct entry {
    int32_t row, feature;
    float value;
} entry;

typedef struct entries {
    entry *entry; /* by block, in it by feature, of a feature by row */
    int64_t n, capacity;
} entries;

static fc_status add_feature(entries *to, const fc_codes *codes, int64_t i, int64_t first,
                             float scale, fc_err *err)
{
    const fc_feature_codes f = fc_codes_of(codes, i);
    FC_TRY(fc_grow(&to->entry, &to->capacity, to->n + f.n, sizeof *to->entry,
                   "features of words", err));
    for (int64_t j = 0; j < f.n; j++) {
        if (!(f.value[j] > 0.0f)) continue;
        const int64_t row = f.index == NULL ? j : f.index[j];
        to->entry[to->n++] =
            (entry){(int32_t)(first + row), (int32_t)i, f.value[j] * scale};
    }
    return FC_OK;
}

static fc_status encode(entries *to, const fc_sae *sae, const float *x, int64_t n,
                        const float *scale, fc_precision precision, fc_backend *be,
                        fc_err *err)
{
    fc_codes *codes;
    fc_status status = FC_OK;
    FC_TRY(fc_codes_new(&codes, sae, be, precision, BLOCK, false, err));
    for (int64_t first = 0; first < n; first += BLOCK) {
        fc_codes_encode(codes, sae, be, x + first * sae->d_in, fc_min(BLOCK, n - first));
        for (int64_t i = 0; i < sae->d_sae; i++)
            if (codes->firing.count[i] > 0 && scale[i] > 0.0f)
                FC_TRY_GOTO(add_feature(to, codes, i, first, scale[i], err));
    }
done:
    fc_codes_free(codes);
    return status;
}

/* Places by counting; blocks ascend, so the rows of a feature do. */
static void sort_by_feature(fc_word_codes *c, const entries *from)
{
    for (int64_t e = 0; e < from->n; e++) c->begin[from->entry[e].feature + 1]++;
    for (int64_t i = 0; i < c->d_sae; i++) c->begin[i + 1] += c->begin[i];
    for (int64_t e = 0; e < from->n; e++) {
        const entry one = from->entry[e];
        const int64_t at = c->begin[one.feature]++;
        c->row[at] = one.row;
        c->value[at] = one.value;
    }
    memmove(c->begin + 1, c->begin, (size_t)c->d_sae * sizeof *c->begin);
    c->begin[0] = 0;
}

/* Features ascend, so those of a row do. */
static void sort_by_row(fc_word_codes *c)
{
    for (int64_t e = 0; e < c->begin[c->d_sae]; e++) c->row_begin[c->row[e] + 1]++;
    for (int64_t t = 0; t < c->n; t++) c->row_begin[t + 1] += c->row_begin[t];
    for (int64_t i = 0; i < c->d_sae; i++)
        for (int64_t e = c->begin[i]; e < c->begin[i + 1]; e++) {
            const int64_t at = c->row_begin[c->row[e]]++;
            c->feature[at] = (int32_t)i;
            c->row_value[at] = c->value[e];
        }
    memmove(c->row_begin + 1, c->row_begin, (size_t)c->n * sizeof *c->row_begin);
    c->row_begin[0] = 0;
}

static fc_status sort_entries(fc_word_codes *c, const entries *from, fc_err *err)
{
    FC_TRY(fc_alloc(&c->begin, c->d_sae + 1, sizeof *c->begin, "columns", err));
    FC_TRY(fc_alloc(&c->row, from->n, sizeof *c->row, "columns", err));
    FC_TRY(fc_alloc(&c->value, from->n, sizeof *c->value, "columns", err));
    FC_TRY(fc_alloc(&c->row_begin, c->n + 1, sizeof *c->row_begin, "rows", err));
    FC_TRY(fc_alloc(&c->feature, from->n, sizeof *c->feature, "rows", err));
    FC_TRY(fc_alloc(&c->row_value, from->n, sizeof *c->row_value, "rows", err));
    sort_by_feature(c, from);
    sort_by_row(c);
    return FC_OK;
}

fc_status fc_word_codes_make(fc_word_codes *codes, const fc_sae *sae, const float *x,
                             int64_t n, double scale, fc_precision precision,
                             fc_backend *be, fc_err *err)
{
    fc_word_codes made = {.n = n, .d_sae = sae->d_sae};
    entries found = {0};
    float *length = NULL;
    fc_status status;
    *codes = (fc_word_codes){0};
    FC_TRY_GOTO(fc_alloc(&length, sae->d_sae, sizeof *length, "decoder norms", err));
    be->ops->row_norms(be, length, sae->w_dec, sae->d_sae, sae->d_out);
    for (int64_t i = 0; i < sae->d_sae; i++) length[i] *= (float)scale;
    FC_TRY_GOTO(encode(&found, sae, x, n, length, precision, be, err));
    FC_TRY_GOTO(sort_entries(&made, &found, err));
    *codes = made;
    made = (fc_word_codes){0};
done:
    fc_free(length);
    fc_free(found.entry);
    fc_word_codes_deinit(&made);
    return status;
}

void fc_word_codes_deinit(fc_word_codes *codes)
{
    fc_free(codes->begin);
    fc_free(codes->row);
    fc_free(codes->value);
    fc_free(codes->row_begin);
    fc_free(codes->feature);
    fc_free(codes->row_value);
    *codes = (fc_word_codes){0};
}
