/* Products of matrices: by loops over tiles, or by the BLAS library where they are large. */

/* What is added to a product: nothing where `from` is NULL; what its place holds; or one row to every
 * row of it, where `down` is 0. */
typedef struct {
    const REAL *from;
    ptrdiff_t down;
} Plus;

static inline Plus itself(int adds, const REAL *c, ptrdiff_t down) {
    return (Plus){adds ? c : NULL, down};
}

static inline Plus from_row(Plus plus, ptrdiff_t row, ptrdiff_t column) {
    if (plus.from) plus.from += row * plus.down + column;
    return plus;
}

/* Row-major C (m x n) = op(A) op(B) (+ C), through the column-major library. */
static void library_product(const Lane *lane, char ta, char tb, int m, int n, int k, const REAL *a, int lda,
                            const REAL *b, int ldb, int adds, REAL *c, int ldc) {
    const REAL one = 1, old = (REAL)adds;
    lane->tape->gemm(&tb, &ta, &n, &m, &k, &one, b, &ldb, a, &lda, &old, c, &ldc);
}

/* A matrix by its strides; of one of the two axes the stride is 1. */
typedef struct {
    ptrdiff_t down, across;
} Strides;

typedef REAL Wide __attribute__((vector_size(64), aligned(sizeof(REAL)), may_alias));
enum {
    WIDE = 64 / sizeof(REAL),
    TALL = 8,              /* rows of a tile, which is two vectors wide: 16 sums in registers */
    PANEL = 2 * WIDE,      /* columns of B that all rows of A meet before the next are taken */
    /* Multiplications up to which the loops below are faster than a call of the library. They have
     * no use for A in another order, so with wide registers they win where all lies in the cache. */
#if defined(__AVX512F__)
    OWN = 1 << 27,
#else
    OWN = 1 << 14,
#endif
    NARROW = WIDE / 2, TINY = 1 << 14
};

#if defined(__AVX512F__) && !defined(DOUBLE)
/* A square of 16 rows, `down` apart, as its columns, `full` apart: dealt out like cards four times. */
static inline void turn_square(const REAL *from, ptrdiff_t down, REAL *to, ptrdiff_t full) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512 rows[16], dealt[16];
    for (int i = 0; i < 16; i++) rows[i] = _mm512_loadu_ps(from + i * down);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            dealt[2 * i] = _mm512_permutex2var_ps(rows[i], low, rows[i + 8]);
            dealt[2 * i + 1] = _mm512_permutex2var_ps(rows[i], high, rows[i + 8]);
        }
        for (int i = 0; i < 16; i++) rows[i] = dealt[i];
    }
    for (int i = 0; i < 16; i++) _mm512_storeu_ps(to + i * full, rows[i]);
}
#endif

/* k rows and `wide` columns of B as rows of `full`, zeros to the right. */
static void gather_panel(int k, int wide, int full, const REAL *from, Strides by, REAL *room) {
    int i = 0;
    if (wide < full) memset(room, 0, sizeof(REAL) * k * full);
#if defined(__AVX512F__) && !defined(DOUBLE)
    for (; by.down == 1 && k % 16 == 0 && i + 16 <= wide; i += 16)
        for (int p = 0; p < k; p += 16)
            turn_square(from + i * by.across + p, by.across, room + p * full + i, full);
#endif
#if defined(__SSE2__) && !defined(DOUBLE)
    for (; by.down == 1 && i + 4 <= wide; i += 4) {
        const REAL *row = from + i * by.across;
        int p = 0;
        for (; p + 4 <= k; p += 4) {
            __m128 a = _mm_loadu_ps(row + p), b = _mm_loadu_ps(row + by.across + p);
            __m128 c = _mm_loadu_ps(row + 2 * by.across + p);
            __m128 d = _mm_loadu_ps(row + 3 * by.across + p);
            _MM_TRANSPOSE4_PS(a, b, c, d);
            REAL *to = room + p * full + i;
            _mm_storeu_ps(to, a), _mm_storeu_ps(to + full, b);
            _mm_storeu_ps(to + 2 * full, c), _mm_storeu_ps(to + 3 * full, d);
        }
        for (; p < k; p++)
            for (int q = 0; q < 4; q++) room[p * full + i + q] = row[p + q * by.across];
    }
#endif
    for (; i < wide; i++)
        for (int p = 0; p < k; p++) room[p * full + i] = from[p * by.down + i * by.across];
}

