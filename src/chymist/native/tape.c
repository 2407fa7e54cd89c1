/* Training steps of small networks, one lane after another, from a recorded tape.
 *
 * A tape is a list of nodes in the order of evaluation: inputs, parameters, then the calls of the
 * network and of the loss; the last is the loss, a number. A lane's weights, moments and activations
 * stay in a core's cache while it does all steps of a visit. Nothing here depends on how many lanes
 * there are or which: a lane's bits are its own.
 *
 * Values are matrices, row-major. A node's storage was laid out by the caller (see tape.py), who
 * also says which gradients are needed and where a second one adds to a first. Compiled once for
 * each REAL, float and double.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#ifndef REAL
#define REAL float
#endif
#ifdef DOUBLE
#define F(name) name
#else
#define F(name) name##f
#endif

/* glibc has vector versions of these from 2.35 on, exact to a few units in the last place; elsewhere
 * the loops below call the scalar ones. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 35)
#define SIMD __attribute__((simd("notinbranch")))
SIMD REAL F(tanh)(REAL);
SIMD REAL F(sin)(REAL);
SIMD REAL F(cos)(REAL);
SIMD REAL F(exp)(REAL);
SIMD REAL F(erf)(REAL);
#endif
#endif

/* The order is that of OPERATIONS in tape.py. */
enum {
    INPUT, TARGET, PARAMETER, BUFFER,
    LINEAR, MATMUL, CAT,
    ADD, SUB, MUL,
    SCALE, SHIFT, TANH, RELU, SIGMOID, SIN, COS, GELU, SILU, EXP, ABS, SQUARE,
    SUM_COLUMNS, SUM_ALL, MEAN_ALL, CROSS_ENTROPY,
    CONVOLUTION, MAX_POOL, AVERAGE_POOL
};
enum { DESCENT, MOMENTUM, NESTEROV, ADAM };

typedef struct {
    int32_t op;
    int32_t in[3];       /* nodes it takes, -1 for none */
    int32_t adds[3];     /* whether the gradient of that input adds to an earlier one */
    int32_t rows, cols;
    int32_t needed;      /* whether its gradient is needed */
    int32_t fixed;       /* depends on no parameter: evaluated once a visit with a full batch */
    int32_t pad;
    int32_t image[8];    /* of a picture's node: channels, height, width of the input and of the
                            output's pixels height, width; then kernel's side, stride, padding */
    int64_t value, grad; /* places in the workspace; parameters: in a lane's row */
    int64_t scratch;     /* place in the workspace for what this node alone needs */
    double k;
} Node;

typedef void (*Gemm)(const char *, const char *, const int *, const int *, const int *,
                     const REAL *, const REAL *, const int *, const REAL *, const int *,
                     const REAL *, REAL *, const int *);

typedef struct {
    const Node *nodes;
    int64_t count, prediction;     /* the node that the network returns */
    int64_t samples, batch;        /* batch 0: all samples */
    int64_t parameters, buffers;   /* numbers a lane */
    int64_t solver;
    Gemm gemm;
} Tape;

typedef struct {
    int64_t lanes, first, last;    /* updates number first + 1 to last */
    int64_t evaluate;              /* whether to evaluate the loss at step last too; in predict,
                                      whether this is the first call */
    const REAL *x, *y;
    int64_t x_stride, y_stride;    /* from lane to lane; 0 if shared */
    REAL *parameters, *moment1, *moment2;
    const REAL *buffers;
    const int64_t *order;          /* samples of each step's minibatch, [stream][step][batch] */
    const int64_t *stream;         /* the stream of each lane */
    const double *numbers;         /* [lane][4]: lr, then the rule's own */
    REAL *losses, *predictions;    /* at each mark, [mark][lane] and [mark][lane][output] */
    const int64_t *marks;          /* steps, ascending, at which both are kept */
    int64_t marked, across;        /* number of marks; lanes from mark to mark */
    int64_t *diverged_at;          /* -1 while alive; a lane that is not stays as it is */
    const REAL *gradients;         /* of the loss with respect to the predictions */
    REAL *workspace;
    int64_t workspace_stride;      /* from lane to lane; 0 where they share one */
    const volatile int32_t *stop;
} Visit;

