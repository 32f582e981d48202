/* run_log.c - metrics.csv and the TensorBoard events of a run, kept equal.
 *
 *   metrics.csv    step,epoch,total,mse,l1,l0,dead,lr and other losses of the architecture
 *
 * Numbers have nine digits, enough to tell any two float32 apart. Unlike other outputs both files
 * grow under their own names, to be watched. After a crash metrics.csv is set back to what it was
 * at the checkpoint, which holds a copy; events go on in a new file, which tells TensorBoard to
 * drop what the older files have from its first step on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/run_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "formats/tfevents.h"

static const char *const names[FC_N_LOSSES] = {
#define LOSS_NAME(id, name, help) [FC_LOSS_##id] = #name,
    FC_LOSSES(LOSS_NAME)
#undef LOSS_NAME
};

struct fc_run_log {
    char path[FC_PATH_MAX]; /* of metrics.csv */
    FILE *csv;
    fc_tfevents *events;
    unsigned losses;
};

static double value_of(const fc_losses *losses, int id)
{
    const double of[FC_N_LOSSES] = {
#define LOSS_VALUE(id, name, help) [FC_LOSS_##id] = losses->name,
        FC_LOSSES(LOSS_VALUE)
#undef LOSS_VALUE
    };
    return of[id];
}

static bool is_logged(const fc_run_log *log, int id)
{
    return (log->losses & 1U << id) != 0;
}

static fc_status write_header(const fc_run_log *log, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status =
        fc_strbuf_addf(&text, err, "%s", "step,epoch,total,mse,l1,l0,dead,lr");
    for (int id = FC_LOSS_L0_LOSS; id < FC_N_LOSSES && status == FC_OK; id++)
        if (is_logged(log, id)) status = fc_strbuf_addf(&text, err, ",%s", names[id]);
    if (status == FC_OK) status = fc_strbuf_addf(&text, err, "\n");
    if (status == FC_OK)
        status = fc_file_write(log->path, fc_strbuf_text(&text), (size_t)text.n, err);
    fc_strbuf_free(&text);
    return status;
}

fc_status fc_run_log_open(fc_run_log **opened, const char *run_dir, unsigned losses,
                          const void *csv, size_t n_bytes, int64_t first_step,
                          fc_err *err)
{
    fc_run_log *log = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&log, 1, sizeof *log, "log of the run", err));
    log->losses = losses;
    FC_TRY_GOTO(fc_path_join(log->path, run_dir, "metrics.csv", err));
    if (csv == NULL)
        FC_TRY_GOTO(write_header(log, err));
    else
        FC_TRY_GOTO(fc_file_write(log->path, csv, n_bytes, err));
    log->csv = fopen(log->path, "ab");
    if (log->csv == NULL) {
        status = fc_fail_errno(err, "cannot write '%s'", log->path);
        goto done;
    }
    FC_TRY_GOTO(fc_tfevents_open(&log->events, run_dir, first_step, err));
    *opened = log;
    log = NULL;
    status = FC_OK;
done:
    fc_run_log_close(log);
    return status;
}

static fc_status write_row(fc_run_log *log, const fc_run_line *line, fc_err *err)
{
    const fc_losses *l = &line->losses;
    int n = fprintf(log->csv, "%" PRId64 ",%.9g,%.9g,%.9g,%.9g,%.9g,%" PRId64 ",%.9g",
                    line->step, line->epoch, l->total, l->mse, l->l1, l->l0, line->n_dead,
                    line->lr);
    for (int id = FC_LOSS_L0_LOSS; id < FC_N_LOSSES && n >= 0; id++)
        if (is_logged(log, id)) n = fprintf(log->csv, ",%.9g", value_of(l, id));
    if (n < 0 || fputc('\n', log->csv) == EOF || fflush(log->csv) != 0)
        return fc_fail_errno(err, "cannot write '%s'", log->path);
    return FC_OK;
}

fc_status fc_run_log_line(fc_run_log *log, const fc_run_line *line, fc_err *err)
{
    const struct {
        const char *tag;
        double value;
    } scalars[] = {
        {"loss/total", line->losses.total},
        {"loss/mse", line->losses.mse},
        {"loss/l1", line->losses.l1},
        {"sparsity/l0", line->losses.l0},
        {"lr", line->lr},
        {"sparsity/dead", (double)line->n_dead},
    };
    FC_TRY(write_row(log, line, err));
    for (size_t i = 0; i < FC_LEN(scalars); i++)
        FC_TRY(fc_tfevents_scalar(log->events, scalars[i].tag, line->step,
                                  scalars[i].value, err));
    for (int id = FC_LOSS_L0_LOSS; id < FC_N_LOSSES; id++) {
        char tag[64];
        (void)snprintf(tag, sizeof tag, "loss/%s", names[id]);
        if (is_logged(log, id))
            FC_TRY(fc_tfevents_scalar(log->events, tag, line->step,
                                      value_of(&line->losses, id), err));
    }
    return fc_tfevents_flush(log->events, err);
}

fc_status fc_run_log_maxima(fc_run_log *log, int64_t step, const float *max,
                            int64_t d_sae, fc_err *err)
{
    FC_TRY(fc_tfevents_histogram(log->events, "features/max", step, max, d_sae, err));
    return fc_tfevents_flush(log->events, err);
}

void fc_run_log_close(fc_run_log *log)
{
    if (log == NULL) return;
    if (log->csv != NULL) (void)fclose(log->csv); /* every line was flushed */
    fc_tfevents_close(log->events);
    fc_free(log);
}
