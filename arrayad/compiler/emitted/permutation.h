/*
 * philox_fill_permutation: the numbers 0, ..., n - 1 in the order of n random 64-bit words, equal words as they came; the
 * words are those of the stream that begins at `counter`.  Needs philox.h and order.h.  buffer has room for 3 n words.
 */
static UNUSED void philox_fill_permutation(const uint32_t key[2], const uint32_t counter[4], int64_t n, int64_t *out,
                                           uint64_t *buffer)
{
    uint32_t words[PHILOX_WORDS];
    for (int64_t i = 0; i < n; ++i) {
        const int64_t place = i % (PHILOX_WORDS / 2);
        if (place == 0)
            philox_chunk(key, counter, (uint64_t)(2 * i / PHILOX_WORDS), words);
        buffer[i] = philox_word64(words + 2 * place);
    }
    sort_places(n, buffer, out, (int64_t *)(buffer + 2 * n));
}
