/* tfevents.c - writes TensorBoard event files.
 *
 *   record: u64 length | u32 masked CRC of it | Event, length bytes | u32 masked CRC of them
 *
 * Records are collected and written in whole: when a write fails, the file is cut back to its
 * last complete record, so that it never ends in a torn one and a later flush can try again.
 * Values are written in the oldest forms (simple_value, histo), which every reader understands.
 *
 * TensorBoard reads the files of a folder in name order, so a new file must sort last even when
 * the clock stands still or was turned back: its time is later than that of any file there.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "formats/tfevents.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "formats/crc32c.h"
#include "formats/tfevents.pb-c.h"

enum { FLUSH_BYTES = 64 * 1024, FRAME_HEAD = 12, FRAME_TAIL = 4, N_BUCKETS = 30 };
enum { DTYPE_STRING = 7, CLASS_TENSOR = 2 }; /* of TensorBoard's enums */

static const char name_prefix[] = "events.out.tfevents.";

struct fc_tfevents {
    char path[FC_PATH_MAX];
    int fd;
    int64_t n_written; /* bytes of complete records in the file */
    uint8_t *pending;  /* complete records that are not in the file yet */
    int64_t n_pending, capacity;
};

/* protobuf-c's structs have no const, though packing changes nothing. */
static char *unconst(const char *text)
{
    const union {
        const char *shown;
        char *given;
    } both = {.shown = text};
    return both.given;
}

static void put_le(uint8_t *to, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static fc_status add_event(fc_tfevents *events, const Tb__Event *event, fc_err *err)
{
    const size_t n = tb__event__get_packed_size(event);
    const int64_t n_record = (int64_t)n + FRAME_HEAD + FRAME_TAIL;
    FC_TRY(fc_grow(&events->pending, &events->capacity, events->n_pending + n_record, 1,
                   "TensorBoard events", err));
    uint8_t *const record = events->pending + events->n_pending;
    put_le(record, n, 8);
    put_le(record + 8, fc_crc32c_masked(record, 8), 4);
    tb__event__pack(event, record + FRAME_HEAD);
    put_le(record + FRAME_HEAD + n, fc_crc32c_masked(record + FRAME_HEAD, n), 4);
    events->n_pending += n_record;
    return events->n_pending < FLUSH_BYTES ? FC_OK : fc_tfevents_flush(events, err);
}

static fc_status add_value(fc_tfevents *events, int64_t step, Tb__Summary__Value *value,
                           const char *tag, fc_err *err)
{
    Tb__Summary summary = TB__SUMMARY__INIT;
    Tb__Event event = TB__EVENT__INIT;
    value->tag = unconst(tag);
    summary.n_value = 1;
    summary.value = &value;
    event.wall_time = fc_wall_clock_s();
    event.step = step;
    event.what_case = TB__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return add_event(events, &event, err);
}

/* The time for the name of a new file: now, but after every event file in the folder. */
static fc_status pick_time(const char *dir, int64_t *time_s, fc_err *err)
{
    fc_names names = {0};
    FC_TRY(fc_dir_list(&names, dir, err));
    *time_s = (int64_t)fc_wall_clock_s();
    for (int64_t i = 0; i < names.n; i++) {
        const size_t n_prefix = sizeof name_prefix - 1;
        if (strncmp(names.name[i], name_prefix, n_prefix) != 0) continue;
        const int64_t there = strtoll(names.name[i] + n_prefix, NULL, 10);
        if (there >= *time_s && there < INT32_MAX) *time_s = there + 1;
    }
    fc_names_free(&names);
    return FC_OK;
}

static fc_status create(fc_tfevents *events, const char *dir, fc_err *err)
{
    char host[65] = "", name[160];
    int64_t time_s;
    FC_TRY(pick_time(dir, &time_s, err));
    if (gethostname(host, sizeof host - 1) != 0 || strchr(host, '/') != NULL ||
        host[0] == '\0')
        (void)snprintf(host, sizeof host, "localhost");
    for (int n = 0;; n++) {
        (void)snprintf(name, sizeof name, "%s%010" PRId64 ".%s.%ld.%d", name_prefix,
                       time_s, host, (long)getpid(), n);
        FC_TRY(fc_path_join(events->path, dir, name, err));
        events->fd = open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (events->fd >= 0) return FC_OK;
        if (errno != EEXIST)
            return fc_fail_errno(err, "cannot create '%s'", events->path);
    }
}

/* Says that values of earlier files from first_step on are void. */
static fc_status add_restart(fc_tfevents *events, int64_t first_step, fc_err *err)
{
    Tb__SessionLog log = TB__SESSION_LOG__INIT;
    Tb__Event event = TB__EVENT__INIT;
    log.status = TB__SESSION_LOG__SESSION_STATUS__START;
    event.wall_time = fc_wall_clock_s();
    event.step = first_step;
    event.what_case = TB__EVENT__WHAT_SESSION_LOG;
    event.session_log = &log;
    return add_event(events, &event, err);
}

fc_status fc_tfevents_open(fc_tfevents **events, const char *dir, int64_t first_step,
                           fc_err *err)
{
    fc_tfevents *opened = NULL;
    Tb__Event first = TB__EVENT__INIT;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&opened, 1, sizeof *opened, "a TensorBoard writer", err));
    opened->fd = -1;
    FC_TRY_GOTO(create(opened, dir, err));
    first.wall_time = fc_wall_clock_s();
    first.what_case = TB__EVENT__WHAT_FILE_VERSION;
    first.file_version = unconst("brain.Event:2");
    FC_TRY_GOTO(add_event(opened, &first, err));
    if (first_step > 0) FC_TRY_GOTO(add_restart(opened, first_step, err));
    FC_TRY_GOTO(fc_tfevents_flush(opened, err));
    *events = opened;
    opened = NULL;
