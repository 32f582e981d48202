/* first_letter.c - choosing words, writing prompts, one run of the model for some fifty of them.
 *
 * Examples differ from word to word and are drawn by the seed and the word's place, so neither batches
 * nor threads matter.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/first_letter_internal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/log.h"
#include "base/rng.h"

enum { TEST_EVERY = 5, BATCH_TOKENS = 4096, MOST_EXAMPLES = 64 };

/* Streams of random numbers: the choice of words, then examples of each. */
enum { STREAM_WORDS = FC_RNG_EVAL, DRAWS_A_WORD = 1024 };

static const char mark[] = "\xe2\x96\x81"; /* U+2581, a space in pieces */

/* --- words ------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 0 .. 25, or -1 when the token is not a space and letters. */
static int first_letter_of(const fc_tokenizer *tokenizer, int32_t id)
{
    const char *piece = fc_tokenizer_piece(tokenizer, id);
    if (piece == NULL || fc_tokenizer_is_special(tokenizer, id)) return -1;
    if (strncmp(piece, mark, sizeof mark - 1) != 0) return -1;
    piece += sizeof mark - 1;
    for (const char *c = piece; *c != '\0'; c++)
        if (!is_letter(*c)) return -1;
    return *piece != '\0' ? (*piece | 0x20) - 'a' : -1;
}

/* Training words first; within both, the order stays. */
static fc_status part(fc_letter_words *w, fc_err *err)
{
    fc_letter_words parted = {.n = w->n, .n_vocabulary = w->n_vocabulary};
    int64_t seen[FC_LETTERS] = {0}, n_test = 0, at[2] = {0};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&parted.token, w->n, sizeof *w->token, "words", err));
    FC_TRY_GOTO(fc_alloc(&parted.letter, w->n, sizeof *w->letter, "words", err));
    for (int64_t i = 0; i < w->n; i++) seen[w->letter[i]]++;
    for (int letter = 0; letter < FC_LETTERS; letter++) {
        n_test += seen[letter] / TEST_EVERY;
        seen[letter] = 0;
    }
    parted.n_train = at[1] = w->n - n_test;
    for (int64_t i = 0; i < w->n; i++) {
        const bool is_test = ++seen[w->letter[i]] % TEST_EVERY == 0;
        parted.token[at[is_test]] = w->token[i];
        parted.letter[at[is_test]++] = w->letter[i];
    }
    fc_letter_words_deinit(w);
    *w = parted;
    parted = (fc_letter_words){0};
done:
    fc_letter_words_deinit(&parted);
    return status;
}

/* Every word, in order of the vocabulary, to *token [*n]. */
static fc_status list_words(const fc_tokenizer *tokenizer, int32_t **token, int64_t *n,
                            fc_err *err)
{
    const int64_t n_vocab = fc_tokenizer_vocab(tokenizer);
    *n = 0;
    FC_TRY(fc_alloc(token, n_vocab, sizeof **token, "words", err));
    for (int64_t id = 0; id < n_vocab; id++)
        if (first_letter_of(tokenizer, (int32_t)id) >= 0) (*token)[(*n)++] = (int32_t)id;
    return FC_OK;
}

fc_status fc_letter_words_choose(fc_letter_words *words, const fc_tokenizer *tokenizer,
                                 int64_t n_most, int64_t seed, fc_err *err)
{
    fc_letter_words w = {0};
    int32_t *all = NULL;
    uint32_t *order = NULL;
    fc_status status;
    *words = w;
    FC_TRY_GOTO(list_words(tokenizer, &all, &w.n_vocabulary, err));
    w.n = fc_min(w.n_vocabulary, n_most);
    FC_TRY_GOTO(fc_alloc(&order, w.n_vocabulary, sizeof *order, "order of words", err));
    FC_TRY_GOTO(fc_alloc(&w.token, w.n, sizeof *w.token, "words", err));
    FC_TRY_GOTO(fc_alloc(&w.letter, w.n, sizeof *w.letter, "words", err));
    fc_rng_permutation((uint64_t)seed, STREAM_WORDS, w.n_vocabulary, order);
    for (int64_t i = 0; i < w.n; i++) {
        w.token[i] = all[order[i]];
        w.letter[i] = (uint8_t)first_letter_of(tokenizer, w.token[i]);
    }
    FC_TRY_GOTO(part(&w, err));
    *words = w;
    w = (fc_letter_words){0};
done:
    fc_free(all);
    fc_free(order);
    fc_letter_words_deinit(&w);
    return status;
}

