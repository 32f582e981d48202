/* store_internal.h - what the reader and the writer of a store share: meta.json as a struct, the
 * files of one shard, what is left to go on from, documents-*.jsonl, and the statistics.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_STORE_INTERNAL_H
#define FC_ACTS_STORE_INTERNAL_H

#include "acts/row_stats.h"
#include "acts/store.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/strbuf.h"
#include "formats/safetensors.h"

#define FC_STORE_META "meta.json"
#define FC_STORE_MEAN "mean.safetensors"

/* ---- meta.json (store_meta.c) ---- */

typedef struct fc_shard_note { /* what meta.json says of one shard */
    int64_t n_rows, n_bytes;
    char hash[FC_HASH_HEX];
    int64_t n_docs, n_docs_bytes; /* documents that begin in the shard */
    char docs_hash[FC_HASH_HEX];
} fc_shard_note;

typedef struct fc_store_state {
    fc_store_info info;
    bool is_complete;
    char mean_hash[FC_HASH_HEX]; /* of mean.safetensors, once complete */
    char rows_hash
        [FC_HASH_HEX];      /* fc_store_rows_hash, once complete; "": made before that */
    int64_t n_rows, n_docs; /* sums over the shards */
    fc_shard_note *shard;
    int64_t n_shards, capacity;
    fc_shard_note partial; /* rows that follow the shards, not counted in n_rows; has no
                            * documents; n_rows 0: there is none */
} fc_store_state;

/* Reads and checks dir/meta.json. *root is the whole of it (json_decref). state is written on
 * success only; release it with fc_store_state_deinit. */
fc_status fc_store_state_load(fc_store_state *state, json_t **root, const char *dir,
                              fc_err *err);
void fc_store_state_deinit(fc_store_state *state);
fc_status fc_store_state_add(fc_store_state *state, const fc_shard_note *note,
                             fc_err *err);
/* Forgets the shards from n_shards on, the partial one, and that the store was complete. */
void fc_store_state_cut(fc_store_state *state, int64_t n_shards);
/* Writes dir/meta.json: the state, and the members of `meta`. */
fc_status fc_store_state_save(const fc_store_state *state, const json_t *meta,
                              const char *dir, fc_err *err);
/* FC_MISMATCH with a sentence when `root` (meta.json of a store in dir) describes another run. */
fc_status fc_store_same_run(const fc_store_state *state, const json_t *root,
                            const fc_store_info *info, const json_t *meta,
                            const char *dir, fc_err *err);

/* "shard-00007.safetensors", "documents-00007.jsonl" in dir, into path[FC_PATH_MAX]; and
 * "partial-01234.safetensors", by the rows that the store has with it: every save has a name of its
 * own, so the one that meta.json names is there until meta.json names the next. */
fc_status fc_shard_path(char *path, const char *dir, int64_t i, fc_err *err);
fc_status fc_docs_path(char *path, const char *dir, int64_t i, fc_err *err);
fc_status fc_partial_path(char *path, const char *dir, int64_t n_rows, fc_err *err);

/* ---- one shard (store_reader.c) ---- */

typedef struct fc_shard {
    fc_safetensors *file;
    const uint8_t *x;                      /* [n_rows, d] of the store's dtype */
    const uint8_t *token, *doc, *position; /* [n_rows] i32, perhaps unaligned */
} fc_shard;

/* Maps shard i and checks it against meta.json: size, names, shapes; contents when is_verified.
 * A file that is missing, short or otherwise not what was written gives FC_FORMAT or FC_MISMATCH;
 * FC_IO and FC_NOMEM say nothing about the file. */
fc_status fc_shard_open(fc_shard *shard, const char *dir, const fc_store_state *state,
                        int64_t i, bool is_verified, fc_err *err);
fc_status fc_partial_open(fc_shard *shard, const char *dir, const fc_store_state *state,
                          bool is_verified, fc_err *err);
void fc_shard_close(fc_shard *shard);
int32_t fc_shard_last_doc(const fc_shard *shard, int64_t n_rows); /* of its last row */
/* Size, and when is_verified contents, of a file that meta.json names. */
fc_status fc_store_check_file(const char *path, int64_t n_bytes, const char *hash,
                              bool is_verified, fc_err *err);

/* ---- going on (store_resume.c) ---- */

/* Cuts the state back to what is on disk as meta.json says; the rest is told as warnings. */
fc_status fc_store_keep_sound(fc_store_state *state, const char *dir, fc_err *err);
/* Removes files of ours that the state does not name. is_begun: there is a meta.json; without one,
 * files with our names are not ours to remove, and are refused. */
fc_status fc_store_clear_leftovers(const fc_store_state *state, const char *dir,
                                   bool is_begun, fc_err *err);

/* ---- documents (store_docs.c) ---- */

typedef struct fc_doc_list {
    fc_arena arena;
    fc_doc *doc;
    int32_t *id; /* ascending */
    int64_t n;
} fc_doc_list;

/* Appends one line of documents-*.jsonl. */
fc_status fc_doc_line(fc_strbuf *lines, int32_t doc_id, const fc_doc *doc, fc_err *err);
fc_status fc_doc_list_load(fc_doc_list *list, const char *dir,
                           const fc_store_state *state, fc_err *err);
void fc_doc_list_free(fc_doc_list *list);

/* ---- statistics (store_stats.c) ---- */

/* Refuses NaN and infinity in x [n, d], rows [n], naming hook and token. */
fc_status fc_rows_check_finite(const char *hook, const float *x, const fc_row *rows,
                               int64_t n, int64_t d, fc_err *err);

/* Reads every row of the store in dir twice and writes dir/mean.safetensors; the digest of the row
 * table on the way. */
fc_status fc_store_stats_write(const char *dir, char rows_hash[FC_HASH_HEX], fc_err *err);
/* Without mean_f64 and variance_f64. */
fc_status fc_store_stats_load(fc_row_stats *stats, const char *dir, int64_t d,
                              fc_err *err);

#endif
