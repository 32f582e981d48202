/* tokenizer_load.c - tokenizer.json to tables.
 *
 * The three large members are found and cut out of the text, the small rest is parsed by jansson
 * and checked; then the large ones are walked in the order that they need, whatever their order in
 * the file:
 *
 *     model.vocab        {"piece": id, ...}
 *     model.merges       [["left", "right"], ...] or ["left right", ...]; the index is the rank
 *     added_tokens       [{"id", "content", "special", ...}, ...]
 *
 * What is not Gemma's kind (another model, normaliser, pre-tokeniser or decoder) is refused, since
 * ids that are nearly right are worse than none. Gives the ids of Hugging Face tokenizers 0.23.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/hub_cache.h"
#include "formats/json.h"
#include "text/json_scan.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

typedef struct loader {
    fc_tokenizer *tokenizer;
    const char *path;
    fc_json_scan scan;                 /* over the whole file */
    fc_json_span vocab, merges, added; /* in the file */
    fc_strbuf rest;                    /* the file without these three */
    const char *copied;                /* the file is in `rest` up to here */
    bool can_split;                    /* no merge joins text to a U+2581 behind it */
} loader;

static bool is_key(const char *key, int64_t n, const char *name)
{
    return n == (int64_t)strlen(name) && memcmp(key, name, (size_t)n) == 0;
}

/* --- the three large members -------------------------------------------------------------- */

/* Skips the next value, and puts null in its place in `rest`. */
static fc_status cut(loader *load, fc_json_span *span, fc_err *err)
{
    FC_TRY(fc_json_scan_skip(&load->scan, span, err));
    FC_TRY(fc_strbuf_add(&load->rest, load->copied, span->at - load->copied, err));
    FC_TRY(fc_strbuf_add(&load->rest, "null", 4, err));
    load->copied = span->at + span->n;
    return FC_OK;
}

static fc_status find_in_model(loader *load, fc_err *err)
{
    fc_json_scan *scan = &load->scan;
    fc_json_span unused;
    if (fc_json_scan_peek(scan) != '{') return fc_json_scan_skip(scan, &unused, err);
    FC_TRY(fc_json_scan_open(scan, '{', err));
    for (bool has_more = true;;) {
        const char *key = NULL;
        int64_t n = 0;
        FC_TRY(fc_json_scan_more(scan, '}', &has_more, err));
        if (!has_more) return FC_OK;
        FC_TRY(fc_json_scan_key(scan, &key, &n, err));
        if (is_key(key, n, "vocab"))
            FC_TRY(cut(load, &load->vocab, err));
        else if (is_key(key, n, "merges"))
            FC_TRY(cut(load, &load->merges, err));
        else
            FC_TRY(fc_json_scan_skip(scan, &unused, err));
    }
}

static fc_status find_members(loader *load, fc_err *err)
{
    fc_json_scan *scan = &load->scan;
    FC_TRY(fc_json_scan_open(scan, '{', err));
    for (bool has_more = true;;) {
        const char *key = NULL;
        int64_t n = 0;
        fc_json_span unused;
        FC_TRY(fc_json_scan_more(scan, '}', &has_more, err));
        if (!has_more) break;
        FC_TRY(fc_json_scan_key(scan, &key, &n, err));
        if (is_key(key, n, "added_tokens"))
            FC_TRY(cut(load, &load->added, err));
        else if (is_key(key, n, "model"))
            FC_TRY(find_in_model(load, err));
        else
            FC_TRY(fc_json_scan_skip(scan, &unused, err));
    }
    FC_TRY(fc_json_scan_finish(scan, err));
    return fc_strbuf_add(&load->rest, load->copied, scan->end - load->copied, err);
}

/* Sets the scan to one of them. */
static void go_to(loader *load, fc_json_span span)
{
    load->scan.at = span.at;
    load->scan.is_first = false;
}

/* --- the small rest ----------------------------------------------------------------------- */

/* A member of the tokenizer that must have one of the given forms (compact JSON). */
typedef struct member_form {
    const char *key;
    const char *expected[3];
    const char *in_words;
} member_form;

#define REPLACE_SPACE                                                                  \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" FC_MARK_TEXT \
    "\"}"
