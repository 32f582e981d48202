/* err.c - the sentence of a failure: recorded once, where it happened, prefixed on the way up.
 *
 * A sentence that does not fit is cut at the end, never in the middle: the file and the place
 * come first by convention, and they matter most.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef fc_fail
#undef fc_fail_errno
#undef fc_fail_in

typedef struct status_info {
    const char *word;
    int exit_code;
} status_info;

#define STATUS_ROW(name, word, code) [name] = {word, code},
static const status_info statuses[] = {FC_STATUS_TABLE(STATUS_ROW)};
#undef STATUS_ROW

fc_status fc_fail(fc_err *err, fc_status status, const char *format, ...)
{
    if (err == NULL) return status;
    va_list args;
    va_start(args, format);
    char text[sizeof err->text]; /* the arguments may point into err */
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(err->text, text, sizeof text);
    err->status = status;
    return status;
}

fc_status fc_fail_errno(fc_err *err, const char *format, ...)
{
    const int cause = errno;
    const fc_status status = cause == ENOMEM ? FC_NOMEM : FC_IO;
    if (err == NULL) return status;
    char text[sizeof err->text], meaning[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (strerror_r(cause, meaning, sizeof meaning) != 0)
        snprintf(meaning, sizeof meaning, "error %d", cause);
    return fc_fail(err, status, "%s: %s", text, meaning);
}

fc_status fc_fail_in(fc_err *err, const char *format, ...)
{
    if (err == NULL) return FC_IO;
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fc_fail(err, err->status, "%s: %s", text, err->text);
}

const char *fc_status_word(fc_status status)
{
    return (size_t)status < FC_LEN(statuses) ? statuses[status].word : "unknown";
}

int fc_status_exit_code(fc_status status)
{
    return (size_t)status < FC_LEN(statuses) ? statuses[status].exit_code : 1;
}

/* A bug of ours: nothing sensible can follow, so this is the one place that ends the process. */
_Noreturn void fc_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "facet: internal error: %s is false (%s:%d)\n", condition, file,
            line);
    abort();
}
