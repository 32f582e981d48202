/* test_hub_fetch.c - downloads from a hub on this machine: the cache's layout, resuming, the token's
 * way, and everything that goes wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "formats/hub_fetch.h"
#include "hub_server.h"

enum { LARGE = 300000 };

static char large[LARGE];
static const fc_hub_server_file files[] = {
    {"README.md", "# Small\n", 8, false},
    {"config.json", "{\"a\": 1}\n", 9, false},
    {"data/deep er/train-00000-of-00001.txt", "hello\n", 6, false},
    {"empty.txt", "", 0, false},
    {"model.safetensors", large, LARGE, true},
};

static fc_hub_server *server;
static char cache[FC_PATH_MAX];

static const char *const settings[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
                                       "HF_TOKEN_PATH", "HF_HUB_OFFLINE",
                                       "TRANSFORMERS_OFFLINE"};

static int start(void **state)
{
    (void)state;
    for (int i = 0; i < LARGE; i++) large[i] = (char)((i * 2654435761u) >> 13);
    for (size_t i = 0; i < FC_LEN(settings); i++)
        assert_int_equal(unsetenv(settings[i]), 0);
    server = fc_hub_server_start(files, FC_LEN(files));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fc_hub_server_stop(server);
    return 0;
}

/* Each test has an empty cache and a server without faults. */
static int begin_test(void **state)
{
    (void)state;
    fc_test_dir_make(cache);
    assert_int_equal(setenv("HF_HOME", cache, 1), 0);
    assert_int_equal(setenv("HF_HUB_CACHE", cache, 1), 0);
    fc_hub_server_set(server, (fc_hub_faults){0});
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    for (size_t i = 0; i < FC_LEN(settings); i++)
        assert_int_equal(unsetenv(settings[i]), 0);
    fc_cancel_set(false);
    fc_test_dir_remove(cache);
    return 0;
}

static fc_hub_fetch_config small(void)
{
    fc_hub_fetch_config config;
    fc_hub_fetch_defaults(&config);
    assert_true(fc_hub_name_parse(&config.name, "org/small"));
    config.wait_s = 0;
    config.tries = 3;
    return config;
}

static fc_status fetch(const fc_hub_fetch_config *config, fc_hub_fetch_result *result,
                       fc_err *err)
{
    *err = (fc_err){0};
    return fc_hub_fetch(config, result, err);
}

static void repo_path(char path[FC_PATH_MAX], const char *name)
{
    char below[512];
    snprintf(below, sizeof below, "models--org--small/%s", name);
    fc_test_path(path, cache, below);
}

static void assert_content(const char *path, const char *bytes, size_t n)
{
    size_t n_read;
    char *read = fc_test_read(path, &n_read);
    assert_int_equal(n_read, n);
    if (n > 0) assert_memory_equal(read, bytes, n);
    free(read);
}

/* Every file is in the snapshot, whole, and the ref points to it. */
static void assert_complete(void)
{
    char path[FC_PATH_MAX], name[256];
    for (size_t i = 0; i < FC_LEN(files); i++) {
        snprintf(name, sizeof name, "snapshots/" FC_HUB_SERVER_COMMIT "/%s",
                 files[i].path);
        repo_path(path, name);
        assert_content(path, files[i].bytes, files[i].n);
    }
    repo_path(path, "refs/main");
    assert_content(path, FC_HUB_SERVER_COMMIT, strlen(FC_HUB_SERVER_COMMIT));
    repo_path(path, "blobs");
    assert_int_equal(fc_test_count_entries(path),
                     FC_LEN(files)); /* and nothing partial */
}

static void assert_no_ref(void)
{
    char path[FC_PATH_MAX];
    repo_path(path, "refs/main");
    assert_false(fc_path_exists(path));
}

