/* arch.c - the table of architectures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"

#include <string.h>

static const fc_arch *const archs[] = {
    &fc_arch_standard,
    &fc_arch_topk,
    &fc_arch_batchtopk,
    &fc_arch_jumprelu,
    &fc_arch_gated,
    &fc_arch_matryoshka_batchtopk,
    &fc_arch_transcoder,
    &fc_arch_skip_transcoder,
    &fc_arch_jumprelu_transcoder,
    &fc_arch_jumprelu_skip_transcoder,
    &fc_arch_topk_transcoder, /* from here on of other tools: not to be trained */
    &fc_arch_topk_skip_transcoder,
    &fc_arch_groupmax,
};

const fc_arch *fc_arch_at(int row)
{
    FC_CHECK(row >= 0 && row < (int)FC_LEN(archs));
    return archs[row];
}

const fc_arch *fc_arch_find(const char *name)
{
    for (size_t i = 0; i < FC_LEN(archs); i++)
        if (strcmp(archs[i]->name, name) == 0) return archs[i];
    return NULL;
}