#define SPLIT_ON_SPACE                                    \
    "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"}," \
    "\"behavior\":\"MergedWithPrevious\",\"invert\":false}"
#define DECODE                                                                          \
    "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":"           \
    "{\"String\":\"" FC_MARK_TEXT "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"}," \
    "{\"type\":\"Fuse\"}]}"

static const member_form forms[] = {
    {"normalizer", {REPLACE_SPACE}, "the replacement of ' ' by U+2581"},
    {"pre_tokenizer",
     {"null", SPLIT_ON_SPACE},
     "null or a split on ' ' merged with the previous"},
    {"decoder", {DECODE}, "U+2581 to ' ', byte fallback, fuse"},
};

static fc_status check_form(const json_t *root, const member_form *form, const char *path,
                            fc_err *err)
{
    const json_t *found = json_object_get(root, form->key);
    for (size_t i = 0; i < FC_LEN(form->expected) && form->expected[i]; i++) {
        if (strcmp(form->expected[i], "null") == 0 && (!found || json_is_null(found)))
            return FC_OK;
        json_t *expected = json_loads(form->expected[i], JSON_DECODE_ANY, NULL);
        if (!expected)
            return fc_fail(err, FC_NOMEM, "%s: no memory for the %s", path, form->key);
        const bool is_equal = json_equal(found, expected);
        json_decref(expected);
        if (is_equal) return FC_OK;
    }
    return fc_fail(err, FC_MISMATCH,
                   "%s: the %s is not the one of Gemma's tokenizer, expected %s", path,
                   form->key, form->in_words);
}

static fc_status check_model(const json_t *model, const char *path, fc_err *err)
{
    const char *type = "";
    bool has_bytes = false;
    bool ignores_merges = false;
    double dropout = 0;
    const char *prefix = "";
    const char *suffix = "";
    FC_TRY(fc_json_need_text(model, "type", &type, path, err));
    if (strcmp(type, "BPE") != 0)
        return fc_fail(err, FC_MISMATCH,
                       "%s: the model is of type '%.64s', expected 'BPE'", path, type);
    FC_TRY(fc_json_bool(model, "byte_fallback", &has_bytes, path, err));
    FC_TRY(fc_json_bool(model, "ignore_merges", &ignores_merges, path, err));
    FC_TRY(fc_json_f64(model, "dropout", &dropout, path, err));
    FC_TRY(fc_json_text(model, "continuing_subword_prefix", &prefix, path, err));
    FC_TRY(fc_json_text(model, "end_of_word_suffix", &suffix, path, err));
    const char *wrong = NULL;
    if (!has_bytes) wrong = "byte_fallback is not true";
    if (ignores_merges) wrong = "ignore_merges is true, expected false";
    if (dropout != 0) wrong = "dropout is not 0";
    if (*prefix) wrong = "continuing_subword_prefix is set, expected none";
    if (*suffix) wrong = "end_of_word_suffix is set, expected none";
    if (wrong)
        return fc_fail(err, FC_MISMATCH, "%s: model.%s: this is not Gemma's kind of BPE",
                       path, wrong);
    return FC_OK;
}

static fc_status check_rest(const loader *load, fc_err *err)
{
    json_t *root = NULL;
    FC_TRY(fc_json_parse(&root, fc_strbuf_text(&load->rest), (size_t)load->rest.n,
                         load->path, err));
    const json_t *model = json_object_get(root, "model");
    fc_status status = FC_OK;
    if (!json_is_object(model))
        status = fc_fail(err, FC_FORMAT, "%s: model is %s, expected an object",
                         load->path, fc_json_type_word(model));
    if (status == FC_OK) status = check_model(model, load->path, err);
    for (size_t i = 0; status == FC_OK && i < FC_LEN(forms); i++)
        status = check_form(root, &forms[i], load->path, err);
    json_decref(root);
    if (status == FC_OK && !load->vocab.at)
        return fc_fail(err, FC_FORMAT, "%s: model.vocab is missing, expected an object",
                       load->path);
    if (status == FC_OK && !load->merges.at)
        return fc_fail(err, FC_FORMAT, "%s: model.merges is missing, expected an array",
                       load->path);
    return status;
}

/* --- vocabulary --------------------------------------------------------------------------- */

static fc_status read_vocab(loader *load, fc_err *err)
{
    fc_json_scan *scan = &load->scan;
    go_to(load, load->vocab);
    FC_TRY(fc_json_scan_open(scan, '{', err));
    for (bool has_more = true;;) {
        const char *text = NULL;
        int64_t n = 0;
        int32_t id = 0;
        FC_TRY(fc_json_scan_more(scan, '}', &has_more, err));
        if (!has_more) return FC_OK;
        FC_TRY(fc_json_scan_key(scan, &text, &n, err));
        /* A key with escapes lies in the scan's buffer, which reading a number leaves alone. */
        if (fc_json_scan_i32(scan, &id, err) != FC_OK)
            return fc_fail_in(err, "%s: model.vocab: id of '%.*s'", load->path,
                              (int)fc_min(n, 64), text);
        if (fc_vocab_add(&load->tokenizer->vocab, text, n, id, err) != FC_OK)
            return fc_fail_in(err, "%s: model.vocab", load->path);
    }
}

/* --- merges ------------------------------------------------------------------------------- */

static fc_status operand(loader *load, int64_t rank, const char *text, int64_t n,
                         int32_t *id, fc_err *err)
{
    *id = fc_vocab_find(&load->tokenizer->vocab, text, n);
    if (*id >= 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: model.merges[%" PRId64 "]: '%.*s' is not in model.vocab",
                   load->path, rank, (int)fc_min(n, 64), text);
}

/* ["left", "right"], or "left right" with one space, as before tokenizers 0.20. */
static fc_status read_pair(loader *load, int64_t rank, fc_merge *merge, fc_err *err)
{
    fc_json_scan *scan = &load->scan;
    const char *text = NULL;
    int64_t n = 0;
    bool has_more = false;
    if (fc_json_scan_peek(scan) == '"') {
        FC_TRY(fc_json_scan_string(scan, &text, &n, err));
        const char *space = memchr(text, ' ', (size_t)n);
        const int64_t n_left = space ? space - text : n;
        if (!space || memchr(space + 1, ' ', (size_t)(n - n_left - 1)))
            return fc_fail(err, FC_FORMAT,
                           "%s: model.merges[%" PRId64
                           "] is '%.*s', expected two pieces with one "
                           "space between",
                           load->path, rank, (int)fc_min(n, 64), text);
        FC_TRY(operand(load, rank, text, n_left, &merge->left, err));
        return operand(load, rank, space + 1, n - n_left - 1, &merge->right, err);
    }
    FC_TRY(fc_json_scan_open(scan, '[', err));
    for (int i = 0; i < 2; i++) {
        FC_TRY(fc_json_scan_more(scan, ']', &has_more, err));
        FC_TRY(fc_json_scan_string(scan, &text, &n,
                                   err)); /* fails at the ']' of a short list */
        FC_TRY(operand(load, rank, text, n, i == 0 ? &merge->left : &merge->right, err));
    }
    FC_TRY(fc_json_scan_more(scan, ']', &has_more, err));
    return has_more ? fc_json_scan_expected(scan, "']' after two pieces", err) : FC_OK;
}

static bool ends_in_mark(const fc_piece *piece)
{
    return piece->n_bytes >= FC_MARK_BYTES &&
           fc_is_mark(piece->text + piece->n_bytes - FC_MARK_BYTES, FC_MARK_BYTES);
}

static fc_status read_merges(loader *load, fc_err *err)
{
    fc_json_scan *scan = &load->scan;
    fc_vocab *vocab = &load->tokenizer->vocab;
    fc_strbuf joined = {0};
    fc_status status = FC_OK;
    go_to(load, load->merges);
    FC_TRY_GOTO(fc_json_scan_open(scan, '[', err));
    for (fc_merge merge = {0};; merge.rank++) {
        bool has_more = false;
        FC_TRY_GOTO(fc_json_scan_more(scan, ']', &has_more, err));
        if (!has_more) break;
        FC_TRY_GOTO(read_pair(load, merge.rank, &merge, err));
        const fc_piece *left = &vocab->piece[merge.left];
        const fc_piece *right = &vocab->piece[merge.right];
        fc_strbuf_clear(&joined);
        FC_TRY_GOTO(fc_strbuf_add(&joined, left->text, left->n_bytes, err));
        FC_TRY_GOTO(fc_strbuf_add(&joined, right->text, right->n_bytes, err));
        FC_TRY_GOTO(operand(load, merge.rank, fc_strbuf_text(&joined), joined.n,
                            &merge.result, err));
        FC_TRY_GOTO(fc_merges_add(&load->tokenizer->merges, merge, err));
        if (!ends_in_mark(left) && fc_is_mark(right->text, right->n_bytes))
            load->can_split = false;
    }
done:
    fc_strbuf_free(&joined);
    return status;
}

/* --- added tokens ------------------------------------------------------------------------- */

/* In the vocabulary already, with the same id, or a new piece. */
static fc_status add_token(loader *load, const char *text, int64_t n, int64_t id,
                           bool is_special, fc_err *err)
{
    fc_tokenizer *tokenizer = load->tokenizer;
    const int32_t known = fc_vocab_find(&tokenizer->vocab, text, n);
    if (n == 0 || id < 0 || id >= FC_ID_LIMIT)
        return fc_fail(err, FC_FORMAT,
                       "'%.64s' has id %" PRId64 ", expected a text and 0..%d", text, id,
                       FC_ID_LIMIT - 1);
    if (known >= 0 && known != id)
        return fc_fail(err, FC_FORMAT,
                       "'%.64s' has id %" PRId64 ", but %" PRId32 " in model.vocab", text,
                       id, known);
    if (known < 0) FC_TRY(fc_vocab_add(&tokenizer->vocab, text, n, (int32_t)id, err));
    tokenizer->vocab.piece[id].is_special = is_special;
    return fc_trie_add(&tokenizer->added, text, n, (int32_t)id, err);
}

static fc_status read_token(loader *load, const json_t *token, fc_err *err)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    int64_t id = 0;
    const char *text = NULL;
    bool is_special = false;
    FC_TRY(fc_json_need_i64(token, "id", &id, "added token", err));
    FC_TRY(fc_json_need_text(token, "content", &text, "added token", err));
    FC_TRY(fc_json_bool(token, "special", &is_special, "added token", err));
    for (size_t i = 0; i < FC_LEN(flags); i++) {
        bool is_set = false;
        FC_TRY(fc_json_bool(token, flags[i], &is_set, "added token", err));
        if (is_set)
            return fc_fail(err, FC_MISMATCH,
                           "%s of '%.64s' is true, expected false as in Gemma's",
                           flags[i], text);
    }
    const int64_t n = (int64_t)json_string_length(json_object_get(token, "content"));
    return add_token(load, text, n, id, is_special, err);
}

