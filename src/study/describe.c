/* describe.c - chooses what to say of a feature: explained mass against generality.
 *
 *   p   share of the feature's activation on rows where a predicate holds
 *   b   share of the corpus's rows where it holds
 *   score = p^2 log(p / b) - a price for each predicate and piece
 *
 * log(p / b) alone would choose the rarest word that the feature likes, p alone "words in lower
 * case". The square makes it worth leaving a narrow predicate for one that explains more. Only
 * what explains half and is twice as frequent under the feature as in the corpus is considered,
 * so a conjunction need only be made of predicates that explain half each: some dozens, of
 * which all pairs are tried.
 *
 * Some features have two causes. A cover is the best finding, even if it explains less than half,
 * and the best one on the rest of the activation; its base is at most the sum of the two.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/describe_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SINGLES = 96, HANDFUL = 10 };
/* Of the whole activation; of strong activations, where a kind that half of the words are says little. */
static const double least_share = 0.5, least_lift = 1.8, least_score = 0.15;
static const double strong_share = 0.4, strong_lift = 3.0, strong_score = 0.2;
/* A part of a cover: its share of the activation, its lift, and those of both together. */
static const double least_part = 0.15, part_lift = 3.0, least_cover = 0.25;
static const double mostly = 0.9, nearly_all = 0.95;
static const double fact_price = 0.1, piece_price = 0.15, next_piece_price = 0.05;
static const double beside_price =
    0.1; /* rather say what a token is than what stands beside */
/* Pieces are named together when the first has this share and each adds that much more. */
static const double first_piece_ratio = 0.5, next_piece_share = 0.04,
                    next_piece_ratio = 0.2;
static const double least_rows =
    4.0; /* of a piece, where there are more than a handful */

typedef struct single {
    fc_predicate predicate;
    double share;
} single;

typedef struct search {
    const fc_corpus_facts *corpus;
    const fc_evidence *evidence;
    single single[MOST_SINGLES];
    int n;
    double price; /* rises where few activations are known */
    double least_share, least_lift, least_score;
    fc_finding best;
} search;

/* --- scores ----------------------------------------------------------------------------- */

static double price_of(const fc_predicate *predicate)
{
    const fc_role role = fc_predicate_role(predicate);
    const bool is_beside = role == FC_ROLE_BEFORE || role == FC_ROLE_AFTER;
    const double price = is_beside ? beside_price : 0.0;
    if (predicate->n_pieces == 0) return price + fact_price;
    return price + piece_price + next_piece_price * (predicate->n_pieces - 1);
}

static void consider(search *s, const fc_predicate *a, const fc_predicate *b,
                     double share)
{
    const double base = fc_corpus_share(s->corpus, a, b);
    const double price = price_of(a) + (b != NULL ? price_of(b) : 0.0);
    const double score = share * share * log(share / base) - s->price * price;
    const bool is_handful = s->evidence->n < HANDFUL;
    if (!is_handful && (share < s->least_lift * base || score < s->least_score)) return;
    if (s->best.n > 0 && score <= s->best.score) return;
    s->best = (fc_finding){
        .n = 1, .predicate = {*a}, .share = share, .base = base, .score = score};
    if (b != NULL) s->best.predicate[s->best.n++] = *b;
}

static void add_single(search *s, const fc_predicate *predicate, double share)
{
    if (share < s->least_share || s->n == MOST_SINGLES) return;
    s->single[s->n++] = (single){*predicate, share};
}

/* --- predicates that explain half ------------------------------------------------------- */

static void add_facts(search *s)
{
    double weight[FC_N_FACTS] = {0};
    int list[FC_N_FACTS];
    const fc_evidence *e = s->evidence;
    for (int64_t i = 0; i < e->n; i++) {
        const int n = fc_facts_list(&e->facts[i], list);
        for (int k = 0; k < n; k++) weight[list[k]] += e->hit[i].weight;
    }
    for (int fact = 0; fact < FC_N_FACTS; fact++) {
        const fc_predicate predicate = fc_predicate_of_fact(fact);
        add_single(s, &predicate, weight[fact] / e->total);
    }
}

