/* Convolution and pooling. A picture's node has as its shape: channels, height, width of the input and
 * of the output's pixels height, width; then kernel's side, stride, padding. */

/* A picture's size with its margin of zeros. */
static int tall(const Node *n) { return n->shape[1] + 2 * n->shape[7]; }
static int broad(const Node *n) { return n->shape[2] + 2 * n->shape[7]; }
static ptrdiff_t with_margin(const Node *n) { return (ptrdiff_t)n->shape[0] * tall(n) * broad(n); }

/* Every channel as a window of the picture sees it, shifted by each place of the kernel. Width and
 * stride are arguments, since the compiler makes more of constants. */
static inline __attribute__((always_inline)) void shifted(const Node *n, const int wide,
                                                          const int stride, const REAL *picture,
                                                          REAL *columns) {
    const int channels = n->shape[0], high = n->shape[3], side = n->shape[5];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    for (int c = 0; c < channels; c++, picture += area)
        for (int dy = 0; dy < side; dy++)
            for (int dx = 0; dx < side; dx++) {
                const REAL *row = picture + dy * across + dx;
                for (int y = 0; y < high; y++, columns += wide, row += stride * across)
                    if (stride == 1) memcpy(columns, row, sizeof(REAL) * wide);
                    else for (int x = 0; x < wide; x++) columns[x] = row[x * stride];
            }
}

/* The gradient of `shifted`. */
static inline __attribute__((always_inline)) void shift_back(const Node *n, const int wide,
                                                             const int stride, const REAL *columns,
                                                             REAL *to) {
    const int channels = n->shape[0], high = n->shape[3], side = n->shape[5];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    for (int c = 0; c < channels; c++, to += area)
        for (int dy = 0; dy < side; dy++)
            for (int dx = 0; dx < side; dx++) {
                REAL *row = to + dy * across + dx;
                for (int y = 0; y < high; y++, columns += wide, row += stride * across)
                    if (stride == 1) add(row, columns, wide);
                    else for (int x = 0; x < wide; x++) row[x * stride] += columns[x];
            }
}

/* Patches of one picture as columns, (channel, dy, dx) x (y, x): convolution is then a product. The
 * margin begins as zeros; only what it surrounds is ever written. */
static void patches(const Node *n, const REAL *picture, REAL *margin, REAL *columns) {
    const int channels = n->shape[0], height = n->shape[1], width = n->shape[2];
    const int wide = n->shape[4], stride = n->shape[6], padding = n->shape[7];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    if (padding) {
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < height; y++)
                copy(margin + c * area + (y + padding) * across + padding,
                     picture + ((ptrdiff_t)c * height + y) * width, width);
        picture = margin;
    }
    if (stride == 1 && wide == 8) shifted(n, 8, 1, picture, columns);
    else if (stride == 1) shifted(n, wide, 1, picture, columns);
    else shifted(n, wide, stride, picture, columns);
}

/* The gradient of `patches`: adds each column's entries to the pixels that they came from. */
static void unpatch(const Node *n, const REAL *columns, REAL *margin, REAL *picture) {
    const int channels = n->shape[0], height = n->shape[1], width = n->shape[2];
    const int wide = n->shape[4], stride = n->shape[6], padding = n->shape[7];
    const ptrdiff_t across = broad(n), area = across * tall(n);
    REAL *to = padding ? margin : picture;
    if (padding) memset(margin, 0, sizeof(REAL) * channels * area);
    if (stride == 1 && wide == 8) shift_back(n, 8, 1, columns, to);
    else if (stride == 1) shift_back(n, wide, 1, columns, to);
    else shift_back(n, wide, stride, columns, to);
    for (int c = 0; padding && c < channels; c++)
        for (int y = 0; y < height; y++)
            add(picture + ((ptrdiff_t)c * height + y) * width,
                margin + c * area + (y + padding) * across + padding, width);
}