void fc_letter_words_deinit(fc_letter_words *words)
{
    fc_free(words->token);
    fc_free(words->letter);
    *words = (fc_letter_words){0};
}

/* --- prompts ---------------------------------------------------------------------------------- */

/* Prompts of all words, one after the other: those of the word i are begin[i] .. begin[i + 1] - 1. */
typedef struct prompt_list {
    int32_t *id;
    int64_t *begin, n_ids, capacity;
} prompt_list;

/* Other words of the same kind, all different; fewer where there are not so many. */
static int64_t draw_examples(const fc_letter_words *w, const fc_letter_prompts *p,
                             int64_t word, int64_t *example)
{
    const int64_t first = word < w->n_train ? 0 : w->n_train;
    const int64_t n_kind = word < w->n_train ? w->n_train : w->n - w->n_train;
    const int64_t wanted = fc_min(fc_min(p->examples, MOST_EXAMPLES), n_kind - 1);
    int64_t n = 0;
    for (uint64_t draw = 0; n < wanted && draw < DRAWS_A_WORD; draw++) {
        const uint64_t r = fc_rng_u64((uint64_t)p->seed, STREAM_WORDS,
                                      (uint64_t)(word + 1) << 32 | draw);
        const int64_t drawn = first + (int64_t)(r % (uint64_t)n_kind);
        bool is_new = drawn != word;
        for (int64_t k = 0; k < n; k++) is_new = is_new && example[k] != drawn;
        if (is_new) example[n++] = drawn;
    }
    return n;
}

/* begin, end: the bytes of the word in the text. */
static fc_status write_prompt(const fc_letter_words *w, const fc_letter_prompts *p,
                              int64_t word, fc_strbuf *text, int64_t *begin, int64_t *end,
                              fc_err *err)
{
    static const char question[] = " has the first letter:";
    int64_t example[MOST_EXAMPLES];
    const int64_t n = draw_examples(w, p, word, example);
    fc_strbuf_clear(text);
    for (int64_t k = 0; k < n; k++) {
        FC_TRY(fc_strbuf_addf(text, err, "\n"));
        FC_TRY(fc_token_bytes(p->tokenizer, w->token[example[k]], text, err));
        FC_TRY(fc_strbuf_addf(text, err, "%s %c", question, 'A' + w->letter[example[k]]));
    }
    FC_TRY(fc_strbuf_addf(text, err, "\n"));
    *begin = text->n;
    FC_TRY(fc_token_bytes(p->tokenizer, w->token[word], text, err));
    *end = text->n;
    return fc_strbuf_addf(text, err, "%s", question);
}

/* Number of tokens up to and with the word, 0 when it is not the one token that it should be. */
static int64_t length_to_word(const fc_tokens *tokens, int32_t word, int64_t begin,
                              int64_t end)
{
    for (int64_t i = 0; i < tokens->n; i++)
        if (tokens->id[i] == word && tokens->begin[i] == begin && tokens->end[i] == end)
            return i + 1;
    return 0;
}

static fc_status add_prompt(prompt_list *list, const int32_t *id, int64_t n, fc_err *err)
{
    FC_TRY(fc_grow(&list->id, &list->capacity, list->n_ids + n, sizeof *list->id,
                   "prompts", err));
    memcpy(list->id + list->n_ids, id, (size_t)n * sizeof *id);
    list->n_ids += n;
    return FC_OK;
}

/* Writes and encodes all prompts. Words that are not one token are left out of words afterwards, so
 * that all examples are drawn from the same words. */
static fc_status make_prompts(prompt_list *list, fc_letter_words *w,
                              const fc_letter_prompts *p, fc_encoder *encoder,
                              fc_err *err)
{
    const fc_encode_options options = {0};
    fc_strbuf text = {0};
    fc_tokens tokens = {0};
    int64_t n_kept = 0, n_train = 0;
    bool *is_kept = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&is_kept, w->n, sizeof *is_kept, "words", err));
    for (int64_t i = 0; i < w->n; i++) {
        int64_t begin, end;
        FC_TRY_GOTO(write_prompt(w, p, i, &text, &begin, &end, err));
        FC_TRY_GOTO(fc_encode(encoder, text.data, text.n, options, &tokens, err));
        const int64_t n = length_to_word(&tokens, w->token[i], begin, end);
        is_kept[i] = n > 0 && n <= BATCH_TOKENS;
        if (!is_kept[i]) continue;
        FC_TRY_GOTO(add_prompt(list, tokens.id, n, err));
        list->begin[++n_kept] = list->n_ids;
    }
    n_kept = 0;
    for (int64_t i = 0; i < w->n; i++) {
        if (!is_kept[i]) continue;
        n_train += i < w->n_train;
        w->token[n_kept] = w->token[i];
        w->letter[n_kept++] = w->letter[i];
    }
    w->n = n_kept;
    w->n_train = n_train;