static fc_status read_added_tokens(loader *load, fc_err *err)
{
    if (!load->added.at || is_key(load->added.at, load->added.n, "null")) return FC_OK;
    fc_json_scan *scan = &load->scan;
    go_to(load, load->added);
    FC_TRY(fc_json_scan_open(scan, '[', err));
    for (int64_t i = 0;; i++) {
        bool has_more = false;
        fc_json_span span;
        json_t *token = NULL;
        FC_TRY(fc_json_scan_more(scan, ']', &has_more, err));
        if (!has_more) return FC_OK;
        FC_TRY(fc_json_scan_skip(scan, &span, err));
        fc_status status =
            fc_json_parse(&token, span.at, (size_t)span.n, "added token", err);
        if (status == FC_OK) status = read_token(load, token, err);
        json_decref(token);
        if (status != FC_OK)
            return fc_fail_in(err, "%s: added_tokens[%" PRId64 "]", load->path, i);
    }
}

/* --- what encoding looks up --------------------------------------------------------------- */

static fc_status need(const loader *load, const char *text, int32_t *id, fc_err *err)
{
    *id = fc_vocab_find(&load->tokenizer->vocab, text, (int64_t)strlen(text));
    if (*id >= 0) return FC_OK;
    return fc_fail(err, FC_FORMAT,
                   "%s: the vocabulary has no piece '%s', which Gemma's has", load->path,
                   text);
}

