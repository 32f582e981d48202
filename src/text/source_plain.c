/* source_plain.c - plain text: a file is a document, named for the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/file.h"
#include "text/corpus_internal.h"

static fc_status next_line(fc_text_file *file, fc_line *line, bool *is_end, fc_err *err)
{
    FC_TRY(fc_text_file_line(file, line, is_end, err));
    if (*is_end || line->number > 1) return FC_OK;
    line->title = fc_path_base(file->path);
    line->n_title = (int64_t)strlen(line->title);
    return FC_OK;
}

static const char *const suffixes[] = {".txt", ".text", ".md", NULL};

const fc_source fc_source_plain = {
    .name = "plain", .suffixes = suffixes, .line = next_line};