done:
    if (opened != NULL && opened->fd >= 0) (void)unlink(opened->path);
    if (opened != NULL) opened->n_pending = 0;
    fc_tfevents_close(opened);
    return status;
}

fc_status fc_tfevents_scalar(fc_tfevents *events, const char *tag, int64_t step,
                             double value, fc_err *err)
{
    Tb__Summary__Value v;
    tb__summary__value__init(&v);
    v.value_case = TB__SUMMARY__VALUE__VALUE_SIMPLE_VALUE;
    v.simple_value = (float)value;
    return add_value(events, step, &v, tag, err);
}

/* Sums and range of the finite values. */
static void summarise(Tb__Histogram *h, const float *values, int64_t n)
{
    double min = HUGE_VAL, max = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)values[i];
        if (!isfinite(x)) continue;
        min = fmin(min, x);
        max = fmax(max, x);
        h->num += 1;
        h->sum += x;
        h->sum_squares += x * x;
    }
    if (h->num > 0) {
        h->min = min;
        h->max = max;
    }
}

/* Not finite values are left out. All values equal: all in the last bucket. */
static void fill_buckets(Tb__Histogram *h, const float *values, int64_t n)
{
    const double width = h->max - h->min;
    for (int i = 0; i < N_BUCKETS; i++)
        h->bucket_limit[i] =
            i + 1 < N_BUCKETS ? h->min + width * (i + 1) / N_BUCKETS : h->max;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)values[i];
        if (!isfinite(x)) continue;
        const int at =
            width > 0 ? (int)((x - h->min) / width * N_BUCKETS) : N_BUCKETS - 1;
        h->bucket[at < N_BUCKETS ? at : N_BUCKETS - 1] += 1;
    }
}

fc_status fc_tfevents_histogram(fc_tfevents *events, const char *tag, int64_t step,
                                const float *values, int64_t n, fc_err *err)
{
    double limits[N_BUCKETS] = {0}, counts[N_BUCKETS] = {0};
    Tb__Histogram h = TB__HISTOGRAM__INIT;
    Tb__Summary__Value v;
    tb__summary__value__init(&v);
    h.n_bucket_limit = h.n_bucket = N_BUCKETS;
    h.bucket_limit = limits;
    h.bucket = counts;
    summarise(&h, values, n);
    fill_buckets(&h, values, n);
    v.value_case = TB__SUMMARY__VALUE__VALUE_HISTO;
    v.histo = &h;
    return add_value(events, step, &v, tag, err);
}

fc_status fc_tfevents_text(fc_tfevents *events, const char *tag, int64_t step,
                           const char *markdown, fc_err *err)
{
    Tb__SummaryMetadata__PluginData plugin;
    Tb__SummaryMetadata metadata = TB__SUMMARY_METADATA__INIT;
    Tb__TensorShape shape = TB__TENSOR_SHAPE__INIT; /* no dimensions: rank 0 */
    Tb__Tensor tensor = TB__TENSOR__INIT;
    Tb__Summary__Value v;
    ProtobufCBinaryData text = {.len = strlen(markdown),
                                .data = (uint8_t *)unconst(markdown)};
    tb__summary_metadata__plugin_data__init(&plugin);
    tb__summary__value__init(&v);
    plugin.plugin_name = unconst("text");
    metadata.plugin_data = &plugin;
    metadata.data_class = CLASS_TENSOR;
    tensor.dtype = DTYPE_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 1;
    tensor.string_val = &text;
    v.metadata = &metadata;
    v.value_case = TB__SUMMARY__VALUE__VALUE_TENSOR;
    v.tensor = &tensor;
    return add_value(events, step, &v, tag, err);
}

fc_status fc_tfevents_flush(fc_tfevents *events, fc_err *err)
{
    int64_t at = 0;
    while (at < events->n_pending) {
        const ssize_t n =
            write(events->fd, events->pending + at, (size_t)(events->n_pending - at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const fc_status status =
                fc_fail_errno(err, "cannot write '%s'", events->path);
            if (ftruncate(events->fd, events->n_written) == 0)
                (void)lseek(events->fd, events->n_written, SEEK_SET);
            return status;
        }
        at += n;
    }
    events->n_written += at;
    events->n_pending = 0;
    return FC_OK;
}

void fc_tfevents_close(fc_tfevents *events)
{
    if (events == NULL) return;
    if (events->fd >= 0) {
        (void)fc_tfevents_flush(events, NULL);
        (void)close(events->fd);
    }
    fc_free(events->pending);
    fc_free(events);
}
