/* fuzz_pickle.c - bytes through the reader of pickles; every value is looked at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { VISITS_MAX = 10000 };
    fc_pickle *pickle = NULL;
    fc_err err;
    if (fc_pickle_parse(&pickle, data, n_bytes, "x", &err) != FC_OK) return 0;
    int32_t value = fc_pickle_root(pickle);
    int n_visits = 0;
    while (value >= 0 && n_visits++ < VISITS_MAX) { /* down the last member of each */
        const fc_pickle_value v = fc_pickle_at(pickle, value);
        value = -1;
        if (v.kind == FC_PICKLE_TEXT && strlen(v.text) > n_bytes) abort();
        if (v.kind == FC_PICKLE_TENSOR && strlen(v.tensor.storage) > n_bytes) abort();
        if (v.kind != FC_PICKLE_LIST && v.kind != FC_PICKLE_DICT) continue;
        int64_t n_items = 0;
        for (int32_t i = v.first; i >= 0;) {
            const fc_pickle_item item = fc_pickle_item_at(pickle, i);
            value = item.member;
            i = item.next;
            n_items++;
        }
        if (n_items != v.n_items) abort();
    }
    fc_pickle_free(pickle);
    return 0;
}
