/* hub_token.c - the hub's access token, from where huggingface_hub looks for it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/hub_cache.h"
#include "formats/hub_http_internal.h"

static fc_status check(char token[FC_HTTP_WORD_MAX], const char *text, const char *where,
                       fc_err *err)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t n = strlen(text);
    while (n > 0 && strchr(space, text[n - 1])) n--;
    bool is_good = n < FC_HTTP_WORD_MAX;
    for (size_t i = 0; i < n && is_good; i++)
        is_good = (unsigned char)text[i] > ' ' && (unsigned char)text[i] < 0x7f;
    if (!is_good)
        return fc_fail(err, FC_USAGE,
                       "%s: the token of the Hugging Face hub is not one word of at most "
                       "%d plain letters, digits and signs",
                       where, FC_HTTP_WORD_MAX - 1);
    memcpy(token, text, n);
    token[n] = '\0';
    return FC_OK;
}

static fc_status read_file(char token[FC_HTTP_WORD_MAX], const char *path, fc_err *err)
{
    char text[2 * FC_HTTP_WORD_MAX];
    FILE *file = fopen(path, "rb");
    token[0] = '\0';
    if (!file) return FC_OK;
    const size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    return check(token, text, path, err);
}

fc_status fc_hub_token(char token[FC_HTTP_WORD_MAX], fc_err *err)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    char home[FC_PATH_MAX], path[FC_PATH_MAX];
    for (size_t i = 0; i < FC_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (!value) continue;
        FC_TRY(check(token, value, names[i], err));
        if (token[0]) return FC_OK;
    }
    const char *given = getenv("HF_TOKEN_PATH");
    if (given && given[0]) return read_file(token, given, err);
    fc_err why;
    const fc_status status = fc_hub_home(home, &why);
    if (status == FC_IO) return FC_OK; /* no home, no token */
    if (status != FC_OK) return fc_fail(err, status, "%s", why.text);
    FC_TRY(fc_path_join(path, home, "token", err));
    return read_file(token, path, err);
}