/* m rows and `pair` + 1 vectors of C = A B (+), where b has unit stride across. */
static inline __attribute__((always_inline)) void tile(const int m, const int pair, int k,
                                                       const REAL *a, Strides sa, const REAL *b,
                                                       ptrdiff_t down, Plus plus, REAL *c,
                                                       ptrdiff_t row) {
    Wide left[TALL], right[TALL];
    for (int i = 0; i < m; i++) left[i] = right[i] = (Wide){0};
    for (int p = 0; p < k; p++, b += down) {
        const Wide near = *(const Wide *)b, far = pair ? *(const Wide *)(b + WIDE) : near;
        _Pragma("GCC unroll 8") for (int i = 0; i < m; i++) {
            const REAL x = a[i * sa.down + p * sa.across];
            left[i] += x * near;
            if (pair) right[i] += x * far;
        }
    }
    _Pragma("GCC unroll 8") for (int i = 0; i < m; i++, c += row) {
        if (plus.from) {
            left[i] += *(const Wide *)plus.from;
            if (pair) right[i] += *(const Wide *)(plus.from + WIDE);
            plus.from += plus.down;
        }
        *(Wide *)c = left[i];
        if (pair) *(Wide *)(c + WIDE) = right[i];
    }
}

/* All rows of a panel, by tiles. */
static inline __attribute__((always_inline)) void panel(const int pair, int m, int k, const REAL *a,
                                                        Strides sa, const REAL *b, ptrdiff_t down,
                                                        Plus plus, REAL *c, ptrdiff_t row) {
    int i = 0;
    for (; i + 8 <= m; i += 8)
        tile(8, pair, k, a + i * sa.down, sa, b, down, from_row(plus, i, 0), c + i * row, row);
    for (; i + 4 <= m; i += 4)
        tile(4, pair, k, a + i * sa.down, sa, b, down, from_row(plus, i, 0), c + i * row, row);
    for (; i + 2 <= m; i += 2)
        tile(2, pair, k, a + i * sa.down, sa, b, down, from_row(plus, i, 0), c + i * row, row);
    for (; i < m; i++)
        tile(1, pair, k, a + i * sa.down, sa, b, down, from_row(plus, i, 0), c + i * row, row);
}

/* C (m x n) = A (m x k) B (k x n) (+), with rows of C of unit stride; `room` holds a panel of B
 * where its own columns are not side by side, and one of C where that is narrower. */
static void own_product(int m, int n, int k, const REAL *a, Strides sa, const REAL *b, Strides sb,
                        Plus plus, REAL *c, ptrdiff_t row, REAL *room) {
    for (int j = 0; j < n; j += PANEL) {
        const int wide = n - j < PANEL ? n - j : PANEL;
        const int pair = wide > WIDE, full = pair ? PANEL : WIDE;
        const REAL *from = b + j * sb.across;
        ptrdiff_t down = sb.down, to = row;
        if (sb.across != 1 || wide < full) {
            gather_panel(k, wide, full, from, sb, room);
            from = room, down = full;
        }
        REAL *made = c + j;
        if (wide < full) made = room + (ptrdiff_t)k * full, to = full;
        const Plus more = wide == full ? from_row(plus, 0, j) : (Plus){0};
        /* One of the strides of A is 1, which the compiler is told. */
        const Strides flat = {sa.down, 1}, steep = {1, sa.across};
        if (pair && sa.across == 1) panel(1, m, k, a, flat, from, down, more, made, to);
        else if (pair) panel(1, m, k, a, steep, from, down, more, made, to);
        else if (sa.across == 1) panel(0, m, k, a, flat, from, down, more, made, to);
        else panel(0, m, k, a, steep, from, down, more, made, to);
        for (int i = 0; wide < full && i < m; i++)
            for (int q = 0; q < wide; q++)
                c[i * row + j + q] =
                    (plus.from ? plus.from[i * plus.down + j + q] : 0) + made[i * full + q];
    }
}

static REAL across(Wide v) {
    REAL total = 0;
    for (int i = 0; i < WIDE; i++) total += v[i];
    return total;
}

/* A column = A (m x k) times a column of k, whose numbers are side by side (+). */
static void column_product(int m, int k, const REAL *a, Strides sa, const REAL *b, Plus plus, REAL *c,
                           ptrdiff_t row) {
    int i = 0;
    if (sa.across == 1)
        for (; i < m; i++, a += sa.down) {
            Wide sums = {0}, more = {0};
            int p = 0;
            for (; p + PANEL <= k; p += PANEL) {
                sums += *(const Wide *)(a + p) * *(const Wide *)(b + p);
                more += *(const Wide *)(a + p + WIDE) * *(const Wide *)(b + p + WIDE);
            }
            if (p + WIDE <= k) sums += *(const Wide *)(a + p) * *(const Wide *)(b + p), p += WIDE;
            REAL total = across(sums + more);
            for (; p < k; p++) total += a[p] * b[p];
            c[i * row] = (plus.from ? plus.from[i * plus.down] : 0) + total;
        }
    for (; i + PANEL <= m; i += PANEL) {
        Wide near = {0}, far = {0};
        for (int p = 0; p < k; p++) {
            near += *(const Wide *)(a + i + p * sa.across) * b[p];
            far += *(const Wide *)(a + i + p * sa.across + WIDE) * b[p];
        }
        for (int q = 0; q < PANEL; q++)
            c[(i + q) * row] = (plus.from ? plus.from[(i + q) * plus.down] : 0) +
                               (q < WIDE ? near[q] : far[q - WIDE]);
    }
    for (; i < m; i++) {
        REAL total = 0;
        for (int p = 0; p < k; p++) total += a[i + p * sa.across] * b[p];
        c[i * row] = (plus.from ? plus.from[i * plus.down] : 0) + total;
    }
}