/* The place, in the input's channel, of what a window of pixels gives: the first largest. */
static int largest(const Node *n, const REAL *channel, int y, int x) {
    const int width = n->shape[2], side = n->shape[5], stride = n->shape[6];
    int best = y * stride * width + x * stride;
    for (int dy = 0; dy < side; dy++)
        for (int dx = 0; dx < side; dx++) {
            const int at = (y * stride + dy) * width + x * stride + dx;
            if (channel[at] > channel[best] || isnan(channel[at])) best = at;
        }
    return best;
}
static void convolution(const At *it) {
    const Node *n = it->n;
    const REAL *bias = it->in[2];
    const int pixels = n->shape[3] * n->shape[4], made = (int)it->cols / pixels;
    const int taken = n->shape[0] * n->shape[5] * n->shape[5];
    const ptrdiff_t pictured = (ptrdiff_t)n->shape[0] * n->shape[1] * n->shape[2];
    REAL *columns = it->lane->workspace + n->scratch, *margin = columns + (ptrdiff_t)taken * pixels;
    REAL *room = margin + with_margin(n);
    const Strides weight = {taken, 1}, flat = {pixels, 1};
    memset(margin, 0, sizeof(REAL) * with_margin(n));
    for (ptrdiff_t r = 0; r < it->rows; r++) {
        REAL *o = it->out + r * it->cols;
        for (int c = 0; bias && c < made; c++)
            for (int i = 0; i < pixels; i++) o[c * pixels + i] = bias[c];
        patches(n, it->in[0] + r * pictured, margin, columns);
        product(it->lane, made, pixels, taken, it->in[1], weight, columns, flat,
                itself(bias != NULL, o, pixels), o, flat, room);
    }
}

static void convolution_back(const At *it) {
    const Node *n = it->n;
    REAL *da = it->din[0], *db = it->din[1], *dbias = it->din[2];
    const int pixels = n->shape[3] * n->shape[4], made = (int)it->cols / pixels;
    const int taken = n->shape[0] * n->shape[5] * n->shape[5];
    const ptrdiff_t pictured = (ptrdiff_t)n->shape[0] * n->shape[1] * n->shape[2];
    REAL *columns = it->lane->workspace + n->scratch, *margin = columns + (ptrdiff_t)taken * pixels;
    REAL *back = margin + with_margin(n), *turned = back + with_margin(n);
    REAL *room = turned + (ptrdiff_t)made * taken;
    const Strides flat = {pixels, 1}, upright = {1, pixels}, weight = {1, taken};
    if (dbias) clear(it, 2);
    if (da) clear(it, 0);
    memset(margin, 0, sizeof(REAL) * with_margin(n));
    for (ptrdiff_t r = 0; r < it->rows; r++) {
        const REAL *dr = it->d + r * it->cols;
        for (int c = 0; dbias && c < made; c++) dbias[c] += (REAL)sum(dr + c * pixels, pixels);
        if (db) {
            /* Transposed, since there are more columns to put in another order than rows of dr. */
            patches(n, it->in[0] + r * pictured, margin, columns);
            product(it->lane, taken, made, pixels, columns, flat, dr, upright,
                    itself(r > 0, turned, made), turned, (Strides){made, 1}, room);
        }
        if (da) {
            product(it->lane, taken, pixels, made, it->in[1], weight, dr, flat, (Plus){0}, columns,
                    flat, room);
            unpatch(n, columns, back, da + r * pictured);
        }
    }
    if (!db) return;
    if (!n->adds[1]) memset(db, 0, sizeof(REAL) * made * taken);
    for (int c = 0; c < made; c++)
        for (int i = 0; i < taken; i++) db[c * taken + i] += turned[i * made + c];
}

static void pool(const At *it) {
    const Node *n = it->n;
    const int channels = n->shape[0], area = n->shape[1] * n->shape[2], side = n->shape[5];
    REAL *out = it->out;
    for (ptrdiff_t r = 0; r < it->rows * channels; r++)
        for (int y = 0; y < n->shape[3]; y++)
            for (int x = 0; x < n->shape[4]; x++, out++) {
                const REAL *channel = it->in[0] + r * area;
                if (n->op == MAX_POOL) {
                    *out = channel[largest(n, channel, y, x)];
                    continue;
                }
                REAL total = 0;
                for (int dy = 0; dy < side; dy++)
                    for (int dx = 0; dx < side; dx++)
                        total += channel[(y * n->shape[6] + dy) * n->shape[2] +
                                         x * n->shape[6] + dx];
                *out = total / (REAL)(side * side);
            }
}

static void pool_back(const At *it) {
    const Node *n = it->n;
    const int channels = n->shape[0], area = n->shape[1] * n->shape[2], side = n->shape[5];
    const REAL *d = it->d;
    clear(it, 0);
    for (ptrdiff_t r = 0; r < it->rows * channels; r++)
        for (int y = 0; y < n->shape[3]; y++)
            for (int x = 0; x < n->shape[4]; x++, d++) {
                REAL *to = it->din[0] + r * area;
                if (n->op == MAX_POOL) {
                    to[largest(n, it->in[0] + r * area, y, x)] += *d;
                    continue;
                }
                for (int dy = 0; dy < side; dy++)
                    for (int dx = 0; dx < side; dx++)
                        to[(y * n->shape[6] + dy) * n->shape[2] + x * n->shape[6] + dx] +=
                            *d / (REAL)(side * side);
            }
}
