"""The directory of entries: what is read, what is refused, what is removed, and what a disk that refuses does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gradc.backends.llvm import store as module
from gradc.backends.llvm.store import Store
from gradc.errors import CompileError

KEY = "0123456789abcdef" * 4
OTHER = "f" * 64
CONTENT = bytes(range(256)) * 3

WRITER = """
import sys
from gradc.backends.llvm.store import Store
kept = Store(sys.argv[1])
own = bytes([int(sys.argv[2])]) * 200_000
for _ in range(60):
    kept.put(sys.argv[3], own)
    found = kept.get(sys.argv[3])
    assert found is not None and len(found) == 200_000 and len(set(found)) == 1
"""


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "cache"))


def file_of(kept: Store, key: str = KEY) -> Path:
    return Path(kept.path, f"{key}.entry")


def test_what_was_put_is_got_and_belongs_to_this_user_alone(kept: Store) -> None:
    assert kept.get(KEY) is None
    kept.put(KEY, CONTENT)
    assert kept.get(KEY) == CONTENT
    assert Store(kept.path).get(KEY) == CONTENT
    assert kept.get(OTHER) is None
    assert Path(kept.path).stat().st_mode & 0o777 == 0o700
    assert file_of(kept).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in Path(kept.path).iterdir()] == [f"{KEY}.entry"]


def test_an_empty_entry_and_a_new_one_in_its_place(kept: Store) -> None:
    kept.put(KEY, b"")
    assert kept.get(KEY) == b""
    kept.put(KEY, CONTENT)
    assert kept.get(KEY) == CONTENT


def refused(kept: Store, content: bytes) -> None:
    """A file of this content is no entry: it is removed."""
    file_of(kept).write_bytes(content)
    assert kept.get(KEY) is None
    assert not file_of(kept).exists()


@pytest.mark.filterwarnings("ignore:the cache directory .* damaged")
def test_a_changed_bit_at_any_place_is_found(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    right = file_of(kept).read_bytes()
    for place in range(len(right)):
        refused(kept, right[:place] + bytes([right[place] ^ (1 << place % 8)]) + right[place + 1 :])


@pytest.mark.filterwarnings("ignore:the cache directory .* damaged")
def test_every_other_length_is_found(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    right = file_of(kept).read_bytes()
    for length in range(len(right)):
        refused(kept, right[:length])
    refused(kept, right + b"\0")
    refused(kept, right + right)


@pytest.mark.filterwarnings("ignore:the cache directory .* damaged")
@pytest.mark.parametrize("garbage", [b"", b"\0" * 4096, b"\x7fELF" + bytes(100), b"gradc entry 1\n", b"{}" * 1000])
def test_garbage_is_found(kept: Store, garbage: bytes) -> None:
    kept.put(KEY, CONTENT)
    refused(kept, garbage)


@pytest.mark.filterwarnings("ignore:the cache directory .* damaged")
def test_an_entry_under_the_name_of_another_is_found(kept: Store) -> None:
    kept.put(OTHER, CONTENT)
    kept.put(KEY, CONTENT)
    refused(kept, file_of(kept, OTHER).read_bytes())
    assert kept.get(OTHER) == CONTENT


def test_damage_is_told_once(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    file_of(kept).write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="an entry was damaged; it is removed and compiled anew") as told:
        assert kept.get(KEY) is None
    assert kept.path in str(told[0].message)
    file_of(kept).write_bytes(b"")
    assert kept.get(KEY) is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
def test_a_directory_that_others_can_write_is_refused(kept: Store, mode: int) -> None:
    kept.put(KEY, CONTENT)
    os.chmod(kept.path, mode)
    message = rf"the cache directory {kept.path} can be written by other users .*`chmod 700 {kept.path}`"
    with pytest.raises(CompileError, match=message):
        kept.get(KEY)
    with pytest.raises(CompileError, match=message):
        kept.put(OTHER, CONTENT)
    os.chmod(kept.path, 0o755)
    assert kept.get(KEY) == CONTENT
    assert kept.get(OTHER) is None


def test_nobody_is_told_to_close_a_directory_that_is_made_to_be_shared(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    os.chmod(kept.path, 0o1777)
    with pytest.raises(CompileError, match=r"is run; set GRADC_CACHE_DIR to a directory of your own \(chmod 700\)$"):
        kept.get(KEY)


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o666, 0o620])
def test_an_entry_that_others_can_write_is_refused(kept: Store, mode: int) -> None:
    kept.put(KEY, CONTENT)
    file_of(kept).chmod(mode)
    with pytest.raises(
        CompileError, match=rf"the cache entry {file_of(kept)} can be written .*`chmod 600 {file_of(kept)}`"
    ):
        kept.get(KEY)


def test_what_belongs_to_another_user_is_refused(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put(KEY, CONTENT)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(CompileError, match=rf"directory {kept.path} belongs to another user \(id {own}\).*chmod 700"):
        kept.get(KEY)
    with pytest.raises(CompileError, match="belongs to another user"):
        kept.put(KEY, CONTENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_entry_of_another_user_is_refused(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    os.chown(file_of(kept), 12345, -1)
    with pytest.raises(CompileError, match=rf"the cache entry {file_of(kept)} belongs to another user \(id 12345\)"):
        kept.get(KEY)


def test_a_symbolic_link_is_not_followed_and_gives_way(kept: Store, tmp_path: Path) -> None:
    kept.put(KEY, CONTENT)
    file_of(kept).rename(tmp_path / "elsewhere")
    file_of(kept).symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        assert kept.get(KEY) is None
    kept.put(KEY, b"new")
    assert kept.get(KEY) == b"new"
    assert (tmp_path / "elsewhere").read_bytes() == before


def test_a_directory_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Store(str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="cannot be used: Not a directory"):
        assert kept.get(KEY) is None
    kept.put(KEY, CONTENT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_still_gives_its_entries(kept: Store) -> None:
    kept.put(KEY, CONTENT)
    os.chmod(kept.path, 0o500)
    assert kept.get(KEY) == CONTENT
    with pytest.warns(RuntimeWarning, match="cannot be used: Permission denied"):
        kept.put(OTHER, CONTENT)


def test_a_full_disk_leaves_nothing_behind_and_is_told(kept: Store) -> None:
    program = """
