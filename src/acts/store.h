/* store.h - activations on disk: a folder of safetensors shards that any tool can open.
 *
 *   acts/meta.json                     what was run on what; how far it is; checksums of the shards
 *   acts/shard-00000.safetensors       activations [n, d] BF16 or F32, token_ids [n] I32,
 *                                      doc_ids [n] I32, positions [n] I32
 *   acts/documents-00000.jsonl         the documents that begin in that shard, one object a line:
 *                                      {"doc", "title", "source", "line", "tokens"}
 *   acts/partial-R.safetensors         as a shard: the rows after the last shard, up to R rows in all;
 *                                      only while the store is unfinished
 *   acts/mean.safetensors              mean [d] F32, mean_f64, variance_f64 [d] F64, and, F64 [],
 *                                      mean_norm and mean_centred_norm, the means of ||x|| and
 *                                      ||x - mean||: over the rows as stored, summed in double
 *
 * Rows are real tokens in corpus order: no padding, no <bos>. `positions` counts from 1 (the bos
 * was 0) within its sequence. All shards but the last hold rows_per_shard rows. A shard is written
 * beside and renamed, then meta.json names it with its checksum: after kill -9 the store is a valid
 * prefix of itself, and collecting goes on to the same bytes. Only collecting looks at the partial
 * file; who reads an unfinished store sees its shards.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_STORE_H
#define FC_ACTS_STORE_H

#include <stdbool.h>

#include "formats/dtype.h"
#include "formats/json.h"

typedef struct fc_store_info { /* the part of meta.json that identifies the run */
    char hook[128];
    char model[1024];    /* path or name as given */
    char model_hash[64]; /* fc_model_fingerprint */
    int64_t d;           /* width */
    fc_dtype dtype;      /* FC_BF16 or FC_F32 */
    int64_t n_wanted;    /* rows of the finished store; 0 = not known beforehand */
    int64_t rows_per_shard;
    int64_t max_length;
    char text_hash[64]; /* over the list of text files: names and sizes */
} fc_store_info;

/* ---- reading ---- */
typedef struct fc_store fc_store;

/* Opens a store and maps all shards. A folder with the stores of several hooks is refused with their
 * names. Checks names, shapes and sizes of every shard, that ids are not
 * negative, positions are at least 1 and doc_ids ascend; is_verified also reads everything through
 * and compares checksums. An unfinished store fails unless allow_partial. */
fc_status fc_store_open(fc_store **store, const char *dir, bool is_verified,
                        bool allow_partial, fc_err *err);
void fc_store_close(fc_store *store);
const fc_store_info *fc_store_info_of(const fc_store *store);
const json_t *fc_store_meta(const fc_store *store); /* the whole meta.json; borrowed */
int64_t fc_store_rows(const fc_store *store);
int64_t fc_store_docs(const fc_store *store);

/* Rows begin .. begin+n-1, or the rows listed, widened to float32: out [n, d]. Rows are within
 * fc_store_rows. Any number of threads. */
void fc_store_read(const fc_store *store, int64_t begin, int64_t n, float *out);
void fc_store_gather(const fc_store *store, const uint32_t *row, int64_t n, float *out);
/* Rows begin .. begin+n-1 as they are stored: out [n, d] of the store's dtype. */
void fc_store_copy(const fc_store *store, int64_t begin, int64_t n, void *out);
/* Hints for passes over more than fits in memory; rows as for fc_store_read, any number of threads.
 * expect: the activations of these rows are read soon, so the system begins to. drop: they are not,
 * so their pages leave the process, each once in a pass in order; they stay in the system's cache
 * while it has room. Reading any row at any time stays right. */
void fc_store_expect(const fc_store *store, int64_t begin, int64_t n);
void fc_store_drop(const fc_store *store, int64_t begin, int64_t n);

typedef struct fc_row { /* where a row comes from */
    int32_t token_id, doc_id, position;
} fc_row;
fc_row fc_store_row(const fc_store *store, int64_t row);

/* XXH3-128 over (token_id, doc_id, position) of all rows in their order, hex[FC_HASH_HEX]: the same
 * for stores of one text whose rows are the same tokens, whatever the hook and the shards. A
 * complete store's meta.json has it as rows_xxh3. */
fc_status fc_store_rows_hash(const fc_store *store, char *hex, fc_err *err);

/* From mean.safetensors; NULL and 0 while the store is unfinished. mean [d] is borrowed; the other
 * two are means over all rows of ||x|| and of ||x - mean||. */
const float *fc_store_mean(const fc_store *store);
double fc_store_mean_norm(const fc_store *store);
double fc_store_mean_centred_norm(const fc_store *store);

/* Title, source and line of a document, borrowed until the store is closed. The first call reads
 * documents-*.jsonl, so unlike all other reading it is for one thread at a time. */
typedef struct fc_doc {
    const char *title, *source;
    int64_t line, n_tokens;
} fc_doc;
fc_status fc_store_doc(fc_store *store, int32_t doc_id, fc_doc *doc, fc_err *err);

/* ---- writing ---- */
typedef struct fc_store_writer fc_store_writer;

/* Creates the folder, or continues the one that is there when it holds the same run: `info` is equal
 * (the model by its hash) and so are the texts, numbers and booleans of `meta`; else FC_MISMATCH
 * names the first difference. `meta` is an object or NULL, copied; its members are kept in meta.json.
 * *n_done: rows safe on disk, those of the last checkpoint included: give the rows after them, and
 * every document from the first. Files that are missing, cut short or damaged are collected again,
 * with all after them; leftovers are removed. Fails when the disk has no room for the whole store.
 * After a failure of any call below, only close may follow. */
fc_status fc_store_create(fc_store_writer **writer, const char *dir,
                          const fc_store_info *info, const json_t *meta, int64_t *n_done,
                          fc_err *err);
/* Whether nothing is left to append. */
bool fc_store_writer_is_complete(const fc_store_writer *writer);
/* Documents that begin in the shards on disk. */
int64_t fc_store_writer_docs(const fc_store_writer *writer);

/* Appends rows: x [n, d] f32 (bf16: rounded to nearest, ties to even), rows [n]; doc_ids do not
 * descend, and n_wanted is not exceeded. Refuses NaN and infinity. Shards are written as they fill. */
fc_status fc_store_append(fc_store_writer *writer, const float *x, const fc_row *rows,
                          int64_t n, fc_err *err);
/* Before a document's first row; ids ascend. Those already on disk are passed over. */
fc_status fc_store_document(fc_store_writer *writer, int32_t doc_id, const fc_doc *doc,
                            fc_err *err);
/* Saves the rows of the shard being filled. When they are all n_wanted, finish is what saves them. */
fc_status fc_store_checkpoint(fc_store_writer *writer, fc_err *err);
/* Last shard, mean.safetensors, "complete": true. n may be below n_wanted only if is_short_allowed. */
fc_status fc_store_finish(fc_store_writer *writer, bool is_short_allowed, fc_err *err);
/* Without finish: shards and checkpoint stay. Accepts NULL. */
void fc_store_writer_close(fc_store_writer *writer);

#endif
