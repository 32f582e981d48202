/* corpus_internal.h - what a corpus source is: a way to give lines and say where documents begin.
 *
 * corpus.c opens files, tells formats apart and gathers lines into documents as the split wants;
 * a source only knows its format. A new format is one file and one row of the table in corpus.c.
 * A source for files that are not a stream of lines opens them itself (source_parquet.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_CORPUS_INTERNAL_H
#define FC_TEXT_CORPUS_INTERNAL_H

#include "base/strbuf.h"
#include "formats/instream.h"
#include "text/corpus.h"

typedef struct fc_line { /* borrowed until the next line is read */
    const char *text;
    int64_t n;
    int64_t number;    /* in the file, from 1 */
    const char *title; /* not NULL: a document with this title begins here */
    int64_t n_title;
} fc_line;

typedef struct fc_rows fc_rows; /* of a Parquet file */

typedef struct fc_text_file {
    const char *path;
    const char *field;   /* of the configuration */
    fc_instream *in;     /* NULL: the source opened the file itself */
    fc_rows *rows;       /* then lines come from here */
    int64_t n_lines;     /* given so far */
    fc_strbuf ahead;     /* lines that were read to tell the format, each with '\n' */
    int64_t ahead_at;    /* given of them, in bytes */
    void *state;         /* of the source; NULL at first, freed by its close */
    char *const *follow; /* [n_follow] paths of the corpus after this one */
    int64_t n_follow;
    int64_t n_taken; /* of them: a source may go on to files that continue this one */
    bool has_blank_borders; /* as the source, unless its open says otherwise */
} fc_text_file;

/* The next line as the file has it; a source calls this. */
fc_status fc_text_file_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err);

typedef struct fc_source {
    const char *name;
    const char *const *suffixes; /* of file names, without .gz and .zst; ends with NULL */
    bool (*is_first_line)(const char *text,
                          int64_t n); /* can a file begin so? NULL: always */
    bool has_blank_borders; /* blank lines at the ends of a document are not part of it */
    fc_status (*open)(fc_text_file *file, fc_err *err); /* NULL: reads a stream */
    fc_status (*line)(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err);
    double (*fraction)(const fc_text_file *file); /* of the file in hand; with `open` */
    void (*close)(fc_text_file *file);            /* or NULL */
} fc_source;

/* The next line of rows that lie as WikiText does; "" at the end. */
fc_status fc_rows_line(fc_text_file *file, const char **text, int64_t *n, bool *is_end,
                       fc_err *err);

/* " = Title = ", " = = Section = = " and so on: a heading of WikiText. */
bool fc_wikitext_is_heading(const char *text, int64_t n);

/* Source by the end of a name, after .gz and .zst; or NULL. */
const fc_source *fc_source_by_name(const char *path);

/* Paths and sizes of the files that paths stand for: an archive stands for its texts, one after the
 * other. Free with fc_corpus_files_free. */
typedef struct fc_corpus_files {
    char **path;
    int64_t *n_bytes; /* 0: not known */
    int64_t n, capacity, n_bytes_capacity;
} fc_corpus_files;
fc_status fc_corpus_files_find(fc_corpus_files *files, const fc_corpus_config *config,
                               fc_err *err);
void fc_corpus_files_free(fc_corpus_files *files);

extern const fc_source fc_source_wikitext;
extern const fc_source fc_source_plain;
extern const fc_source fc_source_jsonl;
extern const fc_source fc_source_parquet;

#endif
