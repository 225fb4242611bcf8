// regression_grad for JavaScript: value and gradient of regression (networks.py:34).
// gradc 0.1.0. Generated; yours, no conditions (0BSD).

const inputs = [
    { name: "w_a", array: Float64Array, size: 6 },  // [3][2]  w["a"]
    { name: "w_b", array: Float64Array, size: 2 },  // [2]  w["b"]
    { name: "x", array: Float64Array, size: (sizes) => 3 * sizes.batch },  // [batch][3]
    { name: "y", array: Float64Array, size: (sizes) => 2 * sizes.batch },  // [batch][2]
    { name: "scale", array: Float64Array },
];
const results = [
    { name: "L", array: Float64Array },
    { name: "d_w_a", array: Float64Array, size: 6 },  // [3][2]  dL/dw["a"]
    { name: "d_w_b", array: Float64Array, size: 2 },  // [2]  dL/dw["b"]
];

/**
 * The kernel, ready to be called: kernel({ batch, w_a, w_b, ... }) returns { L, d_w_a, ... }.
 *
 * The code is regression_grad.wasm beside this module, or `source`: bytes, a URL relative to this module, a Response.
 */
export async function load(source = "regression_grad.wasm") {
    const { instance } = await WebAssembly.instantiate(await bytesOf(source), {});
    const { memory, __heap_base: base, regression_grad: run, regression_grad_selftest: test } = instance.exports;

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
        const sizes = sizesOf(given);
        const values = inputs.map((input) => {
            const value = given[input.name];
            return "size" in input ? elements(input, value, sizes) : number(input, value);
        });
        const place = places();  // after the checks, for memory does not shrink again
        const from = inputs.map((input, k) => ("size" in input ? place(values[k].byteLength) : values[k]));
        const at = results.map((result) => place(bytes(result, sizes)));
        const workspace = place(64 * Math.floor((sizes.batch + 3) / 4));
        inputs.forEach((input, k) => {
            if ("size" in input) new input.array(memory.buffer, from[k]).set(values[k]);
        });
        const status = run(...Object.values(sizes), ...from, ...at, workspace);
        if (status) throw new RangeError(`regression_grad: status ${status}`);
        return Object.fromEntries(results.map((result, k) => {
            const found = new result.array(memory.buffer, at[k], "size" in result ? count(result, sizes) : 1);
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

function sizesOf(given) {
    const sizes = {};
    for (const name of ["batch"]) {
        if (!Number.isInteger(given[name]) || given[name] < 0) {
            throw new TypeError(`${name} is ${given[name]}, expected a size`);
        }
        sizes[name] = given[name];
    }
    return sizes;
}

const count = ({ size }, sizes) => (typeof size === "function" ? size(sizes) : size);
const bytes = (argument, sizes) => ("size" in argument ? count(argument, sizes) : 1) * argument.array.BYTES_PER_ELEMENT;

/** The elements of an argument, checked. */
function elements(input, value, sizes) {
    const expected = count(input, sizes);
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
