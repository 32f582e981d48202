/* report_data.c - read a run folder for the report.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/report_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "formats/instream.h"
#include "formats/json.h"
#include "report/display.h"

static const char *const metric_names[FC_N_METRICS] = {"step", "epoch", "total", "mse",
                                                       "l1",   "l0",    "dead",  "lr"};

/* ---- metrics.csv ---- */

/* Field k of a line that need not end in a zero: *n_field bytes; NULL when there are fewer. */
static const char *find_field(const char *line, int64_t n, int k, int64_t *n_field)
{
    const char *end = line + n;
    for (; k > 0; k--) {
        line = memchr(line, ',', (size_t)(end - line));
        if (line == NULL) return NULL;
        line++;
    }
    const char *comma = memchr(line, ',', (size_t)(end - line));
    *n_field = (comma != NULL ? comma : end) - line;
    if (*n_field > 0 && line[*n_field - 1] == '\r') --*n_field;
    return line;
}

static fc_status read_header(const char *line, int64_t n, int column[FC_N_METRICS],
                             const char *path, fc_err *err)
{
    for (int m = 0; m < FC_N_METRICS; m++) {
        const char *name;
        int64_t n_name;
        column[m] = -1;
        for (int k = 0; (name = find_field(line, n, k, &n_name)) != NULL; k++)
            if ((int64_t)strlen(metric_names[m]) == n_name &&
                memcmp(name, metric_names[m], (size_t)n_name) == 0)
                column[m] = k;
        if (column[m] < 0)
            return fc_fail(err, FC_FORMAT, "%s: no column '%s' in the first line", path,
                           metric_names[m]);
    }
    return FC_OK;
}

/* A number, or NaN where the field is missing or empty. */
static double read_number(const char *line, int64_t n, int k)
{
    char text[64];
    int64_t n_field;
    const char *field = find_field(line, n, k, &n_field);
    if (field == NULL || n_field == 0 || n_field >= (int64_t)sizeof text)
        return (double)NAN;
    memcpy(text, field, (size_t)n_field);
    text[n_field] = 0;
    return strtod(text, NULL);
}