done:
    fc_free(is_kept);
    fc_strbuf_free(&text);
    fc_tokens_free(&tokens);
    return status;
}

/* --- activations ------------------------------------------------------------------------------ */

typedef struct taking {
    const prompt_list *list;
    int64_t d, first, n; /* words of the batch */
    int64_t *begin;      /* [n + 1] their prompts in it */
    float *x;            /* [n_words, d] */
} taking;

static fc_status take_last_rows(void *ctx, const fc_hook_point *point, float *x,
                                int64_t n_tokens, fc_err *err)
{
    const taking *t = ctx;
    (void)point;
    (void)n_tokens;
    (void)err;
    for (int64_t i = 0; i < t->n; i++)
        memcpy(t->x + (t->first + i) * t->d, x + (t->begin[i + 1] - 1) * t->d,
               (size_t)t->d * sizeof *x);
    return FC_OK;
}

/* As many prompts as fit. */
static void fill_batch(taking *t, int64_t n_words)
{
    const int64_t *begin = t->list->begin + t->first;
    t->n = 0;
    while (t->first + t->n < n_words && begin[t->n + 1] - begin[0] <= BATCH_TOKENS)
        t->n++;
    for (int64_t i = 0; i <= t->n; i++) t->begin[i] = begin[i] - begin[0];
}

static fc_status run_prompts(taking *t, const fc_letter_prompts *p, int64_t n_words,
                             fc_err *err)
{
    fc_runner *runner = NULL;
    fc_hook hook = {.fn = take_last_rows, .ctx = t};
    fc_progress progress =
        fc_progress_begin("eval", "words of the first letter", 0.0, (double)n_words);
    fc_status status;
    FC_TRY_GOTO(fc_hook_parse(&hook.point, p->hook, fc_model_config(p->model), err));
    if (hook.point.width != t->d)
        FC_TRY_GOTO(fc_fail(err, FC_MISMATCH,
                            "the hook %s has %" PRId64 " dimensions, expected %" PRId64
                            " as the SAE reads",
                            hook.point.name, hook.point.width, t->d));
    FC_TRY_GOTO(fc_runner_new(&runner, p->model, p->be, (fc_precision_choice)p->precision,
                              BATCH_TOKENS, err));
    for (; t->first < n_words; t->first += t->n) {
        fill_batch(t, n_words);
        const fc_batch batch = {t->list->id + t->list->begin[t->first], {t->n, t->begin}};
        FC_TRY_GOTO(fc_runner_run(runner, batch, &hook, 1, err));
        if (fc_cancel_requested())
            FC_TRY_GOTO(
                fc_fail(err, FC_CANCELLED, "eval was interrupted at first letters"));
        fc_progress_set(&progress, (double)(t->first + t->n));
    }
done:
    fc_progress_end(&progress);
    fc_runner_free(runner);
    return status;
}

fc_status fc_letter_activations(fc_letter_words *words, const fc_letter_prompts *prompts,
                                float **x, fc_err *err)
{
    prompt_list list = {0};
    taking t = {.list = &list, .d = prompts->d};
    fc_encoder *encoder = NULL;
    fc_status status;
    size_t row_bytes;
    *x = NULL;
    FC_TRY_GOTO(fc_bytes(prompts->d, sizeof **x, &row_bytes, err));
    FC_TRY_GOTO(fc_encoder_new(&encoder, prompts->tokenizer, err));
    FC_TRY_GOTO(fc_alloc(&list.begin, words->n + 1, sizeof *list.begin, "prompts", err));
    FC_TRY_GOTO(make_prompts(&list, words, prompts, encoder, err));
    FC_TRY_GOTO(fc_alloc(&t.begin, words->n + 1, sizeof *t.begin, "prompts", err));
    FC_TRY_GOTO(fc_alloc(x, words->n, row_bytes, "activations of words", err));
    t.x = *x;
    FC_TRY_GOTO(run_prompts(&t, prompts, words->n, err));
done:
    fc_encoder_free(encoder);
    fc_free(list.id);
    fc_free(list.begin);
    fc_free(t.begin);
    if (status != FC_OK) {
        fc_free(*x);
        *x = NULL;
    }
    return status;
}
