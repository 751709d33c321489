/*
 * What the library exports: plain declarations, which the compiler and cffi both read.
 *
 * Every function checks its arguments and returns a code; nothing is computed unless it is ARRAYAD_OK.  Arrays are in C
 * order, of float (dtype 0) or double (dtype 1).  An output shares no memory with an input.
 */
enum arrayad_code {
    ARRAYAD_OK,
    ARRAYAD_BAD_OPERATION, /* no such operation, or of another arity */
    ARRAYAD_BAD_DTYPE,     /* neither 0 nor 1 */
    ARRAYAD_BAD_SIZE,      /* negative, or more bytes than can be addressed, or empty where that has no value */
    ARRAYAD_BAD_POINTER,   /* null */
    ARRAYAD_MISALIGNED,    /* an address that is no multiple of the element's size */
    ARRAYAD_BAD_LAYOUT,    /* an unknown layout of an operand */
    ARRAYAD_BAD_LABEL,     /* a class label outside the columns */
    ARRAYAD_BAD_ISA,       /* an instruction set that this machine lacks */
    ARRAYAD_BAD_THREADS,   /* less than one thread, or more than 1024 */
    ARRAYAD_NO_BLAS,       /* no such file, or no BLAS in it */
    ARRAYAD_NO_MEMORY = -1000
};

/* How an operand of an elementwise operation lies in the rows x cols of its result. */
enum arrayad_layout {
    ARRAYAD_FULL,    /* rows x cols elements */
    ARRAYAD_SCALAR,  /* one element */
    ARRAYAD_ROW,     /* cols elements, the same for each row */
    ARRAYAD_COLUMN,  /* rows elements, the same for each column */
    ARRAYAD_BYTE = 4 /* added to one of these: bytes that are 0 or 1, read as numbers */
};

enum arrayad_reduction {
    ARRAYAD_SUM,
    ARRAYAD_PROD,
    ARRAYAD_MAX,
    ARRAYAD_MIN,
    ARRAYAD_LOGSUMEXP,
    ARRAYAD_ARGMAX,
    ARRAYAD_ARGMIN
};

enum arrayad_rowwise { ARRAYAD_SOFTMAX, ARRAYAD_LOG_SOFTMAX, ARRAYAD_SOFTMAX_VJP, ARRAYAD_LOG_SOFTMAX_VJP };

/* Elements start <= i < stop of a rows x cols result; `layouts` has four bits for each operand, the first lowest. */
int arrayad_elementwise1(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1);
int arrayad_elementwise2(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2);
int arrayad_elementwise3(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2, const void *x3);
int arrayad_elementwise4(int op, int dtype, int layouts, int64_t rows, int64_t cols, int64_t start, int64_t stop, void *out,
                         const void *x1, const void *x2, const void *x3, const void *x4);

/* x[outer][n][inner] -> out[outer][inner], of int64 for argmax and argmin. */
int arrayad_reduce(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner, void *out, const void *x);

/* The same shapes; `reduction` is ARRAYAD_SUM or ARRAYAD_PROD, out[o][i][j] over x[o][0..i][j]. */
int arrayad_scan(int reduction, int dtype, int64_t outer, int64_t n, int64_t inner, void *out, const void *x);

/* rows x cols; `x` is the input, or the cotangent of a VJP, whose `y` is the output (null otherwise). */
int arrayad_rowwise(int operation, int dtype, int64_t rows, int64_t cols, void *out, const void *x, const void *y);

/* loss[rows] of x[rows][cols] and int64_t labels[rows]; rows labelled `ignored` have loss 0. */
int arrayad_cross_entropy(int dtype, int64_t rows, int64_t cols, void *loss, const void *x, const void *labels,
                          int64_t ignored);
int arrayad_cross_entropy_vjp(int dtype, int64_t rows, int64_t cols, void *out, const void *ct, const void *x,
                              const void *labels, int64_t ignored);

/* `velocity` and `new_velocity` are both null without momentum; `velocity` alone is null at the first step. */
int arrayad_sgd(int dtype, int64_t n, void *new_p, void *new_velocity, const void *p, const void *g, const void *velocity,
                double rate, double momentum, double dampening, double decay, int nesterov);
int arrayad_adam(int dtype, int64_t n, void *new_p, void *new_m, void *new_v, const void *p, const void *g, const void *m,
                 const void *v, double rate, double beta1, double beta2, double epsilon, double decay, int decoupled,
                 double correction1, double correction2);

/* The operations of ops.def; null and -1 where there is none. */
int arrayad_operations(void);
const char *arrayad_operation_name(int op);
int arrayad_operation_arity(int op);
int arrayad_operation_is_bool(int op);

/* The instruction sets that this machine has, the best last. */
int arrayad_isas(void);
const char *arrayad_isa_name(int isa);
int arrayad_isa(void);
int arrayad_set_isa(int isa);

int arrayad_threads(void);
int arrayad_set_threads(int threads);

const char *arrayad_compiler(void);
const char *arrayad_vector_math(void);

/* A shared object, and a function in it; null where there is none, and then what arrayad_loading_error says, once. */
void *arrayad_open(const char *path);
void *arrayad_symbol(void *library, const char *name);
int arrayad_close(void *library);
const char *arrayad_loading_error(void);

/* Give programs the BLAS in this file, or in the libraries that it was linked with; none for null.  Not while one runs. */
int arrayad_use_blas(const char *path);
const char *arrayad_blas(void); /* its file; empty where there is none */

/* The function of Python's that host.python stands for. */
void arrayad_use_python(int (*python)(int64_t program, int64_t number, void **buffers));

/* Call a compiled program with pointers to its buffers.  The result is the program's, or ARRAYAD_NO_MEMORY. */
int arrayad_call(void *program, void **buffers);

/* The same with the address of a Python list of `count` NumPy arrays, of a layout that arrayad_reads_lists has found to be
   as expected, by a list of arrays whose own addresses, and those of their elements, are known. */
int arrayad_call_with_list(void *program, uint64_t list, int64_t count);
int arrayad_reads_lists(uint64_t list, int64_t count, void **arrays, void **buffers);
