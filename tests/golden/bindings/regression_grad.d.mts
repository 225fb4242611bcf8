// Types of regression_grad.mjs: value and gradient of regression (networks.py:34).

export interface Arguments {
    /** A size. */
    batch: number;
    /** [3][2]  w["a"] */
    w_a: Float64Array;
    /** [2]  w["b"] */
    w_b: Float64Array;
    /** [batch][3] */
    x: Float64Array;
    /** [batch][2] */
    y: Float64Array;
    scale: number;
}

export interface Results {
    L: number;
    /** [3][2]  dL/dw["a"] */
    d_w_a: Float64Array;
    /** [2]  dL/dw["b"] */
    d_w_b: Float64Array;
}

export interface Kernel {
    /** Arrays are row-major. Throws TypeError or RangeError for arguments that do not fit. */
    (given: Arguments): Results;
    /** Whether recorded inputs give the recorded results. */
    selftest(): boolean;
}

/** The kernel of the code beside the module, or of `source`: bytes, a URL relative to the module, or a Response. */
export function load(source?: string | URL | BufferSource | Response): Promise<Kernel>;
