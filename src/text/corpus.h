/* corpus.h - documents from files: WikiText, plain text, JSON lines (plain, gzip, zstd, or within a
 * zip archive), Parquet.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_CORPUS_H
#define FC_TEXT_CORPUS_H

#include <stdbool.h>

#include "base/err.h"

/* Where one document ends and the next begins.
 *   LINE       every line that is not blank; it keeps its spaces, not its '\n'
 *   PARAGRAPH  lines up to the next blank line, joined by '\n'
 *   DOCUMENT   WikiText: an article (from one " = Title = " line to the next);
 *              text: a file; JSON lines: a record; Parquet: a row. WikiText's loses blank lines
 *              round it
 *   PACKED     documents as DOCUMENT; sequences are then cut without regard to their borders
 * Parquet that holds WikiText, a line a row, is WikiText. A conversation is never split. */
typedef enum fc_split {
    FC_SPLIT_LINE,
    FC_SPLIT_PARAGRAPH,
    FC_SPLIT_DOCUMENT,
    FC_SPLIT_PACKED
} fc_split;
#define FC_SPLIT_CHOICES "line|paragraph|document|packed"

typedef enum fc_text_format {
    FC_TEXT_AUTO,
    FC_TEXT_WIKITEXT,
    FC_TEXT_PLAIN,
    FC_TEXT_JSONL,
    FC_TEXT_PARQUET
} fc_text_format;
#define FC_TEXT_FORMAT_CHOICES "auto|wikitext|plain|jsonl|parquet"

typedef struct fc_document { /* borrowed until the next call */
    int64_t
        id; /* 0, 1, ... over all files; the same file list always gives the same ids */
    const char *text; /* may hold zero bytes and invalid UTF-8 */
    int64_t n_bytes;
    const char *
        title; /* WikiText: of the article; JSON lines, Parquet: "title" or "id"; else file name */
    const char *source; /* path */
    int64_t line;       /* first line, or row, from 1 */
} fc_document;

/* A corpus source reads documents of one format: one file, one row of the table in corpus.c
 * (source_wikitext.c, source_plain.c, source_jsonl.c). */
typedef struct fc_corpus fc_corpus;

typedef struct fc_corpus_config {
    /* "-" is standard input; "x.zip" all texts in it, "x.zip:name" one; borrowed */
    const char *const *paths;
    int64_t n_paths;
    fc_text_format
        format; /* AUTO: by the name (.jsonl, .tokens, .wikitext.*, .raw, .txt, .parquet; then .gz, .zst), else by content */
    fc_split split;
    const char
        *field; /* member of JSON lines, or column, with the text; default "text" */
} fc_corpus_config;

fc_status fc_corpus_open(fc_corpus **corpus, const fc_corpus_config *config, fc_err *err);
fc_status fc_corpus_next(fc_corpus *corpus, fc_document *document, bool *is_end,
                         fc_err *err);
double
fc_corpus_fraction(const fc_corpus *corpus); /* read so far, 0..1; < 0 when unknown */
void fc_corpus_close(fc_corpus *corpus);

#endif
