/* test_concept_rules.c - the built-in concepts against sentences labelled by hand, the conditions
 * one by one, and what is said of a bad rule.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "planted.h"

#include <stdlib.h>

#include "study/concept_internal.h"

static char dir[FC_PATH_MAX];
static fc_tokenizer *tokenizer; /* NULL: the example model is not there */

static int set_up(void **state)
{
    (void)state;
    fc_test_dir_make(dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fc_test_dir_remove(dir);
    return 0;
}

/* --- sentences as a store --------------------------------------------------------------- */

enum { MOST_ROWS = 4000, MOST_SENTENCES = 128, MOST_BYTES = 512 };

typedef struct corpus {
    fc_row row[MOST_ROWS];
    bool is_marked[MOST_ROWS];
    int64_t n;
    int64_t begin[MOST_SENTENCES + 1];
    fc_store *store;
    fc_token_kinds kinds;
} corpus;

/* The text without {}, and for each of its bytes whether it stood between them. */
static int64_t unmark(const char *marked, char text[MOST_BYTES], bool is_in[MOST_BYTES])
{
    int64_t n = 0;
    bool is_inside = false;
    for (const char *at = marked; *at != '\0'; at++) {
        if (*at == '{' || *at == '}') {
            is_inside = *at == '{';
            continue;
        }
        assert_true(n + 1 < MOST_BYTES);
        is_in[n] = is_inside;
        text[n++] = *at;
    }
    return n;
}

/* A token is marked when a byte of it, a space aside, stands between {}; each sentence is a
 * document. */
static void add_sentence(corpus *c, fc_encoder *encoder, const char *marked, int32_t doc)
{
    char text[MOST_BYTES];
    bool is_in[MOST_BYTES];
    fc_tokens tokens = {0};
    fc_err err;
    const int64_t n = unmark(marked, text, is_in);
    fc_assert_ok(
        fc_encode(encoder, text, n, (fc_encode_options){.no_bos = true}, &tokens, &err),
        &err);
    for (int64_t t = 0; t < tokens.n; t++) {
        assert_true(c->n < MOST_ROWS);
        c->is_marked[c->n] = false;
        for (int64_t b = tokens.begin[t]; b < tokens.end[t]; b++)
            if (is_in[b] && text[b] != ' ') c->is_marked[c->n] = true;
        c->row[c->n++] = (fc_row){tokens.id[t], doc, (int32_t)t + 1};
    }
    c->begin[doc + 1] = c->n;
    fc_tokens_free(&tokens);
}

static corpus *corpus_of(const char *const *sentences, int64_t n)
{
    static float zeros[MOST_ROWS];
    fc_encoder *encoder;
    fc_err err;
    corpus *c = calloc(1, sizeof *c);
    assert_non_null(c);
    assert_true(n <= MOST_SENTENCES);
    fc_assert_ok(fc_encoder_new(&encoder, tokenizer, &err), &err);
    for (int64_t i = 0; i < n; i++) add_sentence(c, encoder, sentences[i], (int32_t)i);
    fc_encoder_free(encoder);
    const planted_rows planted = {c->n, 1, zeros, c->row};
    planted_store(dir, &planted);
    fc_assert_ok(fc_store_open(&c->store, dir, false, false, &err), &err);
    fc_assert_ok(fc_token_kinds_init(&c->kinds, tokenizer, &err), &err);
    return c;
}

static void corpus_free(corpus *c)
{
    fc_store_close(c->store);
    fc_token_kinds_deinit(&c->kinds);
    free(c);
}

/* --- the built-in concepts -------------------------------------------------------------- */

typedef struct labelled {
    const char *concept, *text; /* every token between {} and no other belongs to it */
} labelled;

static const labelled sentences[] = {
    {"person names in lists",
     " It starred {John} {Smith} , {Mary} {Jones} and {Peter} {Brown} ."},
    {"person names in lists",
     " The city of New York was large , and John Smith lived there ."},
    {"1 or 0 at the tens digit of a year", " Between 19{1}4 and 20{0}8 , and in 1995 ."},
    {"1 or 0 at the tens digit of a year", " A crowd of 2 @,@ 514 people and 810 cars ."},
    {"of", " The king {of} France took off his hat ."},
    {"s of decades", " In the 1980{s} and the 1990{s} , in 1985 , he sings ."},
    {"day of the month", " Born on {1}{5} March 1997 and died on May {3} , 2001 ."},
    {"day of the month", " There were 15 ships and 3 boats ."},
    {"genitive s", " The king {'s} son and London {'s} river ."},
    {"genitive s", " It 's late , and he 's old ."},
    {"ordinal endings", " The 15{th} and 2{nd} , the 1{st} and the 3{rd} street ."},
    {"units digit of a year", " In 199{5} and 201{0} , the 4 @,@ 512 men of 12 towns ."},
    {"first", " The {first} man was here at {first} , firstly ."},
    {"also", " He {also} sang . {Also} there was a game ."},
    {"May", " In {May} 1997 he may have seen Mary ."},
    {"as", " She worked {as} a teacher , {as} did he , in Asia ."},
    {"that", " He said {that} this was so . {That} is why the hat was there ."},
    {"not", " It was {not} known , nothing was noted ."},
    {"the", " {The} river and {the} sea , their theme and a theory ."},
    {"only", " It was the {only} one . {Only} he knew ."},
    {"genitive apostrophe", " The students {'} union and the players {'} bus ."},
    {"genitive apostrophe", " The ' quoted words ' were long ."},
    {"to", " He went {to} London {to} see it , too , tomorrow ."},
    {"a, an", " {A} man and {an} apple with {a} box , and any other ."},
    {"units of distance", " It is 12 {km} long and 7 {miles} ( 11 {km} ) wide  ."},
    {"units of distance", " The military missed a smile ."},
    {"later", " He {later} moved . {Later} he died , late ."},
    {"in, inch", " He was born {in} London {in} 1990 , into it ."},
    {"world wars", " After {World} {War} {I} and before {World} {War} {II} , the Cold "
                   "War in a world at war ."},
    {"comma after However", " However{,} it rained ."},
    {"comma after However", " However {,} it rained , and however it was ."},
    {"lot, much", " He had a {lot} of time and {much} money , many plots ."},
    {"forms of die", " He {died} in 1990 , she {dies} of a disease . The diet ."},
    {"closing bracket after a unit", " It was 11 km {)} long and ( in 1990 ) small ."},
    {"third-person possessives",
     " {His} father and {her} mother saw {their} son in {its} house , my own ."},
    {"feet, metres", " It was 12 {feet} ( 4 {m} ) high , 30 {metres} long , at 7 pm ."},
    {"was", " It {was} here and there were wasps ."},
    {"months",
     " From {January} to {December} , in {October} , in May , the march went on ."},
    {"surnames", " The poet John {Smith} met Robert {Brown} in Paris with John ."},
    {"surnames", " On the River Thames the boat was lost ."},
};

static int64_t index_of(const fc_concepts *concepts, const char *name)
{
    for (int64_t i = 0; i < fc_concepts_n(concepts); i++)
        if (strcmp(fc_concepts_name(concepts, i), name) == 0) return i;
    fail_msg("there is no concept '%s'", name);
    return -1;
}

static void built_in_concepts_hold_where_a_person_says(void **state)
{
    (void)state;
    const char *text[FC_LEN(sentences)];
    fc_concepts *concepts;
    fc_concept_matcher matcher;
    fc_err err;
    int64_t n_wrong = 0;
    uint64_t labelled_ones = 0;
    if (tokenizer == NULL) skip();
    for (size_t i = 0; i < FC_LEN(sentences); i++) text[i] = sentences[i].text;
    corpus *c = corpus_of(text, FC_LEN(sentences));
    fc_assert_ok(fc_concepts_built_in(&concepts, &err), &err);
    fc_assert_ok(
        fc_concept_matcher_init(&matcher, concepts, c->store, tokenizer, &c->kinds, &err),
        &err);
    for (size_t i = 0; i < FC_LEN(sentences); i++) {
        const int64_t own = index_of(concepts, sentences[i].concept);
        labelled_ones |= UINT64_C(1) << own;
        for (int64_t row = c->begin[i]; row < c->begin[i + 1]; row++) {
            const bool holds = fc_concept_match(&matcher, row) >> own & 1;
            if (holds == c->is_marked[row]) continue;
            n_wrong++;
            print_message("%s: '%s' in \"%s\" %s\n", sentences[i].concept,
                          fc_tokenizer_piece(tokenizer, c->row[row].token_id),
                          sentences[i].text, holds ? "is taken" : "is not taken");
        }
    }
    assert_int_equal(n_wrong, 0);
    /* every concept has a sentence */
    assert_int_equal(__builtin_popcountll(labelled_ones), fc_concepts_n(concepts));
    fc_concept_matcher_deinit(&matcher);
    fc_concepts_free(concepts);
    corpus_free(c);
}

/* --- conditions ------------------------------------------------------------------------- */

static void each_condition_looks_where_it_says(void **state)
{
    (void)state;
    static const char *const corpus_text[] = {" The king of 12 old towns saw it",
                                              " 345 men of Rome ."};
    /* rows: The king of _ 1 2 old towns saw it | _ 3 4 5 men of Rome . */
    static const struct {
        const char *rule, *pieces; /* those on which it holds, in order */
    } cases[] = {
        {"{piece: \" of\"}", " of of"},
        {"{piece: [\" of\", \" it\"]}", " of it of"},
        {"{piece: \" of\", piece-1: \" king\"}", " of"},
        {"{piece-1: \" king\"}", " of"},
        {"{piece+1: \" it\"}", " saw"},
        {"{class: digit}", "12345"},
        {"{class: digit, class-1: digit}", "245"},
        {"{class: digit, not-class-1: digit}", "13"},
        {"{class: digit, digits-before: 1}", "24"},
        {"{class: digit, digits-after: 1..2}", "134"},
        {"{class: digit, digits-before: 0, digits-after: 2..}", "3"},
        {"{piece: \" of\", class+2: digit}", " of"},
        {"{text: \"^ [a-z]{3}$\"}", " old saw men"},
        {"{text: \"^ [a-z]{3}$\", not-text: w}", " old men"},
        {"{piece: \" of\", text-before: \"king$\"}", " of"},
        {"{piece: \" of\", not-text-before: \"king$\"}", " of"},
        {"{piece: \" of\", text-after: \"^ 12 old\"}", " of"},
        {"{context: \"king« of» 1\"}", " of"},
        {"{context: [\"« saw» it$\", \"5« men»\"]}", " saw men"},
        {"{is: conjunction}", ""},
        {"{is: preposition, before: number}", ""},
        {"{is: preposition, after: number}", " of"},
        {"{class: digit, stand: three}", "345"},
        {"{class: digit, stand: [two-1, two-2]}", "12"},
        {"{position: 1}", " The\xe2\x96\x81"},
        {"{document-position: 2..3}", " king of34"},
        {"{piece: [\" of\", \" men\"], document-position: 5..}", " men of"},
        {"{piece+1: \" xyz\"}", ""},
        {"{class: closing}", ""},
        {"{not-class+1: [lower, digit, punctuation, capitalised], class: lower}",
         " of it"},
    };
    if (tokenizer == NULL) skip();
    corpus *c = corpus_of(corpus_text, FC_LEN(corpus_text));
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        char yaml[256], found[256] = "";
        fc_concepts *concepts;
        fc_concept_matcher m;
        fc_err err;
        snprintf(yaml, sizeof yaml, "it: %s\n", cases[i].rule);
        fc_assert_ok(fc_concepts_parse(&concepts, yaml, strlen(yaml), "test", &err),
                     &err);
        fc_assert_ok(
            fc_concept_matcher_init(&m, concepts, c->store, tokenizer, &c->kinds, &err),
            &err);
        for (int64_t row = 0; row < c->n; row++) {
            if (fc_concept_match(&m, row) == 0) continue;
            const char *piece = fc_tokenizer_piece(tokenizer, c->row[row].token_id);
            const bool has_space =
                strncmp(piece, "\xe2\x96\x81", 3) == 0 && piece[3] != 0;
            const size_t at = strlen(found);
            snprintf(found + at, sizeof found - at, "%s%s", has_space ? " " : "",
                     has_space ? piece + 3 : piece);
        }
        if (strcmp(found, cases[i].pieces) != 0)
            fail_msg("%s holds on '%s', expected '%s'", cases[i].rule, found,
                     cases[i].pieces);
        fc_concept_matcher_deinit(&m);
        fc_concepts_free(concepts);
    }
    corpus_free(c);
}