typedef struct {
    const Tape *tape;
    REAL *parameters, *gradients, *workspace;
    const REAL *x, *y, *buffers;
} Lane;

static REAL *value(const Lane *lane, int i) {
    const Node *n = &lane->tape->nodes[i];
    switch (n->op) {
    case INPUT: return lane->tape->batch ? lane->workspace + n->value : (REAL *)lane->x;
    case TARGET: return lane->tape->batch ? lane->workspace + n->value : (REAL *)lane->y;
    case PARAMETER: return lane->parameters + n->value;
    case BUFFER: return (REAL *)lane->buffers + n->value;
    default: return lane->workspace + n->value;
    }
}

static REAL *grad(const Lane *lane, int i) {
    const Node *n = &lane->tape->nodes[i];
    return n->op == PARAMETER ? lane->gradients + n->value : lane->workspace + n->grad;
}

/* Row-major C (m x n) = op(A) op(B) (+ C), through the column-major library. */
static void product(const Lane *lane, char ta, char tb, int m, int n, int k, const REAL *a, int lda,
                    const REAL *b, int ldb, int adds, REAL *c) {
    const REAL one = 1, old = (REAL)adds;
    lane->tape->gemm(&tb, &ta, &n, &m, &k, &one, b, &ldb, a, &lda, &old, c, &n);
}

static double sum(const REAL *v, ptrdiff_t size) {
    double total = 0;
    for (ptrdiff_t i = 0; i < size; i++) total += v[i];
    return total;
}

/* A picture's size with its margin of zeros. */
static int tall(const Node *n) { return n->image[1] + 2 * n->image[7]; }
static int broad(const Node *n) { return n->image[2] + 2 * n->image[7]; }

/* Copy of known length where the compiler can make one instruction of it. */
static inline void copy(REAL *to, const REAL *from, int count) {
    if (count == 8) memcpy(to, from, 8 * sizeof(REAL));
    else memcpy(to, from, (size_t)count * sizeof(REAL));
}

static inline void add(REAL *restrict to, const REAL *restrict from, int count) {
    if (count == 8) for (int i = 0; i < 8; i++) to[i] += from[i];
    else for (int i = 0; i < count; i++) to[i] += from[i];
}

/* Patches of one picture as columns, (channel, dy, dx) x (y, x): convolution is then a product. */
static void patches(const Node *n, const REAL *picture, REAL *margin, REAL *columns) {
    const int channels = n->image[0], height = n->image[1], width = n->image[2];
    const int high = n->image[3], wide = n->image[4];
    const int side = n->image[5], stride = n->image[6], padding = n->image[7];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    if (padding) {
        memset(margin, 0, sizeof(REAL) * channels * area);
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < height; y++)
                copy(margin + c * area + (y + padding) * across + padding,
                     picture + ((ptrdiff_t)c * height + y) * width, width);
        picture = margin;
    }
    for (int c = 0; c < channels; c++)
        for (int dy = 0; dy < side; dy++)
            for (int dx = 0; dx < side; dx++) {
                const REAL *row = picture + c * area + dy * across + dx;
                for (int y = 0; y < high; y++, columns += wide, row += stride * across)
                    if (stride == 1) copy(columns, row, wide);
                    else for (int x = 0; x < wide; x++) columns[x] = row[x * stride];
            }
}

