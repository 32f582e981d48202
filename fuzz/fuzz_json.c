/* fuzz_json.c - JSON text through fc_json_parse and the typed members.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "formats/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    json_t *root = NULL;
    fc_err err;
    if (fc_json_parse(&root, (const char *)data, n_bytes, "fuzz", &err) != FC_OK)
        return 0;
    int64_t n = 0;
    double x = 0;
    bool flag = false;
    const char *text = "";
    (void)fc_json_i64(root, "a", &n, "fuzz", &err);
    (void)fc_json_f64(root, "b", &x, "fuzz", &err);
    (void)fc_json_bool(root, "c", &flag, "fuzz", &err);
    (void)fc_json_need_text(root, "d", &text, "fuzz", &err);
    json_decref(root);
    return 0;
}
