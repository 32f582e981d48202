/* rows.h - rows of activations from whatever holds them, read in pieces.
 *
 *   a store            its rows (store.h)
 *   an array of a file safetensors, npy, npz or a PyTorch checkpoint (arrays.h): [n, ...], where all
 *                      axes but the first make up a row
 *
 * Both are mapped, so rows of a file larger than memory are read as well; an array that is compressed
 * is not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_ROWS_H
#define FC_ACTS_ROWS_H

#include "base/err.h"

typedef struct fc_rows fc_rows;

/* name: of the array; NULL or "": "activations", "x", "features" or the only array that is there. */
fc_status fc_rows_open(fc_rows **rows, const char *path, const char *name, fc_err *err);
void fc_rows_close(fc_rows *rows);
int64_t fc_rows_count(const fc_rows *rows);
int64_t fc_rows_width(const fc_rows *rows);

/* Rows begin .. begin+n-1 as float32: out [n, width]. Any number of threads. */
void fc_rows_read(const fc_rows *rows, int64_t begin, int64_t n, float *out);

/* Rows before `end` will not be read again. */
void fc_rows_drop(const fc_rows *rows, int64_t begin, int64_t end);

#endif
