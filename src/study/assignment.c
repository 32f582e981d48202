/* assignment.c - shortest augmenting paths with potentials (Jonker and Volgenant, Computing 38, 1987),
 * on lists of pairs.
 *
 *   length of a pair   u_i + v_j - score_ij >= 0, and 0 on the pairs that are used
 *   for each row that has no column: Dijkstra from it, row -> column -> the row that has the column now,
 *   until a free column is reached or a row that is better off alone; the columns passed change hands
 *   along the path, and u and v move so that lengths stay >= 0
 *
 * Most rows find their best column free and need no search, and a search ends at the first free column,
 * so the usual cost is far below the n^3 of the worst case. Auctions were the other choice: simpler, but
 * they stop at a tolerance where this is exact.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/assignment_internal.h"

#include <math.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/cancel.h"

enum { ROWS_A_QUESTION = 64 };

typedef struct search {
    const fc_pairs *pairs;
    fc_assignment *a;
    double alone;
    int32_t *row_of; /* [n_cols] row that has the column; -1: free */
    double *dist;    /* [n_cols] of this search, where seen */
    int32_t *from;   /* [n_cols] row before it on the path */
    int32_t *place;  /* [n_cols] in the heap; NOT_SEEN, DONE */
    int32_t *heap;   /* columns by dist, then by number */
    int64_t n_heap;
    int32_t *seen, *done; /* columns of this search: all, and those whose dist is final */
    int64_t n_seen, n_done;
    double bound;      /* the path need not be longer than that */
    double alone_dist; /* shortest path to a row that stays alone */
    int32_t alone_row;
} search;

enum { NOT_SEEN = -1, DONE = -2 };

/* --- heap ----------------------------------------------------------------------------------- */

static bool is_before(const search *s, int32_t a, int32_t b)
{
    return s->dist[a] < s->dist[b] || (s->dist[a] == s->dist[b] && a < b);
}

static void put(search *s, int64_t place, int32_t col)
{
    s->heap[place] = col;
    s->place[col] = (int32_t)place;
}