/* The gradient of `patches`: adds each column's entries to the pixels that they came from. */
static void unpatch(const Node *n, const REAL *columns, REAL *margin, REAL *picture) {
    const int channels = n->image[0], height = n->image[1], width = n->image[2];
    const int high = n->image[3], wide = n->image[4];
    const int side = n->image[5], stride = n->image[6], padding = n->image[7];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    REAL *to = padding ? margin : picture;
    if (padding) memset(margin, 0, sizeof(REAL) * channels * area);
    for (int c = 0; c < channels; c++)
        for (int dy = 0; dy < side; dy++)
            for (int dx = 0; dx < side; dx++) {
                REAL *row = to + c * area + dy * across + dx;
                for (int y = 0; y < high; y++, columns += wide, row += stride * across)
                    if (stride == 1) add(row, columns, wide);
                    else for (int x = 0; x < wide; x++) row[x * stride] += columns[x];
            }
    for (int c = 0; padding && c < channels; c++)
        for (int y = 0; y < height; y++)
            add(picture + ((ptrdiff_t)c * height + y) * width,
                margin + c * area + (y + padding) * across + padding, width);
}

/* The place, in the input's channel, of what a window of pixels gives: the first largest. */
static int largest(const Node *n, const REAL *channel, int y, int x) {
    const int width = n->image[2], side = n->image[5], stride = n->image[6];
    int best = y * stride * width + x * stride;
    for (int dy = 0; dy < side; dy++)
        for (int dx = 0; dx < side; dx++) {
            const int at = (y * stride + dy) * width + x * stride + dx;
            if (channel[at] > channel[best] || isnan(channel[at])) best = at;
        }
    return best;
}

/* What is read at i and written at i may be one place: some nodes lie where their input lay. */
#define ALONE _Pragma("GCC ivdep")
#define EACH(expression)                                                     \
    do {                                                                     \
        ALONE for (ptrdiff_t i = 0; i < size; i++) out[i] = (expression);    \
    } while (0)

