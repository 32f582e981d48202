/* arena.c - a list of blocks, newest first; an allocation moves the newest block's mark.
 *
 *   block: [ header 64 B | used ... | free ... ]      header and allocations 64-byte aligned
 *
 * Texts are packed byte by byte: a vocabulary has hundreds of thousands of short ones. Under
 * ASAN the free part is poisoned and a redzone follows each allocation, so that an overrun is
 * caught although the heap sees one block only.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HAS_ASAN 1
#    endif
#elif defined(__SANITIZE_ADDRESS__)
#    define HAS_ASAN 1
#endif

#if defined(HAS_ASAN)
#    include <sanitizer/asan_interface.h>
enum { REDZONE = 64, MIN_ALIGNMENT = 8 };
#else
enum { REDZONE = 0, MIN_ALIGNMENT = 1 };
#    define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#    define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { BLOCK_BYTES = 64 * 1024, HEADER = 64, ALIGNMENT = 64 };

typedef struct fc_arena_block {
    struct fc_arena_block *next;
    int64_t n_bytes; /* of the data behind the header */
    int64_t used;
} block;

_Static_assert(sizeof(block) <= HEADER, "the block header does not fit");

static unsigned char *block_data(block *b)
{
    return (unsigned char *)b + HEADER;
}

static fc_status add_block(fc_arena *arena, int64_t n_bytes, fc_err *err)
{
    block *b;
    n_bytes = fc_max(n_bytes, BLOCK_BYTES - HEADER);
    FC_TRY(fc_alloc(&b, n_bytes + HEADER, 1, "an arena", err));
    b->n_bytes = n_bytes;
    b->next = arena->head;
    arena->head = b;
    ASAN_POISON_MEMORY_REGION(block_data(b), (size_t)n_bytes);
    return FC_OK;
}

/* n_bytes that begin at a multiple of `alignment`, a power of two. */
static fc_status bump(fc_arena *arena, void **p, int64_t n_bytes, int64_t alignment,
                      fc_err *err)
{
    block *b = arena->head;
    int64_t begin = b != NULL ? fc_round_up(b->used, alignment) : 0;
    if (b == NULL || n_bytes + REDZONE > b->n_bytes - begin) {
        FC_TRY(add_block(arena, n_bytes + REDZONE, err));
        b = arena->head;
        begin = 0;
    }
    b->used = begin + n_bytes + REDZONE;
    *p = block_data(b) + begin;
    ASAN_UNPOISON_MEMORY_REGION(*p, (size_t)n_bytes);
    return FC_OK;
}

fc_status fc_arena_alloc(fc_arena *arena, void *pointer_to_pointer, int64_t n,
                         size_t size, fc_err *err)
{
    size_t n_bytes = 0;
    void *p;
    FC_TRY(fc_bytes(n, size, &n_bytes, err));
    FC_TRY(bump(arena, &p, (int64_t)n_bytes, ALIGNMENT, err));
    memcpy(pointer_to_pointer, &p, sizeof p);
    return FC_OK;
}

fc_status fc_arena_strdup(fc_arena *arena, char **copy, const char *text, int64_t n_bytes,
                          fc_err *err)
{
    size_t n = 0;
    void *p;
    FC_TRY(fc_bytes(n_bytes, 1, &n, err));
    FC_TRY(bump(arena, &p, n_bytes + 1, MIN_ALIGNMENT, err));
    if (n > 0) memcpy(p, text, n);
    *copy = p;
    return FC_OK;
}

void fc_arena_free(fc_arena *arena)
{
    while (arena->head != NULL) {
        block *b = arena->head;
        arena->head = b->next;
        ASAN_UNPOISON_MEMORY_REGION(block_data(b), (size_t)b->n_bytes);
        fc_free(b);
    }
}
