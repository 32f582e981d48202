/* source_wikitext.c - WikiText (Merity et al. 2016): articles one after the other in a file.
 *
 *      = Title =            begins an article: one '=' on each side
 *      = = Section = =      two and more: within the article
 *      Text of a paragraph .
 *
 * with a blank line round every heading. Formulas in the text can look like a title, so a title
 * counts only at the beginning of the file or behind a blank line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/corpus_internal.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* " = Title = " to "Title". */
static bool find_title(const char *text, int64_t n, const char **title, int64_t *n_title)
{
    const char *end = text + n;
    while (text < end && is_space(*text)) text++;
    while (end > text && is_space(end[-1])) end--;
    if (end - text < 5 || memcmp(text, "= ", 2) != 0 || memcmp(end - 2, " =", 2) != 0)
        return false;
    text += 2;
    end -= 2;
    if (*text == '=' || end[-1] == '=' || is_space(*text)) return false;
    *title = text;
    *n_title = end - text;
    return true;
}

bool fc_wikitext_is_heading(const char *text, int64_t n)
{
    const char *end = text + n;
    while (text < end && is_space(*text)) text++;
    while (end > text && is_space(end[-1])) end--;
    return end - text >= 5 && memcmp(text, "= ", 2) == 0 && memcmp(end - 2, " =", 2) == 0;
}

static bool is_blank(const char *text, int64_t n)
{
    while (n > 0 && is_space(text[n - 1])) n--;
    return n == 0;
}

typedef struct wikitext {
    bool is_in_text; /* the line before was not blank */
} wikitext;

static fc_status next_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err)
{
    if (!file->state)
        FC_TRY(fc_alloc(&file->state, 1, sizeof(wikitext), "corpus source", err));
    wikitext *state = file->state;
    FC_TRY(fc_text_file_line(file, line, is_end, err));
    if (*is_end) return FC_OK;
    if (line->number == 1) { /* until the first title */
        line->title = fc_path_base(file->path);
        line->n_title = (int64_t)strlen(line->title);
    }
    if (!state->is_in_text) find_title(line->text, line->n, &line->title, &line->n_title);
    state->is_in_text = !is_blank(line->text, line->n);
    return FC_OK;
}

static bool is_first_line(const char *text, int64_t n)
{
    const char *title = NULL;
    int64_t n_title = 0;
    return find_title(text, n, &title, &n_title);
}

static void close_file(fc_text_file *file)
{
    fc_free(file->state);
}

static const char *const suffixes[] = {".wikitext", ".wikitext.raw", ".tokens", ".raw",
                                       NULL};

const fc_source fc_source_wikitext = {
    .name = "wikitext",
    .suffixes = suffixes,
    .is_first_line = is_first_line,
    .has_blank_borders = true,
    .line = next_line,
    .close = close_file,
};
