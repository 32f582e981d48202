/* tfevents_read.c - reads the scalars of TensorBoard event files back.
 *
 * The frame's checksums are compared before anything is decoded. A record that is cut off at
 * the end of a file is one that was not written yet, not an error; a wrong checksum is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/crc32c.h"
#include "formats/tfevents.h"
#include "formats/tfevents.pb-c.h"

enum { FRAME_HEAD = 12, FRAME_TAIL = 4 };

static uint64_t get_le(const uint8_t *from, int n_bytes)
{
    uint64_t value = 0;
    for (int i = n_bytes - 1; i >= 0; i--) value = value << 8 | from[i];
    return value;
}

/* protobuf-c's memory comes through the same door as ours; `ctx` notes that some was refused. */
static void *event_alloc(void *ctx, size_t n_bytes)
{
    void *p = NULL;
    if (n_bytes <= INT64_MAX &&
        fc_alloc(&p, (int64_t)n_bytes, 1, "an event", NULL) == FC_OK)
        return p;
    *(fc_status *)ctx = FC_NOMEM;
    return NULL;
}

static void event_free(void *ctx, void *p)
{
    (void)ctx;
    fc_free(p);
}

static fc_status give_scalars(const Tb__Event *event, fc_tfevents_fn *fn, void *ctx,
                              fc_err *err)
{
    if (event->what_case != TB__EVENT__WHAT_SUMMARY || event->summary == NULL)
        return FC_OK;
    for (size_t i = 0; i < event->summary->n_value; i++) {
        const Tb__Summary__Value *const value = event->summary->value[i];
        if (value->value_case == TB__SUMMARY__VALUE__VALUE_SIMPLE_VALUE)
            FC_TRY(fn(ctx, value->tag, event->step, (double)value->simple_value, err));
    }
    return FC_OK;
}

static fc_status read_event(const uint8_t *data, size_t n_bytes, const char *path,
                            size_t at, fc_tfevents_fn *fn, void *ctx, fc_err *err)
{
    fc_status memory = FC_OK;
    ProtobufCAllocator allocator = {event_alloc, event_free, &memory};
    Tb__Event *const event = tb__event__unpack(&allocator, n_bytes, data);
    if (event == NULL && memory != FC_OK)
        return fc_fail(err, FC_NOMEM, "%s: no memory for the event at byte %zu", path,
                       at);
    if (event == NULL)
        return fc_fail(err, FC_FORMAT, "%s: the record at byte %zu is not an Event", path,
                       at);
    const fc_status status = give_scalars(event, fn, ctx, err);
    tb__event__free_unpacked(event, &allocator);
    return status;
}

static fc_status read_records(const fc_map *map, const char *path, fc_tfevents_fn *fn,
                              void *ctx, fc_err *err)
{
    size_t at = 0;
    while (map->n_bytes - at >= FRAME_HEAD) {
        const uint8_t *const head = map->data + at;
        const uint64_t n = get_le(head, 8);
        if (get_le(head + 8, 4) != fc_crc32c_masked(head, 8))
            return fc_fail(err, FC_FORMAT, "%s: wrong checksum of the length at byte %zu",
                           path, at);
        const size_t n_left = map->n_bytes - at - FRAME_HEAD;
        if (n_left < FRAME_TAIL || n > n_left - FRAME_TAIL) return FC_OK;
        const uint8_t *const data = head + FRAME_HEAD;
        if (get_le(data + n, 4) != fc_crc32c_masked(data, (size_t)n))
            return fc_fail(err, FC_FORMAT, "%s: wrong checksum of the record at byte %zu",
                           path, at);
        FC_TRY(read_event(data, (size_t)n, path, at, fn, ctx, err));
        at += FRAME_HEAD + (size_t)n + FRAME_TAIL;
    }
    return FC_OK;
}

static bool is_event_file(const char *name)
{
    static const char empty_profile[] = ".profile-empty";
    const size_t n = strlen(name), n_tail = sizeof empty_profile - 1;
    if (strstr(name, "tfevents") == NULL) return false;
    return n < n_tail || strcmp(name + n - n_tail, empty_profile) != 0;
}

static fc_status read_file(const char *dir, const char *name, fc_tfevents_fn *fn,
                           void *ctx, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_map map = {0};
    FC_TRY(fc_path_join(path, dir, name, err));
    if (fc_path_is_dir(path)) return FC_OK;
    FC_TRY(fc_map_open(&map, path, err));
    const fc_status status = read_records(&map, path, fn, ctx, err);
    fc_map_close(&map);
    return status;
}

fc_status fc_tfevents_read(const char *dir, fc_tfevents_fn *fn, void *ctx, fc_err *err)
{
    fc_names names = {0};
    fc_status status = FC_OK;
    FC_TRY(fc_dir_list(&names, dir, err));
    for (int64_t i = 0; i < names.n && status == FC_OK; i++)
        if (is_event_file(names.name[i]))
            status = read_file(dir, names.name[i], fn, ctx, err);
    fc_names_free(&names);
    return status;
}
