/* checkpoint.c - writes and reads checkpoints/step-XXXXXXXX.safetensors.
 *
 *   metadata     facet_checkpoint "3", step, recipe (hash of the configuration),
 *                xxh3 (of all tensor data, in the order of the file)
 *   W_enc ...    F32, feature-major [d_sae, d_in]: the weights as the program holds them
 *   adam_m.NAME, adam_v.NAME    F32, moments of each
 *   ema.NAME     F32            mean of each over the steps, where one is kept
 *   fired, moved I64 [d_sae]    step in which each feature last fired, had a gradient; 0 = never
 *   topk_threshold  F64 [1]     of batchtopk
 *   max.epoch, max.before       F32 [d_sae], running maxima of the features
 *   log.window   F64 [10]       n, then losses.h in its order: sums since the last line of the log
 *   log.recent   F64 [100, 9]   losses of the last steps, a ring
 *   metrics.csv  U8  [n]        the file as it was
 *
 * One table of tensors serves writing and reading. The checksum finds what a crash of the disk
 * does to a file that was renamed in time; the hash of the configuration keeps a run from going
 * on under another one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "formats/safetensors.h"

enum {
    N_KEPT = 2,
    MAX_TENSORS = 4 * FC_SAE_TENSORS + 8,
    NAME_BYTES = 64,
};

static const char version[] = "3";

/* The tensors of a state, in the order of the file. */
typedef struct table {
    fc_tensor
        tensor[MAX_TENSORS]; /* name and data point into this struct and into the state */
    void *data[MAX_TENSORS]; /* the same data, to be written to; NULL: metrics.csv */
    char name[MAX_TENSORS][NAME_BYTES];
    int n;
    double window[1 + FC_N_LOSSES], recent[FC_RECENT_STEPS * FC_N_LOSSES];
} table;

static void pack_logs(table *t, const fc_train_state *s)
{
    t->window[0] = (double)s->n_window;
    memcpy(t->window + 1, &s->window, sizeof s->window);
    for (int i = 0; i < FC_RECENT_STEPS; i++)
        memcpy(t->recent + i * FC_N_LOSSES, &s->recent[i], sizeof s->recent[i]);
}

static void unpack_logs(const table *t, fc_train_state *s)
{
    s->n_window = (int64_t)t->window[0];
    memcpy(&s->window, t->window + 1, sizeof s->window);
    for (int i = 0; i < FC_RECENT_STEPS; i++)
        memcpy(&s->recent[i], t->recent + i * FC_N_LOSSES, sizeof s->recent[i]);
}

/* rows 1: a vector. */
static void add(table *t, const char *prefix, const char *name, fc_dtype dtype,
                void *data, int64_t rows, int64_t cols)
{
    const int i = t->n++;
    (void)snprintf(t->name[i], NAME_BYTES, "%s%s", prefix, name);
    const int64_t n = rows * cols;
    t->tensor[i] = (fc_tensor){.dtype = dtype,
                               .rank = rows > 1 ? 2 : 1,
                               .shape = {rows > 1 ? rows : cols, cols},
                               .n = n,
                               .data = data,
                               .n_bytes = (size_t)n * fc_dtype_size(dtype)};
    t->data[i] = data;
    t->tensor[i].name = t->name[i];
}

