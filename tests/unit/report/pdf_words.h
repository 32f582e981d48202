/* pdf_words.h - words of a PDF keep to the page and off each other.
 *
 * The words and their boxes are those that `pdftotext -bbox` finds; without it nothing is checked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_PDF_WORDS_H
#define FC_TEST_PDF_WORDS_H

#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_run.h"

enum { MOST_WORDS = 4000, TEXT_LENGTH = 24 };

typedef struct word {
    double x0, y0, x1, y1;
    char text[TEXT_LENGTH];
} word;

static word words[MOST_WORDS]; /* of one page */

/* --- what is on a page ------------------------------------------------------------------ */

static char *read_boxes(const char *pdf)
{
    char command[2 * FC_PATH_MAX + 64], path[FC_PATH_MAX];
    size_t n;
    if (system("command -v pdftotext >/dev/null 2>&1") != 0) /* NOLINT(cert-env33-c) */
        return NULL;
    fc_test_path(path, dir, "boxes");
    snprintf(command, sizeof command, "pdftotext -bbox '%s/%s' '%s' 2>/dev/null", dir,
             pdf, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return fc_test_read(path, &n);
}

static bool read_word(word *w, const char *line)
{
    static const char *const names[] = {"xMin=\"", "yMin=\"", "xMax=\"", "yMax=\""};
    double *const values[] = {&w->x0, &w->y0, &w->x1, &w->y1};
    if (strncmp(line, "<word ", 6) != 0) return false;
    for (size_t i = 0; i < FC_LEN(names); i++) {
        const char *at = strstr(line, names[i]);
        assert_non_null(at);
        *values[i] = strtod(at + strlen(names[i]), NULL);
    }
    snprintf(w->text, sizeof w->text, "%s", strchr(line, '>') + 1);
    return true;
}

/* Where letters are for certain: fonts of other scripts claim much more above and below. */
static word core_of(const word *w)
{
    const double h = w->y1 - w->y0;
    word core = *w;
    core.x0 += 0.6;
    core.x1 -= 0.6;
    core.y0 += 0.3 * h;
    core.y1 -= 0.2 * h;
    return core;
}

static void check_page(int page, int n)
{
    const double left = 50, right = 595 - 50, bottom = 842 - 26;
    for (int i = 0; i < n; i++) {
        const word a = core_of(&words[i]);
        if (a.x1 <= a.x0) continue; /* a mark of no width */
        if (a.x0 < left || a.x1 > right || a.y0 < 40 || a.y1 > bottom)
            fail_msg("page %d: '%s' lies outside", page, a.text);
        for (int k = i + 1; k < n; k++) {
            const word b = core_of(&words[k]);
            if (fmin(a.x1, b.x1) > fmax(a.x0, b.x0) &&
                fmin(a.y1, b.y1) > fmax(a.y0, b.y0))
                fail_msg("page %d: '%s' lies over '%s' at %.0f %.0f", page, a.text,
                         b.text, b.x0, b.y0);
        }
    }
}

/* Of a document in dir. */
static void check_words(const char *pdf)
{
    char *boxes = read_boxes(pdf), *rest = boxes;
    int page = 0, n = 0;
    for (char *line; boxes != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        while (*line == ' ') line++;
        if (strncmp(line, "<page ", 6) == 0) page++, n = 0;
        if (n < MOST_WORDS && read_word(&words[n], line)) n++;
        if (strncmp(line, "</page>", 7) == 0) check_page(page, n);
    }
    free(boxes);
}

#endif
