"""Processes that need the same compiled function at once: one compiles it."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

SLOW = """
import os, sys, time
from sknt.kernels import _compile

@_compile.entry
def twice(x):
    return 2 * x

def pause(*arguments, compile=twice._compiler.compile):
    '''Compile, and then wait until a line is read.'''
    result = compile(*arguments)
    print("compiling", flush=True)
    sys.stdin.readline()
    return result

twice._compiler.compile = pause
print("ready", flush=True)
assert twice(3.0) == 6.0
print("loaded" if twice.stats.cache_hits else "compiled", flush=True)
"""


class Process:
    """One that compiles a function, or waits for another that does."""

    def __init__(self, place):
        (place / "slow.py").write_text(SLOW)
        code = f"import sys; sys.path.append({str(place)!r}); import slow"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(place / "cache")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def expect(self, line):
        assert self.process.stdout.readline().strip() == line, self.process.stderr.read()

    def expect_log(self, words):
        line = self.process.stderr.readline()
        assert words in line

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        """Wait for the end and return what was written, and the exit status."""
        out, error = self.process.communicate(timeout=300)
        return out.split(), error, self.process.returncode


@pytest.fixture
def start(tmp_path):
    started = []

    def start_process():
        started.append(Process(tmp_path))
        return started[-1]

    yield start_process
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture
def two(start):
    """One process in the middle of compiling, and another that waits for it."""
    first = start()
    first.expect("ready")
    first.expect("compiling")
    second = start()
    second.expect("ready")
    second.expect_log("waiting for another process")
    return first, second


def test_the_second_waits_and_loads_what_the_first_has_compiled(two):
    first, second = two
    first.go_on()
    assert first.end()[0] == ["compiled"]
    out, error, status = second.end()
    assert (out, error, status) == (["loaded"], "", 0)


def test_the_second_goes_on_when_the_first_is_killed(two):
    first, second = two
    first.process.kill()
    second.expect("compiling")
    second.go_on()
    assert second.end()[0] == ["compiled"]


def test_one_that_was_killed_leaves_nothing_in_the_way(start):
    first = start()
    first.expect("ready")
    first.expect("compiling")
    first.process.kill()
    first.process.wait()
    for result in ("compiled", "loaded"):
        other = start()
        other.expect("ready")
        if result == "compiled":
            other.expect("compiling")
            other.go_on()
        out, error, status = other.end()
        assert (out, status) == ([result], 0)
        assert "waiting" not in error


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_one_that_waits_can_be_interrupted(two):
    first, second = two
    second.process.send_signal(signal.SIGINT)
    out, error, status = second.end()
    assert out == []
    assert error.strip().endswith("KeyboardInterrupt")
    assert status == -signal.SIGINT
    first.go_on()
    assert first.end()[0] == ["compiled"]


def test_two_first_fits_at_once_compile_once(tmp_path):
    code = """
        import numpy as np
        from sknt import NTMSequenceClassifier
        model = NTMSequenceClassifier(memory_size=8, max_epochs=1, random_state=0)
        model.fit(np.eye(6), [0, 1] * 3)
        from sknt.kernels import contract, gradients
        passes = contract.loaded["sknt.kernels.memories.ntm"]
        for entry in (passes.forward, passes.backward, gradients.weight_gradients):
            print(sum(entry.stats.cache_misses.values()))
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    n_compiled = [process.communicate(timeout=300)[0].split() for process in processes]
    assert [sum(map(int, both)) for both in zip(*n_compiled, strict=True)] == [1, 1, 1]
