"""Buffers of the kernels: never handed out twice, whatever comes between two steps."""

import gc
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from helpers import in_subprocess
from instructions import at_instruction, interrupt

from sknt.kernels import buffers


@pytest.fixture(autouse=True)
def _no_others(monkeypatch):
    monkeypatch.setattr(buffers, "_kept", {})


def take(n_bytes):
    return buffers.take(n_bytes, np.uint8)


def address(array):
    return array.ctypes.data


def test_arrays_are_aligned_and_as_long_as_wanted():
    for size in (0, 1, 7, 5000):
        for dtype in (np.float32, np.float64):
            array = buffers.take(size, dtype)
            assert array.shape == (size,)
            assert array.dtype == dtype
            assert address(array) % buffers.ALIGNMENT == 0
            array[:] = 1


def test_a_view_keeps_the_memory_in_use():
    array = take(10_000)
    view = array[100:].reshape(-1, 2)[5:].T
    used = address(array)
    del array
    assert not np.shares_memory(take(10_000), view)
    del view
    assert address(take(10_000)) == used


def test_memory_in_a_reference_cycle_is_used_again_once_it_is_collected():
    gc.collect()
    gc.disable()
    try:
        cycle = [take(10_000)]
        cycle.append(cycle)
        used = address(cycle[0])
        del cycle
        assert address(take(10_000)) != used
        gc.collect()
        assert address(take(10_000)) == used
    finally:
        gc.enable()


def test_what_a_finalizer_brings_back_to_life_is_not_handed_out_again():
    saved = []

    class Saver:
        def __del__(self):
            saved.append(self.array)

    saver = Saver()
    saver.array, saver.itself = buffers.take(10_000, np.uint8), saver
    del saver
    gc.collect()
    assert not np.shares_memory(take(10_000), saved[0])


def test_letting_go_runs_no_code_in_which_an_interrupt_could_be_lost():
    array = buffers.take(10_000, np.uint8)
    called = []
    sys.setprofile(lambda frame, event, _: called.append((event, frame.f_code.co_name)))
    try:
        del array
    finally:
        sys.setprofile(None)
    assert [name for event, name in called if event == "call"] == []


def kept_bytes(work):
    """Return by how much memory has grown after some work, of what NumPy allocates."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [10_000, 700_000])
def test_no_more_is_kept_than_the_limits(monkeypatch, size):
    monkeypatch.setattr(buffers, "KEPT_BYTES", 2_000_000)

    def work():
        held = [take(size) for _ in range(100)]
        del held

    most = min(2_000_000, 2 * size * buffers.KEPT_ARRAYS)
    assert size < kept_bytes(work) <= most


def test_memory_above_the_limit_does_not_push_out_the_rest(monkeypatch):
    monkeypatch.setattr(buffers, "KEPT_BYTES", 2_000_000)
    used = address(take(10_000))
    take(3_000_000)
    assert address(take(10_000)) == used


def test_arrays_that_are_held_for_long_do_not_keep_others_from_being_used_again():
    held = [take(10_000) for _ in range(2 * buffers.KEPT_ARRAYS)]
    used = address(take(10_000))
    assert address(take(10_000)) == used
    assert len({address(array) for array in held}) == len(held)


def test_threads_never_share_memory():
    failures = []

    def work(own):
        rng = np.random.RandomState(own)
        for _ in range(400):
            held = [take(int(rng.randint(1, 50)) * 1000) for _ in range(4)]
            for array in held:
                array[:] = own
            if any((array != own).any() for array in held):
                failures.append(own)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(own,)) for own in range(1, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


def test_an_interrupt_anywhere_leaves_nothing_taken_and_nothing_locked():
    n, reached = 0, True
    while reached:
        n += 1
        buffers._kept.clear()
        first, second = take(10_000), take(20_000)
        del first, second
        reached = at_instruction(n, buffers.__file__, interrupt, lambda: take(10_000))
        arrays = [take(10_000), take(10_000)]
        assert not np.shares_memory(*arrays)
        del arrays
        for kept in buffers._kept.values():
            assert kept.array() is None
    assert n > 50


def test_what_runs_in_between_never_gets_the_same_memory():
    """A collection of garbage may run other finalizers anywhere, and those a network."""
    n = 1
    while True:
        buffers._kept.clear()
        first, second = take(10_000), take(10_000)
        del first, second
        arrays = []

        def take_one(arrays=arrays):
            arrays.append(take(10_000))

        if not at_instruction(n, buffers.__file__, take_one, take_one):
            break
        assert not np.shares_memory(*arrays)
        n += 1
    assert n > 50


@pytest.mark.slow
def test_outputs_in_reference_cycles_do_not_hang():
    code = """
        import gc, torch
        from sknt.nn import SequenceNetwork
        network = SequenceNetwork(3, 2, memory_size=8)
        x = torch.randn(4, 5, 3)
        def step():
            try:
                outputs, _ = network(x)
                raise ValueError
            except ValueError as error:
                caught = error
        for n in range(1, 150):  # they are collected at the n-th allocation of a step
            gc.disable()
            step()
            gc.set_threshold(gc.get_count()[0] + n)
            gc.enable()
            step()
    """
    in_subprocess(code)
