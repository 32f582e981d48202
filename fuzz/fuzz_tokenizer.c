/* fuzz_tokenizer.c - a tokenizer.json (what begins with '{'), or a text for a small tokenizer.
 *
 * The text is also held to what encoding promises: the offsets go through it without a hole, and
 * decoding gives it back where it is valid and has no U+2581.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "text/tokenizer.h"
#include "text/utf8.h"

/* Merges that overlap, a merge across a space, byte pieces that merge, added tokens in a row. */
static const char head[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<bos>\", \"special\": true},"
    "{\"id\": 1, \"content\": \"\\n\"}, {\"id\": 2, \"content\": \"\\n\\n\\n\"},"
    "{\"id\": 3, \"content\": \"<b\"}, {\"id\": 4, \"content\": "
    "\"\xE2\x96\x81\xE2\x96\x81\"}],"
    "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, "
    "\"content\":"
    "\"\xE2\x96\x81\"}, \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\":"
    "\"Replace\", \"pattern\": {\"String\": \"\xE2\x96\x81\"}, \"content\": \" \"}, "
    "{\"type\":"
    "\"ByteFallback\"}, {\"type\": \"Fuse\"}]}, \"model\": {\"type\": \"BPE\", "
    "\"byte_fallback\":"
    "true, \"merges\": [[\"a\", \"b\"], [\"ab\", \"a\"], [\"b\", \"a\"], [\"a\", \"ba\"],"
    "[\"\xE2\x96\x81\", \"a\"], [\"<0xC3>\", \"<0xA9>\"]%s], \"vocab\": {\"a\": 5, "
    "\"b\": 6,"
    "\"ab\": 7, \"aba\": 8, \"ba\": 9, \"\xE2\x96\x81\": 10, \"\xE2\x96\x81"
    "a\": 11,"
    "\"b\xE2\x96\x81\": 12, \"<0xC3><0xA9>\": 13";

static fc_tokenizer *make_tokenizer(const char *more_merges)
{
    char text[8192];
    fc_tokenizer *tokenizer = NULL;
    int n = snprintf(text, sizeof text, head, more_merges);
    for (int byte = 0; byte < 256; byte++)
        n += snprintf(text + n, sizeof text - (size_t)n, ", \"<0x%02X>\": %d", byte,
                      20 + byte);
    n += snprintf(text + n, sizeof text - (size_t)n, "}}}");
    const char *const path =
        fuzz_file("tokenizer.json", (const uint8_t *)text, (size_t)n);
    if (fc_tokenizer_load(&tokenizer, path, NULL) != FC_OK) abort();
    (void)unlink(path);
    return tokenizer;
}

static void check_tokens(const fc_tokenizer *tokenizer, const fc_tokens *tokens,
                         const char *text, size_t n_bytes)
{
    fc_strbuf back = {0};
    int64_t end = 0;
    for (int64_t i = 0; i < tokens->n; i++) {
        if (tokens->begin[i] > end || tokens->end[i] < end) abort();
        end = tokens->end[i];
    }
    if (end != (int64_t)n_bytes) abort();
    if (fc_decode(tokenizer, tokens->id, tokens->n, false, &back, NULL) != FC_OK) abort();
    const bool is_exact = fc_utf8_check(text, end) == end &&
                          !memchr(text, 0xE2, n_bytes) && !memchr(text, '<', n_bytes) &&
                          !memchr(text, 0xC3, n_bytes);
    if (is_exact && (back.n != end || (n_bytes && memcmp(back.data, text, n_bytes) != 0)))
        abort();
    fc_strbuf_free(&back);
}

typedef struct subject { /* made once: the word cache is large */
    fc_tokenizer *tokenizer;
    fc_encoder *encoder;
    fc_tokens tokens;
} subject;

static void encode(subject *s, const char *more_merges, const char *text, size_t n_bytes)
{
    const fc_encode_options options = {.no_bos = true, .specials_as_text = n_bytes % 2};
    if (!s->tokenizer) s->tokenizer = make_tokenizer(more_merges);
    if (!s->encoder && fc_encoder_new(&s->encoder, s->tokenizer, NULL) != FC_OK) abort();
    for (int i = 0; i < 2; i++) { /* merged, then from the cache */
        if (fc_encode(s->encoder, text, (int64_t)n_bytes, options, &s->tokens, NULL) !=
            FC_OK)
            abort();
        check_tokens(s->tokenizer, &s->tokens, text, n_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static subject cutting, whole; /* words are cut at spaces; a merge forbids it */
    const char *const text = n_bytes > 0 ? (const char *)data : "";
    if (*text == '{') {
        fc_tokenizer *tokenizer = NULL;
        fc_err err;
        const char *const path = fuzz_file("tokenizer.json", data, n_bytes);
        if (fc_tokenizer_load(&tokenizer, path, &err) == FC_OK)
            fc_tokenizer_free(tokenizer);
        (void)unlink(path);
    }
    encode(&cutting, "", text, n_bytes);
    encode(&whole, ", [\"b\", \"\xE2\x96\x81\"]", text, n_bytes);
    return 0;
}
