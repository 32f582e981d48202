/* fuzz_corpus.c - a text file as documents; the first byte chooses format and split.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "text/corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { READ_MAX = 1 << 24 }; /* a few bytes can stand for gigabytes */
    if (n_bytes == 0) return 0;
    const char *const path = fuzz_file("x", data + 1, n_bytes - 1);
    const fc_corpus_config config = {
        .paths = &path,
        .n_paths = 1,
        .format = (fc_text_format)(data[0] % (FC_TEXT_PARQUET + 1)),
        .split = (fc_split)(data[0] / 16 % (FC_SPLIT_PACKED + 1)),
    };
    fc_corpus *corpus = NULL;
    fc_err err;
    if (fc_corpus_open(&corpus, &config, &err) != FC_OK) { /* a damaged archive */
        (void)unlink(path);
        return 0;
    }
    const char *source = NULL;
    int64_t n_seen = 0, line = 1;
    for (int64_t id = 0; n_seen < READ_MAX; id++) {
        fc_document document;
        bool is_end = false;
        if (fc_corpus_next(corpus, &document, &is_end, &err) != FC_OK || is_end) break;
        if (document.source != source) line = 1; /* the next member of an archive */
        if (document.id != id || document.n_bytes < 1 || document.line < line) abort();
        line = document.line;
        source = document.source;
        n_seen += document.n_bytes;
    }
    fc_corpus_close(corpus);
    (void)unlink(path);
    return 0;
}
