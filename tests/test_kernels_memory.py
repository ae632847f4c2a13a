"""How much memory the kernels take."""

import weakref

import numpy as np
import pytest
import torch
from helpers import leaves
from kernel_helpers import make_kernel_network

from sknt.kernels import buffers
from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")


class Ledger:
    """The bytes that are in use at the same time."""

    def __init__(self, monkeypatch):
        self.now = self.most = 0
        take = buffers.take

        def counting(size, dtype):
            array = take(size, dtype)
            self.now += array.nbytes
            self.most = max(self.most, self.now)
            weakref.finalize(array, self.leave, array.nbytes)
            return array

        monkeypatch.setattr(buffers, "take", counting)

    def leave(self, n_bytes):
        self.now -= n_bytes


def test_a_long_training_step_uses_as_much_memory_as_its_checkpoints(monkeypatch):
    ledger = Ledger(monkeypatch)
    network = SequenceNetwork(9, 8)
    x = torch.randn(8, 2000, 9)
    outputs, state = network(x)
    n_state = sum(leaf[0].numel() for leaf in leaves(state))
    checkpoints = 45 * len(x) * n_state  # √2000 steps apart
    allowed = 3 * 4 * (x.numel() + outputs.numel() + checkpoints)
    del state
    outputs.sum().backward()
    # In addition there are the gradient of the outputs and what is returned.
    assert ledger.most + 4 * outputs.numel() < allowed


def test_prediction_uses_the_same_memory_for_any_number_of_steps(monkeypatch):
    ledger = Ledger(monkeypatch)
    network = make_kernel_network()
    most = []
    for n_steps in (10, 1000):
        ledger.most = ledger.now
        with torch.no_grad():
            network(torch.randn(4, n_steps, 3))
        most.append(ledger.most)
    assert most[0] == most[1]


def test_buffers_are_used_again_once_nothing_refers_to_them():
    first = buffers.take(12_345, np.float32)
    second = buffers.take(12_345, np.float32)
    assert not np.shares_memory(first, second)
    address = first.ctypes.data
    del first
    assert buffers.take(12_300, np.float32).ctypes.data == address
