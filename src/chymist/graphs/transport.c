/* Exact transport between the neighbourhoods of the ends of edges, one edge after another.
 *
 * Shortest augmenting paths with potentials (Jonker and Volgenant's method for masses in place of
 * ones): rows send their mass to columns, and a dual solution is kept beside the primal one. Costs
 * are scaled to order one, what is common to both measures is removed before, and distances are
 * found only as far as the two neighbourhoods can be apart.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DUST 1e-15 /* mass that counts as none; all masses together are one */

/* ---- transport ------------------------------------------------------------------------------ */

typedef struct {
    int64_t rows, cols;
    double *supply, *demand;          /* what is still to be sent and received */
    double *cost, *flow;              /* (rows, cols); (cols, rows) */
    double *u, *v;                    /* potentials: u_i + v_j <= cost_ij */
    double *row_at, *col_at;          /* distance at which the search reached a row or column */
    double *from_row, *shut;          /* the row by which a column was reached; 0, infinite if done */
    int64_t *from_col;                /* the column by which a row was reached */
    int64_t *seen;                    /* rows in the order in which the search reached them */
    char *row_done;
} Problem;

static double slack(const Problem *t, int64_t i, int64_t j) {
    double s = t->cost[i * t->cols + j] - t->u[i] - t->v[j];
    return s > 0 ? s : 0;
}

static void send(Problem *t, int64_t i, int64_t j) {
    double mass = t->supply[i] < t->demand[j] ? t->supply[i] : t->demand[j];
    t->flow[j * t->rows + i] += mass;
    t->supply[i] -= mass;
    t->demand[j] -= mass;
    if (t->supply[i] < DUST) t->supply[i] = 0;
    if (t->demand[j] < DUST) t->demand[j] = 0;
}

/* Feasible potentials, and all that can be sent along edges that they make tight. */
static void begin(Problem *t) {
    int64_t n = t->rows, m = t->cols;
    memset(t->flow, 0, sizeof(double) * n * m);
    for (int64_t j = 0; j < m; j++) {
        double least = t->cost[j];
        for (int64_t i = 1; i < n; i++)
            if (t->cost[i * m + j] < least) least = t->cost[i * m + j];
        t->v[j] = least;
    }
    for (int64_t i = 0; i < n; i++) {
        const double *c = t->cost + i * m;
        double least = c[0] - t->v[0];
        for (int64_t j = 1; j < m; j++)
            if (c[j] - t->v[j] < least) least = c[j] - t->v[j];
        t->u[i] = least;
        for (int64_t j = 0; j < m && t->supply[i] > 0; j++)
            if (t->demand[j] > 0 && slack(t, i, j) == 0) send(t, i, j);
    }
}

static void reach(Problem *t, int64_t i, double at, int64_t *count) {
    const double *restrict c = t->cost + i * t->cols, *restrict v = t->v, *restrict shut = t->shut;
    double *restrict col_at = t->col_at, *restrict from = t->from_row, own = t->u[i];
    t->row_done[i] = 1;
    t->row_at[i] = at;
    t->seen[(*count)++] = i;
    for (int64_t j = 0; j < t->cols; j++) {
        double s = c[j] - own - v[j];
        /* A column that is done is at infinity for whoever comes later. */
        double there = at + (s > 0 ? s : 0) + shut[j];
        int nearer = there < col_at[j];
        col_at[j] = nearer ? there : col_at[j];
        from[j] = nearer ? (double)i : from[j];
    }
}

