"""Saved libraries come back as kernels; what is not whole, not for this machine or not safe is refused."""

from __future__ import annotations

import contextlib
import json
import os
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.artifacts.seal import sealed
from gradc.errors import ArgumentError, ArtifactError, GradcError

CORPUS = Path(__file__).parent / "artifacts" / "corpus"
"""Manifests and graphs that once were found, or made, to be trouble; each is refused."""


class Weights(NamedTuple):
    hidden: Any
    out: Any


def loss(w, x, y, scale=1.0):
    return np.mean((np.tanh(x @ w.hidden) @ w.out * scale - y) ** 2)


def arguments():
    rng = np.random.default_rng(0)
    return Weights(rng.normal(size=(3, 4)), rng.normal(size=4)), rng.normal(size=(6, 3)), rng.normal(size=6)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loading") / "build"
    kernel = gradc.value_and_grad(loss, name="fit").compile(*arguments())
    kernel.save(folder, format="lib")
    return kernel, folder


@pytest.fixture
def copy(saved, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir(mode=0o755)
    for file in saved[1].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def resealed(folder: Path, change) -> None:
    """Change the manifest of a directory, and seal it again as gradc does."""
    path = folder / "fit.json"
    manifest = json.loads(path.read_bytes())
    files = {name: (folder / name).read_bytes() for name in manifest.pop("files")}
    del manifest["sha256"]
    change(manifest, files)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    path.write_bytes(sealed(manifest, files))


@pytest.mark.parametrize("what", ["", "fit.json", "libfit.so"])
def test_a_saved_library_is_a_kernel_again(saved, what):
    kernel, folder = saved
    loaded = gradc.load(folder / what, classes=[Weights])
    values = arguments()
    (value, slope), (expected, slopes) = loaded(*values), kernel(*values)
    assert value == expected
    assert type(slope) is Weights
    assert all(map(np.array_equal, slope, slopes))
    assert repr(loaded) == repr(kernel)
    assert loaded.numpy_source == kernel.numpy_source
    assert str(loaded.explain()) == str(kernel.explain())
    assert loaded.cost == kernel.cost


def test_classes_are_made_where_none_are_given(saved):
    loaded = gradc.load(saved[1])
    w, x, y = arguments()
    with pytest.raises(ArgumentError, match="nested otherwise"):
        loaded(w, x, y)
    assert type(loaded.__signature__) is type(saved[0].__signature__)
    own = loaded._call.trees[0][1].kind
    _, slope = loaded(own(*w), x, y)
    assert (type(slope), type(slope).__name__) == (own, "Weights")


def test_functions_of_a_library_are_chosen_by_name(tmp_path):
    made = gradc.Library("pair")
    made.add(gradc.jit(lambda x: x * 2.0, name="twice").compile(np.ones(3)))
    made.add(gradc.jit(lambda x: x * x, name="square").compile(np.ones(3)))
    made.save(tmp_path / "build")
    names = [entry["name"] for entry in json.loads((tmp_path / "build" / "pair.json").read_text())["functions"]]
    loaded = [gradc.load(tmp_path / "build", name=name)(np.full(3, 3.0)) for name in names]
    assert [list(r) for r in loaded] == [[6.0] * 3, [9.0] * 3]
    with pytest.raises(ArgumentError, match="choose one with name="):
        gradc.load(tmp_path / "build")
    with pytest.raises(ArgumentError, match="has no function 'third'"):
        gradc.load(tmp_path / "build", name="third")


def test_a_truncated_or_changed_file_is_refused(copy):
    for name in ("fit.o", "libfit.so", "fit.gir", "fit.h", "fit.json"):
        whole = (copy / name).read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:]):
            (copy / name).write_bytes(damaged)
            with pytest.raises(ArtifactError, match=r"not as it was written|no manifest of gradc"):
                gradc.load(copy)
        (copy / name).unlink()
        with pytest.raises(ArtifactError, match=r"is missing|has no manifest"):
            gradc.load(copy)
        (copy / name).write_bytes(whole)
    gradc.load(copy)


def test_a_library_of_another_machine_is_refused(copy, saved, tmp_path):
    saved[0].save(tmp_path / "arm", format="lib", target="aarch64-macos")
    with pytest.raises(ArtifactError, match=r"is for arm64.* and this machine is .*; save the kernel here"):
        gradc.load(tmp_path / "arm")

    def want_more(manifest, files):
        manifest["target"]["versions"][0]["features"] += ",+teleport"

    resealed(copy, want_more)
    with pytest.raises(ArtifactError, match="this machine lacks teleport"):
        gradc.load(copy)


@pytest.mark.skipif(os.name != "posix", reason="file permissions of POSIX")
@pytest.mark.parametrize("name", ["", "fit.json", "fit.o"])
def test_what_others_can_write_is_refused(copy, name):
    os.chmod(copy / name, 0o777 if not name else 0o666)
    with pytest.raises(ArtifactError, match="can be written by other users"):
        gradc.load(copy)