static void documents_are_borders_unless_the_file_says_otherwise(void **state)
{
    (void)state;
    static const char *const corpus_text[] = {" in 19", "45 men"};
    static const struct {
        const char *yaml;
        int64_t n;
    } cases[] = {{"across_documents: no\nit: {class: digit, digits-before: 2}\n", 0},
                 {"across_documents: yes\nit: {class: digit, digits-before: 2}\n", 1}};
    if (tokenizer == NULL) skip();
    corpus *c = corpus_of(corpus_text, FC_LEN(corpus_text));
    /* the second document begins with a digit and no space: 4 5 follow 1 9 */
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_concepts *concepts;
        fc_concept_matcher m;
        fc_err err;
        int64_t n = 0;
        fc_assert_ok(fc_concepts_parse(&concepts, cases[i].yaml, strlen(cases[i].yaml),
                                       "test", &err),
                     &err);
        fc_assert_ok(
            fc_concept_matcher_init(&m, concepts, c->store, tokenizer, &c->kinds, &err),
            &err);
        for (int64_t row = 0; row < c->n; row++) n += fc_concept_match(&m, row) != 0;
        assert_int_equal(n, cases[i].n);
        fc_concept_matcher_deinit(&m);
        fc_concepts_free(concepts);
    }
    corpus_free(c);
}

