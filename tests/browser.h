/* browser.h - Debian's chromium, headless, for tests of pages: visits, keys, questions, pictures.
 *
 * What a page complains about (exceptions, console, policy) and what it asks the network for is
 * kept, so that a test can say that there was none. Every fault of the browser fails the test.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BROWSER_H
#define FC_BROWSER_H

#include "testing.h"

#include <sys/types.h>

#include "base/strbuf.h"

typedef struct fc_browser {
    pid_t pid;
    int to, from;
    int64_t n_sent;
    fc_strbuf in;     /* what came and is not yet a whole message */
    char session[64]; /* of the one tab */
    char complaints[2048];
    int64_t n_requests; /* for anything but files and data: */
    bool is_loaded;
} fc_browser;

const char *fc_browser_path(void); /* of the program; NULL where there is none */

/* profile: an empty folder, which the caller removes. */
void fc_browser_open(fc_browser *b, const char *profile);
void fc_browser_close(fc_browser *b);

void fc_browser_screen(fc_browser *b, int width, int height, bool is_phone, bool is_dark);
void fc_browser_visit(fc_browser *b, const char *url); /* until it is loaded */

/* The value of an expression (a promise is waited for) as text; free() it. */
char *fc_browser_ask(fc_browser *b, const char *expression);
/* Waits until an expression is true: a page answers input a little later. */
void fc_browser_wait(fc_browser *b, const char *expression);
#define fc_assert_page(b, expression, expected) \
    fc_browser_assert((b), (expression), (expected), __FILE__, __LINE__)
void fc_browser_assert(fc_browser *b, const char *expression, const char *expected,
                       const char *file, int line);

/* A key by its name ("Escape") or, being one letter, typed; a text; the mouse over the middle of the
 * first element that a CSS selector names. */
void fc_browser_key(fc_browser *b, const char *key);
void fc_browser_type(fc_browser *b, const char *text);
void fc_browser_point(fc_browser *b, const char *selector, bool is_click);

void fc_browser_picture(fc_browser *b, const char *path); /* of what is in sight, PNG */

#endif