def test_what_is_no_library_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="has no manifest of a saved kernel"):
        gradc.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing is not there") as missing:
        gradc.load(tmp_path / "nothing")
    assert isinstance(missing.value, GradcError)
    assert missing.value.filename == str(tmp_path / "nothing")
    for path in (None, 3, b"bytes", ["a"], "", "with\0nul"):
        with pytest.raises(ArgumentError, match="path"):
            gradc.load(path)
    (tmp_path / "module.py").write_text("raise SystemExit")
    with pytest.raises(ArgumentError, match="is a module; import it"):
        gradc.load(tmp_path / "module.py")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["request"].update(donate=[[0, 1]]),
        lambda record: record["request"].update(donate=[[0, 0], [0, 0]]),
        lambda record: record["request"].update(donate=[[0, 0], [1, 0]]),
        lambda record: record.update(updates=[[1, 0]]),
        lambda record: record.update(output={"tuple": [[0, {"leaf": 1}], [1, {"leaf": 0}]]}),
        lambda record: record.update(output={"tuple": [[0, {"leaf": 0}], [1, {"leaf": 1}], [2, {"leaf": 1}]]}),
    ],
)
def test_results_that_do_not_fit_where_they_are_to_be_written_are_refused(change, tmp_path):
    """The memory of an array would be overrun."""
    step = gradc.jit(lambda w, x: (w * 2.0, np.outer(x, w)), donate="w")
    step.compile(np.ones(3), np.ones(3)).save(tmp_path / "build", format="lib", name="fit")
    gradc.load(tmp_path / "build")
    resealed(tmp_path / "build", lambda manifest, files: change(manifest["functions"][0]["kernel"]))
    with pytest.raises(ArtifactError):
        gradc.load(tmp_path / "build")


def test_a_library_without_functions_is_refused(copy):
    resealed(copy, lambda manifest, files: manifest.update(functions=[]))
    with pytest.raises(ArtifactError, match="has no functions"):
        gradc.load(copy)


def test_values_without_a_text_are_refused_when_loaded(tmp_path):
    kernel = gradc.jit(lambda x, f: f(x), name="fit").compile(np.ones(2), np.tanh)
    kernel.save(tmp_path / "build", format="lib")
    with pytest.raises(ArtifactError, match="f holds tanh, which is compiled in"):
        gradc.load(tmp_path / "build")


@pytest.mark.parametrize("case", sorted(p.name for p in CORPUS.iterdir()))
def test_the_corpus_is_refused(copy, case):
    content = (CORPUS / case).read_bytes()

    def change(manifest, files):
        if case.endswith(".gir"):
            files["fit.gir"] = content
        else:
            manifest["functions"][0]["kernel"] = json.loads(content)

    resealed(copy, change)
    with pytest.raises(ArtifactError):
        gradc.load(copy)


def _somewhere(data: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container within plain data, and a key in it."""
    while True:
        key = rng.choice(list(data)) if isinstance(data, dict) else rng.randrange(len(data))
        inner = data[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.3:
            return data, key
        data = inner


def copied(data: Any) -> Any:
    return json.loads(json.dumps(data))


ODD = (
    *(None, True, -1, 0, 3, 2**70, 1e300, "", "x", "__import__('os')", "'\ud800'"),
    *([], {}, [[]], {"leaf": 0}, {"dict": 1}),
)


@pytest.mark.parametrize("seed", range(4))
def test_records_that_are_well_sealed_and_wrong_are_refused_or_mean_something(copy, saved, seed):
    """Whatever stands in a record, loading gives a kernel or an error of gradc's."""
    rng = random.Random(seed)
    record = json.loads((saved[1] / "fit.json").read_bytes())["functions"][0]["kernel"]
    for _ in range(60):
        changed = copied(record)
        for _ in range(rng.randint(1, 3)):
            container, key = _somewhere(changed, rng)
            if rng.random() < 0.2:
                del container[key]
            else:
                container[key] = copied(rng.choice(ODD))

        def change(manifest, files, changed=changed):
            manifest["functions"][0]["kernel"] = changed

        resealed(copy, change)
        with contextlib.suppress(ArtifactError, ArgumentError):
            gradc.load(copy, classes=[Weights])


@pytest.mark.parametrize("seed", range(4))
def test_graphs_that_are_well_sealed_and_wrong_are_refused_or_mean_something(copy, saved, seed):
    rng = random.Random(seed)
    text = (saved[1] / "fit.gir").read_text()
    words = sorted(set(text.split()))
    for _ in range(60):
        changed = text
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(changed))
            until = min(len(changed), at + rng.randint(0, 9))
            changed = changed[:at] + rng.choice(["", " ", "\n", "9", "%", "-", "(", *words[:60]]) + changed[until:]

        def change(manifest, files, changed=changed):
            files["fit.gir"] = changed.encode()

        resealed(copy, change)
        with contextlib.suppress(ArtifactError, ArgumentError):
            gradc.load(copy, classes=[Weights])
