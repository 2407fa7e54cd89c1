/* Functions element by element, of one value and of two. */

/* What is read at i and written at i may be one place: some nodes lie where their input lay. */
#define ALONE _Pragma("GCC ivdep")
#define EACH(expression)                                                     \
    do {                                                                     \
        ALONE for (ptrdiff_t i = 0; i < size; i++) out[i] = (expression);    \
    } while (0)
/* d(input 0) (+)= expression, for element i. */
#define BACK(expression)                                                     \
    do {                                                                     \
        if (it->n->adds[0]) {                                                \
            ALONE for (ptrdiff_t i = 0; i < size; i++) da[i] += (expression); \
        } else {                                                             \
            ALONE for (ptrdiff_t i = 0; i < size; i++) da[i] = (expression); \
        }                                                                    \
    } while (0)

#define ROOT_HALF ((REAL)0.70710678118654752440)
#define TWO_BY_ROOT_PI ((REAL)1.12837916709551257390)
#define NORMAL ((REAL)0.39894228040143267794)
/* The tanh form of gelu: x/2 (1 + tanh(A (x + B x^3))). */
#define GELU_A ((REAL)0.79788456080286535588)
#define GELU_B ((REAL)0.044715)

/* x times a share of it that grows from 0 to 1: what costs most of it and of its slope is the same,
 * so the slope is found now and kept in scratch, which may lie where the input lies. */
static void gated(const At *it) {
    const ptrdiff_t size = it->size;
    const REAL *a = it->in[0];
    REAL *out = it->out, *slope = it->lane->workspace + it->n->scratch;
    switch (it->n->op) {
    case GELU:
        ALONE for (ptrdiff_t i = 0; i < size; i++) {
            const REAL x = a[i], share = (REAL)0.5 * (1 + F(erf)(x * ROOT_HALF));
            out[i] = x * share;
            slope[i] = share + x * NORMAL * F(exp)((REAL)-0.5 * x * x);
        }
        break;
    case GELU_TANH:
        ALONE for (ptrdiff_t i = 0; i < size; i++) {
            const REAL x = a[i], t = F(tanh)(GELU_A * (x + GELU_B * x * x * x));
            out[i] = (REAL)0.5 * x * (1 + t);
            slope[i] = (REAL)0.5 * (1 + t + x * GELU_A * (1 + 3 * GELU_B * x * x) * (1 - t * t));
        }
        break;
    case SILU:
        ALONE for (ptrdiff_t i = 0; i < size; i++) {
            const REAL x = a[i], share = 1 / (1 + F(exp)(-x));
            out[i] = x * share;
            slope[i] = share * (1 + x * (1 - share));
        }
        break;
    }
}

static void gated_back(const At *it) {
    const ptrdiff_t size = it->size;
    const REAL *d = it->d, *slope = it->lane->workspace + it->n->scratch;
    REAL *da = it->din[0];
    BACK(d[i] * slope[i]);
}

static void unary(const At *it) {
    const ptrdiff_t size = it->size;
    const REAL *a = it->in[0], k = (REAL)it->n->k;
    REAL *out = it->out;
    switch (it->n->op) {
    case SCALE: EACH(k * a[i]); break;
    case SHIFT: EACH(k + a[i]); break;
    case TANH: EACH(F(tanh)(a[i])); break;
    case RELU: EACH(a[i] < 0 ? (REAL)0 : a[i]); break;
    case SIGMOID: EACH(1 / (1 + F(exp)(-a[i]))); break;
    case SIN: EACH(F(sin)(a[i])); break;
    case COS: EACH(F(cos)(a[i])); break;
    case EXP: EACH(F(exp)(a[i])); break;
    case ERF: EACH(F(erf)(a[i])); break;
    case ABS: EACH(F(fabs)(a[i])); break;
    case SQUARE: EACH(a[i] * a[i]); break;
    case SQRT: EACH(F(sqrt)(a[i])); break;
    case SIGN: EACH((REAL)((a[i] > 0) - (a[i] < 0))); break;
    case EQUALS: EACH(a[i] == k ? (REAL)1 : (REAL)0); break;
    }
}

