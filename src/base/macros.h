/* macros.h - the few language helpers that every file may use.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_MACROS_H
#define FC_BASE_MACROS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
#    define restrict __restrict__
#endif

/* On an enum: clang warns at every ignored call that returns it. gcc ignores the attribute. */
#if defined(__clang__)
#    define FC_MUST_CHECK __attribute__((warn_unused_result))
#else
#    define FC_MUST_CHECK
#endif

#define FC_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Number of elements of a true array. */
#define FC_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* FC_ASSERT states a precondition (debug and test builds). FC_CHECK is always on: a cheap
 * invariant whose failure means a bug of ours, never bad input. */
#define FC_ASSERT(condition) assert(condition)
#define FC_CHECK(condition) \
    ((condition) ? (void)0 : fc_check_failed(#condition, __FILE__, __LINE__))

_Noreturn void fc_check_failed(const char *condition, const char *file, int line);

static inline int64_t fc_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t fc_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t fc_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static inline int64_t fc_round_up(int64_t a, int64_t b)
{
    return fc_ceil_div(a, b) * b;
}

#endif
