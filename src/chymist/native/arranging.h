/* Numbers put elsewhere: parts joined, and views with strides made contiguous. */

/* Two blocks side by side, row by row. */
static void cat(const At *it) {
    const ptrdiff_t left = size_of(it->of[0]) / it->rows, right = it->cols - left;
    for (ptrdiff_t r = 0; r < it->rows; r++) {
        memcpy(it->out + r * it->cols, it->in[0] + r * left, sizeof(REAL) * left);
        memcpy(it->out + r * it->cols + left, it->in[1] + r * right, sizeof(REAL) * right);
    }
}

static void cat_back(const At *it) {
    const ptrdiff_t width[2] = {size_of(it->of[0]) / it->rows, it->cols - size_of(it->of[0]) / it->rows};
    const REAL *from = it->d;
    for (int j = 0; j < 2; from += width[j++]) {
        REAL *to = it->din[j];
        for (ptrdiff_t r = 0; to && r < it->rows; r++, to += width[j])
            for (ptrdiff_t c = 0; c < width[j]; c++)
                to[c] = (it->n->adds[j] ? to[c] : 0) + from[r * it->cols + c];
    }
}

/* Copy of known length where the compiler can make one instruction of it. */
static inline void copy(REAL *to, const REAL *from, int count) {
    if (count == 8) memcpy(to, from, 8 * sizeof(REAL));
    else memcpy(to, from, (size_t)count * sizeof(REAL));
}

static inline void add(REAL *restrict to, const REAL *restrict from, int count) {
    if (count == 8) for (int i = 0; i < 8; i++) to[i] += from[i];
    else for (int i = 0; i < count; i++) to[i] += from[i];
}

/* A view: shape is three lengths; offset; strides of samples and of the three; whether it takes all
 * of its node's numbers once. */
#define EVERY_RUN(what)                                                                     \
    do {                                                                                    \
        const int32_t *shape = it->n->shape, *stride = shape + 5;                           \
        const ptrdiff_t samples = it->size / ((ptrdiff_t)shape[0] * shape[1] * shape[2]);   \
        const int run = shape[2], across = stride[2];                                       \
        ptrdiff_t to = 0;                                                                   \
        for (ptrdiff_t s = 0; s < samples; s++)                                             \
            for (int i = 0; i < shape[0]; i++)                                              \
                for (int j = 0; j < shape[1]; j++, to += run) {                             \
                    const ptrdiff_t from = shape[3] + s * shape[4] +                        \
                                           (ptrdiff_t)i * stride[0] + (ptrdiff_t)j * stride[1]; \
                    what;                                                                   \
                }                                                                           \
    } while (0)

static void copy_view(const At *it) {
    EVERY_RUN({
        const REAL *read = it->in[0] + from;
        if (across == 1) copy(it->out + to, read, run);
        else
            for (int c = 0; c < run; c++) it->out[to + c] = read[(ptrdiff_t)c * across];
    });
}

static void copy_view_back(const At *it) {
    if (it->n->shape[8] && !it->n->adds[0]) {
        EVERY_RUN({
            REAL *write = it->din[0] + from;
            if (across == 1) copy(write, it->d + to, run);
            else
                for (int c = 0; c < run; c++) write[(ptrdiff_t)c * across] = it->d[to + c];
        });
        return;
    }
    clear(it, 0);
    EVERY_RUN({
        REAL *write = it->din[0] + from;
        if (across == 1) add(write, it->d + to, run);
        else
            for (int c = 0; c < run; c++) write[(ptrdiff_t)c * across] += it->d[to + c];
    });
}
