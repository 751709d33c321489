/*
 * A pool of POSIX threads that share out the parts of one job at a time.
 *
 * What a part computes never depends on who computes it, so results do not depend on the number of threads.  A second
 * thread that submits while a job runs does its own job alone.  Workers look out for the next job for some 50 microseconds,
 * which a program of many short loops needs, then sleep: threads that spin on are slow on a busy machine.  The submitter waits for the workers that took a part, not for one that never woke.  A forked child has
 * no workers, and starts its own at its first job.
 */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static pthread_mutex_t submitting = PTHREAD_MUTEX_INITIALIZER; /* held by who submits, starts or stops */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;       /* guards the state below */
static pthread_cond_t job_came = PTHREAD_COND_INITIALIZER;
static pthread_cond_t workers_left = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static pthread_t workers[MOST_THREADS];
static int started; /* workers that run */
static atomic_int wanted = 1;

static _Atomic uint64_t generation; /* jobs so far */
static int is_open;                 /* whether workers may still join the job */
static atomic_int joined;           /* workers that work on it */
static int sleeping;                /* workers that have to be woken */
static atomic_int stopping;

static void (*current_part)(const void *, int64_t);
static const void *current_job;
static int64_t current_parts;
static _Atomic int64_t next_part;

static void take_parts(void)
{
    for (int64_t i; (i = atomic_fetch_add(&next_part, 1)) < current_parts;)
        current_part(current_job, i);
}

enum { LOOKS = 1500 }; /* of about 40 ns each */

static void pause_shortly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void look_out(uint64_t seen)
{
    for (int i = 0; i < LOOKS && atomic_load(&generation) == seen && !atomic_load(&stopping); ++i)
        pause_shortly();
}

static void *work(void *argument)
{
    (void)argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!stopping && (!is_open || generation == seen)) {
            ++sleeping;
            pthread_cond_wait(&job_came, &lock);
            --sleeping;
        }
        if (stopping)
            break;
        seen = generation;
        ++joined;
        pthread_mutex_unlock(&lock);
        take_parts();
        pthread_mutex_lock(&lock);
        if (--joined == 0)
            pthread_cond_signal(&workers_left);
        pthread_mutex_unlock(&lock);
        look_out(seen);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void before_fork(void)
{
    pthread_mutex_lock(&submitting);
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&submitting);
}

static void after_fork_in_child(void)
{
    pthread_mutex_init(&submitting, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&job_came, NULL);
    pthread_cond_init(&workers_left, NULL);
    started = is_open = joined = sleeping = stopping = 0;
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* Start the workers that are missing, deaf to signals, which are the main thread's; fewer if the system refuses. */
static void start_workers(int count)
{
    pthread_once(&once, watch_forks);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < count && pthread_create(&workers[started], NULL, work, NULL) == 0)
        ++started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(void)
{
    pthread_mutex_lock(&lock);
    stopping = 1;
    pthread_cond_broadcast(&job_came);
    pthread_mutex_unlock(&lock);
    for (; started > 0; --started)
        pthread_join(workers[started - 1], NULL);
    stopping = 0;
}

void threads_run(void (*part)(const void *job, int64_t i), const void *job, int64_t parts, int parallel)
{
    int helpers = atomic_load(&wanted) - 1;
    if (helpers > parts - 1)
        helpers = (int)(parts - 1);
    if (!parallel || helpers < 1 || pthread_mutex_trylock(&submitting) != 0) {
        for (int64_t i = 0; i < parts; ++i)
            part(job, i);
        return;
    }
    start_workers(helpers);
    pthread_mutex_lock(&lock);
    current_part = part;
    current_job = job;
    current_parts = parts;
    atomic_store(&next_part, 0);
    ++generation;
    is_open = 1;
    if (sleeping > 0)
        pthread_cond_broadcast(&job_came);
    pthread_mutex_unlock(&lock);
    take_parts();
    pthread_mutex_lock(&lock);
    is_open = 0;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < LOOKS && atomic_load(&joined) > 0; ++i)
        pause_shortly();
    pthread_mutex_lock(&lock);
    while (joined > 0)
        pthread_cond_wait(&workers_left, &lock);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&submitting);
}

int threads_count(void)
{
    return atomic_load(&wanted);
}

void threads_set_count(int count)
{
    pthread_mutex_lock(&submitting);
    stop_workers();
    atomic_store(&wanted, count);
    pthread_mutex_unlock(&submitting);
}
