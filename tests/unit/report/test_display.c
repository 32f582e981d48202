/* test_display.c - tokens become text that can be shown, and every byte of it has an owner.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#include "base/alloc.h"
#include "report/display.h"

enum { MAX_TOKENS = 8 };

typedef struct tokens {
    const char *bytes[MAX_TOKENS];
    int64_t n_bytes[MAX_TOKENS];
    float activation[MAX_TOKENS];
    fc_context context;
} tokens;

static const fc_context *make(tokens *t, const char *const *pieces,
                              const float *activations)
{
    int64_t n = 0;
    for (; pieces[n] != NULL; n++) {
        t->bytes[n] = pieces[n];
        t->n_bytes[n] = (int64_t)strlen(pieces[n]);
        t->activation[n] = activations[n];
    }
    t->context = (fc_context){.n = n,
                              .peak = 0,
                              .bytes = t->bytes,
                              .n_bytes = t->n_bytes,
                              .activation = t->activation};
    return &t->context;
}

static void assert_span(const fc_display *d, int64_t i, const char *text, int64_t token)
{
    assert_true(i < d->n_spans);
    const fc_span *span = &d->span[i];
    assert_int_equal(span->end - span->begin, strlen(text));
    assert_memory_equal(fc_strbuf_text(&d->text) + span->begin, text, strlen(text));
    assert_int_equal(span->token, token);
}

static void a_split_character_belongs_to_the_strongest_of_its_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *pieces[5];
        float activations[4];
        const char *text[3];
        int64_t owner[3];
    } cases[] = {
        /* a rocket in two halves; the second is stronger */
        {{"a", "\xf0\x9f", "\x9a\x80", "b", NULL},
         {0, 1, 2, 0},
         {"a", "\xf0\x9f\x9a\x80", "b"},
         {0, 2, 3}},
        /* e and a combining acute: one grapheme, the letter is stronger */
        {{"e", "\xcc\x81", "b", NULL}, {3, 1, 0}, {"e\xcc\x81", "b", NULL}, {0, 2}},
        /* a thumb and its skin tone */
        {{"\xf0\x9f\x91\x8d", "\xf0\x9f\x8f\xbd", NULL},
         {1, 4},
         {"\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", NULL},
         {1}},
        /* equal: the peak (token 0) keeps it */
        {{"\xc3", "\xa9", NULL}, {1, 1}, {"\xc3\xa9", NULL}, {0}},
        /* a token without bytes owns nothing */
        {{"a", "", "b", NULL}, {0, 9, 0}, {"a", "b", NULL}, {0, 2}},
    };
    for (size_t c = 0; c < FC_LEN(cases); c++) {
        fc_display d = {0};
        tokens t;
        fc_err err;
        fc_assert_ok(
            fc_display_context(&d, make(&t, cases[c].pieces, cases[c].activations), &err),
            &err);
        int64_t n = 0;
        for (; n < 3 && cases[c].text[n] != NULL; n++)
            assert_span(&d, n, cases[c].text[n], cases[c].owner[n]);
        assert_int_equal(d.n_spans, n);
        fc_display_free(&d);
    }
}

static void nothing_invisible_or_broken_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int64_t n;
        const char *shown;
    } cases[] = {
        {"a\nb\r", 4, "a\u21b5b\u21b5"},
        {"\t", 1, "\u21e5"},
        {"a\0b", 3, "a\u2400b"},
        {"\x7f", 1, "\u2421"},
        {"\u2028\u2029", 6, "\u21b5\u21b5"},
        {"x\xe2\x80\xaey\xe2\x81\xa6", 8, "x\u25aby\u25ab"},
        {"\xff\xfe", 2, "\ufffd\ufffd"},
        {"\xe2\x82", 2, "\ufffd"},     /* a character cut short is one sign */
        {"\x80\x80\x80", 3, "\ufffd"}, /* so is its rest */
        {"\xed\xa0\x80", 3, "\ufffd"}, /* a surrogate */
        {"\xc0\xaf", 2, "\ufffd"},     /* an overlong slash */
        {"<script>", 8, "<script>"},   /* text is text */
        {"\xd7\xa9\xd7\x9c", 4, "\xd7\xa9\xd7\x9c"},
        {"", 0, ""},
    };
    for (size_t c = 0; c < FC_LEN(cases); c++) {
        fc_strbuf text = {0};
        fc_err err;
        fc_assert_ok(fc_display_text(&text, cases[c].bytes, cases[c].n, &err), &err);
        assert_string_equal(fc_strbuf_text(&text), cases[c].shown);
        fc_strbuf_free(&text);
    }
}

static void a_very_long_token_is_cut_between_characters(void **state)
{
    (void)state;
    static char piece[10001];
    const float activation = 1;
    tokens t;
    fc_display d = {0};
    fc_err err;
    for (int i = 0; i < 10000; i += 2) memcpy(piece + i, "\xc3\xa9", 2);
    piece[0] = 'x'; /* puts the limit inside a character */
    piece[1] = 'x', piece[2] = 'x', memcpy(piece + 3, "\xc3\xa9", 2);
    for (int i = 3; i + 1 < 10000; i += 2) memcpy(piece + i, "\xc3\xa9", 2);
    piece[9999] = 0;
    const char *const pieces[] = {piece, NULL};
    fc_assert_ok(fc_display_context(&d, make(&t, pieces, &activation), &err), &err);
    assert_int_equal(d.n_spans, 1);
    assert_true(d.text.n <= FC_TOKEN_BYTES_SHOWN + 3);
    assert_null(strstr(fc_strbuf_text(&d.text), "\ufffd"));
    assert_string_equal(fc_strbuf_text(&d.text) + d.text.n - 3, "\u2026");
    fc_display_free(&d);
}

static void a_name_never_overflows(void **state)
{
    (void)state;
    const char *const name = "ab\u2028\xf0\x9f\x9a\x80"
                             "cd";
    for (size_t size = 8; size < 20; size++) {
        char out[32];
        memset(out, 'z', sizeof out);
        fc_display_name(out, size, name);
        assert_true(strlen(out) < size);
        for (size_t i = size; i < sizeof out; i++) assert_int_equal(out[i], 'z');
    }
    char out[32];
    fc_display_name(out, sizeof out, name);
    assert_string_equal(out, "ab\u21b5\xf0\x9f\x9a\x80"
                             "cd");
}

static fc_status show(void *ctx, fc_err *err)
{
    static const char *const pieces[] = {"a", "\xf0\x9f", "\x9a\x80", NULL};
    static const float activations[] = {1, 2, 3};
    tokens t;
    fc_display d = {0};
    (void)ctx;
    const fc_status status = fc_display_context(&d, make(&t, pieces, activations), err);
    fc_display_free(&d);
    return status;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(show, NULL, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_character_belongs_to_the_strongest_of_its_tokens),
        cmocka_unit_test(nothing_invisible_or_broken_is_left),
        cmocka_unit_test(a_very_long_token_is_cut_between_characters),
        cmocka_unit_test(a_name_never_overflows),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
