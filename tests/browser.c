/* browser.c - chromium over a pipe: JSON messages that end in a zero byte, ours into its file 3, its
 * own out of file 4 (Chrome DevTools protocol, --remote-debugging-pipe).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "browser.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_MS = 120000 };

/* NULL where there is none. */
const char *fc_browser_path(void)
{
    static const char *const paths[] = {"/usr/bin/chromium", "/usr/bin/chromium-browser"};
    for (size_t i = 0; i < FC_LEN(paths); i++)
        if (access(paths[i], X_OK) == 0) return paths[i];
    return NULL;
}

static _Noreturn void exec_chromium(const char *path, const char *profile, int in,
                                    int out)
{
    char folder[FC_PATH_MAX + 32];
    snprintf(folder, sizeof folder, "--user-data-dir=%s", profile);
    /* Out of the way first: in and out may be 3 or 4 themselves. */
    in = fcntl(in, F_DUPFD, 10);
    out = fcntl(out, F_DUPFD, 10);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(in, 3);
    dup2(out, 4);
    dup2(null, STDERR_FILENO);
    execl(path, path, "--headless=new", "--no-sandbox", "--disable-gpu",
          "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
          "--disable-background-networking", "--remote-debugging-pipe", folder,
          (char *)NULL);
    _exit(127);
}

/* ---- messages ---- */

static void complain(fc_browser *b, const char *what)
{
    const size_t n = strlen(b->complaints);
    snprintf(b->complaints + n, sizeof b->complaints - n, "%s\n", what ? what : "?");
}

static const json_t *at(const json_t *object, const char *a, const char *c)
{
    return json_object_get(json_object_get(object, a), c);
}

static void take_event(fc_browser *b, const char *method, const json_t *params)
{
    if (strcmp(method, "Page.loadEventFired") == 0) b->is_loaded = true;
    if (strcmp(method, "Runtime.exceptionThrown") == 0)
        complain(b, json_string_value(json_object_get(
                        at(params, "exceptionDetails", "exception"), "description")));
    if (strcmp(method, "Log.entryAdded") == 0)
        complain(b, json_string_value(at(params, "entry", "text")));
    if (strcmp(method, "Runtime.consoleAPICalled") == 0) complain(b, "console");
    if (strcmp(method, "Network.requestWillBeSent") == 0) {
        const char *url = json_string_value(at(params, "request", "url"));
        if (url && strncmp(url, "file:", 5) != 0 && strncmp(url, "data:", 5) != 0)
            b->n_requests++;
    }
}

/* The next message; the caller releases it. */
static json_t *receive(fc_browser *b, const char *waited_for)
{
    for (;;) {
        const char *end = b->in.n > 0 ? memchr(b->in.data, 0, (size_t)b->in.n) : NULL;
        if (end != NULL) {
            const int64_t n = end - b->in.data + 1;
            json_t *message = json_loads(b->in.data, 0, NULL);
            memmove(b->in.data, b->in.data + n, (size_t)(b->in.n - n));
            b->in.n -= n;
            assert_non_null(message);
            return message;
        }
        char bytes[4096];
        fc_err err;
        struct pollfd ready = {.fd = b->from, .events = POLLIN};
        if (poll(&ready, 1, TIMEOUT_MS) != 1)
            fail_msg("chromium does not answer: %s", waited_for);
        const ssize_t n = read(b->from, bytes, sizeof bytes);
        if (n <= 0) fail_msg("chromium ended");
        fc_assert_ok(fc_strbuf_add(&b->in, bytes, n, &err), &err);
    }
}

/* Sends a command (params are given away) and returns its result, which the caller releases. */
static json_t *command(fc_browser *b, const char *method, json_t *params)
{
    const int64_t id = ++b->n_sent;
    json_t *message = json_pack("{sI,ss,so}", "id", (json_int_t)id, "method", method,
                                "params", params ? params : json_object());
    if (b->session[0]) json_object_set_new(message, "sessionId", json_string(b->session));
    char *text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    for (size_t done = 0, n = strlen(text) + 1; done < n;) {
        const ssize_t written = write(b->to, text + done, n - done);
        if (written <= 0) fail_msg("chromium does not read");
        done += (size_t)written;
    }
    free(text);
    for (;;) {
        json_t *answer = receive(b, method);
        const char *event = json_string_value(json_object_get(answer, "method"));
        if (event) take_event(b, event, json_object_get(answer, "params"));
        if (json_integer_value(json_object_get(answer, "id")) == id) {
            json_t *result = json_incref(json_object_get(answer, "result"));
            if (result == NULL) fail_msg("%s: %s", method, json_dumps(answer, 0));
            json_decref(answer);
            return result;
        }
        json_decref(answer);
    }
}

static void tell(fc_browser *b, const char *method, json_t *params)
{
    json_decref(command(b, method, params));
}

/* ---- what tests do ---- */

