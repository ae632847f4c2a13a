"""The compiled kernels on disk: kept once for all processes, and never in the way."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from helpers import in_subprocess

import sknt

TINY = """
    import logging, pathlib, sys, time
    from sknt.kernels import _compile

    @_compile.entry
    def double(x):
        return x + x

    @_compile.entry
    def triple(x):
        return x + x + x

    def slowly(seconds):
        compile_ = double._compiler.compile

        def counted(*args):
            with open("compiled", "a") as file:
                file.write("x")
            pathlib.Path("compiling").touch()
            time.sleep(seconds)
            return compile_(*args)

        double._compiler.compile = counted
"""
"""Two kernels that compile quickly, one of them as slowly as a test wants it."""

RUN = (
    "from tiny import *; print(double(3), triple(3), sum(double.stats.cache_hits.values()))"
)


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.py").write_text(textwrap.dedent(TINY))
    return tmp_path


def environment(folder):
    return {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}


def run(folder, code=RUN):
    return in_subprocess(code, cwd=folder, **environment(folder))


@pytest.fixture
def start():
    """Start processes, which are killed at the end of the test if they still run."""
    started = []

    def start_one(folder, code):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(folder)},
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        if not process.stdout.closed:
            process.communicate()


def kernel_files(folder, ending):
    return sorted((folder / "cache").rglob(f"*double*.{ending}"))


def wait_for(path):
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} does not appear")


def test_kernels_are_compiled_once_and_said_so_once(tiny):
    first, second = run(tiny), run(tiny)
    assert first.stdout.split() == ["6", "9", "0"]
    assert first.stderr.count("Compiling the kernels") == 1
    assert str(tiny / "cache") in first.stderr
    assert second.stdout.split() == ["6", "9", "1"]
    assert second.stderr == ""


def test_the_word_about_compiling_can_be_silenced(tiny):
    silent = 'import logging; logging.getLogger("sknt").setLevel(logging.ERROR);'
    assert run(tiny, silent + RUN).stderr == ""


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x80\x05garbage" * 99),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_damaged_files_are_written_anew(tiny, ending, damage):
    run(tiny)
    (path,) = kernel_files(tiny, ending)
    DAMAGE[damage](path)
    again = run(tiny)
    assert again.stdout.split() == ["6", "9", "0"]
    assert again.stderr.count("Compiling the kernels") == 1
    assert run(tiny).stdout.split() == ["6", "9", "1"]


def test_what_cannot_be_mended_costs_time_alone(tiny):
    run(tiny)
    (path,) = kernel_files(tiny, "nbi")
    path.unlink()
    path.mkdir()
    for _ in range(2):
        again = run(tiny)
        assert again.stdout.split() == ["6", "9", "0"]
        assert again.stderr.count("could not be kept") == 1


def test_a_full_disk_costs_time_alone(tiny):
    full = """
        from numba.core import caching
        def no_space(*args):
            raise OSError(28, "No space left on device")
        caching.IndexDataCacheFile._open_for_write = no_space
    """
    result = run(tiny, textwrap.dedent(full) + RUN)
    assert result.stdout.split() == ["6", "9", "0"]
    assert result.stderr.count("could not be kept") == 1
    assert "No space left on device" in result.stderr


def test_without_any_place_to_write_to_it_is_said_once(tiny):
    nowhere = (
        "from sknt.kernels import _compile; _compile._CacheFiles._locator_classes = []; "
    )
    result = run(tiny, nowhere + RUN)
    assert result.stdout.split()[:2] == ["6", "9"]
    assert result.stderr.count("cannot be kept") == 1
    assert result.stderr.count("Compiling the kernels") == 1
    assert "NUMBA_CACHE_DIR" in result.stderr


def test_where_there_are_no_locks_each_process_compiles(tiny):
    (tiny / "cache").mkdir()
    without = """
        import filelock
        def no_locks(*args, **kwargs):
            raise NotImplementedError("no locks here")
        filelock.FileLock.acquire = no_locks
    """
    assert run(tiny, textwrap.dedent(without) + RUN).stdout.split() == ["6", "9", "0"]


SLOWLY = "from tiny import *; slowly({}); print(double(3))"


def test_of_two_processes_one_compiles_and_the_other_waits(tiny, start):
    first = start(tiny, SLOWLY.format(3))
    wait_for(tiny / "compiling")
    second = start(tiny, SLOWLY.format(3))
    results = [process.communicate(timeout=120) for process in (first, second)]
    assert [out for out, _ in results] == ["6\n", "6\n"]
    assert (tiny / "compiled").read_text() == "x"
    assert "Waiting for another process" not in results[0][1]
    assert results[1][1].count("Waiting for another process") == 1
    assert "Compiling the kernels" not in results[1][1]


def test_a_process_that_is_killed_while_it_compiles_leaves_nothing_stuck(tiny, start):
    first = start(tiny, SLOWLY.format(100))
    wait_for(tiny / "compiling")
    second = start(tiny, SLOWLY.format(0))
    time.sleep(2)
    assert second.poll() is None  # it waits
    first.kill()
    out, _ = second.communicate(timeout=60)
    first.communicate()
    assert out == "6\n"
    assert (tiny / "compiled").read_text() == "xx"


def test_whoever_waits_can_be_interrupted(tiny, start):
    start(tiny, SLOWLY.format(100))
    wait_for(tiny / "compiling")
    second = start(tiny, SLOWLY.format(0))
    assert "Waiting for another process" in second.stderr.readline()
    second.send_signal(signal.SIGINT)
    _, error = second.communicate(timeout=60)
    assert "KeyboardInterrupt" in error


def test_a_compilation_that_is_interrupted_frees_the_lock(tiny, start):
    code = """
        import os, signal, threading
        from tiny import *
        slowly(100)
        threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            double(3)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            time.sleep(100)
    """
    first = start(tiny, code)
    assert first.stdout.readline() == "interrupted\n"
    assert run(tiny).stdout.split() == ["6", "9", "0"]


def test_another_process_is_not_waited_for_for_ever(tiny, start):
    start(tiny, SLOWLY.format(100))
    wait_for(tiny / "compiling")
    code = "from tiny import *; _compile.LONGEST_WAIT = 1.0; print(double(3))"
    assert run(tiny, code).stdout == "6\n"


@pytest.mark.parametrize("backend", ["auto", "fused"])
def test_without_compilation_auto_takes_the_reference_path_and_warns_once(backend):
    code = f"""
        import warnings
        import numpy as np, pytest
        from sknt import NTMSequenceClassifier
        X, y = np.random.RandomState(0).normal(size=(12, 4, 2)), [0, 1] * 6
        model = NTMSequenceClassifier(memory_size=4, max_epochs=1, backend="{backend}")
        if "{backend}" == "fused":
            with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT is set.*use 'auto'"):
                model.fit(X, y)
        else:
            with pytest.warns(RuntimeWarning, match="NUMBA_DISABLE_JIT.*Unset it"):
                model.fit(X, y)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                model.fit(X, y).predict(X)
            assert model.backend_ == "reference"
    """
    in_subprocess(code, NUMBA_DISABLE_JIT="1")


FIRST_FIT = """
    import numpy as np
    from sknt import NTMSequenceClassifier
    X, y = np.random.RandomState(0).normal(size=(12, 4, 2)), [0, 1] * 6
    model = NTMSequenceClassifier(memory_size=4, max_epochs=1, random_state=0).fit(X, y)
    print(model.backend_, model.predict_proba(X).tobytes().hex())
"""


@pytest.mark.slow
def test_two_first_fits_at_once_compile_once_and_are_the_same(tmp_path, start):
    processes = [start(tmp_path, FIRST_FIT) for _ in range(2)]
    results = [process.communicate(timeout=600) for process in processes]
    assert results[0][0] == results[1][0]
    assert results[0][0].startswith("fused ")
    errors = "".join(error for _, error in results)
    assert 1 <= errors.count("Compiling the kernels") <= 2
    # Each kernel was compiled by one process alone, whichever came first.
    assert all(
        len(list(path.parent.glob(path.stem + ".*.nbc"))) == 1
        for path in (tmp_path / "cache").rglob("*.nbi")
    )


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
        from sknt.kernels import sequences
        print(sknt.__file__, sum(sequences.forward.stats.cache_hits.values()))
    """
    first, second = (in_subprocess(code, cwd=tmp_path, **env) for _ in range(2))
    assert first.stdout.split() == [str(package / "__init__.py"), "0"]
    assert second.stdout.split()[1] == "1"
    assert first.stderr.count("Compiling the kernels") == 1
    assert str(home) in first.stderr
    assert "Compiling" not in second.stderr
