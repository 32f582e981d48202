/* cmd_tokenize.c - facet tokenize: text to ids, pieces and byte offsets.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "formats/instream.h"
#include "text/tokenizer.h"

typedef struct own_options {
    char model[FC_FIELD_TEXT_MAX], text[FC_FIELD_TEXT_MAX];
    fc_encode_options encode;
    bool is_count;
} own_options;

static const fc_field fields[] = {
    {"model", FC_FIELD_TEXT, offsetof(own_options, model), 0, 0, NULL, "DIR",
     "checkpoint folder, or a tokenizer.json"},
    {"text", FC_FIELD_TEXT, offsetof(own_options, text), 0, 0, NULL, "TEXT",
     "this text, in place of files"},
    {"no-bos", FC_FIELD_BOOL, offsetof(own_options, encode.no_bos), 0, 0, NULL, NULL,
     "leave out <bos>"},
    {"specials-as-text", FC_FIELD_BOOL, offsetof(own_options, encode.specials_as_text), 0,
     0, NULL, NULL, "\"<bos>\" in the text is text"},
    {"count", FC_FIELD_BOOL, offsetof(own_options, is_count), 0, 0, NULL, NULL,
     "only count the tokens"},
};

typedef struct job {
    const own_options *own;
    const fc_tokenizer *tokenizer;
    fc_encoder *encoder;
    fc_tokens tokens;
    bool is_json;
    int64_t n_lines, n_tokens;
} job;

static void print_json(const job *j)
{
    json_t *ids = json_array(), *pieces = json_array(), *offsets = json_array();
    for (int64_t i = 0; i < j->tokens.n; i++) {
        const char *piece = fc_tokenizer_piece(j->tokenizer, j->tokens.id[i]);
        json_array_append_new(ids, json_integer(j->tokens.id[i]));
        json_array_append_new(pieces, json_string(piece ? piece : ""));
        json_array_append_new(offsets, json_pack("[I, I]", (json_int_t)j->tokens.begin[i],
                                                 (json_int_t)j->tokens.end[i]));
    }
    json_t *line =
        json_pack("{so, so, so}", "ids", ids, "tokens", pieces, "offsets", offsets);
    json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(line);
}

static void print_plain(const job *j)
{
    for (int64_t i = 0; i < j->tokens.n; i++) {
        const char *piece = fc_tokenizer_piece(j->tokenizer, j->tokens.id[i]);
        printf("%7" PRId32 "  %6" PRId64 " %6" PRId64 "  ", j->tokens.id[i],
               j->tokens.begin[i], j->tokens.end[i]);
        for (const char *c = piece ? piece : ""; *c; c++) {
            if (*c == '\n')
                fputs("\\n", stdout);
            else
                putchar(*c);
        }
        putchar('\n');
    }
    putchar('\n');
}

static fc_status one_text(job *j, const char *text, int64_t n_bytes, fc_err *err)
{
    FC_TRY(fc_encode(j->encoder, text, n_bytes, j->own->encode, &j->tokens, err));
    j->n_lines++;
    j->n_tokens += j->tokens.n;
    if (j->own->is_count) return FC_OK;
    if (j->is_json)
        print_json(j);
    else
        print_plain(j);
    return FC_OK;
}

static fc_status one_file(job *j, const char *path, fc_err *err)
{
    fc_instream *in = NULL;
    const char *line;
    int64_t n;
    bool is_end = false;
    FC_TRY(fc_instream_open(&in, path, err));
    fc_status status = fc_instream_line(in, &line, &n, &is_end, err);
    while (status == FC_OK && !is_end) {
        status = one_text(j, line, n, err);
        if (status == FC_OK) status = fc_instream_line(in, &line, &n, &is_end, err);
    }
    fc_instream_close(in);
    return status;
}

static fc_status all_texts(job *j, const fc_args *args, fc_err *err)
{
    if (j->own->text[0])
        return one_text(j, j->own->text, (int64_t)strlen(j->own->text), err);
    if (args->n_files == 0) return one_file(j, "-", err);
    for (int64_t i = 0; i < args->n_files; i++) FC_TRY(one_file(j, args->file[i], err));
    return FC_OK;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    fc_tokenizer *tokenizer = NULL;
    bool is_done = false;
    cli->args.max_files = -1;
    fc_args_group(&cli->args, "tokenize", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_tokenize, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(fc_cli_need(own.model, "--model", "a checkpoint folder", err));

    FC_TRY(fc_tokenizer_load(&tokenizer, own.model, err));
    job j = {.own = &own, .tokenizer = tokenizer, .is_json = cli->common.is_json};
    fc_status status = fc_encoder_new(&j.encoder, tokenizer, err);
    if (status == FC_OK) status = all_texts(&j, &cli->args, err);
    if (status == FC_OK && own.is_count)
        printf("%" PRId64 " tokens in %" PRId64 " lines\n", j.n_tokens, j.n_lines);
    fc_tokens_free(&j.tokens);
    fc_encoder_free(j.encoder);
    fc_tokenizer_free(tokenizer);
    return status;
}

const fc_command fc_cmd_tokenize = {
    .name = "tokenize",
    .summary = "show how text becomes tokens",
    .usage = "facet tokenize --model DIR [--text TEXT | FILE...]",
    .text = "Each line of the files (or standard input) is one text. Columns: id, first "
            "byte, byte after the last,\n"
            "piece. With --json one object a line: ids, tokens, offsets.\n",
    .run = run,
};
