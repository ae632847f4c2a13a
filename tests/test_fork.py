"""Forks while other threads are at work: the child is as good as a new process."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.slow,
]

PREAMBLE = """
import faulthandler, os, signal, sys, threading, time, traceback
import torch
torch.set_num_threads(3)
from sknt._runtime import n_threads, seeded_construction, single_threaded

def fork(work, seconds=60):
    '''Run some work in a child, and fail if it fails or hangs.'''
    child = os.fork()
    if not child:
        faulthandler.dump_traceback_later(seconds - 5)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, status
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")

def repeat(work):
    threading.Thread(target=lambda: [work() for _ in iter(int, 1)], daemon=True).start()

def inside(context):
    '''Let another thread be inside a context; call what is returned to let it go.'''
    entered, leave = threading.Event(), threading.Event()
    def work():
        with context():
            entered.set()
            leave.wait()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    entered.wait()
    return lambda: (leave.set(), thread.join())
"""


def run(code):
    """Run in a process of its own: forks of a process with threads raise a warning."""
    code = PREAMBLE + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code + "\nos._exit(0)"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_children_run_kernels_while_threads_of_the_parent_run_them():
    run(
        """
        from functools import partial
        from sknt.kernels import blocks
        from sknt.nn import SequenceNetwork
        # Each has its own, and draws no random numbers: torch's locks are for torch.
        networks = [SequenceNetwork(3, 2, memory_size=8) for _ in range(4)]
        x = torch.randn(40, 5, 3)
        def work(network=networks[0]):
            with single_threaded():
                network(x)[0].sum().backward()
        def work_with_others():
            work()
            ran = set()
            blocks.run(50, 3, lambda *a: (ran.add(a[2]), time.sleep(0.01)))
            assert ran == {0, 1, 2}, ran
        work()
        for network in networks[1:]:
            repeat(partial(work, network))
        for _ in range(30):
            fork(work_with_others)
        """
    )


def test_children_take_buffers_while_threads_of_the_parent_take_them():
    run(
        """
        from sknt.kernels import buffers
        def work():
            held = [buffers.take(1000 * i, "f4") for i in range(5)]
        for _ in range(3):
            repeat(work)
        for _ in range(30):
            fork(work)
        """
    )


def test_children_build_networks_while_a_thread_of_the_parent_does():
    run(
        """
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        state = torch.default_generator.get_state()
        def work():
            with seeded_construction():
                return torch.nn.Linear(300, 300)
        def check_and_work():
            assert torch.get_default_dtype() == torch.float64
            assert torch.equal(torch.default_generator.get_state(), state)
            assert work().weight.dtype == torch.float32
        repeat(work)
        for _ in range(30):
            fork(check_and_work)
        """
    )


def test_a_thread_that_is_single_threaded_in_the_parent_is_not_counted_in_the_child():
    run(
        """
        def work():
            with single_threaded():
                assert torch.get_num_threads() == 1
                assert n_threads() == 3
            assert n_threads() == torch.get_num_threads() == 3
        def only_ask():
            assert n_threads() == torch.get_num_threads() == 3
        leave = inside(single_threaded)
        fork(work)
        fork(only_ask)
        assert n_threads() == 3
        leave()
        """
    )


def test_a_fork_inside_a_single_threaded_part_stays_inside():
    run(
        """
        def work():
            assert torch.get_num_threads() == 1
            assert n_threads() == 3
        leave = inside(single_threaded)
        with single_threaded():
            fork(work)
        def leave_in_the_child():
            context.__exit__(None, None, None)
            assert n_threads() == torch.get_num_threads() == 3
        context = single_threaded()
        context.__enter__()
        fork(leave_in_the_child)
        """
    )


def test_modules_that_fork_while_they_are_built_do_not_hang():
    run(
        """
        with seeded_construction():
            fork(lambda: seeded_construction().__enter__())
        """
    )


def test_a_child_forked_while_a_thread_compiles_runs_the_reference_path():
    run(
        """
        import pytest
        from sknt.kernels import _compile, contract
        from sknt.nn import SequenceNetwork
        compiling, go_on = threading.Event(), threading.Event()
        def pause(*arguments):
            compiling.set()
            go_on.wait()
            raise ZeroDivisionError
        network, x = SequenceNetwork(3, 2, memory_size=8), torch.randn(4, 5, 3)
        expected = network(x)[0]
        def work():
            with pytest.warns(RuntimeWarning, match="forked while another thread compiled"):
                outputs = network(x)[0]
            torch.testing.assert_close(outputs, expected)
            with pytest.raises(ImportError, match="forked while another thread compiled"):
                SequenceNetwork(3, 2, backend="fused")
        passes = contract.loaded["sknt.kernels.memories.ntm"]
        passes.forward._cache = _compile._NoCache(None)
        passes.forward._compiler.compile = pause
        def compile_for_other_types():
            with pytest.raises(ZeroDivisionError):
                SequenceNetwork(3, 2, memory_size=8).double()(x.double())
        other = threading.Thread(target=compile_for_other_types)
        other.start()
        compiling.wait()
        with single_threaded():
            fork(work)
        go_on.set()
        other.join()
        assert torch.equal(network(x)[0], expected)
        """
    )
