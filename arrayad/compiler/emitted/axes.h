/*
 * Reductions along an axis: out[o][j] = reduction over i < n of x[o][i][j],   x: outer x n x inner, out: outer x inner, C order.
 *
 * A job is the problem; its parts may be done in any order and by any thread, and how it is split changes no bit.
 */
#ifndef ARRAYAD_AXES_H
#define ARRAYAD_AXES_H

#include "head.h"

/* Reductions and scans: x[outer][n][inner] in units of one o and one tile of columns, `group` units to a part. */
enum { TILE = 512, LANES = 32 }; /* columns of a unit; partial results of a reduction of contiguous elements */
struct axis_job {
    int64_t outer, n, inner, group;
    void *out;
    const void *x;
};

/* One o and the columns from `column` on: the place of its first result, and of its first element. */
struct unit {
    int64_t width, result, element;
};

static INLINE int64_t units_of(const struct axis_job *job)
{
    return job->outer * ((job->inner + TILE - 1) / TILE);
}

static INLINE struct unit unit_of(const struct axis_job *job, int64_t u)
{
    int64_t tiles = (job->inner + TILE - 1) / TILE, o = u / tiles, column = u % tiles * TILE;
    int64_t width = job->inner - column < TILE ? job->inner - column : TILE;
    return (struct unit){width, o * job->inner + column, o * job->n * job->inner + column};
}

static INLINE int64_t last_unit(const struct axis_job *job, int64_t part)
{
    int64_t units = units_of(job), last = (part + 1) * job->group;
    return last < units ? last : units;
}

static INLINE int64_t parts_of(const struct axis_job *job)
{
    return (units_of(job) + job->group - 1) / job->group;
}

#endif
