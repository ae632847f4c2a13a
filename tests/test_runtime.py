"""What is global in a process is afterwards as it was before."""

import gc
import signal
import threading

import pytest
import torch

from sknt import _runtime
from sknt._runtime import n_threads, seeded_construction, single_threaded


@pytest.fixture(autouse=True)
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


class Other:
    """Another thread, which does what it is told, step by step."""

    def __init__(self):
        self.told, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def __call__(self, function):
        self.function = function
        self.told.release()
        assert self.done.acquire(timeout=30)
        return self.result

    def _work(self):
        while True:
            self.told.acquire()
            self.result = self.function()
            self.done.release()


@pytest.mark.parametrize("known", [True, False], ids=["known-to-torch", "new-to-torch"])
@pytest.mark.parametrize("first_out", [True, False], ids=["first-out", "last-out"])
def test_each_thread_has_its_number_of_threads_back_in_any_order(known, first_out):
    other, own, others = Other(), single_threaded(), single_threaded()
    if known:
        assert other(torch.get_num_threads) == 3
    own.__enter__()
    other(others.__enter__)
    assert torch.get_num_threads() == other(torch.get_num_threads) == 1
    assert n_threads() == other(n_threads) == 1
    leaving = [
        lambda: own.__exit__(None, None, None),
        lambda: other(lambda: others.__exit__(None, None, None)),
    ]
    for leave in leaving if first_out else reversed(leaving):
        leave()
    assert torch.get_num_threads() == other(torch.get_num_threads) == 3
    assert n_threads() == other(n_threads) == Other()(torch.get_num_threads) == 3


def test_a_part_within_a_part_is_not_counted_twice():
    with single_threaded():
        with single_threaded():
            assert n_threads() == 3
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_an_error_inside_leaves_all_as_it_was():
    state = torch.get_rng_state()
    with (
        pytest.raises(ZeroDivisionError),
        single_threaded(),
        seeded_construction(),
    ):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3
    assert torch.equal(torch.get_rng_state(), state)


def interrupt_often(work, n_times=200):
    """Interrupt some work again and again, as the operating system does it."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    n_interrupts = 0
    try:
        while n_interrupts < n_times:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 + 1e-6 * n_interrupts)
                while True:
                    work()
            except KeyboardInterrupt:
                n_interrupts += 1
    finally:
        signal.signal(signal.SIGALRM, before)


def is_open(lock):
    def acquire_and_release():
        if acquired := lock.acquire(timeout=30):
            lock.release()
        return acquired

    return Other()(acquire_and_release)


needs_timers = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="there are no timers"
)


@needs_timers
def test_interrupts_leave_the_number_of_threads_as_it_was_and_its_lock_open():
    def work():
        with single_threaded():
            n_threads()

    interrupt_often(work)
    assert n_threads() == 3  # which also mends what an interrupt left undone
    assert torch.get_num_threads() == 3
    assert is_open(_runtime._thread_lock)


@needs_timers
def test_interrupts_leave_the_random_state_as_it_was_and_its_lock_open():
    def work():
        with seeded_construction():
            pass

    state = torch.get_rng_state()
    interrupt_often(work)
    assert torch.equal(torch.get_rng_state(), state)
    assert is_open(_runtime._random_lock)


def test_a_part_that_an_interrupt_left_open_is_not_counted_for_ever():
    part = single_threaded()
    part.__enter__()
    del part  # as by an interrupt between its last instruction and the block
    gc.collect()
    assert n_threads() == 3
    assert torch.get_num_threads() == 3
