/* test_tfevents.c - TensorBoard event files: the bytes, the order of files, torn and damaged
 * records, a full disk.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/strbuf.h"
#include "formats/crc32c.h"
#include "formats/tfevents.h"

static char dir[FC_PATH_MAX];

static int make_dir(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    return setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
}

static int remove_dir(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

static void checksums_are_those_of_the_format(void **state)
{
    (void)state;
    static const uint8_t zeros[32];
    assert_int_equal(fc_crc32c(zeros, 32), 0x8a9136aa);
    assert_int_equal(fc_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(fc_crc32c("", 0), 0);
    assert_int_equal(fc_crc32c_masked("\x1a\x11"
                                      "CRC test, one two",
                                      19),
                     0x5794d08a);
}

/* The path of the only file; fails when there are more. */
static void only_file(char *path)
{
    fc_names names = {0};
    fc_err err;
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    assert_int_equal(names.n, 1);
    fc_test_path(path, dir, names.name[0]);
    fc_names_free(&names);
}

static void the_bytes_are_those_of_the_format(void **state)
{
    (void)state;
    static const uint8_t first[] = {0x18, 0,    0,    0,    0,    0, 0, 0,
                                    0xa3, 0x7f, 0x4b, 0x22, 0x09, 0, 0, 0};
    static const uint8_t scalar[] = {
        0x09, 0,    0,    0,    0x40, 0xfc, 0x54, 0xd9, 0x41, /* 1700000000.0 */
        0x10, 0x05, 0x2a, 0x0b, 0x0a, 0x09, 0x0a, 0x02, 'm',  's', 0x15, 0, 0, 0, 0};
    char path[FC_PATH_MAX];
    fc_tfevents *events = NULL;
    size_t n = 0;
    fc_err err;
    fc_assert_ok(fc_tfevents_open(&events, dir, 0, &err), &err);
    fc_assert_ok(fc_tfevents_scalar(events, "ms", 5, 0.0, &err), &err);
    fc_tfevents_close(events);
    only_file(path);
    assert_non_null(strstr(path, "/events.out.tfevents.1700000000."));
    char *const bytes = fc_test_read(path, &n);
    assert_memory_equal(bytes, first, sizeof first);
    assert_memory_equal(bytes + 21, "\x1a\rbrain.Event:2", 15);
    assert_int_equal(n, 40 + 12 + sizeof scalar + 4);
    assert_int_equal(bytes[40], sizeof scalar);
    assert_memory_equal(bytes + 52, scalar, sizeof scalar);
    free(bytes);
}

static fc_status note(void *ctx, const char *tag, int64_t step, double value, fc_err *err)
{
    return fc_strbuf_addf(ctx, err, "%s@%lld=%g ", tag, (long long)step, value);
}

static void scalars_read_back_over_files_in_order_of_time(void **state)
{
    (void)state;
    fc_strbuf seen = {0};
    fc_err err;
    for (int run = 0; run < 12; run++)
    { /* the clock stands still, and names still sort */
        fc_tfevents *events = NULL;
        fc_assert_ok(fc_tfevents_open(&events, dir, 0, &err), &err);
        fc_assert_ok(fc_tfevents_scalar(events, "r", run, run, &err), &err);
        fc_tfevents_close(events);
    }
    fc_assert_ok(fc_tfevents_read(dir, note, &seen, &err), &err);
    assert_string_equal(fc_strbuf_text(&seen),
                        "r@0=0 r@1=1 r@2=2 r@3=3 r@4=4 r@5=5 r@6=6 r@7=7 "
                        "r@8=8 r@9=9 r@10=10 r@11=11 ");
    fc_strbuf_free(&seen);
}

