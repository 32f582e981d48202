/* added_tokens.c - the longest added token at a place in the text.
 *
 * A trie over bytes with children in a linked list: Gemma's 6,400 tokens are "<unused...>", tags
 * and runs, so the lists are short, and only text that begins like a token walks it. It costs at
 * most the length of the longest token per place.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "text/tokenizer_internal.h"

void fc_trie_deinit(fc_trie *trie)
{
    fc_free(trie->node);
    *trie = (fc_trie){0};
}

static fc_status add_node(fc_trie *trie, fc_trie_node node, fc_err *err)
{
    FC_TRY(fc_grow(&trie->node, &trie->capacity, trie->n + 1, sizeof *trie->node,
                   "added tokens", err));
    trie->node[trie->n++] = node;
    return FC_OK;
}

static int32_t find_child(const fc_trie *trie, int32_t parent, uint8_t byte)
{
    int32_t at = trie->node[parent].child;
    while (at && trie->node[at].byte != byte) at = trie->node[at].sibling;
    return at;
}

fc_status fc_trie_add(fc_trie *trie, const char *text, int64_t n, int32_t id, fc_err *err)
{
    if (trie->n == 0) FC_TRY(add_node(trie, (fc_trie_node){.id = -1}, err));
    if (trie->n + n > INT32_MAX)
        return fc_fail(err, FC_FORMAT, "the added tokens hold more than 2^31 bytes");
    int32_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t byte = (uint8_t)text[i];
        int32_t child = find_child(trie, at, byte);
        if (!child) {
            child = (int32_t)trie->n;
            const int32_t first = trie->node[at].child;
            FC_TRY(add_node(
                trie, (fc_trie_node){.sibling = first, .id = -1, .byte = byte}, err));
            trie->node[at].child = child;
        }
        at = child;
    }
    trie->node[at].id = id;
    return FC_OK;
}

int64_t fc_trie_match(const fc_trie *trie, const char *text, int64_t n, int32_t *id)
{
    int64_t longest = 0;
    int32_t at = 0;
    for (int64_t i = 0; i < n && trie->n > 0; i++) {
        at = find_child(trie, at, (uint8_t)text[i]);
        if (!at) break;
        if (trie->node[at].id < 0) continue;
        longest = i + 1;
        *id = trie->node[at].id;
    }
    return longest;
}
