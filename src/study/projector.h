/* projector.h - decoder rows for the embedding projector of TensorBoard.
 *
 *   OUT/tensors.tsv            [d_sae, d_out] decoder rows, one a line, tabs between
 *   OUT/metadata.tsv           feature, and of a studied run description, max, frequency, purity
 *   OUT/projector_config.pbtxt names both: tensorboard --logdir OUT shows them
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_PROJECTOR_H
#define FC_STUDY_PROJECTOR_H

#include "base/err.h"

/* in: an SAE of any format, or a run, whose features.db gives the labels. out must not be there. */
fc_status fc_projector_write(const char *in, const char *out, fc_err *err);

#endif