/* Size of the only partial file, or -1. */
static int64_t partial_size(void)
{
    char path[FC_PATH_MAX], file[FC_PATH_MAX];
    fc_names names;
    fc_err err = {0};
    int64_t n = -1;
    repo_path(path, "blobs");
    fc_assert_ok(fc_dir_list(&names, path, &err), &err);
    for (int64_t i = 0; i < names.n; i++) {
        if (!strstr(names.name[i], ".incomplete")) continue;
        assert_int_equal(n, -1);
        fc_test_path(file, path, names.name[i]);
        n = fc_file_size(file);
    }
    fc_names_free(&names);
    return n;
}

/* --- what should happen ------------------------------------------------------------------- */

static void a_model_lies_in_the_cache_as_huggingface_hub_lays_it(void **state)
{
    (void)state;
    static const struct {
        const char *path, *target;
    } links[] = {
        {"config.json", "../../blobs/cb5b2f69babc53f9145b45ad20b9a075d48717ef"},
        {"data/deep er/train-00000-of-00001.txt",
         "../../../../blobs/ce013625030ba8dba906f756967f9e9ca394464a"},
        {"empty.txt", "../../blobs/e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
    };
    const fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_complete();
    assert_string_equal(result.commit, FC_HUB_SERVER_COMMIT);
    assert_int_equal(result.n_files, FC_LEN(files));
    assert_int_equal(result.n_fetched, FC_LEN(files));
    assert_int_equal(result.n_bytes, LARGE + 8 + 9 + 6);
    char path[FC_PATH_MAX], target[256], name[256];
    for (size_t i = 0; i < FC_LEN(links); i++) {
        snprintf(name, sizeof name, "snapshots/" FC_HUB_SERVER_COMMIT "/%s",
                 links[i].path);
        repo_path(path, name);
        const ssize_t n = readlink(path, target, sizeof target - 1);
        assert_true(n > 0);
        target[n] = '\0';
        assert_string_equal(target, links[i].target);
    }
    fc_assert_ok(fc_hub_model_path(path, "org/small", &err), &err);
    assert_string_equal(path, result.snapshot);

    fc_hub_server_set(server, (fc_hub_faults){0});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(result.n_fetched, 0);
    assert_int_equal(fc_hub_server_count(server, "GET", ""), 1); /* the list alone */
    assert_int_equal(fc_hub_server_count(server, "HEAD", ""), 0);
}

static void patterns_and_subsets_choose_files(void **state)
{
    (void)state;
    static const char *const include[] = {"*.json", "data/*"};
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    config.include = include;
    config.n_include = FC_LEN(include);
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(result.n_files, 2);
    config = small();
    config.kind = FC_HUB_DATASET;
    assert_true(fc_hub_name_parse(&config.name, "org/small:train"));
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(result.n_files, 2); /* the card too */
    assert_non_null(strstr(result.snapshot, "datasets--org--small/snapshots/"));
    assert_int_equal(fc_hub_server_count(server, "/datasets/org/small/resolve/", "HEAD"),
                     2);
    static const char *const none[] = {"*.gguf"};
    config.include = none;
    config.n_include = 1;
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_USAGE, "5 files, none");
}

static void the_token_goes_to_the_hub_and_to_no_other_host(void **state)
{
    (void)state;
    const fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    assert_int_equal(setenv("HF_TOKEN", " secret\n", 1), 0);
    fc_hub_server_set(server, (fc_hub_faults){.needs_token = true});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_complete();
    assert_int_equal(fc_hub_server_count(server, "GET store", ""), 1);
    assert_int_equal(fc_hub_server_count(server, "store", "token"), 0);
    assert_int_equal(fc_hub_server_count(server, "hub", ""),
                     fc_hub_server_count(server, "hub", "token"));
}

