/* alloc.h - checked sizes and the heap, seen through one door so that tests can make it fail.
 *
 * Sizes that come from files are hostile: every count becomes bytes through fc_bytes, the only
 * place where int64_t turns into size_t. Memory is 64-byte aligned and zeroed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_ALLOC_H
#define FC_BASE_ALLOC_H

#include "base/err.h"

/* n * size in bytes. Fails with FC_NOMEM when n is negative or the product exceeds 2^47. */
fc_status fc_bytes(int64_t n, size_t size, size_t *bytes, fc_err *err);

/* n * size bytes, zeroed, 64-byte aligned; n = 0 gives a pointer that may be freed. `what`
 * names the thing in the sentence ("token ids"). Free with fc_free. */
fc_status fc_alloc(void *pointer_to_pointer, int64_t n, size_t size, const char *what,
                   fc_err *err);

/* Grows *p (n_old elements kept) to at least n_needed elements by doubling; *capacity follows.
 * The new part is not zeroed. */
fc_status fc_grow(void *pointer_to_pointer, int64_t *capacity, int64_t n_needed,
                  size_t size, const char *what, fc_err *err);

fc_status fc_strdup(char **copy, const char *text, fc_err *err);
void fc_free(void *p); /* accepts NULL */

/* Number of allocations made since the program began. The steady state adds none. */
int64_t fc_alloc_count(void);

/* Test hook: the n-th allocation from now on fails (1 = the next); 0 = none. */
void fc_alloc_fail_at(int64_t n);

#endif
