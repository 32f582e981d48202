/* auxk.c - the auxiliary term of dead features, on the selection of select.h.
 *
 * With one term for each level (matryoshka), the dead features of a level compete among themselves
 * for what is left over up to that level.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/auxk.h"

#include <string.h>

#include "base/alloc.h"
#include "sae/select.h"

struct fc_auxk {
    fc_lists lists;
    int32_t *id;     /* [d_sae] dead features, ascending */
    float *residual; /* [batch_size, d_out] */
    float *zero;     /* [d_out] */
    int64_t k_max;
};

int fc_auxk_levels(const fc_step *s)
{
    return s->config.matryoshka_aux ? s->n_levels : 1;
}

static fc_status alloc_all(fc_auxk *a, const fc_step *s, fc_err *err)
{
    const int64_t n = s->config.batch_size, d_sae = s->sae->d_sae, d_out = s->sae->d_out;
    const char *what = "dead features";
    const int64_t n_entries = fc_min(d_sae, a->k_max * fc_auxk_levels(s)) * n;
    FC_TRY(fc_lists_init(&a->lists, d_sae, n, 0, n_entries, false, err));
    FC_TRY(fc_alloc(&a->id, d_sae, sizeof *a->id, what, err));
    FC_TRY(fc_alloc(&a->residual, n * d_out, sizeof *a->residual, what, err));
    return fc_alloc(&a->zero, d_out, sizeof *a->zero, what, err);
}

fc_status fc_auxk_new(fc_auxk **created, const fc_step *step, fc_err *err)
{
    fc_auxk *a = NULL;
    FC_TRY(fc_alloc(&a, 1, sizeof *a, "dead features", err));
    a->k_max = fc_train_aux_k(&step->config, step->sae->d_in);
    const fc_status status = alloc_all(a, step, err);
    if (status != FC_OK) {
        fc_auxk_free(a);
        return status;
    }
    *created = a;
    return FC_OK;
}

void fc_auxk_free(fc_auxk *a)
{
    if (a == NULL) return;
    fc_lists_deinit(&a->lists);
    fc_free(a->id);
    fc_free(a->residual);
    fc_free(a->zero);
    fc_free(a);
}

/* Dead features from first to last-1 compete; their lists go behind the n_before entries there are.
 * Returns how many compete; *n_entries is how many entries there are then. */
static int64_t compete(fc_step *s, int64_t first, int64_t last, int64_t *n_entries)
{
    fc_auxk *a = s->auxk;
    int64_t n_dead = 0;
    for (int64_t i = first; i < last; i++)
        if (s->is_dead[i]) a->id[n_dead++] = (int32_t)i;
    if (n_dead == 0) return 0;
    const fc_select_job job = {.z = fc_codes_z(s->codes),
                               .scale = s->codes->norm,
                               .id = a->id,
                               .n_ids = n_dead,
                               .n = s->n,
                               .k = (double)fc_min(a->k_max, n_dead)};
    *n_entries =
        fc_select_run(fc_codes_select(s->codes), s->be, &job, &a->lists, *n_entries);
    return n_dead;
}

/* Features without a list begin where the next one does. */
static void place_others(fc_lists *l)
{
    int64_t at = 0;
    for (int64_t i = 0; i < l->d_sae; i++) {
        if (l->count[i] == 0) l->begin[i] = at;
        at = l->begin[i] + l->count[i];
    }
}

/* The loss of one level, and its delta: e is what main.delta says that level leaves over. */
static double level_loss(fc_step *s, int level, fc_sparse g, int64_t n_dead)
{
    fc_auxk *a = s->auxk;
    const fc_ops *op = s->be->ops;
    const int64_t d = s->sae->d_out, stride = s->config.batch_size * d;
    const bool is_all = s->aux.n_levels == 1;
    float *const delta = s->aux.delta + (is_all ? 0 : level) * stride;
    const double k_max = (double)a->k_max;
    const double share = (double)n_dead < k_max ? (double)n_dead / k_max : 1.0;
    const double weight = s->config.aux_coefficient * share / s->denominator;
    memcpy(a->residual, s->main.delta + level * stride,
           (size_t)(s->n * d) * sizeof(float));
    op->scale(s->be, a->residual, s->n * d, (float)(-0.5 * s->denominator));
    op->spmm(s->be, delta, d, g, fc_step_w_dec(s), s->precision, false);
    return weight * op->mse_grad(s->be, delta, a->zero, a->residual, s->n, d,
                                 (float)(2.0 * weight));
}

void fc_auxk_loss(fc_step *s)
{
    fc_auxk *a = s->auxk;
    int64_t n_dead[FC_MAX_LEVELS], n_entries = 0, first = 0;
    const int n_levels = s->aux.n_levels;
    if (a == NULL || s->n_dead == 0) return;
    memset(a->lists.count, 0, (size_t)s->sae->d_sae * sizeof *a->lists.count);
    for (int l = 0; l < n_levels; l++) {
        const int64_t last = n_levels == 1 ? s->sae->d_sae : s->level_end[l];
        n_dead[l] = compete(s, first, last, &n_entries);
        first = last;
    }
    place_others(&a->lists);
    fc_lists_turn(&a->lists, s->n);
    for (int l = 0; l < n_levels; l++) {
        const int64_t from = l == 0 ? 0 : s->level_end[l - 1];
        const fc_sparse g = n_levels == 1
                                ? fc_lists_by_row(&a->lists)
                                : fc_lists_part_by_row(&a->lists, from, s->level_end[l]);
        if (n_dead[l] > 0)
            s->losses.aux +=
                level_loss(s, n_levels == 1 ? s->n_levels - 1 : l, g, n_dead[l]);
    }
    s->aux.lists = &a->lists;
    s->losses.total += s->losses.aux;
}