void fc_browser_open(fc_browser *b, const char *profile)
{
    int to[2], from[2];
    *b = (fc_browser){0};
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    b->pid = fork();
    if (b->pid == 0) exec_chromium(fc_browser_path(), profile, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    b->to = to[1];
    b->from = from[0];
    json_t *tab =
        command(b, "Target.createTarget", json_pack("{ss}", "url", "about:blank"));
    json_t *attached = command(
        b, "Target.attachToTarget",
        json_pack("{sO,sb}", "targetId", json_object_get(tab, "targetId"), "flatten", 1));
    snprintf(b->session, sizeof b->session, "%s",
             json_string_value(json_object_get(attached, "sessionId")));
    json_decref(tab);
    json_decref(attached);
    static const char *const domains[] = {"Page.enable", "Runtime.enable", "Log.enable",
                                          "Network.enable"};
    for (size_t i = 0; i < FC_LEN(domains); i++) tell(b, domains[i], NULL);
}

void fc_browser_close(fc_browser *b)
{
    close(b->to);
    close(b->from);
    if (b->pid > 0) {
        kill(b->pid, SIGTERM);
        waitpid(b->pid, NULL, 0);
    }
    fc_strbuf_free(&b->in);
}

void fc_browser_screen(fc_browser *b, int width, int height, bool is_phone, bool is_dark)
{
    tell(b, "Emulation.setDeviceMetricsOverride",
         json_pack("{si,si,si,sb}", "width", width, "height", height, "deviceScaleFactor",
                   is_phone ? 2 : 1, "mobile", is_phone));
    tell(b, "Emulation.setEmulatedMedia",
         json_pack("{s[{ss,ss}]}", "features", "name", "prefers-color-scheme", "value",
                   is_dark ? "dark" : "light"));
}

/* The value of an expression (a promise is waited for) as text; free() it. */
char *fc_browser_ask(fc_browser *b, const char *expression)
{
    json_t *result = command(b, "Runtime.evaluate",
                             json_pack("{ss,sb,sb}", "expression", expression,
                                       "awaitPromise", 1, "returnByValue", 1));
    const json_t *value = at(result, "result", "value");
    if (json_object_get(result, "exceptionDetails"))
        fail_msg("%s: %s", expression,
                 json_string_value(at(result, "result", "description")));
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_ENCODE_ANY);
    json_decref(result);
    return text != NULL ? text : strdup("undefined");
}

void fc_browser_assert(fc_browser *b, const char *expression, const char *expected,
                       const char *file, int line)
{
    char *answer = fc_browser_ask(b, expression);
    const bool is_equal = strcmp(answer, expected) == 0;
    if (!is_equal)
        print_error("%s:\n  is '%s', expected '%s'\n", expression, answer, expected);
    free(answer);
    if (!is_equal) _fail(file, line);
}

/* Waits until an expression is true: the page answers input a little later. */
void fc_browser_wait(fc_browser *b, const char *expression)
{
    char text[2048];
    snprintf(text, sizeof text,
             "new Promise((done, fail) => { let n = 0; (function look() {"
             " if (%s) done('true'); else if (++n > 500) fail(new Error('never'));"
             " else setTimeout(look, 20); })(); })",
             expression);
    fc_assert_page(b, text, "true");
}

void fc_browser_visit(fc_browser *b, const char *url)
{
    b->is_loaded = false;
    tell(b, "Page.navigate", json_pack("{ss}", "url", url));
    while (!b->is_loaded) {
        json_t *message = receive(b, "Page.loadEventFired");
        const char *event = json_string_value(json_object_get(message, "method"));
        if (event) take_event(b, event, json_object_get(message, "params"));
        json_decref(message);
    }
}

/* A key by its name ("Escape") or, being one letter, typed. */
void fc_browser_key(fc_browser *b, const char *key)
{
    const bool is_letter = strlen(key) == 1;
    json_t *down = json_pack("{ss,ss}", "type", "keyDown", "key", key);
    if (is_letter) json_object_set_new(down, "text", json_string(key));
    tell(b, "Input.dispatchKeyEvent", down);
    tell(b, "Input.dispatchKeyEvent", json_pack("{ss,ss}", "type", "keyUp", "key", key));
}

void fc_browser_type(fc_browser *b, const char *text)
{
    tell(b, "Input.insertText", json_pack("{ss}", "text", text));
}

/* The middle of the first element that a CSS selector names, once what is shown has settled. */
void fc_browser_point(fc_browser *b, const char *selector, bool is_click)
{
    static const char *const events[] = {"mouseMoved", "mousePressed", "mouseReleased"};
    char expression[512];
    double x, y;
    snprintf(
        expression, sizeof expression,
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {"
        " const r = document.querySelector('%s').getBoundingClientRect();"
        " done(`${r.left + r.width / 2} ${r.top + r.height / 2}`); })))",
        selector);
    char *place = fc_browser_ask(b, expression), *rest;
    x = strtod(place, &rest);
    y = strtod(rest, NULL);
    free(place);
    for (int i = 0; i < (is_click ? 3 : 1); i++)
        tell(b, "Input.dispatchMouseEvent",
             json_pack("{ss,sf,sf,ss,si}", "type", events[i], "x", x, "y", y, "button",
                       i > 0 ? "left" : "none", "clickCount", i > 0));
}

static int64_t from_base64(uint8_t *out, const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int64_t n = 0;
    uint32_t bits = 0;
    for (int i = 0; text[i] && text[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(letters, text[i]) - letters);
        if (i % 4 > 0) out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return n;
}

void fc_browser_picture(fc_browser *b, const char *path)
{
    json_t *result =
        command(b, "Page.captureScreenshot", json_pack("{ss}", "format", "png"));
    const char *text = json_string_value(json_object_get(result, "data"));
    uint8_t *bytes = malloc(strlen(text));
    assert_non_null(bytes);
    fc_test_write(path, bytes, (size_t)from_base64(bytes, text));
    free(bytes);
    json_decref(result);
}
