/* fma_of(a, b, c) = a * b + c, with one rounding if FUSED. */
static INLINE T NAME(fma_of)(T a, T b, T c)
{
#if FUSED
    return M(fma)(a, b, c);
#else
    return a * b + c;
#endif
}
