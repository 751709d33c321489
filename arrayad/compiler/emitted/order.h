/*
 * Sorting by 64-bit keys, which stand for numbers in the order that NumPy gives them: nan last, and -0 where 0 is.
 *
 *     key_f32, key_f64, key_i64, key_bool   the key of a number
 *     sort_places                           the places of keys in ascending order, equal ones as they came
 *
 * By digits of 8 bits from the lowest on, those left out in which all keys agree; a few keys by insertion.
 */

static UNUSED uint64_t key_f64(double x)
{
    uint64_t bits;
    if (x != x)
        return UINT64_MAX;
    x = x == 0.0 ? 0.0 : x;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static UNUSED uint64_t key_f32(float x)
{
    uint32_t bits;
    if (x != x)
        return UINT32_MAX;
    x = x == 0.0f ? 0.0f : x;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static UNUSED uint64_t key_i64(int64_t x)
{
    return (uint64_t)x ^ (uint64_t)1 << 63;
}

static UNUSED uint64_t key_bool(unsigned char x)
{
    return x != 0;
}

/* keys has room for 2 n and is used up; places and spare have room for n. */
static UNUSED void sort_places(int64_t n, uint64_t *keys, int64_t *places, int64_t *spare)
{
    enum { FEW = 32, DIGITS = 8 };
    for (int64_t i = 0; i < n; ++i)
        places[i] = i;
    if (n <= FEW) {
        for (int64_t i = 1; i < n; ++i) {
            const uint64_t key = keys[i];
            int64_t at = i;
            for (; at > 0 && keys[at - 1] > key; --at) {
                keys[at] = keys[at - 1];
                places[at] = places[at - 1];
            }
            keys[at] = key;
            places[at] = i;
        }
        return;
    }
    uint64_t differing = 0, *from = keys, *to = keys + n;
    int64_t *old = places, *new = spare;
    for (int64_t i = 0; i < n; ++i)
        differing |= keys[i] ^ keys[0];
    for (int shift = 0; shift < 8 * DIGITS; shift += 8) {
        int64_t count[257] = {0};
        if (!(differing >> shift & 255))
            continue;
        for (int64_t i = 0; i < n; ++i)
            ++count[(from[i] >> shift & 255) + 1];
        for (int digit = 0; digit < 256; ++digit)
            count[digit + 1] += count[digit];
        for (int64_t i = 0; i < n; ++i) {
            const int64_t at = count[from[i] >> shift & 255]++;
            to[at] = from[i];
            new[at] = old[i];
        }
        uint64_t *keys_now = to;
        int64_t *places_now = new;
        to = from, from = keys_now;
        new = old, old = places_now;
    }
    if (old != places)
        memcpy(places, old, (size_t)n * sizeof *places);
}
