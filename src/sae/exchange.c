/* exchange.c - the table of formats; what lies at a path is told by names of files.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/exchange.h"

#include <string.h>

#include "base/dir_out.h"
#include "formats/hub_cache.h"

static const fc_sae_format *const formats[] = {
    &fc_format_sparsify,    &fc_format_dictionary_learning,
    &fc_format_gemma_scope, &fc_format_gemma_scope_2,
    &fc_format_saelens,     &fc_format_npz,
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

fc_status fc_sae_find(char *path, const char *given, fc_err *err)
{
    char inner[FC_PATH_MAX];
    fc_hub_name name;
    FC_TRY(fc_path_join(path, NULL, given, err));
    if (!fc_path_exists(given) && fc_hub_name_parse(&name, given) && name.subset[0]) {
        fc_hub_name model = name; /* the subset is a folder of it */
        model.subset[0] = '\0';
        FC_TRY(fc_hub_snapshot(inner, FC_HUB_MODEL, &model, err));
        return fc_path_join(path, inner, name.subset, err);
    }
    if (fc_sae_format_of(given) != NULL) return FC_OK;
    FC_TRY(fc_path_join(inner, given, "sae", err)); /* a run holds its SAE there */
    return fc_path_is_dir(inner) ? fc_path_join(path, NULL, inner, err) : FC_OK;
}

fc_status fc_sae_load(fc_sae **loaded, const char *given, fc_err *err)
{
    char path[FC_PATH_MAX];
    FC_TRY(fc_sae_find(path, given, err));
    const fc_sae_format *format = fc_sae_format_of(path);
    if (format != NULL) return format->load(loaded, path, err);
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "%s: no such file or folder", path);
    return fc_fail(
        err, FC_FORMAT,
        "%s: holds no SAE: there is no cfg.json (SAELens, sparsify), ae.pt "
        "(dictionary_learning), params.npz or params.safetensors (Gemma Scope)",
        path);
}

fc_status fc_sae_convert(const char *in, const char *out, const fc_sae_format *to,
                         fc_err *err)
{
    fc_dir_out dir = {.dir = ""};
    fc_sae *sae = NULL;
    fc_status status;
    FC_CHECK(to->save != NULL);
    FC_TRY_GOTO(fc_sae_load(&sae, in, err));
    FC_TRY_GOTO(fc_dir_out_begin(&dir, out, err));
    FC_TRY_GOTO(to->save(sae, dir.dir, err));
    FC_TRY_GOTO(fc_dir_out_commit(&dir, err));
done:
    fc_dir_out_discard(&dir);
    fc_sae_free(sae);
    return status;
}