typedef struct weighed_id {
    int32_t id;
    double weight;
} weighed_id;

static int compare_ids(const void *a, const void *b)
{
    const weighed_id *p = a, *q = b;
    return (p->id > q->id) - (p->id < q->id);
}

static int compare_weights(const void *a, const void *b)
{
    const weighed_id *p = a, *q = b;
    if (p->weight != q->weight) return p->weight > q->weight ? -1 : 1;
    return compare_ids(a, b);
}

/* The ids at one place with their weights, heaviest first; returns how many. */
static int64_t weigh_ids(const fc_evidence *e, fc_fact_group where, weighed_id *list)
{
    int64_t n = 0;
    for (int64_t i = 0; i < e->n; i++) {
        const fc_facts *f = &e->facts[i];
        const int32_t id = where == FC_FACT_TOKEN    ? f->token
                           : where == FC_FACT_BEFORE ? f->before
                                                     : f->after;
        list[i] = (weighed_id){id, e->hit[i].weight};
    }
    qsort(list, (size_t)e->n, sizeof *list, compare_ids);
    for (int64_t i = 0; i < e->n; i++) {
        if (n > 0 && list[n - 1].id == list[i].id)
            list[n - 1].weight += list[i].weight;
        else
            list[n++] = list[i];
    }
    qsort(list, (size_t)n, sizeof *list, compare_weights);
    return n;
}

/* The heaviest piece, the two heaviest, .. as long as each adds something. */
static void add_pieces(search *s, fc_fact_group where)
{
    weighed_id list[FC_SAMPLE_MASS];
    const int64_t n = weigh_ids(s->evidence, where, list);
    fc_predicate predicate = {.group = where};
    double share = 0.0, first = 0.0, least = next_piece_share;
    if (s->evidence->n >= HANDFUL)
        least = fmax(least, least_rows / (double)s->evidence->n);
    for (int64_t i = 0; i < n && predicate.n_pieces < FC_PREDICATE_PIECES; i++) {
        const double more = list[i].weight / s->evidence->total;
        if (more < least || more < next_piece_ratio * first) break;
        if (list[i].id < 0) continue;
        if (predicate.n_pieces == 0) first = more;
        if (first < first_piece_ratio * s->least_share) break;
        predicate.piece[predicate.n_pieces++] = list[i].id;
        share += more;
        add_single(s, &predicate, share);
    }
}

/* --- choice ----------------------------------------------------------------------------- */

static bool holds(const fc_finding *finding, const fc_facts *facts)
{
    for (int k = 0; k < finding->n; k++)
        if (!fc_predicate_holds(&finding->predicate[k], facts)) return false;
    return finding->n > 0;
}

double fc_finding_share(const fc_finding *finding, const fc_evidence *evidence)
{
    double weight = 0.0;
    for (int64_t i = 0; i < evidence->n; i++)
        if (holds(finding, &evidence->facts[i])) weight += evidence->hit[i].weight;
    return evidence->total > 0.0 ? weight / evidence->total : 0.0;
}

static void try_pairs(search *s)
{
    for (int i = 0; i < s->n; i++)
        for (int k = i + 1; k < s->n; k++) {
            const fc_predicate *a = &s->single[i].predicate, *b = &s->single[k].predicate;
            if (fc_predicate_role(a) == fc_predicate_role(b)) continue;
            if (a->n_pieces > 1 && b->n_pieces > 1) continue; /* fits by chance */
            const fc_finding both = {.n = 2, .predicate = {*a, *b}};
            const double share = fc_finding_share(&both, s->evidence);
            if (share >= s->least_share) consider(s, a, b, share);
        }
}

/* A finding that speaks only of what is beside or where is joined by what the token is, where that
 * can be said at no cost: "`,` after `However`" although every "However" has its comma. */