static void unary_back(const At *it) {
    const ptrdiff_t size = it->size;
    const REAL *a = it->in[0], *out = it->out, *d = it->d, k = (REAL)it->n->k;
    REAL *da = it->din[0];
    switch (it->n->op) {
    case SCALE: BACK(k * d[i]); break;
    case SHIFT: BACK(d[i]); break;
    /* The next four read the output only: it may lie where the input lay. */
    case TANH: BACK(d[i] * (1 - out[i] * out[i])); break;
    case RELU: BACK(out[i] > 0 ? d[i] : (REAL)0); break;
    case SIGMOID: BACK(d[i] * out[i] * (1 - out[i])); break;
    case SQRT: BACK(d[i] / (2 * out[i])); break;
    case SIN: BACK(d[i] * F(cos)(a[i])); break;
    case COS: BACK(-d[i] * F(sin)(a[i])); break;
    case EXP: BACK(d[i] * out[i]); break;
    case ERF: BACK(d[i] * TWO_BY_ROOT_PI * F(exp)(-a[i] * a[i])); break;
    case ABS: BACK(a[i] > 0 ? d[i] : a[i] < 0 ? -d[i] : (REAL)0); break;
    case SQUARE: BACK(2 * a[i] * d[i]); break;
    case SIGN: BACK((REAL)0 * d[i]); break;
    }
}

/* Of two values: the second has one number for `inner` of the first, and begins anew after `period`
 * numbers (0: never). Shape is inner, period. */
#define BOTH(element, number)                                                            \
    for (ptrdiff_t g = 0, p = 0; inner == 1 && g < size; g += period, p = 0)             \
        { ALONE for (p = 0; p < period; p++) { const ptrdiff_t i = g + p, j = p; element; } } \
    for (ptrdiff_t g = 0; inner > 1 && g < size / inner; g++) {                          \
        const ptrdiff_t j = g % period;                                                  \
        number;                                                                          \
    }

#define EACH_OF_BOTH(expression)                                                          \
    BOTH(out[i] = (expression), {                                                         \
        ALONE for (ptrdiff_t i = g * inner; i < (g + 1) * inner; i++) out[i] = (expression); \
    })

static void binary(const At *it) {
    const ptrdiff_t size = it->size, inner = it->n->shape[0];
    const ptrdiff_t period = it->n->shape[1] ? it->n->shape[1] : size / inner;
    const REAL *a = it->in[0], *b = it->in[1], k = (REAL)it->n->k;
    REAL *out = it->out;
    switch (it->n->op) {
    case ADD: EACH_OF_BOTH(a[i] + b[j]); break;
    case SUB: EACH_OF_BOTH(a[i] - b[j]); break;
    case MUL: EACH_OF_BOTH(a[i] * b[j]); break;
    case DIVIDE: EACH_OF_BOTH(a[i] / b[j]); break;
    case FILL: EACH_OF_BOTH(b[j] != 0 ? k : a[i]); break;
    }
}

#define FIRST_BACK(expression)                                                           \
    do {                                                                                 \
        if (!da) break;                                                                  \
        if (it->n->adds[0]) {                                                            \
            BOTH(da[i] += (expression), {                                                \
                for (ptrdiff_t i = g * inner; i < (g + 1) * inner; i++) da[i] += (expression); \
            })                                                                           \
        } else {                                                                         \
            BOTH(da[i] = (expression), {                                                 \
                ALONE for (ptrdiff_t i = g * inner; i < (g + 1) * inner; i++) da[i] = (expression); \
            })                                                                           \
        }                                                                                \
    } while (0)
#define SECOND_BACK(expression)                                                          \
    do {                                                                                 \
        if (!db) break;                                                                  \
        if (inner == 1 && period == size && !it->n->adds[1]) {                           \
            for (ptrdiff_t i = 0; i < size; i++) { const ptrdiff_t j = i; (void)j; db[i] = (expression); } \
            break;                                                                       \
        }                                                                                \
        clear(it, 1);                                                                    \
        BOTH(db[j] += (expression), {                                                    \
            REAL total = 0;                                                              \
            for (ptrdiff_t i = g * inner; i < (g + 1) * inner; i++) total += (expression); \
            db[j] += total;                                                              \
        })                                                                               \
    } while (0)

static void binary_back(const At *it) {
    const ptrdiff_t size = it->size, inner = it->n->shape[0];
    const ptrdiff_t period = it->n->shape[1] ? it->n->shape[1] : size / inner;
    const REAL *a = it->in[0], *b = it->in[1], *out = it->out, *d = it->d;
    REAL *da = it->din[0], *db = it->din[1];
    (void)a;
    switch (it->n->op) {
    case ADD:
        /* One of the two gradients may lie where d lies. */
        if (da != d) FIRST_BACK(d[i]);
        if (db != d) SECOND_BACK(d[i]);
        break;
    case SUB: FIRST_BACK(d[i]); SECOND_BACK(-d[i]); break;
    case MUL: FIRST_BACK(d[i] * b[j]); SECOND_BACK(d[i] * a[i]); break;
    case DIVIDE: FIRST_BACK(d[i] / b[j]); SECOND_BACK(-d[i] * out[i] / b[j]); break;
    case FILL: FIRST_BACK(b[j] != 0 ? (REAL)0 : d[i]); break;
    }
}
