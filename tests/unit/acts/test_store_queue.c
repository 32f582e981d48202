/* test_store_queue.c - rows sent through the queue give the files of calling the writer, and a failure
 * of its thread reaches the caller and ends all writing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <math.h>

#include "acts/store_queue.h"

enum { N_ROWS = 200, PER_SHARD = 64, BATCH = 33 };

/* Rows begin .. end-1 with their documents into the parcel. `poison`: a row that is not finite. */
static fc_status put(fc_store_queue *queue, int64_t begin, int64_t end, int64_t poison,
                     fc_err *err)
{
    for (int64_t row = begin; row < end; row++) {
        float x[FAKE_D];
        char title[64];
        const fc_row where = fake_row(row);
        snprintf(title, sizeof title, "Title \"%lld\"", (long long)(row / FAKE_DOC_ROWS));
        const fc_doc doc = {title, "text.txt", row + 1, FAKE_DOC_ROWS};
        if (row % FAKE_DOC_ROWS == 0)
            FC_TRY(fc_store_queue_document(queue, where.doc_id, &doc, err));
        for (int64_t j = 0; j < FAKE_D; j++) x[j] = fake_x(row, j);
        if (row == poison) x[3] = HUGE_VALF;
        fc_store_queue_rows(queue, x, &where, 1);
    }
    return FC_OK;
}

static fc_status send_all(fc_store_queue *queue, int64_t poison, fc_err *err)
{
    for (int64_t row = 0; row < N_ROWS; row += BATCH) {
        FC_TRY(put(queue, row, fc_min(row + BATCH, N_ROWS), poison, err));
        FC_TRY(fc_store_queue_send(queue, err));
    }
    return fc_store_queue_drain(queue, err);
}

static fc_status make_by_queue(const char *dir, int64_t poison, fc_err *err)
{
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, PER_SHARD);
    fc_store_writer *writer = NULL;
    fc_store_queue *queue = NULL;
    int64_t n_done = 0;
    json_t *meta =
        json_pack("{s:s, s:{s:s}}", "precision", "f32", "made_by", "facet", "0");
    fc_status status;
    FC_TRY_GOTO(fc_store_create(&writer, dir, &info, meta, &n_done, err));
    FC_TRY_GOTO(fc_store_queue_open(&queue, writer, BATCH, FAKE_D, err));
    FC_TRY_GOTO(send_all(queue, poison, err));
    FC_TRY_GOTO(fc_store_finish(writer, false, err));
done:
    fc_store_queue_close(queue);
    fc_store_writer_close(writer);
    json_decref(meta);
    return status;
}

static void the_files_are_those_of_the_writer(void **state)
{
    fake_folders *const f = *state;
    fc_err err;
    fake_make(f->a, FC_BF16, N_ROWS, PER_SHARD);
    fc_assert_ok(make_by_queue(f->b, -1, &err), &err);
    fake_assert_same(f);
}

static void a_failure_reaches_the_caller_and_ends_the_writing(void **state)
{
    fake_folders *const f = *state;
    fc_store *store = NULL;
    fc_err err;
    fc_assert_fails(make_by_queue(f->a, 150, &err), &err, FC_FORMAT,
                    "activations are not finite at token 50");
    fc_assert_ok(fc_store_open(&store, f->a, true, true, &err), &err);
    assert_int_equal(fc_store_rows(store), 2 * PER_SHARD); /* whole shards before it */
    fc_store_close(store);
}

static void after_a_failure_every_call_gives_its_sentence(void **state)
{
    fake_folders *const f = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, PER_SHARD);
    fc_store_writer *writer = NULL;
    fc_store_queue *queue = NULL;
    int64_t n_done = 0;
    fc_err err;
    fc_assert_ok(fc_store_create(&writer, f->a, &info, NULL, &n_done, &err), &err);
    fc_assert_ok(fc_store_queue_open(&queue, writer, BATCH, FAKE_D, &err), &err);
    fc_assert_ok(put(queue, 0, 10, 5, &err), &err);
    fc_assert_ok(fc_store_queue_send(queue, &err), &err); /* written while we go on */
    for (int i = 0; i < 3; i++) {
        fc_assert_fails(fc_store_queue_send(queue, &err), &err, FC_FORMAT, "not finite");
        fc_assert_fails(fc_store_queue_drain(queue, &err), &err, FC_FORMAT, "not finite");
    }
    fc_store_queue_close(queue);
    fc_store_writer_close(writer);
}

/* Nothing is lost by closing in the middle; what was not sent was never promised. */
static void closing_writes_what_was_sent(void **state)
{
    fake_folders *const f = *state;
    const fc_store_info info = fake_info(FC_BF16, N_ROWS, 20);
    fc_store_writer *writer = NULL;
    fc_store_queue *queue = NULL;
    fc_store *store = NULL;
    int64_t n_done = 0;
    fc_err err;
    fc_assert_ok(fc_store_create(&writer, f->a, &info, NULL, &n_done, &err), &err);
    fc_assert_ok(fc_store_queue_open(&queue, writer, BATCH, FAKE_D, &err), &err);
    fc_assert_ok(put(queue, 0, 20, -1, &err), &err);
    fc_assert_ok(fc_store_queue_send(queue, &err), &err);
    fc_assert_ok(put(queue, 20, 40, -1, &err), &err);
    fc_store_queue_close(queue);
    fc_store_writer_close(writer);
    fc_store_queue_close(NULL);
    fc_assert_ok(fc_store_open(&store, f->a, true, true, &err), &err);
    assert_int_equal(fc_store_rows(store), 20);
    fc_store_close(store);
}

static fc_status make_again(void *ctx, fc_err *err)
{
    const fake_folders *const f = ctx;
    fake_empty(f->b);
    return make_by_queue(f->b, -1, err);
}

static void every_allocation_and_write_may_fail(void **state)
{
    fake_folders *const f = *state;
    assert_true(fc_test_sweep_alloc(make_again, NULL, f) > 10);
    assert_true(fc_test_sweep_write(make_again, NULL, f) > 3);
    fake_make(f->a, FC_BF16, N_ROWS, PER_SHARD);
    fake_assert_same(f);
}

#define WITH_FOLDERS(test) \
    cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDERS(the_files_are_those_of_the_writer),
        WITH_FOLDERS(a_failure_reaches_the_caller_and_ends_the_writing),
        WITH_FOLDERS(after_a_failure_every_call_gives_its_sentence),
        WITH_FOLDERS(closing_writes_what_was_sent),
        WITH_FOLDERS(every_allocation_and_write_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
