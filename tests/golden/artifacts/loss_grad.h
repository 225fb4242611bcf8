/* L and dL/d(w11, w12, w21, w22, v1, v2) of loss(), networks.py:6.
 * gradc 0.1.0, f64, graph 6e645188. Runs on any x86-64.
 * Generated; yours, no conditions (0BSD). No libc, no libm, no allocation, no writable globals. */
#ifndef LOSS_GRAD_H
#define LOSS_GRAD_H 0xd2b064ca
#ifdef __cplusplus
extern "C" {
#endif

#define LOSS_GRAD_ABI_VERSION     1
#define LOSS_GRAD_WORKSPACE_SIZE  0  /* bytes: a constant, so it can be a static array */
#define LOSS_GRAD_WORKSPACE_ALIGN 1
#define LOSS_GRAD_FLOPS           26  /* of a call */
typedef enum {
    LOSS_GRAD_OK = 0,
    LOSS_GRAD_NULL_INPUT = 1,  /* in or out is NULL */
    LOSS_GRAD_WORKSPACE = 2,   /* missing, or not aligned */
    LOSS_GRAD_WRONG = 3        /* of the self-test: a result is not as recorded */
} loss_grad_status;

typedef struct {
    double w11, w12, w21, w22, v1, v2, x1, x2, y;
} loss_grad_in;

typedef struct {
    double L, d_w11, d_w12, d_w21, d_w22, d_v1, d_v2;
} loss_grad_out;

/* It needs no workspace: pass NULL. Calls may run side by side. */
loss_grad_status loss_grad(const loss_grad_in *in, loss_grad_out *out, void *workspace);

/* Recorded inputs against recorded results. */
loss_grad_status loss_grad_selftest(void);

#ifdef __cplusplus
}
#endif
#elif LOSS_GRAD_H != 0xd2b064ca
#error "another library has the names of this one: save one of them under another name"
#endif
