/* cmd_activations.c - facet activations: tensors of a few sequences, for anyone who wants to look.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "formats/safetensors.h"
#include "model/model.h"
#include "text/tokenizer.h"

enum { MAX_HOOKS = 32 };

typedef struct own_options {
    char model[FC_FIELD_TEXT_MAX], text[FC_FIELD_TEXT_MAX], ids[FC_FIELD_TEXT_MAX],
        out[FC_FIELD_TEXT_MAX];
    int precision;
} own_options;

static const fc_field fields[] = {
    {"model", FC_FIELD_TEXT, offsetof(own_options, model), 0, 0, NULL, "DIR",
     "checkpoint folder"},
    {"text", FC_FIELD_TEXT, offsetof(own_options, text), 0, 0, NULL, "TEXT",
     "the text, <bos> is put before it"},
    {"ids", FC_FIELD_TEXT, offsetof(own_options, ids), 0, 0, NULL, "2,17,...",
     "token ids, taken as they are"},
    {"out", FC_FIELD_TEXT, offsetof(own_options, out), 0, 0, NULL, "FILE",
     "safetensors file to write"},
    {"precision", FC_FIELD_CHOICE, offsetof(own_options, precision), 0, 0,
     FC_PRECISION_CHOICES, NULL, "arithmetic of the products"},
};

typedef struct capture { /* what the hooks have seen */
    fc_hook hook[MAX_HOOKS];
    fc_tensor tensor[MAX_HOOKS + 1];
    float *data[MAX_HOOKS];
    int64_t n;
} capture;

static fc_status keep(void *ctx, const fc_hook_point *point, float *x, int64_t n_tokens,
                      fc_err *err)
{
    capture *c = ctx;
    for (int64_t i = 0; i < c->n; i++) {
        if (strcmp(c->hook[i].point.name, point->name) != 0 || c->data[i]) continue;
        const int64_t n = n_tokens * point->width;
        FC_TRY(fc_alloc(&c->data[i], n, sizeof *x, "activations", err));
        memcpy(c->data[i], x, (size_t)n * sizeof *x);
        c->tensor[i] = (fc_tensor){.name = point->name,
                                   .dtype = FC_F32,
                                   .rank = 2,
                                   .shape = {n_tokens, point->width},
                                   .n = n,
                                   .data = c->data[i],
                                   .n_bytes = (size_t)n * sizeof *x};
        return FC_OK;
    }
    return FC_OK;
}

static fc_status parse_ids(const char *text, fc_tokens *tokens, fc_err *err)
{
    const char *p = text;
    for (;;) {
        char *end;
        const long long id = strtoll(p, &end, 10);
        if (end == p || id < 0 || id > INT32_MAX || (*end != ',' && *end != 0))
            return fc_fail(err, FC_USAGE,
                           "--ids: '%s' is not a list of token ids such as 2,17,400",
                           text);
        FC_TRY(fc_grow(&tokens->id, &tokens->capacity, tokens->n + 1, sizeof *tokens->id,
                       "token ids", err));
        tokens->id[tokens->n++] = (int32_t)id;
        if (*end == 0) return FC_OK;
        p = end + 1;
    }
}

static fc_status get_ids(const own_options *own, fc_tokens *tokens, fc_err *err)
{
    fc_tokenizer *tokenizer = NULL;
    fc_encoder *encoder = NULL;
    if (own->ids[0]) return parse_ids(own->ids, tokens, err);
    FC_TRY(fc_tokenizer_load(&tokenizer, own->model, err));
    fc_status status = fc_encoder_new(&encoder, tokenizer, err);
    if (status == FC_OK)
        status = fc_encode(encoder, own->text, (int64_t)strlen(own->text),
                           (fc_encode_options){0}, tokens, err);
    fc_encoder_free(encoder);
    fc_tokenizer_free(tokenizer);
    return status;
}

