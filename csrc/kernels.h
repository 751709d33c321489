/*
 * The kernels of one instruction set and one dtype, as dispatch.c sees them: how to do one part of a job.
 *
 * A job is a problem whose arguments have been checked; its kernels allocate nothing, keep no state and cannot fail.  How
 * a job is split depends on its sizes alone.
 */
#ifndef ARRAYAD_KERNELS_H
#define ARRAYAD_KERNELS_H

#include <stdint.h>

#include "axes.h"

enum { PART = 16384 }; /* elements of one part, about: 64 to 128 KB for each array, 5 microseconds or more */

/* Operations of ops.def: elements start <= i < stop of rows x cols. */
enum { MOST_OPERANDS = 4, PADDING = 64 };
typedef void (*elementwise_loop)(int64_t n, void *out, const void *const x[MOST_OPERANDS]); /* n a multiple of PADDING */
struct elementwise_job {
    elementwise_loop loop;
    int operands, is_bool, layouts[MOST_OPERANDS];
    int64_t cols, start, stop;
    void *out;
    const void *x[MOST_OPERANDS];
};

/* Operations on rows, `group` rows to a part. */
struct row_job {
    int64_t rows, cols, group, ignored;
    void *out;
    const void *x, *y;
    const int64_t *labels;
};

static inline int64_t last_row(const struct row_job *job, int64_t part)
{
    int64_t last = (part + 1) * job->group;
    return last < job->rows ? last : job->rows;
}

struct optimizer_job {
    int64_t n;
    void *new_p, *new_m, *new_v; /* m is the velocity of SGD */
    const void *p, *g, *m, *v;
    double rate, momentum, dampening, decay, beta1, beta2, epsilon, correction1, correction2;
    int nesterov, decoupled;
};

typedef void (*part_of_job)(const void *job, int64_t i);

enum { REDUCTIONS = 7, SCANS = 2, ROWWISE = 4 };

struct kernels {
    void (*multiply)(const void *product); /* a matrix product, of product.h */
    const elementwise_loop *loops;
    part_of_job elementwise, reductions[REDUCTIONS], scans[SCANS], rowwise[ROWWISE];
    part_of_job cross_entropy, cross_entropy_vjp, sgd, adam;
};

struct isa {
    const char *name;
    const struct kernels *kernels[2]; /* by dtype */
};

extern const struct isa isas[];
int isas_here(void); /* how many of them this machine has, from the first on */

#endif