/* The same, by the loops or by the library; C may have unit stride down, and then adds to itself at
 * most. */
static void product(const Lane *lane, int m, int n, int k, const REAL *a, Strides sa, const REAL *b,
                    Strides sb, Plus plus, REAL *c, Strides sc, REAL *room) {
    const Strides turned_a = {sa.across, sa.down}, turned_b = {sb.across, sb.down};
    if (sc.across != 1) {
        plus.down = sc.across;
        product(lane, n, m, k, b, turned_b, a, turned_a, plus, c, (Strides){sc.across, 1}, room);
        return;
    }
    if (n == 1 && sb.down == 1) {
        column_product(m, k, a, sa, b, plus, c, sc.down);
        return;
    }
    if (m == 1 && sa.across == 1) {
        plus.down = 1;
        column_product(n, k, b, turned_b, a, plus, c, 1);
        return;
    }
    const int64_t size = (int64_t)m * n * k;
    if (size <= TINY || (size <= OWN && n >= NARROW)) {
        own_product(m, n, k, a, sa, b, sb, plus, c, sc.down, room);
        return;
    }
    for (int i = 0; plus.from && plus.from != c && i < m; i++)
        memcpy(c + i * sc.down, plus.from + i * plus.down, sizeof(REAL) * n);
    const int ta = sa.across != 1, tb = sb.across != 1;
    library_product(lane, ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, a,
                    (int)(ta ? sa.across : sa.down), b, (int)(tb ? sb.across : sb.down),
                    plus.from != NULL, c, (int)sc.down);
}

/* Rows of d summed, four at a time. */
static void columns(const REAL *restrict d, ptrdiff_t rows, ptrdiff_t cols, int adds,
                    REAL *restrict out) {
    if (!adds) memset(out, 0, sizeof(REAL) * cols);
    ptrdiff_t r = 0;
    for (; r + 4 <= rows; r += 4, d += 4 * cols)
        for (ptrdiff_t c = 0; c < cols; c++)
            out[c] += (d[c] + d[c + cols]) + (d[c + 2 * cols] + d[c + 3 * cols]);
    for (; r < rows; r++, d += cols)
        for (ptrdiff_t c = 0; c < cols; c++) out[c] += d[c];
}

/* x times a matrix that all samples share, (cols, inner) transposed or (inner, cols). */
static void linear(const At *it) {
    const int rows = (int)it->rows, cols = (int)it->cols, inner = (int)(size_of(it->of[1]) / cols);
    const Strides weight = it->n->op == LINEAR ? (Strides){1, inner} : (Strides){cols, 1};
    const Plus bias = {it->in[2], 0};
    product(it->lane, rows, cols, inner, it->in[0], (Strides){inner, 1}, it->in[1], weight, bias,
            it->out, (Strides){cols, 1}, it->lane->workspace + it->n->scratch);
}

static void linear_back(const At *it) {
    const int rows = (int)it->rows, cols = (int)it->cols, inner = (int)(size_of(it->of[1]) / cols);
    const int turned = it->n->op == LINEAR, *adds = it->n->adds;
    const Strides made = {cols, 1};
    REAL *room = it->lane->workspace + it->n->scratch;
    if (it->din[0])
        product(it->lane, rows, inner, cols, it->d, made, it->in[1],
                turned ? (Strides){inner, 1} : (Strides){1, cols},
                itself(adds[0], it->din[0], inner), it->din[0], (Strides){inner, 1}, room);
    if (it->din[1] && turned)
        product(it->lane, cols, inner, rows, it->d, (Strides){1, cols}, it->in[0],
                (Strides){inner, 1}, itself(adds[1], it->din[1], inner), it->din[1],
                (Strides){inner, 1}, room);
    if (it->din[1] && !turned)
        product(it->lane, inner, cols, rows, it->in[0], (Strides){1, inner}, it->d, made,
                itself(adds[1], it->din[1], cols), it->din[1], made, room);
    if (it->din[2]) columns(it->d, rows, cols, adds[2], it->din[2]);
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
            product(it->lane, m, n, k,
                        it->in[0] + left.offset + s * left.sample + h * left.head, left.matrix,
                        it->in[1] + right.offset + s * right.sample + h * right.head, right.matrix,
                        (Plus){0}, out, (Strides){n, 1}, room);
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
                    product(it->lane, m, k, n, d, made, it->in[1] + r, rt,
                            itself(adds, it->din[0] + l, left.matrix.down), it->din[0] + l,
                            left.matrix, room);
                else
                    product(it->lane, k, n, m, it->in[0] + l, lt, d, made,
                            itself(adds, it->din[1] + r, right.matrix.down), it->din[1] + r,
                            right.matrix, room);
            }
    }
}
