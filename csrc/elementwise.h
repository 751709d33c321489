/*
 * Elementwise operations:  out[i] = op(x1[i], ..., xk[i])  for start <= i < stop of a rows x cols result, k <= 4.
 *
 * An operand is full, a scalar, a row repeated for each row, or a column repeated for each column; of T, or of bytes that
 * are read as numbers.  out shares no memory with the operands.  nan and inf are the body's affair.
 *
 * There is one loop for each operation, over plain vectors: an operand of another kind is laid out in a block that stays
 * in the first-level cache, which costs less than the pass over memory.  The last elements, fewer than PADDING,
 * are padded by the last of them, so that every element goes through the vector function: the result for a value does not
 * depend on where in an array it stands.
 */

enum { NAME(block) = 4096 / sizeof(T) };

#define RESULT_T T
#define RESULT_BOOL _Bool
#define STORED_RESULT_T T
#define STORED_RESULT_BOOL uint8_t

#define OPERANDS_1 T x1
#define OPERANDS_2 OPERANDS_1, T x2
#define OPERANDS_3 OPERANDS_2, T x3
#define OPERANDS_4 OPERANDS_3, T x4
#define VECTORS_1 const T *x1 = x[0]
#define VECTORS_2 VECTORS_1, *x2 = x[1]
#define VECTORS_3 VECTORS_2, *x3 = x[2]
#define VECTORS_4 VECTORS_3, *x4 = x[3]
#define ELEMENTS_1 x1[i]
#define ELEMENTS_2 ELEMENTS_1, x2[i]
#define ELEMENTS_3 ELEMENTS_2, x3[i]
#define ELEMENTS_4 ELEMENTS_3, x4[i]

/* `n / PADDING * PADDING` is n; it tells the compiler that no vector is left over. */
#define OP(operands, name, result, ...)                                                                                      \
    static inline result NAME(element_##name)(OPERANDS_##operands)                                                           \
    {                                                                                                                        \
        __VA_ARGS__                                                                                                          \
    }                                                                                                                        \
    static void NAME(loop_##name)(int64_t n, void *results, const void *const x[MOST_OPERANDS])                              \
    {                                                                                                                        \
        STORED_##result *out = results;                                                                                      \
        VECTORS_##operands;                                                                                                  \
        n = n / PADDING * PADDING;                                                                                           \
        INDEPENDENT                                                                                                          \
        for (int64_t i = 0; i < n; ++i)                                                                                      \
            out[i] = NAME(element_##name)(ELEMENTS_##operands);                                                              \
    }
#include "ops.def"
#undef OP

#define OP(operands, name, result, ...) NAME(loop_##name),
static const elementwise_loop NAME(loops)[] = {
#include "ops.def"
};
#undef OP

/* Element p of an operand's own array. */
static inline T NAME(element)(const void *x, int is_byte, int64_t p)
{
    return is_byte ? (T)((const uint8_t *)x)[p] : ((const T *)x)[p];
}

/* Copy n of its elements from p on. */
static inline void NAME(lay_out)(int64_t n, T *block, const void *x, int is_byte, int64_t p)
{
    if (is_byte) {
        INDEPENDENT
        for (int64_t i = 0; i < n; ++i)
            block[i] = (T)((const uint8_t *)x)[p + i];
    } else {
        memcpy(block, (const T *)x + p, (size_t)n * sizeof(T));
    }
}

static inline void NAME(fill)(int64_t n, T *block, T value)
{
    for (int64_t i = 0; i < n; ++i)
        block[i] = value;
}

/*
 * Operand k for the n elements from p on, padded if they are few: a pointer into its array where that serves, else `block`,
 * which a scalar fills already.
 */
static const T *NAME(operand)(const struct elementwise_job *job, int k, int64_t p, int64_t n, T *block)
{
    const void *x = job->x[k];
    int layout = job->layouts[k] & ~ARRAYAD_BYTE, is_byte = job->layouts[k] & ARRAYAD_BYTE;
    int64_t cols = job->cols;
    if (layout == ARRAYAD_SCALAR)
        return block;
    if (!is_byte && n >= PADDING) {
        if (layout == ARRAYAD_FULL)
            return (const T *)x + p;
        if (layout == ARRAYAD_ROW && p % cols + n <= cols)
            return (const T *)x + p % cols;
    }
    if (layout == ARRAYAD_FULL) {
        NAME(lay_out)(n, block, x, is_byte, p);
    } else {
        int64_t row = p / cols, col = p % cols;
        for (int64_t i = 0, piece; i < n; i += piece, ++row, col = 0) {
            piece = n - i < cols - col ? n - i : cols - col;
            if (layout == ARRAYAD_ROW)
                NAME(lay_out)(piece, block + i, x, is_byte, col);
            else
                NAME(fill)(piece, block + i, NAME(element)(x, is_byte, row));
        }
    }
    if (n < PADDING)
        NAME(fill)(PADDING - n, block + n, block[n - 1]);
    return block;
}

static void NAME(elementwise)(const void *argument, int64_t part)
{
    const struct elementwise_job *job = argument;
    size_t size = job->is_bool ? 1 : sizeof(T);
    T blocks[MOST_OPERANDS][NAME(block)], result[PADDING];
    const void *x[MOST_OPERANDS] = {0};
    int64_t begin = job->start + part * PART, step = PART;
    int64_t end = begin + PART < job->stop ? begin + PART : job->stop;
    for (int k = 0; k < job->operands; ++k) {
        if (job->layouts[k] != ARRAYAD_FULL)
            step = NAME(block);
        if ((job->layouts[k] & ~ARRAYAD_BYTE) == ARRAYAD_SCALAR)
            NAME(fill)(NAME(block), blocks[k], NAME(element)(job->x[k], job->layouts[k] & ARRAYAD_BYTE, 0));
    }
    for (int64_t p = begin, n; p < end; p += n) {
        n = end - p < step ? end - p : step;
        int is_rest = n < PADDING;
        if (!is_rest)
            n = n / PADDING * PADDING;
        for (int k = 0; k < job->operands; ++k)
            x[k] = NAME(operand)(job, k, p, n, blocks[k]);
        char *out = (char *)job->out + (size_t)p * size;
        job->loop(is_rest ? PADDING : n, is_rest ? (void *)result : out, x);
        if (is_rest)
            memcpy(out, result, (size_t)n * size);
    }
}
