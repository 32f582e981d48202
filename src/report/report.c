/* report.c - load the run, draw the document twice (the first pass counts pages), save figures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "report/fonts.h"
#include "report/html.h"
#include "report/pages.h"

static const fc_field fields[] = {
    {"top", FC_FIELD_I64, offsetof(fc_report_config, top), 0, 1e9, NULL, "N",
     "cards for the N strongest features, and for those worth a look; 0: all alive"},
    {"features", FC_FIELD_TEXT, offsetof(fc_report_config, features), 0, 0, NULL,
     "12,55,...", "cards for these features"},
    {"page", FC_FIELD_BOOL, offsetof(fc_report_config, has_page), 0, 0, NULL, NULL,
     "also write report.html, in which all features can be explored"},
};

void fc_report_defaults(fc_report_config *config)
{
    *config = (fc_report_config){.top = 100, .has_page = true};
}

const fc_field *fc_report_fields(int64_t *n)
{
    *n = FC_LEN(fields);
    return fields;
}

static fc_status draw(fc_pdf *pdf, const fc_report_data *data, int *page_of, fc_err *err)
{
    FC_TRY(fc_page_summary(pdf, data, page_of, err));
    FC_TRY(fc_pages_method(pdf, data, err));
    fc_pages_figures(pdf, data);
    FC_TRY(fc_pages_geometry(pdf, data, err));
    FC_TRY(fc_page_eval(pdf, data, err));
    FC_TRY(fc_page_offline(pdf, data, err));
    FC_TRY(fc_pages_concepts(pdf, data, err));
    FC_TRY(fc_pages_cards(pdf, data, page_of, err));
    return fc_pages_index(pdf, data, page_of, err);
}

/* One pass. path NULL: only to count the pages. */
static fc_status make(const fc_report_data *data, int *page_of, int *n_pages,
                      const char *path, fc_err *err)
{
    fc_pdf *pdf = NULL;
    char title[600];
    snprintf(title, sizeof title, "Features of %s in %s", data->hook, data->model);
    FC_TRY(fc_pdf_new(&pdf, title, data->date, *n_pages, err));
    fc_status status = draw(pdf, data, page_of, err);
    if (status == FC_OK) *n_pages = fc_pdf_pages(pdf);
    if (status == FC_OK && path) status = fc_pdf_save(pdf, path, err);
    fc_pdf_free(pdf);
    return status;
}

static fc_status save_page(const fc_report_data *data, const char *run_dir,
                           fc_report_result *result, fc_err *err)
{
    FC_TRY(fc_path_join(result->page, run_dir, "report.html", err));
    return fc_html_save(data, result->page, err);
}

static fc_status save_figures(const fc_report_data *data, const char *run_dir,
                              fc_err *err)
{
    char path[FC_PATH_MAX];
    int n;
    const fc_figure *const *figure = fc_figures(&n);
    FC_TRY(fc_path_join(path, run_dir, "figures", err));
    FC_TRY(fc_dir_make(path, err));
    for (int i = 0; i < n; i++)
        if (!figure[i]->is_there || figure[i]->is_there(data))
            FC_TRY(fc_figure_save(figure[i], data, run_dir, err));
    return FC_OK;
}

fc_status fc_report(const fc_report_config *config, const char *run_dir,
                    fc_report_result *result, fc_err *err)
{
    fc_report_data data = {0};
    char path[FC_PATH_MAX];
    int *page_of = NULL, n_pages = 0;
    fc_status status = FC_OK;
    FC_TRY(fc_path_join(path, run_dir, "report.pdf", err));
    FC_TRY(fc_fonts_check(err));
    FC_TRY(fc_report_load(&data, config, run_dir, err));
    FC_TRY_GOTO(fc_alloc(&page_of, data.n_cards, sizeof *page_of, "pages", err));
    FC_TRY_GOTO(make(&data, page_of, &n_pages, NULL, err));
    FC_TRY_GOTO(make(&data, page_of, &n_pages, path, err));
    FC_TRY_GOTO(save_figures(&data, run_dir, err));
    *result = (fc_report_result){.n_pages = n_pages, .n_cards = data.n_cards};
    snprintf(result->pdf, sizeof result->pdf, "%s", path);
    if (config->has_page) FC_TRY_GOTO(save_page(&data, run_dir, result, err));
done:
    fc_free(page_of);
    fc_report_unload(&data);
    fc_fonts_release();
    return status;
}
