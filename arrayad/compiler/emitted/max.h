/* Maxima, nan where any element is along an axis, a job of axes.h: max_part.  n >= 1. */
#define FOLD max
#define COMBINE(a, b) (((a) >= (b)) | ((a) != (a)) ? (a) : (b))
#define IDENTITY (-(T)INFINITY)
#define FEW 1 /* nothing is rounded */
#include "fold.h"
