"""What ``digits.c`` trains with: the digits as a plain file, and the whole training step as a C library.

Run ``make digits`` in this folder, or ``python digits.py FOLDER`` and compile ``digits.c`` with the library in FOLDER.
The 1,797 digits of 8 by 8 pixels come with scikit-learn; nothing is downloaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import gradc
from gradc import optim

BATCH, HIDDEN, HELD_OUT = 32, 48, 357


def scores(w, x):
    """The scores of the ten digits, before the softmax."""
    h = np.tanh(x @ w["hidden"] + w["hidden_bias"])
    return h @ w["out"] + w["out_bias"]


def loss(w, x, labels):
    """Softmax cross entropy, written naively: gradc makes it stable."""
    e = np.exp(scores(w, x))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(x)), labels]))


def train(w, velocity, x, labels, rate):
    """One step: the loss, the new weights, the new velocity."""
    L, grads = gradc.value_and_grad(loss)(w, x, labels)
    w, velocity = optim.momentum(w, grads, velocity, rate=rate)
    return L, w, velocity


def classify(w, x):
    """The digit with the highest score."""
    return {"digit": np.argmax(scores(w, x), axis=1)}


def save_library(folder: Path) -> None:
    """``digits.h``, ``libdigits.a`` and so on, with the functions ``digits_train`` and ``digits_classify``."""
    w = {
        "hidden": gradc.aval(f"f32[64,{HIDDEN}]"),
        "hidden_bias": gradc.aval(f"f32[{HIDDEN}]"),
        "out": gradc.aval(f"f32[{HIDDEN},10]"),
        "out_bias": gradc.aval("f32[10]"),
    }
    x, labels = gradc.aval(f"f32[{BATCH},64]"), gradc.aval(f"i32[{BATCH}]")
    step = gradc.jit(train, donate=("w", "velocity")).compile(w, w, x, labels, gradc.aval("f32[]"))
    answer = gradc.jit(classify).compile(w, gradc.aval("f32[n,64]"))
    gradc.Library("digits").add(step).add(answer).save(folder)


def save_digits(path: Path) -> None:
    """Two counts, then all pixels (f32, 0 to 1) and all labels (i32): digits to train on, then those held out."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    counts = np.array([len(labels) - HELD_OUT, HELD_OUT], "<i4")
    x, y = (pixels[order] / 16).astype("<f4"), labels[order].astype("<i4")
    path.write_bytes(counts.tobytes() + x.tobytes() + y.tobytes())


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_library(folder)
    save_digits(folder / "digits.bin")
    print(f"wrote {folder / 'digits.h'}, the library beside it, and {folder / 'digits.bin'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "embedding_output"))
