// Types of classifier_grad.mjs: value and gradient of classifier (networks.py:25).

export interface Arguments {
    /** [4][5]  layers[0]["W"] */
    layers_0_W: Float64Array;
    /** [5]  layers[0]["b"] */
    layers_0_b: Float64Array;
    /** [5][3]  layers[1]["W"] */
    layers_1_W: Float64Array;
    /** [3]  layers[1]["b"] */
    layers_1_b: Float64Array;
    /** [6][4] */
    x: Float64Array;
    /** [6] */
    labels: BigInt64Array;
}

export interface Results {
    L: number;
    /** [4][5]  dL/dlayers[0]["W"] */
    d_layers_0_W: Float64Array;
    /** [5]  dL/dlayers[0]["b"] */
    d_layers_0_b: Float64Array;
    /** [5][3]  dL/dlayers[1]["W"] */
    d_layers_1_W: Float64Array;
    /** [3]  dL/dlayers[1]["b"] */
    d_layers_1_b: Float64Array;
}

export interface Kernel {
    /** Arrays are row-major. Throws TypeError or RangeError for arguments that do not fit. */
    (given: Arguments): Results;
    /** Whether recorded inputs give the recorded results. */
    selftest(): boolean;
}

/** The kernel of the code beside the module, or of `source`: bytes, a URL relative to the module, or a Response. */
export function load(source?: string | URL | BufferSource | Response): Promise<Kernel>;
