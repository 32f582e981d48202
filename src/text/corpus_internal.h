/* corpus_internal.h - what a corpus source is: a way to give lines and say where documents begin.
 *
 * corpus.c opens files, tells formats apart and gathers lines into documents as the split wants;
 * a source only knows its format. A new format is one file and one row of the table in corpus.c.
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

typedef struct fc_text_file {
    const char *path;
    const char *field; /* of the configuration */
    fc_instream *in;
    int64_t n_lines;  /* given so far */
    fc_strbuf ahead;  /* lines that were read to tell the format, each with '\n' */
    int64_t ahead_at; /* given of them, in bytes */
    void *state;      /* of the source; NULL at first, freed by its close */
} fc_text_file;

/* The next line as the file has it; a source calls this. */
fc_status fc_text_file_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err);

typedef struct fc_source {
    const char *name;
    const char *const *suffixes; /* of file names, without .gz and .zst; ends with NULL */
    bool (*is_first_line)(const char *text,
                          int64_t n); /* can a file begin so? NULL: always */
    bool has_blank_borders; /* blank lines at the ends of a document are not part of it */
    fc_status (*line)(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err);
    void (*close)(fc_text_file *file); /* or NULL */
} fc_source;

extern const fc_source fc_source_wikitext;
extern const fc_source fc_source_plain;
extern const fc_source fc_source_jsonl;

#endif
