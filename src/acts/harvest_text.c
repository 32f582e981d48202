/* harvest_text.c - the text side of collecting: how much of it there is, and what identifies it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "acts/harvest_internal.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "formats/instream.h"

static fc_status count_sequences(fc_sequences *sequences, int64_t limit, int64_t *n,
                                 fc_err *err)
{
    bool is_end = false;
    while (*n < limit) {
        fc_sequence sequence;
        if (fc_cancel_requested())
            return fc_fail(err, FC_CANCELLED,
                           "stopped while counting the tokens of the text");
        FC_TRY(fc_sequences_next(sequences, &sequence, &is_end, err));
        if (is_end) break;
        *n += sequence.n - 1;
    }
    return FC_OK;
}

fc_status fc_text_count(const fc_text_source *source, int64_t limit, int64_t *n,
                        fc_err *err)
{
    fc_corpus *corpus = NULL;
    fc_sequences *sequences = NULL;
    *n = 0;
    FC_TRY(fc_text_open(source, &corpus, &sequences, err));
    const fc_status status = count_sequences(sequences, limit, n, err);
    fc_sequences_free(sequences);
    fc_corpus_close(corpus);
    return status;
}

/* --- identity ----------------------------------------------------------------------------- */

/* Of the file: of the archive, where the text is a member of one. */
static int64_t text_file_size(const char *path)
{
    char file[FC_PATH_MAX];
    (void)fc_instream_file(file, path);
    return fc_file_size(file);
}

fc_status fc_text_hash(const char *const *paths, int64_t n_paths, char *hex, fc_err *err)
{
    fc_strbuf text = {0};
    fc_status status = FC_OK;
    for (int64_t i = 0; i < n_paths; i++)
        FC_TRY_GOTO(fc_strbuf_addf(&text, err, "%s\n%" PRId64 "\n",
                                   fc_path_base(paths[i]), text_file_size(paths[i])));
    fc_hash_bytes(fc_strbuf_text(&text), (size_t)text.n, hex);
done:
    fc_strbuf_free(&text);
    return status;
}

/* Word of a choice, through the table that parses it. */
static json_t *choice_word(const fc_collect_config *config, const char *name)
{
    int64_t n;
    const fc_field *const fields = fc_collect_fields(&n);
    fc_strbuf word = {0};
    json_t *text = NULL;
    if (fc_field_get(fc_fields_find(fields, n, name), config, &word, NULL) == FC_OK)
        text = json_string(fc_strbuf_text(&word));
    fc_strbuf_free(&word);
    return text;
}

static json_t *text_list(const char *const *paths, int64_t n_paths)
{
    json_t *const list = json_array();
    for (int64_t i = 0; i < n_paths; i++) {
        json_t *path = json_string(paths[i]); /* NULL: not UTF-8 */
        if (path == NULL) path = json_string("(not UTF-8)");
        json_t *const file = json_pack("{s:o, s:I}", "path", path, "bytes",
                                       (json_int_t)text_file_size(paths[i]));
        if (json_array_append_new(list, file) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *fc_collect_meta(const fc_collect_config *config, const char *const *paths,
                        int64_t n_paths, fc_precision precision)
{
    const bool has_field = config->field[0] != '\0';
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:{s:s}}", "precision",
                     precision == FC_PRECISION_F32 ? "f32" : "bf16", "split",
                     choice_word(config, "split"), "overflow",
                     choice_word(config, "overflow"), "text_format",
                     choice_word(config, "text-format"), "field",
                     has_field ? config->field : "text", "text",
                     text_list(paths, n_paths), "made_by", "facet", FACET_VERSION);
}
