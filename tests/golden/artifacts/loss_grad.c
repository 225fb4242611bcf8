/* loss_grad.c: the function that loss_grad.h declares.  gradc 0.1.0, graph 6e645188.
 * Generated; yours, no conditions (0BSD).  C99 without libc, libm, allocation, recursion or writable globals.
 * For all machines; sums are added up as in vectors of 128 bits.
 * It gives the bits of the same kernel as machine code.
 */
#include "loss_grad.h"

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "results would differ: compile without -ffast-math"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "NaN and infinities would be lost: compile without -ffinite-math-only"
#endif
#if defined(__ASSOCIATIVE_MATH__)
#error "sums would be reordered: compile without -fassociative-math"
#endif
#if defined(__RECIPROCAL_MATH__)
#error "quotients would be rounded otherwise: compile without -freciprocal-math"
#endif
#if defined(__NO_SIGNED_ZEROS__)
#error "signs of zeros would be lost: compile without -fno-signed-zeros"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "results would differ: compile for registers of the width of the types, as with -msse2 -mfpmath=sse"
#endif
/* Compile without -fsingle-precision-constant, which rounds the numbers below to float. */
typedef char loss_grad_constants_are_doubles[sizeof(1.0) == sizeof(double) ? 1 : -1];
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wignored-pragmas"
#pragma float_control(precise, on)
#pragma clang fp reassociate(off)
#pragma clang diagnostic pop
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize ("fp-contract=off", "no-unsafe-math-optimizations", "no-associative-math", "no-reciprocal-math")
#pragma GCC optimize ("signed-zeros")
#endif

/* The number of a bit pattern. */
static inline double from_bits_f64(uint64_t x)
{
    union { double number; uint64_t bits; } both;
    both.bits = x;
    return both.number;
}

/* The bit pattern of a number. */
static inline uint64_t bits_f64(double x)
{
    union { double number; uint64_t bits; } both;
    both.number = x;
    return both.bits;
}

static inline double abs_f64(double x)
{
    return from_bits_f64(bits_f64(x) & (uint64_t)-1 >> 1);
}

/* Whether two numbers differ by at most a tolerance, are equal, or are both NaN. */
static inline bool close_f64(double x, double y, double tolerance)
{
    return abs_f64(x - y) <= tolerance || x == y || (x != x && y != y);
}

/* exp(x) of numbers that are not positive, to the same bits. */
static double exp_unit_f64(double x)
{
    /* Below this bound the result is 0, and stays so at it. */
    const double t1 = x < -0x1.751622e4cce27p+9 ? -0x1.751622e4cce27p+9 : x;
    /* x = n log(2) + r, abs(r) <= log(2) / 2; n stands in the last bits of shifted */
    const double shifted = t1 * 0x1.71547652b82fep+0 + 0x1.8p+52;
    const double n = shifted - 0x1.8p+52;
    const double r = n * -0x1.9ef35793c7673p-41 + (n * -0x1.62e42fefa2p-1 + t1);
    /* exp(r) = 1 + r + r**2 P(r) */
    const double square = r * r;
    const double t2 = 1.0 + r;
    const double t3 = r * r;
    const double t4 = (0x1.2891d2ecb3ed9p-22 * t3 + 0x1.a019b8cbe6585p-16) * t3 + 0x1.6c16c1789caa1p-10;
    const double t5 = (0x1.af39091a8441ap-26 * t3 + 0x1.71de0d863c737p-19) * t3 + 0x1.a01a01a7ce75dp-13;
    const double t6 = ((t5 * t3 + 0x1.11111111109a6p-7) * t3 + 0x1.5555555555556p-3) * r +
            ((t4 * t3 + 0x1.5555555553d38p-5) * t3 + 0x1.0000000000001p-1);
    /* times 2**n in two steps, for 2**n may be out of range where the result is not */
    const uint64_t biased = bits_f64(shifted) + UINT64_C(0xbcc80000000007fe);
    const uint64_t first = biased >> 1;
    const uint64_t second = biased - first;
    return (t2 + (square * t6 + (r - (t2 - 1.0)))) * from_bits_f64(first << 52) * from_bits_f64(second << 52);
}

/* x * y + z, rounded twice, as on machines without fused multiply-adds. */
static inline double fma_f64(double x, double y, double z)
{
    return x * y + z;
}

