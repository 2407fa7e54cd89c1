/* Nodes, lanes, and where their numbers lie. */

/* The order is that of OPERATIONS in nodes.py. */
enum {
    INPUT, TARGET, PARAMETER, BUFFER,
    LINEAR, MATMUL, EACH_PRODUCT,
    CAT, COPY,
    ADD, SUB, MUL, DIVIDE, FILL,
    SCALE, SHIFT, TANH, RELU, SIGMOID, SIN, COS, GELU, GELU_TANH, SILU, EXP, ERF, ABS, SQUARE, SQRT,
    SIGN, EQUALS,
    SOFTMAX, LAYER_NORM, RMS_NORM,
    SUM_AXIS, SUM_ALL, MEAN_ALL, CROSS_ENTROPY,
    CONVOLUTION, MAX_POOL, AVERAGE_POOL
};

typedef struct {
    int32_t op;
    int32_t in[3];       /* nodes it takes, -1 for none */
    int32_t adds[3];     /* whether the gradient of that input adds to an earlier one */
    int32_t rows, cols;
    int32_t needed;      /* whether its gradient is needed */
    int32_t fixed;       /* depends on no parameter: evaluated once a visit with a full batch */
    int32_t pad;
    int32_t shape[16];   /* what its kind of node says of shapes and strides, see each */
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
    const Tape *tape;
    REAL *parameters, *gradients, *workspace;
    const REAL *x, *y, *buffers;
} Lane;

/* One node of a lane: what it takes, what it makes, and the gradients of both; NULL where none. */
typedef struct {
    const Lane *lane;
    const Node *n, *of[3];
    const REAL *in[3];
    REAL *out;
    const REAL *d;
    REAL *din[3];
    ptrdiff_t rows, cols, size;
} At;

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

static ptrdiff_t size_of(const Node *n) { return (ptrdiff_t)n->rows * n->cols; }

static At at(const Lane *lane, int index) {
    const Node *nodes = lane->tape->nodes, *n = &nodes[index];
    At it = {.lane = lane, .n = n, .out = value(lane, index), .rows = n->rows, .cols = n->cols,
             .size = size_of(n)};
    it.d = n->needed ? grad(lane, index) : NULL;
    for (int j = 0; j < 3 && n->in[j] >= 0; j++) {
        it.of[j] = &nodes[n->in[j]];
        it.in[j] = value(lane, n->in[j]);
        it.din[j] = it.of[j]->needed ? grad(lane, n->in[j]) : NULL;
    }
    return it;
}

static double sum(const REAL *v, ptrdiff_t size) {
    double total = 0;
    for (ptrdiff_t i = 0; i < size; i++) total += v[i];
    return total;
}

/* Before adding to an input's gradient piece by piece: zero, if nothing was added yet. */
static void clear(const At *it, int j) {
    if (!it->n->adds[j]) memset(it->din[j], 0, sizeof(REAL) * size_of(it->of[j]));
}
