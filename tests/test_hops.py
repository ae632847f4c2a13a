"""A memory that asks the network to take each step several times."""

import pytest
import torch
from dntm_helpers import make_dntm
from foreign_memories import ShiftRegister
from helpers import leaves
from torch.testing import assert_close

from sknt.memories import MEMORIES, make_memory
from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")


class Patient(ShiftRegister):
    """A shift register that takes several hops."""

    def __init__(self, *sizes, n_hops=1):
        super().__init__(*sizes)
        self.n_hops = n_hops


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setitem(MEMORIES, "patient", Patient)


def make_network(n_hops, **options):
    torch.manual_seed(1)
    return SequenceNetwork(
        3,
        2,
        memory="patient",
        memory_size=5,
        word_size=4,
        hidden_size=6,
        memory_params={"n_hops": n_hops},
        **options,
    ).double()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_hops_are_steps_with_the_same_inputs_of_which_the_last_counts(controller):
    once, thrice = (make_network(n, controller=controller) for n in (1, 3))
    x, lengths = torch.randn(3, 4, 3).double(), torch.tensor([4, 1, 3])
    outputs, state, trace = thrice(x, lengths, return_states=True)
    repeated, same_state, whole = once(
        x.repeat_interleave(3, dim=1), 3 * lengths, return_states=True
    )
    assert_close(outputs, repeated[:, 2::3])
    for one, other in zip(leaves(state), leaves(same_state), strict=True):
        assert_close(one, other)
    for one, other in zip(leaves(trace), leaves(whole), strict=True):
        assert_close(one, other[:, 2::3])
    assert (state.memory.clock == 3 * lengths).all()


@pytest.mark.parametrize("addressing", ["soft", "hard"])
def test_hops_of_a_dntm_are_steps_too(addressing):
    once, thrice = (make_dntm(addressing=addressing, n_hops=n) for n in (1, 3))
    thrice.load_state_dict(once.state_dict())
    x = torch.randn(3, 4, 3).double()
    first = once.training_state(3, 5, 0)
    outputs, state = thrice(x, state=first)
    repeated, same = once(x.repeat_interleave(3, dim=1), state=first)
    assert_close(outputs, repeated[:, 2::3])
    assert_close(state.memory.log_probability, same.memory.log_probability)
    assert torch.equal(state.memory.draw, same.memory.draw)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("n_hops", [0, -1, 1.5, None])
def test_hops_that_are_no_number_are_refused_when_the_memory_is_built(n_hops):
    with pytest.raises(TypeError, match="Patient.n_hops is .*at least 1"):
        make_memory("patient", 5, 7, 4, 1, 1, memory_params={"n_hops": n_hops})
