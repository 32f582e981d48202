/* test_fields.c - text to config members and back: what is taken, what is refused, and how it is said.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "base/fields.h"

#include <string.h>

typedef struct config {
    int64_t steps;
    double rate;
    bool is_tied;
    char name[FC_FIELD_TEXT_MAX];
    int loss;
    fc_every every;
    int64_t seed;
} config;

static const fc_field fields[] = {
    {"n-steps", FC_FIELD_I64, offsetof(config, steps), 1, 5e6, NULL, "N", "steps"},
    {"lr", FC_FIELD_F64, offsetof(config, rate), 0, 10, NULL, "RATE", "learning rate"},
    {"tied", FC_FIELD_BOOL, offsetof(config, is_tied), 0, 0, NULL, NULL,
     "tie the weights"},
    {"name", FC_FIELD_TEXT, offsetof(config, name), 0, 0, NULL, "TEXT",
     "name of the run"},
    {"loss", FC_FIELD_CHOICE, offsetof(config, loss), 0, 0, "sum|mean|none", "KIND",
     "loss"},
    {"save", FC_FIELD_EVERY, offsetof(config, every), 0, 0, NULL, "TIME", "how often"},
    {"seed", FC_FIELD_I64, offsetof(config, seed), -9.3e18, 9.3e18, NULL, "N", "seed"},
};

static const fc_field *field(const char *name)
{
    const fc_field *f = fc_fields_find(fields, FC_LEN(fields), name);
    assert_non_null(f);
    return f;
}

static fc_status set(config *c, const char *name, const char *text, fc_err *err)
{
    char where[64] = "--";
    strncat(where, name, sizeof where - 3);
    return fc_field_set(field(name), c, text, where, err);
}

static void dashes_and_underscores_are_one(void **state)
{
    (void)state;
    assert_ptr_equal(field("n_steps"), &fields[0]);
    assert_ptr_equal(field("n-steps"), &fields[0]);
    assert_null(fc_fields_find(fields, FC_LEN(fields), "n-step"));
    assert_null(fc_fields_find(fields, FC_LEN(fields), "n-stepss"));
    assert_null(fc_fields_find(fields, FC_LEN(fields), ""));
}

static void whole_numbers_are_taken_when_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expected;
    } cases[] = {
        {"1", 1},
        {"+7", 7},
        {"0012", 12},
        {"3000000", 3000000},
        {"3e6", 3000000},
        {"3E+06", 3000000},
        {"3M", 3000000},
        {"3k", 3000},
        {"1.5M", 1500000},
        {"0.5k", 500},
        {"120e-1", 12},
        {"1.50e1", 15},
        {"0.000005M", 5},
        {"2.000", 2},
        {"5000000.0", 5000000},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        config c = {0};
        fc_err err;
        fc_assert_ok(set(&c, "n-steps", cases[i].text, &err), &err);
        assert_int_equal(c.steps, cases[i].expected);
    }
}

static void the_ends_of_int64_are_reached_and_not_passed(void **state)
{
    (void)state;
    config c = {0};
    fc_err err;
    fc_assert_ok(set(&c, "seed", "9223372036854775807", &err), &err);
    assert_true(c.seed == INT64_MAX);
    fc_assert_ok(set(&c, "seed", "-9223372036854775807", &err), &err);
    assert_true(c.seed == -INT64_MAX);
    static const char *const too_large[] = {"9223372036854775808", "1e19",
                                            "9223372036854775807k", "10000000000G",
                                            "1e999999999999"};
    for (size_t i = 0; i < FC_LEN(too_large); i++) {
        fc_assert_fails(set(&c, "seed", too_large[i], &err), &err, FC_USAGE, "--seed",
                        "whole number");
    }
}

static void whole_numbers_refused_name_the_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     " 1",  "1 ",  "x",     "1x",   "0",   "5000001", "-1", "1.5", "0.5",
        "1e-1", "1e",  "1e+", "--1",   "0x10", "1,5", "3kk",     "3K", "k",   ".",
        "e5",   "nan", "inf", "1_000", "1e99", "1\n", "1.0001k", "٣"};
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        config c = {.steps = 42};
        fc_err err;
        fc_assert_fails(set(&c, "n-steps", bad[i], &err), &err, FC_USAGE,
                        "--n-steps is '", bad[i],
                        "expected a whole number from 1 to 5000000");
        assert_int_equal(c.steps, 42);
    }
}

static void numbers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double expected;
    } good[] = {{"0", 0},
                {"10", 10},
                {"1e-4", 1e-4},
                {"3E-5", 3e-5},
                {".5", 0.5},
                {"5.", 5},
                {"0.1000000000000000055511151231257827", 0.1},
                {"1e-400", 0}};
    static const char *const bad[] = {"",      "10.1",  "-1e-9", "nan", "inf",
                                      "0x1p3", "1e5",   "1d3",   "1,5", " 1",
                                      "1 ",    "1e400", "3k",    "e",   "1e1e1"};
    config c = {0};
    fc_err err;
    for (size_t i = 0; i < FC_LEN(good); i++) {
        fc_assert_ok(set(&c, "lr", good[i].text, &err), &err);
        assert_true(c.rate == good[i].expected);
    }
    c.rate = 0.25;
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        fc_assert_fails(set(&c, "lr", bad[i], &err), &err, FC_USAGE, "--lr is '", bad[i],
                        "expected a number from 0 to 10");
        assert_true(c.rate == 0.25);
    }
}

static void half_open_ranges_name_the_end_there_is(void **state)
{
    (void)state;
    static const struct {
        double min, max;
        const char *expected;
    } cases[] = {{1, 1e300, "expected a number of at least 1"},
                 {-1e300, 5, "expected a number of at most 5"},
                 {-1e300, 1e300, "expected a number"}};
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const fc_field f = {"x",          FC_FIELD_F64, 0,    cases[i].min,
                            cases[i].max, NULL,         NULL, NULL};
        double x;
        fc_err err;
        assert_int_equal(fc_field_set(&f, &x, "?", "run.yaml:3: x", &err), FC_USAGE);
        assert_string_equal(err.text + strlen("run.yaml:3: x is '?', "),
                            cases[i].expected);
    }
}

static void truth_has_six_words(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "1"}, *const no[] = {"false", "no",
                                                                          "0"};
    static const char *const bad[] = {"", "on", "True", "2", "truee", "y"};
    config c = {0};
    fc_err err;
    for (size_t i = 0; i < FC_LEN(yes); i++) {
        fc_assert_ok(set(&c, "tied", yes[i], &err), &err);
        assert_true(c.is_tied);
        fc_assert_ok(set(&c, "tied", no[i], &err), &err);
        assert_false(c.is_tied);
    }
    for (size_t i = 0; i < FC_LEN(bad); i++)
        fc_assert_fails(set(&c, "tied", bad[i], &err), &err, FC_USAGE, "--tied",
                        "true or false");
}

static void a_text_fills_its_array_and_no_more(void **state)
{
    (void)state;
    char longest[FC_FIELD_TEXT_MAX + 1];
    config c = {0};
    fc_err err;
    memset(longest, 'x', sizeof longest);
    longest[FC_FIELD_TEXT_MAX] = '\0';
    fc_assert_fails(set(&c, "name", longest, &err), &err, FC_USAGE,
                    "--name has 1024 bytes", "at most 1023");
    assert_int_equal(c.name[0], '\0');
    longest[FC_FIELD_TEXT_MAX - 1] = '\0';
    fc_assert_ok(set(&c, "name", longest, &err), &err);
    assert_string_equal(c.name, longest);
    assert_int_equal(c.loss, 0);
}

static void a_choice_is_matched_whole(void **state)
{
    (void)state;
    config c = {.loss = 7};
    fc_err err;
    static const char *const bad[] = {"", "su", "summ", "sum|mean", "|", "SUM"};
    for (size_t i = 0; i < FC_LEN(bad); i++)
        fc_assert_fails(set(&c, "loss", bad[i], &err), &err, FC_USAGE, "--loss is '",
                        "expected one of sum, mean, none");
    assert_int_equal(c.loss, 7);
    fc_assert_fails(set(&c, "loss", "maen", &err), &err, FC_USAGE,
                    "did you mean 'mean'?");
    fc_assert_ok(set(&c, "loss", "sum", &err), &err);
    assert_int_equal(c.loss, 0);
    fc_assert_ok(set(&c, "loss", "none", &err), &err);
    assert_int_equal(c.loss, 2);
}

static void how_often_is_a_time_or_a_count(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t steps;
        double seconds;
        const char *back;
    } good[] = {
        {"500", 500, 0, "500"}, {"2k", 2000, 0, "2000"},  {"2s", 0, 2, "2s"},
        {"5m", 0, 300, "5m"},   {"1h", 0, 3600, "1h"},    {"1.5h", 0, 5400, "90m"},
        {"0s", 0, 0, "0s"},     {"0.1s", 0, 0.1, "0.1s"}, {"61s", 0, 61, "61s"},
    };
    static const char *const bad[] = {"",    "0",  "-1",  "-1s", "s",
                                      "5mm", "5d", "1.5", "m5",  "1e999s"};
    fc_err err;
    for (size_t i = 0; i < FC_LEN(good); i++) {
        config c = {.every = {9, 9}};
        fc_strbuf back = {0};
        fc_assert_ok(set(&c, "save", good[i].text, &err), &err);
        assert_int_equal(c.every.steps, good[i].steps);
        assert_true(c.every.seconds == good[i].seconds);
        fc_assert_ok(fc_field_get(field("save"), &c, &back, &err), &err);
        assert_string_equal(fc_strbuf_text(&back), good[i].back);
        fc_strbuf_free(&back);
    }
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        config c = {.every = {9, 8}};
        fc_assert_fails(set(&c, "save", bad[i], &err), &err, FC_USAGE, "--save is '",
                        "a time such as 2s, 5m or 1h");
        assert_int_equal(c.every.steps, 9);
    }
}

static void every_value_survives_get_and_set(void **state)
{
    (void)state;
    const config configs[] = {
        {.steps = 1,
         .rate = 0.1,
         .is_tied = true,
         .name = "",
         .loss = 1,
         .every = {3, 0}},
        {.steps = 5000000,
         .rate = 1.0 / 3,
         .name = "a b|c'd",
         .loss = 2,
         .every = {0, 7200},
         .seed = INT64_MAX},
        {.steps = 3, .rate = 5e-324, .name = "é", .every = {0, 0.3}, .seed = -INT64_MAX},
    };
    fc_err err;
    for (size_t i = 0; i < FC_LEN(configs); i++) {
        config back;
        memset(&back, 0xff, sizeof back);
        for (size_t f = 0; f < FC_LEN(fields); f++) {
            fc_strbuf text = {0};
            fc_assert_ok(fc_field_get(&fields[f], &configs[i], &text, &err), &err);
            fc_assert_ok(
                fc_field_set(&fields[f], &back, fc_strbuf_text(&text), "x", &err), &err);
            fc_strbuf_free(&text);
        }
        assert_int_equal(back.steps, configs[i].steps);
        assert_true(back.rate == configs[i].rate);
        assert_int_equal(back.is_tied, configs[i].is_tied);
        assert_string_equal(back.name, configs[i].name);
        assert_int_equal(back.loss, configs[i].loss);
        assert_memory_equal(&back.every, &configs[i].every, sizeof back.every);
        assert_int_equal(back.seed, configs[i].seed);
    }
}

static void the_nearest_name_is_near_or_none(void **state)
{
    (void)state;
    static const char *const names[] = {"train", "collect", "study", "report",
                                        "max-length"};
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"trian", "train"},
        {"colect", "collect"},
        {"reports", "report"},
        {"rep", NULL},
        {"max_lenght", "max-length"},
        {"", NULL},
        {"xyz", NULL},
        {"study", "study"},
        {"a-name-that-is-far-longer-than-any-option-of-this-program-will-ever-be", NULL},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const char *got = fc_nearest_name(cases[i].name, names, FC_LEN(names));
        if (cases[i].expected == NULL)
            assert_null(got);
        else
            assert_string_equal(got, cases[i].expected);
    }
    assert_null(fc_nearest_name("train", NULL, 0));
}

static fc_status get_all(void *ctx, fc_err *err)
{
    static const config c = {.name = "a name that is longer than the first capacity"};
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    (void)ctx;
    for (size_t f = 0; f < FC_LEN(fields) && status == FC_OK; f++)
        status = fc_field_get(&fields[f], &c, &text, err);
    fc_strbuf_free(&text);
    return status;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(get_all, NULL, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dashes_and_underscores_are_one),
        cmocka_unit_test(whole_numbers_are_taken_when_exact),
        cmocka_unit_test(the_ends_of_int64_are_reached_and_not_passed),
        cmocka_unit_test(whole_numbers_refused_name_the_range),
        cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(half_open_ranges_name_the_end_there_is),
        cmocka_unit_test(truth_has_six_words),
        cmocka_unit_test(a_text_fills_its_array_and_no_more),
        cmocka_unit_test(a_choice_is_matched_whole),
        cmocka_unit_test(how_often_is_a_time_or_a_count),
        cmocka_unit_test(every_value_survives_get_and_set),
        cmocka_unit_test(the_nearest_name_is_near_or_none),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
