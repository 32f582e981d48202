/* testing.c - fixtures, folders, comparisons and fault sweeps of the test programs.
 *
 * These helpers may fail a test, so they report through cmocka and return nothing to check.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static void join(char *path, const char *dir, const char *name)
{
    fc_err err;
    if (fc_path_join(path, dir, name, &err) != FC_OK) fail_msg("%s", err.text);
}

void fc_fixture(char *path, const char *name)
{
    const char *dir = getenv("FACET_FIXTURES");
    join(path, dir != NULL && dir[0] != '\0' ? dir : FACET_SOURCE_DIR "/fixtures", name);
}

bool fc_fixture_exists(const char *name)
{
    char path[FC_PATH_MAX];
    fc_fixture(path, name);
    return fc_path_exists(path);
}

void fc_source_file(char *path, const char *name)
{
    join(path, FACET_SOURCE_DIR, name);
}

/* --- folders ---------------------------------------------------------------------------- */

/* $TMPDIR, else memory where it has room, else /tmp. */
static const char *folder_for_tests(void)
{
    static const char memory[] = "/dev/shm";
    const int64_t n_needed = INT64_C(1) << 30;
    const char *parent = getenv("TMPDIR");
    int64_t n_free = 0;
    if (parent != NULL && parent[0] != '\0') return parent;
    const bool is_roomy = access(memory, W_OK) == 0 &&
                          fc_dir_free_bytes(memory, &n_free, NULL) == FC_OK &&
                          n_free >= n_needed;
    return is_roomy ? memory : "/tmp";
}

void fc_test_dir_make(char *dir)
{
    join(dir, folder_for_tests(), "facet-test-XXXXXX");
    fc_sync_skip(true);
    if (mkdtemp(dir) == NULL) fail_msg("cannot make the folder '%s'", dir);
}

/* Depth is bounded by FC_PATH_MAX. */
void fc_test_dir_remove(const char *dir)
{
    fc_names names = {0};
    fc_err err;
    if (fc_dir_list(&names, dir, &err) != FC_OK) fail_msg("%s", err.text);
    for (int64_t i = 0; i < names.n; i++) {
        char path[FC_PATH_MAX];
        struct stat info;
        join(path, dir, names.name[i]);
        if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            fc_test_dir_remove(path);
        else if (unlink(path) != 0)
            fail_msg("cannot remove '%s'", path);
    }
    fc_names_free(&names);
    if (rmdir(dir) != 0) fail_msg("cannot remove the folder '%s'", dir);
}

void fc_test_path(char *path, const char *dir, const char *name)
{
    join(path, dir, name);
}

int64_t fc_test_count_entries(const char *dir)
{
    fc_names names = {0};
    fc_err err;
    if (fc_dir_list(&names, dir, &err) != FC_OK) fail_msg("%s", err.text);
    const int64_t n = names.n;
    fc_names_free(&names);
    return n;
}

void fc_test_write(const char *path, const void *data, size_t n_bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) fail_msg("cannot open '%s'", path);
    const bool is_written = n_bytes == 0 || fwrite(data, 1, n_bytes, file) == n_bytes;
    if (fclose(file) != 0 || !is_written) fail_msg("cannot write '%s'", path);
}

char *fc_test_read(const char *path, size_t *n_bytes)
{
    fc_map map = {0};
    fc_err err;
    if (fc_map_open(&map, path, &err) != FC_OK) fail_msg("%s", err.text);
    char *text = calloc(map.n_bytes + 1, 1);
    assert_non_null(text);
    if (map.n_bytes > 0) memcpy(text, map.data, map.n_bytes);
    if (n_bytes != NULL) *n_bytes = map.n_bytes;
    fc_map_close(&map);
    return text;
}

void fc_test_assert_files_equal(const char *path_a, const char *path_b)
{
    size_t n_a, n_b;
    char *a = fc_test_read(path_a, &n_a);
    char *b = fc_test_read(path_b, &n_b);
    const bool is_equal = n_a == n_b && memcmp(a, b, n_a) == 0;
    free(a);
    free(b);
    if (!is_equal)
        fail_msg("'%s' (%zu bytes) and '%s' (%zu bytes) differ", path_a, n_a, path_b,
                 n_b);
}

