/* page_method.c - how it was made: each stage with time, machine, inputs and their hashes, result;
 * then the configuration of each.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "formats/json.h"
#include "report/display.h"
#include "report/pages.h"

enum { KEY_WIDTH = 92, MOST_LINES = 6 /* of a value */ };

/* A text member of an object fit to be shown; a dash where there is none. */
static const char *shown(char out[256], const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    fc_display_name(out, 256, text != NULL ? text : "\u2013");
    return out;
}

/* ---- stages ---- */

static void draw_line(fc_flow *f, const char *key, const char *value)
{
    const double width = fc_column - KEY_WIDTH;
    const double height =
        fc_paragraph(f->cr, 0, 0, width, fc_type_body, MOST_LINES, true, value);
    fc_flow_need(f, height);
    fc_text(f->cr, FC_MARGIN, f->y + 0.8, FC_LEFT, FC_TOP, fc_type_small, key);
    fc_paragraph(f->cr, FC_MARGIN + KEY_WIDTH, f->y, width, fc_type_body, MOST_LINES,
                 false, value);
    f->y += height + 1.5;
}

static void draw_input(fc_flow *f, const json_t *input, bool is_first)
{
    char bytes[32], text[256];
    fc_flow_need(f, 13.5);
    const double right = FC_MARGIN + fc_column, baseline = f->y + 9;
    if (is_first)
        fc_text(f->cr, FC_MARGIN, baseline, FC_LEFT, FC_BASELINE, fc_type_small,
                "inputs");
    fc_line_cut(f->cr, FC_MARGIN + KEY_WIDTH, baseline, 170, fc_type_body,
                fc_path_base(shown(text, input, "path")));
    fc_format_count(bytes, json_integer_value(json_object_get(input, "bytes")));
    fc_text(f->cr, right - 175, baseline, FC_RIGHT, FC_BASELINE, fc_type_number, bytes);
    fc_text(f->cr, right - 172, baseline, FC_LEFT, FC_BASELINE, fc_type_faint, "bytes");
    fc_text(f->cr, right, baseline, FC_RIGHT, FC_BASELINE, fc_type_faint,
            shown(text, input, "xxh3"));
    f->y += 13.5;
}

static void draw_inputs(fc_flow *f, const json_t *inputs)
{
    size_t i;
    json_t *input;
    json_array_foreach(inputs, i, input) draw_input(f, input, i == 0);
}

/* "rows 541,973 · l0 18.3": the numbers of a result on one line. */
static fc_status add_result(fc_strbuf *text, json_t *result, fc_err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(result, key, value)
    {
        char number[32];
        if (!json_is_number(value) || strcmp(key, "seconds") == 0) continue;
        if (json_is_integer(value))
            fc_format_count(number, json_integer_value(value));
        else
            fc_format_value(number, json_number_value(value), 4);
        if (text->n > 0) FC_TRY(fc_strbuf_addf(text, err, "  \u00b7  "));
        FC_TRY(fc_display_text(text, key, (int64_t)strlen(key), err));
        FC_TRY(fc_strbuf_addf(text, err, "\u00a0%s", number));
    }
    return FC_OK;
}

static void format_duration(char out[48], double s)
{
    if (s < 100)
        snprintf(out, 48, "%.1f s", s);
    else if (s < 6000)
        snprintf(out, 48, "%.0f min %02.0f s", floor(s / 60), floor(fmod(s, 60)));
    else
        snprintf(out, 48, "%.0f h %02.0f min", floor(s / 3600),
                 floor(fmod(s, 3600) / 60));
}

/* "25 November 2026, 03:41 UTC" of an ISO 8601 time; anything else stays as it is. */
static void format_moment(char out[64], const char *iso)
{
    static const char *const month[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    bool is_read = strlen(iso) == sizeof form - 1;
    for (size_t i = 0; is_read && form[i] != 0; i++)
        is_read = form[i] == 'd' ? iso[i] >= '0' && iso[i] <= '9' : iso[i] == form[i];
    const int m = is_read ? (iso[5] - '0') * 10 + iso[6] - '0' : 0;
    if (m >= 1 && m <= 12)
        snprintf(out, 64, "%.*s %s %.4s, %.5s UTC", iso[8] == '0' ? 1 : 2,
                 iso + 8 + (iso[8] == '0'), month[m - 1], iso, iso + 11);
    else
        snprintf(out, 64, "%.60s", iso);
}

static void draw_times(fc_flow *f, const json_t *entry)
{
    char text[768], duration[48], begun[256], backend[256], moment[64];
    format_duration(duration, json_number_value(json_object_get(entry, "seconds")));
    format_moment(moment, shown(begun, entry, "started"));
    snprintf(text, sizeof text, "%s, took %s on %" PRId64 " threads, %.250s", moment,
             duration, (int64_t)json_integer_value(json_object_get(entry, "threads")),
             shown(backend, entry, "backend"));
    draw_line(f, "begun", text);
}

static fc_status draw_stage(fc_flow *f, const fc_report_data *d, const char *command,
                            const char *title, fc_err *err)
{
    fc_strbuf result = {0};
    const json_t *entry = fc_report_stage(d, command);
    if (entry == NULL) return FC_OK;
    const fc_status status = add_result(&result, json_object_get(entry, "result"), err);
    if (status == FC_OK) {
        fc_flow_need(f, 84);
        fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_strong, title);
        f->y += 16;
        draw_times(f, entry);
        draw_inputs(f, json_object_get(entry, "inputs"));
        if (result.n > 0) draw_line(f, "result", fc_strbuf_text(&result));
        f->y += 7;
    }
    fc_strbuf_free(&result);
    return status;
}

