/* chat.c - Gemma's chat template, turn by turn.
 *
 * The template of the model card, without its complaint about roles that do not alternate: text to
 * collect activations on is taken as it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "text/chat.h"

#include <string.h>

typedef struct spelling {
    const char *found, *written;
} spelling;

static const spelling spellings[] = {
    {"assistant", "model"}, {"gpt", "model"}, {"bot", "model"}, {"human", "user"}};

static bool is_word(const char *text, int64_t n, const char *word)
{
    return n == (int64_t)strlen(word) && memcmp(text, word, (size_t)n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void fc_chat_begin(fc_chat *chat)
{
    fc_strbuf_clear(&chat->text);
    fc_strbuf_clear(&chat->system);
}

static fc_status add_role(fc_chat *chat, const char *role, int64_t n_role, fc_err *err)
{
    for (size_t i = 0; i < FC_LEN(spellings); i++)
        if (is_word(role, n_role, spellings[i].found)) {
            role = spellings[i].written;
            n_role = (int64_t)strlen(role);
        }
    FC_TRY(fc_strbuf_addf(&chat->text, err, "<start_of_turn>"));
    FC_TRY(fc_strbuf_add(&chat->text, role, n_role, err));
    FC_TRY(fc_strbuf_add(&chat->text, "\n", 1, err));
    if (chat->system.n == 0 || !is_word(role, n_role, "user")) return FC_OK;
    FC_TRY(fc_strbuf_add(&chat->text, chat->system.data, chat->system.n, err));
    FC_TRY(fc_strbuf_add(&chat->text, "\n\n", 2, err));
    fc_strbuf_clear(&chat->system);
    return FC_OK;
}

fc_status fc_chat_turn(fc_chat *chat, const char *role, int64_t n_role,
                       const char *content, int64_t n_content, fc_err *err)
{
    if (is_word(role, n_role, "system"))
        return fc_strbuf_add(&chat->system, content, n_content, err);
    while (n_content > 0 && is_space(content[n_content - 1])) n_content--;
    while (n_content > 0 && is_space(*content)) content++, n_content--;
    FC_TRY(add_role(chat, role, n_role, err));
    FC_TRY(fc_strbuf_add(&chat->text, content, n_content, err));
    return fc_strbuf_addf(&chat->text, err, "<end_of_turn>\n");
}

void fc_chat_free(fc_chat *chat)
{
    fc_strbuf_free(&chat->text);
    fc_strbuf_free(&chat->system);
}
