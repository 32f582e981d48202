/* exchange.c - the table of formats; what lies at a path is told by names of files.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/exchange.h"

#include <string.h>

#include "base/file.h"

static const fc_sae_format *const formats[] = {
    &fc_format_sparsify,    &fc_format_dictionary_learning,
    &fc_format_gemma_scope, &fc_format_gemma_scope_2,
    &fc_format_saelens,
};

const fc_sae_format *fc_sae_format_at(int row)
{
    return row >= 0 && row < (int)FC_LEN(formats) ? formats[row] : NULL;
}

const fc_sae_format *fc_sae_format_of(const char *path)
{
    for (size_t i = 0; i < FC_LEN(formats); i++)
        if (formats[i]->is_it(path)) return formats[i];
    return NULL;
}

const fc_sae_format *fc_sae_format_find(const char *name)
{
    for (size_t i = 0; i < FC_LEN(formats); i++)
        if (strcmp(formats[i]->name, name) == 0) return formats[i];
    return NULL;
}

fc_status fc_sae_load(fc_sae **loaded, const char *path, fc_err *err)
{
    char inner[FC_PATH_MAX];
    const fc_sae_format *format = fc_sae_format_of(path);
    if (format != NULL) return format->load(loaded, path, err);
    FC_TRY(fc_path_join(inner, path, "sae", err)); /* a run holds its SAE there */
    format = fc_path_is_dir(inner) ? fc_sae_format_of(inner) : NULL;
    if (format != NULL) return format->load(loaded, inner, err);
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: no such file or folder", path);
    return fc_fail(
        err, FC_FORMAT,
        "%s: holds no SAE: there is no cfg.json (SAELens, sparsify), ae.pt "
        "(dictionary_learning), params.npz or params.safetensors (Gemma Scope)",
        path);
}
