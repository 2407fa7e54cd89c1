/* Functions of a row of numbers: softmax, norms, sums and losses. */

enum { EXPONENTIALS = 4096 };

/* With shape[0], row r of a square of so many rows sees its first r + 1 numbers only. */
static inline ptrdiff_t seen_by(const At *it, ptrdiff_t r) {
    const ptrdiff_t square = it->n->shape[0], ahead = square ? r % square + 1 : it->cols;
    return ahead < it->cols ? ahead : it->cols;
}

/* Exponentials are taken of several rows at a time, since a row may be shorter than a vector. */
static void softmax(const At *it) {
    const ptrdiff_t cols = it->cols, several = cols < EXPONENTIALS ? EXPONENTIALS / cols : 1;
    for (ptrdiff_t first = 0; first < it->rows; first += several) {
        const ptrdiff_t end = it->rows - first < several ? it->rows : first + several;
        REAL *made = it->out + first * cols;
        for (ptrdiff_t r = first; r < end; r++) {
            const ptrdiff_t seen = seen_by(it, r);
            const REAL *a = it->in[0] + r * cols;
            REAL *out = it->out + r * cols, top = a[0];
            for (ptrdiff_t c = 1; c < seen; c++) top = a[c] > top ? a[c] : top;
            ALONE for (ptrdiff_t c = 0; c < seen; c++) out[c] = a[c] - top;
            for (ptrdiff_t c = seen; c < cols; c++) out[c] = 0;
        }
        for (ptrdiff_t i = 0; i < (end - first) * cols; i++) made[i] = F(exp)(made[i]);
        for (ptrdiff_t r = first; r < end; r++) {
            const ptrdiff_t seen = seen_by(it, r);
            REAL *out = it->out + r * cols, total = 0;
            for (ptrdiff_t c = 0; c < seen; c++) total += out[c];
            const REAL share = 1 / total;
            for (ptrdiff_t c = 0; c < seen; c++) out[c] *= share;
            for (ptrdiff_t c = seen; c < cols; c++) out[c] = 0;
        }
    }
}

static void softmax_back(const At *it) {
    for (ptrdiff_t r = 0; r < it->rows; r++) {
        const REAL *y = it->out + r * it->cols, *d = it->d + r * it->cols;
        REAL *da = it->din[0] + r * it->cols, dot = 0;
        for (ptrdiff_t c = 0; c < it->cols; c++) dot += y[c] * d[c];
        if (it->n->adds[0]) for (ptrdiff_t c = 0; c < it->cols; c++) da[c] += y[c] * (d[c] - dot);
        else ALONE for (ptrdiff_t c = 0; c < it->cols; c++) da[c] = y[c] * (d[c] - dot);
    }
}

/* Rows less their mean (not in RMS_NORM) over their root mean square, k added to its square; then
 * times a row plus a row, if there are any. Scratch: mean and inverse root of every row. */
static void norm(const At *it) {
    const ptrdiff_t cols = it->cols;
    const REAL *gain = it->in[1], *shift = it->in[2];
    REAL *known = it->lane->workspace + it->n->scratch;
    for (ptrdiff_t r = 0; r < it->rows; r++, known += 2) {
        const REAL *a = it->in[0] + r * cols;
        REAL *out = it->out + r * cols, mean = 0, square = 0;
        if (it->n->op == LAYER_NORM) {
            for (ptrdiff_t c = 0; c < cols; c++) mean += a[c];
            mean /= (REAL)cols;
        }
        for (ptrdiff_t c = 0; c < cols; c++) square += (a[c] - mean) * (a[c] - mean);
        const REAL inverse = 1 / F(sqrt)(square / (REAL)cols + (REAL)it->n->k);
        known[0] = mean, known[1] = inverse;
        if (gain && shift)
            for (ptrdiff_t c = 0; c < cols; c++) out[c] = (a[c] - mean) * inverse * gain[c] + shift[c];
        else if (gain)
            for (ptrdiff_t c = 0; c < cols; c++) out[c] = (a[c] - mean) * inverse * gain[c];
        else for (ptrdiff_t c = 0; c < cols; c++) out[c] = (a[c] - mean) * inverse;
    }
}