static void the_token_is_found_where_people_have_it(void **state)
{
    (void)state;
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    char path[FC_PATH_MAX];
    fc_hub_server_set(server, (fc_hub_faults){.needs_token = true});
    fc_test_path(path, cache, "token");
    fc_test_write(path, "secret\n", 7);
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(unlink(path), 0);
    fc_test_path(path, cache, "elsewhere");
    fc_test_write(path, "secret", 6);
    assert_int_equal(setenv("HF_TOKEN_PATH", path, 1), 0);
    fc_assert_ok(fetch(&config, &result, &err), &err);
    fc_test_write(path, "two words", 9);
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_USAGE, path, "not one word");
    assert_int_equal(unsetenv("HF_TOKEN_PATH"), 0);
    assert_int_equal(setenv("HUGGING_FACE_HUB_TOKEN", "secret", 1), 0);
    fc_assert_ok(fetch(&config, &result, &err), &err);
}

static void a_renamed_repository_is_followed_on_its_server(void **state)
{
    (void)state;
    const fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    fc_hub_server_set(server, (fc_hub_faults){.is_renamed = true});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_complete();
}

/* --- a network that fails ------------------------------------------------------------------ */

static void what_was_cut_off_goes_on_where_it_was(void **state)
{
    (void)state;
    const fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    fc_hub_server_set(server, (fc_hub_faults){.n_cuts = 20, .cut_after = 70000});
    fc_assert_ok(fetch(&config, &result, &err),
                 &err); /* more cuts than tries: it gets on */
    assert_complete();
    assert_int_equal(result.n_bytes, LARGE + 8 + 9 + 6);
    assert_int_equal(fc_hub_server_count(server, "GET store", "from 70000"), 1);
    assert_int_equal(fc_hub_server_count(server, "GET store", "from 140000"), 1);
}

static void another_call_goes_on_where_the_one_before_ended(void **state)
{
    (void)state;
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    config.tries = 1;
    fc_hub_server_set(server, (fc_hub_faults){.n_cuts = 20, .cut_after = 100000});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_IO, "model.safetensors");
    assert_int_equal(partial_size(), 100000);
    assert_no_ref();
    fc_hub_server_set(server, (fc_hub_faults){0});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_complete();
    assert_int_equal(result.n_bytes, LARGE - 100000);
    assert_int_equal(fc_hub_server_count(server, "GET store", "from 100000"), 1);
}

static void a_server_that_ignores_ranges_sends_all_of_it_again(void **state)
{
    (void)state;
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    fc_hub_server_set(
        server, (fc_hub_faults){.n_cuts = 1, .cut_after = 100000, .ignores_range = true});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_complete();
    fc_hub_server_set(server, (fc_hub_faults){0});
    begin_test(NULL);
    fc_hub_server_set(
        server, (fc_hub_faults){.n_cuts = 1, .cut_after = 100000, .shifts_range = true});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_FORMAT,
                    "sends from byte 99999, asked for 100000");
}

static void a_server_that_is_not_well_is_asked_again(void **state)
{
    (void)state;
    static const int passing[] = {500, 503, 429, 408};
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    for (size_t i = 0; i < FC_LEN(passing); i++) {
        begin_test(NULL);
        fc_hub_server_set(server, (fc_hub_faults){.n_status = 2, .status = passing[i]});
        fc_assert_ok(fetch(&config, &result, &err), &err);
        assert_complete();
        fc_test_dir_remove(cache);
    }
    begin_test(NULL);
    fc_hub_server_set(server, (fc_hub_faults){.n_status = 3, .status = 503});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_IO,
                    "org/small: the server answers 503");
}

static void nobody_there_is_said(void **state)
{
    (void)state;
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    config.endpoint = "http://127.0.0.1:1/";
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_IO,
                    "http://127.0.0.1:1 cannot be reached");
    config.endpoint = "ftp://127.0.0.1";
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_USAGE, "is no address");
    assert_int_equal(setenv("HF_HUB_OFFLINE", "1", 1), 0);
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_USAGE, "HF_HUB_OFFLINE",
                    "'org/small'");
}

static void stop_now(void *ctx)
{
    (void)ctx;
    fc_cancel_set(true);
}

