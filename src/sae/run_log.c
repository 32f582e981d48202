/* run_log.c - metrics.csv and the TensorBoard events of a run, kept equal.
 *
 *   metrics.csv    step,epoch,total,mse,l1,l0,dead,lr
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
#include "formats/tfevents.h"

static const char header[] = "step,epoch,total,mse,l1,l0,dead,lr\n";

struct fc_run_log {
    char path[FC_PATH_MAX]; /* of metrics.csv */
    FILE *csv;
    fc_tfevents *events;
};

fc_status fc_run_log_open(fc_run_log **opened, const char *run_dir, const void *csv,
                          size_t n_bytes, int64_t first_step, fc_err *err)
{
    fc_run_log *log = NULL;
    fc_status status;
    if (csv == NULL) {
        csv = header;
        n_bytes = sizeof header - 1;
    }
    FC_TRY_GOTO(fc_alloc(&log, 1, sizeof *log, "log of the run", err));
    FC_TRY_GOTO(fc_path_join(log->path, run_dir, "metrics.csv", err));
    FC_TRY_GOTO(fc_file_write(log->path, csv, n_bytes, err));
    log->csv = fopen(log->path, "ab");
    if (log->csv == NULL) {
        status = fc_fail_errno(err, "cannot write '%s'", log->path);
        goto done;
    }
    FC_TRY_GOTO(fc_tfevents_open(&log->events, run_dir, first_step, err));
    *opened = log;
    log = NULL;
done:
    fc_run_log_close(log);
    return status;
}

static fc_status write_row(fc_run_log *log, const fc_run_line *line, fc_err *err)
{
    const int n = fprintf(
        log->csv, "%" PRId64 ",%.9g,%.9g,%.9g,%.9g,%.9g,%" PRId64 ",%.9g\n", line->step,
        line->epoch, line->total, line->mse, line->l1, line->l0, line->n_dead, line->lr);
    if (n < 0 || fflush(log->csv) != 0)
        return fc_fail_errno(err, "cannot write '%s'", log->path);
    return FC_OK;
}

fc_status fc_run_log_line(fc_run_log *log, const fc_run_line *line, fc_err *err)
{
    const struct {
        const char *tag;
        double value;
    } scalars[] = {
        {"loss/total", line->total},
        {"loss/mse", line->mse},
        {"loss/l1", line->l1},
        {"sparsity/l0", line->l0},
        {"lr", line->lr},
        {"sparsity/dead", (double)line->n_dead},
    };
    FC_TRY(write_row(log, line, err));
    for (size_t i = 0; i < FC_LEN(scalars); i++)
        FC_TRY(fc_tfevents_scalar(log->events, scalars[i].tag, line->step,
                                  scalars[i].value, err));
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
