/* collect_limit.h - operations that a forward pass up to a hook cannot do without.
 *
 *   linear      2 x inputs x outputs of each matrix that the hook's tensor depends on, for each token
 *   attention   4 x d_head operations for each query head and each key that a query sees: a dot
 *               product and a weighted sum; the query at position p sees min(p + 1, window) keys
 *
 * Norms, softmax and GELU are left out: a few per cent at most.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BENCH_COLLECT_LIMIT_H
#define FC_BENCH_COLLECT_LIMIT_H

#include "model/hook.h"
#include "tensor/backend.h"

double fc_collect_flops(const fc_gemma_config *model, const fc_hook_point *hook,
                        fc_ragged seqs);

#endif
