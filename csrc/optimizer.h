/*
 * Steps of optimisers, in one pass over all arrays, with the meaning that they have in PyTorch.
 *
 *     SGD    g' = g + decay p;  v' = momentum v + (1 - dampening) g', or g' at the first step (v null)
 *            p' = p - rate (g' + momentum v' if nesterov, else v');  without momentum (new_m null) p' = p - rate g'
 *     Adam   g' = g + decay p, or decoupled (AdamW) p <- (1 - rate decay) p
 *            m' = m + (1 - beta1) (g' - m);  v' = beta2 v + (1 - beta2) g'^2
 *            p' = p - rate / correction1 * m' / (sqrt(v') / sqrt(correction2) + epsilon)
 *
 * n elements each, n >= 0; outputs share no memory with inputs or one another.  nan and inf spread as the formulas say.
 */

static inline int64_t NAME(end_of)(const struct optimizer_job *job, int64_t part)
{
    return (part + 1) * PART < job->n ? (part + 1) * PART : job->n;
}

static void NAME(sgd)(const void *argument, int64_t part)
{
    const struct optimizer_job *job = argument;
    T *new_p = job->new_p, *new_v = job->new_m;
    const T *p = job->p, *g = job->g, *v = job->m;
    T rate = (T)job->rate, momentum = (T)job->momentum, share = (T)(1.0 - job->dampening), decay = (T)job->decay;
    int64_t begin = part * PART, end = NAME(end_of)(job, part);
    if (!new_v) {
        INDEPENDENT
        for (int64_t i = begin; i < end; ++i)
            new_p[i] = p[i] - rate * (g[i] + decay * p[i]);
        return;
    }
    INDEPENDENT
    for (int64_t i = begin; i < end; ++i)
        new_v[i] = v ? momentum * v[i] + share * (g[i] + decay * p[i]) : g[i] + decay * p[i];
    INDEPENDENT
    for (int64_t i = begin; i < end; ++i)
        new_p[i] = p[i] - rate * (job->nesterov ? g[i] + decay * p[i] + momentum * new_v[i] : new_v[i]);
}

static void NAME(adam)(const void *argument, int64_t part)
{
    const struct optimizer_job *job = argument;
    T *new_p = job->new_p, *new_m = job->new_m, *new_v = job->new_v;
    const T *p = job->p, *g = job->g, *m = job->m, *v = job->v;
    T rate = (T)(job->rate / job->correction1), scale = (T)sqrt(job->correction2), epsilon = (T)job->epsilon;
    T share1 = (T)(1.0 - job->beta1), beta2 = (T)job->beta2, share2 = (T)(1.0 - job->beta2);
    T kept = job->decoupled ? (T)(1.0 - job->rate * job->decay) : C(1.0), decay = job->decoupled ? C(0.0) : (T)job->decay;
    int64_t begin = part * PART, end = NAME(end_of)(job, part);
    INDEPENDENT
    for (int64_t i = begin; i < end; ++i) {
        T gradient = g[i] + decay * p[i];
        T m1 = m[i] + share1 * (gradient - m[i]);
        T v1 = beta2 * v[i] + share2 * (gradient * gradient);
        new_m[i] = m1;
        new_v[i] = v1;
        new_p[i] = kept * p[i] - rate * (m1 / (M(sqrt)(v1) / scale + epsilon));
    }
}
