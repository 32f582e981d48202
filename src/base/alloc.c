/* alloc.c - the heap behind one door: checked sizes, 64-byte alignment, a fault on request.
 *
 * aligned_alloc and memset instead of calloc: kernels want whole cache lines. Growing copies,
 * because realloc keeps no alignment; doubling keeps that linear in total.
 *
 * Large blocks ask for huge pages: a gigabyte of weights is there four times as soon, and products
 * miss the TLB less.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* madvise. NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _DEFAULT_SOURCE
#include "base/alloc.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, MIN_CAPACITY = 16, HUGE_PAGE = 2 << 20 };

static const int64_t MAX_BYTES = (int64_t)1 << 47; /* the address space of a process */

/* Globals by intent, for tests only. NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables) */
static _Atomic int64_t n_allocations;
static _Atomic int64_t n_until_fault; /* 0 = never */
/* NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables) */

int64_t fc_alloc_count(void)
{
    return n_allocations;
}

void fc_alloc_fail_at(int64_t n)
{
    n_until_fault = n;
}

static bool is_fault_due(void)
{
    if (n_until_fault == 0) return false;
    return atomic_fetch_sub(&n_until_fault, 1) == 1;
}

fc_status fc_bytes(int64_t n, size_t size, size_t *bytes, fc_err *err)
{
    if (n < 0 || (size > 0 && (uint64_t)n > (uint64_t)MAX_BYTES / size))
        return fc_fail(err, FC_NOMEM,
                       "%" PRId64 " elements of %zu bytes are not a possible size", n,
                       size);
    *bytes = (size_t)n * size;
    return FC_OK;
}

static void *take_huge(size_t n_bytes)
{
    const size_t n_pages = n_bytes / HUGE_PAGE;
    void *const p = aligned_alloc(HUGE_PAGE, (n_pages + 1) * HUGE_PAGE);
#if defined(MADV_HUGEPAGE)
    if (p != NULL) (void)madvise(p, n_pages * HUGE_PAGE, MADV_HUGEPAGE); /* a wish */
#endif
    return p;
}

/* Memory that is not zeroed. */
static fc_status take(void **p, int64_t n, size_t size, const char *what, fc_err *err)
{
    size_t bytes = 0;
    *p = NULL;
    if (fc_bytes(n, size, &bytes, NULL) != FC_OK)
        return fc_fail(err, FC_NOMEM,
                       "%s: %" PRId64 " elements of %zu bytes are not a possible size",
                       what, n, size);
    atomic_fetch_add(&n_allocations, 1);
    if (!is_fault_due())
        *p = bytes >= HUGE_PAGE
                 ? take_huge(bytes)
                 : aligned_alloc(ALIGNMENT, (bytes / ALIGNMENT + 1) * ALIGNMENT);
    if (*p == NULL)
        return fc_fail(err, FC_NOMEM, "no memory left for %s: %zu bytes are needed", what,
                       bytes);
    return FC_OK;
}

fc_status fc_alloc(void *pointer_to_pointer, int64_t n, size_t size, const char *what,
                   fc_err *err)
{
    void *p;
    const fc_status status = take(&p, n, size, what, err);
    if (status == FC_OK) memset(p, 0, (size_t)n * size);
    memcpy(pointer_to_pointer, &p, sizeof p);
    return status;
}

fc_status fc_grow(void *pointer_to_pointer, int64_t *capacity, int64_t n_needed,
                  size_t size, const char *what, fc_err *err)
{
    if (n_needed <= *capacity) return FC_OK;
    const int64_t n_doubled = *capacity > INT64_MAX / 2 ? INT64_MAX : *capacity * 2;
    const int64_t n_new = fc_max(fc_max(n_needed, n_doubled), MIN_CAPACITY);
    void *old, *p;
    memcpy(&old, pointer_to_pointer, sizeof old);
    FC_TRY(take(&p, n_new, size, what, err));
    if (old != NULL) memcpy(p, old, (size_t)*capacity * size);
    fc_free(old);
    memcpy(pointer_to_pointer, &p, sizeof p);
    *capacity = n_new;
    return FC_OK;
}

fc_status fc_strdup(char **copy, const char *text, fc_err *err)
{
    const size_t n_bytes = strlen(text) + 1;
    FC_TRY(fc_alloc(copy, (int64_t)n_bytes, 1, "a text", err));
    memcpy(*copy, text, n_bytes);
    return FC_OK;
}

void fc_free(void *p)
{
    free(p);
}
