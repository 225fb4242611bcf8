// loss_grad for JavaScript: value and gradient of loss (networks.py:6).
// gradc 0.1.0. Generated; yours, no conditions (0BSD).

const inputs = [
    { name: "w11", array: Float64Array },
    { name: "w12", array: Float64Array },
    { name: "w21", array: Float64Array },
    { name: "w22", array: Float64Array },
    { name: "v1", array: Float64Array },
    { name: "v2", array: Float64Array },
    { name: "x1", array: Float64Array },
    { name: "x2", array: Float64Array },
    { name: "y", array: Float64Array },
];
const results = [
    { name: "L", array: Float64Array },
    { name: "d_w11", array: Float64Array },  // dL/dw11
    { name: "d_w12", array: Float64Array },  // dL/dw12
    { name: "d_w21", array: Float64Array },  // dL/dw21
    { name: "d_w22", array: Float64Array },  // dL/dw22
    { name: "d_v1", array: Float64Array },  // dL/dv1
    { name: "d_v2", array: Float64Array },  // dL/dv2
];

/**
 * The kernel, ready to be called: kernel({ w11, w12, w21, ... }) returns { L, d_w11, ... }.
 *
 * The code is loss_grad.wasm beside this module, or `source`: bytes, a URL relative to this module, a Response.
 */
export async function load(source = "loss_grad.wasm") {
    const { instance } = await WebAssembly.instantiate(await bytesOf(source), {});
    const { memory, __heap_base: base, loss_grad: run, loss_grad_selftest: test } = instance.exports;

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
        const place = places();
        const [from, into] = [inputs, results].map((members) => {
            const offsets = [];
            let end = 0;
            for (const { array } of members) {
                const bytes = array.BYTES_PER_ELEMENT;
                offsets.push(Math.ceil(end / bytes) * bytes);
                end = offsets.at(-1) + bytes;
            }
            const start = place(end);
            return { start, offsets: offsets.map((offset) => start + offset) };
        });
        const workspace = place(0);
        inputs.forEach((input, k) => {
            new input.array(memory.buffer, from.offsets[k], 1)[0] = number(input, given[input.name]);
        });
        const status = run(from.start, into.start, workspace);
        const at = into.offsets;
        if (status) throw new RangeError(`loss_grad: status ${status}`);
        return Object.fromEntries(results.map((result, k) => {
            const found = new result.array(memory.buffer, at[k], 1);
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
