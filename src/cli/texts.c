/* texts.c - each name of a data set in a list of texts becomes its files.
 *
 * In one place for every command that takes texts, and before any work: a manifest and a store then
 * name files, whose sizes and checksums say what was read.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/texts.h"

#include <string.h>

#include "base/alloc.h"
#include "text/hub_text.h"

/* Replaces item i by the names, which it takes over. */
static fc_status replace(fc_arg_list *list, int64_t i, fc_names *names, fc_err *err)
{
    const int64_t n_added = names->n - 1;
    FC_TRY(fc_grow(&list->item, &list->capacity, list->n + names->n, sizeof *list->item,
                   "texts", err));
    fc_free(list->item[i]);
    memmove(list->item + i + names->n, list->item + i + 1,
            (size_t)(list->n - i - 1) * sizeof *list->item);
    memcpy(list->item + i, names->name, (size_t)names->n * sizeof *list->item);
    list->n += n_added;
    names->n = 0;
    return FC_OK;
}

static fc_status find_texts(fc_arg_list *list, fc_err *err)
{
    for (int64_t i = 0; i < list->n; i++) {
        fc_names names;
        if (fc_text_is_path(list->item[i])) continue;
        FC_TRY(fc_text_find(&names, list->item[i], err));
        const int64_t n = names.n;
        const fc_status status = replace(list, i, &names, err);
        fc_names_free(&names);
        FC_TRY(status);
        i += n - 1;
    }
    return FC_OK;
}

fc_status fc_args_find_texts(fc_args *args, fc_err *err)
{
    for (int i = 0; i < args->n_lists; i++)
        if (strcmp(args->list[i].name, "text") == 0)
            FC_TRY(find_texts(&args->list[i], err));
    return FC_OK;
}
