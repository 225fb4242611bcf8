/* L and dL/d(w["a"], w["b"]) of regression(), networks.py:34.
 * gradc 0.1.0, f64, graph bf4b0ee0. Runs on any x86-64.
 * Generated; yours, no conditions (0BSD). No libc, no libm, no allocation, no writable globals. */
#ifndef REGRESSION_GRAD_H
#define REGRESSION_GRAD_H 0x72adff83
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define REGRESSION_GRAD_ABI_VERSION           1
#define REGRESSION_GRAD_WORKSPACE_SIZE(batch) \
    ((uint64_t)(batch) > (PTRDIFF_MAX - 48)/16 ? (size_t)PTRDIFF_MAX : \
    (size_t)(64*(((int64_t)(batch) + 3)/4)))  /* bytes */
#define REGRESSION_GRAD_WORKSPACE_ALIGN       64
#define REGRESSION_GRAD_FLOPS(batch) \
    ((uint64_t)(batch) > (PTRDIFF_MAX - 1)/50 ? (size_t)PTRDIFF_MAX : \
    (size_t)(50*(int64_t)(batch) + 1))  /* of a call */
typedef enum {
    REGRESSION_GRAD_OK = 0,
    REGRESSION_GRAD_NULL_INPUT = 1,  /* an input is NULL */
    REGRESSION_GRAD_WORKSPACE = 2,   /* missing, or not aligned */
    REGRESSION_GRAD_WRONG = 3        /* of the self-test: a result is not as recorded */
} regression_grad_status;

/* Compiled in: mode = 'mean'.
 * Sizes:
 *   batch      each call's own
 * Inputs:
 *   w_a        [3][2], w_a[i*2 + j]    w["a"]
 *   w_b        [2]                     w["b"]
 *   x          [batch][3], x[i*3 + j]
 *   y          [batch][2], y[i*2 + j]
 *   scale      a number
 * Results; one whose pointer is NULL is not written:
 *   L          a number
 *   d_w_a      [3][2], d_w_a[i*2 + j]  dL/dw["a"]
 *   d_w_b      [2]                     dL/dw["b"]
 * Arrays are row-major without gaps; results overlap nothing else.
 * The workspace has REGRESSION_GRAD_WORKSPACE_SIZE(batch) bytes and starts at a multiple of 64.
 *     Calls may run side by side, each with a workspace of its own. */
regression_grad_status regression_grad(
        size_t batch, const double *w_a, const double *w_b, const double *x, const double *y,
        double scale, double *L, double *d_w_a, double *d_w_b, void *workspace);

/* Recorded inputs against recorded results. */
regression_grad_status regression_grad_selftest(void);

#ifdef __cplusplus
}
#endif
#elif REGRESSION_GRAD_H != 0x72adff83
#error "another library has the names of this one: save one of them under another name"
#endif