static void a_token_that_the_tokenizer_lacks_has_no_concept(void **state)
{
    (void)state;
    static const char yaml[] = "it: {not-piece: \" of\"}\n";
    static const float x[2];
    const fc_row rows[] = {{500, 0, 1}, {INT32_MAX, 0, 2}};
    const planted_rows planted = {2, 1, x, rows};
    fc_concepts *concepts;
    fc_concept_matcher m;
    fc_token_kinds kinds;
    fc_store *store;
    fc_err err;
    if (tokenizer == NULL) skip();
    planted_store(dir, &planted);
    fc_assert_ok(fc_store_open(&store, dir, false, false, &err), &err);
    fc_assert_ok(fc_token_kinds_init(&kinds, tokenizer, &err), &err);
    fc_assert_ok(fc_concepts_parse(&concepts, yaml, strlen(yaml), "test", &err), &err);
    fc_assert_ok(fc_concept_matcher_init(&m, concepts, store, tokenizer, &kinds, &err),
                 &err);
    assert_int_equal(fc_concept_match(&m, 0), 1);
    assert_int_equal(fc_concept_match(&m, 1), 0);
    fc_concept_matcher_deinit(&m);
    fc_concepts_free(concepts);
    fc_token_kinds_deinit(&kinds);
    fc_store_close(store);
}