/* Send mass of row `root` along a shortest path of the residual graph; 0 if no column wants any. */
static int augment(Problem *t, int64_t root) {
    int64_t n = t->rows, m = t->cols, count = 0, end = -1;
    for (int64_t j = 0; j < m; j++) {
        t->col_at[j] = INFINITY;
        t->shut[j] = 0;
    }
    memset(t->row_done, 0, n);
    reach(t, root, 0, &count);
    while (end < 0) {
        int64_t next = -1;
        double least = INFINITY;
        for (int64_t j = 0; j < m; j++) {
            double here = t->col_at[j] + t->shut[j];
            if (here < least || (here == least && t->demand[j] > 0)) {
                least = here;
                next = j;
            }
        }
        if (next < 0 || isinf(least)) return 0;
        t->shut[next] = INFINITY;
        if (t->demand[next] > 0) {
            end = next;
            break;
        }
        for (int64_t i = 0; i < n; i++) {
            if (!(t->flow[next * n + i] > 0) || t->row_done[i]) continue;
            t->from_col[i] = next;
            reach(t, i, least, &count);
        }
    }
    double at = t->col_at[end];
    for (int64_t k = 0; k < count; k++) t->u[t->seen[k]] += at - t->row_at[t->seen[k]];
    for (int64_t j = 0; j < m; j++)
        if (t->shut[j] > 0) t->v[j] -= at - t->col_at[j];
    double mass = t->supply[root] < t->demand[end] ? t->supply[root] : t->demand[end];
    for (int64_t i = (int64_t)t->from_row[end]; i != root;
         i = (int64_t)t->from_row[t->from_col[i]]) {
        double carried = t->flow[t->from_col[i] * n + i];
        if (carried < mass) mass = carried;
    }
    t->demand[end] -= mass;
    if (t->demand[end] < DUST) t->demand[end] = 0;
    for (int64_t j = end;;) {
        int64_t i = (int64_t)t->from_row[j];
        t->flow[j * n + i] += mass;
        if (i == root) break;
        j = t->from_col[i];
        t->flow[j * n + i] -= mass;
        if (t->flow[j * n + i] < DUST) t->flow[j * n + i] = 0;
    }
    t->supply[root] -= mass;
    if (t->supply[root] < DUST) t->supply[root] = 0;
    return 1;
}

/* Return the least cost; `gap`: how far above a feasible dual's value it is, dust included. */
static double solve(Problem *t, double *gap) {
    int64_t n = t->rows, m = t->cols;
    double scale = 0, primal = 0, dual = 0, unsent = 0;
    for (int64_t k = 0; k < n * m; k++)
        if (t->cost[k] > scale) scale = t->cost[k];
    *gap = 0;
    if (n == 0 || m == 0 || scale == 0) return 0;
    for (int64_t k = 0; k < n * m; k++) t->cost[k] /= scale;
    begin(t);
    for (int64_t i = 0; i < n; i++)
        while (t->supply[i] > 0 && augment(t, i)) {}
    for (int64_t i = 0; i < n; i++) {
        const double *c = t->cost + i * m, *f = t->flow + i;
        double least = INFINITY, sent = 0;
        for (int64_t j = 0; j < m; j++) {
            primal += f[j * n] * c[j];
            sent += f[j * n];
            if (c[j] - t->v[j] < least) least = c[j] - t->v[j];
        }
        t->u[i] = least; /* feasible whatever the rounding was */
        dual += least * sent;
        unsent += t->supply[i];
    }
    for (int64_t j = 0; j < m; j++) {
        double received = 0;
        for (int64_t i = 0; i < n; i++) received += t->flow[j * n + i];
        dual += t->v[j] * received;
    }
    *gap = scale * (fabs(primal - dual) + unsent);
    for (int64_t i = 0; i < n; i++) t->u[i] *= scale;
    for (int64_t j = 0; j < m; j++) t->v[j] *= scale;
    return scale * primal;
}

static int allocate(Problem *t, int64_t n, int64_t m) {
    double *numbers = malloc(sizeof(double) * (2 * n * m + 3 * n + 5 * m + 1));
    int64_t *places = malloc(sizeof(int64_t) * (2 * n + 1));
    char *marks = malloc(n + 1);
    t->cost = numbers;
    t->from_col = places;
    t->row_done = marks;
    if (!numbers || !places || !marks) return 0;
    t->flow = numbers + n * m;
    t->supply = t->flow + n * m;
    t->u = t->supply + n;
    t->row_at = t->u + n;
    t->demand = t->row_at + n;
    t->v = t->demand + m;
    t->col_at = t->v + m;
    t->from_row = t->col_at + m;
    t->shut = t->from_row + m;
    t->seen = t->from_col + n;
    return 1;
}

static void release(Problem *t) {
    free(t->cost);
    free(t->from_col);
    free(t->row_done);
}

/* One problem: cost (n, m), potentials and gap out; 1 where memory is missing. */
int transport(int64_t n, int64_t m, const double *supply, const double *demand, const double *cost,
              double *u, double *v, double *least, double *gap) {
    Problem t;
    int failed = !allocate(&t, n, m);
    if (!failed) {
        t.rows = n;
        t.cols = m;
        memcpy(t.supply, supply, sizeof(double) * n);
        memcpy(t.demand, demand, sizeof(double) * m);
        memcpy(t.cost, cost, sizeof(double) * n * m);
        memset(t.u, 0, sizeof(double) * n);
        memset(t.v, 0, sizeof(double) * m);
        *least = solve(&t, gap);
        memcpy(u, t.u, sizeof(double) * n);
        memcpy(v, t.v, sizeof(double) * m);
    }
    release(&t);
    return failed;
}

