/* store_queue.c - two parcels between the thread that computes and the one that writes.
 *
 *   caller   fills parcel n_sent % 2      send: waits until n_written == n_sent, then n_sent + 1
 *   thread   writes parcel n_written % 2  while n_written < n_sent
 *
 * Both counters only grow and are guarded by one mutex; so are status and sentence of a failure. The
 * thread sleeps most of its time, and takes a core from the model only where it writes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "acts/store_queue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "acts/store_internal.h"
#include "base/alloc.h"

enum { PARCELS = 2 };

typedef struct queued_doc {
    int32_t id;
    int64_t line, n_tokens;
    int64_t title, source; /* where they begin in `text` */
} queued_doc;

typedef struct parcel {
    queued_doc *doc;
    int64_t n_docs, doc_capacity;
    fc_strbuf text; /* each ends with a zero byte */
    float *x;       /* [n_rows, d] */
    fc_row *row;
    int64_t n_rows;
} parcel;

struct fc_store_queue {
    fc_store_writer *writer;
    int64_t d, n_max;
    parcel parcel[PARCELS];

    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t has_parcel, is_written;
    int64_t n_sent, n_written;
    bool is_stopping;
    fc_status status; /* the first failure */
    fc_err err;
    bool has_mutex, has_thread;
};

static parcel *filling(fc_store_queue *queue)
{
    return &queue->parcel[queue->n_sent % PARCELS]; /* only the caller writes n_sent */
}

/* --- the thread --------------------------------------------------------------------------- */

static fc_status write_parcel(fc_store_writer *writer, const parcel *p, fc_err *err)
{
    const char *const text = fc_strbuf_text(&p->text);
    for (int64_t i = 0; i < p->n_docs; i++) {
        const queued_doc *const queued = &p->doc[i];
        const fc_doc doc = {.title = text + queued->title,
                            .source = text + queued->source,
                            .line = queued->line,
                            .n_tokens = queued->n_tokens};
        FC_TRY(fc_store_document(writer, queued->id, &doc, err));
    }
    return fc_store_append(writer, p->x, p->row, p->n_rows, err);
}

/* The next parcel to write, or NULL: the thread is to end. */
static parcel *wait_for_parcel(fc_store_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    while (!queue->is_stopping && queue->n_written == queue->n_sent)
        pthread_cond_wait(&queue->has_parcel, &queue->mutex);
    parcel *const next =
        queue->is_stopping ? NULL : &queue->parcel[queue->n_written % PARCELS];
    pthread_mutex_unlock(&queue->mutex);
    return next;
}

static void *run(void *ctx)
{
    fc_store_queue *const queue = ctx;
    fc_status status = FC_OK;
    fc_err err = {0};
    for (parcel *p; (p = wait_for_parcel(queue)) != NULL;) {
        if (status == FC_OK) status = write_parcel(queue->writer, p, &err);
        p->n_docs = p->n_rows = 0;
        fc_strbuf_clear(&p->text);

        pthread_mutex_lock(&queue->mutex);
        if (status != FC_OK && queue->status == FC_OK) {
            queue->status = status;
            queue->err = err;
        }
        queue->n_written++;
        pthread_cond_signal(&queue->is_written);
        pthread_mutex_unlock(&queue->mutex);
    }
    return NULL;
}

/* --- the caller --------------------------------------------------------------------------- */

static fc_status add_text(fc_strbuf *text, int64_t *begin, const char *s, fc_err *err)
{
    const char *const shown = s != NULL ? s : "";
    *begin = text->n;
    return fc_strbuf_add(text, shown, (int64_t)strlen(shown) + 1, err);
}

fc_status fc_store_queue_document(fc_store_queue *queue, int32_t doc_id,
                                  const fc_doc *doc, fc_err *err)
{
    parcel *const p = filling(queue);
    queued_doc queued = {.id = doc_id, .line = doc->line, .n_tokens = doc->n_tokens};
    FC_TRY(fc_grow(&p->doc, &p->doc_capacity, p->n_docs + 1, sizeof *p->doc,
                   "documents of a batch", err));
    FC_TRY(add_text(&p->text, &queued.title, doc->title, err));
    FC_TRY(add_text(&p->text, &queued.source, doc->source, err));
    p->doc[p->n_docs++] = queued;
    return FC_OK;
}

