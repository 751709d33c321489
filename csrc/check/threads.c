/* The pool of threads: no influence on results, two submitters at once, and a forked child. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { N = 300007 };

static void reduce_all(const void *x, double out[3])
{
    CHECK(arrayad_reduce(ARRAYAD_SUM, DOUBLE, 1, N, 1, &out[0], x) == ARRAYAD_OK);
    CHECK(arrayad_reduce(ARRAYAD_LOGSUMEXP, DOUBLE, 1, N, 1, &out[1], x) == ARRAYAD_OK);
    CHECK(arrayad_reduce(ARRAYAD_PROD, DOUBLE, 1, N, 1, &out[2], x) == ARRAYAD_OK);
}

static double first[3];

static void *submit(void *x)
{
    for (int i = 0; i < 50; ++i) {
        double again[3];
        reduce_all(x, again);
        CHECK(memcmp(first, again, sizeof first) == 0);
    }
    return NULL;
}

void check_threads(void)
{
    doing("threads", DOUBLE, 1, N);
    void *x = new_array(DOUBLE, N);
    fill(x, DOUBLE, N, 0.9999, 1.0001, 0);
    CHECK(arrayad_set_threads(1) == ARRAYAD_OK);
    reduce_all(x, first);
    for (int threads = 2; threads <= 7; ++threads) {
        CHECK(arrayad_set_threads(threads) == ARRAYAD_OK && arrayad_threads() == threads);
        submit(x);
    }
    pthread_t other;
    CHECK(pthread_create(&other, NULL, submit, x) == 0);
    submit(x);
    pid_t child = fork(); /* while the other thread computes */
    if (child == 0) {
        submit(x);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(pthread_join(other, NULL) == 0);
    free(x);
}
