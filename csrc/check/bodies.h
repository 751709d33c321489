/* scalar.h and the bodies of ops.def for one T; see elementwise.c. */
#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include "scalar.h"
#include "gelu.h"
#include "../ops.def"
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
