/* store_resume.c - what is left of a store that goes on: the files that are still what meta.json
 * says, and nothing else of ours.
 *
 *   shards     up to the first that is missing, cut short or damaged
 *   partial    the rows of the next shard, when all shards stand and it has its checksum
 *   mean       when all shards stand
 *
 * So a store has one history, with or without interruptions: the files that a killed run left
 * between two writes of meta.json are not named there, and go.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "acts/store_internal.h"
#include "base/log.h"

/* --- files that go ------------------------------------------------------------------------ */

/* Number in "shard-00012.safetensors", or -1 when `name` is not of that form. */
static int64_t file_number(const char *name, const char *before, const char *after)
{
    const size_t n_before = strlen(before);
    int64_t number = 0;
    if (strncmp(name, before, n_before) != 0) return -1;
    const char *digit = name + n_before;
    for (; isdigit((unsigned char)*digit) && number < UINT32_MAX; digit++)
        number = number * 10 + (*digit - '0');
    return digit - name >= (ptrdiff_t)n_before + 5 && strcmp(digit, after) == 0 ? number
                                                                                : -1;
}

/* A file of ours that is not part of the store as `state` has it. */
static bool is_leftover(const char *name, const fc_store_state *state)
{
    char stem[128];
    const char *const temporary = strstr(name, ".tmp-");
    const size_t n = temporary != NULL ? (size_t)(temporary - name) : strlen(name);
    if (n >= sizeof stem) return false;
    memcpy(stem, name, n);
    stem[n] = '\0';
    const int64_t shard = file_number(stem, "shard-", ".safetensors");
    const int64_t partial = file_number(stem, "partial-", ".safetensors");
    const int64_t docs = file_number(stem, "documents-", ".jsonl");
    const bool is_mean = strcmp(stem, FC_STORE_MEAN) == 0;
    if (temporary != NULL)
        return shard >= 0 || partial >= 0 || docs >= 0 || is_mean ||
               strcmp(stem, FC_STORE_META) == 0;
    const bool is_named =
        state->partial.n_rows > 0 && partial == state->n_rows + state->partial.n_rows;
    return shard >= state->n_shards || docs >= state->n_shards ||
           (partial >= 0 && !is_named) || (is_mean && !state->is_complete);
}

fc_status fc_store_clear_leftovers(const fc_store_state *state, const char *dir,
                                   bool is_begun, fc_err *err)
{
    fc_names names = {0};
    fc_status status;
    FC_TRY_GOTO(fc_dir_list(&names, dir, err));
    for (int64_t i = 0; i < names.n; i++) {
        char path[FC_PATH_MAX];
        if (!is_leftover(names.name[i], state)) continue;
        if (!is_begun && strstr(names.name[i], ".tmp-") == NULL)
            FC_TRY_GOTO(fc_fail(
                err, FC_MISMATCH,
                "%s: the folder holds %s, but no meta.json: it is not a store that "
                "can be continued; name another folder",
                dir, names.name[i]));
        FC_TRY_GOTO(fc_path_join(path, dir, names.name[i], err));
        FC_TRY_GOTO(fc_file_remove(path, err));
    }
done:
    fc_names_free(&names);
    return status;
}

/* --- files that stay ---------------------------------------------------------------------- */

/* FC_OK, or what stands in the way of checking; a file that is not what it was is told by *is_sound. */
static fc_status sort_out(fc_status status, const fc_err *found, bool *is_sound,
                          fc_err *err)
{
    *is_sound = status == FC_OK;
    if (status != FC_FORMAT && status != FC_MISMATCH)
        return status == FC_OK ? FC_OK : fc_fail(err, status, "%s", found->text);
    fc_log(FC_LOG_WARN, "%s; collecting it again", found->text);
    return FC_OK;
}

static fc_status keep_shards(fc_store_state *state, const char *dir, fc_err *err)
{
    bool is_sound = true;
    for (int64_t i = 0; i < state->n_shards && is_sound; i++) {
        fc_shard shard = {0};
        fc_err found;
        const fc_status status = fc_shard_open(&shard, dir, state, i, true, &found);
        fc_shard_close(&shard);
        FC_TRY(sort_out(status, &found, &is_sound, err));
        if (!is_sound) fc_store_state_cut(state, i);
    }
    return FC_OK;
}

static fc_status keep_partial(fc_store_state *state, const char *dir, fc_err *err)
{
    bool is_sound;
    fc_shard shard = {0};
    fc_err found;
    if (state->partial.n_rows == 0) return FC_OK;
    const fc_status status = fc_partial_open(&shard, dir, state, true, &found);
    fc_shard_close(&shard);
    FC_TRY(sort_out(status, &found, &is_sound, err));
    if (!is_sound) fc_store_state_cut(state, state->n_shards);
    return FC_OK;
}

static fc_status keep_mean(fc_store_state *state, const char *dir, fc_err *err)
{
    bool is_sound;
    char path[FC_PATH_MAX];
    fc_err found;
    if (!state->is_complete) return FC_OK;
    FC_TRY(fc_path_join(path, dir, FC_STORE_MEAN, err));
    const fc_status status =
        fc_store_check_file(path, -1, state->mean_hash, true, &found);
    FC_TRY(sort_out(status, &found, &is_sound, err));
    if (!is_sound) fc_store_state_cut(state, state->n_shards);
    return FC_OK;
}

/* An unfinished store ends with a short shard when finishing was cut off: it is only kept where
 * nothing can follow it. */
static void drop_short_shard(fc_store_state *state)
{
    if (state->is_complete || state->n_shards == 0 ||
        state->n_rows == state->info.n_wanted)
        return;
    if (state->shard[state->n_shards - 1].n_rows < state->info.rows_per_shard)
        fc_store_state_cut(state, state->n_shards - 1);
}

fc_status fc_store_keep_sound(fc_store_state *state, const char *dir, fc_err *err)
{
    drop_short_shard(state);
    FC_TRY(keep_shards(state, dir, err));
    FC_TRY(keep_partial(state, dir, err));
    FC_TRY(keep_mean(state, dir, err));
    drop_short_shard(state);
    return FC_OK;
}
