/* compare_data.c - several run folders, each read as for its own report, then brought together.
 *
 * A run is called by the end of its path that tells it from the others. Concepts are joined by name;
 * their mean F1 is taken over those that every run looked for, so that it compares like with like.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/compare_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/json.h"
#include "report/colormap.h"
#include "report/display.h"
#include "report/draw.h"

static const uint32_t colors[FC_COMPARE_MOST] = {
    FC_BLUE, FC_VERMILION, FC_GREEN, FC_PINK, FC_ORANGE, FC_SKY, 0x7a5230, 0x666666};

/* ---- names ---- */

/* The last n parts of a path. */
static const char *path_end(const char *path, int n_parts)
{
    const char *end = path + strlen(path);
    while (end > path && end[-1] == '/') end--;
    for (; end > path; end--)
        if (end[-1] == '/' && --n_parts == 0) break;
    return end;
}

static bool are_same(const char *const *dirs, int64_t n, int n_parts)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++)
            if (strcmp(path_end(dirs[i], n_parts), path_end(dirs[k], n_parts)) == 0)
                return true;
    return false;
}

/* Paths that are equal to the end are told apart by their place. */
static void name_runs(fc_compare_data *d, const char *const *dirs)
{
    enum { MOST_PARTS = 4 };
    int n_parts = 1;
    while (n_parts < MOST_PARTS && are_same(dirs, d->n, n_parts)) n_parts++;
    const bool is_numbered = are_same(dirs, d->n, n_parts);
    for (int64_t i = 0; i < d->n; i++) {
        char *name = d->run[i].name, shown[48];
        fc_display_name(shown, sizeof shown, path_end(dirs[i], n_parts));
        for (size_t k = strlen(shown); k > 0 && shown[k - 1] == '/'; k--)
            shown[k - 1] = 0;
        if (is_numbered)
            snprintf(name, sizeof d->run[i].name, "%d %s", (int)i + 1, shown);
        else
            snprintf(name, sizeof d->run[i].name, "%s", shown);
    }
}

/* An absolute path without "." and doubled slashes; false where it is too long or climbs by "..". */
static bool absolute(char out[FC_PATH_MAX], const char *path)
{
    char full[2 * FC_PATH_MAX] = "";
    size_t at = 0;
    if (path[0] != '/' && getcwd(full, FC_PATH_MAX) == NULL) return false;
    const size_t n = strlen(full);
    if ((size_t)snprintf(full + n, sizeof full - n, "/%s", path) >= sizeof full - n)
        return false;
    for (const char *part = full; *part;) {
        const size_t length = strcspn(part, "/");
        if (length == 2 && strncmp(part, "..", 2) == 0) return false;
        if (length > 0 && !(length == 1 && part[0] == '.')) {
            if (at + length + 2 > FC_PATH_MAX) return false;
            out[at++] = '/';
            memcpy(out + at, part, length);
            at += length;
        }
        part += length + (part[length] == '/');
    }
    out[at] = 0;
    return true;
}

/* "../seed/report.html": from the comparison's folder to the page of a run, if there is one. */
static fc_status find_page(fc_compared *run, const char *run_dir, const char *dir,
                           fc_err *err)
{
    char path[FC_PATH_MAX], from[FC_PATH_MAX] = "", to[FC_PATH_MAX] = "";
    size_t same = 0, at = 0, i = 0;
    FC_TRY(fc_path_join(path, run_dir, "report.html", err));
    if (!fc_path_exists(path) || !absolute(from, dir) || !absolute(to, path))
        return FC_OK;
    for (;; i++) { /* up to the last border of parts that both have */
        const bool is_end = from[i] == '/' || from[i] == 0;
        if (is_end && to[i] == '/') same = i;
        if (from[i] != to[i] || from[i] == 0) break;
    }
    for (const char *p = from + same; *p; p++)
        if (*p == '/' && at + 4 < sizeof run->report)
            at += (size_t)snprintf(run->report + at, sizeof run->report - at, "../");
    if ((size_t)snprintf(run->report + at, sizeof run->report - at, "%s",
                         to + same + 1) >= sizeof run->report - at)
        run->report[0] = 0;
    return FC_OK;
}

/* ---- concepts ---- */

static fc_compared_concept *find_concept(fc_compare_data *d, const char *name)
{
    for (int64_t i = 0; i < d->n_concepts; i++)
        if (strcmp(d->concept[i].name, name) == 0) return &d->concept[i];
    return NULL;
}

