/* pipeline.c - the stages one after the other; every stage knows by itself what is already done.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/pipeline.h"

#include <string.h>

#include "base/file.h"

static const fc_field fields[] = {
    {"out", FC_FIELD_TEXT, offsetof(fc_pipeline, out), 0, 0, NULL, "RUN",
     "folder for the run"},
    {"acts", FC_FIELD_TEXT, offsetof(fc_pipeline, acts), 0, 0, NULL, "ACTS",
     "folder of the store, if not RUN/acts"},
};

/* Here `tokens` is collecting's, and an option of two stages would be set in both. */
static int64_t name_eval_fields(fc_field fields_of_eval[FC_EVAL_FIELDS])
{
    int64_t n;
    const fc_field *all = fc_eval_fields(&n);
    FC_CHECK(n <= FC_EVAL_FIELDS);
    for (int64_t i = 0; i < n; i++) {
        fields_of_eval[i] = all[i];
        if (strcmp(all[i].name, "tokens") == 0) fields_of_eval[i].name = "eval-tokens";
    }
    return n;
}

void fc_pipeline_defaults(fc_pipeline *p)
{
    p->out[0] = p->acts[0] = 0;
    fc_collect_defaults(&p->collect);
    fc_train_defaults(&p->train);
    fc_eval_defaults(&p->eval);
    fc_study_defaults(&p->study);
    fc_report_defaults(&p->report);
}

void fc_pipeline_options(fc_pipeline *p, fc_cli *cli)
{
    int64_t n;
    fc_pipeline_defaults(p);
    p->texts =
        fc_args_list(&cli->args, "text", "FILE...", "text files, plain, gzip or zstd");
    fc_args_group(&cli->args, "run", fields, FC_LEN(fields), p);
    const fc_field *f = fc_collect_fields(&n);
    fc_args_group(&cli->args, "collect", f, n, &p->collect);
    f = fc_train_fields(&n);
    fc_args_group(&cli->args, "train", f, n, &p->train);
    n = name_eval_fields(p->eval_fields);
    fc_args_group(&cli->args, "eval", p->eval_fields, n, &p->eval);
    f = fc_study_fields(&n);
    fc_args_group(&cli->args, "study", f, n, &p->study);
    f = fc_report_fields(&n);
    fc_args_group(&cli->args, "report", f, n, &p->report);
}

static fc_status need_all(const fc_pipeline *p, fc_err *err)
{
    FC_TRY(fc_cli_need(p->out, "out", "a folder for the run", err));
    FC_TRY(fc_cli_need(p->collect.model, "model (section collect)", "a checkpoint folder",
                       err));
    if (strchr(p->collect.hook, ',') != NULL)
        return fc_fail(err, FC_USAGE,
                       "hook (section collect) is %s, expected one: 'facet sweep' trains "
                       "on several",
                       p->collect.hook);
    FC_TRY(fc_cli_need(p->collect.hook, "hook (section collect)",
                       "a module such as model.layers.25.mlp.down_proj", err));
    return fc_cli_need(p->texts->n ? p->texts->item[0] : NULL, "text",
                       "one or more files", err);
}

static fc_status show(const fc_cli *cli, fc_stage_result *result, fc_err *err)
{
    const fc_status status = fc_cli_result(cli, result->object, result->text, err);
    *result = (fc_stage_result){0};
    return status;
}

/* Of all that eval says: what was done and how much of the loss is recovered. The rest is in the report. */
static void keep_loss(char *text)
{
    char *rest = strchr(text, '\n'), *loss = strstr(text, "\n  loss recovered");
    if (rest == NULL || loss == NULL) return;
    const size_t n = 1 + strcspn(loss + 1, "\n");
    memmove(rest, loss, n);
    rest[n] = '\n';
    rest[n + 1] = '\0';
}

/* Standard input has gone through collecting and is no more. */
static bool can_read_again(const fc_arg_list *texts)
{
    for (int64_t i = 0; i < texts->n; i++)
        if (strcmp(texts->item[i], "-") == 0) return false;
    return true;
}

static fc_status run_stages(const fc_pipeline *p, const fc_cli *cli, const char *acts,
                            fc_err *err)
{
    fc_stage_result result = {0};
    FC_TRY(fc_stage_collect(cli, &p->collect, p->texts, acts, &result, err));
    FC_TRY(show(cli, &result, err));
    const fc_train_from train_from = {.acts = acts};
    FC_TRY(fc_stage_train(cli, &p->train, &train_from, p->out, true, &result, err));
    FC_TRY(show(cli, &result, err));
    FC_TRY(fc_stage_study(cli, &p->study, acts, p->out, true, &result, err));
    FC_TRY(show(cli, &result, err));
    if (can_read_again(p->texts)) { /* after study, whose numbers go into eval.json */
        const fc_eval_from from = {p->out, acts, "", "", &p->collect, p->texts};
        FC_TRY(fc_stage_eval(cli, &p->eval, &from, true, &result, err));
        keep_loss(result.text);
        FC_TRY(show(cli, &result, err));
    }
    FC_TRY(fc_stage_report(cli, &p->report, p->out, &result, err));
    return show(cli, &result, err);
}

fc_status fc_pipeline_run(const fc_pipeline *p, const fc_cli *cli, fc_err *err)
{
    char acts[FC_PATH_MAX];
    FC_TRY(need_all(p, err));
    if (p->acts[0])
        FC_TRY(fc_path_join(acts, NULL, p->acts, err));
    else
        FC_TRY(fc_path_join(acts, p->out, "acts", err));
    FC_TRY(fc_train_check(&p->train, err)); /* before hours of collecting */
    FC_TRY(fc_dir_make(p->out, err));
    const fc_status status = run_stages(p, cli, acts, err);
    if (status == FC_CANCELLED)
        return fc_fail(
            err, FC_CANCELLED,
            "stopped; what is done is safe in '%s', the same command goes on from there",
            p->out);
    return status;
}
