"""Tasks shared among threads: each done once, and none goes on after an interrupt."""

import os
import signal
import sys
import threading
import time
import weakref
from collections import Counter

import pytest
from instructions import at_instruction, interrupt

from sknt.kernels import blocks

WAIT = 30.0
"""Seconds after which a test gives up on another thread."""


@pytest.mark.parametrize(("n_tasks", "threads"), [(1, 1), (1, 3), (7, 2), (2000, 4)])
def test_each_task_is_done_once_by_a_thread_that_there_is(n_tasks, threads):
    done = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        blocks.run(n_tasks, threads, lambda *arguments: done.append(arguments))
    finally:
        sys.setswitchinterval(interval)
    assert Counter(task for task, _, _ in done) == Counter(range(n_tasks))
    assert {n for _, n, _ in done} == {n_tasks}
    assert {thread for _, _, thread in done} <= set(range(threads))


def test_a_thread_is_never_in_two_tasks_at_once():
    inside, failures = Counter(), []

    def work(task, n_tasks, thread):
        inside[thread] += 1
        if inside[thread] != 1:
            failures.append(task)
        time.sleep(0)
        inside[thread] -= 1

    blocks.run(300, 3, work)
    assert failures == []


class Both:
    """A function in which two threads have to meet before the first of them goes on."""

    def __init__(self, first, second):
        self.actions = {0: first, 1: second}
        self.meeting = threading.Barrier(2, timeout=WAIT)
        self.began, self.ended = [], []

    def __call__(self, task, n_tasks, thread):
        self.began.append(task)
        if len(self.began) <= 2:
            self.meeting.wait()
            self.actions[thread]()
        self.ended.append(task)


def send_interrupt():
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_for_the_task_in_hand_and_leaves_out_the_rest():
    work = Both(send_interrupt, lambda: time.sleep(0.3))
    with pytest.raises(KeyboardInterrupt):
        blocks.run(1000, 2, work)
    assert len(work.began) == 2
    assert len(work.ended) == 1  # the other thread's
    time.sleep(0.1)
    assert len(work.began) == 2


def test_an_interrupt_while_waiting_for_others_is_neither_lost_nor_early():
    def send_interrupts():
        for _ in range(3):
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    work = Both(lambda: None, send_interrupts)
    with pytest.raises(KeyboardInterrupt):
        blocks.run(2, 2, work)
    assert sorted(work.ended) == [0, 1]


def fail():
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "actions", [(fail, lambda: time.sleep(0.1)), (lambda: time.sleep(0.1), fail)]
)
def test_an_error_in_any_thread_is_raised_once_all_have_stopped(actions):
    work = Both(*actions)
    with pytest.raises(ZeroDivisionError):
        blocks.run(1000, 2, work)
    assert len(work.began) < 1000
    assert len(work.ended) == len(work.began) - 1


def test_an_index_error_is_not_taken_for_the_end_of_the_tasks():
    def work(task, n_tasks, thread):
        raise IndexError("of the task")

    with pytest.raises(IndexError, match="of the task"):
        blocks.run(4, 2, work)


def test_nothing_refers_to_the_function_afterwards():
    """What it refers to are the arrays, which are to be used again at once."""

    class Function:
        def __call__(self, *_):
            pass

    for _ in range(300):
        function = Function()
        gone = weakref.ref(function)
        blocks.run(2, 3, function)
        del function
        assert gone() is None


def test_without_any_other_thread_the_calling_one_does_all(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(blocks, "_threads", [])
    done = []
    blocks.run(5, 3, lambda task, *_: done.append(task))
    assert done == [0, 1, 2, 3, 4]


def test_an_interrupt_at_any_instruction_is_raised_and_stops_the_threads():
    """Whatever it was in the middle of, the next call finds all as it should be."""
    n = 1
    while at_instruction(
        n, blocks.__file__, interrupt, lambda: blocks.run(6, 2, lambda *_: None)
    ):
        done = []
        blocks.run(6, 2, lambda task, *_, done=done: done.append(task))
        assert sorted(done) == list(range(6))
        n += 1
    assert n > 100
