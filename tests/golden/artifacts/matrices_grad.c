/* matrices_grad.c: the function that matrices_grad.h declares.  gradc 0.1.0, graph 95fb0948.
 * Generated; yours, no conditions (0BSD).  C99 without libc, libm, allocation, recursion or writable globals.
 * For all machines; sums are added up as in vectors of 128 bits.
 * It gives the bits of the same kernel as machine code.
 */
#include "matrices_grad.h"

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
typedef char matrices_grad_constants_are_doubles[sizeof(1.0) == sizeof(double) ? 1 : -1];
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

/* Whether every stride-th element is as recorded, and the sum of all, each times (1 + 5 * i % 31) / 32. */
static inline bool agrees_f64(const double *data, int64_t count, int64_t stride, const double *recorded,
        double tolerance, double total, double total_tolerance)
{
    double sum = 0.0;
    int64_t next = 0;
    int r = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += data[i] * ((double)(1 + r) / 32.0);
        r = (r + 5) % 31;
        if (i == next) {
            if (!close_f64(data[i], *recorded++, tolerance)) {
                return false;
            }
            next += stride;
        }
    }
    return close_f64(sum, total, total_tolerance);
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

/* Element i is (1 + (first + 5 * i) % 31) / 32; order is added on the diagonals of matrices of so many rows. */
static inline void fill_f64(double *data, int64_t count, int first, int order)
{
    int r = first;
    for (int64_t i = 0; i < count; i++) {
        data[i] = (double)(1 + r) / 32.0;
        r = (r + 5) % 31;
    }
    for (int64_t i = 0; order > 0 && i < count; i += order * order) {
        for (int64_t k = 0; k < order; k++) {
            data[i + k * (order + 1)] += (double)order;
        }
    }
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

matrices_grad_status matrices_grad(const double *restrict w_hidden, const double *restrict w_out,
        const double *restrict x, const double *restrict y, double *restrict L, double *restrict d_w_hidden,
        double *restrict d_w_out, void *workspace)
{
    if (w_hidden == NULL || w_out == NULL || x == NULL || y == NULL) {
        return MATRICES_GRAD_NULL_INPUT;
    }
    if (L == NULL && d_w_hidden == NULL && d_w_out == NULL) {
        return MATRICES_GRAD_OK;
    }
    (void)workspace;
    const bool wanted[] = {L != NULL, d_w_hidden != NULL, d_w_out != NULL};

    double z1[10] = {0.0};
    double z2[5] = {0.0};
    double d_z2[5] = {0.0};
    /* networks.py:18: z1 = w["hidden"] @ x; networks.py:20: z2 = w["out"] @ a1 */
    double z2_sum[5] = {0.0};
    for (int64_t i = 0; i < 2; i++) {
        double z1_sum[5] = {0.0};
        for (int64_t j = 0; j < 2; j++) {
            const double t1 = w_hidden[2 * i + j];
            for (int64_t k = 0; k < 5; k++) {
                z1_sum[k] += t1 * x[5 * j + k];
            }
        }
        for (int64_t j = 0; j < 5; j++) {
            z1[5 * i + j] = z1_sum[j];
        }
        const double t2 = w_out[i];
        for (int64_t j = 0; j < 5; j++) {
            const double a1_ij = maximum_f64(z1[5 * i + j], 0.0);
            z2_sum[j] += t2 * a1_ij;
        }
    }
    for (int64_t i = 0; i < 5; i++) {
        z2[i] = z2_sum[i];
    }
    /* d_z2 (networks.py:22: return -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat)); backward of
     * networks.py:22: return -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))) */
    double sum = 0.0;
    double sum_partial[4] = {0.0};
    for (int64_t i_group = 0; i_group < 4; i_group += 4) {
        for (int64_t lane = 0; lane < 4; lane++) {
            const int64_t i = i_group + lane;
            const double z2_i = z2[i];
            const double t1 = y[i];
            const double t2 = exp_unit_f64(-abs_f64(z2_i));
            sum_partial[lane] += log1p_unit_f64(t2) + (z2_i >= 0.0 ? 1.0 - t1 : t1) * abs_f64(z2_i);
            const double t3 = z2_i >= 0.0 ? 1.0 : t2;
            const double y_hat_i = fma_f64(-t3, t2 / (1.0 + t2), t3);
            d_z2[i] = 0.2 * (y_hat_i - t1);
        }
    }
    for (int64_t lane_2 = 0; lane_2 < 1; lane_2++) {
        const int64_t i = lane_2 + 4;
        const double z2_i = z2[i];
        const double t1 = y[i];
        const double t2 = exp_unit_f64(-abs_f64(z2_i));
        sum_partial[lane_2] += log1p_unit_f64(t2) + (z2_i >= 0.0 ? 1.0 - t1 : t1) * abs_f64(z2_i);
        const double t3 = z2_i >= 0.0 ? 1.0 : t2;
        const double y_hat_i = fma_f64(-t3, t2 / (1.0 + t2), t3);
        d_z2[i] = 0.2 * (y_hat_i - t1);
    }
    sum += sum_partial[0] + sum_partial[2] + (sum_partial[1] + sum_partial[3]);
    if (L != NULL) {
        *L = sum / 5.0;
    }
    if (wanted[2]) {
        /* backward of networks.py:20: z2 = w["out"] @ a1 */
        for (int64_t i = 0; i < 2; i++) {
            double sum_2 = 0.0;
            double sum_2_partial[4] = {0.0};
            for (int64_t j_group = 0; j_group < 4; j_group += 4) {
                for (int64_t lane_4 = 0; lane_4 < 4; lane_4++) {
                    const int64_t j = j_group + lane_4;
                    const double a1_ij = maximum_f64(z1[5 * i + j], 0.0);
                    sum_2_partial[lane_4] += d_z2[j] * a1_ij;
                }
            }
            for (int64_t lane_5 = 0; lane_5 < 1; lane_5++) {
                const int64_t j = lane_5 + 4;
                const double a1_ij = maximum_f64(z1[5 * i + j], 0.0);
                sum_2_partial[lane_5] += d_z2[j] * a1_ij;
            }
            sum_2 += sum_2_partial[0] + sum_2_partial[2] + (sum_2_partial[1] + sum_2_partial[3]);
            d_w_out[i] = sum_2;
        }
    }
    if (wanted[1]) {
        /* backward of networks.py:18: z1 = w["hidden"] @ x */
        for (int64_t i = 0; i < 2; i++) {
            const double t1 = w_out[i];
            for (int64_t j = 0; j < 2; j++) {
                double sum_2 = 0.0;
                double sum_2_partial_2[4] = {0.0};
                for (int64_t k_group = 0; k_group < 4; k_group += 4) {
                    for (int64_t lane_7 = 0; lane_7 < 4; lane_7++) {
                        const int64_t k = k_group + lane_7;
                        const double d_z1_ijk = z1[5 * i + k] > 0.0 ? d_z2[k] * t1 : 0.0;
                        sum_2_partial_2[lane_7] += d_z1_ijk * x[5 * j + k];
                    }
                }
                for (int64_t lane_8 = 0; lane_8 < 1; lane_8++) {
                    const int64_t k = lane_8 + 4;
                    const double d_z1_ijk = z1[5 * i + k] > 0.0 ? d_z2[k] * t1 : 0.0;
                    sum_2_partial_2[lane_8] += d_z1_ijk * x[5 * j + k];
                }
                sum_2 += sum_2_partial_2[0] + sum_2_partial_2[2] + (sum_2_partial_2[1] + sum_2_partial_2[3]);
                d_w_hidden[2 * i + j] = sum_2;
            }
        }
    }
    return MATRICES_GRAD_OK;
}

matrices_grad_status matrices_grad_selftest(void)
{
    static const double recorded_d_w_hidden[4] = {-0.0121818704766, -0.0098945406836, -0.0274092085723,
            -0.0222627165381};
    static const double recorded_d_w_out[2] = {-0.0178872786445, -0.073078306545};
    double w_hidden[4];
    double w_out[2];
    double x[10];
    double y[5];
    double L;
    double d_w_hidden[4];
    double d_w_out[2];
    fill_f64(w_hidden, 4, 0, 0);
    fill_f64(w_out, 2, 3, 0);
    fill_f64(x, 10, 6, 0);
    fill_f64(y, 5, 9, 0);
    if (matrices_grad(w_hidden, w_out, x, y, &L, d_w_hidden, d_w_out, NULL) != MATRICES_GRAD_OK) {
        return MATRICES_GRAD_WRONG;
    }
    return close_f64(L, 0.668429039292, 6.23e-10)
            && agrees_f64(d_w_hidden, 4, 1, recorded_d_w_hidden, 2.55e-11, -0.0227891835464, 1.02e-10)
            && agrees_f64(d_w_out, 2, 1, recorded_d_w_out, 6.81e-11, -0.0142611599348, 1.36e-10) ?
                    MATRICES_GRAD_OK : MATRICES_GRAD_WRONG;
}
