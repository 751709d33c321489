/* Every family for float and double on the instruction set that ISA names, with vectors of LEVEL bytes. */

#include "machine.h"

#define JOIN(name, isa, type) name##_##isa##_##type
#define JOIN_NAMES(name, isa, type) JOIN(name, isa, type)

#define T float
#define M(function) function##f
#define C(value) ((float)(value))
#define NAME(function) JOIN_NAMES(function, ISA, f32)
#include "families.h"
#undef T
#undef M
#undef C
#undef NAME

#define T double
#define M(function) function
#define C(value) ((double)(value))
#define NAME(function) JOIN_NAMES(function, ISA, f64)
#include "families.h"
#undef T
#undef M
#undef C
#undef NAME

#undef JOIN
#undef JOIN_NAMES