static void evaluate(const Lane *lane, int index) {
    const Node *n = &lane->tape->nodes[index];
    const ptrdiff_t rows = n->rows, cols = n->cols, size = rows * cols;
    if (n->op <= BUFFER) return;
    const Node *na = &lane->tape->nodes[n->in[0]];
    const REAL *a = value(lane, n->in[0]);
    const REAL *b = n->in[1] < 0 ? NULL : value(lane, n->in[1]);
    REAL *out = value(lane, index);
    const REAL k = (REAL)n->k;
    switch (n->op) {
    case LINEAR: {
        const REAL *bias = n->in[2] < 0 ? NULL : value(lane, n->in[2]);
        if (bias)
            for (ptrdiff_t r = 0; r < rows; r++) memcpy(out + r * cols, bias, sizeof(REAL) * cols);
        product(lane, 'N', 'T', rows, cols, na->cols, a, na->cols, b, na->cols, bias != NULL, out);
        break;
    }
    case MATMUL:
        product(lane, 'N', 'N', rows, cols, na->cols, a, na->cols, b, cols, 0, out);
        break;
    case CAT: {
        const ptrdiff_t left = na->cols, right = cols - left;
        for (ptrdiff_t r = 0; r < rows; r++) {
            memcpy(out + r * cols, a + r * left, sizeof(REAL) * left);
            memcpy(out + r * cols + left, b + r * right, sizeof(REAL) * right);
        }
        break;
    }
    case ADD: case SUB: case MUL: {
        /* The second may be one row for all, one column for all, or both. */
        const Node *nb = &lane->tape->nodes[n->in[1]];
        const ptrdiff_t down = nb->rows == rows ? nb->cols : 0, across = nb->cols == cols;
        for (ptrdiff_t r = 0; r < rows; r++) {
            const REAL *u = a + r * cols, *v = b + r * down;
            REAL *o = out + r * cols;
            if (n->op == ADD) for (ptrdiff_t c = 0; c < cols; c++) o[c] = u[c] + v[c * across];
            else if (n->op == SUB) for (ptrdiff_t c = 0; c < cols; c++) o[c] = u[c] - v[c * across];
            else for (ptrdiff_t c = 0; c < cols; c++) o[c] = u[c] * v[c * across];
        }
        break;
    }
    case CONVOLUTION: {
        const REAL *bias = n->in[2] < 0 ? NULL : value(lane, n->in[2]);
        const int pixels = n->image[3] * n->image[4], made = (int)cols / pixels;
        const int taken = n->image[0] * n->image[5] * n->image[5];
        REAL *columns = lane->workspace + n->scratch, *margin = columns + (ptrdiff_t)taken * pixels;
        for (ptrdiff_t r = 0; r < rows; r++) {
            REAL *o = out + r * cols;
            for (int c = 0; bias && c < made; c++)
                for (int i = 0; i < pixels; i++) o[c * pixels + i] = bias[c];
            patches(n, a + r * na->cols, margin, columns);
            product(lane, 'N', 'N', made, pixels, taken, b, taken, columns, pixels, bias != NULL, o);
        }
        break;
    }
    case MAX_POOL: case AVERAGE_POOL: {
        const int channels = n->image[0], area = n->image[1] * n->image[2], side = n->image[5];
        for (ptrdiff_t r = 0; r < rows * channels; r++)
            for (int y = 0; y < n->image[3]; y++)
                for (int x = 0; x < n->image[4]; x++, out++) {
                    const REAL *channel = a + r * area;
                    if (n->op == MAX_POOL) {
                        *out = channel[largest(n, channel, y, x)];
                        continue;
                    }
                    REAL total = 0;
                    for (int dy = 0; dy < side; dy++)
                        for (int dx = 0; dx < side; dx++)
                            total += channel[(y * n->image[6] + dy) * n->image[2] +
                                             x * n->image[6] + dx];
                    *out = total / (REAL)(side * side);
                }
        break;
    }
    case SCALE: EACH(k * a[i]); break;
    case SHIFT: EACH(k + a[i]); break;
    case TANH: EACH(F(tanh)(a[i])); break;
    case RELU: EACH(a[i] < 0 ? (REAL)0 : a[i]); break;
    case SIGMOID: EACH(1 / (1 + F(exp)(-a[i]))); break;
    case SIN: EACH(F(sin)(a[i])); break;
    case COS: EACH(F(cos)(a[i])); break;
    case GELU: EACH(a[i] * (REAL)0.5 * (1 + F(erf)(a[i] * (REAL)0.70710678118654752440))); break;
    case SILU: EACH(a[i] / (1 + F(exp)(-a[i]))); break;
    case EXP: EACH(F(exp)(a[i])); break;
    case ABS: EACH(F(fabs)(a[i])); break;
    case SQUARE: EACH(a[i] * a[i]); break;
    case SUM_COLUMNS:
        for (ptrdiff_t r = 0; r < rows; r++) out[r] = (REAL)sum(a + r * na->cols, na->cols);
        break;
    case SUM_ALL: *out = (REAL)sum(a, (ptrdiff_t)na->rows * na->cols); break;
    case MEAN_ALL: {
        const ptrdiff_t all = (ptrdiff_t)na->rows * na->cols;
        *out = (REAL)(sum(a, all) / (double)all);
        break;
    }
    case CROSS_ENTROPY: {
        double total = 0;
        for (ptrdiff_t r = 0; r < na->rows; r++) {
            const REAL *p = a + r * na->cols, *t = b + r * na->cols;
            REAL top = p[0];
            for (ptrdiff_t c = 1; c < na->cols; c++) top = p[c] > top ? p[c] : top;
            REAL z = 0, dot = 0, mass = 0;
            for (ptrdiff_t c = 0; c < na->cols; c++) {
                z += F(exp)(p[c] - top);
                dot += t[c] * (p[c] - top);
                mass += t[c];
            }
            total += (double)(mass * F(log)(z) - dot);
        }
        *out = (REAL)(total / (double)na->rows);
        break;
    }
    }
}

/* d(input 0) (+)= expression, for element i. */
#define BACK(expression)                                                     \
    do {                                                                     \
        if (n->adds[0]) {                                                    \
            ALONE for (ptrdiff_t i = 0; i < size; i++) da[i] += (expression); \
        } else {                                                             \
            ALONE for (ptrdiff_t i = 0; i < size; i++) da[i] = (expression); \
        }                                                                    \
    } while (0)