static void name_the_token(search *s)
{
    const fc_finding found = s->best;
    if (found.n != 1 || fc_predicate_role(&found.predicate[0]) < FC_ROLE_BEFORE) return;
    double least = 1.0;
    for (int i = 0; i < s->n; i++) {
        const fc_predicate *word = &s->single[i].predicate;
        if (fc_predicate_role(word) >= FC_ROLE_PART) continue;
        if (word->n_pieces > 1 && found.predicate[0].n_pieces > 1) continue;
        fc_finding both = {.n = 2, .predicate = {*word, found.predicate[0]}};
        both.share = fc_finding_share(&both, s->evidence);
        both.base = fc_corpus_share(s->corpus, word, NULL);
        if (both.share < nearly_all * found.share || both.base >= least) continue;
        least = both.base;
        both.base = fc_corpus_share(s->corpus, word, &found.predicate[0]);
        both.score = found.score;
        s->best = both;
    }
}

/* Whether the pieces that a finding names nearly always begin a word that goes on: "`W...`". */
static bool is_word_split(const fc_finding *finding, const fc_evidence *evidence)
{
    const fc_predicate is_begin = {.group = FC_FACT_STAND, .bit = FC_PART_BEGIN};
    if (finding->n == 0) return false;
    double weight = 0.0;
    for (int64_t i = 0; i < evidence->n; i++)
        if (fc_predicate_holds(&is_begin, &evidence->facts[i]) &&
            holds(finding, &evidence->facts[i]))
            weight += evidence->hit[i].weight;
    return weight >= mostly * finding->share * evidence->total;
}

static fc_finding find(search *s, const fc_evidence *evidence)
{
    s->evidence = evidence;
    if (evidence->n == 0 || !(evidence->total > 0.0)) return s->best;
    s->price = 1.0 + 60.0 / (double)evidence->n;
    add_pieces(s, FC_FACT_TOKEN);
    if (evidence->n >= HANDFUL) {
        add_pieces(s, FC_FACT_BEFORE);
        add_pieces(s, FC_FACT_AFTER);
        add_facts(s);
    }
    for (int i = 0; i < s->n; i++)
        consider(s, &s->single[i].predicate, NULL, s->single[i].share);
    try_pairs(s);
    name_the_token(s);
    s->best.is_word_split = is_word_split(&s->best, evidence);
    return s->best;
}

fc_finding fc_find_description(const fc_corpus_facts *corpus, const fc_evidence *evidence)
{
    search s = {.corpus = corpus,
                .least_share = least_share,
                .least_lift = least_lift,
                .least_score = least_score};
    return find(&s, evidence);
}

fc_finding fc_find_in_strong(const fc_corpus_facts *corpus, const fc_evidence *evidence)
{
    search s = {.corpus = corpus,
                .least_share = strong_share,
                .least_lift = strong_lift,
                .least_score = strong_score};
    return find(&s, evidence);
}

static fc_finding find_part(const fc_corpus_facts *corpus, const fc_evidence *evidence)
{
    search s = {.corpus = corpus, .least_share = least_part, .least_lift = part_lift};
    return find(&s, evidence);
}

fc_cover fc_find_cover(const fc_corpus_facts *corpus, const fc_evidence *evidence)
{
    fc_weighed rest[FC_SAMPLE_MASS];
    fc_cover cover = {.part = {find_part(corpus, evidence)}};
    if (evidence->n < HANDFUL || cover.part[0].n == 0) return (fc_cover){0};
    memcpy(rest, evidence->hit, (size_t)evidence->n * sizeof *rest);
    for (int64_t i = 0; i < evidence->n; i++)
        if (holds(&cover.part[0], &evidence->facts[i])) rest[i].weight = 0.0;
    const fc_evidence others = {evidence->n, rest, evidence->facts, evidence->total};
    cover.part[1] = find_part(corpus, &others);
    cover.n = cover.part[1].n > 0 ? 2 : 1;
    for (int k = 0; k < cover.n; k++) {
        cover.share += cover.part[k].share;
        cover.base += cover.part[k].base;
    }
    if (cover.share < least_cover || cover.share < part_lift * cover.base)
        return (fc_cover){0};
    cover.score = cover.share * cover.share * log(cover.share / cover.base);
    for (int k = 0; k < cover.n; k++)
        for (int i = 0; i < cover.part[k].n; i++)
            cover.score -= price_of(&cover.part[k].predicate[i]);
    return cover;
}
