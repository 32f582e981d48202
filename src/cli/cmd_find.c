/* cmd_find.c - facet find: which features follow a concept, for rules of one's own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/stages.h"

typedef struct own_options {
    char concepts[FC_FIELD_TEXT_MAX], acts[FC_FIELD_TEXT_MAX], model[FC_FIELD_TEXT_MAX];
} own_options;

static const fc_field own_fields[] = {
    {"concepts", FC_FIELD_TEXT, offsetof(own_options, concepts), 0, 0, NULL, "FILE",
     "rules of the concepts; without: the built-in ones"},
    {"acts", FC_FIELD_TEXT, offsetof(own_options, acts), 0, 0, NULL, "ACTS",
     "store to look through; without it the one the SAE was trained on"},
    {"model", FC_FIELD_TEXT, offsetof(own_options, model), 0, 0, NULL, "MODEL",
     "folder with the tokenizer; without it the one the store names"},
};

/* ---- for people ---- */

static fc_status print_concept(fc_strbuf *text, const fc_concept_row *row, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(text, err, "%-34.34s %9" PRId64, row->name, row->n_rows));
    if (row->n_hits == 0) FC_TRY(fc_strbuf_addf(text, err, "        -\n"));
    for (int64_t k = 0; k < row->n_hits; k++) {
        const fc_concept_hit *hit = &row->hit[k];
        if (k > 0) FC_TRY(fc_strbuf_addf(text, err, "%-44s", ""));
        FC_TRY(fc_strbuf_addf(
            text, err, "  %7" PRId64 "  %5.3f  %9.4g  %5.3f  %5.3f  %5.3f  %5.2f\n",
            hit->feature, hit->f1, hit->threshold, hit->precision, hit->recall, hit->auc,
            hit->precision_100));
    }
    return FC_OK;
}

static fc_status print_table(fc_strbuf *text, const fc_find_result *r, fc_err *err)
{
    double sum = 0.0;
    FC_TRY(fc_strbuf_addf(text, err, "%-34s %9s  %7s  %5s  %9s  %5s  %5s  %5s  %5s\n",
                          "concept", "rows", "feature", "F1", "threshold", "prec.",
                          "rec.", "AUC", "p@100"));
    for (int64_t i = 0; i < r->n; i++) {
        FC_TRY(print_concept(text, &r->concept[i], err));
        if (r->concept[i].n_hits > 0) sum += r->concept[i].hit[0].f1;
    }
    return fc_strbuf_addf(text, err,
                          "%" PRId64 " concepts over %" PRId64 " rows, mean F1 %.3f\n",
                          r->n, r->n_rows, sum / (double)r->n);
}

/* ---- for machines ---- */

static json_t *hits_of(const fc_concept_row *row)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < row->n_hits; k++) {
        const fc_concept_hit *hit = &row->hit[k];
        json_array_append_new(list,
                              json_pack("{sI, sf, sf, sf, sf, sf, sf}", "feature",
                                        (json_int_t)hit->feature, "f1", hit->f1,
                                        "threshold", hit->threshold, "precision",
                                        hit->precision, "recall", hit->recall, "auc",
                                        hit->auc, "precision_100", hit->precision_100));
    }
    return list;
}

static json_t *object_of(const fc_find_result *r)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < r->n; i++) {
        const fc_concept_row *row = &r->concept[i];
        json_array_append_new(
            list, json_pack("{ss, ss, sI, so}", "name", row->name, "rule", row->rule,
                            "rows", (json_int_t)row->n_rows, "features", hits_of(row)));
    }
    return json_pack("{ss, sI, sf, so}", "command", "find", "rows", (json_int_t)r->n_rows,
                     "seconds", r->seconds, "concepts", list);
}

/* ---- the command ---- */

static fc_status find(fc_cli *cli, const fc_find_config *config, const own_options *own,
                      fc_err *err)
{
    const fc_find_from from = {cli->args.file[0], own->acts, own->model};
    fc_concepts *concepts = NULL;
    fc_find_result result = {0};
    fc_strbuf text = {0};
    fc_status status;
    if (own->concepts[0] != '\0')
        FC_TRY_GOTO(fc_concepts_load(&concepts, own->concepts, err));
    else
        FC_TRY_GOTO(fc_concepts_built_in(&concepts, err));
    FC_TRY_GOTO(fc_stage_find(cli, config, concepts, &from, &result, err));
    FC_TRY_GOTO(print_table(&text, &result, err));
    status = fc_cli_result(cli, object_of(&result), fc_strbuf_text(&text), err);
done:
    fc_strbuf_free(&text);
    fc_find_result_deinit(&result);
    fc_concepts_free(concepts);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_find_config config;
    bool is_done = false;
    int64_t n;
    const fc_field *fields = fc_find_fields(&n);

    fc_find_defaults(&config);
    cli->args.min_files = cli->args.max_files = 1;
    fc_args_group(&cli->args, "find", fields, n, &config);
    fc_args_group(&cli->args, "input", own_fields, FC_LEN(own_fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_find, argc, argv, &is_done, err));
    return is_done ? FC_OK : find(cli, &config, &own, err);
}

const fc_command fc_cmd_find = {
    .name = "find",
    .summary = "which features follow a concept, by rules of your own",
    .usage = "facet find RUN [--concepts FILE] [options]",
    .text =
        "One pass over the store lists for each concept of the file the features with "
        "the "
        "best F1, with precision\n"
        "and recall there, the AUC, and the precision among a feature's 100 strongest "
        "rows. A concept is a section:\n\n"
        "  months:\n"
        "    piece: [\" January\", \" February\"]   # alternatives\n"
        "    class+1: digit                     # and what comes next\n\n"
        "All conditions: docs/FORMATS.md. 'facet study' does the same for built-in "
        "concepts as it goes.\n",
    .run = run,
};