/* ---- distances ------------------------------------------------------------------------------ */

typedef struct {
    int64_t n;
    const int64_t *first, *other; /* arcs of a node: first[a] .. first[a + 1] */
    const double *length;
    int unit;                     /* all lengths are 1 */
    double *radius;               /* how far a node's search must go */
    double *key;                  /* the heap, and its nodes; of a unit graph a queue */
    int64_t *heap, *place, size;
} Net;

static void up(Net *g, int64_t k) {
    int64_t node = g->heap[k];
    double key = g->key[node];
    for (; k > 0 && g->key[g->heap[(k - 1) / 2]] > key; k = (k - 1) / 2) {
        g->heap[k] = g->heap[(k - 1) / 2];
        g->place[g->heap[k]] = k;
    }
    g->heap[k] = node;
    g->place[node] = k;
}

static int64_t pop(Net *g) {
    int64_t top = g->heap[0], node = g->heap[--g->size], k = 0;
    double key = g->key[node];
    for (int64_t child; (child = 2 * k + 1) < g->size; k = child) {
        if (child + 1 < g->size && g->key[g->heap[child + 1]] < g->key[g->heap[child]]) child++;
        if (g->key[g->heap[child]] >= key) break;
        g->heap[k] = g->heap[child];
        g->place[g->heap[k]] = k;
    }
    g->heap[k] = node;
    g->place[node] = k;
    return top;
}

/* Fill `row` with distances from a node, infinite beyond its radius. */
static void search(Net *g, int64_t source, double *row) {
    for (int64_t i = 0; i < g->n; i++) row[i] = INFINITY;
    row[source] = 0;
    if (g->unit) {
        int64_t head = 0, tail = 1;
        g->heap[0] = source;
        while (head < tail) {
            int64_t a = g->heap[head++];
            if (row[a] >= 3) break;
            for (int64_t k = g->first[a]; k < g->first[a + 1]; k++) {
                int64_t b = g->other[k];
                if (isinf(row[b])) {
                    row[b] = row[a] + 1;
                    g->heap[tail++] = b;
                }
            }
        }
        return;
    }
    g->key = row;
    g->size = 1;
    g->heap[0] = source;
    g->place[source] = 0;
    double limit = g->radius[source];
    while (g->size > 0) {
        int64_t a = pop(g);
        for (int64_t k = g->first[a]; k < g->first[a + 1]; k++) {
            int64_t b = g->other[k];
            double there = row[a] + g->length[k];
            if (there > limit || there >= row[b]) continue;
            if (isinf(row[b])) {
                g->heap[g->size] = b;
                g->place[b] = g->size++;
            }
            row[b] = there;
            up(g, g->place[b]);
        }
    }
}

/* The furthest that b is from a when a is x or beside x, xy an edge, b is y or beside y. */
static void radii(Net *g, double *one, double *two) {
    for (int pass = 0; pass < 3; pass++) {
        double *to = pass == 0 ? one : pass == 1 ? two : g->radius;
        const double *further = pass == 0 ? NULL : pass == 1 ? one : two;
        for (int64_t a = 0; a < g->n; a++) {
            to[a] = further ? further[a] : 0;
            for (int64_t k = g->first[a]; k < g->first[a + 1]; k++) {
                double far = g->length[k] + (further ? further[g->other[k]] : 0);
                if (far > to[a]) to[a] = far;
            }
        }
    }
    for (int64_t a = 0; a < g->n; a++) g->radius[a] *= 1 + 1e-9;
}

/* ---- curvature ------------------------------------------------------------------------------ */

/* For each edge the least cost of moving one end's measure to the other's, the distance of the
 * ends, and the gap. Of an edge's measures a node keeps `stay` of that edge; of what it does not keep,
 * `share` of each of its arcs goes to the neighbour.
 * `dense`: n * n numbers to hold all distances, or NULL: then the searches are made again for each
 * node whose edges they serve. An edge must start at its end of smaller degree for that to be
 * cheap. Edges are sorted by their first end. 1 where memory is missing. */
