/* corpus.c - files to documents: opens them, tells their format, gathers lines.
 *
 *     files ──instream──> bytes ──source──> lines ──split──> documents
 *
 * A source marks the line with which a document begins; the rest is the same for all formats:
 * a line, a run of lines up to a blank one, or all lines up to the next beginning. Documents of
 * nothing but white space are passed over and get no id.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/corpus.h"

#include <string.h>

#include "base/alloc.h"
#include "formats/parquet.h"
#include "text/corpus_internal.h"

/* By fc_text_format; AUTO tries the names in this order, then the first line that is not blank. */
static const fc_source *const sources[] = {
    [FC_TEXT_WIKITEXT] = &fc_source_wikitext,
    [FC_TEXT_PLAIN] = &fc_source_plain,
    [FC_TEXT_JSONL] = &fc_source_jsonl,
    [FC_TEXT_PARQUET] = &fc_source_parquet,
};

struct fc_corpus {
    fc_corpus_files files;
    fc_text_format format;
    fc_split split;
    char *field;

    int64_t n_opened; /* files opened so far; the last of them is in hand, see n_taken */
    fc_text_file file;
    const fc_source *source; /* of the file in hand; NULL: none */
    fc_line line;            /* a line that was read and belongs to the next document */
    bool has_line;

    int64_t n_documents;
    fc_strbuf text, title;
    int64_t first_line;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_blank(const char *text, int64_t n)
{
    while (n > 0 && is_space(text[n - 1])) n--;
    return n == 0;
}

/* --- files -------------------------------------------------------------------------------- */

fc_status fc_text_file_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err)
{
    *line = (fc_line){0};
    *is_end = false;
    if (file->ahead_at < file->ahead.n) {
        line->text = file->ahead.data + file->ahead_at;
        const char *newline =
            memchr(line->text, '\n', (size_t)(file->ahead.n - file->ahead_at));
        line->n = newline - line->text;
        file->ahead_at += line->n + 1;
    } else if (file->rows) {
        FC_TRY(fc_rows_line(file, &line->text, &line->n, is_end, err));
        if (*is_end) return FC_OK;
    } else {
        FC_TRY(fc_instream_line(file->in, &line->text, &line->n, is_end, err));
        if (*is_end) return FC_OK;
    }
    line->number = ++file->n_lines;
    return FC_OK;
}

static bool ends_with(const char *name, size_t n, const char *suffix)
{
    const size_t n_suffix = strlen(suffix);
    return n > n_suffix && memcmp(name + n - n_suffix, suffix, n_suffix) == 0;
}

const fc_source *fc_source_by_name(const char *path)
{
    static const char *const packed[] = {".gz", ".zst", ".zstd"};
    size_t n = strlen(path);
    for (size_t i = 0; i < FC_LEN(packed); i++)
        if (ends_with(path, n, packed[i])) {
            n -= strlen(packed[i]);
            break;
        }
    for (size_t i = 0; i < FC_LEN(sources); i++)
        for (const char *const *at = sources[i] ? sources[i]->suffixes : NULL; at && *at;
             at++)
            if (ends_with(path, n, *at)) return sources[i];
    return NULL;
}

/* Reads to the first line that is not blank; what was read waits in `ahead`. */
static fc_status source_by_content(fc_text_file *file, const fc_source **source,
                                   fc_err *err)
{
    *source = &fc_source_plain;
    for (;;) {
        const char *text = NULL;
        int64_t n = 0;
        bool is_end = false;
        FC_TRY(fc_instream_line(file->in, &text, &n, &is_end, err));
        if (is_end) return FC_OK;
        FC_TRY(fc_strbuf_add(&file->ahead, text, n, err));
        FC_TRY(fc_strbuf_add(&file->ahead, "\n", 1, err));
        if (is_blank(text, n)) continue;
        for (size_t i = 0; i < FC_LEN(sources); i++)
            if (sources[i] && sources[i]->is_first_line &&
                sources[i]->is_first_line(text, n))
                *source = sources[i];
        return FC_OK;
    }
}

static void close_file(fc_corpus *corpus)
{
    if (corpus->source && corpus->source->close) corpus->source->close(&corpus->file);
    fc_instream_close(corpus->file.in);
    fc_strbuf_free(&corpus->file.ahead);
    corpus->n_opened += corpus->file.n_taken;
    corpus->file = (fc_text_file){0};
    corpus->source = NULL;
}

static fc_status open_file(fc_corpus *corpus, fc_err *err)
{
    const fc_corpus_files *files = &corpus->files;
    const char *path = files->path[corpus->n_opened++];
    const fc_source *source = sources[corpus->format];
    if (!source) source = fc_source_by_name(path);
    if (!source && fc_parquet_is(path)) source = &fc_source_parquet;
    corpus->file = (fc_text_file){.path = path,
                                  .field = corpus->field,
                                  .follow = files->path + corpus->n_opened,
                                  .n_follow = files->n - corpus->n_opened};
    if (source && source->open && strcmp(path, "-") != 0) {
        corpus->source = source;
        const fc_status status = source->open(&corpus->file, err);
        if (status != FC_OK) close_file(corpus);
        return status;
    }
    FC_TRY(fc_instream_open(&corpus->file.in, path, err));
    if (!source) FC_TRY(source_by_content(&corpus->file, &source, err));
    if (source->open)
        return fc_fail(
            err, FC_FORMAT,
            "%s: Parquet has its directory at its end, so it cannot be read from "
            "a pipe or a packed file; give it as a file of its own",
            path);
    corpus->source = source;
    corpus->file.has_blank_borders = source->has_blank_borders;
    return FC_OK;
}

