/* html_strings.c - a hash table with open addressing, in order of first appearance.
 *
 * A text is looked for from slot hash(text) on, to the first free one. Numbers follow the order of
 * the calls and not the table, so equal calls give equal numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/html_strings.h"

#include <string.h>

#include "base/alloc.h"

const char *fc_strings_get(const fc_strings *s, int64_t number, int64_t *n_bytes)
{
    const int64_t begin = number > 0 ? s->end[number - 1] : 0;
    *n_bytes = s->end[number] - begin;
    return fc_strbuf_text(&s->bytes) + begin;
}

/* FNV-1a. */
static uint64_t hash(const char *text, int64_t n_bytes)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n_bytes; i++) h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* The slot of the text: the one that holds it, or the free one where it belongs. */
static int64_t *find_slot(const fc_strings *s, const char *text, int64_t n_bytes)
{
    const uint64_t mask = (uint64_t)s->n_slots - 1;
    for (uint64_t i = hash(text, n_bytes) & mask;; i = (i + 1) & mask) {
        int64_t n_other;
        if (s->slot[i] == 0) return &s->slot[i];
        const char *other = fc_strings_get(s, s->slot[i] - 1, &n_other);
        if (n_other == n_bytes && memcmp(other, text, (size_t)n_bytes) == 0)
            return &s->slot[i];
    }
}

static fc_status make_room(fc_strings *s, fc_err *err)
{
    if (2 * (s->n + 1) <= s->n_slots) return FC_OK;
    int64_t *slot;
    const int64_t n_slots = fc_max(64, 2 * s->n_slots);
    FC_TRY(fc_alloc(&slot, n_slots, sizeof *slot, "a table of texts", err));
    fc_free(s->slot);
    s->slot = slot;
    s->n_slots = n_slots;
    for (int64_t i = 0; i < s->n; i++) {
        int64_t n_bytes;
        const char *text = fc_strings_get(s, i, &n_bytes);
        *find_slot(s, text, n_bytes) = i + 1;
    }
    return FC_OK;
}

fc_status fc_strings_number(fc_strings *s, const char *text, int64_t n_bytes,
                            int64_t *number, fc_err *err)
{
    FC_TRY(make_room(s, err));
    int64_t *slot = find_slot(s, text, n_bytes);
    if (*slot == 0) {
        FC_TRY(
            fc_grow(&s->end, &s->end_capacity, s->n + 1, sizeof *s->end, "texts", err));
        FC_TRY(fc_strbuf_add(&s->bytes, text, n_bytes, err));
        s->end[s->n++] = s->bytes.n;
        *slot = s->n;
    }
    *number = *slot - 1;
    return FC_OK;
}

void fc_strings_free(fc_strings *s)
{
    fc_strbuf_free(&s->bytes);
    fc_free(s->end);
    fc_free(s->slot);
    *s = (fc_strings){0};
}
