/* Sums along an axis, a job of axes.h: sum_part.  0 for n = 0. */
#define FOLD sum
#define COMBINE(a, b) ((a) + (b))
#define IDENTITY C(0.0)
#define FEW 4 /* as many additions in a row as NumPy does */
#include "fold.h"
