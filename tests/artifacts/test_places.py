"""Where artifacts are written: what stands there is kept or replaced as a whole, whatever happens meanwhile."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.files import _alone_in
from gradc.artifacts.seal import digest_of
from gradc.artifacts.temporary import Temporary
from gradc.backends.llvm.machine import host
from gradc.errors import ArgumentError, GradcError

FORMATS = ("lib", "c", "ir", "wasm")


def kernel(size: int = 3) -> gradc.Kernel:
    return gradc.grad(lambda x: np.sum(x * x), name="step").compile(gradc.aval(f"f64[{size}]"))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_the_header_of_one_format_is_not_replaced_by_that_of_another(first: Any, second: Any, tmp_path: Path) -> None:
    """The workspace of C source has another size than that of the library."""
    kernel().save(tmp_path, format=first)
    before = contents(tmp_path)
    if first == second:
        kernel(4).save(tmp_path, format=second)
        assert list(contents(tmp_path)) == list(before)
        assert contents(tmp_path) != before
        return
    message = rf'step\.h\' is that of format="{first}", and format="{second}" would replace it'
    with pytest.raises(ArgumentError, match=message):
        kernel().save(tmp_path, format=second)
    assert contents(tmp_path) == before
    kernel().save(tmp_path, format=second, name="other")
    assert contents(tmp_path).items() > before.items()


def test_a_module_that_needs_numpy_alone_is_not_replaced_by_a_binding(tmp_path: Path) -> None:
    kernel().save(tmp_path / "step.py")
    with pytest.raises(ArgumentError, match=r'step\.py\' is that of format="py", and format="lib" would replace it'):
        kernel().save(tmp_path, format="lib", bindings=("python",))
    assert list(contents(tmp_path)) == ["step.py"]
    kernel().save(tmp_path, format="lib")


@pytest.mark.parametrize(
    ("file", "choices"),
    [
        ("step.h", {"format": "lib"}),
        ("step.json", {"format": "lib"}),
        ("step.c", {"format": "c"}),
        ("step.py", {"format": "lib", "bindings": ("python",)}),
        ("step.hpp", {"format": "lib", "bindings": ("cpp",)}),
        ("step.mjs", {"format": "wasm"}),
    ],
)
def test_a_file_of_the_users_own_is_not_replaced(file: str, choices: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / file).write_text("my own work")
    with pytest.raises(ArgumentError, match=r"step\.\w+' is not of gradc's making and would be replaced"):
        kernel().save(tmp_path, **choices)
    assert contents(tmp_path) == {file: b"my own work"}
    (tmp_path / file).write_text("")
    kernel().save(tmp_path, **choices)


@pytest.mark.parametrize("form", ["py", *FORMATS])
def test_the_empty_path_is_no_directory(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"the path is empty; write '\.' for the working directory"):
        kernel().save("", format=form)
    assert contents(tmp_path) == {}
    kernel().save("step.py" if form == "py" else ".", format=form)
    assert contents(tmp_path)


PATHS = {
    "missing/step.py": (FileNotFoundError, "there is no directory {folder}/missing; make it first"),
    "taken/step.py": (NotADirectoryError, "{folder}/taken is no directory"),
    "taken/sub": (NotADirectoryError, "{folder}/taken/sub is no directory"),
    "loop/step.py": (OSError, "cannot be written: "),
    "loop": (OSError, "cannot be written: "),
    "n" * 300: (OSError, "cannot be written: file name too long"),
    "n" * 300 + ".py": (OSError, "cannot be written: file name too long"),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("path", PATHS)
def test_what_the_system_refuses_is_told(path: str, form: Any, tmp_path: Path) -> None:
    kind, message = PATHS[path]
    (tmp_path / "taken").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(kind) as refused:
        kernel().save(tmp_path / path, format="py" if path.endswith(".py") else form)
    assert isinstance(refused.value, GradcError)
    assert refused.value.errno
    assert str(refused.value).startswith(f"{tmp_path / path} cannot be written: ")
    assert message.format(folder=tmp_path) in str(refused.value)
    again = copy.copy(refused.value)  # as pickle makes it
    assert (type(again), str(again), again.errno, again.filename) == (
        type(refused.value), str(refused.value), refused.value.errno, refused.value.filename,
    )  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == ["loop", "taken"]


@pytest.mark.parametrize("form", ["py", *FORMATS])
def test_no_path_has_a_nul(form: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"the path .*step\\x00\.py' has a character that no path has"):
        kernel().save(tmp_path / "step\0.py", format=form)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user, who may not write")
def test_a_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    step = kernel()
    for form, path in (("lib", tmp_path / "open"), ("c", tmp_path / "open" / "c"), ("py", tmp_path / "step.py")):
        step.save(path, format=form)  # imports what may not be read by others
    os.seteuid(65534)
    try:
        for form, path in (("lib", closed), ("c", closed / "sub"), ("py", closed / "step.py")):
            with pytest.raises(PermissionError, match=r"cannot be written: permission denied \(") as refused:
                step.save(path, format=form)
            assert isinstance(refused.value, GradcError)
    finally:
        os.seteuid(0)
    assert os.listdir(closed) == []


def test_saving_again_removes_the_bindings_that_are_not_wanted_any_more(tmp_path: Path) -> None:
    (tmp_path / "step_notes.txt").write_text("mine")
    kernel(3).save(tmp_path, format="lib", bindings=("cpp", "python", "rust"))
    (tmp_path / "step-rs" / "notes.txt").write_text("mine")
    kernel(4).save(tmp_path, format="lib")
    kernel(4).save(tmp_path / "alone", format="lib")
    assert {*tree(tmp_path / "alone"), "step_notes.txt", "step-rs/notes.txt"} == {
        file for file in tree(tmp_path) if not file.startswith("alone/")
    }
    kernel(4).save(tmp_path, format="lib", bindings=("python",))
    assert (tmp_path / "step.py").exists()
    gradc.load(tmp_path)


def tree(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]


def test_saving_for_another_machine_removes_what_that_has_not(tmp_path: Path) -> None:
    kernel().save(tmp_path, format="lib", target="x86_64-linux", cpu="haswell")
    assert (tmp_path / "libstep.so").exists()
    kernel().save(tmp_path, format="lib", target="x86_64-windows", cpu="haswell")
    assert not (tmp_path / "libstep.so").exists()


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="all processors of x86-64 are served there alone")
def test_intermediate_code_of_processors_that_are_not_served_any_more_is_removed(tmp_path: Path) -> None:
    kernel().save(tmp_path, format="ir", target="x86_64-linux")
    kernel().save(tmp_path, format="ir", name="other")
    kernel().save(tmp_path, format="ir", name="step_avx512", cpu="haswell")
    kernel().save(tmp_path, format="ir", cpu="haswell")
    stems = ("other", "step", "step_avx512")
    assert sorted(contents(tmp_path)) == sorted(f"{stem}{end}" for stem in stems for end in (".bc", ".h", ".ll"))


def test_a_binding_that_was_changed_is_not_removed(tmp_path: Path) -> None:
    kernel(3).save(tmp_path, format="lib", bindings=("python",))
    with open(tmp_path / "step.py", "a") as file:
        file.write("my_own = 1\n")
    before = contents(tmp_path)
    with pytest.raises(ArgumentError, match=r"step\.py' belongs to what was saved here before.*was changed since"):
        kernel(4).save(tmp_path, format="lib")
    assert contents(tmp_path) == before


def test_what_another_library_of_the_directory_lists_stays(tmp_path: Path) -> None:
    gradc.Library("two").add(kernel()).add(kernel(), name="more").save(tmp_path)
    kernel().save(tmp_path, format="lib", name="two_more")
    gradc.Library("two").add(kernel()).save(tmp_path)
    gradc.load(tmp_path, name="two_more")
    gradc.load(tmp_path, name="two")


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt", "{folder}/outside.txt"])
def test_a_manifest_removes_nothing_outside_of_its_directory(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    (tmp_path / "build" / "a").mkdir(parents=True)
    manifest = {"gradc": gradc.__version__, "bindings": {name.format(folder=tmp_path): digest_of(b"kept")}}
    whole = {**manifest, "files": {}}
    seal = digest_of(json.dumps(whole, sort_keys=True).encode())
    (tmp_path / "build" / "step.json").write_text(json.dumps({**whole, "sha256": seal}))
    kernel().save(tmp_path / "build", format="lib")
    assert outside.read_text() == "kept"


@pytest.mark.skipif(os.name != "posix", reason="files are locked on POSIX systems")
@pytest.mark.parametrize("choices", [{"format": "lib", "bindings": ("rust",)}, {"format": "c"}, {"format": "py"}])
def test_temporary_files_of_processes_that_are_gone_are_removed(choices: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "build"
    kernel().save(folder, format="lib", bindings=("rust",), name="other")
    left = [folder / f".step.h.gradc-{7:016x}.tmp", folder / f".step.py.gradc-{7:016x}.tmp"]
    foreign = [folder / ".step.h.tmp", folder / f".step.h.gradc-{7:016x}.tmp.txt"]
    if "bindings" in choices:
        (folder / "step-rs").mkdir()
        left.append(folder / "step-rs" / f".lib.rs.gradc-{7:016x}.tmp")
    for file in (*left, *foreign):
        file.write_text("part")
    held = Temporary(b"of a process that lives", str(folder / "step.h"))
    kernel().save(folder / "step.py" if choices["format"] == "py" else folder, **choices)
    assert [file for file in left if file.exists()] == []
    assert all(file.exists() for file in foreign)
    assert Path(held.path).read_bytes() == b"of a process that lives"
    held.put()
    assert not Path(held.path).exists()


WRITER = """
import sys
from tests.artifacts.test_places import kernel
kernels = [kernel(size) for size in (3, 4, 5)]
print("ready", flush=True)
for k in range(int(sys.argv[2])):
    kernels[k % 3].save(sys.argv[1], format="lib")
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """``writer(9)``: a process that saves three kernels in turn into one directory, nine times in all."""
    made: list[subprocess.Popen[str]] = []

    def start(times: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "build"), str(times)]
        made.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]))
        assert made[-1].stdout is not None
        assert made[-1].stdout.readline() == "ready\n"
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="directories are locked on POSIX systems")
def test_a_process_waits_until_another_has_put_its_files(tmp_path: Path, writer: Callable[..., Any]) -> None:
    folder = tmp_path / "build"
    kernel(5).save(folder, format="lib")
    before = contents(folder)
    with _alone_in(str(folder)):
        process = writer(1)
        while len(contents(folder)) < 2 * len(before):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        assert process.poll() is None
        assert contents(folder).items() > before.items()
    assert process.wait(60) == 0
    after = contents(folder)
    kernel(3).save(tmp_path / "same", format="lib")
    assert after == contents(tmp_path / "same")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_process_that_is_killed_leaves_whole_files(tmp_path: Path, writer: Callable[..., Any]) -> None:
    folder = tmp_path / "build"
    known: dict[str, set[bytes]] = {}
    for size in (3, 4, 5):
        kernel(size).save(tmp_path / str(size), format="lib")
        for name, content in contents(tmp_path / str(size)).items():
            known.setdefault(name, set()).add(content)
    for moment in range(3):
        process = writer(10**6)
        while not folder.exists():
            time.sleep(0.01)
        time.sleep(0.1 + 0.037 * moment)
        process.kill()
        process.wait(60)
        found = {name: content for name, content in contents(folder).items() if not name.endswith(".tmp")}
        (folder / f".step.h.gradc-{moment:016x}.tmp").write_bytes(b"as if it was killed while it wrote")
        assert all(content in known[name] for name, content in found.items())
    kernel(4).save(folder, format="lib")
    assert contents(folder) == contents(tmp_path / "4")
    gradc.load(folder)


FULL = """
import resource, signal, sys
import gradc, numpy as np
kernel = gradc.grad(lambda x: np.sum(x * x), name="step").compile(gradc.aval("f64[4]"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    kernel.save(sys.argv[1], format=sys.argv[2])
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("form", ["c", "ir"])
def test_a_disk_that_takes_no_more_keeps_what_was_there(form: Any, tmp_path: Path) -> None:
    kernel(3).save(tmp_path, format=form)
    before = contents(tmp_path)
    command = [sys.executable, "-c", FULL, str(tmp_path), form]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert contents(tmp_path) == before