static void columns(const REAL *d, ptrdiff_t rows, ptrdiff_t cols, int adds, REAL *out) {
    if (!adds) memset(out, 0, sizeof(REAL) * cols);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < cols; c++) out[c] += d[r * cols + c];
}

static void propagate(const Lane *lane, int index) {
    const Node *n = &lane->tape->nodes[index];
    if (n->op <= BUFFER || !n->needed) return;
    const ptrdiff_t rows = n->rows, cols = n->cols;
    ptrdiff_t size = rows * cols;
    const Node *na = &lane->tape->nodes[n->in[0]];
    const Node *nb = n->in[1] < 0 ? NULL : &lane->tape->nodes[n->in[1]];
    const REAL *a = value(lane, n->in[0]), *b = nb ? value(lane, n->in[1]) : NULL;
    const REAL *out = value(lane, index), *d = grad(lane, index);
    REAL *da = na->needed ? grad(lane, n->in[0]) : NULL;
    REAL *db = nb && nb->needed ? grad(lane, n->in[1]) : NULL;
    const REAL k = (REAL)n->k;
    switch (n->op) {
    case LINEAR:
        if (da) product(lane, 'N', 'N', rows, na->cols, cols, d, cols, b, na->cols, n->adds[0], da);
        if (db) product(lane, 'T', 'N', cols, na->cols, rows, d, cols, a, na->cols, n->adds[1], db);
        if (n->in[2] >= 0 && lane->tape->nodes[n->in[2]].needed)
            columns(d, rows, cols, n->adds[2], grad(lane, n->in[2]));
        break;
    case MATMUL:
        if (da) product(lane, 'N', 'T', rows, na->cols, cols, d, cols, b, cols, n->adds[0], da);
        if (db) product(lane, 'T', 'N', na->cols, cols, rows, a, na->cols, d, cols, n->adds[1], db);
        break;
    case CAT: {
        const ptrdiff_t left = na->cols, right = cols - left;
        for (ptrdiff_t r = 0; r < rows; r++) {
            if (da) for (ptrdiff_t c = 0; c < left; c++)
                da[r * left + c] = (n->adds[0] ? da[r * left + c] : 0) + d[r * cols + c];
            if (db) for (ptrdiff_t c = 0; c < right; c++)
                db[r * right + c] = (n->adds[1] ? db[r * right + c] : 0) + d[r * cols + left + c];
        }
        break;
    }
    case ADD: case SUB: case MUL: {
        const ptrdiff_t down = nb->rows == rows ? nb->cols : 0, across = nb->cols == cols;
        const int times = n->op == MUL;
        if (da && !times) BACK(d[i]);
        if (db && !n->adds[1]) memset(db, 0, sizeof(REAL) * nb->rows * nb->cols);
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t c = 0; c < cols; c++) {
                const ptrdiff_t i = r * cols + c, j = r * down + c * across;
                if (da && times) da[i] = (n->adds[0] ? da[i] : 0) + d[i] * b[j];
                if (db) db[j] += times ? d[i] * a[i] : n->op == SUB ? -d[i] : d[i];
            }
        break;
    }
    case CONVOLUTION: {
        REAL *dbias = n->in[2] >= 0 && lane->tape->nodes[n->in[2]].needed ? grad(lane, n->in[2]) : NULL;
        const int pixels = n->image[3] * n->image[4], made = (int)cols / pixels;
        const int taken = n->image[0] * n->image[5] * n->image[5];
        REAL *columns = lane->workspace + n->scratch, *margin = columns + (ptrdiff_t)taken * pixels;
        if (dbias && !n->adds[2]) memset(dbias, 0, sizeof(REAL) * made);
        if (da && !n->adds[0]) memset(da, 0, sizeof(REAL) * rows * na->cols);
        for (ptrdiff_t r = 0; r < rows; r++) {
            const REAL *dr = d + r * cols;
            for (int c = 0; dbias && c < made; c++) dbias[c] += (REAL)sum(dr + c * pixels, pixels);
            if (db) {
                patches(n, a + r * na->cols, margin, columns);
                product(lane, 'N', 'T', made, taken, pixels, dr, pixels, columns, pixels,
                        n->adds[1] || r > 0, db);
            }
            if (da) {
                product(lane, 'T', 'N', taken, pixels, made, b, taken, dr, pixels, 0, columns);
                unpatch(n, columns, margin, da + r * na->cols);
            }
        }
        break;
    }
    case MAX_POOL: case AVERAGE_POOL: {
        const int channels = n->image[0], area = n->image[1] * n->image[2], side = n->image[5];
        if (!n->adds[0]) memset(da, 0, sizeof(REAL) * rows * na->cols);
        for (ptrdiff_t r = 0; r < rows * channels; r++)
            for (int y = 0; y < n->image[3]; y++)
                for (int x = 0; x < n->image[4]; x++, d++) {
                    REAL *to = da + r * area;
                    if (n->op == MAX_POOL) {
                        to[largest(n, a + r * area, y, x)] += *d;
                        continue;
                    }
                    for (int dy = 0; dy < side; dy++)
                        for (int dx = 0; dx < side; dx++)
                            to[(y * n->image[6] + dy) * n->image[2] + x * n->image[6] + dx] +=
                                *d / (REAL)(side * side);
                }
        break;
    }
    case SCALE: BACK(k * d[i]); break;
    case SHIFT: BACK(d[i]); break;
    /* The next three read the output only: it may lie where the input lay. */
    case TANH: BACK(d[i] * (1 - out[i] * out[i])); break;
    case RELU: BACK(out[i] > 0 ? d[i] : (REAL)0); break;
    case SIGMOID: BACK(d[i] * out[i] * (1 - out[i])); break;
    case SIN: BACK(d[i] * F(cos)(a[i])); break;
    case COS: BACK(-d[i] * F(sin)(a[i])); break;
    case GELU:
        BACK(d[i] * ((REAL)0.5 * (1 + F(erf)(a[i] * (REAL)0.70710678118654752440)) +
                     a[i] * (REAL)0.39894228040143267794 * F(exp)((REAL)-0.5 * a[i] * a[i])));
        break;
    case SILU: {
        for (ptrdiff_t i = 0; i < size; i++) {
            const REAL s = 1 / (1 + F(exp)(-a[i]));
            da[i] = (n->adds[0] ? da[i] : 0) + d[i] * s * (1 + a[i] * (1 - s));
        }
        break;
    }
    case EXP: BACK(d[i] * out[i]); break;
    case ABS: BACK(a[i] > 0 ? d[i] : a[i] < 0 ? -d[i] : (REAL)0); break;
    case SQUARE: BACK(2 * a[i] * d[i]); break;
    case SUM_COLUMNS:
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t c = 0; c < na->cols; c++) {
                const ptrdiff_t i = r * na->cols + c;
                da[i] = (n->adds[0] ? da[i] : 0) + d[r];
            }
        break;
    case SUM_ALL: case MEAN_ALL: {
        size = (ptrdiff_t)na->rows * na->cols;
        const REAL share = n->op == MEAN_ALL ? *d / (REAL)size : *d;
        BACK(share);
        break;
    }
    case CROSS_ENTROPY:
        for (ptrdiff_t r = 0; r < na->rows; r++) {
            const REAL *p = a + r * na->cols, *t = b + r * na->cols;
            REAL top = p[0];
            for (ptrdiff_t c = 1; c < na->cols; c++) top = p[c] > top ? p[c] : top;
            REAL z = 0, mass = 0;
            for (ptrdiff_t c = 0; c < na->cols; c++) {
                z += F(exp)(p[c] - top);
                mass += t[c];
            }
            for (ptrdiff_t c = 0; c < na->cols; c++) {
                const ptrdiff_t i = r * na->cols + c;
                const REAL share = mass * F(exp)(p[c] - top) / z - t[c];
                da[i] = (n->adds[0] ? da[i] : 0) + *d * share / (REAL)na->rows;
            }
        }
        break;
    }
}