static fc_status add_concepts(fc_compare_data *d, int64_t run, int64_t *capacity,
                              fc_err *err)
{
    const fc_concept_row *row;
    int64_t n;
    FC_TRY(fc_features_concepts(d->run[run].data.db, &row, &n, err));
    for (int64_t i = 0; i < n; i++) {
        fc_compared_concept *concept = find_concept(d, row[i].name);
        if (concept == NULL) {
            FC_TRY(fc_grow(&d->concept, capacity, d->n_concepts + 1, sizeof *d->concept,
                           "concepts", err));
            concept = &d->concept[d->n_concepts++];
            *concept = (fc_compared_concept){
                .name = row[i].name, .rule = row[i].rule, .winner = -1};
            for (int64_t k = 0; k < FC_COMPARE_MOST; k++) concept->best[k].feature = -1;
        }
        if (row[i].n_hits == 0 || row[i].hit->feature < 0 ||
            row[i].hit->feature >= d->run[run].data.n_features)
            continue;
        const double f1 = isfinite(row[i].hit->f1) ? row[i].hit->f1 : 0;
        concept->best[run].feature = row[i].hit->feature;
        concept->best[run].f1 = f1;
        if (concept->winner < 0 || f1 > concept->best[concept->winner].f1)
        concept->winner = run;
    }
    return FC_OK;
}

static bool is_common(const fc_compare_data *d, const fc_compared_concept *concept)
{
    for (int64_t i = 0; i < d->n; i++)
        if (concept->best[i].feature < 0) return false;
    return true;
}

static double mean_f1(const fc_compare_data *d, int64_t run)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < d->n_concepts; i++) {
        if (!is_common(d, &d->concept[i])) continue;
        sum += d->concept[i].best[run].f1;
        n++;
    }
    return n > 0 ? sum / (double)n : (double)NAN;
}

/* ---- settings ---- */

static const json_t *config_of(const fc_compare_data *d, int64_t run)
{
    return json_object_get(fc_report_stage(&d->run[run].data, "train"), "config");
}

static fc_status show_setting(char out[40], const json_t *value, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    if (value == NULL)
        snprintf(out, 40, "\u2013");
    else if (json_is_string(value))
        fc_display_name(out, 40, json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(out, 40, "%s", json_is_true(value) ? "yes" : "no");
    else
        status = fc_json_dump(
            value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6), &text, err);
    if (status == FC_OK && text.n > 0) fc_display_name(out, 40, fc_strbuf_text(&text));
    fc_strbuf_free(&text);
    return status;
}

static bool is_setting_same(const fc_compare_data *d, const char *key)
{
    const json_t *first = json_object_get(config_of(d, 0), key);
    for (int64_t i = 1; i < d->n; i++)
        if (!json_equal(first, json_object_get(config_of(d, i), key)) &&
            first != json_object_get(config_of(d, i), key))
            return false;
    return true;
}

static bool is_listed(const fc_compare_data *d, const char *name)
{
    for (int64_t i = 0; i < d->n_settings; i++)
        if (strcmp(d->setting[i].name, name) == 0) return true;
    return false;
}

static fc_status add_settings(fc_compare_data *d, int64_t run, int64_t *capacity,
                              fc_err *err)
{
    const char *key;
    json_t *value, *config;
    config = json_object_get(fc_report_stage(&d->run[run].data, "train"), "config");
    json_object_foreach(config, key, value)
    {
        char name[64];
        fc_display_name(name, sizeof name, key);
        if (is_setting_same(d, key) || is_listed(d, name)) continue;
        FC_TRY(fc_grow(&d->setting, capacity, d->n_settings + 1, sizeof *d->setting,
                       "settings", err));
        fc_compared_setting *setting = &d->setting[d->n_settings++];
        *setting = (fc_compared_setting){0};
        snprintf(setting->name, sizeof setting->name, "%s", name);
        for (int64_t i = 0; i < d->n; i++)
            FC_TRY(show_setting(setting->value[i], json_object_get(config_of(d, i), key),
                                err));
    }
    return FC_OK;
}

/* ---- numbers ---- */

static void take_numbers(fc_compared *run)
{
    const fc_report_data *d = &run->data;
    const json_t *seconds = json_object_get(fc_report_stage(d, "train"), "seconds"),
                 *arch = json_object_get(
                     json_object_get(fc_report_stage(d, "train"), "config"), "arch");
    double *number = run->number;
    number[FC_COMPARED_FEATURES] = (double)d->n_features;
    number[FC_COMPARED_L0] = fc_features_run_number(d->db, "l0");
    number[FC_COMPARED_MSE] = fc_features_run_number(d->db, "mse");
    number[FC_COMPARED_VARIANCE] = fc_features_run_number(d->db, "explained_variance");
    number[FC_COMPARED_LOSS] = d->loss_recovered;
    number[FC_COMPARED_DEAD] = 1 - (double)d->n_live / (double)fc_max(d->n_features, 1);
    number[FC_COMPARED_SECONDS] =
        json_is_number(seconds) ? json_number_value(seconds) : (double)NAN;
    fc_display_name(run->arch, sizeof run->arch,
                    json_is_string(arch) ? json_string_value(arch) : "\u2013");
}

