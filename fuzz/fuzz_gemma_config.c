/* fuzz_gemma_config.c - config.json of a model; what is accepted must be safe to compute with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "model/gemma_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    fc_gemma_config config;
    fc_err err;
    const char *path = fuzz_file("config.json", data, n_bytes);
    if (fc_gemma_config_load(&config, path, &err) == FC_OK) {
        const int is_sane = config.n_layers >= 1 && config.n_layers <= FC_MAX_LAYERS &&
                            config.d_head % 2 == 0 && config.window >= 1 &&
                            config.n_heads % config.n_kv_heads == 0 &&
                            config.rope_full.theta > 0 && config.rope_full.factor > 0;
        if (!is_sane) abort();
    }
    (void)unlink(path);
    return 0;
}