/* --- documents ---------------------------------------------------------------------------- */

/* Makes `line` the first of the document in hand. */
static fc_status begin_document(fc_corpus *corpus, const fc_line *line, fc_err *err)
{
    corpus->first_line = line->number;
    if (!line->title) return FC_OK;
    fc_strbuf_clear(&corpus->title);
    return fc_strbuf_add(&corpus->title, line->title, line->n_title, err);
}

/* Does the document in hand, whose first line is blank or not, end before `line`? */
static bool ends_before(const fc_corpus *corpus, const fc_line *line, bool is_first_blank)
{
    switch (corpus->split) {
    case FC_SPLIT_LINE: return true;
    case FC_SPLIT_PARAGRAPH:
        return line->title || is_first_blank || is_blank(line->text, line->n);
    case FC_SPLIT_DOCUMENT:
    case FC_SPLIT_PACKED: break;
    }
    return line->title;
}

/* Gathers the next document of the file in hand into corpus->text. */
static fc_status gather(fc_corpus *corpus, bool *is_end, fc_err *err)
{
    bool is_first_blank = false;
    const fc_line *line = &corpus->line;
    fc_strbuf_clear(&corpus->text);
    for (int64_t n_lines = 0;; n_lines++) {
        *is_end = false;
        if (!corpus->has_line)
            FC_TRY(corpus->source->line(&corpus->file, &corpus->line, is_end, err));
        corpus->has_line =
            !*is_end && n_lines > 0 && ends_before(corpus, line, is_first_blank);
        if (*is_end || corpus->has_line) {
            *is_end = n_lines == 0;
            return FC_OK;
        }
        if (n_lines == 0) {
            is_first_blank = is_blank(line->text, line->n);
            FC_TRY(begin_document(corpus, line, err));
        } else {
            FC_TRY(fc_strbuf_add(&corpus->text, "\n", 1, err));
        }
        FC_TRY(fc_strbuf_add(&corpus->text, line->text, line->n, err));
    }
}

/* Cuts blank lines off the ends of text[n]; returns how many at the beginning. */
static int64_t trim(const char **text, int64_t *n)
{
    int64_t n_lines = 0;
    const char *end = *text + *n;
    for (const char *at = end; at > *text && is_space(at[-1]); at--)
        if (at[-1] == '\n') *n = at - 1 - *text;
    for (;;) {
        const char *newline = memchr(*text, '\n', (size_t)*n);
        if (!newline || !is_blank(*text, newline - *text)) return n_lines;
        *n -= newline + 1 - *text;
        *text = newline + 1;
        n_lines++;
    }
}

fc_status fc_corpus_next(fc_corpus *corpus, fc_document *document, bool *is_end,
                         fc_err *err)
{
    for (;;) {
        if (!corpus->source) {
            *is_end = corpus->n_opened == corpus->files.n;
            if (*is_end) return FC_OK;
            FC_TRY(open_file(corpus, err));
        }
        FC_TRY(gather(corpus, is_end, err));
        if (*is_end)
            close_file(corpus);
        else if (!is_blank(fc_strbuf_text(&corpus->text), corpus->text.n))
            break;
    }
    *document = (fc_document){
        .id = corpus->n_documents++,
        .text = fc_strbuf_text(&corpus->text),
        .n_bytes = corpus->text.n,
        .title = fc_strbuf_text(&corpus->title),
        .source = corpus->file.path,
        .line = corpus->first_line,
    };
    if (corpus->file.has_blank_borders)
        document->line += trim(&document->text, &document->n_bytes);
    return FC_OK;
}

/* --- the corpus --------------------------------------------------------------------------- */

static fc_status copy_config(fc_corpus *corpus, const fc_corpus_config *config,
                             fc_err *err)
{
    if (config->n_paths < 1)
        return fc_fail(err, FC_USAGE, "the corpus has no files, expected at least one");
    corpus->format = config->format;
    corpus->split = config->split;
    FC_TRY(fc_strdup(&corpus->field, config->field ? config->field : "text", err));
    return fc_corpus_files_find(&corpus->files, config, err);
}

fc_status fc_corpus_open(fc_corpus **corpus, const fc_corpus_config *config, fc_err *err)
{
    fc_corpus *made = NULL;
    FC_TRY(fc_alloc(&made, 1, sizeof *made, "corpus", err));
    const fc_status status = copy_config(made, config, err);
    if (status != FC_OK) {
        fc_corpus_close(made);
        return status;
    }
    *corpus = made;
    return FC_OK;
}

double fc_corpus_fraction(const fc_corpus *corpus)
{
    double total = 0;
    double done = 0;
    const fc_text_file *file = &corpus->file;
    /* Files before the one in hand are done. */
    const int64_t n_done =
        corpus->source ? corpus->n_opened - 1 + file->n_taken : corpus->n_opened;
    for (int64_t i = 0; i < corpus->files.n; i++) {
        const double n_bytes = (double)corpus->files.n_bytes[i];
        total += n_bytes;
        if (i < n_done) done += n_bytes;
        if (i != n_done || !corpus->source) continue;
        const double fraction = corpus->source->fraction ? corpus->source->fraction(file)
                                                         : fc_instream_fraction(file->in);
        if (fraction < 0) return -1;
        done += n_bytes * fraction;
    }
    return total > 0 ? done / total : -1;
}

void fc_corpus_close(fc_corpus *corpus)
{
    if (!corpus) return;
    close_file(corpus);
    fc_corpus_files_free(&corpus->files);
    fc_free(corpus->field);
    fc_strbuf_free(&corpus->text);
    fc_strbuf_free(&corpus->title);
    fc_free(corpus);
}
