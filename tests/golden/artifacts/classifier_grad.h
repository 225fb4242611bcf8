/* L and dL/d(layers[0]["W"], layers[0]["b"], layers[1]["W"], layers[1]["b"]) of classifier(),
 * networks.py:25.
 * gradc 0.1.0, f64, i64, graph d66becf3. Runs on any x86-64.
 * Generated; yours, no conditions (0BSD). No libc, no libm, no allocation, no writable globals. */
#ifndef CLASSIFIER_GRAD_H
#define CLASSIFIER_GRAD_H 0x158e6780
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define CLASSIFIER_GRAD_ABI_VERSION     1
#define CLASSIFIER_GRAD_WORKSPACE_SIZE  896  /* bytes: a constant, so it can be a static array */
#define CLASSIFIER_GRAD_WORKSPACE_ALIGN 64
#define CLASSIFIER_GRAD_FLOPS           1394  /* of a call */
typedef enum {
    CLASSIFIER_GRAD_OK = 0,
    CLASSIFIER_GRAD_NULL_INPUT = 1,  /* an input is NULL */
    CLASSIFIER_GRAD_WORKSPACE = 2,   /* missing, or not aligned */
    CLASSIFIER_GRAD_WRONG = 3,       /* of the self-test: a result is not as recorded */
    /* index is out of bounds for axis 1 with size 3 (networks.py:31: return
     * -np.mean(np.log(p[np.arange(len(x)), labels]))) */
    CLASSIFIER_GRAD_FAILED_1 = 16
} classifier_grad_status;

/* Inputs:
 *   layers_0_W    [4][5], layers_0_W[i*5 + j]  layers[0]["W"]
 *   layers_0_b    [5]                          layers[0]["b"]
 *   layers_1_W    [5][3], layers_1_W[i*3 + j]  layers[1]["W"]
 *   layers_1_b    [3]                          layers[1]["b"]
 *   x             [6][4], x[i*4 + j]
 *   labels        [6]
 * Results; one whose pointer is NULL is not written:
 *   L             a number
 *   d_layers_0_W  [4][5], d_layers_0_W[i*5 + j]  dL/dlayers[0]["W"]
 *   d_layers_0_b  [5]                            dL/dlayers[0]["b"]
 *   d_layers_1_W  [5][3], d_layers_1_W[i*3 + j]  dL/dlayers[1]["W"]
 *   d_layers_1_b  [3]                            dL/dlayers[1]["b"]
 * Arrays are row-major without gaps; results overlap nothing else.
 * The workspace has CLASSIFIER_GRAD_WORKSPACE_SIZE bytes and starts at a multiple of 64. Calls may
 *     run side by side, each with a workspace of its own. */
classifier_grad_status classifier_grad(
        const double *layers_0_W, const double *layers_0_b, const double *layers_1_W,
        const double *layers_1_b, const double *x, const int64_t *labels, double *L,
        double *d_layers_0_W, double *d_layers_0_b, double *d_layers_1_W, double *d_layers_1_b,
        void *workspace);

/* Recorded inputs against recorded results. */
classifier_grad_status classifier_grad_selftest(void);

#ifdef __cplusplus
}
#endif
#elif CLASSIFIER_GRAD_H != 0x158e6780
#error "another library has the names of this one: save one of them under another name"
#endif
