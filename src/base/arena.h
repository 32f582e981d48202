/* arena.h - many small things with one lifetime.
 *
 * Blocks of at least 64 KiB in a list; an allocation bumps a pointer, nothing is freed singly.
 * Used for configs, parsed vocabularies, weight tables: what is read once and dropped together.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_ARENA_H
#define FC_BASE_ARENA_H

#include "base/err.h"

typedef struct fc_arena {
    struct fc_arena_block *head; /* newest first; NULL = empty */
} fc_arena;

/* An arena set to {0} is ready. Memory is zeroed, 64-byte aligned, valid until fc_arena_free. */
fc_status fc_arena_alloc(fc_arena *arena, void *pointer_to_pointer, int64_t n,
                         size_t size, fc_err *err);
fc_status fc_arena_strdup(fc_arena *arena, char **copy, const char *text, int64_t n_bytes,
                          fc_err *err);
void fc_arena_free(fc_arena *arena); /* back to {0} */

#endif
