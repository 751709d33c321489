/* Places of minima along an axis, a job of axes.h whose results are int64_t: argmin_part.  n >= 1; needs min.h. */
#define EXTREME argmin
#define BEST_OF(n, x) NAME(min_vector)(n, x)
#define BETTER(a, b) ((a) < (b))
#include "argument.h"
