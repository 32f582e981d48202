/* bench_mixer.c - rows a second out of a store, and what it costs: bytes read, size of a request,
 * page faults, memory.
 *
 *   bench_mixer make DIR GIB                      a store of random rows of 1,152 bf16
 *   bench_mixer run DIR BUFFER_ROWS STEPS [MIB [INDEX]]
 *
 * BUFFER_ROWS 0: a full permutation. INDEX: the batch to begin with, as where a run goes on.
 *
 * `run` takes STEPS batches of 512 and does nothing with them. Without MIB the store is read first, so
 * that it comes from memory where it fits. With MIB the cache is as a machine has it that can keep so
 * much of the store: empty at first, and emptied whenever twice as much has been read, so that MIB
 * are kept on average. A real limit does the same better, where the system grants one:
 *
 *   systemd-run --user --scope -p MemoryMax=4G bench_mixer run DIR 400000 12000 16384
 *
 * Bytes are those of /proc/self/io, requests those of the whole disk, seconds by the wall and by the
 * processor (this process computes nothing else than batches). Linux only.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* major(), minor(). NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "acts/mixer.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"

enum { D = 1152, BATCH = 512, TABLE_ROWS = 4096, DOC_ROWS = 512 };

/* --- making ------------------------------------------------------------------------------- */

static fc_status append_table(fc_store_writer *writer, const float *x, fc_row *rows,
                              int64_t begin, int64_t n, fc_err *err)
{
    for (int64_t i = 0; i < n; i += DOC_ROWS) {
        const fc_doc doc = {"a page", "random", 1, DOC_ROWS};
        FC_TRY(fc_store_document(writer, (int32_t)((begin + i) / DOC_ROWS), &doc, err));
    }
    for (int64_t i = 0; i < n; i++)
        rows[i] = (fc_row){.token_id = (int32_t)(i % 1000),
                           .doc_id = (int32_t)((begin + i) / DOC_ROWS),
                           .position = (int32_t)(i % DOC_ROWS + 1)};
    return fc_store_append(writer, x, rows, n, err);
}

static fc_status make(const char *dir, double n_gib, fc_err *err)
{
    const int64_t n_rows =
        fc_max((int64_t)(n_gib * 0x1p30 / (2 * D)) / TABLE_ROWS, 1) * TABLE_ROWS;
    const fc_store_info info = {.hook = "model.layers.0.mlp.down_proj",
                                .model = "random",
                                .model_hash = "0",
                                .d = D,
                                .dtype = FC_BF16,
                                .n_wanted = n_rows,
                                .rows_per_shard = 262144,
                                .max_length = DOC_ROWS + 1,
                                .text_hash = "0"};
    fc_store_writer *writer = NULL;
    int64_t n_done = 0;
    float *x = NULL;
    fc_row *rows = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&x, TABLE_ROWS * D, sizeof *x, "rows", err));
    FC_TRY_GOTO(fc_alloc(&rows, TABLE_ROWS, sizeof *rows, "rows", err));
    for (int64_t i = 0; i < TABLE_ROWS * D; i++)
        x[i] = (float)fc_rng_normal(1, FC_RNG_TEST, (uint64_t)i);
    FC_TRY_GOTO(fc_store_create(&writer, dir, &info, NULL, &n_done, err));
    for (int64_t at = n_done; at < n_rows; at += TABLE_ROWS)
        FC_TRY_GOTO(append_table(writer, x, rows, at, TABLE_ROWS, err));
    status = fc_store_finish(writer, false, err);
done:
    fc_store_writer_close(writer);
    fc_free(rows);
    fc_free(x);
    return status;
}

/* --- measuring ---------------------------------------------------------------------------- */

typedef struct counts {
    double wall_s, cpu_s;
    int64_t n_bytes;              /* read from disks by this process */
    int64_t n_requests, n_disk;   /* reads of the disk, and their bytes */
    int64_t n_faults;             /* pages that had to be waited for */
    int64_t file_kib, memory_kib; /* resident: mapped files, the rest */
} counts;

static double clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The number behind `key` in a file of /proc. */
static int64_t number_of(const char *path, const char *key)
{
    char line[256];
    int64_t value = 0;
    FILE *const file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoll(line + strlen(key), NULL, 10);
    if (file != NULL) (void)fclose(file);
    return value;
}

/* Reads and sectors of the disk that holds dir: the 1st and 3rd number of its stat. */
static void count_disk(counts *c, const char *dir)
{
    struct stat info;
    char path[128];
    long long n[3] = {0};
    if (stat(dir, &info) != 0) return;
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(info.st_dev),
                   minor(info.st_dev));
    FILE *const file = fopen(path, "r");
    if (file == NULL) return;
    char line[256] = "", *at = line;
    if (fgets(line, sizeof line, file) != NULL)
        for (int i = 0; i < 3; i++) n[i] = strtoll(at, &at, 10);
    (void)fclose(file);
    c->n_requests = n[0];
    c->n_disk = n[2] * 512;
}

static counts count(const char *dir)
{
    struct rusage usage;
    counts c = {.wall_s = clock_s(CLOCK_MONOTONIC),
                .cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID),
                .n_bytes = number_of("/proc/self/io", "read_bytes:"),
                .file_kib = number_of("/proc/self/status", "RssFile:"),
                .memory_kib = number_of("/proc/self/status", "RssAnon:")};
    if (getrusage(RUSAGE_SELF, &usage) == 0) c.n_faults = usage.ru_majflt;
    count_disk(&c, dir);
    return c;
}

