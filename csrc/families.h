/* Every family for one T on one instruction set, and the table of them.  Needs T, M(f), C(v) and NAME(f). */

#include "scalar.h"
#include "gelu.h"

#include "elementwise.h"
#include "reduce.h"
#include "scan.h"
#include "softmax.h"
#include "cross_entropy.h"
#include "optimizer.h"

#include "fused.h"
#include "product.h"
#include "vectors.h"

#include "multiply.h"

static const struct kernels NAME(kernels) = {
    .loops = NAME(loops),
    .elementwise = NAME(elementwise),
    .reductions =
        {
            [ARRAYAD_SUM] = NAME(sum_part),
            [ARRAYAD_PROD] = NAME(prod_part),
            [ARRAYAD_MAX] = NAME(max_part),
            [ARRAYAD_MIN] = NAME(min_part),
            [ARRAYAD_LOGSUMEXP] = NAME(logsumexp_part),
            [ARRAYAD_ARGMAX] = NAME(argmax_part),
            [ARRAYAD_ARGMIN] = NAME(argmin_part),
        },
    .scans = {[ARRAYAD_SUM] = NAME(cumulative_sum), [ARRAYAD_PROD] = NAME(cumulative_prod)},
    .rowwise =
        {
            [ARRAYAD_SOFTMAX] = NAME(softmax),
            [ARRAYAD_LOG_SOFTMAX] = NAME(log_softmax),
            [ARRAYAD_SOFTMAX_VJP] = NAME(softmax_vjp),
            [ARRAYAD_LOG_SOFTMAX_VJP] = NAME(log_softmax_vjp),
        },
    .cross_entropy = NAME(cross_entropy),
    .cross_entropy_vjp = NAME(cross_entropy_vjp),
    .multiply = NAME(multiply),
    .sgd = NAME(sgd),
    .adam = NAME(adam),
};
