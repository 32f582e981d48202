/* terminal.c - the one log sink of the program.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

typedef struct terminal {
    bool is_quiet, is_json, is_verbose, is_tty;
    bool is_bar_drawn;
    double last_s;   /* when something was last shown */
    const char *job; /* the job last_s belongs to */
} terminal;

/* Exists once, like the terminal it stands for. NOLINTNEXTLINE(*-avoid-non-const-global-variables) */
static terminal term;

static void json_line(json_t *object)
{
    if (!object) return;
    json_dumpf(object, stderr,
               JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    fputc('\n', stderr);
    json_decref(object);
}

static void clear_bar(terminal *t)
{
    if (t->is_bar_drawn) fputs("\r\033[K", stderr);
    t->is_bar_drawn = false;
}

static void show_message(void *ctx, fc_log_level level, const char *text)
{
    static const char *const word[] = {"error", "warning", "info", "debug"};
    terminal *t = ctx;
    if (level == FC_LOG_DEBUG && !t->is_verbose) return;
    if (level == FC_LOG_INFO && t->is_quiet) return;
    if (t->is_json) {
        json_line(json_pack("{ss, ss}", "level", word[level], "message", text));
        return;
    }
    clear_bar(t);
    if (level == FC_LOG_INFO)
        fprintf(stderr, "%s\n", text);
    else
        fprintf(stderr, "%s: %s\n", word[level], text);
}

/* 12.3k, 4.56M: three digits are enough for a rate. */
static void short_number(char out[16], double x)
{
    static const char *const unit[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    while (x >= 999.5 && i + 1 < FC_LEN(unit)) {
        x /= 1000;
        i++;
    }
    snprintf(out, 16,
             x < 9.995 && i > 0   ? "%.2f%s"
             : x < 99.95 && i > 0 ? "%.1f%s"
                                  : "%.0f%s",
             x, unit[i]);
}

static void short_time(char out[16], double s)
{
    if (s < 60)
        snprintf(out, 16, "%.0fs", s);
    else if (s < 3600)
        snprintf(out, 16, "%d:%02d", (int)s / 60, (int)s % 60);
    else
        snprintf(out, 16, "%dh%02dm", (int)(s / 3600) % 100000, (int)(s / 60) % 60);
}

static void draw(const terminal *t, const fc_progress *p, double elapsed, double rate)
{
    enum { WIDTH = 24 };
    char done[16], total[16], speed[16], left[16] = "?";
    const double fraction = p->total > 0 ? p->done / p->total : 0;
    short_number(done, p->done);
    short_number(total, p->total);
    short_number(speed, rate);
    if (rate > 0 && p->total > 0) short_time(left, (p->total - p->done) / rate);
    if (t->is_tty) {
        char bar[WIDTH + 1];
        const int filled = (int)(fraction * WIDTH);
        for (int i = 0; i < WIDTH; i++) bar[i] = i < filled ? '#' : '.';
        bar[WIDTH] = 0;
        if (p->total > 0)
            fprintf(stderr, "\r\033[K%-8s [%s] %3.0f%%  %s/%s %s  %s/s  %s left", p->job,
                    bar, 100 * fraction, done, total, p->unit, speed, left);
        else
            fprintf(stderr, "\r\033[K%-8s %s %s  %s/s", p->job, done, p->unit, speed);
        if (p->note[0]) fprintf(stderr, "  %s", p->note);
    } else {
        char since[16];
        short_time(since, elapsed);
        fprintf(stderr, "%s: %s of %s %s, %s/s, %s so far, %s left%s%s\n", p->job, done,
                p->total > 0 ? total : "?", p->unit, speed, since, left,
                p->note[0] ? ", " : "", p->note);
    }
    (void)fflush(stderr);
}

static void show_progress(void *ctx, const fc_progress *p, int is_end)
{
    terminal *t = ctx;
    const double now = fc_clock_s(), elapsed = now - p->begin_s;
    if (t->is_quiet) return;
    if (is_end) {
        clear_bar(t);
        t->job = NULL;
        return;
    }
    if (t->job != p->job) { /* first sight of this job: the two silent seconds begin */
        t->job = p->job;
        t->last_s = p->begin_s + (t->is_tty ? 2.0 : 0.0);
    }
    const double interval = t->is_tty && !t->is_json ? 0.1 : 10.0;
    if (elapsed < 2 || now - t->last_s < interval) return;
    t->last_s = now;
    const double rate = (p->done - p->begin_done) / elapsed;
    if (t->is_json) {
        json_line(json_pack("{ss, ss, sf, sf, sf, sf, ss}", "progress", p->job, "unit",
                            p->unit, "done", p->done, "total", p->total, "per_second",
                            rate, "seconds", elapsed, "note", p->note));
        return;
    }
    draw(t, p, elapsed, rate);
    t->is_bar_drawn = t->is_tty;
}

void fc_terminal_init(bool is_quiet, bool is_json, bool is_verbose)
{
    term = (terminal){.is_quiet = is_quiet,
                      .is_json = is_json,
                      .is_verbose = is_verbose,
                      .is_tty = isatty(STDERR_FILENO) != 0};
    fc_log_set_sink((fc_log_sink){show_message, show_progress, &term});
}

void fc_terminal_error(const char *command, const fc_err *err)
{
    clear_bar(&term);
    if (term.is_json)
        json_line(json_pack("{ss, ss, ss?}", "level", "error", "message", err->text,
                            "command", command));
    else
        fprintf(stderr, "facet%s%s: %s\n", command ? " " : "", command ? command : "",
                err->text);
}
