/* instream.h - bytes from a file or standard input, decompressed on the way.
 *
 * gzip and zstd are told by their first bytes, not by the file's name; several members or frames
 * in one file are read one after the other. "-" is standard input. "wiki.zip:a/wiki.train.raw" is a
 * member of a zip archive, read piece by piece, its checksum compared at its end; an archive alone
 * will do when it holds a single file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_INSTREAM_H
#define FC_FORMATS_INSTREAM_H

#include <stdbool.h>

#include "base/err.h"

typedef struct fc_instream fc_instream;

/* The file that a path names, into file[FC_PATH_MAX]: the archive's, for a member of one. Returns
 * the member's name, borrowed from path, or NULL where the path is a file's own. */
const char *fc_instream_file(char *file, const char *path);

fc_status fc_instream_open(fc_instream **in, const char *path, fc_err *err);
/* Reads up to n bytes; *n_read is 0 at the end. A truncated or damaged stream fails, with the
 * offset in the compressed file. */
fc_status fc_instream_read(fc_instream *in, void *bytes, size_t n, size_t *n_read,
                           fc_err *err);
/* Next line without its '\n' (a final line may lack one); *line is borrowed until the next call
 * and may hold zero bytes. *is_end is set, and no line given, at the end. A line over 256 MiB fails. */
fc_status fc_instream_line(fc_instream *in, const char **line, int64_t *n, bool *is_end,
                           fc_err *err);
int64_t
fc_instream_line_number(const fc_instream *in); /* of the last line given, from 1 */
double fc_instream_fraction(
    const fc_instream *in); /* of the compressed file consumed; < 0 unknown */
void fc_instream_close(fc_instream *in);

#endif