/* Before the added tokens are read: merging knows the pieces of the model alone. */
static fc_status index_chars(loader *load, fc_err *err)
{
    fc_tokenizer *tokenizer = load->tokenizer;
    int32_t mark = 0;
    FC_TRY(need(load, FC_MARK_TEXT, &mark, err));
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        FC_TRY(need(load, text, &tokenizer->byte_id[byte], err));
    }
    for (int code = 0; code < FC_DIRECT_CHARS; code++) tokenizer->char_id[code] = -1;
    for (int64_t id = 0; id < tokenizer->vocab.n; id++) {
        const fc_piece *piece = &tokenizer->vocab.piece[id];
        uint32_t code = 0;
        bool is_valid = false;
        if (!piece->text || piece->n_bytes == 0) continue;
        if (fc_utf8_next(piece->text, piece->n_bytes, &code, &is_valid) ==
                piece->n_bytes &&
            code < FC_DIRECT_CHARS)
            tokenizer->char_id[code] = (int32_t)id;
    }
    return FC_OK;
}

static void index_leads(const loader *load)
{
    uint8_t *lead = load->tokenizer->lead;
    const fc_trie *added = &load->tokenizer->added;
    if (load->can_split) {
        lead[' '] |= FC_LEAD_SPACE;
        lead[(uint8_t)FC_MARK_TEXT[0]] |= FC_LEAD_MARK;
    }
    if (added->n == 0) return;
    for (int32_t at = added->node[0].child; at; at = added->node[at].sibling)
        lead[added->node[at].byte] |= FC_LEAD_ADDED;
}

