/* err.h - status codes and the one sentence that goes with a failure.
 *
 * Fallible functions return fc_status and take fc_err *err last. On success err is untouched,
 * so calls chain; on failure it holds one complete sentence: file, place, found, expected.
 * Only cli/ prints it. err may be NULL where the caller does not want the sentence.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_ERR_H
#define FC_BASE_ERR_H

#include <stdarg.h>

#include "base/macros.h"

/* X(name, word, exit code of the program) */
#define FC_STATUS_TABLE(X)        \
    X(FC_OK, "ok", 0)             \
    X(FC_USAGE, "usage", 2)       \
    X(FC_IO, "io", 1)             \
    X(FC_FORMAT, "format", 1)     \
    X(FC_MISMATCH, "mismatch", 1) \
    X(FC_NOMEM, "memory", 1)      \
    X(FC_DEVICE, "device", 1)     \
    X(FC_CANCELLED, "cancelled", 130)

#define FC_STATUS_ENUM(name, word, code) name,
typedef enum FC_MUST_CHECK fc_status { FC_STATUS_TABLE(FC_STATUS_ENUM) } fc_status;
#undef FC_STATUS_ENUM

typedef struct fc_err {
    fc_status status;
    char text[1024];
} fc_err;

/* Records the sentence (printf style, no newline, no final full stop) and returns status. */
fc_status fc_fail(fc_err *err, fc_status status, const char *format, ...) FC_PRINTF(3, 4);

/* The same with the meaning of errno appended: "cannot open 'x': No such file or directory". */
fc_status fc_fail_errno(fc_err *err, const char *format, ...) FC_PRINTF(2, 3);

/* Puts "prefix: " before the sentence already in err and returns its status. */
fc_status fc_fail_in(fc_err *err, const char *format, ...) FC_PRINTF(2, 3);

#if defined(__clang_analyzer__) /* which cannot see that these never return FC_OK */
#    define fc_fail(err, status, ...) ((void)fc_fail(err, status, __VA_ARGS__), (status))
#    define fc_fail_errno(err, ...)   ((void)fc_fail_errno(err, __VA_ARGS__), FC_IO)
#    define fc_fail_in(err, ...)      ((void)fc_fail_in(err, __VA_ARGS__), FC_IO)
#endif

const char *fc_status_word(fc_status status);
int fc_status_exit_code(fc_status status);

/* Returns the status of a call that failed. */
#define FC_TRY(call)                                        \
    do {                                                    \
        const fc_status fc_try_status_ = (call);            \
        if (fc_try_status_ != FC_OK) return fc_try_status_; \
    } while (0)

/* The same inside a function with one exit: needs "fc_status status" and a label "done". */
#define FC_TRY_GOTO(call)               \
    do {                                \
        status = (call);                \
        if (status != FC_OK) goto done; \
    } while (0)

#endif
