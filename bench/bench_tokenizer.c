/* bench_tokenizer.c - speed of loading and of encoding, one thread.
 *
 *   bench_tokenizer TOKENIZER FILE...
 *
 * Encodes the lines of the files as a corpus, from memory, and prints MB of UTF-8 text per second of
 * processor time: the best and the median of the repeats. The first repeat fills the word cache.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "text/corpus.h"
#include "text/tokenizer.h"

enum { REPEATS = 7 };

static double processor_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All lines one behind the other, each with its length before it. */
static fc_status read_lines(fc_strbuf *lines, const char *const *paths, int64_t n_paths,
                            fc_err *err)
{
    const fc_corpus_config config = {
        .paths = paths, .n_paths = n_paths, .split = FC_SPLIT_LINE};
    fc_corpus *corpus = NULL;
    fc_document line;
    bool is_end = false;
    FC_TRY(fc_corpus_open(&corpus, &config, err));
    fc_status status = FC_OK;
    for (;;) {
        FC_TRY_GOTO(fc_corpus_next(corpus, &line, &is_end, err));
        if (is_end) break;
        FC_TRY_GOTO(fc_strbuf_add(lines, &line.n_bytes, sizeof line.n_bytes, err));
        FC_TRY_GOTO(fc_strbuf_add(lines, line.text, line.n_bytes, err));
    }
done:
    fc_corpus_close(corpus);
    return status;
}

static fc_status encode_lines(fc_encoder *encoder, const fc_strbuf *lines,
                              fc_tokens *tokens, int64_t *n_bytes, int64_t *n_tokens,
                              fc_err *err)
{
    *n_bytes = *n_tokens = 0;
    const char *end = lines->data + lines->n;
    for (const char *at = lines->data; at < end;) {
        int64_t n = 0;
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        FC_TRY(fc_encode(encoder, at, n, (fc_encode_options){0}, tokens, err));
        *n_bytes += n;
        *n_tokens += tokens->n;
        at += n;
    }
    return FC_OK;
}

static fc_status run(const char *path, const char *const *paths, int64_t n_paths,
                     fc_err *err)
{
    fc_tokenizer *tokenizer = NULL;
    fc_encoder *encoder = NULL;
    fc_strbuf lines = {0};
    fc_tokens tokens = {0};
    fc_status status = FC_OK;
    double seconds[REPEATS];
    int64_t n_bytes = 0;
    int64_t n_tokens = 0;
    const double begin = processor_s();
    FC_TRY_GOTO(fc_tokenizer_load(&tokenizer, path, err));
    printf("load    %.3f s, %" PRId64 " ids\n", processor_s() - begin,
           fc_tokenizer_vocab(tokenizer));
    FC_TRY_GOTO(fc_encoder_new(&encoder, tokenizer, err));
    FC_TRY_GOTO(read_lines(&lines, paths, n_paths, err));
    for (int i = 0; i < REPEATS; i++) {
        const double start = processor_s();
        FC_TRY_GOTO(encode_lines(encoder, &lines, &tokens, &n_bytes, &n_tokens, err));
        seconds[i] = processor_s() - start;
    }
    qsort(seconds, REPEATS, sizeof *seconds, by_value);
    printf("encode  %.1f MB/s best, %.1f median: %" PRId64 " bytes, %" PRId64 " tokens\n",
           1e-6 * (double)n_bytes / seconds[0],
           1e-6 * (double)n_bytes / seconds[REPEATS / 2], n_bytes, n_tokens);
done:
    fc_tokens_free(&tokens);
    fc_strbuf_free(&lines);
    fc_encoder_free(encoder);
    fc_tokenizer_free(tokenizer);
    return status;
}

int main(int argc, char **argv)
{
    fc_err err = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: %s TOKENIZER FILE...\n", argv[0]);
        return 2;
    }
    if (run(argv[1], (const char *const *)argv + 2, argc - 2, &err) == FC_OK) return 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
