/* projector.c - decoder rows and labels as tab-separated text.
 *
 * TensorBoard reads tensors as text unless that is no UTF-8, so text it is: nine digits give each
 * float32 back. Tabs and line ends in a description would split a row and become spaces.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/projector.h"

#include <inttypes.h>
#include <string.h>

#include "base/dir_out.h"
#include "base/strbuf.h"
#include "sae/sae.h"
#include "study/features_db.h"

static fc_status write_tensors(const fc_sae *sae, const char *path, fc_err *err)
{
    fc_out *out = NULL;
    fc_strbuf line = {0};
    fc_status status;
    FC_TRY_GOTO(fc_out_open(&out, path, err));
    for (int64_t i = 0; i < sae->d_sae; i++) {
        const float *row = sae->w_dec + i * sae->d_out;
        fc_strbuf_clear(&line);
        for (int64_t j = 0; j < sae->d_out; j++)
            FC_TRY_GOTO(
                fc_strbuf_addf(&line, err, "%s%.9g", j > 0 ? "\t" : "", (double)row[j]));
        FC_TRY_GOTO(fc_strbuf_add(&line, "\n", 1, err));
        FC_TRY_GOTO(fc_out_write(out, line.data, (size_t)line.n, err));
    }
    FC_TRY_GOTO(fc_out_commit(out, err));
done:
    fc_strbuf_free(&line);
    fc_out_close(out);
    return status;
}

static fc_status add_label(fc_strbuf *text, const fc_feature *f, fc_err *err)
{
    FC_TRY(fc_strbuf_addf(text, err, "%" PRId64 "\t", f->id));
    const int64_t begin = text->n;
    FC_TRY(fc_strbuf_addf(text, err, "%s", f->is_dead ? "dead" : f->description));
    for (int64_t i = begin; i < text->n; i++)
        if ((unsigned char)text->data[i] < ' ') text->data[i] = ' ';
    return fc_strbuf_addf(text, err, "\t%.6g\t%.6g\t%.3f\n", f->max, f->frequency,
                          f->purity);
}

/* One column has no header there. */
static fc_status add_labels(fc_strbuf *text, const fc_features_db *db, const fc_sae *sae,
                            fc_err *err)
{
    int64_t n = 0;
    const fc_feature *all = db != NULL ? fc_features_all(db, &n) : NULL;
    if (db != NULL && n != sae->d_sae)
        return fc_fail(err, FC_MISMATCH,
                       "features.db has %" PRId64 " features, the SAE %" PRId64
                       ": study the run again",
                       n, sae->d_sae);
    if (all != NULL)
        FC_TRY(
            fc_strbuf_addf(text, err, "feature\tdescription\tmax\tfrequency\tpurity\n"));
    for (int64_t i = 0; i < sae->d_sae; i++)
        FC_TRY(all != NULL ? add_label(text, &all[i], err)
                           : fc_strbuf_addf(text, err, "%" PRId64 "\n", i));
    return FC_OK;
}

static fc_status write_labels(const fc_sae *sae, const char *in, const char *path,
                              fc_err *err)
{
    char file[FC_PATH_MAX];
    fc_features_db *db = NULL;
    fc_strbuf text = {0};
    fc_status status;
    FC_TRY(fc_path_join(file, in, "features.db", err));
    if (fc_path_exists(file)) FC_TRY(fc_features_open(&db, file, err));
    FC_TRY_GOTO(add_labels(&text, db, sae, err));
    status = fc_file_write(path, text.data, (size_t)text.n, err);
done:
    fc_strbuf_free(&text);
    fc_features_close(db);
    return status;
}

static fc_status write_config(const char *path, fc_err *err)
{
    static const char config[] = "embeddings {\n"
                                 "  tensor_name: \"decoder\"\n"
                                 "  tensor_path: \"tensors.tsv\"\n"
                                 "  metadata_path: \"metadata.tsv\"\n"
                                 "}\n";
    return fc_file_write(path, config, sizeof config - 1, err);
}

fc_status fc_projector_write(const char *in, const char *out, fc_err *err)
{
    char path[FC_PATH_MAX];
    fc_dir_out dir = {.dir = ""};
    fc_sae *sae = NULL;
    fc_status status;
    FC_TRY_GOTO(fc_sae_load(&sae, in, err));
    FC_TRY_GOTO(fc_dir_out_begin(&dir, out, err));
    FC_TRY_GOTO(fc_path_join(path, dir.dir, "tensors.tsv", err));
    FC_TRY_GOTO(write_tensors(sae, path, err));
    FC_TRY_GOTO(fc_path_join(path, dir.dir, "metadata.tsv", err));
    FC_TRY_GOTO(write_labels(sae, in, path, err));
    FC_TRY_GOTO(fc_path_join(path, dir.dir, "projector_config.pbtxt", err));
    FC_TRY_GOTO(write_config(path, err));
    FC_TRY_GOTO(fc_dir_out_commit(&dir, err));
done:
    fc_dir_out_discard(&dir);
    fc_sae_free(sae);
    return status;
}