/* ---- configuration ---- */

static fc_status add_value(fc_strbuf *text, const json_t *value, fc_err *err)
{
    fc_strbuf dump = {0};
    if (json_is_string(value)) {
        const char *s = json_string_value(value);
        if (strlen(s) > 24 && strchr(s, '/'))
            s = fc_path_base(s); /* the end of a path tells */
        return fc_display_text(text, s, (int64_t)strlen(s), err);
    }
    if (json_is_boolean(value))
        return fc_strbuf_addf(text, err, "%s", json_is_true(value) ? "yes" : "no");
    fc_status status = fc_json_dump(
        value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6), &dump, err);
    if (status == FC_OK)
        status = fc_display_text(text, fc_strbuf_text(&dump), fc_min(dump.n, 200), err);
    fc_strbuf_free(&dump);
    return status;
}

/* Settings in columns. A value that is wider than its column has the line below to itself. */
typedef struct settings {
    fc_flow *f;
    int column;
} settings;

enum { N_COLUMNS = 3, SETTING_KEY = 92 };
static const double setting_row = 12.6, setting_gap = 18;

static double setting_width(void)
{
    return (fc_column - setting_gap * (N_COLUMNS - 1)) / N_COLUMNS;
}

static void end_row(settings *s)
{
    if (s->column > 0) s->f->y += setting_row;
    s->column = 0;
}

static void draw_cell(settings *s, bool is_wide, const char *key, const char *value)
{
    fc_flow *f = s->f;
    if (is_wide) end_row(s);
    if (s->column == 0) fc_flow_need(f, setting_row);
    const double width = is_wide ? fc_column : setting_width(),
                 x = FC_MARGIN + s->column * (setting_width() + setting_gap);
    fc_line_cut(f->cr, x, f->y + 9, SETTING_KEY - 2, fc_type_small, key);
    fc_line_cut(f->cr, x + SETTING_KEY, f->y + 9, width - SETTING_KEY, fc_type_number,
                value);
    fc_rule(f->cr, x, f->y + setting_row - 0.6, width);
    s->column = is_wide ? N_COLUMNS : s->column + 1;
    if (s->column == N_COLUMNS) end_row(s);
}

static fc_status draw_setting(settings *s, const char *key, const json_t *value,
                              fc_err *err)
{
    fc_strbuf name = {0}, text = {0};
    fc_status status;
    FC_TRY_GOTO(fc_display_text(&name, key, (int64_t)strlen(key), err));
    FC_TRY_GOTO(add_value(&text, value, err));
    PangoLayout *layout = fc_layout_new(s->f->cr, fc_type_number, fc_strbuf_text(&text));
    const bool is_wide = fc_layout_width(layout) > setting_width() - SETTING_KEY;
    g_object_unref(layout);
    draw_cell(s, is_wide, fc_strbuf_text(&name), fc_strbuf_text(&text));
done:
    fc_strbuf_free(&name);
    fc_strbuf_free(&text);
    return status;
}

/* Nothing, or at the head of the page already. */
static bool is_told(const char *key, const json_t *value)
{
    return strcmp(key, "model") == 0 || strcmp(key, "hook") == 0 ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static fc_status draw_config(fc_flow *f, const fc_report_data *d, const char *command,
                             const char *title, fc_err *err)
{
    const char *key;
    json_t *value, *config = json_object_get(fc_report_stage(d, command), "config");
    settings s = {.f = f};
    if (json_object_size(config) == 0) return FC_OK;
    fc_flow_need(f, 15 + 3 * setting_row);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_strong, title);
    f->y += 15;
    json_object_foreach(config, key, value) if (!is_told(key, value))
        FC_TRY(draw_setting(&s, key, value, err));
    end_row(&s);
    f->y += 8;
    return FC_OK;
}

/* ---- the pages ---- */

static void draw_what(fc_flow *f, const fc_report_data *d)
{
    static const struct {
        const char *key, *label;
    } rows[] = {{"model_hash", "model hash"},
                {"text_hash", "text hash"},
                {"normalization", "normalisation"},
                {"facet_version", "Facet version"}};
    draw_line(f, "model", d->model[0] ? d->model : "\u2013");
    draw_line(f, "hook", d->hook[0] ? d->hook : "\u2013");
    for (size_t i = 0; i < FC_LEN(rows); i++) {
        char text[256];
        const char *value = fc_features_run(d->db, rows[i].key);
        fc_display_name(text, sizeof text, value);
        if (value[0]) draw_line(f, rows[i].label, text);
    }
    if (d->n_points == 0) draw_line(f, "curves", "none: the run has no metrics.csv");
    f->y += 10;
}

fc_status fc_pages_method(fc_pdf *pdf, const fc_report_data *d, fc_err *err)
{
    static const char *const stages[][3] = {
        {"collect", "Activations collected", "Settings of collecting"},
        {"train", "Autoencoder trained", "Recipe of the training"},
        {"study", "Features studied", "Settings of the study"}};
    fc_flow f = {.pdf = pdf, .footer = "How it was made"};
    fc_flow_page(&f);
    fc_pdf_outline(pdf, 0, f.y, "How it was made");
    fc_flow_heading(&f, "How it was made");
    draw_what(&f, d);
    for (size_t i = 0; i < FC_LEN(stages); i++)
        FC_TRY(draw_stage(&f, d, stages[i][0], stages[i][1], err));
    for (size_t i = 0; i < FC_LEN(stages); i++)
        FC_TRY(draw_config(&f, d, stages[i][0], stages[i][2], err));
    fc_flow_reading(&f, d);
    return FC_OK;
}