static fc_status add_hooks(capture *c, const fc_arg_list *names, const fc_model *model,
                           fc_err *err)
{
    if (names->n > MAX_HOOKS)
        return fc_fail(err, FC_USAGE, "--hook: %" PRId64 " hooks, at most %d", names->n,
                       (int)MAX_HOOKS);
    for (int64_t i = 0; i < names->n; i++) {
        FC_TRY(fc_hook_parse(&c->hook[i].point, names->item[i], fc_model_config(model),
                             err));
        c->hook[i].fn = keep;
        c->hook[i].ctx = c;
    }
    c->n = names->n;
    return FC_OK;
}

static fc_status run_and_save(const fc_cli *cli, const own_options *own,
                              const fc_arg_list *names, fc_err *err)
{
    capture c = {0};
    fc_tokens tokens = {0};
    fc_model *model = NULL;
    fc_backend *be = NULL;
    fc_runner *runner = NULL;
    fc_status status = FC_OK;

    FC_TRY_GOTO(fc_model_load(&model, own->model, err));
    FC_TRY_GOTO(add_hooks(&c, names, model, err));
    FC_TRY_GOTO(get_ids(own, &tokens, err));
    FC_TRY_GOTO(fc_cli_backend(cli, &be, err));
    FC_TRY_GOTO(fc_runner_new(&runner, model, be, (fc_precision_choice)own->precision,
                              tokens.n, err));
    const int64_t begin[2] = {0, tokens.n};
    const fc_batch batch = {tokens.id, {1, begin}};
    FC_TRY_GOTO(fc_runner_run(runner, batch, c.hook, c.n, err));
    c.tensor[c.n] = (fc_tensor){.name = "token_ids",
                                .dtype = FC_I32,
                                .rank = 1,
                                .shape = {tokens.n},
                                .n = tokens.n,
                                .data = tokens.id,
                                .n_bytes = (size_t)tokens.n * sizeof *tokens.id};
    FC_TRY_GOTO(fc_safetensors_save(own->out, c.tensor, c.n + 1, err));
    char text[FC_FIELD_TEXT_MAX + 64];
    snprintf(text, sizeof text, "%s: %" PRId64 " tensors of %" PRId64 " tokens\n",
             own->out, c.n, tokens.n);
    status = fc_cli_result(cli,
                           json_pack("{ss, sI, sI}", "out", own->out, "tensors",
                                     (json_int_t)c.n, "tokens", (json_int_t)tokens.n),
                           text, err);
done:
    for (int64_t i = 0; i < c.n; i++) fc_free(c.data[i]);
    fc_tokens_free(&tokens);
    fc_runner_free(runner);
    fc_backend_close(be);
    fc_model_close(model);
    return status;
}

static fc_status run(fc_cli *cli, int argc, char *const *argv, fc_err *err)
{
    own_options own = {0};
    bool is_done = false;
    fc_arg_list *names =
        fc_args_list(&cli->args, "hook", "MODULE...",
                     "modules by Hugging Face name; ':input' for what goes in");
    fc_args_group(&cli->args, "activations", fields, FC_LEN(fields), &own);
    FC_TRY(fc_cli_begin(cli, &fc_cmd_activations, argc, argv, &is_done, err));
    if (is_done) return FC_OK;
    FC_TRY(fc_cli_need(own.model, "--model", "a checkpoint folder", err));
    FC_TRY(fc_cli_need(names->n ? names->item[0] : NULL, "--hook",
                       "a module such as model.layers.5", err));
    FC_TRY(fc_cli_need(own.out, "--out", "a file", err));
    if (!own.text[0] == !own.ids[0])
        return fc_fail(err, FC_USAGE, "give one of --text and --ids");
    return run_and_save(cli, &own, names, err);
}

const fc_command fc_cmd_activations = {
    .name = "activations",
    .summary = "write the activations of one text at some hooks",
    .usage = "facet activations --model DIR --hook MODULE... (--text TEXT | --ids "
             "2,17,...) --out FILE",
    .text = "One float32 tensor [tokens, width] for each hook, named as the module is, "
            "and token_ids.\n\n"
            "  facet activations --model gemma-3-1b-it --hook "
            "model.layers[25].mlp.down_proj model.norm \\\n"
            "      --text 'The river flows' --out x.safetensors\n",
    .run = run,
};