static void ctrl_c_keeps_the_partial_file(void **state)
{
    (void)state;
    static const char *const include[] = {"model.safetensors"};
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    config.include = include;
    config.n_include = 1;
    fc_hub_server_set(server, (fc_hub_faults){.on_body = stop_now});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_CANCELLED, "stopped",
                    "'org/small' is kept");
    assert_no_ref();
    const int64_t n = partial_size();
    assert_true(n >= 0 && n < LARGE);
    fc_cancel_set(false);
    fc_hub_server_set(server, (fc_hub_faults){0});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(result.n_bytes, LARGE - n);
}

/* --- a hub that refuses or lies ------------------------------------------------------------ */

static void a_refusal_says_what_to_do(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code, *message, *token;
        const char *words[3];
    } cases[] = {
        {401,
         "GatedRepo",
         "",
         NULL,
         {"'org/small' is gated", "accept its terms at http", "HF_TOKEN"}},
        {403,
         "GatedRepo",
         "not in the list",
         "x",
         {"no access yet", "accept its terms", "not in the list"}},
        {401,
         "",
         "Invalid credentials in Authorization header",
         "x",
         {"does not accept your token", "HF_TOKEN", "Invalid"}},
        {401,
         "RepoNotFound",
         "",
         NULL,
         {"no model 'org/small'", "private", "needs a token"}},
        {404,
         "RepoNotFound",
         "",
         "x",
         {"no model 'org/small'", "private", "your token does not open it"}},
        {404, "RevisionNotFound", "", NULL, {"no revision 'main'", "org/small", ""}},
        {418, "", "I am a teapot", NULL, {"answers 418", "teapot", ""}},
    };
    const fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_err err;
        unsetenv("HF_TOKEN");
        if (cases[i].token) assert_int_equal(setenv("HF_TOKEN", cases[i].token, 1), 0);
        fc_hub_server_set(server, (fc_hub_faults){.n_status = 9,
                                                  .status = cases[i].status,
                                                  .code = cases[i].code,
                                                  .message = cases[i].message});
        fc_assert_fails(fetch(&config, &result, &err), &err, FC_IO, cases[i].words[0],
                        cases[i].words[1], cases[i].words[2]);
        assert_int_equal(fc_hub_server_count(server, "", ""), 1); /* not asked again */
    }
}

static void wrong_bytes_are_fetched_once_more_and_never_kept(void **state)
{
    (void)state;
    static const char *const include[] = {"model.safetensors"};
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    fc_err err;
    char path[FC_PATH_MAX];
    config.include = include;
    config.n_include = 1;
    fc_hub_server_set(server, (fc_hub_faults){.n_damaged = 2});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_FORMAT, "model.safetensors",
                    "do not have the checksum");
    assert_no_ref();
    repo_path(path, "blobs");
    assert_int_equal(fc_test_count_entries(path), 0);
    fc_hub_server_set(server, (fc_hub_faults){.n_damaged = 1});
    fc_assert_ok(fetch(&config, &result, &err), &err);
    assert_int_equal(result.n_bytes, 2 * LARGE);

    static const char *const small_file[] = {"config.json"}; /* of git's checksum */
    config.include = small_file;
    fc_hub_server_set(server, (fc_hub_faults){.n_damaged = 2});
    fc_assert_fails(fetch(&config, &result, &err), &err, FC_FORMAT, "config.json",
                    "do not have the checksum");
}

static void lies_about_a_file_are_refused(void **state)
{
    (void)state;
    static const struct {
        fc_hub_faults faults;
        fc_status status;
        const char *words;
    } cases[] = {
        {{.etag = ""}, FC_FORMAT, "gives no ETag"},
        {{.etag = "../../../x"}, FC_FORMAT, "the ETag '../../../x'"},
        {{.etag = "a"}, FC_FORMAT, "the ETag 'a'"},
        {{.commit = "fedcba9876543210fedcba9876543210fedcba98"},
         FC_FORMAT,
         "answers with commit 'fedc"},
        {{.claimed = INT64_MAX / 2}, FC_IO, "bytes, and the disk of"},
        {{.claimed = 1000}, FC_FORMAT, "more than the 1000 bytes"},
        {{.claimed = LARGE + 5}, FC_IO, "ended after 300000 of 300005 bytes"},
        {{.is_circle = true}, FC_IO, "circle of redirects"},
    };
    static const char *const include[] = {"model.safetensors"};
    fc_hub_fetch_config config = small();
    config.include = include;
    config.n_include = 1;
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_hub_fetch_result result;
        fc_err err;
        fc_test_dir_remove(cache);
        begin_test(NULL);
        fc_hub_server_set(server, cases[i].faults);
        fc_assert_fails(fetch(&config, &result, &err), &err, cases[i].status,
                        cases[i].words);
        assert_no_ref();
    }
}