static void print_since(const counts *from, const counts *to, int64_t n_rows,
                        const counts *most)
{
    const double n = (double)n_rows, s = to->wall_s - from->wall_s;
    const double read = (double)(to->n_bytes - from->n_bytes);
    const int64_t n_requests = to->n_requests - from->n_requests;
    printf(
        "%9.0f rows/s by the wall  %6.2f us of processor a row  read %5.2f x  "
        "%6.0f MB/s  %6.0f KiB a request  %8" PRId64
        " faults  mapped at most %6.0f MiB  memory %6.0f MiB\n",
        n / s, 1e6 * (to->cpu_s - from->cpu_s) / n, read / (n * 2 * D), 1e-6 * read / s,
        n_requests > 0 ? (double)(to->n_disk - from->n_disk) / 1024 / (double)n_requests
                       : 0.0,
        to->n_faults - from->n_faults, (double)most->file_kib / 1024,
        (double)most->memory_kib / 1024);
    (void)fflush(stdout);
}

/* --- running ------------------------------------------------------------------------------ */

typedef struct run {
    const char *dir;
    int64_t buffer_rows, n_steps, index;
    fc_store *store;
    fc_normaliser normaliser;
    fc_mixer *mixer;
    int64_t cache_mib; /* 0: as large as the system has it */
    int64_t n_read;    /* when the cache was last emptied */
} run;

/* Out of this process and out of the cache. */
static fc_status empty_cache(run *r, fc_err *err)
{
    fc_names names = {0};
    char path[FC_PATH_MAX];
    fc_store_drop(r->store, 0, fc_store_rows(r->store));
    FC_TRY(fc_dir_list(&names, r->dir, err));
    for (int64_t i = 0; i < names.n; i++) {
        if (fc_path_join(path, r->dir, names.name[i], err) != FC_OK) continue;
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    fc_names_free(&names);
    r->n_read = number_of("/proc/self/io", "read_bytes:");
    return FC_OK;
}

static void read_all(const run *r)
{
    enum { PIECE = 1024 };
    static float x[PIECE * D];
    const int64_t n = fc_store_rows(r->store);
    for (int64_t row = 0; row < n; row += PIECE) {
        const int64_t n_here = fc_min(PIECE, n - row);
        fc_store_read(r->store, row, n_here, x);
        fc_store_drop(r->store, row, n_here);
    }
}

static fc_status take(run *r, int64_t n_steps, fc_err *err)
{
    enum { N_LINES = 4, LOOK = 64 };
    const counts begin = count(r->dir);
    counts from = begin, most = {0};
    int64_t n = 0, n_rows = 0;
    for (int64_t step = 1; step <= n_steps; step++) {
        const int64_t n_here = fc_mixer_next(r->mixer)->n;
        n += n_here;
        n_rows += n_here;
        if (step % LOOK != 0 && step != n_steps) continue;
        counts now = count(r->dir);
        most.file_kib = fc_max(most.file_kib, now.file_kib);
        most.memory_kib = fc_max(most.memory_kib, now.memory_kib);
        if (r->cache_mib > 0 && now.n_bytes - r->n_read > 2 * (r->cache_mib << 20))
            FC_TRY(empty_cache(r, err));
        if (step * N_LINES / n_steps == (step - LOOK) * N_LINES / n_steps &&
            step != n_steps)
            continue;
        print_since(&from, &now, n, &most);
        from = now;
        n = 0;
    }
    const counts end = count(r->dir);
    printf("in all:\n");
    print_since(&begin, &end, n_rows, &most);
    return FC_OK;
}

static fc_status run_mixer(run *r, fc_err *err)
{
    const fc_mixer_config config = {
        .batch_size = BATCH, .buffer_rows = r->buffer_rows, .index = r->index};
    fc_status status;
    FC_TRY_GOTO(fc_store_open(&r->store, r->dir, false, false, err));
    FC_TRY_GOTO(
        fc_normaliser_of_store(&r->normaliser, FC_NORM_CENTER_UNIT, r->store, err));
    if (r->cache_mib > 0)
        FC_TRY_GOTO(empty_cache(r, err));
    else
        read_all(r);
    const counts from = count(r->dir);
    FC_TRY_GOTO(fc_mixer_new(&r->mixer, r->store, &r->normaliser, &config, err));
    (void)fc_mixer_next(r->mixer);
    const counts to = count(r->dir);
    printf("first batch after %.1f s, %.0f MB read\n", to.wall_s - from.wall_s,
           1e-6 * (double)(to.n_bytes - from.n_bytes));
    status = take(r, r->n_steps, err);
done:
    fc_mixer_free(r->mixer);
    fc_normaliser_deinit(&r->normaliser);
    fc_store_close(r->store);
    return status;
}

static fc_status run_arguments(int argc, char **argv, fc_err *err)
{
    int64_t number[4] = {0};
    for (int i = 3; i < argc; i++) number[i - 3] = strtoll(argv[i], NULL, 10);
    run r = {.dir = argv[2],
             .buffer_rows = number[0],
             .n_steps = number[1],
             .cache_mib = number[2],
             .index = number[3]};
    return run_mixer(&r, err);
}

int main(int argc, char **argv)
{
    fc_err err = {.text = "usage: bench_mixer make DIR GIB | "
                          "run DIR BUFFER_ROWS STEPS [MIB [INDEX]]"};
    fc_status status = FC_USAGE;
    if (argc == 4 && strcmp(argv[1], "make") == 0)
        status = make(argv[2], strtod(argv[3], NULL), &err);
    else if (argc >= 5 && argc <= 7 && strcmp(argv[1], "run") == 0)
        status = run_arguments(argc, argv, &err);
    if (status == FC_OK) return 0;
    (void)fprintf(stderr, "%s\n", err.text);
    return 1;
}
