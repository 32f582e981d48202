/* test_pdf_mend.c - what is wrong is mended, what is right or no PDF stays as it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/pdf_mend.h"

/* Objects 1 to n with their right offsets; object `dangling` has a wrong one. */
static int64_t make_pdf(char *out, const char *const *objects, int n, int dangling)
{
    long offset[16];
    int64_t at = sprintf(out, "%%PDF-1.5\n");
    for (int i = 0; i < n; i++) {
        offset[i] = i + 1 == dangling ? 15 : at;
        at += sprintf(out + at, "%d 0 obj\n%s\nendobj\n", i + 1, objects[i]);
    }
    const int64_t xref = at;
    at += sprintf(out + at, "xref\n0 %d\n0000000000 65535 f \n", n + 1);
    for (int i = 0; i < n; i++) at += sprintf(out + at, "%010ld 00000 n \n", offset[i]);
    at += sprintf(out + at, "trailer\n<< /Size %d >>\nstartxref\n%ld\n%%%%EOF\n", n + 1,
                  (long)xref);
    return at;
}

static const char *const objects[] = {
    "<< /CreationDate (20250102030405Z)\n   /ModDate (20250102030405Z)\n>>",
    "<< /XObject << /x7 7 0 R /x70 70 0 R /x7 7 0 R /x70 70 0 R >> >>",
    "<< /Length 60 >>\nstream\n/XObject << /x1 1 0 R /x1 1 0 R >>\nendstream",
};

static void the_three_faults_are_mended_in_place(void **state)
{
    (void)state;
    char pdf[4096], before[4096];
    const int64_t n = make_pdf(pdf, objects, 3, 3);
    memcpy(before, pdf, sizeof pdf);
    fc_pdf_mend(pdf, n);
    assert_int_equal(strlen(pdf), n);
    assert_non_null(strstr(pdf, "/CreationDate(D:20250102030405)\n"));
    assert_non_null(strstr(pdf, "/ModDate(D:20250102030405)\n"));
    assert_non_null(
        strstr(pdf, "/XObject << /x7 7 0 R /x70 70 0 R                       >>"));
    assert_non_null(strstr(pdf, "0000000000 65535 f \ntrailer"));
    assert_non_null(strstr(pdf, "/XObject << /x1 1 0 R /x1 1 0 R >>")); /* a stream */
    memcpy(before, pdf, sizeof pdf);
    fc_pdf_mend(pdf, n);
    assert_memory_equal(pdf, before, sizeof pdf);
}

static void other_bytes_are_left_alone(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "%PDF-1.5\n",
        "%PDF-1.5\nstartxref\n",
        "%PDF-1.5\nstartxref\n99999999999999999999\n",
        "%PDF-1.5\nxref\n0 999999999\nstartxref\n9\n",
        "%PDF-1.5\nxref\n0 3\n00000startxref\n9\n",
        "%PDF-1.5\n/CreationDate (2",
        "%PDF-1.5\n/CreationDate (20250102030405+01'00)\n                                "
        " ",
        "PNG /CreationDate (20250102030405Z)\n                                          "
        " ",
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        const size_t n = strlen(cases[i]);
        char *copy = malloc(n + 1); /* so that ASAN sees a step too far */
        assert_non_null(copy);
        memcpy(copy, cases[i], n + 1);
        fc_pdf_mend(copy, (int64_t)n);
        assert_memory_equal(copy, cases[i], n + 1);
        free(copy);
    }
}

static void any_prefix_and_any_changed_byte_is_survived(void **state)
{
    (void)state;
    char pdf[4096];
    const int64_t n = make_pdf(pdf, objects, 3, 3);
    for (int64_t cut = 0; cut <= n; cut++) {
        char *copy = malloc((size_t)cut + 1);
        assert_non_null(copy);
        memcpy(copy, pdf, (size_t)cut);
        fc_pdf_mend(copy, cut);
        free(copy);
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            char *copy = malloc((size_t)n);
            assert_non_null(copy);
            memcpy(copy, pdf, (size_t)n);
            copy[i] = "9(/"[k];
            fc_pdf_mend(copy, n);
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_faults_are_mended_in_place),
        cmocka_unit_test(other_bytes_are_left_alone),
        cmocka_unit_test(any_prefix_and_any_changed_byte_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
