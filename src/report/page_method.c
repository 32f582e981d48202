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

enum { KEY_WIDTH = 92 };

/* Text from a file made fit to be shown; borrowed until the next call. */
static const char *shown(fc_strbuf *text, const char *from)
{
    fc_strbuf_clear(text);
    if (from == NULL) return "\u2013";
    if (fc_display_text(text, from, (int64_t)strlen(from), NULL) != FC_OK)
        return "\u2013";
    return fc_strbuf_text(text);
}

/* ---- stages ---- */

static void draw_line(fc_flow *f, const char *key, const char *value)
{
    const double width = fc_column - KEY_WIDTH;
    const double height = fc_paragraph(f->cr, 0, 0, width, fc_type_body, 2, true, value);
    fc_flow_need(f, height);
    fc_text(f->cr, FC_MARGIN, f->y + 0.8, FC_LEFT, FC_TOP, fc_type_small, key);
    fc_paragraph(f->cr, FC_MARGIN + KEY_WIDTH, f->y, width, fc_type_body, 2, false,
                 value);
    f->y += height + 2.5;
}

static void draw_input(fc_flow *f, fc_strbuf *scratch, const json_t *input, bool is_first)
{
    char bytes[32];
    const double right = FC_MARGIN + fc_column;
    const char *path = json_string_value(json_object_get(input, "path"));
    fc_flow_need(f, 13);
    if (is_first)
        fc_text(f->cr, FC_MARGIN, f->y + 0.8, FC_LEFT, FC_TOP, fc_type_small, "inputs");
    fc_paragraph(f->cr, FC_MARGIN + KEY_WIDTH, f->y, 170, fc_type_body, 1, false,
                 shown(scratch, path ? fc_path_base(path) : NULL));
    fc_format_count(bytes, json_integer_value(json_object_get(input, "bytes")));
    fc_text(f->cr, right - 160, f->y + 0.8, FC_RIGHT, FC_TOP, fc_type_number, bytes);
    fc_text(f->cr, right, f->y + 1.4, FC_RIGHT, FC_TOP, fc_type_faint,
            shown(scratch, json_string_value(json_object_get(input, "xxh3"))));
    f->y += 13.5;
}

static void draw_inputs(fc_flow *f, fc_strbuf *scratch, const json_t *inputs)
{
    size_t i;
    json_t *input;
    json_array_foreach(inputs, i, input) draw_input(f, scratch, input, i == 0);
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

static fc_status draw_stage(fc_flow *f, const fc_report_data *d, const char *command,
                            const char *title, fc_err *err)
{
    char text[512], duration[48];
    fc_strbuf scratch = {0}, result = {0};
    const json_t *entry = fc_report_stage(d, command);
    if (entry == NULL) return FC_OK;
    fc_status status = add_result(&result, json_object_get(entry, "result"), err);
    if (status == FC_OK) {
        fc_flow_need(f, 70);
        fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_strong, title);
        f->y += 16;
        draw_line(f, "begun",
                  shown(&scratch, json_string_value(json_object_get(entry, "started"))));
        format_duration(duration, json_number_value(json_object_get(entry, "seconds")));
        snprintf(text, sizeof text, "%s on %" PRId64 " threads, %.100s", duration,
                 (int64_t)json_integer_value(json_object_get(entry, "threads")),
                 shown(&scratch, json_string_value(json_object_get(entry, "backend"))));
        draw_line(f, "took", text);
        draw_inputs(f, &scratch, json_object_get(entry, "inputs"));
        if (result.n > 0) draw_line(f, "result", fc_strbuf_text(&result));
        f->y += 10;
    }
    fc_strbuf_free(&scratch);
    fc_strbuf_free(&result);
    return status;
}

/* ---- configuration ---- */

static fc_status add_value(fc_strbuf *text, const json_t *value, fc_err *err)
{
    fc_strbuf dump = {0};
    if (json_is_string(value)) {
        const char *s = json_string_value(value);
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

static fc_status draw_setting(fc_flow *f, double x, double width, const char *key,
                              const json_t *value, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status;
    FC_TRY_GOTO(fc_display_text(&text, key, (int64_t)strlen(key), err));
    fc_paragraph(f->cr, x, f->y + 2.8, 116, fc_type_small, 1, false,
                 fc_strbuf_text(&text));
    fc_strbuf_clear(&text);
    FC_TRY_GOTO(add_value(&text, value, err));
    fc_paragraph(f->cr, x + 120, f->y + 2.8, width - 120, fc_type_number, 1, false,
                 fc_strbuf_text(&text));
    fc_rule(f->cr, x, f->y + 15, width);
done:
    fc_strbuf_free(&text);
    return status;
}

static fc_status draw_config(fc_flow *f, const fc_report_data *d, const char *command,
                             const char *title, fc_err *err)
{
    enum { N_COLUMNS = 2 };
    const double gap = 24, width = (fc_column - gap) / N_COLUMNS, row = 15;
    const char *key;
    json_t *value, *config = json_object_get(fc_report_stage(d, command), "config");
    int column = 0;
    if (json_object_size(config) == 0) return FC_OK;
    fc_flow_need(f, 70);
    fc_text(f->cr, FC_MARGIN, f->y, FC_LEFT, FC_TOP, fc_type_strong, title);
    f->y += 15;
    json_object_foreach(config, key, value)
    {
        if (column == 0) fc_flow_need(f, row);
        FC_TRY(
            draw_setting(f, FC_MARGIN + column * (width + gap), width, key, value, err));
        column = (column + 1) % N_COLUMNS;
        if (column == 0) f->y += row;
    }
    f->y += (column == 0 ? 0 : row) + 14;
    return FC_OK;
}

/* ---- the pages ---- */

static fc_status draw_what(fc_flow *f, const fc_report_data *d, fc_err *err)
{
    static const struct {
        const char *key, *label;
    } rows[] = {{"model_hash", "model hash"},
                {"text_hash", "text hash"},
                {"normalization", "normalisation"},
                {"facet_version", "Facet version"}};
    fc_strbuf scratch = {0};
    draw_line(f, "model", d->model[0] ? d->model : "\u2013");
    draw_line(f, "hook", d->hook[0] ? d->hook : "\u2013");
    for (size_t i = 0; i < FC_LEN(rows); i++) {
        const char *value = fc_features_run(d->db, rows[i].key);
        if (value[0]) draw_line(f, rows[i].label, shown(&scratch, value));
    }
    if (d->n_points == 0) draw_line(f, "curves", "none: the run has no metrics.csv");
    fc_strbuf_free(&scratch);
    f->y += 10;
    (void)err;
    return FC_OK;
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
    FC_TRY(draw_what(&f, d, err));
    for (size_t i = 0; i < FC_LEN(stages); i++)
        FC_TRY(draw_stage(&f, d, stages[i][0], stages[i][1], err));
    for (size_t i = 0; i < FC_LEN(stages); i++)
        FC_TRY(draw_config(&f, d, stages[i][0], stages[i][2], err));
    return FC_OK;
}