static void rise(search *s, int64_t place)
{
    const int32_t col = s->heap[place];
    while (place > 0 && is_before(s, col, s->heap[(place - 1) / 2])) {
        put(s, place, s->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(s, place, col);
}

static int32_t take_first(search *s)
{
    const int32_t first = s->heap[0], last = s->heap[--s->n_heap];
    int64_t place = 0;
    s->place[first] = DONE;
    if (s->n_heap == 0) return first;
    for (;;) {
        int64_t child = 2 * place + 1;
        if (child >= s->n_heap) break;
        if (child + 1 < s->n_heap && is_before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!is_before(s, s->heap[child], last)) break;
        put(s, place, s->heap[child]);
        place = child;
    }
    put(s, place, last);
    return first;
}

/* --- one search ----------------------------------------------------------------------------- */

static void reach(search *s, int32_t col, int32_t row, double dist)
{
    if (s->place[col] == DONE || dist >= s->bound) return;
    if (s->place[col] == NOT_SEEN) {
        s->seen[s->n_seen++] = col;
        s->place[col] = (int32_t)s->n_heap;
        s->heap[s->n_heap++] = col;
    } else if (dist >= s->dist[col]) {
        return;
    }
    s->dist[col] = dist;
    s->from[col] = row;
    rise(s, s->place[col]);
    if (s->row_of[col] < 0) s->bound = dist;
}

static void scan_row(search *s, int32_t row, double base)
{
    const double u = s->a->u[row], to_alone = base + fmax(u - s->alone, 0.0);
    if (to_alone < s->bound) {
        s->alone_row = row;
        s->alone_dist = s->bound = to_alone;
    }
    for (int64_t e = s->pairs->begin[row]; e < s->pairs->begin[row + 1]; e++) {
        const fc_pair pair = s->pairs->pair[e];
        const double length = u + s->a->v[pair.col] - (double)pair.score;
        reach(s, pair.col, row, base + fmax(length, 0.0));
    }
}

/* Column at the end of the shortest path from the row, or -1 when it ends at alone_row. */
static int32_t find_path(search *s, int32_t row, double *length)
{
    s->n_heap = s->n_seen = s->n_done = 0;
    s->bound = s->alone_dist = (double)INFINITY;
    s->alone_row = -1;
    scan_row(s, row, 0.0);
    while (s->n_heap > 0) {
        const int32_t col = take_first(s);
        const double dist = s->dist[col];
        if (dist >= s->alone_dist) break;
        if (s->row_of[col] < 0) {
            *length = dist;
            return col;
        }
        s->done[s->n_done++] = col;
        scan_row(s, s->row_of[col], dist);
    }
    *length = s->alone_dist;
    return -1;
}

/* Every row on the path takes the column that it reached. */
static void change_hands(search *s, int32_t row, int32_t end)
{
    int32_t col = end, *col_of = s->a->col;
    if (end < 0) {
        col = col_of[s->alone_row];
        col_of[s->alone_row] = -1;
        if (s->alone_row == row) return;
    }
    for (int32_t r = -1; r != row;) {
        r = s->from[col];
        const int32_t before = col_of[r];
        col_of[r] = col;
        s->row_of[col] = r;
        col = before;
    }
}

static void give_column(search *s, int32_t row)
{
    double length;
    const int32_t end = find_path(s, row, &length);
    for (int64_t i = 0; i < s->n_done; i++) {
        const int32_t col = s->done[i];
        const double move = length - s->dist[col];
        s->a->v[col] += move;
        s->a->u[s->row_of[col]] -= move;
    }
    s->a->u[row] -= length;
    change_hands(s, row, end);
    for (int64_t i = 0; i < s->n_seen; i++) s->place[s->seen[i]] = NOT_SEEN;
}

/* --- all rows --------------------------------------------------------------------------------- */

/* Rows whose best column is free take it, in order; u is the best that a row could have. */
static void begin_greedily(search *s)
{
    const fc_pairs *p = s->pairs;
    for (int64_t j = 0; j < p->n_cols; j++) s->row_of[j] = s->place[j] = NOT_SEEN;
    for (int64_t i = 0; i < p->n_rows; i++) {
        int32_t best = -1;
        s->a->u[i] = s->alone;
        for (int64_t e = p->begin[i]; e < p->begin[i + 1]; e++)
            if ((double)p->pair[e].score > s->a->u[i]) {
                s->a->u[i] = (double)p->pair[e].score;
                best = p->pair[e].col;
            }
        s->a->col[i] = -1;
        if (best < 0 || s->row_of[best] >= 0) continue;
        s->a->col[i] = best;
        s->row_of[best] = (int32_t)i;
    }
}

static fc_status run(search *s, fc_err *err)
{
    fc_assignment *a = s->a;
    begin_greedily(s);
    for (int64_t i = 0; i < a->n_rows; i++) {
        if (a->col[i] < 0 && a->u[i] > s->alone) give_column(s, (int32_t)i);
        if (i % ROWS_A_QUESTION == 0 && fc_cancel_requested())
            return fc_fail(err, FC_CANCELLED, "eval was interrupted at the assignment");
    }
    for (int64_t i = 0; i < a->n_rows; i++) {
        a->n_alone += a->col[i] < 0;
        a->total += a->u[i];
    }
    for (int64_t j = 0; j < a->n_cols; j++) a->total += a->v[j];
    return FC_OK;
}

fc_status fc_assignment_solve(fc_assignment *assignment, const fc_pairs *pairs,
                              double alone, fc_err *err)
{
    const int64_t n = pairs->n_rows, m = pairs->n_cols;
    fc_assignment a = {.n_rows = n, .n_cols = m};
    search s = {.pairs = pairs, .a = &a, .alone = alone};
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&a.col, n, sizeof *a.col, "an assignment", err));
    FC_TRY_GOTO(fc_alloc(&a.u, n, sizeof *a.u, "an assignment", err));
    FC_TRY_GOTO(fc_alloc(&a.v, m, sizeof *a.v, "an assignment", err));
    FC_TRY_GOTO(fc_alloc(&s.dist, m, sizeof *s.dist, "a search", err));
    FC_TRY_GOTO(fc_alloc(&s.row_of, m, 6 * sizeof *s.row_of, "a search", err));
    s.from = s.row_of + m;
    s.place = s.row_of + 2 * m;
    s.heap = s.row_of + 3 * m;
    s.seen = s.row_of + 4 * m;
    s.done = s.row_of + 5 * m;
    FC_TRY_GOTO(run(&s, err));
done:
    fc_free(s.dist);
    fc_free(s.row_of);
    if (status != FC_OK) fc_assignment_deinit(&a);
    *assignment = a;
    return status;
}

void fc_assignment_deinit(fc_assignment *assignment)
{
    fc_free(assignment->col);
    fc_free(assignment->u);
    fc_free(assignment->v);
    *assignment = (fc_assignment){0};
}
