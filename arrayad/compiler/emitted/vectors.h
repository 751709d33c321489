/*
 * Vectors of T, `width` lanes each: gcc's where there are any, else arrays of so many numbers.
 *
 * fma(a, b, c) = a * b + c in each lane, with one rounding if FUSED.  gcc and clang make one instruction of its loop.
 */

enum { NAME(width) = VECTOR / sizeof(T) };

#ifdef EXTENDED
typedef T NAME(vector) __attribute__((vector_size(VECTOR)));
typedef T NAME(vector_at) __attribute__((vector_size(VECTOR), aligned(sizeof(T)), may_alias));
#else
typedef struct {
    T lane[NAME(width)];
} NAME(vector);
#endif

#ifdef EXTENDED
static INLINE NAME(vector) NAME(load)(const T *x)
{
    return *(const NAME(vector_at) *)x;
}

static INLINE void NAME(store)(T *out, NAME(vector) x)
{
    *(NAME(vector_at) *)out = x;
}

static INLINE NAME(vector) NAME(spread)(T x)
{
    return x - (NAME(vector)){0}; /* also -0: x + 0 would be +0 */
}

static INLINE NAME(vector) NAME(plus)(NAME(vector) a, NAME(vector) b)
{
    return a + b;
}

static INLINE NAME(vector) NAME(fma_at)(NAME(vector) a, NAME(vector) b, NAME(vector) c)
{
#if !FUSED
    return a * b + c;
#elif defined(FUSE)
    return M(FUSE)(a, b, c);
#else
    NAME(vector) r;
    for (int i = 0; i < NAME(width); ++i)
        r[i] = M(fma)(a[i], b[i], c[i]);
    return r;
#endif
}
#else
static INLINE NAME(vector) NAME(load)(const T *x)
{
    NAME(vector) r;
    memcpy(r.lane, x, sizeof r.lane);
    return r;
}

static INLINE void NAME(store)(T *out, NAME(vector) x)
{
    memcpy(out, x.lane, sizeof x.lane);
}

static INLINE NAME(vector) NAME(spread)(T x)
{
    NAME(vector) r;
    for (int i = 0; i < NAME(width); ++i)
        r.lane[i] = x;
    return r;
}

static INLINE NAME(vector) NAME(plus)(NAME(vector) a, NAME(vector) b)
{
    for (int i = 0; i < NAME(width); ++i)
        a.lane[i] += b.lane[i];
    return a;
}

static INLINE NAME(vector) NAME(fma_at)(NAME(vector) a, NAME(vector) b, NAME(vector) c)
{
    for (int i = 0; i < NAME(width); ++i)
        c.lane[i] = NAME(fma_of)(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}
#endif

/* out[j * out_row + i] = x[i * x_row + j], i and j < 4. */
static INLINE void NAME(turn_four)(const T *x, int64_t x_row, T *out, int64_t out_row)
{
#ifdef SHUFFLE
    typedef T four __attribute__((vector_size(4 * sizeof(T))));
    four a, b, c, d;
    memcpy(&a, x, sizeof a);
    memcpy(&b, x + x_row, sizeof b);
    memcpy(&c, x + 2 * x_row, sizeof c);
    memcpy(&d, x + 3 * x_row, sizeof d);
    const four ac_low = SHUFFLE(a, c, 0, 4, 1, 5), ac_high = SHUFFLE(a, c, 2, 6, 3, 7);
    const four bd_low = SHUFFLE(b, d, 0, 4, 1, 5), bd_high = SHUFFLE(b, d, 2, 6, 3, 7);
    a = SHUFFLE(ac_low, bd_low, 0, 4, 1, 5);
    b = SHUFFLE(ac_low, bd_low, 2, 6, 3, 7);
    c = SHUFFLE(ac_high, bd_high, 0, 4, 1, 5);
    d = SHUFFLE(ac_high, bd_high, 2, 6, 3, 7);
    memcpy(out, &a, sizeof a);
    memcpy(out + out_row, &b, sizeof b);
    memcpy(out + 2 * out_row, &c, sizeof c);
    memcpy(out + 3 * out_row, &d, sizeof d);
#else
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
            out[j * out_row + i] = x[i * x_row + j];
#endif
}
