/* corpus_files.c - from the paths of a corpus to the files that are read.
 *
 *     wiki.train.raw                one file
 *     wiki.zip:a/wiki.train.raw     one member of an archive
 *     wiki.zip                      its members whose names end as texts do, in the order of the
 *                                   archive's directory; all members where no name does
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "formats/zip.h"
#include "text/corpus_internal.h"

static fc_status add(fc_corpus_files *files, const char *path, int64_t n_bytes,
                     fc_err *err)
{
    FC_TRY(fc_grow(&files->path, &files->capacity, files->n + 1, sizeof *files->path,
                   "file names", err));
    FC_TRY(fc_grow(&files->n_bytes, &files->n_bytes_capacity, files->n + 1,
                   sizeof *files->n_bytes, "file sizes", err));
    FC_TRY(fc_strdup(&files->path[files->n], path, err));
    files->n_bytes[files->n++] = n_bytes;
    return FC_OK;
}

/* Parquet has to be a file of its own: its footer comes last. */
static bool is_text_name(const char *name)
{
    const fc_source *source = fc_source_by_name(name);
    return source && !source->open;
}

static bool is_folder(const char *name)
{
    return name[strlen(name) - 1] == '/';
}

static fc_status add_members(fc_corpus_files *files, const fc_zip *zip, const char *path,
                             bool any_name, fc_err *err)
{
    fc_strbuf name = {0};
    fc_status status = FC_OK;
    for (int64_t i = 0; i < fc_zip_count(zip) && status == FC_OK; i++) {
        const fc_zip_member *member = fc_zip_at(zip, i);
        if (is_folder(member->name) || (!any_name && !is_text_name(member->name)))
            continue;
        fc_strbuf_clear(&name);
        status = fc_strbuf_addf(&name, err, "%s:%s", path, member->name);
        if (status == FC_OK)
            status = add(files, fc_strbuf_text(&name), member->n_bytes, err);
    }
    fc_strbuf_free(&name);
    return status;
}

static fc_status add_archive(fc_corpus_files *files, const char *path,
                             fc_text_format format, fc_err *err)
{
    fc_zip *zip = NULL;
    const int64_t n_before = files->n;
    FC_TRY(fc_zip_open(&zip, path, err));
    fc_status status = add_members(files, zip, path, format != FC_TEXT_AUTO, err);
    if (status == FC_OK && files->n == n_before)
        status = add_members(files, zip, path, true, err);
    if (status == FC_OK && files->n == n_before)
        status = fc_fail(err, FC_FORMAT, "%s: the archive holds no file", path);
    fc_zip_close(zip);
    return status;
}

static fc_status add_member(fc_corpus_files *files, const char *path, const char *archive,
                            const char *name, fc_err *err)
{
    fc_zip *zip = NULL;
    FC_TRY(fc_zip_open(&zip, archive, err));
    const fc_zip_member *member = fc_zip_find(zip, name);
    const fc_status status =
        member ? add(files, path, member->n_bytes, err)
               : fc_fail(err, FC_IO, "%s: the archive has no member '%s'", archive, name);
    fc_zip_close(zip);
    return status;
}

static bool is_archive(const char *path)
{
    uint8_t magic[4];
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    const size_t n = fread(magic, 1, sizeof magic, file);
    (void)fclose(file);
    return fc_zip_is(magic, n);
}

static fc_status add_path(fc_corpus_files *files, const char *path, fc_text_format format,
                          fc_err *err)
{
    char archive[FC_PATH_MAX];
    if (strcmp(path, "-") == 0) return add(files, path, 0, err);
    const char *member = fc_instream_file(archive, path);
    if (member) return add_member(files, path, archive, member, err);
    if (!fc_path_exists(path))
        return fc_fail(err, FC_IO, "there is no text file '%s'", path);
    /* A pipe is not looked into: what is read of it is gone. */
    if (fc_file_size(path) >= 0 && is_archive(path))
        return add_archive(files, path, format, err);
    return add(files, path, fc_max(fc_file_size(path), 0), err);
}

fc_status fc_corpus_files_find(fc_corpus_files *files, const fc_corpus_config *config,
                               fc_err *err)
{
    for (int64_t i = 0; i < config->n_paths; i++)
        FC_TRY(add_path(files, config->paths[i], config->format, err));
    return FC_OK;
}

void fc_corpus_files_free(fc_corpus_files *files)
{
    for (int64_t i = 0; i < files->n; i++) fc_free(files->path[i]);
    fc_free(files->path);
    fc_free(files->n_bytes);
    *files = (fc_corpus_files){0};
}
