/* multiply by a BLAS where the strides are ones that it takes; by OWN(multiply), the program's own, where they are not. */
static void NAME(multiply)(const void *product)
{
    const struct NAME(product) *x = product;
    const int turn_a = x->a_column != 1, turn_b = x->b_column != 1;
    const int64_t a_row = turn_a ? x->a_column : x->a_row, b_row = turn_b ? x->b_column : x->b_row;
    const int64_t widest = x->m > x->n ? (x->m > x->k ? x->m : x->k) : (x->n > x->k ? x->n : x->k);
    const T add = x->add ? C(1.0) : C(0.0);
    const int a_fits = (!turn_a || x->a_row == 1) && a_row >= (turn_a ? x->m : x->k);
    const int b_fits = (!turn_b || x->b_row == 1) && b_row >= (turn_b ? x->k : x->n);
    if (x->m < 1 || x->n < 1 || x->k < 1 || widest > 0x7fffffff || !a_fits || a_row > 0x7fffffff) {
        OWN(multiply)(x);
        return;
    }
    if (x->n == 1 && x->b_row > 0 && x->c_row > 0 && x->b_row <= 0x7fffffff && x->c_row <= 0x7fffffff) {
        const int rows = (int)(turn_a ? x->k : x->m), columns = (int)(turn_a ? x->m : x->k);
        BLAS(gemv)(101, turn_a ? 112 : 111, rows, columns, C(1.0), x->a, (int)a_row, x->b, (int)x->b_row, add, x->c, (int)x->c_row);
    } else if (b_fits && b_row <= 0x7fffffff && x->c_column == 1 && x->c_row >= x->n && x->c_row <= 0x7fffffff) {
        BLAS(gemm)(101, turn_a ? 112 : 111, turn_b ? 112 : 111, (int)x->m, (int)x->n, (int)x->k, C(1.0), x->a, (int)a_row, x->b,
                   (int)b_row, add, x->c, (int)x->c_row);
    } else {
        OWN(multiply)(x);
        return;
    }
    NAME(done)(x, 0, x->m, 0, x->n);
}