/* --- files ------------------------------------------------------------------------------ */

static void rules_without_words_say_their_conditions(void **state)
{
    (void)state;
    static const char yaml[] = "one: {piece: [\" of\", \" in\"], class-1: digit}\n"
                               "two: {rule: in words, is: month}\n"
                               "three: {is: [month, weekday], not-before: comparative}\n";
    fc_concepts *c;
    fc_err err;
    fc_assert_ok(fc_concepts_parse(&c, yaml, strlen(yaml), "test", &err), &err);
    assert_int_equal(fc_concepts_n(c), 3);
    assert_string_equal(fc_concepts_name(c, 0), "one");
    assert_string_equal(fc_concepts_rule(c, 0), "piece ' of', ' in'; class-1 'digit'");
    assert_string_equal(fc_concepts_rule(c, 1), "in words");
    assert_string_equal(fc_concepts_rule(c, 2),
                        "is 'month', 'weekday'; not-before 'comparative'");
    fc_concepts_free(c);
    fc_concepts_free(NULL);
}

static void bad_rules_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *place, *words;
    } cases[] = {
        {"", "rules.yaml", "no concept"},
        {"a:\n  rule: nothing else\n", "rules.yaml", "'a' has no condition"},
        {"a: {rule: x}\nb: {is: month}\n", "rules.yaml", "'a' has no condition"},
        {"a:\n  is: month\n  piec: x\n", "rules.yaml:3: piec", "did you mean piece"},
        {"a:\n  zzzzzzz: x\n", "rules.yaml:2: zzzzzzz", "expected rule, piece"},
        {"a:\n  piece-9: x\n", "rules.yaml:2: piece-9", "up to 8 tokens"},
        {"a:\n  piece+0: x\n", "rules.yaml:2: piece+0", "no such condition"},
        {"a:\n  is-1: month\n", "rules.yaml:2: is-1", "no such condition"},
        {"a:\n  is: mont\n", "rules.yaml:2: is", "did you mean 'month'"},
        {"a:\n  stand: qqqqqqq\n", "rules.yaml:2: stand", "'year-1'"},
        {"a:\n  class: year\n", "rules.yaml:2: class", "by is, before or after"},
        {"a:\n  piece: ''\n", "rules.yaml:2: piece", "empty text"},
        {"a:\n  text: '('\n", "rules.yaml:2: text", "regular expression"},
        {"a:\n  context: [x, '[']\n", "rules.yaml:2: context", "regular expression"},
        {"a:\n  digits-before: x\n", "rules.yaml:2: digits-before", "expected a number"},
        {"a:\n  digits-before: 3..1\n", "rules.yaml:2", "'3..1'"},
        {"a:\n  digits-before: 32\n", "rules.yaml:2", "0 .. 31"},
        {"a:\n  position: 0\n", "rules.yaml:2", "1 .. 4096"},
        {"a:\n  position: 99999999999999999999\n", "rules.yaml:2", "1 .. 4096"},
        {"a:\n  position: -1\n", "rules.yaml:2", "expected a number"},
        {"a:\n  is: month\n  is: weekday\n", "rules.yaml:3", "given twice"},
        {"is: month\n", "rules.yaml:1: is", "a section for each concept"},
        {"a:\n  is: {month: 1}\n", "rules.yaml:2", "nested"},
    };
    for (size_t i = 0; i < FC_LEN(cases); i++) {
        fc_concepts *c;
        fc_err err;
        const char *yaml = cases[i].yaml;
        fc_assert_fails(fc_concepts_parse(&c, yaml, strlen(yaml), "rules.yaml", &err),
                        &err, FC_FORMAT, cases[i].place, cases[i].words);
        assert_null(c);
    }
}

