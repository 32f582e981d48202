/* bench_out.c - the figures as a table and as JSON.
 *
 *   train                       median      best         limit    %   kept   out
 *     1 % fire, bf16              52.1      50.9 ms       38.6   74     41     3
 *       encode 25.9 ms, decode 3.1 ms, update 23.1 ms
 *       limit: encode 24.1 ms, decode 1.1 ms, ...
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

/* At least three digits that mean something: 1234567, 123, 12.3, 1.23. */
static const char *number(char text[32], double x)
{
    const int decimals = isnan(x) ? -1 : x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
    if (decimals < 0)
        (void)snprintf(text, 32, "-");
    else
        (void)snprintf(text, 32, "%.*f", decimals, x);
    return text;
}

/* One line for the details of the median, one for those of the limit. */
static fc_status add_details(const fc_bench_row *r, const char *of, fc_strbuf *out,
                             fc_err *err)
{
    char value[32];
    int n = 0;
    for (int i = 0; i < r->n_details; i++) {
        const fc_bench_detail *const d = &r->detail[i];
        if (strcmp(d->of, of) != 0) continue;
        if (n++ == 0)
            FC_TRY(fc_strbuf_addf(out, err, "    %s%s", of, of[0] ? ": " : ""));
        else
            FC_TRY(fc_strbuf_add(out, ", ", 2, err));
        FC_TRY(fc_strbuf_addf(out, err, "%s %s%s%s", d->name, number(value, d->value),
                              d->unit[0] ? " " : "", d->unit));
    }
    return n > 0 ? fc_strbuf_add(out, "\n", 1, err) : FC_OK;
}

static fc_status add_row(const fc_bench_row *r, fc_strbuf *out, fc_err *err)
{
    char median[32], best[32], limit[32], percent[32] = "-";
    if (!isnan(r->percent)) (void)snprintf(percent, sizeof percent, "%.0f", r->percent);
    FC_TRY(fc_strbuf_addf(
        out, err, "  %-38s %9s %9s %-9s %9s %4s  %5" PRId64 " %5" PRId64 "%s\n", r->name,
        number(median, r->median), number(best, r->is_rate ? r->max : r->min), r->unit,
        number(limit, r->limit), percent, r->n_kept, r->n_dropped,
        r->n_kept == 0 ? "  (all disturbed, all used)" : ""));
    FC_TRY(add_details(r, "", out, err));
    return add_details(r, "limit", out, err);
}

fc_status fc_bench_text(const fc_bench_result *result, fc_strbuf *out, fc_err *err)
{
    const fc_machine *const m = &result->machine;
    FC_TRY(fc_strbuf_addf(out, err, "%s, %d thread%s, %s; facet %s%s%s\n", m->processor,
                          m->n_threads, m->n_threads == 1 ? "" : "s", m->bf16, m->version,
                          m->commit[0] ? ", commit " : "", m->commit));
    int part = -1;
    for (int i = 0; i < result->n_rows; i++) {
        const fc_bench_row *const r = &result->row[i];
        if ((int)r->part != part)
            FC_TRY(fc_strbuf_addf(out, err, "\n%-40s %9s %9s %-9s %9s %4s  %5s %5s\n",
                                  fc_bench_part_names[r->part], "median", "best", "",
                                  "limit", "%", "kept", "out"));
        part = (int)r->part;
        FC_TRY(add_row(r, out, err));
    }
    return FC_OK;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *details_json(const fc_bench_row *r)
{
    json_t *const list = json_array();
    for (int i = 0; i < r->n_details; i++) {
        const fc_bench_detail *const d = &r->detail[i];
        json_array_append_new(
            list, json_pack("{ss, ss, so, ss}", "of", d->of[0] ? d->of : "median", "name",
                            d->name, "value", number_or_null(d->value), "unit", d->unit));
    }
    return list;
}

static json_t *row_json(const fc_bench_row *r)
{
    return json_pack("{ss, ss, ss, so, so, so, sI, sI, so, so, so}", "part",
                     fc_bench_part_names[r->part], "name", r->name, "unit", r->unit,
                     "median", number_or_null(r->median), "min", number_or_null(r->min),
                     "max", number_or_null(r->max), "kept", (json_int_t)r->n_kept,
                     "dropped", (json_int_t)r->n_dropped, "limit",
                     number_or_null(r->limit), "percent", number_or_null(r->percent),
                     "details", details_json(r));
}

json_t *fc_bench_json(const fc_bench_result *result)
{
    const fc_machine *const m = &result->machine;
    json_t *const rows = json_array();
    for (int i = 0; i < result->n_rows; i++)
        json_array_append_new(rows, row_json(&result->row[i]));
    return json_pack("{ss, s{ss, si, ss, ss, ss, ss, ss, ss}, so}", "command", "bench",
                     "machine", "processor", m->processor, "threads", m->n_threads,
                     "kernels", m->kernels, "f32", m->f32, "bf16", m->bf16, "date",
                     m->date, "version", m->version, "commit", m->commit, "rows", rows);
}
