/* What the checks share: where they stand, what they may differ by, and inputs. */
#ifndef ARRAYAD_CHECK_H
#define ARRAYAD_CHECK_H

#include <stdint.h>
#include <stdlib.h>

#include "../exports.h"

enum { FLOAT, DOUBLE };

/* Fail with the place, and what was being checked, unless `condition` holds. */
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
_Noreturn void fail(const char *file, int line, const char *condition);

/* What is being checked, for the message of a failure. */
void doing(const char *what, int dtype, int64_t rows, int64_t cols);

/* An array of `count` elements that ends where its memory ends, so that a step too far is seen.  Freed by free(). */
void *new_array(int dtype, int64_t count);

/* Element i of an array, and its number. */
double get(const void *x, int dtype, int64_t i);
void set(void *x, int dtype, int64_t i, double value);

/* A number between low and high, the next of a fixed sequence. */
double draw(double low, double high);

/* Fill with such numbers; with some nan, infinities and zeros among them if `special`. */
void fill(void *x, int dtype, int64_t count, double low, double high, int special);

/* Fail unless `got` is `wanted` to within `ulps` units in the last place of the dtype, or plus `slack` of such units of 1. */
void check_close(double got, long double wanted, int dtype, double ulps, long double slack);

void check_elementwise(void);
void check_axes(void);
void check_rows(void);
void check_optimizers(void);
void check_arguments(void);
void check_threads(void);
void check_program(void);
void check_emitted(void);

#endif
