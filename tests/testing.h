/* testing.h - what the test programs share: fixtures, a folder of their own, comparisons with a
 * tolerance, and sweeps in which the n-th allocation or write fails.
 *
 * Includes cmocka with the headers that it needs, so a test includes this file first.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TESTING_H
#define FC_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/file.h"

/* Path of a file under fixtures/ (or under $FACET_FIXTURES) into path[FC_PATH_MAX]. */
void fc_fixture(char *path, const char *name);
bool fc_fixture_exists(const char *name);

/* Path of a file of the source tree ("assets/example-model"). */
void fc_source_file(char *path, const char *name);

/* --- folders ---------------------------------------------------------------------------- */

/* A new empty folder into dir[FC_PATH_MAX]; remove it with fc_test_dir_remove. From then on
 * outputs do not wait for the disk. */
void fc_test_dir_make(char *dir);
void fc_test_dir_remove(const char *dir); /* with all that is in it */
void fc_test_path(char *path, const char *dir, const char *name);

int64_t fc_test_count_entries(const char *dir);
void fc_test_write(const char *path, const void *data,
                   size_t n_bytes); /* not through fc_out */
/* The whole file and a zero byte; free() it. */
char *fc_test_read(const char *path, size_t *n_bytes);
void fc_test_assert_files_equal(const char *path_a, const char *path_b);

/* --- statuses --------------------------------------------------------------------------- */

/* The call returns FC_OK; otherwise the test fails with the sentence in err. */
#define fc_assert_ok(call, err) \
    fc_test_assert_ok((call), (err), #call, __FILE__, __LINE__)
void fc_test_assert_ok(fc_status status, const fc_err *err, const char *call,
                       const char *file, int line);

/* The call returns `expected`, and the sentence in err contains each of the words given
 * (a list that ends with NULL). */
#define fc_assert_fails(call, err, expected, ...)                                   \
    fc_test_assert_fails((call), (err), (expected),                                 \
                         (const char *const[]){__VA_ARGS__, NULL}, #call, __FILE__, \
                         __LINE__)
void fc_test_assert_fails(fc_status status, const fc_err *err, fc_status expected,
                          const char *const *words, const char *call, const char *file,
                          int line);

/* --- numbers ---------------------------------------------------------------------------- */

typedef struct fc_difference {
    double max_norm; /* max |a - b| / max |b|;            0 when all are equal */
    double l2;       /* sqrt(sum (a-b)^2) / sqrt(sum b^2) */
    double max_abs;  /* max |a - b| */
    int64_t at;      /* index of the largest difference, -1 when n = 0 */
} fc_difference;

/* b is what is expected. A NaN on one side only, or different infinities, count as infinite. */
fc_difference fc_compare(const float *a, const float *b, int64_t n);

#define fc_assert_close(a, b, n, max_norm, l2) \
    fc_test_assert_close((a), (b), (n), (max_norm), (l2), #a, __FILE__, __LINE__)
void fc_test_assert_close(const float *a, const float *b, int64_t n, double max_norm,
                          double l2, const char *name, const char *file, int line);

/* --- faults ----------------------------------------------------------------------------- */

/* One complete use of a module: from nothing, through every call, to everything freed. It
 * returns the first status that is not FC_OK, having freed what it holds. */
typedef fc_status fc_test_scenario(void *ctx, fc_err *err);

/* For n = 1, 2, ... the n-th allocation (write) fails, until the scenario passes untouched.
 * Each failed run must return FC_NOMEM (FC_IO) with a sentence; leaks are for ASAN to find.
 * `check`, if given, is called after each run that failed (no partial file is left, ...).
 * Returns how many faults were injected. */
int64_t fc_test_sweep_alloc(fc_test_scenario *run, void (*check)(void *ctx), void *ctx);
int64_t fc_test_sweep_write(fc_test_scenario *run, void (*check)(void *ctx), void *ctx);

#endif
