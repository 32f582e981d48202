/* compare.c - `facet report` of several runs: compare.pdf, compare.html and figures/.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/compare.h"

#include <stdio.h>

#include "base/file.h"
#include "report/compare_figures.h"
#include "report/compare_html.h"
#include "report/compare_pages.h"
#include "report/fonts.h"

static fc_status make(const fc_compare_data *data, int *n_pages, const char *path,
                      fc_err *err)
{
    fc_pdf *pdf = NULL;
    FC_TRY(fc_pdf_new(&pdf, "Runs compared", data->run[0].data.date, *n_pages, err));
    fc_status status = fc_compare_pages(pdf, data, err);
    if (status == FC_OK) *n_pages = fc_pdf_pages(pdf);
    if (status == FC_OK && path) status = fc_pdf_save(pdf, path, err);
    fc_pdf_free(pdf);
    return status;
}

static fc_status save_figures(const fc_compare_data *data, const char *dir, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_drawing drawing[4] = {fc_compare_pareto(data), fc_compare_frequencies(data)};
    int n = 2;
    if (fc_compare_has_curves(data)) drawing[n++] = fc_compare_curves(data);
    if (data->n_concepts > 0) drawing[n++] = fc_compare_concepts(data);
    FC_TRY(fc_path_join(path, dir, "figures", err));
    FC_TRY(fc_dir_make(path, err));
    for (int i = 0; i < n; i++) FC_TRY(fc_drawing_save(&drawing[i], dir, err));
    return FC_OK;
}

fc_status fc_compare_runs(const char *const *run_dirs, int64_t n, const char *dir,
                          fc_compare_result *result, fc_err *err)
{
    fc_compare_data data = {0};
    char pdf[FC_PATH_MAX], page[FC_PATH_MAX];
    int n_pages = 0;
    fc_status status = FC_OK;
    FC_TRY(fc_path_join(pdf, dir, "compare.pdf", err));
    FC_TRY(fc_path_join(page, dir, "compare.html", err));
    FC_TRY(fc_fonts_check(err));
    FC_TRY(fc_compare_load(&data, run_dirs, n, dir, err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(make(&data, &n_pages, NULL, err));
    FC_TRY_GOTO(make(&data, &n_pages, pdf, err));
    FC_TRY_GOTO(save_figures(&data, dir, err));
    FC_TRY_GOTO(fc_compare_html(&data, page, err));
    *result = (fc_compare_result){.n_runs = n, .n_pages = n_pages};
    snprintf(result->pdf, sizeof result->pdf, "%s", pdf);
    snprintf(result->page, sizeof result->page, "%s", page);
done:
    fc_compare_unload(&data);
    fc_fonts_release();
    return status;
}
