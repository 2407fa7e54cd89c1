/* Products of matrices: by the BLAS library, or by loops where they are too small for a call. */

/* Row-major C (m x n) = op(A) op(B) (+ C), through the column-major library. */
static void product(const Lane *lane, char ta, char tb, int m, int n, int k, const REAL *a, int lda,
                    const REAL *b, int ldb, int adds, REAL *c, int ldc) {
    const REAL one = 1, old = (REAL)adds;
    lane->tape->gemm(&tb, &ta, &n, &m, &k, &one, b, &ldb, a, &lda, &old, c, &ldc);
}

/* Rows of d summed. */
static void columns(const REAL *d, ptrdiff_t rows, ptrdiff_t cols, int adds, REAL *out) {
    if (!adds) memset(out, 0, sizeof(REAL) * cols);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < cols; c++) out[c] += d[r * cols + c];
}

/* x times a matrix that all samples share, (cols, inner) transposed or (inner, cols). */
static void linear(const At *it) {
    const int rows = (int)it->rows, cols = (int)it->cols, inner = (int)(size_of(it->of[1]) / cols);
    const REAL *bias = it->in[2];
    if (bias)
        for (ptrdiff_t r = 0; r < rows; r++)
            memcpy(it->out + r * cols, bias, sizeof(REAL) * cols);
    const int turned = it->n->op == LINEAR;
    product(it->lane, 'N', turned ? 'T' : 'N', rows, cols, inner, it->in[0], inner, it->in[1],
            turned ? inner : cols, bias != NULL, it->out, cols);
}

static void linear_back(const At *it) {
    const int rows = (int)it->rows, cols = (int)it->cols, inner = (int)(size_of(it->of[1]) / cols);
    const int turned = it->n->op == LINEAR, *adds = it->n->adds;
    if (it->din[0])
        product(it->lane, 'N', turned ? 'N' : 'T', rows, inner, cols, it->d, cols, it->in[1],
                turned ? inner : cols, adds[0], it->din[0], inner);
    if (it->din[1] && turned)
        product(it->lane, 'T', 'N', cols, inner, rows, it->d, cols, it->in[0], inner, adds[1],
                it->din[1], inner);
    if (it->din[1] && !turned)
        product(it->lane, 'T', 'N', inner, cols, rows, it->in[0], inner, it->d, cols, adds[1],
                it->din[1], cols);
    if (it->din[2]) columns(it->d, rows, cols, adds[2], it->din[2]);
}

/* A matrix by its strides; of one of the two axes the stride is 1. */
typedef struct {
    ptrdiff_t down, across;
} Strides;

enum { SMALL = 96 * 96 * 96, TALL = 8 };
typedef REAL Wide __attribute__((vector_size(64), aligned(sizeof(REAL)), may_alias));
enum { WIDE = 64 / sizeof(REAL) };

/* TALL or fewer rows of C, one vector wide; b has unit stride across. */
static inline __attribute__((always_inline)) void tile(const int m, int k, const REAL *a, Strides sa,
                                                       const REAL *b, ptrdiff_t down, Wide *c) {
    Wide sums[TALL];
    for (int i = 0; i < m; i++) sums[i] = (Wide){0};
    for (int p = 0; p < k; p++) {
        const Wide right = *(const Wide *)(b + p * down);
        _Pragma("GCC unroll 8") for (int i = 0; i < m; i++)
            sums[i] += a[i * sa.down + p * sa.across] * right;
    }
    for (int i = 0; i < m; i++) c[i] = sums[i];
}

/* C (m x n) = A (m x k) B (k x n) (+ C), each by its strides; `room` holds B packed. */
static void small_product(int m, int n, int k, const REAL *a, Strides sa, const REAL *b, Strides sb,
                          int adds, REAL *c, Strides sc, REAL *room) {
    if (sc.across != 1) {
        /* The transposed product has rows of unit stride. */
        const int rows = m;
        const REAL *left = a;
        const Strides turned = {sa.across, sa.down};
        m = n, n = rows;
        a = b, sa = (Strides){sb.across, sb.down};
        b = left, sb = turned;
        sc = (Strides){sc.across, sc.down};
    }
    for (int j = 0; j < n; j += WIDE) {
        const int wide = n - j < WIDE ? n - j : WIDE;
        const REAL *right = b + j * sb.across;
        ptrdiff_t down = sb.down;
        if (sb.across != 1 || wide < WIDE) {
            for (int p = 0; p < k; p++)
                for (int i = 0; i < WIDE; i++)
                    room[p * WIDE + i] = i < wide ? right[p * sb.down + i * sb.across] : (REAL)0;
            right = room;
            down = WIDE;
        }
        for (int i = 0; i < m;) {
            Wide made[TALL];
            const REAL *left = a + i * sa.down;
            int tall = 1;
            if (m - i >= 8) tile(tall = 8, k, left, sa, right, down, made);
            else if (m - i >= 4) tile(tall = 4, k, left, sa, right, down, made);
            else tile(1, k, left, sa, right, down, made);
            for (int r = 0; r < tall; r++, i++) {
                REAL *to = c + i * sc.down + j;
                if (wide == WIDE && adds) *(Wide *)to += made[r];
                else if (wide == WIDE) *(Wide *)to = made[r];
                else
                    for (int q = 0; q < wide; q++) to[q] = (adds ? to[q] : 0) + made[r][q];
            }
        }
    }
}

