/* `multiply` of the host, which a program takes from it before anything else: multiply_f32 = host->multiply_f32. */
static void (*NAME(multiply))(const void *product);
