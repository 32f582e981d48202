/* verdict.c - explained variance, loss recovered, L0, dead features and error, judged by fixed limits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/draw.h"

static void describe_variance(fc_verdict *n, const fc_report_data *d)
{
    const double ev = fc_features_run_number(d->db, "explained_variance");
    n->name = "explained variance";
    n->grade = ev > 0.95 ? FC_GRADE_GOOD : ev > 0.8 ? FC_GRADE_FAIR : FC_GRADE_BAD;
    fc_format_percent(n->value, ev);
    snprintf(n->remark, sizeof n->remark, "%s",
             ev > 0.95  ? "Good: the reconstruction keeps nearly all of the activations."
             : ev > 0.8 ? "Fair: the reconstruction keeps most of the activations."
             : ev > 0   ? "Weak: a good part of the activations is not reconstructed."
                        : "Bad: the mean alone would be a better reconstruction.");
}

static void describe_l0(fc_verdict *n, const fc_report_data *d)
{
    const double l0 = fc_features_run_number(d->db, "l0"),
                 share = l0 / (double)fc_max(d->n_features, 1);
    char percent[32];
    n->name = "average L0";
    n->grade = share > 0.05 || d->n_dense > 0 ? FC_GRADE_BAD
               : share > 0.02                 ? FC_GRADE_FAIR
                                              : FC_GRADE_GOOD;
    fc_format_percent(percent, share);
    if (isfinite(l0)) snprintf(n->value, sizeof n->value, "%.1f", l0);
    if (d->n_dense > 0)
        snprintf(n->remark, sizeof n->remark,
                 "Features per token, %s of all. Dense: %" PRId64
                 " %s on more than half of the tokens.",
                 percent, d->n_dense,
                 d->n_dense == 1 ? "feature fires" : "features fire");
    else
        snprintf(n->remark, sizeof n->remark, "Features per token, %s of all. %s",
                 percent,
                 share > 0.05   ? "Dense: a single feature says little alone."
                 : share > 0.02 ? "Fair: a token is described by many features."
                                : "Good: sparse enough to read a token by its features.");
}

static void describe_dead(fc_verdict *n, const fc_report_data *d)
{
    const double share = 1 - (double)d->n_live / (double)fc_max(d->n_features, 1);
    char percent[32], live[32];
    n->name = "dead features";
    n->grade = share > 0.5 ? FC_GRADE_BAD : share > 0.1 ? FC_GRADE_FAIR : FC_GRADE_GOOD;
    fc_format_percent(n->value, share);
    fc_format_count(percent, d->n_features - d->n_live);
    fc_format_count(live, d->n_live);
    if (d->n_live == d->n_features)
        snprintf(n->remark, sizeof n->remark, "Good: all %s features fire.", live);
    else
        snprintf(n->remark, sizeof n->remark, "%s never fire, %s do. %s", percent, live,
                 share > 0.5   ? "Weak: most of the dictionary is unused."
                 : share > 0.1 ? "Fair: a part of the dictionary is unused."
                               : "Good: nearly all of the dictionary is in use.");
}

static void describe_mse(fc_verdict *n, const fc_report_data *d)
{
    n->name = "mean squared error";
    n->grade = FC_GRADE_NONE;
    fc_format_value(n->value, fc_features_run_number(d->db, "mse"), 3);
    snprintf(n->remark, sizeof n->remark,
             "Per dimension of the normalised activations: compare runs on the same "
             "activations only.");
}

static void describe_loss(fc_verdict *n, const fc_report_data *d)
{
    const double kept = d->loss_recovered;
    n->name = "loss recovered";
    n->grade = kept > 0.98 ? FC_GRADE_GOOD : kept > 0.9 ? FC_GRADE_FAIR : FC_GRADE_BAD;
    fc_format_percent(n->value, kept);
    snprintf(n->remark, sizeof n->remark, "%s",
             kept > 0.98 ? "Good: with the reconstruction the model predicts as well."
             : kept > 0.9
                 ? "Fair: with the reconstruction the model predicts a bit worse."
             : kept > 0 ? "Weak: with the reconstruction the model predicts worse."
                        : "Bad: zeros in its place would cost the model less.");
}

int fc_verdicts(fc_verdict verdict[FC_MOST_VERDICTS], const fc_report_data *d)
{
    static void (*const describe[FC_MOST_VERDICTS])(fc_verdict * n,
                                                    const fc_report_data *d) = {
        describe_variance, describe_loss, describe_l0, describe_dead, describe_mse};
    int n = 0;
    for (int i = 0; i < FC_MOST_VERDICTS; i++) {
        if (describe[i] == describe_loss && !isfinite(d->loss_recovered)) continue;
        verdict[n] = (fc_verdict){.value = "\u2013"};
        describe[i](&verdict[n++], d);
    }
    return n;
}
