/*
 * The first index of an extremum: EXTREME names it, BEST_OF(n, x) is the extremum of a vector, nan if it holds one, and
 * BETTER(a, b) tells whether a number beats another.  nan beats every number, and the first nan wins.
 */

#define E_AND(name, suffix) name##_##suffix
#define E_NAME(name, suffix) E_AND(name, suffix)
#define E(suffix) NAME(E_NAME(EXTREME, suffix))

/* Of n >= 1 contiguous elements: the extremum of each block tells which block to search. */
static UNUSED int64_t E(vector)(int64_t n, const T *x)
{
    enum { BLOCK = 1024 };
    T best = x[0];
    int64_t at = 0;
    for (int64_t i = 0; i < n && best == best; i += BLOCK) {
        T found = BEST_OF(n - i < BLOCK ? n - i : BLOCK, x + i);
        if (BETTER(found, best) || found != found) {
            best = found;
            at = i;
        }
    }
    for (; at + 64 <= n; at += 64) { /* skip by vectors what holds neither the best nor, if that is nan, a nan */
        int is_here = 0;
        for (int j = 0; j < 64; ++j)
            is_here |= (x[at + j] == best) | ((x[at + j] != x[at + j]) & (best != best));
        if (is_here)
            break;
    }
    while (best == best ? x[at] != best : x[at] == x[at])
        ++at;
    return at;
}

/* Of each of width <= TILE columns. */
static UNUSED void E(columns)(int64_t n, int64_t stride, int64_t width, int64_t *out, const T *x)
{
    T best[TILE];
    memcpy(best, x, (size_t)width * sizeof(T));
    memset(out, 0, (size_t)width * sizeof(int64_t));
    for (int64_t i = 1; i < n; ++i)
        for (int64_t j = 0; j < width; ++j) {
            T found = x[i * stride + j];
            int wins = BETTER(found, best[j]) | ((found != found) & (best[j] == best[j]));
            best[j] = wins ? found : best[j];
            out[j] = wins ? i : out[j];
        }
}

static UNUSED void E(part)(const void *argument, int64_t part)
{
    const struct axis_job *job = argument;
    int64_t *out = job->out;
    const T *x = job->x;
    for (int64_t u = part * job->group; u < last_unit(job, part); ++u) {
        struct unit unit = unit_of(job, u);
        if (job->inner == 1)
            out[unit.result] = E(vector)(job->n, x + unit.element);
        else
            E(columns)(job->n, job->inner, unit.width, out + unit.result, x + unit.element);
    }
}

#undef E
#undef E_NAME
#undef E_AND
#undef EXTREME
#undef BEST_OF
#undef BETTER
