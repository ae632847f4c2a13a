"""How the D-NTM begins: its addresses, and what its heads do before they have learned."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from sknt.memories import DNTMMemory
from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")

# Addresses


def make_addresses(memory_size, address_size):
    memory = DNTMMemory(
        4, memory_size, address_size + 3, 1, 1, n_inputs=2, address_size=address_size
    )
    return memory.addresses.detach().double()


@pytest.mark.parametrize("address_size", [2, 5, 8])
def test_one_rotation_leads_from_every_address_to_the_next(address_size):
    addresses = make_addresses(40, address_size)
    rotation = torch.linalg.lstsq(addresses[:-1], addresses[1:]).solution
    assert_close(addresses[:-1] @ rotation, addresses[1:], rtol=0, atol=1e-5)
    eye = torch.eye(address_size, dtype=torch.float64)
    assert_close(rotation @ rotation.T, eye, rtol=0, atol=1e-5)


def test_addresses_are_further_apart_than_random_ones():
    def largest_cosine(addresses):
        directions = F.normalize(addresses, dim=1)
        return (directions @ directions.T).fill_diagonal_(-1).max()

    spread = largest_cosine(make_addresses(128, 8))
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        assert spread < largest_cosine(torch.randn(128, 8, generator=generator)) - 0.05


@pytest.mark.parametrize("address_size", [1, 2, 7, 8])
def test_addresses_are_finite_and_equally_long(address_size):
    norms = make_addresses(300, address_size).norm(dim=1)
    assert_close(norms, norms[:1].expand(300), rtol=0, atol=1e-5)
    assert norms[0] > 0


# Heads


def trace_of_untrained(seed, **sizes):
    torch.manual_seed(seed)
    network = SequenceNetwork(6, 2, memory="dntm", backend="reference", **sizes)
    x = torch.randint(2, (8, 20, 6)).float()
    with torch.no_grad():
        return network(x, return_states=True)[2].states.memory, network.cell.memory


def test_heads_that_do_not_move_begin_by_writing_to_empty_rows():
    memory = DNTMMemory(50, 128, 20, 1, 1, n_inputs=6)
    told = memory.interface(torch.randn(40, 50), torch.zeros(40, 6))
    state = memory.initial_state(40)
    is_full = torch.arange(128) % 2 == 0
    content = torch.relu(torch.randn(40, 128, 12)) * is_full[:, None]
    rows = torch.cat([state.memory[..., :8], content], dim=-1)
    _, after = memory.step(told, state._replace(memory=rows))
    assert after.write_weights[..., is_full].sum(-1).mean() < 0.05
    assert after.read_weights[..., is_full].sum(-1).mean() > 0.2  # they look contents up


def test_heads_that_move_begin_by_writing_row_after_row():
    for seed in range(3):
        states, _ = trace_of_untrained(seed, memory_params={"shift_range": 1})
        rows = states.write_weights[:, :, 0].argmax(-1)
        assert (rows[:, :8] == torch.arange(1, 9)).float().mean() > 0.9


@pytest.mark.parametrize("shift_range", [0, 1])
def test_read_heads_begin_by_looking_up_what_write_heads_would_write(shift_range):
    memory = DNTMMemory(9, 7, 8, 3, 2, n_inputs=4, shift_range=shift_range)
    address = memory.address_size
    told = memory.interface(torch.randn(5, 9), torch.zeros(5, 4))
    assert_close(told.key[:, :2, address:], told.candidate)
    if not shift_range:
        assert_close(told.key[:, :3, :address], told.key[:, [3, 4, 3], :address])
        assert (told.key[:, 2, address:] == 0).all()
        assert (told.key[:, 3:, address:] < 0).all()


@pytest.mark.parametrize("shift_range", [0, 1])
def test_all_numbers_of_heads_begin(shift_range):
    for n_read, n_write in [(1, 1), (1, 3), (3, 1), (2, 2)]:
        memory = DNTMMemory(
            5, 4, 3, n_read, n_write, n_inputs=2, shift_range=shift_range, nop=False
        )
        assert all(torch.isfinite(p).all() for p in memory.parameters())
