/* One pool of threads for all kernels. */
#ifndef ARRAYAD_THREADS_H
#define ARRAYAD_THREADS_H

#include <stdint.h>

enum { MOST_THREADS = 1024 };

/* Call part(job, i) for each 0 <= i < parts, in any order, in parallel if `parallel` and nobody else is. */
void threads_run(void (*part)(const void *job, int64_t i), const void *job, int64_t parts, int parallel);

int threads_count(void);

/* Waits for the work of others to end.  The new threads start when there is work for them. */
void threads_set_count(int count);

#endif
