/* harvester.h - text through a model: the rows of one or several hooks, in the order of the text.
 *
 *   documents -> sequences -> batch of whole sequences -> one forward pass up to the last hook
 *             -> for each hook the rows of the real tokens, without <bos>
 *
 * What to do with rows is for the caller's sink: stores (harvest.h), windows (windows.h). Rows are
 * numbered from the beginning of the text, equally for all hooks; a row does not depend on the
 * batch that it is in, so any row can be begun at.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_HARVESTER_H
#define FC_ACTS_HARVESTER_H

#include "acts/harvest.h"

typedef struct fc_harvest_text { /* what runs through the model; borrowed */
    const fc_collect_config *config;
    const char *const *paths;
    int64_t n_paths;
} fc_harvest_text;

typedef struct fc_harvested { /* neighbouring rows of one hook */
    int hook;
    int64_t first;     /* number of the first */
    int64_t n;         /* > 0 */
    const float *x;    /* [n, width], until the sink returns */
    const fc_row *row; /* [n] likewise */
} fc_harvested;

typedef struct fc_harvest_sink { /* called by fc_harvester_next, on its thread */
    /* The rows of a hook come in order, each once; all of a batch for one hook, then for the next. */
    fc_status (*rows)(void *ctx, const fc_harvested *rows, fc_err *err);
    /* Each document of the text from its beginning, before its first row; or NULL. */
    fc_document_fn *document;
    void *ctx;
} fc_harvest_sink;

typedef struct fc_harvester fc_harvester;

/* Loads model and tokenizer, finds the hooks that config.hook names (one, or several with commas), in
 * the order given, and counts the tokens of the text. FC_CANCELLED after Ctrl-C while counting. */
fc_status fc_harvester_open(fc_harvester **opened, const fc_harvest_text *text,
                            fc_backend *be, fc_precision_choice precision, fc_err *err);
void fc_harvester_close(fc_harvester *harvester); /* accepts NULL */

int fc_harvester_hooks(const fc_harvester *harvester);
const fc_hook_point *fc_harvester_hook(const fc_harvester *harvester, int i);
/* Rows of the text, at most config.tokens; 0: not known, the text is standard input. */
int64_t fc_harvester_rows(const fc_harvester *harvester);
bool fc_harvester_is_stdin(const fc_harvester *harvester);
const fc_harvest_text *fc_harvester_text(const fc_harvester *harvester);
const char *fc_harvester_model_hash(const fc_harvester *harvester);
fc_precision fc_harvester_precision(const fc_harvester *harvester);
int64_t fc_harvester_batch_rows(const fc_harvester *harvester); /* at most, in a batch */
int64_t
fc_harvester_tokens_run(const fc_harvester *harvester); /* with <bos>, until now */

/* What tells these rows from others, hooks aside: model, model_hash, rows, text_hash, max_length, the
 * precision, the options that cut the text, and the list of files as "text". */
fc_status fc_harvester_json(const fc_harvester *harvester, json_t **object, fc_err *err);

/* Goes to a row: opens the text anew; the sequences before are cut from it but not run. The sink's
 * ctx is borrowed until the next begin, or close. */
fc_status fc_harvester_begin(fc_harvester *harvester, int64_t first_row,
                             const fc_harvest_sink *sink, fc_err *err);

/* One batch. *is_end: the text or the rows wanted are at their end. After Ctrl-C it runs nothing, and
 * returns FC_OK: who asks fc_cancel_requested knows. */
fc_status fc_harvester_next(fc_harvester *harvester, bool *is_end, fc_err *err);
/* The row after those that were given. */
int64_t fc_harvester_at(const fc_harvester *harvester);

#endif