static void update(int64_t solver, ptrdiff_t size, int64_t step, const double *numbers,
                   const REAL *restrict g, REAL *restrict w, REAL *restrict m, REAL *restrict v) {
    const REAL lr = (REAL)numbers[0];
    switch (solver) {
    case DESCENT:
        for (ptrdiff_t i = 0; i < size; i++) w[i] -= lr * g[i];
        break;
    case MOMENTUM: case NESTEROV: {
        const REAL b = (REAL)numbers[1];
        const int ahead = solver == NESTEROV;
        for (ptrdiff_t i = 0; i < size; i++) {
            m[i] = b * m[i] + g[i];
            w[i] -= lr * (ahead ? g[i] + b * m[i] : m[i]);
        }
        break;
    }
    case ADAM: {
        const double done = (double)(step + 1);
        const REAL rate = (REAL)(numbers[0] / (1 - pow(numbers[1], done)));
        const REAL scale = (REAL)(1 / sqrt(1 - pow(numbers[2], done)));
        const REAL near1 = (REAL)(1 - numbers[1]), keep2 = (REAL)numbers[2];
        const REAL near2 = (REAL)(1 - numbers[2]), eps = (REAL)numbers[3];
        for (ptrdiff_t i = 0; i < size; i++) {
            m[i] += near1 * (g[i] - m[i]);
            v[i] = keep2 * v[i] + near2 * g[i] * g[i];
            w[i] -= rate * m[i] / (F(sqrt)(v[i]) * scale + eps);
        }
        break;
    }
    }
}

