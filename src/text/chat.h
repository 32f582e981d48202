/* chat.h - a conversation as the text that Gemma's instruction-tuned models were trained on.
 *
 *     <start_of_turn>user\n{content}<end_of_turn>\n<start_of_turn>model\n...
 *
 * Content is trimmed; the role "assistant" is written "model" (also "gpt" and "bot", and "human" is
 * "user"); what the system says is put before the next user's content, untrimmed, with a blank line.
 * <bos> is not part of it: sequences add it. Roles that the template does not know keep their name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_CHAT_H
#define FC_TEXT_CHAT_H

#include <stdbool.h>

#include "base/strbuf.h"

typedef struct fc_chat { /* {0} is ready */
    fc_strbuf text;      /* of the conversation so far */
    fc_strbuf system;    /* waits for the user's turn */
} fc_chat;

void fc_chat_begin(fc_chat *chat); /* a new conversation; keeps the memory */
fc_status fc_chat_turn(fc_chat *chat, const char *role, int64_t n_role,
                       const char *content, int64_t n_content, fc_err *err);
void fc_chat_free(fc_chat *chat);

#endif