/* log(1 + x) for x from 0 to 1, such as the exponential of a negative number; any number for others. */
static double log1p_unit_f64(double x)
{
    /* log(1 + x) = x - s (x - s**2 P(s**2)), s = x / (2 + x) */
    const double whole = x + 2.0;
    const double s = x / whole;
    const double t1 = s * s;
    const double t2 = t1 * t1;
    const double t3 = (0x1.401d3e65cdc48p-3 * t2 + 0x1.bc37f0140c19ep-4) * t2 + 0x1.111abdc8abe16p-3;
    const double t4 = ((t3 * t2 + 0x1.745d19937b1fcp-3) * t2 + 0x1.2492492499d46p-2) * t2 +
            0x1.5555555555555p-1;
    const double t5 = (0x1.32e0d25c9c761p-4 * t2 + 0x1.e0a2d581ab68fp-4) * t2 + 0x1.3b13515f6f9efp-3;
    /* x - x**2 / 2 + s (x**2 / 2 + s**2 P(s**2)), the product rounded too; less what 2 + x lost */
    const double t6 = x * x * 0.5;
    const double t7 = t1 * (((t5 * t2 + 0x1.c71c71bedea97p-3) * t2 + 0x1.9999999999944p-2) * t1 + t4);
    return x + (s * (t6 + (t7 - (x - (whole - 2.0)) * 0.15)) - t6);
}

/* The larger number; NaN where one is. */
static inline double maximum_f64(double x, double y)
{
    return x >= y || x != x ? x : y;
}

loss_grad_status loss_grad(const loss_grad_in *in, loss_grad_out *out, void *workspace)
{
    if (in == NULL || out == NULL) {
        return LOSS_GRAD_NULL_INPUT;
    }
    (void)workspace;
    const double w11 = in->w11;
    const double w12 = in->w12;
    const double w21 = in->w21;
    const double w22 = in->w22;
    const double v1 = in->v1;
    const double v2 = in->v2;
    const double x1 = in->x1;
    const double x2 = in->x2;
    const double y = in->y;

    /* networks.py:7: z1 = w11 * x1 + w12 * x2 */
    const double z1 = w11 * x1 + w12 * x2;
    /* networks.py:8: z2 = w21 * x1 + w22 * x2 */
    const double z2 = w21 * x1 + w22 * x2;
    /* networks.py:9: a1 = np.maximum(z1, 0) */
    const double a1 = maximum_f64(z1, 0.0);
    /* networks.py:10: a2 = np.maximum(z2, 0) */
    const double a2 = maximum_f64(z2, 0.0);
    /* networks.py:11: z = v1 * a1 + v2 * a2 */
    const double z = v1 * a1 + v2 * a2;
    /* networks.py:12: y_hat = 1 / (1 + np.exp(-z)) */
    const double s1 = exp_unit_f64(-abs_f64(z));
    const double s2 = z >= 0.0 ? 1.0 : s1;
    const double y_hat = fma_f64(-s2, s1 / (1.0 + s1), s2);
    /* networks.py:13: L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat)) */
    out->L = log1p_unit_f64(s1) + (z >= 0.0 ? 1.0 - y : y) * abs_f64(z);
    /* d_z (backward of networks.py:13: L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))) */
    const double d_z = y_hat - y;
    /* backward of networks.py:11: z = v1 * a1 + v2 * a2 */
    out->d_v2 = d_z * a2;
    const double d_a2 = d_z * v2;
    out->d_v1 = d_z * a1;
    const double d_a1 = d_z * v1;
    /* backward of networks.py:10: a2 = np.maximum(z2, 0) */
    const double d_z2 = z2 > 0.0 ? d_a2 : 0.0;
    /* backward of networks.py:9: a1 = np.maximum(z1, 0) */
    const double d_z1 = z1 > 0.0 ? d_a1 : 0.0;
    /* backward of networks.py:8: z2 = w21 * x1 + w22 * x2 */
    out->d_w22 = d_z2 * x2;
    out->d_w21 = d_z2 * x1;
    /* backward of networks.py:7: z1 = w11 * x1 + w12 * x2 */
    out->d_w12 = d_z1 * x2;
    out->d_w11 = d_z1 * x1;
    return LOSS_GRAD_OK;
}

loss_grad_status loss_grad_selftest(void)
{
    const loss_grad_in numbers = {.w11 = 0.03125, .w12 = 0.125, .w21 = 0.21875, .w22 = 0.3125, .v1 = 0.40625,
            .v2 = 0.5, .x1 = 0.59375, .x2 = 0.6875, .y = 0.78125};
    loss_grad_out results;
    if (loss_grad(&numbers, &results, NULL) != LOSS_GRAD_OK) {
        return LOSS_GRAD_WRONG;
    }
    return close_f64(results.L, 0.638487993253, 5.95e-10)
            && close_f64(results.d_w11, -0.0549363346452, 5.12e-11)
            && close_f64(results.d_w12, -0.063610492747, 5.92e-11)
            && close_f64(results.d_w21, -0.0676139503325, 6.3e-11)
            && close_f64(results.d_w22, -0.0782898372271, 7.29e-11)
            && close_f64(results.d_v1, -0.0237983312026, 2.22e-11)
            && close_f64(results.d_v2, -0.0785122515374, 7.31e-11) ? LOSS_GRAD_OK : LOSS_GRAD_WRONG;
}