import resource, sys, warnings
from gradc.backends.llvm.store import Store
kept = Store(sys.argv[1])
kept.put("a" * 64, b"x" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    kept.put("b" * 64, b"x" * 100_000)
    kept.put("c" * 64, b"x" * 100_000)
assert [str(w.message).split(": ", 1)[1] for w in told] == ["it cannot be used: File too large"], told
assert kept.get("a" * 64) == b"x" * 100 and kept.get("b" * 64) is None
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program, kept.path], check=True)
    assert [file.name for file in Path(kept.path).iterdir()] == [f"{'a' * 64}.entry"]


def test_processes_that_write_at_once_leave_a_whole_entry(kept: Store) -> None:
    start = [sys.executable, "-W", "error", "-c", WRITER, kept.path]
    writers = [subprocess.Popen([*start, str(number), KEY]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(set(kept.get(KEY) or b"")) == 1
    assert [file.name for file in Path(kept.path).iterdir()] == [f"{KEY}.entry"]


def test_threads_that_write_at_once(kept: Store) -> None:
    failures = []

    def work(number: int) -> None:
        for turn in range(30):
            kept.put(KEY, bytes([number]) * 1000)
            found = kept.get(KEY)
            if found is None or len(found) != 1000 or len(set(found)) != 1:
                failures.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_entries_not_used_for_longest_go_first(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    now = time.time()
    keys = [f"{k:064x}" for k in range(8)]
    for age, key in enumerate(keys):
        kept.put(key, bytes(1000))
        os.utime(file_of(kept, key), (now - 1000 + age, now - 1000 + age))
    assert kept.get(keys[0]) == bytes(1000)
    for key in (f"{k:064x}" for k in range(8, 11)):
        kept.put(key, bytes(1000))
    left = {file.name.removesuffix(".entry") for file in Path(kept.path).iterdir()}
    assert sum(file.stat().st_size for file in Path(kept.path).iterdir()) <= 10_000
    assert keys[0] in left
    assert keys[1] not in left
    assert f"{10:064x}" in left


def test_an_entry_larger_than_the_bound_is_not_kept(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    kept.put(KEY, bytes(10_000))
    assert kept.get(KEY) is None


def test_only_files_of_the_cache_are_ever_removed(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(kept.path, 0o700)
    letters = Path(kept.path, "letters.txt")
    abandoned = Path(kept.path, f"{KEY}.0123456789abcdef.unfinished")
    in_progress = Path(kept.path, f"{OTHER}.0123456789abcdef.unfinished")
    for file in (letters, abandoned, in_progress):
        file.write_bytes(bytes(20_000))
    os.utime(letters, (0, 0))
    os.utime(abandoned, (0, 0))
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    for k in range(12):
        kept.put(f"{k:064x}", bytes(1000))
    assert letters.exists()
    assert in_progress.exists()
    assert not abandoned.exists()
