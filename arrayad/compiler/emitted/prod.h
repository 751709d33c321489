/* Products along an axis, a job of axes.h: prod_part.  1 for n = 0. */
#define FOLD prod
#define COMBINE(a, b) ((a) * (b))
#define IDENTITY C(1.0)
#define FEW 4
#include "fold.h"