static void a_resumed_run_voids_later_values_of_earlier_files(void **state)
{
    (void)state;
    /* step 26; session_log {status: START} */
    static const char restart[] = "\x10\x1a\x3a\x02\x08\x01";
    char path[FC_PATH_MAX];
    fc_names names = {0};
    fc_map map;
    fc_tfevents *events = NULL;
    fc_err err;
    for (int64_t first_step = 0; first_step <= 26; first_step += 26) {
        fc_assert_ok(fc_tfevents_open(&events, dir, first_step, &err), &err);
        fc_tfevents_close(events);
    }
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    assert_int_equal(names.n, 2);
    for (int64_t i = 0; i < 2; i++) {
        fc_assert_ok(fc_path_join(path, dir, names.name[i], &err), &err);
        fc_assert_ok(fc_map_open(&map, path, &err), &err);
        bool is_said = false;
        for (size_t at = 0; at + sizeof restart <= map.n_bytes; at++)
            is_said |= memcmp(map.data + at, restart, sizeof restart - 1) == 0;
        assert_int_equal(is_said, i == 1);
        fc_map_close(&map);
    }
    fc_names_free(&names);
}

static void special_values_and_other_kinds_are_written(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 3, NAN, INFINITY};
    fc_strbuf seen = {0};
    fc_tfevents *events = NULL;
    fc_err err;
    fc_assert_ok(fc_tfevents_open(&events, dir, 0, &err), &err);
    fc_assert_ok(fc_tfevents_scalar(events, "nan", -1, (double)NAN, &err), &err);
    fc_assert_ok(fc_tfevents_scalar(events, "big", INT64_MAX, 1e300, &err), &err);
    fc_assert_ok(fc_tfevents_histogram(events, "h", 1, values, 5, &err), &err);
    fc_assert_ok(fc_tfevents_histogram(events, "h", 2, values, 1, &err), &err);
    fc_assert_ok(fc_tfevents_histogram(events, "h", 3, NULL, 0, &err), &err);
    fc_assert_ok(fc_tfevents_text(events, "t", 0, "**bold** \xc3\xa9", &err), &err);
    fc_assert_ok(fc_tfevents_text(events, "t", 1, "", &err), &err);
    fc_tfevents_close(events);
    fc_assert_ok(fc_tfevents_read(dir, note, &seen, &err), &err);
    assert_string_equal(fc_strbuf_text(&seen), "nan@-1=nan big@9223372036854775807=inf ");
    fc_strbuf_free(&seen);
}

/* A file with a scalar at steps 1, 2, 3, in records of one size; its bytes. */
static char *sample_file(char *path, size_t *n)
{
    fc_tfevents *events = NULL;
    fc_err err;
    fc_assert_ok(fc_tfevents_open(&events, dir, 0, &err), &err);
    for (int i = 0; i < 3; i++)
        fc_assert_ok(fc_tfevents_scalar(events, "loss", i + 1, 0.5, &err), &err);
    fc_tfevents_close(events);
    only_file(path);
    return fc_test_read(path, n);
}

static void a_torn_end_is_not_an_error(void **state)
{
    (void)state;
    static const char *const seen_after[] = {"", "loss@1=0.5 ", "loss@1=0.5 loss@2=0.5 ",
                                             "loss@1=0.5 loss@2=0.5 loss@3=0.5 "};
    char path[FC_PATH_MAX];
    size_t n = 0;
    char *const bytes = sample_file(path, &n);
    const size_t n_record = (n - 40) / 3;
    for (size_t n_kept = 0; n_kept <= n; n_kept++) {
        fc_strbuf seen = {0};
        fc_err err;
        fc_test_write(path, bytes, n_kept);
        fc_assert_ok(fc_tfevents_read(dir, note, &seen, &err), &err);
        assert_string_equal(fc_strbuf_text(&seen),
                            seen_after[n_kept < 40 ? 0 : (n_kept - 40) / n_record]);
        fc_strbuf_free(&seen);
    }
    free(bytes);
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    size_t n = 0;
    char *const bytes = sample_file(path, &n);
    for (size_t i = 0; i < n; i++) {
        fc_strbuf seen = {0};
        fc_err err;
        bytes[i] ^= 0x40;
        fc_test_write(path, bytes, n);
        fc_assert_fails(fc_tfevents_read(dir, note, &seen, &err), &err, FC_FORMAT, path,
                        "wrong checksum");
        bytes[i] ^= 0x40;
        fc_strbuf_free(&seen);
    }
    free(bytes);
}