static void gather(const Lane *lane, const int64_t *picked) {
    const Tape *tape = lane->tape;
    for (int64_t i = 0; i < tape->count; i++) {
        const Node *n = &tape->nodes[i];
        if (n->op != INPUT && n->op != TARGET) continue;
        const REAL *from = n->op == INPUT ? lane->x : lane->y;
        for (int64_t r = 0; r < tape->batch; r++)
            memcpy(lane->workspace + n->value + r * n->cols, from + picked[r] * n->cols,
                   sizeof(REAL) * n->cols);
    }
}

static Lane lane_of(const Tape *tape, const Visit *visit, int64_t number) {
    REAL *workspace = visit->workspace + number * visit->workspace_stride;
    return (Lane){tape, visit->parameters + number * tape->parameters, workspace, workspace,
                  visit->x + number * visit->x_stride, visit->y + number * visit->y_stride,
                  visit->buffers + number * tape->buffers};
}

/* What is done once a visit: gradients of parameters without a use stay zero. */
static void settle(const Lane *lane) {
    const Tape *tape = lane->tape;
    memset(lane->gradients, 0, sizeof(REAL) * tape->parameters);
    for (int i = 0; !tape->batch && i < tape->count; i++)
        if (tape->nodes[i].fixed) evaluate(lane, i);
}

static void forward(const Lane *lane, const int64_t *picked) {
    const Tape *tape = lane->tape;
    if (tape->batch) gather(lane, picked);
    for (int i = 0; i < tape->count; i++)
        if (tape->batch || !tape->nodes[i].fixed) evaluate(lane, i);
}

/* From the gradient at the last node on; then the step. */
static void descend(const Lane *lane, const Visit *visit, int64_t number, int64_t step) {
    const int64_t p = lane->tape->parameters;
    for (int i = (int)lane->tape->count - 1; i >= 0; i--) propagate(lane, i);
    update(lane->tape->solver, p, step, visit->numbers + 4 * number, lane->gradients,
           lane->parameters, visit->moment1 ? visit->moment1 + number * p : NULL,
           visit->moment2 ? visit->moment2 + number * p : NULL);
}

