/* arch.c - the table of architectures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/arch.h"

#include <string.h>

/* Known by their tensors alone so far. */
#define KNOWN(name, tensors, is_transcoder) \
    static const fc_arch name = {#name, FC_HAS_FOUR | (tensors), is_transcoder, 0, 0, 0}
KNOWN(topk, 0, false);
KNOWN(batchtopk, FC_HAS_THRESHOLD, false);
KNOWN(jumprelu, FC_HAS_THRESHOLD, false);
KNOWN(gated, FC_HAS_GATE, false);
KNOWN(matryoshka_batchtopk, FC_HAS_THRESHOLD, false);
KNOWN(transcoder, 0, true);
KNOWN(skip_transcoder, FC_HAS_SKIP, true);
KNOWN(jumprelu_transcoder, FC_HAS_THRESHOLD, true);
KNOWN(jumprelu_skip_transcoder, FC_HAS_THRESHOLD | FC_HAS_SKIP, true);

static const fc_arch *const archs[] = {
    &fc_arch_standard,
    &topk,
    &batchtopk,
    &jumprelu,
    &gated,
    &matryoshka_batchtopk,
    &transcoder,
    &skip_transcoder,
    &jumprelu_transcoder,
    &jumprelu_skip_transcoder,
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