static int compare(const void *a, const void *b)
{
    const fc_tensor *x = a, *y = b;
    if (x->dtype != y->dtype) return x->dtype < y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* metrics.csv: [n_bytes], NULL when it is still to be read. */
static void make_table(table *t, const fc_train_state *s, const void *csv, size_t n_bytes)
{
    const int64_t d_sae = s->step->sae->d_sae;
    t->n = 0;
    for (int i = 0; i < s->step->n_params; i++) {
        const fc_param *p = &s->step->param[i];
        if (p->n == 0) continue;
        add(t, "", p->name, FC_F32, p->w, p->rows, p->cols);
        add(t, "adam_m.", p->name, FC_F32, p->m, p->rows, p->cols);
        add(t, "adam_v.", p->name, FC_F32, p->v, p->rows, p->cols);
        if (s->ema.w[i] != NULL)
            add(t, "ema.", p->name, FC_F32, s->ema.w[i], p->rows, p->cols);
    }
    add(t, "", "fired", FC_I64, s->step->fired, 1, d_sae);
    add(t, "", "moved", FC_I64, s->step->moved, 1, d_sae);
    add(t, "", "topk_threshold", FC_F64, &s->step->topk_threshold, 1, 1);
    add(t, "", "max.epoch", FC_F32, s->max_epoch, 1, d_sae);
    add(t, "", "max.before", FC_F32, s->max_before, 1, d_sae);
    add(t, "", "log.window", FC_F64, t->window, 1, 1 + FC_N_LOSSES);
    add(t, "", "log.recent", FC_F64, t->recent, FC_RECENT_STEPS, FC_N_LOSSES);
    add(t, "", "metrics.csv", FC_U8, NULL, 1, (int64_t)n_bytes);
    t->tensor[t->n - 1].data = csv;
    qsort(t->tensor, (size_t)t->n, sizeof t->tensor[0], compare);
}

/* --- writing ------------------------------------------------------------------------------ */

static fc_status hash_tensors(const table *t, char hex[FC_HASH_HEX], fc_err *err)
{
    fc_hash *hash = NULL;
    FC_TRY(fc_hash_new(&hash, err));
    for (int i = 0; i < t->n; i++)
        if (t->tensor[i].n_bytes > 0)
            fc_hash_update(hash, t->tensor[i].data, t->tensor[i].n_bytes);
    fc_hash_hex(hash, hex);
    fc_hash_free(hash);
    return FC_OK;
}

static fc_status write_file(const char *path, const table *t, const fc_train_state *s,
                            fc_err *err)
{
    fc_safetensors_out *out = NULL;
    char step[32], xxh3[FC_HASH_HEX];
    fc_status status;
    (void)snprintf(step, sizeof step, "%" PRId64, s->n_done);
    FC_TRY(hash_tensors(t, xxh3, err));
    FC_TRY_GOTO(fc_safetensors_create(&out, path, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "facet_checkpoint", version, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "step", step, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "recipe", s->recipe_hash, err));
    FC_TRY_GOTO(fc_safetensors_meta(out, "xxh3", xxh3, err));
    for (int i = 0; i < t->n; i++) {
        const fc_tensor *e = &t->tensor[i];
        FC_TRY_GOTO(
            fc_safetensors_declare(out, e->name, e->dtype, e->rank, e->shape, err));
    }
    for (int i = 0; i < t->n; i++) {
        const fc_tensor *e = &t->tensor[i];
        FC_TRY_GOTO(fc_safetensors_write(out, e->name, e->data, e->n_bytes, err));
    }
    status = fc_safetensors_commit(out, err);
done:
    fc_safetensors_discard(out);
    return status;
}

/* Whether it is the name of a checkpoint. Always 8 digits, so names sort by step. */
static bool is_checkpoint(const char *name)
{
    static const char head[] = "step-", tail[] = ".safetensors";
    if (strncmp(name, head, sizeof head - 1) != 0) return false;
    const char *digits = name + sizeof head - 1;
    const size_t n = strspn(digits, "0123456789");
    return n == 8 && strcmp(digits + n, tail) == 0;
}

static int64_t step_of(const char *name)
{
    return strtoll(name + sizeof "step-" - 1, NULL, 10);
}

static fc_status remove_in(const char *dir, const char *name, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_path_join(path, dir, name, err));
    return fc_file_remove(path, err);
}

