/* Minima, nan where any element is along an axis, a job of axes.h: min_part.  n >= 1. */
#define FOLD min
#define COMBINE(a, b) (((a) <= (b)) | ((a) != (a)) ? (a) : (b))
#define IDENTITY ((T)INFINITY)
#define FEW 1
#include "fold.h"