/* --- entry points ------------------------------------------------------------------------- */

static fc_status read_tables(loader *load, fc_err *err)
{
    FC_TRY(find_members(load, err));
    FC_TRY(check_rest(load, err));
    FC_TRY(fc_vocab_init(&load->tokenizer->vocab, load->vocab.n + load->added.n, err));
    FC_TRY(fc_merges_init(&load->tokenizer->merges, err));
    FC_TRY(read_vocab(load, err));
    FC_TRY(index_chars(load, err));
    FC_TRY(read_merges(load, err));
    FC_TRY(read_added_tokens(load, err));
    FC_TRY(need(load, "<bos>", &load->tokenizer->bos, err));
    index_leads(load);
    return FC_OK;
}

static fc_status load_text(fc_tokenizer *tokenizer, const char *path, fc_map map,
                           fc_err *err)
{
    const char *text = map.data ? (const char *)map.data : "";
    const int64_t n = (int64_t)map.n_bytes;
    const int64_t invalid = fc_utf8_check(text, n);
    if (invalid < n)
        return fc_fail(err, FC_FORMAT, "%s: byte %" PRId64 ": 0x%02X is not valid UTF-8",
                       path, invalid, (uint8_t)text[invalid]);
    loader load = {
        .tokenizer = tokenizer, .path = path, .copied = text, .can_split = true};
    fc_json_scan_init(&load.scan, text, n, path);
    const fc_status status = read_tables(&load, err);
    fc_json_scan_deinit(&load.scan);
    fc_strbuf_free(&load.rest);
    return status;
}

fc_status fc_tokenizer_load(fc_tokenizer **tokenizer, const char *path, fc_err *err)
{
    char found[FC_PATH_MAX], file[FC_PATH_MAX];
    fc_map map = {0};
    fc_tokenizer *made = NULL;
    fc_status status = FC_OK;
    FC_TRY(fc_hub_model_path(found, path, err));
    FC_TRY(fc_path_is_dir(found) ? fc_path_join(file, found, "tokenizer.json", err)
                                 : fc_path_join(file, "", found, err));
    FC_TRY_GOTO(fc_map_open(&map, file, err));
    FC_TRY_GOTO(fc_alloc(&made, 1, sizeof *made, "tokenizer", err));
    FC_TRY_GOTO(load_text(made, file, map, err));
    *tokenizer = made;
    made = NULL;
done:
    fc_tokenizer_free(made);
    fc_map_close(&map);
    return status;
}
