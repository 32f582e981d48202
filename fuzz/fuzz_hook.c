/* fuzz_hook.c - names of hook points; an accepted name must lead back to itself.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "model/hook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const fc_gemma_config config = {.n_vocab = 1000,
                                           .d_model = 64,
                                           .d_mlp = 96,
                                           .n_layers = 26,
                                           .n_heads = 4,
                                           .n_kv_heads = 2,
                                           .d_head = 8};
    fc_hook_point point, again;
    fc_err err;
    char *text = malloc(n_bytes + 1);
    if (text == NULL) return 0;
    memcpy(text, data, n_bytes);
    text[n_bytes] = '\0';
    if (fc_hook_parse(&point, text, &config, &err) == FC_OK &&
        (fc_hook_parse(&again, point.name, &config, &err) != FC_OK ||
         fc_hook_compare(&point, &again) != 0 || point.layer >= config.n_layers))
        abort();
    free(text);
    return 0;
}