static ptrdiff_t outputs(const Tape *tape) {
    return (ptrdiff_t)tape->nodes[tape->prediction].rows * tape->nodes[tape->prediction].cols;
}

/* Keep what the network returns, for the mark of this number. */
static void tell(const Lane *lane, const Visit *visit, int64_t number, int64_t mark) {
    const ptrdiff_t size = outputs(lane->tape);
    memcpy(visit->predictions + (mark * visit->across + number) * size,
           value(lane, (int)lane->tape->prediction), sizeof(REAL) * size);
}

static void train_lane(const Tape *tape, const Visit *visit, int64_t number) {
    const int64_t end = visit->evaluate ? visit->last + 1 : visit->last;
    const int loss = (int)tape->count - 1;
    const Lane lane = lane_of(tape, visit, number);
    const int64_t *order =
        tape->batch ? visit->order + visit->stream[number] * (end - visit->first) * tape->batch : NULL;
    int64_t mark = 0;
    settle(&lane);
    for (int64_t step = visit->first; step < end; step++) {
        forward(&lane, order + (step - visit->first) * tape->batch);
        const REAL reached = *value(&lane, loss);
        if (mark < visit->marked && visit->marks[mark] == step) {
            visit->losses[mark * visit->across + number] = reached;
            tell(&lane, visit, number, mark++);
        }
        if (!isfinite(reached)) {
            visit->diverged_at[number] = step;
            break;
        }
        if (step == visit->last || *visit->stop) break;
        *grad(&lane, loss) = 1;
        descend(&lane, visit, number, step);
    }
}

/* Numbers too small to be normal are taken as zero: they cost a hundred times a normal one. */
static unsigned int without_denormals(void) {
#if defined(__SSE2__)
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
#else
    return 0;
#endif
}

static void as_before(unsigned int state) {
#if defined(__SSE2__)
    _mm_setcsr(state);
#else
    (void)state;
#endif
}

#define EACH_LANE(what)                                                        \
    do {                                                                       \
        const unsigned int before = without_denormals();                       \
        for (int64_t number = 0; number < visit->lanes && !*visit->stop; number++) \
            if (visit->diverged_at[number] < 0) { what; }                      \
        as_before(before);                                                     \
    } while (0)

/* Do updates first + 1 to last of every lane that is alive; the last node is the loss. What the
 * forward half of an update found is kept at the marks, so that a visit goes past them. */
void train(const Tape *tape, const Visit *visit) { EACH_LANE(train_lane(tape, visit, number)); }

/* The two halves of one step whose loss is the caller's; the last node is the prediction, and each
 * lane has a workspace of its own. The first writes predictions, the second takes the loss's
 * gradients with respect to them. */
void predict(const Tape *tape, const Visit *visit) {
    EACH_LANE(
        const Lane lane = lane_of(tape, visit, number);
        if (visit->evaluate) settle(&lane);
        forward(&lane, tape->batch ? visit->order + visit->stream[number] * tape->batch : NULL);
        tell(&lane, visit, number, 0));
}

void learn(const Tape *tape, const Visit *visit) {
    const ptrdiff_t size = outputs(tape);
    EACH_LANE(
        const Lane lane = lane_of(tape, visit, number);
        memcpy(grad(&lane, (int)tape->prediction), visit->gradients + number * size,
               sizeof(REAL) * size);
        descend(&lane, visit, number, visit->first));
}

/* The step alone, from gradients found elsewhere: rows of all lanes, those alive. */
void step(const Tape *tape, const Visit *visit) {
    const int64_t p = tape->parameters;
    EACH_LANE(update(tape->solver, p, visit->first, visit->numbers + 4 * number,
                     visit->gradients + number * p, visit->parameters + number * p,
                     visit->moment1 ? visit->moment1 + number * p : NULL,
                     visit->moment2 ? visit->moment2 + number * p : NULL));
}

int64_t node_size(void) { return sizeof(Node); }
