/* report_data.c - read a run folder for the report.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/report_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "formats/instream.h"
#include "formats/json.h"

static const char *const metric_names[FC_N_METRICS] = {"step", "epoch", "total", "mse",
                                                       "l1",   "l0",    "dead",  "lr"};

/* ---- metrics.csv ---- */

static fc_status read_header(const char *line, int column[FC_N_METRICS], const char *path,
                             fc_err *err)
{
    for (int m = 0; m < FC_N_METRICS; m++) column[m] = -1;
    int at = 0;
    for (const char *p = line; *p; at++) {
        const size_t n = strcspn(p, ",\r");
        for (int m = 0; m < FC_N_METRICS; m++)
            if (strlen(metric_names[m]) == n && strncmp(p, metric_names[m], n) == 0)
                column[m] = at;
        p += n;
        if (*p) p++;
    }
    for (int m = 0; m < FC_N_METRICS; m++)
        if (column[m] < 0)
            return fc_fail(err, FC_FORMAT, "%s: no column '%s' in the first line", path,
                           metric_names[m]);
    return FC_OK;
}

static fc_status read_row(fc_report_data *d, const char *line,
                          const int column[FC_N_METRICS], int64_t *capacity, fc_err *err)
{
    if (d->n_points + 1 > *capacity) {
        const int64_t before = *capacity;
        for (int m = 0; m < FC_N_METRICS; m++) {
            *capacity = before;
            FC_TRY(fc_grow(&d->metric[m], capacity, d->n_points + 1, sizeof(double),
                           "metrics", err));
        }
    }
    for (int m = 0; m < FC_N_METRICS; m++) {
        const char *p = line;
        for (int k = 0; k < column[m] && p; k++) {
            p = strchr(p, ',');
            if (p) p++;
        }
        d->metric[m][d->n_points] = p ? strtod(p, NULL) : (double)NAN;
    }
    d->n_points++;
    return FC_OK;
}

static fc_status load_metrics(fc_report_data *d, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_instream *in = NULL;
    const char *line;
    int64_t n, capacity = 0;
    bool is_end = false;
    int column[FC_N_METRICS];
    FC_TRY(fc_path_join(path, d->run_dir, "metrics.csv", err));
    if (!fc_path_exists(path)) return FC_OK;
    FC_TRY(fc_instream_open(&in, path, err));
    fc_status status = fc_instream_line(in, &line, &n, &is_end, err);
    if (status == FC_OK && !is_end) status = read_header(line, column, path, err);
    while (status == FC_OK && !is_end) {
        status = fc_instream_line(in, &line, &n, &is_end, err);
        if (status == FC_OK && !is_end && n > 0)
            status = read_row(d, line, column, &capacity, err);
    }
    fc_instream_close(in);
    return status;
}

/* ---- which features get a card ---- */

typedef struct ranked {
    double max;
    int64_t id;
} ranked;

static int stronger_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->max != y->max) return x->max > y->max ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static fc_status choose_top(fc_report_data *d, int64_t top, fc_err *err)
{
    ranked *all = NULL;
    int64_t n = 0;
    FC_TRY(fc_alloc(&all, d->n_features, sizeof *all, "features", err));
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead) all[n++] = (ranked){d->feature[i].max, i};
    qsort(all, (size_t)n, sizeof *all, stronger_first);
    d->n_cards = top > 0 ? fc_min(top, n) : n;
    const fc_status status =
        fc_alloc(&d->card, d->n_cards, sizeof *d->card, "cards", err);
    for (int64_t i = 0; i < d->n_cards && status == FC_OK; i++) d->card[i] = all[i].id;
    fc_free(all);
    return status;
}

static fc_status choose_listed(fc_report_data *d, const char *list, fc_err *err)
{
    int64_t capacity = 0;
    for (const char *p = list; *p;) {
        char *end;
        const long long id = strtoll(p, &end, 10);
        if (end == p || (*end != ',' && *end != 0))
            return fc_fail(err, FC_USAGE,
                           "--features: '%s' is not a list of ids such as 12,55,1177",
                           list);
        if (id < 0 || id >= d->n_features)
            return fc_fail(err, FC_USAGE,
                           "--features: there is no feature %lld, expected 0 to %" PRId64,
                           id, d->n_features - 1);
        if (d->feature[id].is_dead)
            return fc_fail(err, FC_USAGE,
                           "--features: feature %lld is dead: nothing makes it fire", id);
        FC_TRY(
            fc_grow(&d->card, &capacity, d->n_cards + 1, sizeof *d->card, "cards", err));
        d->card[d->n_cards++] = id;
        p = *end ? end + 1 : end;
    }
    return FC_OK;
}

/* ---- the whole ---- */

static fc_status load_json(json_t **root, const char *dir, const char *name, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, name, err));
    return fc_path_exists(path) ? fc_json_load(root, path, err) : FC_OK;
}

static fc_status load_features(fc_report_data *d, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, d->run_dir, "features.db", err));
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: no such file; 'facet study %s' makes it", path,
                       d->run_dir);
    FC_TRY(fc_features_open(&d->db, path, err));
    d->feature = fc_features_all(d->db, &d->n_features);
    d->n_rows = (int64_t)fc_features_run_number(d->db, "n_rows");
    FC_TRY(fc_alloc(&d->strength, d->n_features, sizeof *d->strength, "strengths", err));
    for (int64_t i = 0; i < d->n_features; i++) {
        if (d->feature[i].is_dead) continue;
        const double max = d->feature[i].max;
        d->strength[i] = max;
        d->min_strength = d->n_live == 0 ? max : fmin(d->min_strength, max);
        d->max_strength = fmax(d->max_strength, max);
        d->n_live++;
    }
    while (d->side * d->side < d->n_features) d->side++;
    return fc_highlights(d->db, d->highlight, FC_REPORT_HIGHLIGHTS, &d->n_highlights,
                         err);
}

static fc_status load(fc_report_data *d, const fc_report_config *config, fc_err *err)
{
    FC_TRY(load_features(d, err));
    FC_TRY(load_metrics(d, err));
    FC_TRY(load_json(&d->recipe, d->run_dir, "recipe.json", err));
    FC_TRY(load_json(&d->manifest, d->run_dir, "manifest.json", err));
    const json_t *study = fc_report_stage(d, "study");
    const char *date = json_string_value(json_object_get(study, "started"));
    snprintf(d->date, sizeof d->date, "%s", date ? date : "");
    return config->features[0] ? choose_listed(d, config->features, err)
                               : choose_top(d, config->top, err);
}

fc_status fc_report_load(fc_report_data *d, const fc_report_config *config,
                         const char *run_dir, fc_err *err)
{
    d->run_dir = run_dir;
    const fc_status status = load(d, config, err);
    if (status != FC_OK) fc_report_unload(d);
    return status;
}

void fc_report_unload(fc_report_data *d)
{
    for (int m = 0; m < FC_N_METRICS; m++) fc_free(d->metric[m]);
    fc_free(d->card);
    fc_free(d->strength);
    json_decref(d->recipe);
    json_decref(d->manifest);
    fc_features_close(d->db);
    *d = (fc_report_data){0};
}

const json_t *fc_report_stage(const fc_report_data *d, const char *command)
{
    size_t i;
    json_t *entry;
    const json_t *found = NULL;
    json_array_foreach(json_object_get(d->manifest, "commands"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "command"));
        if (name && strcmp(name, command) == 0) found = entry;
    }
    return found;
}
