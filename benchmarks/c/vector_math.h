/* glibc's vector functions, which gcc calls in loops where the prototypes say that they exist. */

#include <math.h>

#define VECTOR __attribute__((simd("notinbranch")))

VECTOR double exp(double);
VECTOR double log(double);
VECTOR double erfc(double);
VECTOR double tanh(double);
VECTOR float expf(float);
VECTOR float erff(float);
VECTOR float sinf(float);
VECTOR float cosf(float);
VECTOR float tanhf(float);
