"""The cache of compiled functions: whatever is wrong with it, the function runs."""

import importlib.util
import logging
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numba
import pytest
from helpers import in_subprocess

import sknt
from sknt.kernels import _compile

SOURCE = "def multiple(x):\n    return {} * x\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A cache of each test's own, in a process that has said nothing yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(_compile, "_said", set())
    return tmp_path


@pytest.fixture
def make(place, monkeypatch):
    """Return a function that acts as a new process: it compiles or loads anew."""

    def make_entry(factor=2):
        path = place / "module.py"
        path.write_text(SOURCE.format(factor))
        spec = importlib.util.spec_from_file_location("module", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "module", module)
        spec.loader.exec_module(module)
        return _compile.entry(module.multiple)

    return make_entry


def call(entry, x=3.0):
    """Call an entry, check its result and say whether it was loaded."""
    assert entry(x) == 2 * x
    return bool(sum(entry.stats.cache_hits.values()))


def files(place, pattern):
    return list(place.glob(f"cache/**/{pattern}"))


def test_a_compiled_function_is_loaded_by_the_next_process(make, caplog):
    assert not call(make())
    assert call(make())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name == "sknt"
    assert "is compiling the fused kernels" in record.getMessage()


DAMAGES = {
    "empty": lambda old: b"",
    "garbage": lambda old: b"damaged",
    "asks for all memory": lambda old: b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0f",
    "cut off": lambda old: old[: len(old) // 2],
    "zeros at the end": lambda old: old[: len(old) // 2] + bytes(len(old) - len(old) // 2),
}


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_written_anew(place, make, pattern, damage):
    call(make())
    (path,) = files(place, pattern)
    path.write_bytes(damage(path.read_bytes()))
    assert not call(make())
    assert call(make())


@pytest.mark.slow
def test_no_byte_of_the_code_may_be_another(place, make):
    call(make())
    (path,) = files(place, "*.nbc")
    whole = path.read_bytes()
    for i in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert not call(make())


def test_the_cache_of_another_numba_is_written_anew(place, make, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(numba, "__version__", "0.1")
        call(make())
    assert not call(make())
    assert call(make())


def test_code_of_older_sources_is_not_taken_for_that_of_newer_ones(make, monkeypatch):
    """A process that was killed after it wrote the index, which is the first thing."""
    with monkeypatch.context() as older:
        older.setattr(_compile, "_source_stamp", lambda: "older")
        assert make(factor=5)(1.0) == 5.0
    with monkeypatch.context() as killed:
        entry = make()
        killed.setattr(entry._cache._cache_file, "_save_data", lambda *_: None)
        call(entry)
    assert not call(make())
    assert call(make())


def test_code_for_other_types_is_not_taken_where_two_wrote_at_once(make):
    entry = make()
    call(entry, 3.0)
    cache = entry._cache
    (key,) = cache._cache_file._load_index()
    (integers,) = (make().typeof_pyval(3),)
    name = cache._cache_file._load_index()[key]
    cache._cache_file._save_index({((integers,), *key[1:]): name})
    assert not call(make(), 3)
    assert call(make(), 3)


@contextmanager
def full_disk():
    """Let no file grow beyond some bytes, as the operating system does it."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_there_is_one_warning_and_what_is_kept_stays(make, caplog):
    call(make(), 3.0)
    with full_disk():
        for _ in range(2):
            assert not call(make(), 3)
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot keep the compiled kernels" in message for message in said) == 1
    assert "File too large" in said[-1]
    assert call(make(), 3.0)
    assert not call(make(), 3)
    assert call(make(), 3)


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc", "*.lock"])
def test_a_directory_in_the_place_of_a_file_is_done_without(place, make, pattern, caplog):
    call(make())
    (path,) = files(place, pattern)
    path.unlink()
    path.mkdir()
    for index in set(files(place, "*.nbi")) - {path}:
        index.write_bytes(b"")
    for _ in range(2):
        loaded = call(make())
    assert loaded is (pattern == "*.lock")
    n_warnings = sum("cannot keep" in record.getMessage() for record in caplog.records)
    assert n_warnings == (pattern != "*.lock")


def test_a_directory_that_goes_away_is_made_again(place, make):
    entry = make()
    for path in sorted(place.glob("cache/**"), reverse=True):
        path.rmdir()
    assert not call(entry)
    assert call(make())


def test_without_any_place_that_is_said_once_and_so_is_compiling(
    place, make, caplog, monkeypatch
):
    monkeypatch.setattr(_compile._CacheFiles, "_locator_classes", [_compile._UserProvided])
    (place / "cache").write_text("in the way")
    for _ in range(3):
        assert not call(make())
    (record,) = caplog.records
    assert "is compiling the fused kernels" in record.getMessage()
    assert "set NUMBA_CACHE_DIR" in record.getMessage()


def test_threads_compile_once(make):
    entry, together = make(), threading.Barrier(4)
    results = []

    def work():
        together.wait()
        results.append(entry(3.0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [6.0] * 4
    assert sum(entry.stats.cache_misses.values()) == 1


class Locked:
    """The lock of an entry in other hands, by another descriptor of its file."""

    def __init__(self, entry):
        self.path = Path(entry._cache._lock_path)

    def __enter__(self):
        fcntl = pytest.importorskip("fcntl")
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *_):
        os.close(self.descriptor)


def test_whoever_holds_the_lock_for_too_long_is_waited_for_no_more(
    make, monkeypatch, caplog
):
    monkeypatch.setattr(_compile, "WAIT_SECONDS", 0.1)
    with Locked(make()):
        assert not call(make())
    assert ["waiting" in record.getMessage() for record in caplog.records] == [True, False]
    assert call(make())


def test_the_lock_is_open_after_an_error_and_after_an_interrupt(make, monkeypatch):
    for error in (ZeroDivisionError, KeyboardInterrupt):
        entry = make()

        def fail(*arguments, error=error):
            raise error

        monkeypatch.setattr(entry._compiler, "compile", fail)
        with pytest.raises(error):
            entry(3.0)
        with Locked(entry):
            pass
        assert _compile._compiling == {}


@pytest.mark.slow
def test_kernels_are_kept_where_the_package_cannot_be_written_to(tmp_path):
    package = tmp_path / "site" / "sknt"
    shutil.copytree(
        Path(sknt.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "kernels" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    env = {"PYTHONPATH": str(package.parent), "HOME": str(home), "NUMBA_CACHE_DIR": ""}
    env["XDG_CACHE_HOME"] = str(home / ".cache")
    code = """
        import sknt, torch
        from sknt.nn import SequenceNetwork
        with torch.no_grad():
            SequenceNetwork(3, 2)(torch.zeros(1, 2, 3))
        from sknt.kernels import contract
        passes = contract.loaded["sknt.kernels.memories.ntm"]
        print(sknt.__file__, sum(passes.forward.stats.cache_hits.values()))
    """
    first, second = (in_subprocess(code, cwd=tmp_path, **env) for _ in range(2))
    assert first.stdout.split() == [str(package / "__init__.py"), "0"]
    assert second.stdout.split()[1] == "1"
    assert first.stderr.count("is compiling the fused kernels") == 1
    assert str(home) in first.stderr
    assert "compiling" not in second.stderr
