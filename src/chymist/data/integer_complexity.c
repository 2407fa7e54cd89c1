/* Complexity of the numbers of one segment: see integer_complexity.py, which calls it.

   f(n) is stored as f(n) - ceil(3 log3 n), four bits each, n at the low half of byte n / 2 where
   it is even. `cut[k]` is the least n with n^3 > 3^k: from there on ceil(3 log3 n) is above k. */

#include <stdint.h>

static inline int nibble(const uint8_t *packed, int64_t n) {
    return packed[n >> 1] >> ((n & 1) << 2) & 15;
}

static inline void lower(uint8_t *place, int value) {
    if (value < *place) *place = (uint8_t)value;
}

/* Products d * m in [lo, hi) for one d: `values` has those numbers, and ones are counted from
   `ones` of d. Every m is final: m < lo. */
static void multiples(const uint8_t *packed, const int64_t *cut, int base, uint8_t *values,
                      int64_t lo, int64_t m, int64_t end, int64_t d, int ones) {
    while (m < end) {
        while (cut[base] <= m) base++;
        int64_t stop = cut[base] < end ? cut[base] : end;
        int add = ones + base;
        uint8_t *place = values + (d * m - lo);
        if (m & 1) {
            lower(place, add + (packed[m >> 1] >> 4));
            place += d;
            m++;
        }
        for (; m + 1 < stop; m += 2) {
            int both = packed[m >> 1];
            lower(place, add + (both & 15));
            lower(place + d, add + (both >> 4));
            place += 2 * d;
        }
        if (m < stop) {
            lower(place, add + (packed[m >> 1] & 15));
            m++;
        }
    }
}

/* The segment [lo, hi), hi <= 2 lo and lo even, given everything below it.

   values: f of the `before` numbers below lo, then room for the segment.
   factors, factor_ones: the numbers that are worse written as products, with their f, from 2 on.
   summands, summand_ones: those that are worse written as sums, from 6 on; all below `before`.
   limit[t]: the integer part of 3^(t / 3).
   product_wins: for numbers up to `root`, whether a product is as good as f (1) or not (0).
   tried: how many summands beyond 1 were tried is added to it.
   Returns 0; n where a summand beyond the last would have to be tried; -n where four bits do not
   hold f(n). */
int64_t segment(uint8_t *packed, const int64_t *cut, int64_t lo, int64_t hi, uint8_t *values,
                int64_t before, const int64_t *factors, const uint8_t *factor_ones,
                int64_t n_factors, const int64_t *summands, const uint8_t *summand_ones,
                int64_t n_summands, const int64_t *limit, uint8_t *product_wins, int64_t root,
                int64_t *tried) {
    uint8_t *here = values + before;
    int64_t size = hi - lo, trials = 0;
    for (int64_t i = 0; i < size; i++) here[i] = 250;
    int base = 0;
    while (cut[base] <= hi) base++;
    for (int64_t j = 0; j < n_factors; j++) {
        int64_t d = factors[j];
        if (d * d >= hi) break;
        int64_t m = (lo + d - 1) / d;
        if (m < d) m = d;
        while (base && cut[base - 1] > m) base--;
        multiples(packed, cut, base, here, lo, m, (hi - 1) / d + 1, d, factor_ones[j]);
    }
    int last = here[-1];
    base = 0;
    while (cut[base] <= lo) base++;
    for (int64_t n = lo; n < hi; n++) {
        int product = here[n - lo], best = product < last + 1 ? product : last + 1;
        for (int64_t j = 0; j < n_summands; j++) {
            int64_t a = summands[j];
            if (a * (n - a) > limit[best - 1]) break;
            if (j == n_summands - 1) return n;
            trials++;
            int sum = summand_ones[j] + values[before + n - lo - a];
            if (sum < best) best = sum;
        }
        if (cut[base] <= n) base++;
        if (best - base > 15) return -n;
        if (n <= root) product_wins[n] = product == best;
        here[n - lo] = (uint8_t)(last = best);
        if (n & 1)
            packed[n >> 1] |= (uint8_t)((best - base) << 4);
        else
            packed[n >> 1] = (uint8_t)(best - base);
    }
    *tried += trials;
    return 0;
}
