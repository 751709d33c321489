/* Programs: loading, the host that they are given, loops within loops and from two threads, and lists of arrays. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <string.h>

#include "host.h"
#include "check.h"

enum { PARTS = 37, INNER = 11, BUFFERS = 300 };

static double counts[PARTS][INNER];

struct outer {
    const struct arrayad_host *host;
    double (*counts)[INNER];
    int64_t part;
};

static void inner_part(void *context, int64_t part)
{
    const struct outer *outer = context;
    outer->counts[outer->part][part] += 1;
}

static void outer_part(void *context, int64_t part)
{
    struct outer own = *(struct outer *)context;
    own.part = part;
    own.host->parallel_for(inner_part, &own, INNER);
}

/* Adds 1 to each count, from loops within a loop. */
static int nested(const struct arrayad_host *host, void *const *buffers)
{
    struct outer outer = {host, buffers[0], 0};
    host->parallel_for(outer_part, &outer, PARTS);
    host->parallel_for(outer_part, &outer, 0);
    return (int)host->threads;
}

static int has_no_blas(const struct arrayad_host *host, void *const *buffers)
{
    (void)buffers;
    return !host->sgemm && !host->dgemm && !host->sgemv && !host->dgemv && !host->blas_threads;
}

/* 1 + the index of the first buffer that does not hold its index. */
static int in_order(const struct arrayad_host *host, void *const *buffers)
{
    (void)host;
    for (int i = 0; i < BUFFERS; ++i)
        if (*(const int *)buffers[i] != i)
            return 1 + i;
    return 0;
}

static void *address(int (*program)(const struct arrayad_host *, void *const *))
{
    void *found;
    memcpy(&found, &program, sizeof found);
    return found;
}

static int call(int (*program)(const struct arrayad_host *, void *const *), void *buffer)
{
    return arrayad_call(address(program), &buffer);
}

static void *submit(void *unused)
{
    static _Thread_local double own[PARTS][INNER];
    for (int i = 0; i < 100; ++i)
        CHECK(call(nested, own) == 3);
    for (int i = 0; i < PARTS * INNER; ++i)
        CHECK(own[i / INNER][i % INNER] == 100);
    return unused;
}

static void check_loading(void)
{
    CHECK(!arrayad_open(NULL) && !arrayad_open("/nowhere/at_all.so"));
    const char *said = arrayad_loading_error();
    CHECK(said && strstr(said, "/nowhere/at_all.so"));
    CHECK(!arrayad_symbol(NULL, "cos") && arrayad_close(NULL) == ARRAYAD_BAD_POINTER);
    CHECK(arrayad_use_blas("/nowhere/at_all.so") == ARRAYAD_NO_BLAS && arrayad_blas()[0] == '\0');
    CHECK(arrayad_use_blas(NULL) == ARRAYAD_OK && arrayad_blas()[0] == '\0');
    CHECK(call(has_no_blas, NULL) == 1);
}

/* Objects as CPython and NumPy lay them out: count of references, type, then their own. */
static void check_lists(void)
{
    static int numbers[BUFFERS];
    static struct {
        intptr_t references;
        void *type, *data;
    } arrays[BUFFERS];
    static void *items[BUFFERS], *buffers[BUFFERS];
    for (int i = 0; i < BUFFERS; ++i) {
        numbers[i] = i;
        buffers[i] = arrays[i].data = &numbers[i];
        items[i] = &arrays[i];
    }
    struct {
        intptr_t references;
        void *type;
        intptr_t size;
        void *items;
        intptr_t allocated;
    } list = {1, NULL, BUFFERS, items, BUFFERS};
    uint64_t where = (uintptr_t)&list;
    CHECK(arrayad_reads_lists(where, BUFFERS, items, buffers));
    CHECK(arrayad_call_with_list(address(in_order), where, BUFFERS) == 0);
    arrays[7].data = &numbers[8];
    CHECK(!arrayad_reads_lists(where, BUFFERS, items, buffers));
    CHECK(arrayad_call_with_list(address(in_order), where, BUFFERS) == 8);
    list.size = 2;
    CHECK(!arrayad_reads_lists(where, BUFFERS, items, buffers));
    list.size = BUFFERS, list.allocated = 1;
    CHECK(!arrayad_reads_lists(where, BUFFERS, items, buffers));
}

void check_program(void)
{
    doing("programs", DOUBLE, PARTS, INNER);
    check_loading();
    check_lists();
    for (int threads = 1; threads <= 4; ++threads) {
        CHECK(arrayad_set_threads(threads) == ARRAYAD_OK);
        CHECK(call(nested, counts) == threads);
        for (int i = 0; i < PARTS * INNER; ++i)
            CHECK(counts[i / INNER][i % INNER] == threads);
    }
    CHECK(arrayad_set_threads(3) == ARRAYAD_OK);
    pthread_t other;
    CHECK(pthread_create(&other, NULL, submit, NULL) == 0);
    submit(NULL);
    CHECK(pthread_join(other, NULL) == 0);
}
