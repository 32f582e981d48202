/* neuronpedia.h - what features.db knows of every feature, as SAEDashboard writes it for Neuronpedia.
 *
 *   OUT/batch-N.json           {"model_id", "layer", "sae_set", "sae_id_suffix", "features": [128 of them]}
 *   OUT/skipped_indexes.json   the dead ones, which have no entry
 *   OUT/run_settings.json      where it comes from
 *
 * Contexts, histogram, logits raised and lowered, and the largest components of the decoder row are there.
 * What a run does not compute has empty lists: correlations with neurons and features, the histogram
 * over all logits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_NEURONPEDIA_H
#define FC_STUDY_NEURONPEDIA_H

#include "base/err.h"

/* run: a run with features.db. out must not be there. */
fc_status fc_neuronpedia_write(const char *run, const char *out, fc_err *err);

#endif