/* --- statuses --------------------------------------------------------------------------- */

void fc_test_assert_ok(fc_status status, const fc_err *err, const char *call,
                       const char *file, int line)
{
    if (status == FC_OK) return;
    print_error("%s is %s: %s\n", call, fc_status_word(status),
                err != NULL ? err->text : "");
    _fail(file, line);
}

void fc_test_assert_fails(fc_status status, const fc_err *err, fc_status expected,
                          const char *const *words, const char *call, const char *file,
                          int line)
{
    if (status != expected) {
        print_error("%s is %s, expected %s: %s\n", call, fc_status_word(status),
                    fc_status_word(expected), status != FC_OK ? err->text : "");
        _fail(file, line);
    }
    for (; *words != NULL; words++) {
        if (strstr(err->text, *words) != NULL) continue;
        print_error("%s says \"%s\", which does not mention \"%s\"\n", call, err->text,
                    *words);
        _fail(file, line);
    }
}

/* --- numbers ---------------------------------------------------------------------------- */

static double difference(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b))) return 0;
    const double d = fabs(a - b);
    return isnan(d) ? (double)INFINITY : d;
}

/* x / y where 0 / 0 is 0: nothing differs and nothing was expected. */
static double ratio(double x, double y)
{
    return x == 0 ? 0 : x / y;
}

fc_difference fc_compare(const float *a, const float *b, int64_t n)
{
    double max_b = 0, sum_difference = 0, sum_b = 0;
    fc_difference d = {.at = n > 0 ? 0 : -1};
    for (int64_t i = 0; i < n; i++) {
        const double here = difference((double)a[i], (double)b[i]);
        if (here > d.max_abs) {
            d.max_abs = here;
            d.at = i;
        }
        sum_difference += here * here;
        if (isfinite(b[i])) {
            max_b = fmax(max_b, fabs((double)b[i]));
            sum_b += (double)b[i] * (double)b[i];
        }
    }
    d.max_norm = ratio(d.max_abs, max_b);
    d.l2 = ratio(sqrt(sum_difference), sqrt(sum_b));
    return d;
}

void fc_test_assert_close(const float *a, const float *b, int64_t n, double max_norm,
                          double l2, const char *name, const char *file, int line)
{
    const fc_difference d = fc_compare(a, b, n);
    if (d.max_norm <= max_norm && d.l2 <= l2) return;
    print_error("%s: relative max %.3g (allowed %.3g), relative L2 %.3g (allowed %.3g); "
                "[%lld] is %.9g, expected %.9g\n",
                name, d.max_norm, max_norm, d.l2, l2, (long long)d.at, (double)a[d.at],
                (double)b[d.at]);
    _fail(file, line);
}

/* --- faults ----------------------------------------------------------------------------- */

typedef void set_fault(int64_t n);

static int64_t sweep(fc_test_scenario *run, void (*check)(void *ctx), void *ctx,
                     set_fault *fault, fc_status expected)
{
    enum { MANY = 100000 };
    for (int64_t n = 1; n <= MANY; n++) {
        fc_err err = {0};
        fault(n);
        const fc_status status = run(ctx, &err);
        fault(0);
        if (status == FC_OK) return n - 1;
        if (status != expected || err.status != expected || err.text[0] == '\0')
            fail_msg("fault %lld: the status is %s, expected %s: \"%s\"", (long long)n,
                     fc_status_word(status), fc_status_word(expected), err.text);
        if (check != NULL) check(ctx);
    }
    fail_msg("the scenario still fails after %d faults", MANY);
    return -1;
}

int64_t fc_test_sweep_alloc(fc_test_scenario *run, void (*check)(void *ctx), void *ctx)
{
    return sweep(run, check, ctx, fc_alloc_fail_at, FC_NOMEM);
}

int64_t fc_test_sweep_write(fc_test_scenario *run, void (*check)(void *ctx), void *ctx)
{
    return sweep(run, check, ctx, fc_write_fail_at, FC_IO);
}