/* Removes all checkpoints but the newest N_KEPT, and what a killed process left half written. */
static fc_status prune(const char *dir, fc_err *err)
{
    fc_names names = {0};
    fc_status status;
    int n_newer = 0;
    FC_TRY_GOTO(fc_dir_list(&names, dir, err));
    for (int64_t i = names.n - 1; i >= 0; i--) { /* sorted: the newest is last */
        const bool is_kept = is_checkpoint(names.name[i]) && n_newer++ < N_KEPT;
        const bool is_ours = strncmp(names.name[i], "step-", 5) == 0;
        if (is_ours && !is_kept) FC_TRY_GOTO(remove_in(dir, names.name[i], err));
    }
done:
    fc_names_free(&names);
    return status;
}

fc_status fc_checkpoint_save(const char *run_dir, const fc_train_state *state,
                             fc_err *err)
{
    char dir[FC_PATH_MAX], path[FC_PATH_MAX], name[NAME_BYTES];
    fc_map csv = {0};
    table *t = NULL;
    fc_status status;
    (void)snprintf(name, sizeof name, "step-%08" PRId64 ".safetensors", state->n_done);
    FC_TRY(fc_path_join(dir, run_dir, "checkpoints", err));
    FC_TRY_GOTO(fc_dir_make(dir, err));
    FC_TRY_GOTO(fc_path_join(path, run_dir, "metrics.csv", err));
    FC_TRY_GOTO(fc_map_open(&csv, path, err));
    FC_TRY_GOTO(fc_path_join(path, dir, name, err));
    FC_TRY_GOTO(fc_alloc(&t, 1, sizeof *t, "table of a checkpoint", err));
    pack_logs(t, state);
    make_table(t, state, csv.data, csv.n_bytes);
    FC_TRY_GOTO(write_file(path, t, state, err));
    status = prune(dir, err);
done:
    fc_map_close(&csv);
    fc_free(t);
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

static fc_status check_metadata(const fc_safetensors *st, const fc_train_state *s,
                                int64_t n_done, fc_err *err)
{
    const char *path = fc_safetensors_path(st);
    const char *format = fc_safetensors_metadata(st, "facet_checkpoint");
    const char *step = fc_safetensors_metadata(st, "step");
    const char *recipe = fc_safetensors_metadata(st, "recipe");
    if (format == NULL || strcmp(format, version) != 0)
        return fc_fail(err, FC_FORMAT, "%s: checkpoint version is '%s', expected '%s'",
                       path, format != NULL ? format : "", version);
    if (step == NULL || strtoll(step, NULL, 10) != n_done)
        return fc_fail(err, FC_FORMAT, "%s: is of step '%s', expected %" PRId64, path,
                       step != NULL ? step : "", n_done);
    if (recipe == NULL || strcmp(recipe, s->recipe_hash) != 0)
        return fc_fail(err, FC_MISMATCH, "%s: belongs to another configuration or store",
                       path);
    return FC_OK;
}

/* Every tensor of the table is there with its shape, and no other; the sum of the bytes is
 * right. The data pointers of the table then lead into the file. */
static fc_status check_tensors(table *t, const fc_safetensors *st, fc_err *err)
{
    const char *path = fc_safetensors_path(st);
    const char *xxh3 = fc_safetensors_metadata(st, "xxh3");
    char found[FC_HASH_HEX];
    if (fc_safetensors_count(st) != t->n)
        return fc_fail(err, FC_FORMAT, "%s: holds %" PRId64 " tensors, expected %d", path,
                       fc_safetensors_count(st), t->n);
    for (int i = 0; i < t->n; i++) {
        fc_tensor *e = &t->tensor[i];
        const fc_tensor *tensor;
        if (e->dtype == FC_U8) e->shape[0] = -1; /* metrics.csv has any length */
        FC_TRY(
            fc_safetensors_need(st, e->name, e->dtype, e->rank, e->shape, &tensor, err));
        e->data = tensor->data;
        e->n_bytes = tensor->n_bytes;
    }
    FC_TRY(hash_tensors(t, found, err));
    if (xxh3 == NULL || strcmp(xxh3, found) != 0)
        return fc_fail(err, FC_FORMAT, "%s: the checksum is %s, expected %s", path, found,
                       xxh3 != NULL ? xxh3 : "one");
    return FC_OK;
}

static void *destination(const table *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->name[i], name) == 0) return t->data[i];
    return NULL;
}

