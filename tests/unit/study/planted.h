/* planted.h - a store and an SAE whose activations are known beforehand.
 *
 * With the unit matrix as encoder and decoder and no biases, feature i is max(0, x_i): the rows
 * given are the activations.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_PLANTED_H
#define FC_TEST_PLANTED_H

#include "testing.h"

#include <stdio.h>
#include <string.h>

#include "acts/store.h"
#include "sae/sae.h"

typedef struct planted_rows {
    int64_t n, d;
    const float *x;     /* [n, d] */
    const fc_row *rows; /* [n] documents ascending */
} planted_rows;

static inline void planted_store(const char *dir, const planted_rows *planted)
{
    fc_err err;
    fc_store_writer *writer;
    int64_t n_done;
    int32_t last = -1;
    const fc_store_info info = {.hook = "model.layers.0.mlp.down_proj",
                                .model = "planted",
                                .d = planted->d,
                                .dtype = FC_F32,
                                .n_wanted = planted->n,
                                .rows_per_shard = 1500,
                                .max_length = 64};
    fc_assert_ok(fc_store_create(&writer, dir, &info, NULL, &n_done, &err), &err);
    for (int64_t t = 0; t < planted->n; t++) {
        const fc_row row = planted->rows[t];
        if (row.doc_id != last) {
            char title[32];
            snprintf(title, sizeof title, "Title %d", (int)row.doc_id);
            const fc_doc doc = {.title = title,
                                .source = "planted.txt",
                                .line = row.doc_id + 1,
                                .n_tokens = 1};
            fc_assert_ok(fc_store_document(writer, row.doc_id, &doc, &err), &err);
            last = row.doc_id;
        }
        fc_assert_ok(fc_store_append(writer, planted->x + t * planted->d, &row, 1, &err),
                     &err);
    }
    fc_assert_ok(fc_store_finish(writer, false, &err), &err);
    fc_store_writer_close(writer);
}

static inline fc_sae *planted_sae(int64_t d)
{
    fc_sae *sae;
    fc_err err;
    fc_assert_ok(fc_sae_new(&sae, "standard", d, d, d, &err), &err);
    snprintf(sae->arch, sizeof sae->arch, "standard");
    for (int64_t i = 0; i < d; i++) sae->w_enc[i * d + i] = sae->w_dec[i * d + i] = 1.0f;
    return sae;
}

#endif
