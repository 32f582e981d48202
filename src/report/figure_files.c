/* figure_files.c - each figure as PNG at twice its size, as SVG, and its data as CSV.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <cairo-svg.h>
#include <stdio.h>

#include "base/file.h"
#include "report/figures.h"
#include "report/pdf.h"

typedef struct stream {
    fc_strbuf bytes;
    fc_err err;
} stream;

/* Never tells Cairo of a failure, which it does not always survive; save() looks at err. */
static cairo_status_t take_bytes(void *ctx, const unsigned char *data, unsigned int n)
{
    stream *s = ctx;
    if (s->err.status == FC_OK) (void)fc_strbuf_add(&s->bytes, data, n, &s->err);
    return CAIRO_STATUS_SUCCESS;
}

static void draw(cairo_surface_t *surface, const fc_drawing *drawing)
{
    cairo_t *cr = cairo_create(surface);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    drawing->draw(cr, (fc_box){8, 8, fc_column - 16, drawing->height - 16}, drawing->ctx);
    cairo_destroy(cr);
}

static fc_status save(stream *s, cairo_status_t status, const char *path, fc_err *err)
{
    if (s->err.status != FC_OK) {
        if (err) *err = s->err;
        return s->err.status;
    }
    if (status != CAIRO_STATUS_SUCCESS)
        return fc_fail(err, FC_NOMEM, "%s: cannot draw the figure: %s", path,
                       cairo_status_to_string(status));
    return fc_file_write(path, s->bytes.data, (size_t)s->bytes.n, err);
}

static fc_status save_png(const fc_drawing *drawing, const char *path, fc_err *err)
{
    stream s = {0};
    const int scale = 2;
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)fc_column * scale, (int)drawing->height * scale);
    cairo_surface_set_device_scale(surface, scale, scale);
    draw(surface, drawing);
    const cairo_status_t drawn =
        cairo_surface_write_to_png_stream(surface, take_bytes, &s);
    const fc_status status = save(&s, drawn, path, err);
    cairo_surface_destroy(surface);
    fc_strbuf_free(&s.bytes);
    return status;
}

static fc_status save_svg(const fc_drawing *drawing, const char *path, fc_err *err)
{
    stream s = {0};
    cairo_surface_t *surface =
        cairo_svg_surface_create_for_stream(take_bytes, &s, fc_column, drawing->height);
    draw(surface, drawing);
    cairo_surface_finish(surface);
    const fc_status status = save(&s, cairo_surface_status(surface), path, err);
    cairo_surface_destroy(surface);
    fc_strbuf_free(&s.bytes);
    return status;
}

static fc_status save_csv(const fc_drawing *drawing, const char *path, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = drawing->csv(&text, drawing->ctx, err);
    if (status == FC_OK)
        status = fc_file_write(path, fc_strbuf_text(&text), (size_t)text.n, err);
    fc_strbuf_free(&text);
    return status;
}

fc_status fc_drawing_save(const fc_drawing *drawing, const char *dir, fc_err *err)
{
    static const struct {
        const char *extension;
        fc_status (*save)(const fc_drawing *drawing, const char *path, fc_err *err);
    } kinds[] = {{"png", save_png}, {"svg", save_svg}, {"csv", save_csv}};
    for (size_t i = 0; i < FC_LEN(kinds); i++) {
        char path[FC_PATH_MAX], name[64];
        snprintf(name, sizeof name, "figures/%s.%s", drawing->name, kinds[i].extension);
        FC_TRY(fc_path_join(path, dir, name, err));
        FC_TRY(kinds[i].save(drawing, path, err));
    }
    return FC_OK;
}

/* ---- figures of one run ---- */

typedef struct figure_of { /* what a drawing's functions are given */
    const fc_figure *figure;
    const fc_report_data *data;
} figure_of;

static void draw_figure(cairo_t *cr, fc_box box, const void *ctx)
{
    const figure_of *of = ctx;
    of->figure->draw(cr, box, of->data);
}

static fc_status figure_csv(fc_strbuf *out, const void *ctx, fc_err *err)
{
    const figure_of *of = ctx;
    return of->figure->csv(out, of->data, err);
}

fc_status fc_figure_save(const fc_figure *figure, const fc_report_data *data,
                         const char *run_dir, fc_err *err)
{
    const figure_of of = {figure, data};
    const fc_drawing drawing = {.name = figure->name,
                                .height = figure->height,
                                .draw = draw_figure,
                                .csv = figure_csv,
                                .ctx = &of};
    return fc_drawing_save(&drawing, run_dir, err);
}
