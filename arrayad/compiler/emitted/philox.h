/*
 * Philox4x32-10 and the samples made of its bits: the C twin of arrayad/kernels/philox.py, equal to the last bit.
 *
 *     philox_fill_bits         uint32_t      one word a sample
 *     philox_fill_uniform_f32  float         one word,   [0, 1) in steps of 2^-24
 *     philox_fill_uniform_f64  double        two words,  [0, 1) in steps of 2^-53
 *     philox_fill_normal_f32   float         one word,   inverse distribution function
 *     philox_fill_normal_f64   double        two words
 *     philox_fill_integers     int64_t       two words,  low + floor(word * span / 2^64); span 0 stands for 2^64
 *
 * fill(key, counter, start, n, out) writes the samples start, ..., start + n - 1 of the stream whose first block has this
 * counter, lowest word first; n = 0 writes nothing. Sample i depends on key, counter and i alone: share the samples among
 * threads in any way and the stream is the same.  No allocation, no state; out must not overlap key and counter.
 *
 * Real arithmetic is + - * / and sqrt in a written order. Compile with -ffp-contract=off (gcc's -std=gnu11 fuses a * b + c
 * otherwise) and where FLT_EVAL_METHOD is 0. With -O3 and wide vectors the loops over a chunk vectorise; no bit changes.
 *
 * Sources: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11, doi 10.1145/2063384.2063405;
 * Wichura, "The percentage points of the normal distribution", Applied Statistics 37 (1988), doi 10.2307/2347330.
 */
#ifndef ARRAYAD_PHILOX_H
#define ARRAYAD_PHILOX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __GNUC__
#define PHILOX static inline __attribute__((unused))
#else
#define PHILOX static inline
#endif

enum { PHILOX_BLOCKS = 64, PHILOX_WORDS = 4 * PHILOX_BLOCKS }; /* a chunk: what is computed at a time */

