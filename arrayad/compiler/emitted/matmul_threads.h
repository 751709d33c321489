/*
 * matmul on the threads of the host (host.h), which may be null: the caller's alone, then.
 *
 * `buffer` is null or has room for `buffers` times `matmul_buffer` elements: so many rectangles of c are computed at a time.
 * `finish` is null or is told when a rectangle of c is done, while it is in cache, and on the thread that made it: there an
 * epilogue belongs (bias, activation).  With whole_rows all rectangles have all columns.
 */

struct NAME(shared_product) {
    struct NAME(product) whole;
    int64_t down, across; /* rectangles of c */
};

static void NAME(rectangle)(void *context, int64_t part)
{
    const struct NAME(shared_product) *shared = context;
    struct NAME(product) x = shared->whole;
    const int64_t i = part / shared->across, j = part % shared->across, panels = (x.n + 31) / 32;
    const int64_t row = x.m * i / shared->down, column = panels * j / shared->across * 32;
    const int64_t next = panels * (j + 1) / shared->across * 32;
    x.m = x.m * (i + 1) / shared->down - row;
    x.n = (next < x.n ? next : x.n) - column;
    x.a += row * x.a_row;
    x.b += column * x.b_column;
    x.c += row * x.c_row + column * x.c_column;
    x.row = row;
    x.column = column;
    if (x.buffer)
        x.buffer += part * NAME(matmul_buffer);
    NAME(multiply)(&x);
}

/* Elements that a thread computes, tiles' waste included, and moves. */
static INLINE int64_t NAME(work_of_part)(int64_t m, int64_t n, int64_t down, int64_t across)
{
    const int64_t rows = (m + down - 1) / down, columns = ((n + 31) / 32 + across - 1) / across * 32;
    return (rows + 5) / 6 * 6 * columns + 8 * (rows + columns);
}

static NOINLINE void NAME(matmul_threads)(const struct arrayad_host *host, int64_t m, int64_t n, int64_t k, const T *a,
                                          int64_t a_row, int64_t a_column, const T *b, int64_t b_row, int64_t b_column, T *c,
                                          int64_t c_row, int64_t c_column, int add, T *buffer, int64_t buffers,
                                          void (*finish)(void *, int64_t, int64_t, int64_t, int64_t), void *context,
                                          int whole_rows)
{
    struct NAME(shared_product) shared = {
        .whole = {.m = m, .n = n, .k = k, .a = a, .a_row = a_row, .a_column = a_column, .b = b, .b_row = b_row,
                  .b_column = b_column, .c = c, .c_row = c_row, .c_column = c_column, .add = add, .buffer = buffer,
                  .finish = finish, .context = context, .whole_rows = whole_rows},
        .down = 1,
        .across = 1,
    };
    int64_t parts = host && m > 0 && n > 0 ? host->threads : 1, worth = (k + 1) * m * n >> 19; /* of some 10 microseconds */
    parts = parts < worth ? parts : worth;
    if (buffer && parts > buffers)
        parts = buffers;
    if (parts <= 1) {
        NAME(multiply)(&shared.whole);
        return;
    }
    shared.down = parts;
    for (int64_t across = 1; across <= (whole_rows ? 1 : parts); ++across)
        if (parts % across == 0 && NAME(work_of_part)(m, n, parts / across, across) <
                                       NAME(work_of_part)(m, n, shared.down, shared.across)) {
            shared.down = parts / across;
            shared.across = across;
        }
    host->parallel_for(NAME(rectangle), &shared, parts);
}
