// Types of loss_grad.mjs: value and gradient of loss (networks.py:6).

export interface Arguments {
    w11: number;
    w12: number;
    w21: number;
    w22: number;
    v1: number;
    v2: number;
    x1: number;
    x2: number;
    y: number;
}

export interface Results {
    L: number;
    /** dL/dw11 */
    d_w11: number;
    /** dL/dw12 */
    d_w12: number;
    /** dL/dw21 */
    d_w21: number;
    /** dL/dw22 */
    d_w22: number;
    /** dL/dv1 */
    d_v1: number;
    /** dL/dv2 */
    d_v2: number;
}

export interface Kernel {
    /** Arrays are row-major. Throws TypeError or RangeError for arguments that do not fit. */
    (given: Arguments): Results;
    /** Whether recorded inputs give the recorded results. */
    selftest(): boolean;
}

/** The kernel of the code beside the module, or of `source`: bytes, a URL relative to the module, or a Response. */
export function load(source?: string | URL | BufferSource | Response): Promise<Kernel>;