/* Copies what was checked: from here on nothing fails but the memory for metrics.csv. */
static fc_status take(table *t, fc_train_state *s, int64_t n_done, char **csv,
                      size_t *n_csv_bytes, fc_err *err)
{
    char *text = NULL;
    for (int i = 0; i < t->n; i++) {
        const fc_tensor *e = &t->tensor[i];
        if (e->dtype != FC_U8) continue;
        FC_TRY(fc_alloc(&text, (int64_t)e->n_bytes + 1, 1, "metrics.csv", err));
        if (e->n_bytes > 0) memcpy(text, e->data, e->n_bytes);
        *n_csv_bytes = e->n_bytes;
    }
    for (int i = 0; i < t->n; i++) {
        void *to = destination(t, t->tensor[i].name);
        if (to != NULL) memcpy(to, t->tensor[i].data, t->tensor[i].n_bytes);
    }
    unpack_logs(t, s);
    fc_step_weights_changed(s->step);
    s->n_done = s->step->n_done = n_done;
    *csv = text;
    return FC_OK;
}

static fc_status read_file(const char *path, int64_t n_done, fc_train_state *s,
                           char **csv, size_t *n_csv_bytes, fc_err *err)
{
    fc_safetensors *st = NULL;
    table *t = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_safetensors_open(&st, path, err));
    FC_TRY_GOTO(check_metadata(st, s, n_done, err));
    FC_TRY_GOTO(fc_alloc(&t, 1, sizeof *t, "table of a checkpoint", err));
    make_table(t, s, NULL, 0);
    FC_TRY_GOTO(check_tensors(t, st, err));
    status = take(t, s, n_done, csv, n_csv_bytes, err);
done:
    fc_free(t);
    fc_safetensors_close(st);
    return status;
}

/* A checkpoint is passed over when its bytes are at fault, not when memory is. */
static bool is_damage(fc_status status)
{
    return status == FC_FORMAT || status == FC_MISMATCH || status == FC_IO;
}

fc_status fc_checkpoint_load(const char *run_dir, fc_train_state *state, char **csv,
                             size_t *n_csv_bytes, fc_err *err)
{
    char dir[FC_PATH_MAX], path[FC_PATH_MAX];
    fc_names names = {0};
    fc_err why = {0};
    fc_status status;
    int64_t n_damaged = 0;
    FC_TRY(fc_path_join(dir, run_dir, "checkpoints", err));
    if (!fc_path_is_dir(dir)) return FC_OK;
    FC_TRY(fc_dir_list(&names, dir, err));
    bool is_found = false;
    for (int64_t i = names.n - 1; i >= 0 && !is_found; i--) {
        if (!is_checkpoint(names.name[i])) continue;
        FC_TRY_GOTO(fc_path_join(path, dir, names.name[i], err));
        status = read_file(path, step_of(names.name[i]), state, csv, n_csv_bytes, &why);
        is_found = status == FC_OK;
        if (is_found) break;
        if (!is_damage(status)) FC_TRY_GOTO(fc_fail(err, status, "%s", why.text));
        fc_log(FC_LOG_WARN, "%s; trying the checkpoint before it", why.text);
        n_damaged++;
    }
    status = FC_OK;
    if (!is_found && n_damaged > 0)
        status = fc_fail(
            err, FC_FORMAT,
            "no checkpoint in '%s' can be used: %s; remove the folder to start over", dir,
            why.text);
    for (int64_t i = names.n - 1; is_found && i >= 0 && status == FC_OK; i--)
        if (is_checkpoint(names.name[i]) && step_of(names.name[i]) > state->n_done)
            status = remove_in(dir, names.name[i], err);
done:
    fc_names_free(&names);
    return status;
}