/* A record with good checksums round any payload. */
static void write_record(const char *path, const void *payload, size_t n)
{
    uint8_t record[256] = {0};
    record[0] = (uint8_t)n;
    memcpy(record + 12, payload, n);
    const uint32_t head = fc_crc32c_masked(record, 8),
                   tail = fc_crc32c_masked(payload, n);
    for (int i = 0; i < 4; i++) {
        record[8 + i] = (uint8_t)(head >> (8 * i));
        record[12 + n + (size_t)i] = (uint8_t)(tail >> (8 * i));
    }
    fc_test_write(path, record, n + 16);
}

static void hostile_messages_with_good_checksums_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        size_t n;
        bool is_event;
    } cases[] = {
        {"", 0, true},
        {"\x2a\x00", 2, true},                  /* a summary without values */
        {"\x7a\x02hi", 4, true},                /* unknown field 15 */
        {"\x2a\x7f", 2, false},                 /* a summary longer than the record */
        {"\x2a\xff\xff\xff\xff\x0f", 6, false}, /* length 2^32 - 1 */
        {"\x2a\x04\x0a\x7f\x00\x00", 6, false}, /* a value longer than its summary */
        {"\x09\x00", 2, false},                 /* half a double */
        {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12,
         false}, /* varint too long */
        {"\xff", 1, false},
    };
    char path[FC_PATH_MAX];
    fc_test_path(path, dir, "x.tfevents.y");
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_strbuf seen = {0};
        fc_err err = {0};
        write_record(path, cases[i].payload, cases[i].n);
        const fc_status status = fc_tfevents_read(dir, note, &seen, &err);
        if (cases[i].is_event)
            fc_assert_ok(status, &err);
        else
            fc_assert_fails(status, &err, FC_FORMAT, path, "not an Event");
        assert_int_equal(seen.n, 0);
        fc_strbuf_free(&seen);
    }
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_strbuf seen = {0};
    fc_err err;
    fc_test_path(path, dir, "metrics.csv");
    fc_test_write(path, "not an event file", 17);
    fc_test_path(path, dir, "events.out.tfevents.1.h.profile-empty");
    fc_test_write(path, "not an event file", 17);
    fc_test_path(path, dir, "tfevents-folder");
    fc_assert_ok(fc_dir_make(path, &err), &err);
    fc_assert_ok(fc_tfevents_read(dir, note, &seen, &err), &err);
    assert_int_equal(seen.n, 0);
    fc_strbuf_free(&seen);
}

static fc_status write_and_read(void *ctx, fc_err *err)
{
    static const float values[] = {1, 2};
    fc_tfevents *events = NULL;
    fc_strbuf seen = {0};
    fc_status status;
    (void)ctx;
    FC_TRY_GOTO(fc_tfevents_open(&events, dir, 0, err));
    for (int i = 0; i < 3; i++) {
        FC_TRY_GOTO(fc_tfevents_scalar(events, "a", i, 1, err));
        FC_TRY_GOTO(fc_tfevents_histogram(events, "h", i, values, 2, err));
        FC_TRY_GOTO(fc_tfevents_text(events, "t", i, "text", err));
    }
    FC_TRY_GOTO(fc_tfevents_flush(events, err));
    FC_TRY_GOTO(fc_tfevents_read(dir, note, &seen, err));
done:
    fc_tfevents_close(events);
    fc_strbuf_free(&seen);
    return status;
}

