/* Frequent substrings of a text and its shortest cut into words.

A text is an array of symbols >= 0; a negative one is a boundary that no word crosses. A node is a
frequent substring: nodes 0 .. alphabet - 1 are the symbols, each other node is its parent (the
substring less its last symbol) and that symbol. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t *slot;                      /* place of an entry + 1, or 0 */
    uint64_t mask, *key;
    uint32_t *count, *first, used, room;
} Table;

static inline uint64_t mix(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ull;
    return key ^ (key >> 29);
}

void grams_free(Table *t) {
    if (t) { free(t->slot); free(t->key); free(t->count); free(t->first); free(t); }
}

static int widen(Table *t) {
    uint32_t room = t->room ? 2 * t->room : 1u << 15;
    uint64_t *key = realloc(t->key, room * sizeof *key);
    if (key) t->key = key;
    uint32_t *count = realloc(t->count, room * sizeof *count);
    if (count) t->count = count;
    uint32_t *first = realloc(t->first, room * sizeof *first);
    if (first) t->first = first;
    uint32_t *slot = calloc(2 * (uint64_t)room, sizeof *slot);
    if (!key || !count || !first || !slot) { free(slot); return 0; }
    free(t->slot);
    t->slot = slot; t->room = room; t->mask = 2 * (uint64_t)room - 1;
    for (uint32_t e = 0; e < t->used; e++) {
        uint64_t at = mix(t->key[e]) & t->mask;
        while (slot[at]) at = (at + 1) & t->mask;
        slot[at] = e + 1;
    }
    return 1;
}

/* Extend each node at rank[i] >= 0, of length - 1 symbols, by the symbol after it, `outside` at a
boundary; put the place of the extension in rank[i]. Read backwards, positions are counted from the
text's end. NULL where memory is short. */
Table *grams_count(int32_t *rank, const int32_t *symbol, int64_t n, int backwards, int length,
                   int32_t outside) {
    Table *t = calloc(1, sizeof *t);
    if (!t || !widen(t)) { grams_free(t); return NULL; }
    for (int64_t i = 0; i < n; i++) {
        if (rank[i] < 0) continue;
        int64_t j = i + length - 1;
        int32_t next = j < n ? symbol[backwards ? n - 1 - j : j] : -1;
        uint64_t key = (uint64_t)rank[i] << 32 | (uint32_t)(next < 0 ? outside : next);
        uint64_t at = mix(key) & t->mask;
        while (t->slot[at] && t->key[t->slot[at] - 1] != key) at = (at + 1) & t->mask;
        if (!t->slot[at]) {
            if (t->used == t->room) {
                if (!widen(t)) { grams_free(t); return NULL; }
                at = mix(key) & t->mask;
                while (t->slot[at]) at = (at + 1) & t->mask;
            }
            uint32_t e = t->used++;
            t->key[e] = key; t->count[e] = 0; t->first[e] = (uint32_t)i; t->slot[at] = e + 1;
        }
        uint32_t e = t->slot[at] - 1;
        t->count[e]++;
        rank[i] = (int32_t)e;
    }
    return t;
}

int64_t grams_used(const Table *t) { return t->used; }

void grams_read(const Table *t, int32_t *parent, int32_t *symbol, int64_t *count, int64_t *first) {
    for (uint32_t e = 0; e < t->used; e++) {
        parent[e] = (int32_t)(t->key[e] >> 32);
        symbol[e] = (int32_t)(uint32_t)t->key[e];
        count[e] = t->count[e];
        first[e] = t->first[e];
    }
}

void grams_rename(int32_t *rank, int64_t n, const int32_t *name) {
    for (int64_t i = 0; i < n; i++) if (rank[i] >= 0) rank[i] = name[rank[i]];
}

/* slots: (key + 1, node) in turn, 0 where empty. */
void trie_fill(const int32_t *parent, const int32_t *symbol, int64_t first, int64_t nodes,
               uint64_t *slots, uint64_t mask) {
    for (int64_t v = first; v < nodes; v++) {
        uint64_t key = ((uint64_t)parent[v] << 32 | (uint32_t)symbol[v]) + 1;
        uint64_t at = mix(key) & mask;
        while (slots[2 * at]) at = (at + 1) & mask;
        slots[2 * at] = key; slots[2 * at + 1] = (uint64_t)v;
    }
}

static inline int32_t child(const uint64_t *slots, uint64_t mask, int32_t node, int32_t symbol) {
    uint64_t key = ((uint64_t)node << 32 | (uint32_t)symbol) + 1;
    uint64_t at = mix(key) & mask;
    while (slots[2 * at] && slots[2 * at] != key) at = (at + 1) & mask;
    return slots[2 * at] ? (int32_t)slots[2 * at + 1] : -1;
}

/* Cut each piece of the text (between boundaries, `limit` symbols at most) at least cost. starts[i]
is 1 where a token begins, 0 else; count[v] grows by the tokens v. Without `whole` no token of two
symbols or more may be a whole piece. costs, where given, takes the cost of each piece in turn;
weight, where given, says how often each piece counts.
Returns 0 where memory is short. */
int cut(const int32_t *symbol, int64_t n, const uint64_t *slots, uint64_t mask, const double *cost,
        int longest, int whole, int64_t limit, uint8_t *starts, int64_t *count, double *costs,
        const int64_t *weight) {
    double *best = malloc((limit + 1) * sizeof *best);
    int32_t *last = malloc((limit + 1) * sizeof *last), *size = malloc((limit + 1) * sizeof *size);
    if (!best || !last || !size) { free(best); free(last); free(size); return 0; }
    for (int64_t at = 0; at < n;) {
        if (symbol[at] < 0) { starts[at++] = 0; continue; }
        int64_t m = 0;
        while (m < limit && at + m < n && symbol[at + m] >= 0) m++;
        best[0] = 0;
        for (int64_t j = 1; j <= m; j++) best[j] = INFINITY;
        for (int64_t i = 0; i < m; i++) {
            int32_t node = symbol[at + i];
            int64_t reach = m - i < longest ? m - i : longest;
            for (int64_t l = 1;; l++) {
                double total = best[i] + cost[node];
                if (total < best[i + l] && (whole || l == 1 || l < m)) {
                    best[i + l] = total; last[i + l] = node; size[i + l] = (int32_t)l;
                }
                if (l == reach) break;
                node = child(slots, mask, node, symbol[at + i + l]);
                if (node < 0) break;
            }
        }
        memset(starts + at, 0, m);
        int64_t times = weight ? *weight++ : 1;
        for (int64_t j = m; j > 0; j -= size[j]) {
            count[last[j]] += times;
            starts[at + j - size[j]] = 1;
        }
        if (costs) *costs++ = best[m];
        at += m;
    }
    free(best); free(last); free(size);
    return 1;
}
