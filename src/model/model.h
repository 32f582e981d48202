/* model.h - a Gemma 3 text model: load a checkpoint, run it on ragged batches, with hooks.
 *
 * Weights stay in the mapped safetensors files. In float32 products read them where they lie; in
 * bf16 a runner packs those it needs, once, in place of the file's pages. So either way weights are
 * in memory once. One layer is written once and serves every size. Nothing after the last hook's
 * tensor is computed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_MODEL_MODEL_H
#define FC_MODEL_MODEL_H

#include "model/hook.h"
#include "model/weights.h"
#include "tensor/backend.h"

typedef struct fc_model fc_model;

/* dir: a Hugging Face checkpoint (config.json, model.safetensors or its index with shards), or the name
 * of one in the hub's cache (formats/hub_cache.h); fc_model_dir gives it back as it was given.
 * Checks every tensor's name, shape and type before returning. */
fc_status fc_model_load(fc_model **model, const char *dir, fc_err *err);
void fc_model_close(fc_model *model);
const fc_gemma_config *fc_model_config(const fc_model *model);
const char *fc_model_dir(const fc_model *model);
const fc_weights *fc_model_weights(const fc_model *model); /* in the files' own types */

/* XXH3 over config.json, the sizes and headers of the weight files and the first 4096 bytes of
 * every tensor, hex: tells two models apart in milliseconds, also two fine-tunes of one (a store
 * remembers it). */
const char *fc_model_fingerprint(const fc_model *model);

/* A batch of whole sequences, packed one after the other. */
typedef struct fc_batch {
    const int32_t *id; /* [begin[n_seqs]] token ids, each < n_vocab (checked) */
    fc_ragged seqs;
} fc_batch;

typedef enum fc_precision_choice {
    FC_AUTO_PRECISION,
    FC_F32_PRECISION,
    FC_BF16_PRECISION
} fc_precision_choice;
#define FC_PRECISION_CHOICES "auto|f32|bf16"

/* Activation buffers for up to max_tokens tokens a call. The model and the backend are borrowed.
 * "auto" is bf16 where the backend prefers it and the weights are bf16. In bf16 only the operands
 * of products are rounded; norms, softmax and the residual stream stay float32. */
typedef struct fc_runner fc_runner;
fc_status fc_runner_new(fc_runner **runner, const fc_model *model, fc_backend *be,
                        fc_precision_choice precision, int64_t max_tokens, fc_err *err);
void fc_runner_free(fc_runner *runner);
fc_precision fc_runner_precision(const fc_runner *runner);

/* Runs the batch up to the last hook's tensor and calls the hooks as their tensors are made
 * (in order of computation; hooks at one point in the order given). A hook's failure ends the run
 * with its status. Logits are computed only for a hook on lm_head; the first one takes memory for
 * [max_tokens, n_vocab]. In bf16 the first run that reaches a layer packs its weights. A sequence's rows do not depend on what else is in the batch, in float32
 * not by a bit. Ids out of range fail. */
fc_status fc_runner_run(fc_runner *runner, fc_batch batch, const fc_hook *hooks,
                        int64_t n_hooks, fc_err *err);

/* The residual stream of a batch as it enters `layer`; layer n_layers: as it leaves the last. */
typedef struct fc_residual {
    int64_t layer;
    const float *x; /* [n_tokens, d_model], borrowed for the call */
} fc_residual;

/* Where a hook has to sit to see it. */
fc_hook_point fc_residual_point(const fc_model *model, int64_t layer);

/* The rest of a run that came so far: from `from` on as fc_runner_run, to the same bytes. So what
 * several runs share, up to the first tensor that a hook replaces, is computed once. All hooks lie
 * at or behind that point; of the batch only the sequences count. */
fc_status fc_runner_resume(fc_runner *runner, fc_batch batch, fc_residual from,
                           const fc_hook *hooks, int64_t n_hooks, fc_err *err);

/* Logits, after the softcap, of rows that have gone through the final norm: for who cannot keep
 * those of a whole batch.  logits: [n, n_vocab] written, h: [n, d_model], n <= max_tokens. The same
 * bytes as a hook on lm_head sees, in float32 and for any n. */
fc_status fc_runner_logits(fc_runner *runner, float *logits, const float *h, int64_t n,
                           fc_err *err);

#endif