/* The words of chunk `index` of the stream: those of blocks counter + PHILOX_BLOCKS * index + (0, 1, ...). */
PHILOX void philox_chunk(const uint32_t key[2], const uint32_t counter[4], uint64_t index, uint32_t *words)
{
    uint64_t low = counter[0] | (uint64_t)counter[1] << 32, high = counter[2] | (uint64_t)counter[3] << 32;
    uint64_t first = low + index * PHILOX_BLOCKS;
    high += first < low;
    uint32_t c0[PHILOX_BLOCKS], c1[PHILOX_BLOCKS], c2[PHILOX_BLOCKS], c3[PHILOX_BLOCKS];
    for (int i = 0; i < PHILOX_BLOCKS; ++i) {
        uint64_t l = first + (uint64_t)i, h = high + (l < first);
        c0[i] = (uint32_t)l;
        c1[i] = (uint32_t)(l >> 32);
        c2[i] = (uint32_t)h;
        c3[i] = (uint32_t)(h >> 32);
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int i = 0; i < PHILOX_BLOCKS; ++i) {
            uint64_t p0 = (uint64_t)c0[i] * 0xD2511F53u, p1 = (uint64_t)c2[i] * 0xCD9E8D57u;
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
    for (int i = 0; i < PHILOX_BLOCKS; ++i) {
        words[4 * i] = c0[i];
        words[4 * i + 1] = c1[i];
        words[4 * i + 2] = c2[i];
        words[4 * i + 3] = c3[i];
    }
}

PHILOX uint64_t philox_word64(const uint32_t *words)
{
    return words[0] | (uint64_t)words[1] << 32;
}

PHILOX double philox_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

PHILOX uint64_t philox_bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Horner's rule, highest power first, in the order of special.py's _horner. */
PHILOX double philox_horner(double x, int count, const double *coefficients)
{
    double y = coefficients[0];
    for (int i = 1; i < count; ++i)
        y = y * x + coefficients[i];
    return y;
}

/* log(p) of a normal number p > 0, as special.py's _log: p = m 2^e, 1/sqrt(2) <= m < sqrt(2), s = (m - 1)/(m + 1). */
PHILOX double philox_log(double p)
{
    static const double series[7] = {0.14616449685043406, 0.15331721600556042, 0.18182889125261723, 0.2222221113479508,
                                     0.28571428625975487, 0.39999999999899505, 0.666666666666667};
    uint64_t bits = philox_bits_of(p);
    double e = (double)((int64_t)(bits >> 52) - 1022);
    double m = philox_double((bits & 0x000FFFFFFFFFFFFFu) | 0x3FE0000000000000u);
    if (m < 0.7071067811865476) {
        m = 2.0 * m;
        e = e - 1.0;
    }
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    return e * 0x1.62e42fefa2p-1 + (2.0 * s + (s * (z * philox_horner(z, 7, series)) + e * 7.371002565167799e-13));
}

/* The x with P(X > x) = tail for tail < 0.075, where the quantile has a logarithm: special.py's _quantile_of_tail. */
PHILOX double philox_quantile_of_tail(double tail)
{
    static const double near_numerator[8] = {
        -1.5761251074666253e-09, -4.684719414760645e-05, -0.0008536202047904944, -0.00200958548433155,
        0.024990553678246926,    0.15143065708679898,    0.30348140232262,       0.20774868931985147};
    static const double near_denominator[8] = {
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 0.0151986665636164571966, 0.148103976427480074590,
        0.689767334985100004550,   1.67638483018380384940,    2.05319162663775882187,   1.0};
    static const double far_numerator[8] = {
        -2.810861767161167e-15, 5.575559550208676e-09, 7.822498480229741e-07, 3.778977906754673e-05,
        0.0008396681095744709,  0.009243248547632268,  0.04839116587340947,   0.09515927781415433};
    static const double far_denominator[8] = {
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        0.0148753612908506148525,   0.136929880922735805310,   0.599832206555887937690,   1.0};
    double r = sqrt(-philox_log(tail));
    if (r <= 5.0) {
        double u = r - 1.6;
        return 1.4234371107496835 + u * (1.5 + philox_horner(u, 8, near_numerator) / philox_horner(u, 8, near_denominator));
    }
    double u = r - 5.0;
    return 6.657904643501103 + u * (1.375 + philox_horner(u, 8, far_numerator) / philox_horner(u, 8, far_denominator));
}

/* x[i] = the x >= 0 with P(X > x) = tail[i], for `count` samples: special.py's normal_quantile with q = 1/2 - tail. */
PHILOX void philox_quantiles(int count, const double *tail, double *x)
{
    static const double numerator[7] = {10591.799914467876, 40495.706885421416, 38579.04915793209, 14221.483431164575,
                                        2358.305945449973,  176.9004440290076,  4.87476594139995};
    static const double denominator[8] = {5226.4952788528545610, 28729.085735721942674, 39307.895800092710610,
                                          21213.794301586595867, 5394.1960214247511077, 687.18700749205790830,
                                          42.313330701600911252, 1.0};
    for (int i = 0; i < count; ++i) { /* everywhere, though it is used for 85 %: without a branch it vectorises */
        double q = 0.5 - tail[i], z = q * q, s = 0.180625 - z;
        x[i] = q * (2.5066282746310007 + z * (philox_horner(s, 7, numerator) / philox_horner(s, 8, denominator)));
    }
    for (int i = 0; i < count; ++i)
        if (0.5 - tail[i] > 0.425)
            x[i] = philox_quantile_of_tail(tail[i]);
}

/* From the words of a chunk to its samples. */

PHILOX void philox_to_bits(const uint32_t *words, uint32_t *out)
{
    memcpy(out, words, PHILOX_WORDS * sizeof *out);
}

PHILOX void philox_to_uniform_f32(const uint32_t *words, float *out)
{
    for (int i = 0; i < PHILOX_WORDS; ++i)
        out[i] = (float)(int32_t)(words[i] >> 8) * 0x1p-24f;
}

PHILOX void philox_to_uniform_f64(const uint32_t *words, double *out)
{
    for (int i = 0; i < PHILOX_WORDS / 2; ++i)
        out[i] = (double)(int64_t)(philox_word64(words + 2 * i) >> 11) * 0x1p-53;
}

PHILOX void philox_to_normal_f32(const uint32_t *words, float *out)
{
    double tail[PHILOX_WORDS], x[PHILOX_WORDS];
    for (int i = 0; i < PHILOX_WORDS; ++i)
        tail[i] = ((double)(int32_t)(words[i] & 0x7FFFFFFFu) + 0.5) * 0x1p-32;
    philox_quantiles(PHILOX_WORDS, tail, x);
    for (int i = 0; i < PHILOX_WORDS; ++i)
        out[i] = words[i] >> 31 ? -(float)x[i] : (float)x[i];
}

PHILOX void philox_to_normal_f64(const uint32_t *words, double *out)
{
    double tail[PHILOX_WORDS / 2], x[PHILOX_WORDS / 2];
    for (int i = 0; i < PHILOX_WORDS / 2; ++i)
        tail[i] = ((double)(int64_t)(philox_word64(words + 2 * i) & INT64_MAX) + 0.5) * 0x1p-64;
    philox_quantiles(PHILOX_WORDS / 2, tail, x);
    for (int i = 0; i < PHILOX_WORDS / 2; ++i)
        out[i] = words[2 * i + 1] >> 31 ? -x[i] : x[i];
}

/* Whole chunks are computed and the part that is wanted is copied, so that a sample never depends on where a call began. */
#define PHILOX_FILL(name, type, WORDS_PER_SAMPLE)                                                                        \
    PHILOX void philox_fill_##name(const uint32_t key[2], const uint32_t counter[4], int64_t start, int64_t n, type *out)\
    {                                                                                                                    \
        const int64_t size = PHILOX_WORDS / WORDS_PER_SAMPLE;                                                            \
        uint32_t words[PHILOX_WORDS];                                                                                    \
        type samples[PHILOX_WORDS / WORDS_PER_SAMPLE];                                                                   \
        while (n > 0) {                                                                                                  \
            int64_t skip = start % size, take = size - skip < n ? size - skip : n;                                       \
            philox_chunk(key, counter, (uint64_t)(start / size), words);                                                 \
            philox_to_##name(words, samples);                                                                            \
            memcpy(out, samples + skip, (size_t)take * sizeof *out);                                                     \
            start += take, out += take, n -= take;                                                                       \
        }                                                                                                                \
    }

PHILOX_FILL(bits, uint32_t, 1)
PHILOX_FILL(uniform_f32, float, 1)
PHILOX_FILL(uniform_f64, double, 2)
PHILOX_FILL(normal_f32, float, 1)
PHILOX_FILL(normal_f64, double, 2)

/* The upper half of word * span from 32-bit halves, as in NumPy; no intermediate reaches 2^64. */
PHILOX uint64_t philox_scale(uint64_t word, uint64_t span)
{
    uint64_t low = word & 0xFFFFFFFFu, high = word >> 32, span_low = span & 0xFFFFFFFFu, span_high = span >> 32;
    uint64_t across = high * span_low + (low * span_low >> 32);
    uint64_t other = low * span_high + (across & 0xFFFFFFFFu);
    return high * span_high + (across >> 32) + (other >> 32);
}

PHILOX void philox_fill_integers(const uint32_t key[2], const uint32_t counter[4], int64_t low, uint64_t span, int64_t start,
                                 int64_t n, int64_t *out)
{
    uint32_t words[PHILOX_WORDS];
    for (int64_t i = start, end = start + n, size = PHILOX_WORDS / 2; i < end; ++i) {
        if (i == start || i % size == 0)
            philox_chunk(key, counter, (uint64_t)(i / size), words);
        uint64_t word = philox_word64(words + 2 * (i % size)), sample = span ? philox_scale(word, span) : word;
        sample += (uint64_t)low;
        memcpy(out + (i - start), &sample, sizeof sample); /* the bits as int64_t: a cast would be up to the compiler */
    }
}

#endif