int edges(int64_t n, const int64_t *first, const int64_t *other, const double *length, int unit,
          const double *share, const double *stay, int64_t count, const int64_t *ends, double *dense,
          double *least, double *apart, double *gap) {
    int64_t most = 0, widest = 0, failed = 0;
    for (int64_t a = 0; a < n; a++)
        if (first[a + 1] - first[a] + 1 > most) most = first[a + 1] - first[a] + 1;
    for (int64_t e = 0; e < count; e++) {
        int64_t d = first[ends[2 * e] + 1] - first[ends[2 * e]] + 1;
        if (d > widest) widest = d;
    }
    Problem t;
    Net g = {n, first, other, length, unit, NULL, NULL, NULL, NULL, 0};
    double *numbers = malloc(sizeof(double) * (5 * n + 1));
    int64_t *places = malloc(sizeof(int64_t) * (2 * n + 2 * most + 1));
    if (!allocate(&t, widest, most) || !numbers || !places) failed = 1;
    double *excess = numbers, *row = numbers + n, *block = NULL;
    int64_t *left = places + 2 * n, *right = left + most;
    int64_t room = 0;
    if (!failed) {
        g.radius = numbers + 2 * n;
        g.heap = places;
        g.place = places + n;
        memset(excess, 0, sizeof(double) * n);
        if (!unit) radii(&g, numbers + 3 * n, numbers + 4 * n);
        if (dense)
            for (int64_t a = 0; a < n; a++) search(&g, a, dense + a * n);
    }
    for (int64_t e = 0, next; e < count && !failed; e = next) {
        int64_t x = ends[2 * e], dx = first[x + 1] - first[x], width = 0;
        for (next = e; next < count && ends[2 * next] == x; next++)
            width += first[ends[2 * next + 1] + 1] - first[ends[2 * next + 1]] + 1;
        if (!dense) {
            if ((dx + 1) * width > room) {
                room = (dx + 1) * width;
                free(block);
                block = malloc(sizeof(double) * room);
                if (!block) { failed = 1; break; }
            }
            for (int64_t i = 0; i <= dx; i++) {
                search(&g, i == dx ? x : other[first[x] + i], row);
                double *to = block + i * width;
                for (int64_t f = e; f < next; f++) {
                    int64_t y = ends[2 * f + 1];
                    for (int64_t k = first[y]; k < first[y + 1]; k++) *to++ = row[other[k]];
                    *to++ = row[y];
                }
            }
        }
        int64_t offset = 0;
        for (int64_t f = e; f < next; f++) {
            int64_t y = ends[2 * f + 1], dy = first[y + 1] - first[y];
            /* What both measures have at a node stays there: distances obey the triangle. */
            double give = 1 - stay[f];
            for (int64_t k = first[x]; k < first[x + 1]; k++) excess[other[k]] += give * share[k];
            excess[x] += stay[f];
            for (int64_t k = first[y]; k < first[y + 1]; k++) excess[other[k]] -= give * share[k];
            excess[y] -= stay[f];
            t.rows = t.cols = 0;
            for (int64_t i = 0; i <= dx; i++) {
                int64_t a = i == dx ? x : other[first[x] + i];
                if (excess[a] > DUST) {
                    t.supply[t.rows] = excess[a];
                    left[t.rows++] = i;
                }
            }
            for (int64_t j = 0; j <= dy; j++) {
                int64_t b = j == dy ? y : other[first[y] + j];
                if (excess[b] < -DUST) {
                    t.demand[t.cols] = -excess[b];
                    right[t.cols++] = j;
                }
            }
            for (int64_t i = 0; i < t.rows; i++) {
                int64_t a = left[i] == dx ? x : other[first[x] + left[i]];
                for (int64_t j = 0; j < t.cols; j++) {
                    int64_t b = right[j] == dy ? y : other[first[y] + right[j]];
                    t.cost[i * t.cols + j] =
                        dense ? dense[a * n + b] : block[left[i] * width + offset + right[j]];
                }
            }
            apart[f] = dense ? dense[x * n + y] : block[dx * width + offset + dy];
            least[f] = solve(&t, gap + f);
            for (int64_t k = first[x]; k < first[x + 1]; k++) excess[other[k]] = 0;
            for (int64_t k = first[y]; k < first[y + 1]; k++) excess[other[k]] = 0;
            offset += dy + 1;
        }
    }
    free(block);
    free(numbers);
    free(places);
    release(&t);
    return (int)failed;
}