static void norm_back(const At *it) {
    const ptrdiff_t cols = it->cols;
    const REAL *gain = it->in[1], *known = it->lane->workspace + it->n->scratch;
    REAL *dgain = it->din[1], *dshift = it->din[2];
    if (dgain) clear(it, 1);
    if (dshift) clear(it, 2);
    for (ptrdiff_t r = 0; r < it->rows; r++, known += 2) {
        const REAL *a = it->in[0] + r * cols, *d = it->d + r * cols;
        const REAL mean = known[0], inverse = known[1];
        if (dgain) for (ptrdiff_t c = 0; c < cols; c++) dgain[c] += d[c] * (a[c] - mean) * inverse;
        if (dshift) for (ptrdiff_t c = 0; c < cols; c++) dshift[c] += d[c];
        if (!it->din[0]) continue;
        REAL *da = it->din[0] + r * cols, level = 0, along = 0;
        for (ptrdiff_t c = 0; c < cols; c++) {
            const REAL dn = gain ? d[c] * gain[c] : d[c];
            level += dn;
            along += dn * (a[c] - mean);
        }
        level = it->n->op == LAYER_NORM ? level / (REAL)cols : 0;
        along *= inverse * inverse / (REAL)cols;
        if (it->n->adds[0])
            for (ptrdiff_t c = 0; c < cols; c++)
                da[c] += inverse * ((gain ? d[c] * gain[c] : d[c]) - level - (a[c] - mean) * along);
        else
            for (ptrdiff_t c = 0; c < cols; c++)
                da[c] = inverse * ((gain ? d[c] * gain[c] : d[c]) - level - (a[c] - mean) * along);
    }
}

/* k times the sum over the middle of three axes; shape is the lengths of the last two. */
static void sum_axis(const At *it) {
    const ptrdiff_t count = it->n->shape[0], inner = it->n->shape[1];
    const REAL *a = it->in[0], k = (REAL)it->n->k;
    REAL *out = it->out;
    for (ptrdiff_t o = 0; o < it->size / inner; o++, out += inner) {
        if (inner == 1) {
            *out = (REAL)(it->n->k * sum(a, count));
            a += count;
            continue;
        }
        memset(out, 0, sizeof(REAL) * inner);
        for (ptrdiff_t j = 0; j < count; j++, a += inner)
            for (ptrdiff_t c = 0; c < inner; c++) out[c] += a[c];
        for (ptrdiff_t c = 0; c < inner; c++) out[c] *= k;
    }
}

static void sum_axis_back(const At *it) {
    const ptrdiff_t count = it->n->shape[0], inner = it->n->shape[1];
    const REAL *d = it->d, k = (REAL)it->n->k;
    REAL *da = it->din[0];
    for (ptrdiff_t o = 0; o < it->size / inner; o++, d += inner)
        for (ptrdiff_t j = 0; j < count; j++, da += inner)
            for (ptrdiff_t c = 0; c < inner; c++)
                da[c] = (it->n->adds[0] ? da[c] : 0) + k * d[c];
}

static void sum_all(const At *it) {
    const ptrdiff_t size = size_of(it->of[0]);
    const double total = sum(it->in[0], size);
    *it->out = (REAL)(it->n->op == MEAN_ALL ? total / (double)size : total);
}

static void sum_all_back(const At *it) {
    const ptrdiff_t size = size_of(it->of[0]);
    const REAL share = it->n->op == MEAN_ALL ? *it->d / (REAL)size : *it->d;
    REAL *da = it->din[0];
    BACK(share);
}

/* Mean over rows, of shape[0] classes, of the cross-entropy against probabilities. */
static void cross_entropy(const At *it) {
    const ptrdiff_t cols = it->n->shape[0], rows = size_of(it->of[0]) / cols;
    double total = 0;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const REAL *p = it->in[0] + r * cols, *t = it->in[1] + r * cols;
        REAL top = p[0];
        for (ptrdiff_t c = 1; c < cols; c++) top = p[c] > top ? p[c] : top;
        REAL z = 0, dot = 0, mass = 0;
        for (ptrdiff_t c = 0; c < cols; c++) {
            z += F(exp)(p[c] - top);
            dot += t[c] * (p[c] - top);
            mass += t[c];
        }
        total += (double)(mass * F(log)(z) - dot);
    }
    *it->out = (REAL)(total / (double)rows);
}

static void cross_entropy_back(const At *it) {
    const ptrdiff_t cols = it->n->shape[0], rows = size_of(it->of[0]) / cols;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const REAL *p = it->in[0] + r * cols, *t = it->in[1] + r * cols;
        REAL *da = it->din[0] + r * cols, top = p[0];
        for (ptrdiff_t c = 1; c < cols; c++) top = p[c] > top ? p[c] : top;
        REAL z = 0, mass = 0;
        for (ptrdiff_t c = 0; c < cols; c++) {
            z += F(exp)(p[c] - top);
            mass += t[c];
        }
        for (ptrdiff_t c = 0; c < cols; c++) {
            const REAL share = mass * F(exp)(p[c] - top) / z - t[c];
            da[c] = (it->n->adds[0] ? da[c] : 0) + *it->d * share / (REAL)rows;
        }
    }
}
