/* Places of maxima along an axis, a job of axes.h whose results are int64_t: argmax_part.  n >= 1; needs max.h. */
#define EXTREME argmax
#define BEST_OF(n, x) NAME(max_vector)(n, x)
#define BETTER(a, b) ((a) > (b))
#include "argument.h"
