/*
 * Places by order, for outer x n x inner arrays in C order (needs order.h, and key_f64 and the like for T):
 *
 *     argsort        out[o][:][j] = the places along n that put x[o][:][j] in order, equal ones as they came; nan is largest
 *     searchsorted   out[i] = the first place in x[0], ..., x[n - 1], in order, where value[i] would keep it so; the last
 *                    with `right`
 *
 * buffer has room for 4 n words.  Any size may be 0.
 */

static UNUSED void NAME(argsort)(int64_t outer, int64_t n, int64_t inner, int descending, int64_t *out, const T *x,
                                 uint64_t *buffer)
{
    int64_t *places = (int64_t *)(buffer + 2 * n);
    for (int64_t o = 0; o < outer; ++o, x += n * inner, out += n * inner)
        for (int64_t j = 0; j < inner; ++j) {
            for (int64_t i = 0; i < n; ++i)
                buffer[i] = descending ? ~NAME(key)(x[i * inner + j]) : NAME(key)(x[i * inner + j]);
            sort_places(n, buffer, places, places + n);
            for (int64_t i = 0; i < n; ++i)
                out[i * inner + j] = places[i];
        }
}

static UNUSED void NAME(searchsorted)(int64_t n, const T *x, int64_t count, const T *values, int right, int64_t *out)
{
    for (int64_t i = 0; i < count; ++i) {
        const uint64_t key = NAME(key)(values[i]);
        int64_t low = 0, left = n;
        while (left > 0) {
            const int64_t half = left / 2;
            const uint64_t found = NAME(key)(x[low + half]);
            const int after = right ? found <= key : found < key;
            low = after ? low + half + 1 : low;
            left = after ? left - half - 1 : half;
        }
        out[i] = low;
    }
}