static void any_product(const Lane *lane, int m, int n, int k, const REAL *a, Strides sa,
                        const REAL *b, Strides sb, int adds, REAL *c, Strides sc, REAL *room) {
    if ((int64_t)m * n * k <= SMALL) {
        small_product(m, n, k, a, sa, b, sb, adds, c, sc, room);
        return;
    }
    if (sc.across != 1) {
        any_product(lane, n, m, k, b, (Strides){sb.across, sb.down}, a,
                    (Strides){sa.across, sa.down}, adds, c, (Strides){sc.across, sc.down}, room);
        return;
    }
    const int ta = sa.across != 1, tb = sb.across != 1;
    product(lane, ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, a, (int)(ta ? sa.across : sa.down), b,
            (int)(tb ? sb.across : sb.down), adds, c, (int)sc.down);
}

/* For every sample and every one of its heads a product (m x k)(k x n), contiguous; shape is
 * heads, m, n, k; then for either side: offset, strides of samples, heads, down, across; then
 * whether it takes all of its node's numbers once. */
typedef struct {
    ptrdiff_t offset, sample, head;
    Strides matrix;
    int whole;
} Side;

static Side side(const Node *n, int which) {
    const int32_t *s = n->shape + 4 + 5 * which;
    return (Side){s[0], s[1], s[2], {s[3], s[4]}, n->shape[14 + which]};
}

static void each_product(const At *it) {
    const int heads = it->n->shape[0], m = it->n->shape[1], n = it->n->shape[2], k = it->n->shape[3];
    const Side left = side(it->n, 0), right = side(it->n, 1);
    REAL *out = it->out, *room = it->lane->workspace + it->n->scratch;
    const ptrdiff_t samples = it->size / ((ptrdiff_t)heads * m * n);
    for (ptrdiff_t s = 0; s < samples; s++)
        for (int h = 0; h < heads; h++, out += (ptrdiff_t)m * n)
            any_product(it->lane, m, n, k,
                        it->in[0] + left.offset + s * left.sample + h * left.head, left.matrix,
                        it->in[1] + right.offset + s * right.sample + h * right.head, right.matrix,
                        0, out, (Strides){n, 1}, room);
}

static void each_product_back(const At *it) {
    const int heads = it->n->shape[0], m = it->n->shape[1], n = it->n->shape[2], k = it->n->shape[3];
    const Side left = side(it->n, 0), right = side(it->n, 1);
    const ptrdiff_t samples = it->size / ((ptrdiff_t)heads * m * n);
    const Strides made = {n, 1};
    REAL *room = it->lane->workspace + it->n->scratch;
    for (int which = 0; which < 2; which++) {
        if (!it->din[which]) continue;
        const int adds = it->n->adds[which] || !(which ? right : left).whole;
        if (!(which ? right : left).whole) clear(it, which);
        const REAL *d = it->d;
        for (ptrdiff_t s = 0; s < samples; s++)
            for (int h = 0; h < heads; h++, d += (ptrdiff_t)m * n) {
                const ptrdiff_t l = left.offset + s * left.sample + h * left.head;
                const ptrdiff_t r = right.offset + s * right.sample + h * right.head;
                const Strides lt = {left.matrix.across, left.matrix.down};
                const Strides rt = {right.matrix.across, right.matrix.down};
                if (which == 0)
                    any_product(it->lane, m, k, n, d, made, it->in[1] + r, rt, adds,
                                it->din[0] + l, left.matrix, room);
                else
                    any_product(it->lane, k, n, m, it->in[0] + l, lt, d, made, adds,
                                it->din[1] + r, right.matrix, room);
            }
    }
}
