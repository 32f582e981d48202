/* exchange.h - SAEs as other tools keep them.
 *
 *   saelens               cfg.json, sae_weights.safetensors; Facet's own, and older flat ones
 *   sparsify              cfg.json, sae.safetensors
 *   dictionary_learning   config.json, ae.pt (or ae.safetensors)
 *   gemma-scope           params.npz (Gemma Scope 1)
 *   gemma-scope-2         config.json, params.safetensors
 *
 *   npz                   cfg.json as SAELens has it, sae_weights.npz
 *
 * fc_sae_load (sae.h) takes any of them: a folder, the file with the weights, a run of Facet, or a
 * name in the cache of the Hugging Face hub, ORG/NAME:FOLDER. What
 * differs between tools (who subtracts which bias, who scales by which norm) is settled on the way
 * in, so features and reconstructions are those of the tool; on the way out an SAE that the other
 * tool cannot compute is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_EXCHANGE_H
#define FC_SAE_EXCHANGE_H

#include "sae/sae.h"

typedef struct fc_sae_format {
    const char *name;                /* as --to takes it */
    const char *title;               /* "a SAELens folder" */
    const char *opener;              /* what opens what is written */
    bool (*is_it)(const char *path); /* looks at names alone; folder or file */
    fc_status (*load)(fc_sae **loaded, const char *path, fc_err *err);
    fc_status (*save)(const fc_sae *sae, const char *dir, fc_err *err); /* or NULL */
} fc_sae_format;

extern const fc_sae_format fc_format_saelens, fc_format_sparsify,
    fc_format_dictionary_learning, fc_format_gemma_scope, fc_format_gemma_scope_2,
    fc_format_npz;

/* The format of what lies at path, or NULL; by name, or NULL; row of the table, NULL after it. */
const fc_sae_format *fc_sae_format_of(const char *path);
const fc_sae_format *fc_sae_format_find(const char *name);
const fc_sae_format *fc_sae_format_at(int row);

/* The folder or file that `given` means, into path[FC_PATH_MAX]: itself, the SAE of a run, or a folder
 * of a snapshot. What is none of these comes back as it is. */
fc_status fc_sae_find(char *path, const char *given, fc_err *err);

/* Reads any SAE and writes it for another tool, into a folder that must not be there. */
fc_status fc_sae_convert(const char *in, const char *out, const fc_sae_format *to,
                         fc_err *err);

#endif