static void paths_that_leave_their_folder_end_everything(void **state)
{
    (void)state;
    static const char *const bad[] = {"../x",  "a/../../x", "/etc/x", "a//b",
                                      "a/./b", "a\\\\b",    "",       ".."};
    fc_hub_server_stop(server);
    for (size_t i = 0; i < FC_LEN(bad); i++) {
        const fc_hub_server_file file = {bad[i], "x", 1, false};
        const fc_hub_fetch_config config = small();
        fc_hub_fetch_result result;
        fc_err err;
        server = fc_hub_server_start(&file, 1);
        fc_assert_fails(fetch(&config, &result, &err), &err, FC_FORMAT,
                        "expected a path inside the repository");
        assert_int_equal(fc_hub_server_count(server, "", ""), 1);
        fc_hub_server_stop(server);
    }
    server = fc_hub_server_start(files, FC_LEN(files));
}

/* --- faults of this machine ---------------------------------------------------------------- */

static fc_status fetch_small(void *ctx, fc_err *err)
{
    static const char *const include[] = {"*.json", "*.safetensors"};
    fc_hub_fetch_config config = small();
    fc_hub_fetch_result result;
    (void)ctx;
    config.include = include;
    config.n_include = FC_LEN(include);
    return fc_hub_fetch(&config, &result, err);
}

/* Whatever failed: no blob has its name without its bytes, and no ref points to what is not there. */
static void check_cache(void *ctx)
{
    char path[FC_PATH_MAX], ref[FC_PATH_MAX];
    (void)ctx;
    repo_path(ref, "refs/main");
    repo_path(path, "snapshots/" FC_HUB_SERVER_COMMIT "/model.safetensors");
    assert_true(!fc_path_exists(ref) || fc_path_exists(path));
    if (fc_path_exists(path)) assert_content(path, large, LARGE);
    fc_test_dir_remove(cache);
    begin_test(NULL);
}

static void every_failed_allocation_and_write_leaves_a_sound_cache(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(fetch_small, check_cache, NULL) > 15);
    fc_test_dir_remove(cache);
    begin_test(NULL);
    assert_true(fc_test_sweep_write(fetch_small, check_cache, NULL) > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_lies_in_the_cache_as_huggingface_hub_lays_it),
        TEST(patterns_and_subsets_choose_files),
        TEST(the_token_goes_to_the_hub_and_to_no_other_host),
        TEST(the_token_is_found_where_people_have_it),
        TEST(a_renamed_repository_is_followed_on_its_server),
        TEST(what_was_cut_off_goes_on_where_it_was),
        TEST(another_call_goes_on_where_the_one_before_ended),
        TEST(a_server_that_ignores_ranges_sends_all_of_it_again),
        TEST(a_server_that_is_not_well_is_asked_again),
        TEST(nobody_there_is_said),
        TEST(ctrl_c_keeps_the_partial_file),
        TEST(a_refusal_says_what_to_do),
        TEST(wrong_bytes_are_fetched_once_more_and_never_kept),
        TEST(lies_about_a_file_are_refused),
        TEST(paths_that_leave_their_folder_end_everything),
        TEST(every_failed_allocation_and_write_leaves_a_sound_cache),
    };
    return cmocka_run_group_tests_name("hub_fetch", tests, start, stop);
}