static fc_status read_row(fc_report_data *d, const char *line, int64_t n,
                          const int column[FC_N_METRICS], int64_t *capacity, fc_err *err)
{
    const int64_t before = *capacity;
    for (int m = 0; m < FC_N_METRICS; m++) {
        *capacity = before;
        FC_TRY(fc_grow(&d->metric[m], capacity, d->n_points + 1, sizeof(double),
                       "metrics", err));
        d->metric[m][d->n_points] = read_number(line, n, column[m]);
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
    if (status == FC_OK && !is_end) status = read_header(line, n, column, path, err);
    while (status == FC_OK && !is_end) {
        status = fc_instream_line(in, &line, &n, &is_end, err);
        if (status == FC_OK && !is_end && n > 0)
            status = read_row(d, line, n, column, &capacity, err);
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

static void add_card(fc_report_data *d, int64_t feature)
{
    if (d->card_of[feature] >= 0) return;
    d->card_of[feature] = d->n_cards;
    d->card[d->n_cards++] = feature;
}

static fc_status choose_top(fc_report_data *d, int64_t top, fc_err *err)
{
    ranked *all = NULL;
    int64_t n = 0;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&all, d->n_features, sizeof *all, "features", err));
    for (int64_t i = 0; i < d->n_features; i++)
        if (!d->feature[i].is_dead) all[n++] = (ranked){d->feature[i].max, i};
    if (n > 0) qsort(all, (size_t)n, sizeof *all, stronger_first);
    const int64_t n_top = top > 0 ? fc_min(top, n) : n;
    FC_TRY_GOTO(
        fc_alloc(&d->card, n_top + d->n_highlights, sizeof *d->card, "cards", err));
    for (int64_t i = 0; i < d->n_highlights; i++) add_card(d, d->highlight[i].feature);
    for (int64_t i = 0; i < n_top; i++) add_card(d, all[i].id);
done:
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
        add_card(d, id);
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

/* Few enough bars to be seen: each is the largest of block x block neighbours in the square. */
static fc_status make_blocks(fc_report_data *d, fc_err *err)
{
    d->block = (d->side + FC_REPORT_BLOCKS_MAX - 1) / FC_REPORT_BLOCKS_MAX;
    d->block = fc_max(d->block, 1);
    d->block_side = (d->side + d->block - 1) / d->block;
    FC_TRY(fc_alloc(&d->block_max, d->block_side * d->block_side, sizeof *d->block_max,
                    "bars", err));
    for (int64_t i = 0; i < d->n_features; i++) {
        const int64_t row = i / d->side / d->block, column = i % d->side / d->block;
        double *max = &d->block_max[row * d->block_side + column];
        *max = fmax(*max, d->strength[i]);
    }
    return FC_OK;
}

static fc_status load_nearest(fc_report_data *d, fc_err *err)
{
    FC_TRY(fc_alloc(&d->nearest, d->n_features, sizeof *d->nearest, "nearest", err));
    FC_TRY(fc_alloc(&d->nearest_cosine, d->n_features, sizeof *d->nearest_cosine,
                    "nearest", err));
    for (int64_t i = 0; i < d->n_features; i++) {
        const fc_neighbour *neighbour = NULL;
        int64_t n = 0;
        d->nearest[i] = -1;
        if (!d->feature[i].is_dead)
            FC_TRY(fc_features_neighbours(d->db, i, &neighbour, &n, err));
        if (n == 0 || neighbour->feature < 0 || neighbour->feature >= d->n_features ||
            !isfinite(neighbour->cosine))
            continue;
        d->nearest[i] = neighbour->feature;
        d->nearest_cosine[i] = fmin(1, fmax(-1, neighbour->cosine));
        d->n_nearest++;
    }
    return FC_OK;
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
    const double n_rows = fc_features_run_number(d->db, "n_rows");
    d->n_rows = n_rows > 0 && n_rows < 9e18 ? (int64_t)n_rows : 0; /* NaN: 0 */
    FC_TRY(fc_alloc(&d->strength, d->n_features, sizeof *d->strength, "strengths", err));
    for (int64_t i = 0; i < d->n_features; i++) {
        if (d->feature[i].is_dead) continue;
        const double max = d->feature[i].max;
        d->strength[i] = max;
        d->min_strength = d->n_live == 0 ? max : fmin(d->min_strength, max);
        d->max_strength = fmax(d->max_strength, max);
        d->n_live++;
        d->n_dense += d->feature[i].frequency > 0.5;
    }
    while (d->side * d->side < d->n_features) d->side++;
    FC_TRY(make_blocks(d, err));
    FC_TRY(load_nearest(d, err));
    return fc_highlights(d->db, d->highlight, FC_REPORT_HIGHLIGHTS, &d->n_highlights,
                         err);
}

/* SOURCE_DATE_EPOCH, or when the study was begun: never the time of day. */
static void set_date(fc_report_data *d)
{
    char *end = NULL;
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    const char *started =
        json_string_value(json_object_get(fc_report_stage(d, "study"), "started"));
    const long long s = epoch != NULL && *epoch ? strtoll(epoch, &end, 10) : -1;
    const time_t at = (time_t)s;
    struct tm t;
    if (s >= 0 && end != NULL && *end == 0 && gmtime_r(&at, &t) != NULL &&
        strftime(d->date, sizeof d->date, "%Y-%m-%dT%H:%M:%SZ", &t) > 0)
        return;
    snprintf(d->date, sizeof d->date, "%s",
             started != NULL && strlen(started) == 20 ? started : "");
}

/* The manifest of the activations lies in their folder, which the recipe names. */
static fc_status load_collected(fc_report_data *d, fc_err *err)
{
    json_t *recipe = NULL;
    FC_TRY(load_json(&recipe, d->run_dir, "recipe.json", err));
    const char *acts = json_string_value(json_object_get(recipe, "acts"));
    const fc_status status =
        acts != NULL ? load_json(&d->collected, acts, "manifest.json", err) : FC_OK;
    json_decref(recipe);
    return status;
}

static fc_status load_eval(fc_report_data *d, fc_err *err)
{
    FC_TRY(load_json(&d->eval, d->run_dir, "eval.json", err));
    const json_t *kept = json_object_get(json_object_get(d->eval, "eval_result_metrics"),
                                         "model_performance_preservation");
    const json_t *score = json_object_get(kept, "ce_loss_score");
    d->loss_recovered = json_is_number(score) ? json_number_value(score) : (double)NAN;
    return FC_OK;
}

static fc_status choose_cards(fc_report_data *d, const fc_report_config *config,
                              fc_err *err)
{
    FC_TRY(fc_alloc(&d->card_of, d->n_features, sizeof *d->card_of, "cards", err));
    for (int64_t i = 0; i < d->n_features; i++) d->card_of[i] = -1;
    return config->features[0] ? choose_listed(d, config->features, err)
                               : choose_top(d, config->top, err);
}

static fc_status load(fc_report_data *d, const fc_report_config *config, fc_err *err)
{
    FC_TRY(load_features(d, err));
    FC_TRY(load_metrics(d, err));
    FC_TRY(load_json(&d->manifest, d->run_dir, "manifest.json", err));
    FC_TRY(load_collected(d, err));
    FC_TRY(load_eval(d, err));
    fc_display_name(d->hook, sizeof d->hook, fc_features_run(d->db, "hook"));
    fc_display_name(d->model, sizeof d->model,
                    fc_path_base(fc_features_run(d->db, "model")));
    set_date(d);
    return choose_cards(d, config, err);
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
    fc_free(d->card_of);
    fc_free(d->strength);
    fc_free(d->block_max);
    fc_free(d->nearest);
    fc_free(d->nearest_cosine);
    json_decref(d->collected);
    json_decref(d->eval);
    json_decref(d->manifest);
    fc_features_close(d->db);
    *d = (fc_report_data){0};
}

static const json_t *find_command(const json_t *manifest, const char *command)
{
    size_t i;
    json_t *entry;
    const json_t *found = NULL;
    json_array_foreach(json_object_get(manifest, "commands"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "command"));
        if (name && strcmp(name, command) == 0) found = entry;
    }
    return found;
}

const json_t *fc_report_stage(const fc_report_data *d, const char *command)
{
    const json_t *found = find_command(d->manifest, command);
    return found ? found : find_command(d->collected, command);
}
