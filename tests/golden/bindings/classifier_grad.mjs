// classifier_grad for JavaScript: value and gradient of classifier (networks.py:25).
// gradc 0.1.0. Generated; yours, no conditions (0BSD).

const inputs = [
    { name: "layers_0_W", array: Float64Array, size: 20 },  // [4][5]  layers[0]["W"]
    { name: "layers_0_b", array: Float64Array, size: 5 },  // [5]  layers[0]["b"]
    { name: "layers_1_W", array: Float64Array, size: 15 },  // [5][3]  layers[1]["W"]
    { name: "layers_1_b", array: Float64Array, size: 3 },  // [3]  layers[1]["b"]
    { name: "x", array: Float64Array, size: 24 },  // [6][4]
    { name: "labels", array: BigInt64Array, size: 6 },  // [6]
];
const results = [
    { name: "L", array: Float64Array },
    { name: "d_layers_0_W", array: Float64Array, size: 20 },  // [4][5]  dL/dlayers[0]["W"]
    { name: "d_layers_0_b", array: Float64Array, size: 5 },  // [5]  dL/dlayers[0]["b"]
    { name: "d_layers_1_W", array: Float64Array, size: 15 },  // [5][3]  dL/dlayers[1]["W"]
    { name: "d_layers_1_b", array: Float64Array, size: 3 },  // [3]  dL/dlayers[1]["b"]
];
const failures = {
    16: "index is out of bounds for axis 1 with size 3 (networks.py:31: return -np.mean(np.log(p[np.arange(len(x)), labels])))",
};

/**
 * The kernel, ready to be called: kernel({ layers_0_W, layers_0_b, layers_1_W, ... }) returns { L, d_layers_0_W, ... }.
 *
 * The code is classifier_grad.wasm beside this module, or `source`: bytes, a URL relative to this module, a Response.
 */
export async function load(source = "classifier_grad.wasm") {
    const { instance } = await WebAssembly.instantiate(await bytesOf(source), {});
    const { memory, __heap_base: base, classifier_grad: run, classifier_grad_selftest: test } = instance.exports;

    /** Places in memory, each at a multiple of 64, for what is asked for one after the other. */
    function places() {
        let end = Math.ceil(base.value / 64) * 64;
        return (bytes) => {
            const start = end;
            end += Math.ceil(bytes / 64) * 64;
            const missing = end - memory.buffer.byteLength;
            if (missing > 0) memory.grow(Math.ceil(missing / 65536));
            return start;
        };
    }

    function kernel(given) {
        const values = inputs.map((input) => {
            const value = given[input.name];
            return "size" in input ? elements(input, value) : number(input, value);
        });
        const place = places();  // after the checks, for memory does not shrink again
        const from = inputs.map((input, k) => ("size" in input ? place(values[k].byteLength) : values[k]));
        const at = results.map((result) => place(bytes(result)));
        const workspace = place(768);
        inputs.forEach((input, k) => {
            if ("size" in input) new input.array(memory.buffer, from[k]).set(values[k]);
        });
        const status = run(...from, ...at, workspace);
        if (status) throw new RangeError(failures[status] ?? `classifier_grad: status ${status}`);
        return Object.fromEntries(results.map((result, k) => {
            const found = new result.array(memory.buffer, at[k], "size" in result ? count(result) : 1);
            if ("size" in result) return [result.name, found.slice()];
            return [result.name, result.boolean ? found[0] === 1 : found[0]];
        }));
    }

    /** Whether recorded inputs give the recorded results. */
    kernel.selftest = () => test() === 0;

    return kernel;
}

async function bytesOf(source) {
    if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
    if (typeof source === "object" && typeof source.arrayBuffer === "function") return source.arrayBuffer();
    const url = new URL(source, import.meta.url);
    if (url.protocol === "file:") {  // node, whose fetch reads no files
        const { readFile } = await import("node:fs/promises");
        return readFile(url);
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} cannot be read: status ${response.status}`);
    return response.arrayBuffer();
}

const count = ({ size }) => size;
const bytes = ({ array, size = 1 }) => size * array.BYTES_PER_ELEMENT;

/** The elements of an argument, checked. */
function elements(input, value) {
    const expected = count(input);
    if (!(value instanceof input.array)) {
        throw new TypeError(`${input.name} is no ${input.array.name} of ${expected} elements`);
    }
    if (value.length !== expected) {
        throw new RangeError(`${input.name} has ${value.length} elements, expected ${expected}`);
    }
    return value;
}

/** A single number, checked: one that the type of the argument can hold. */
function number({ name, array, boolean }, value) {
    if (boolean && typeof value === "boolean") return value ? 1 : 0;
    const kind = boolean ? "boolean" : typeof new array(1)[0];
    if (boolean || typeof value !== kind) throw new TypeError(`${name} is ${value}, expected a ${kind}`);
    const isFloat = array === Float64Array || array === Float32Array;
    if (!isFloat && new array([value])[0] !== value) {
        throw new RangeError(`${name} is ${value}, which no element of ${array.name} is`);
    }
    return value;
}
