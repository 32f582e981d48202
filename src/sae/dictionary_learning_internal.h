/* dictionary_learning_internal.h - the classes of dictionary_learning, for reader and writer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_DICTIONARY_LEARNING_INTERNAL_H
#define FC_SAE_DICTIONARY_LEARNING_INTERNAL_H

#include "sae/import_internal.h"

enum { FC_ONE_NONE = 0, FC_ONE_K = 1, FC_ONE_THRESHOLD = 2 }; /* tensors of one number */

typedef struct fc_dictionary {
    const char *name, *trainer; /* dict_class; the class that trains it */
    const char *arch;
    bool is_b_dec_subtracted;
    unsigned ones;
    const fc_import_row *rows;
    int n_rows;
    const char *const *others; /* further tensors that may be there */
} fc_dictionary;

enum { FC_N_DICTIONARIES = 7 };
extern const fc_dictionary fc_dictionaries[FC_N_DICTIONARIES];

fc_status fc_dictionary_learning_save(const fc_sae *sae, const char *dir, fc_err *err);

#endif