static void more_than_64_concepts_are_refused(void **state)
{
    (void)state;
    char yaml[4096];
    fc_concepts *c;
    fc_err err;
    size_t n = 0;
    for (int i = 0; i < 64; i++)
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "c%d: {class: digit}\n", i);
    fc_assert_ok(fc_concepts_parse(&c, yaml, n, "test", &err), &err);
    assert_int_equal(fc_concepts_n(c), FC_MOST_CONCEPTS);
    fc_concepts_free(c);
    n += (size_t)snprintf(yaml + n, sizeof yaml - n, "last: {class: digit}\n");
    fc_assert_fails(fc_concepts_parse(&c, yaml, n, "test", &err), &err, FC_FORMAT,
                    "test:65", "'last'", "64");
}

static fc_status parse_built_in(void *ctx, fc_err *err)
{
    (void)ctx;
    fc_concepts *c;
    FC_TRY(fc_concepts_built_in(&c, err));
    fc_concepts_free(c);
    return FC_OK;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    assert_true(fc_test_sweep_alloc(parse_built_in, NULL, NULL) > 20);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    char path[FC_PATH_MAX];
    fc_concepts *c;
    fc_err err;
    fc_test_path(path, dir, "rules.yaml");
    fc_assert_fails(fc_concepts_load(&c, path, &err), &err, FC_IO, path);
    fc_test_write(path, "a: {class: digit}\n", 18);
    fc_assert_ok(fc_concepts_load(&c, path, &err), &err);
    fc_concepts_free(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(built_in_concepts_hold_where_a_person_says),
        TEST(each_condition_looks_where_it_says),
        TEST(documents_are_borders_unless_the_file_says_otherwise),
        TEST(a_token_that_the_tokenizer_lacks_has_no_concept),
        TEST(rules_without_words_say_their_conditions),
        TEST(bad_rules_are_refused_with_their_line),
        TEST(more_than_64_concepts_are_refused),
        TEST(memory_that_runs_out_is_reported),
        TEST(a_file_that_is_not_there_is_named),
    };
    char model[FC_PATH_MAX];
    fc_source_file(model, "assets/example-model");
    if (fc_path_exists(model) && fc_tokenizer_load(&tokenizer, model, NULL) != FC_OK)
        return 1;
    const int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    fc_tokenizer_free(tokenizer);
    return n_failed;
}
