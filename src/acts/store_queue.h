/* store_queue.h - rows and documents on their way to a store, which a thread of its own writes: the
 * model computes the next batch while this one is converted and, now and then, a shard is
 * hashed and waits for the disk.
 *
 * Two parcels take turns, one being filled, one being written, so memory is bounded. Order and bytes
 * are those of calling the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_STORE_QUEUE_H
#define FC_ACTS_STORE_QUEUE_H

#include "acts/store.h"

typedef struct fc_store_queue fc_store_queue;

/* n_max: rows of a parcel, d: their width. The writer is borrowed; it belongs to the queue but for the time from
 * a drain to the next send. One caller at a time. */
fc_status fc_store_queue_open(fc_store_queue **queue, fc_store_writer *writer,
                              int64_t n_max, int64_t d, fc_err *err);
void fc_store_queue_close(fc_store_queue *queue); /* what is not sent is dropped */

/* Into the parcel; all is copied. Its documents come before its rows, as with fc_store_document and
 * fc_store_append. */
fc_status fc_store_queue_document(fc_store_queue *queue, int32_t doc_id,
                                  const fc_doc *doc, fc_err *err);
void fc_store_queue_rows(fc_store_queue *queue, const float *x, const fc_row *rows,
                         int64_t n);

/* Hands the parcel over, when the one before is written. Fails as writing that one did, and from then
 * on always: nothing more is written. */
fc_status fc_store_queue_send(fc_store_queue *queue, fc_err *err);

/* Waits until all that was sent is written. Fails like send. */
fc_status fc_store_queue_drain(fc_store_queue *queue, fc_err *err);

#endif
