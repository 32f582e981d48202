/* safetensors.h - named tensors in one file, mapped for reading, streamed for writing.
 *
 *   u64 N | N bytes of JSON {"name": {"dtype", "shape", "data_offsets"}} | data, no holes
 *
 * The reader accepts exactly what the reference reader accepts, and refuses duplicate names
 * too (format section 5.2 of huggingface/safetensors). The writer sorts by dtype, then name,
 * and starts the data on a 64-byte boundary of the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_SAFETENSORS_H
#define FC_FORMATS_SAFETENSORS_H

#include <stdbool.h>

#include "formats/dtype.h"

enum { FC_MAX_RANK = 8 };

typedef struct fc_tensor { /* one entry; everything borrowed until the file is closed */
    const char *name;
    fc_dtype dtype;
    int rank;
    int64_t shape[FC_MAX_RANK];
    int64_t n;        /* product of shape */
    const void *data; /* in the mapped file, not necessarily aligned */
    size_t n_bytes;
} fc_tensor;

typedef struct fc_safetensors fc_safetensors;

fc_status fc_safetensors_open(fc_safetensors **st, const char *path, fc_err *err);
void fc_safetensors_close(fc_safetensors *st);
int64_t fc_safetensors_count(const fc_safetensors *st);
const fc_tensor *fc_safetensors_at(const fc_safetensors *st,
                                   int64_t i); /* in file order */
const fc_tensor *fc_safetensors_find(const fc_safetensors *st,
                                     const char *name); /* or NULL */
const char *fc_safetensors_metadata(const fc_safetensors *st,
                                    const char *key); /* or NULL */
const char *fc_safetensors_path(const fc_safetensors *st);

/* Finds a tensor and checks type and shape. dtype FC_N_DTYPES, rank -1: any; a shape entry of -1: any size. The
 * sentence names file, tensor, found and expected. */
fc_status fc_safetensors_need(const fc_safetensors *st, const char *name, fc_dtype dtype,
                              int rank, const int64_t *shape, const fc_tensor **tensor,
                              fc_err *err);

/* Copies a float tensor of any float dtype into a new float32 array (fc_free). */
fc_status fc_tensor_to_f32(const fc_tensor *tensor, float **out, fc_err *err);

/* Writing. Declare every tensor, then give the data of each, whole or in pieces, in any order of
 * declaration (pieces of one tensor in row-major order), then commit. The file appears at commit,
 * complete, under its name. Data given before the tensors that precede it in the file are kept
 * in memory until those are complete; in file order nothing is. `metadata` is {"format": "pt"} plus the pairs added. */
typedef struct fc_safetensors_out fc_safetensors_out;
fc_status fc_safetensors_create(fc_safetensors_out **out, const char *path, fc_err *err);
fc_status fc_safetensors_meta(fc_safetensors_out *out, const char *key, const char *value,
                              fc_err *err);
fc_status fc_safetensors_declare(fc_safetensors_out *out, const char *name,
                                 fc_dtype dtype, int rank, const int64_t *shape,
                                 fc_err *err);
fc_status fc_safetensors_write(fc_safetensors_out *out, const char *name,
                               const void *data, size_t n_bytes, fc_err *err);
fc_status fc_safetensors_commit(fc_safetensors_out *out,
                                fc_err *err); /* fails if a tensor is short */
void fc_safetensors_discard(
    fc_safetensors_out *out); /* also after commit; accepts NULL */

/* All at once: n tensors with data set. */
fc_status fc_safetensors_save(const char *path, const fc_tensor *tensors, int64_t n,
                              fc_err *err);

#endif