void fc_store_queue_rows(fc_store_queue *queue, const float *x, const fc_row *rows,
                         int64_t n)
{
    parcel *const p = filling(queue);
    FC_CHECK(n >= 0 && n <= queue->n_max - p->n_rows);
    memcpy(p->x + p->n_rows * queue->d, x, (size_t)(n * queue->d) * sizeof *x);
    memcpy(p->row + p->n_rows, rows, (size_t)n * sizeof *rows);
    p->n_rows += n;
}

/* Until nothing is left to write; then n_more parcels are sent. */
static fc_status settle(fc_store_queue *queue, int64_t n_more, fc_err *err)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->n_written < queue->n_sent)
        pthread_cond_wait(&queue->is_written, &queue->mutex);
    const fc_status status = queue->status;
    if (status == FC_OK) {
        queue->n_sent += n_more;
        pthread_cond_signal(&queue->has_parcel);
    } else if (err != NULL) {
        *err = queue->err;
    }
    pthread_mutex_unlock(&queue->mutex);
    return status;
}

fc_status fc_store_queue_send(fc_store_queue *queue, fc_err *err)
{
    return settle(queue, 1, err);
}

fc_status fc_store_queue_drain(fc_store_queue *queue, fc_err *err)
{
    return settle(queue, 0, err);
}

/* --- life --------------------------------------------------------------------------------- */

static fc_status allocate(fc_store_queue *queue, fc_err *err)
{
    for (int i = 0; i < PARCELS; i++) {
        parcel *const p = &queue->parcel[i];
        FC_TRY(fc_alloc(&p->x, queue->n_max, (size_t)queue->d * sizeof *p->x,
                        "rows to be written", err));
        FC_TRY(
            fc_alloc(&p->row, queue->n_max, sizeof *p->row, "rows to be written", err));
    }
    return FC_OK;
}

/* Signals are left to the main thread. */
static fc_status start(fc_store_queue *queue, fc_err *err)
{
    sigset_t all, before;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->has_parcel, NULL);
    pthread_cond_init(&queue->is_written, NULL);
    queue->has_mutex = true;
    FC_CHECK(sigfillset(&all) == 0);
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    const int failure = pthread_create(&queue->thread, NULL, run, queue);
    FC_CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    errno = failure;
    if (failure != 0)
        return fc_fail_errno(err, "cannot start the thread that writes activations");
    queue->has_thread = true;
    return FC_OK;
}

fc_status fc_store_queue_open(fc_store_queue **queue, fc_store_writer *writer,
                              int64_t n_max, int64_t d, fc_err *err)
{
    fc_store_queue *made = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "the queue of rows", err));
    made->writer = writer;
    made->d = d;
    made->n_max = n_max;
    FC_TRY_GOTO(allocate(made, err));
    FC_TRY_GOTO(start(made, err));
    *queue = made;
    made = NULL;
done:
    fc_store_queue_close(made);
    return status;
}

void fc_store_queue_close(fc_store_queue *queue)
{
    if (queue == NULL) return;
    if (queue->has_thread) {
        (void)settle(queue, 0, NULL);
        pthread_mutex_lock(&queue->mutex);
        queue->is_stopping = true;
        pthread_cond_signal(&queue->has_parcel);
        pthread_mutex_unlock(&queue->mutex);
        pthread_join(queue->thread, NULL);
    }
    if (queue->has_mutex) {
        pthread_mutex_destroy(&queue->mutex);
        pthread_cond_destroy(&queue->has_parcel);
        pthread_cond_destroy(&queue->is_written);
    }
    for (int i = 0; i < PARCELS; i++) {
        fc_free(queue->parcel[i].doc);
        fc_strbuf_free(&queue->parcel[i].text);
        fc_free(queue->parcel[i].x);
        fc_free(queue->parcel[i].row);
    }
    fc_free(queue);
}