static const struct {
    const char *label;
    int better; /* 1: larger, -1: smaller, 0: neither */
} columns[FC_COMPARED_NUMBERS] = {
    [FC_COMPARED_FEATURES] = {"features", 0},
    [FC_COMPARED_L0] = {"L0", 0},
    [FC_COMPARED_MSE] = {"MSE", -1},
    [FC_COMPARED_VARIANCE] = {"explained variance", 1},
    [FC_COMPARED_LOSS] = {"loss recovered", 1},
    [FC_COMPARED_DEAD] = {"dead", -1},
    [FC_COMPARED_F1] = {"concept F1", 1},
    [FC_COMPARED_SECONDS] = {"training", 0},
};

const char *fc_compare_label(fc_compared_number number)
{
    return columns[number].label;
}

bool fc_compare_is_best(const fc_compare_data *d, int64_t run, fc_compared_number number)
{
    const int sign = columns[number].better;
    const double own = d->run[run].number[number];
    if (sign == 0 || !isfinite(own)) return false;
    for (int64_t i = 0; i < d->n; i++)
        if (sign * d->run[i].number[number] > sign * own) return false;
    return true;
}

static void percent_text(char out[32], double share)
{
    const double rounded = round(1000 * share) / 10;
    snprintf(out, 32, "%s%.1f\u00a0%%", rounded < 0 ? "\u2212" : "", fabs(rounded));
}

static void duration_text(char out[32], double s)
{
    if (s < 100)
        snprintf(out, 32, "%.1f s", s);
    else if (s < 6000)
        snprintf(out, 32, "%.0f min", s / 60);
    else
        snprintf(out, 32, "%.1f h", s / 3600);
}

void fc_compare_text(char out[32], double value, fc_compared_number number)
{
    if (!isfinite(value)) {
        snprintf(out, 32, "\u2013");
        return;
    }
    switch (number) {
    case FC_COMPARED_FEATURES: fc_format_count(out, (int64_t)value); break;
    case FC_COMPARED_L0: snprintf(out, 32, "%.1f", value); break;
    case FC_COMPARED_VARIANCE:
    case FC_COMPARED_LOSS: percent_text(out, value); break;
    case FC_COMPARED_DEAD: fc_format_percent(out, value); break;
    case FC_COMPARED_F1: snprintf(out, 32, "%.3f", value); break;
    case FC_COMPARED_SECONDS: duration_text(out, value); break;
    case FC_COMPARED_MSE:
    case FC_COMPARED_NUMBERS: fc_format_value(out, value, 3); break;
    }
}

/* ---- the whole ---- */

static fc_status load(fc_compare_data *d, const char *const *run_dirs, const char *dir,
                      fc_err *err)
{
    int64_t capacity = 0, setting_capacity = 0;
    fc_report_config config;
    fc_report_defaults(&config);
    config.top = 1; /* cards are not shown */
    for (int64_t i = 0; i < d->n; i++) {
        fc_compared *run = &d->run[i];
        FC_TRY(fc_report_load(&run->data, &config, run_dirs[i], err));
        run->color = colors[i];
        take_numbers(run);
        FC_TRY(find_page(run, run_dirs[i], dir, err));
        FC_TRY(add_concepts(d, i, &capacity, err));
        d->has_loss |= isfinite(run->data.loss_recovered);
    }
    for (int64_t i = 0; i < d->n; i++) {
        d->run[i].number[FC_COMPARED_F1] = mean_f1(d, i);
        FC_TRY(add_settings(d, i, &setting_capacity, err));
    }
    name_runs(d, run_dirs);
    return FC_OK;
}

fc_status fc_compare_load(fc_compare_data *d, const char *const *run_dirs, int64_t n,
                          const char *dir, fc_err *err)
{
    if (n < 2 || n > FC_COMPARE_MOST)
        return fc_fail(err, FC_USAGE,
                       "there are %" PRId64 " runs to compare, expected 2 to %d", n,
                       FC_COMPARE_MOST);
    FC_TRY(fc_alloc(&d->run, n, sizeof *d->run, "runs", err));
    d->n = n;
    const fc_status status = load(d, run_dirs, dir, err);
    if (status != FC_OK) fc_compare_unload(d);
    return status;
}

void fc_compare_unload(fc_compare_data *d)
{
    for (int64_t i = 0; i < d->n; i++) fc_report_unload(&d->run[i].data);
    fc_free(d->run);
    fc_free(d->concept);
    fc_free(d->setting);
    *d = (fc_compare_data){0};
}
