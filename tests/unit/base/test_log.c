/* test_log.c - messages and progress reach the sink; the clocks run.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

typedef struct heard {
    fc_log_level level;
    char text[4096];
    int n_messages, n_progress, n_ends;
    fc_progress last;
} heard;

static void on_message(void *ctx, fc_log_level level, const char *text)
{
    heard *h = ctx;
    h->level = level;
    h->n_messages++;
    strncpy(h->text, text, sizeof h->text - 1);
}

static void on_progress(void *ctx, const fc_progress *progress, int is_end)
{
    heard *h = ctx;
    h->n_progress++;
    h->n_ends += is_end;
    h->last = *progress;
}

static void messages_reach_the_sink(void **state)
{
    (void)state;
    heard h = {0};
    fc_log_set_sink((fc_log_sink){.message = on_message, .ctx = &h});
    fc_log(FC_LOG_WARN, "%s has %d rows", "x.npy", 3);
    assert_int_equal(h.level, FC_LOG_WARN);
    assert_string_equal(h.text, "x.npy has 3 rows");
    fc_log(FC_LOG_INFO, "%*s", 5000, "long");
    assert_int_equal(strlen(h.text), 2047);
    fc_log_set_sink((fc_log_sink){0});
    fc_log(FC_LOG_ERROR, "not heard");
    assert_int_equal(h.n_messages, 2);
}

static void progress_tells_where_it_began_and_ended(void **state)
{
    (void)state;
    heard h = {0};
    fc_log_set_sink((fc_log_sink){.progress = on_progress, .ctx = &h});
    fc_progress p = fc_progress_begin("collect", "tokens", 100, 1000);
    assert_string_equal(h.last.job, "collect");
    assert_true(h.last.begin_done == 100 && h.last.total == 1000);
    fc_progress_set(&p, 700);
    assert_true(h.last.done == 700 && h.n_ends == 0);
    fc_progress_end(&p);
    assert_int_equal(h.n_progress, 3);
    assert_int_equal(h.n_ends, 1);
    fc_log_set_sink((fc_log_sink){0});
    fc_progress_end(&p);
    assert_int_equal(h.n_progress, 3);
}

static void the_clock_never_runs_back(void **state)
{
    (void)state;
    double last = fc_clock_s();
    for (int i = 0; i < 1000; i++) {
        const double now = fc_clock_s();
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_can_be_fixed(void **state)
{
    (void)state;
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    assert_true(fc_wall_clock_s() == 1700000000);
    static const char *const bad[] = {"", "x", "-5", "17x"};
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        setenv("SOURCE_DATE_EPOCH", bad[i], 1);
        assert_true(fc_wall_clock_s() > 1.7e9 + 1e6);
    }
    unsetenv("SOURCE_DATE_EPOCH");
    assert_true(fc_wall_clock_s() > 1.7e9 + 1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_reach_the_sink),
        cmocka_unit_test(progress_tells_where_it_began_and_ended),
        cmocka_unit_test(the_clock_never_runs_back),
        cmocka_unit_test(the_wall_clock_can_be_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
