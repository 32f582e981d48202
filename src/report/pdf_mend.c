/* pdf_mend.c - three faults of Cairo 1.16 that strict readers notice, each mended in place at the
 * same length, so that no offset moves. What is not exactly as expected is not touched.
 *
 *   xref    each link leaves an entry that points at no object: it becomes a free entry
 *   images  one image drawn twice on a page has its name twice in /XObject << >>: the second
 *           is blanked
 *   dates   /CreationDate (20250102030405Z) -> /CreationDate(D:20250102030405)
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "report/pdf_mend.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY = 20 }; /* bytes of a cross-reference entry */

/* The first `word` in [p, end), or NULL. */
static char *find(char *p, const char *end, const char *word)
{
    const size_t n = strlen(word);
    while (end - p >= (ptrdiff_t)n) {
        p = memchr(p, word[0], (size_t)(end - p) - n + 1);
        if (p == NULL) return NULL;
        if (memcmp(p, word, n) == 0) return p;
        p++;
    }
    return NULL;
}

/* Decimal digits at p, at most 10, after spaces; -1 where there are none. *after may be NULL. */
static int64_t read_number(char *p, const char *end, char **after)
{
    int64_t n = -1;
    while (p < end && isspace((unsigned char)*p)) p++;
    for (int i = 0; i < 10 && p < end && isdigit((unsigned char)*p); i++, p++)
        n = (n < 0 ? 0 : n) * 10 + (*p - '0');
    if (after != NULL) *after = p;
    return n;
}

/* ---- images ---- */

typedef struct name {
    char *begin, *end;
} name;

/* The next "/x12 12 0 R" of a dictionary, up to the following name. */
static name next_name(char *p, char *end)
{
    name n = {memchr(p, '/', (size_t)(end - p)), end};
    if (n.begin == NULL) return n;
    char *next = memchr(n.begin + 1, '/', (size_t)(end - n.begin) - 1);
    if (next != NULL) n.end = next;
    while (n.end > n.begin && isspace((unsigned char)n.end[-1])) n.end--;
    return n;
}

static void blank_repeats(char *begin, char *end)
{
    for (name a = next_name(begin, end); a.begin != NULL; a = next_name(a.end, end))
        for (name b = next_name(begin, a.begin); b.begin != NULL && b.begin < a.begin;
             b = next_name(b.end, a.begin))
            if (b.end - b.begin == a.end - a.begin &&
                memcmp(b.begin, a.begin, (size_t)(a.end - a.begin)) == 0)
            {
                memset(a.begin, ' ', (size_t)(a.end - a.begin));
                break;
            }
}

/* The dictionary of the object that begins at p, if it names images. */
static void mend_images(char *p, char *end)
{
    char *stop = find(p, end, "endobj");
    if (stop == NULL) return;
    char *stream = find(p, stop, "stream");
    if (stream != NULL) stop = stream;
    char *images = find(p, stop, "/XObject <<");
    if (images == NULL) return;
    images += strlen("/XObject <<");
    char *close = find(images, stop, ">>");
    if (close != NULL) blank_repeats(images, close);
}

/* ---- cross references ---- */

static void mend_object(char *bytes, int64_t n, char *entry, int64_t i)
{
    static const char free_entry[18] = {'0', '0', '0', '0', '0', '0', '0', '0', '0',
                                        '0', ' ', '6', '5', '5', '3', '5', ' ', 'f'};
    char head[32];
    const int64_t at = read_number(entry, bytes + n, NULL);
    const int n_head = snprintf(head, sizeof head, "%" PRId64 " 0 obj", i);
    if (entry[17] != 'n' || at < 0) return;
    if (at + n_head <= n && memcmp(bytes + at, head, (size_t)n_head) == 0)
        mend_images(bytes + at, bytes + n);
    else
        memcpy(entry, free_entry, sizeof free_entry);
}

static void mend_objects(char *bytes, int64_t n)
{
    char *start = NULL, *p, *end = bytes + n;
    for (p = n > 1024 ? end - 1024 : bytes; (p = find(p, end, "startxref")) != NULL; p++)
        start = p;
    const int64_t at = start != NULL ? read_number(start + 9, end, NULL) : -1;
    if (at <= 0 || at + 10 > n || memcmp(bytes + at, "xref\n0 ", 7) != 0) return;
    const int64_t n_entries = read_number(bytes + at + 7, end, &p);
    p++; /* line end */
    for (int64_t i = 1; i < n_entries && end - p >= ENTRY * (i + 1); i++)
        mend_object(bytes, n, p + ENTRY * i, i);
}

/* ---- dates ---- */

static void mend_date(char *bytes, int64_t n, const char *key)
{
    const size_t n_key = strlen(key);
    char *end = bytes + n;
    for (char *p = bytes; (p = find(p, end, key)) != NULL; p += n_key) {
        char *value = p + n_key; /* " (20250102030405Z)" */
        char *close = end - value > 40 ? memchr(value, ')', 40) : NULL;
        if (close == NULL || value[0] != ' ' || value[1] != '(' || close[-1] != 'Z' ||
            !isdigit((unsigned char)value[2]))
            continue;
        memmove(value + 3, value + 2, (size_t)(close - value) - 3);
        value[0] = '(', value[1] = 'D', value[2] = ':';
    }
}

void fc_pdf_mend(char *bytes, int64_t n)
{
    if (n < 8 || memcmp(bytes, "%PDF-", 5) != 0) return;
    mend_objects(bytes, n);
    mend_date(bytes, n, "/CreationDate");
    mend_date(bytes, n, "/ModDate");
}
