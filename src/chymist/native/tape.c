/* Training steps of small networks, one lane after another, from a recorded tape.
 *
 * A tape is a list of nodes in the order of evaluation: inputs, parameters, then the calls of the
 * network and of the loss; the last is the loss, a number. A lane's weights, moments and activations
 * stay in a core's cache while it does all steps of a visit. Nothing here depends on how many lanes
 * there are or which: a lane's bits are its own.
 *
 * A value is a block of numbers for every sample, row-major, or one for all; a node takes it as rows of
 * so many columns, whichever way suits it. Its storage was laid out by the caller (see nodes.py),
 * who also says which gradients are needed and where a second one adds to a first. Compiled once
 * for each REAL, float and double.
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
#include "node.h"
#include "arranging.h"
#include "products.h"
#include "elements.h"
#include "rows.h"
#include "pictures.h"

enum { DESCENT, MOMENTUM, NESTEROV, ADAM };

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
static void evaluate(const Lane *lane, int index) {
    if (lane->tape->nodes[index].op <= BUFFER) return;
    const At it = at(lane, index);
    switch (it.n->op) {
    case LINEAR: case MATMUL: linear(&it); break;
    case EACH_PRODUCT: each_product(&it); break;
    case CAT: cat(&it); break;
    case COPY: copy_view(&it); break;
    case ADD: case SUB: case MUL: case DIVIDE: case FILL: binary(&it); break;
    case GELU: case GELU_TANH: case SILU: gated(&it); break;
    case SOFTMAX: softmax(&it); break;
    case LAYER_NORM: case RMS_NORM: norm(&it); break;
    case SUM_AXIS: sum_axis(&it); break;
    case SUM_ALL: case MEAN_ALL: sum_all(&it); break;
    case CROSS_ENTROPY: cross_entropy(&it); break;
    case CONVOLUTION: convolution(&it); break;
    case MAX_POOL: case AVERAGE_POOL: pool(&it); break;
    default: unary(&it);
    }
}

static void propagate(const Lane *lane, int index) {
    const Node *n = &lane->tape->nodes[index];
    if (n->op <= BUFFER || !n->needed) return;
    const At it = at(lane, index);
    switch (n->op) {
    case LINEAR: case MATMUL: linear_back(&it); break;
    case EACH_PRODUCT: each_product_back(&it); break;
    case CAT: cat_back(&it); break;
    case COPY: copy_view_back(&it); break;
    case ADD: case SUB: case MUL: case DIVIDE: case FILL: binary_back(&it); break;
    case GELU: case GELU_TANH: case SILU: gated_back(&it); break;
    case SOFTMAX: softmax_back(&it); break;
    case LAYER_NORM: case RMS_NORM: norm_back(&it); break;
    case SUM_AXIS: sum_axis_back(&it); break;
    case SUM_ALL: case MEAN_ALL: sum_all_back(&it); break;
    case CROSS_ENTROPY: cross_entropy_back(&it); break;
    case CONVOLUTION: convolution_back(&it); break;
    case MAX_POOL: case AVERAGE_POOL: pool_back(&it); break;
    default: unary_back(&it);
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
    return size_of(&tape->nodes[tape->prediction]);
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