/* Each run reads all files of the folder, so those of the last one go. */
static void empty_dir(void *ctx)
{
    fc_names names = {0};
    fc_err err;
    (void)ctx;
    fc_assert_ok(fc_dir_list(&names, dir, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        char path[FC_PATH_MAX];
        fc_test_path(path, dir, names.name[i]);
        fc_assert_ok(fc_file_remove(path, &err), &err);
    }
    fc_names_free(&names);
}

static void each_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(write_and_read, empty_dir, NULL) >= 10);
}

/* The disk is full after n bytes, for every n; once there is room again the flush succeeds and
 * nothing is lost or torn. */
static void a_full_disk_loses_nothing_once_there_is_room(void **state)
{
    (void)state;
    struct rlimit kept;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    void (*const old)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t n = 40; n < 160; n += 3) {
        char path[FC_PATH_MAX];
        const struct rlimit limit = {.rlim_cur = n, .rlim_max = kept.rlim_max};
        fc_strbuf seen = {0};
        fc_tfevents *events = NULL;
        fc_err err = {0};
        fc_assert_ok(fc_tfevents_open(&events, dir, 0, &err), &err);
        for (int i = 0; i < 3; i++)
            fc_assert_ok(fc_tfevents_scalar(events, "loss", i, 0.5, &err), &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        const fc_status status = fc_tfevents_flush(events, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
        only_file(path);
        if (status != FC_OK) {
            fc_assert_fails(status, &err, FC_IO, path);
            assert_int_equal(fc_file_size(path), 40);
        }
        fc_assert_ok(fc_tfevents_flush(events, &err), &err);
        fc_assert_ok(fc_tfevents_read(dir, note, &seen, &err), &err);
        assert_string_equal(fc_strbuf_text(&seen), "loss@0=0.5 loss@1=0.5 loss@2=0.5 ");
        fc_tfevents_close(events);
        fc_strbuf_free(&seen);
        fc_assert_ok(fc_file_remove(path, &err), &err);
    }
    (void)signal(SIGXFSZ, old);
}

static void a_disk_full_from_the_start_leaves_no_file(void **state)
{
    (void)state;
    struct rlimit kept;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    const struct rlimit limit = {.rlim_cur = 10, .rlim_max = kept.rlim_max};
    void (*const old)(int) = signal(SIGXFSZ, SIG_IGN);
    fc_tfevents *events = NULL;
    fc_err err;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const fc_status status = fc_tfevents_open(&events, dir, 0, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
    (void)signal(SIGXFSZ, old);
    fc_assert_fails(status, &err, FC_IO, dir);
    assert_null(events);
    assert_int_equal(fc_test_count_entries(dir), 0);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    fc_tfevents *events = NULL;
    fc_err err;
    fc_assert_fails(fc_tfevents_open(&events, "/nowhere/run", 0, &err), &err, FC_IO,
                    "/nowhere/run");
    fc_assert_fails(fc_tfevents_read("/nowhere/run", note, NULL, &err), &err, FC_IO,
                    "/nowhere/run");
}

#define IN_NEW_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_of_the_format),
        IN_NEW_DIR(the_bytes_are_those_of_the_format),
        IN_NEW_DIR(scalars_read_back_over_files_in_order_of_time),
        IN_NEW_DIR(a_resumed_run_voids_later_values_of_earlier_files),
        IN_NEW_DIR(special_values_and_other_kinds_are_written),
        IN_NEW_DIR(a_torn_end_is_not_an_error),
        IN_NEW_DIR(every_changed_byte_is_noticed),
        IN_NEW_DIR(hostile_messages_with_good_checksums_are_refused),
        IN_NEW_DIR(other_files_are_left_alone),
        IN_NEW_DIR(each_failed_allocation_is_reported),
        IN_NEW_DIR(a_full_disk_loses_nothing_once_there_is_room),
        IN_NEW_DIR(a_disk_full_from_the_start_leaves_no_file),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
