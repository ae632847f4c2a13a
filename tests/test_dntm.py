"""Properties of the D-NTM's memory."""

import numpy as np
import pytest
import torch
from dntm_helpers import make_dntm, with_keys
from torch.autograd import gradcheck
from torch.testing import assert_close

from sknt.memories import DNTMInterface, DNTMMemory, make_memory
from sknt.nn import SequenceNetwork
from sknt.nn.unroll import map_state
from sknt.ops.draws import make_keys

pytestmark = pytest.mark.usefixtures("torch_seed")

HARD = {"addressing": "hard"}


def make_inputs(n_sequences=4, n_steps=6):
    return torch.randn(n_sequences, n_steps, 3, dtype=torch.float64)


def weightings(trace):
    return torch.stack(list(trace.values()), dim=2)


# Rows


def test_addresses_are_part_of_each_row_and_never_written_within_a_sequence():
    network = make_dntm(nop=False)
    memory = network.cell.memory
    x = make_inputs()
    _, _, trace = network(x, return_states=True)
    rows = trace.states.memory.memory
    first = network.initial_state(len(x)).memory.memory
    before = torch.cat([first[:, None], rows[:, :-1]], dim=1)
    addresses = memory.addresses.expand(*rows.shape[:2], -1, -1)
    assert torch.equal(before[..., : memory.address_size], addresses)
    expected = trace.states.memory.read_weights @ before  # reads see the last step's rows
    assert_close(trace.states.reads, expected)
    assert (first[..., memory.address_size :] == 0).all()
    assert rows[:, -1, :, memory.address_size :].abs().max() > 0.1


@pytest.mark.parametrize(("word_size", "expected"), [(2, 1), (3, 1), (5, 2), (20, 8)])
def test_the_address_is_40_percent_of_a_row_by_default(word_size, expected):
    memory = DNTMMemory(4, 5, word_size, 1, 1, n_inputs=2)
    assert memory.addresses.shape == (5, expected)
    assert memory.initial_state(3).memory.shape == (3, 5, word_size)


@pytest.mark.parametrize("addressing", ["soft", "hard"])
def test_the_nop_row_is_never_written_and_reads_as_zeros(addressing, monkeypatch):
    network = make_dntm(addressing=addressing, n_read_heads=2, n_write_heads=2)
    memory = network.cell.memory
    state = with_keys(network, make_keys(4, 0) if addressing == "hard" else [-1] * 4)
    _, state, trace = network(make_inputs(), state=state, return_states=True)
    contents = trace.states.memory.memory[..., memory.address_size :]
    assert (contents[:, :, -1] == 0).all()
    assert contents[:, :, :-1].abs().max() > 0.1

    on_the_last = torch.zeros(4, 4, 6, dtype=torch.float64)
    on_the_last[..., -1] = 1
    monkeypatch.setattr(memory, "_focus", lambda logits, state: (on_the_last, state))
    told = DNTMInterface(*(part[:, -1] for part in trace.interfaces))
    reads, after = memory.step(told, state.memory)
    assert_close(reads, torch.zeros_like(reads), rtol=0, atol=1e-12)
    assert_close(after.memory, state.memory.memory, rtol=0, atol=1e-12)


def test_without_a_nop_row_the_last_one_is_like_any_other():
    network = make_dntm(nop=False)
    _, state = network(make_inputs())
    contents = state.memory.memory[..., network.cell.memory.address_size :]
    assert contents[:, -1].abs().max() > 1e-3


# Addressing


def one_step(memory, key, recency, usage):
    """Address a memory of empty rows, whose addresses are the unit vectors, once."""
    n_rows = memory.memory_size
    interface = memory.split_interface(torch.zeros(1, sum(memory._fields.sizes)))
    told = interface._replace(
        key=torch.nn.functional.pad(torch.tensor(key), (0, 1)).expand(1, 2, -1),
        strength=torch.full((1, 2, 1), 4.0),
        recency=torch.full((1, 2, 1), recency),
    )
    state = memory.initial_state(1)._replace(usage=usage.expand(1, 2, n_rows))
    _, after = memory.step(told, state)
    return after.read_weights[0, 0], after.usage[0, 0]


def unit_rows(n_rows=4):
    memory = DNTMMemory(3, n_rows, n_rows + 1, 1, 1, n_inputs=2, address_size=n_rows)
    with torch.no_grad():
        memory.addresses.copy_(torch.eye(n_rows))
    return memory


def test_of_two_rows_that_fit_equally_the_one_just_used_is_avoided():
    memory = unit_rows()
    none = torch.zeros(4)
    weights, usage = one_step(memory, [1.0, 0, 0, 0], 1.0, none)
    assert weights.argmax() == 0
    both = [1.0, 1.0, 0, 0]
    weights, _ = one_step(memory, both, 1.0, usage)
    assert weights.argmax() == 1
    assert weights[1] > 5 * weights[0]
    weights, _ = one_step(memory, both, 0.0, usage)  # unless the head does not mind
    assert_close(weights[0], weights[1])


def test_usage_is_a_running_mean_of_the_scores_without_a_gradient():
    memory = unit_rows()
    usage = torch.tensor([1.0, -2.0, 0.5, 0.0])
    _, after = one_step(memory, [0.0, 0, 1.0, 0], 0.3, usage)
    scores = 4 * torch.eye(4)[2]
    assert_close(after, 0.1 * usage + 0.9 * scores)
    assert not after.requires_grad


@pytest.mark.parametrize("shift_range", [0, 1])
def test_gradients_of_a_step_equal_finite_differences(shift_range):
    memory = make_dntm(shift_range=shift_range, n_write_heads=2, std=0.7).cell.memory
    state = memory.initial_state(2)
    for _ in range(2):
        told = memory.interface(torch.randn(2, 7).double(), torch.randn(2, 3).double())
        _, state = memory.step(told, state)
    given = [*told, *state[:1], *state[2:4]]
    given = [part.detach().clone().requires_grad_() for part in given]

    def results(*values):
        told = DNTMInterface(*values[:11])
        names = ("memory", "read_weights", "write_weights")
        now = state._replace(**dict(zip(names, values[11:], strict=True)))
        reads, after = memory.step(told, map_state(torch.Tensor.clone, now))
        return reads, after.memory, after.read_weights, after.write_weights

    assert gradcheck(results, given)


# Hard addressing


def run_hard(network, x, keys, **options):
    return network(x, state=with_keys(network, keys), return_states=True, **options)


def test_hard_weightings_are_one_hot_and_reads_are_whole_rows():
    network = make_dntm(**HARD, n_read_heads=2, nop=False)
    for keys in (make_keys(4, 1), [0] * 4):
        _, _, trace = run_hard(network, make_inputs(), keys)
        one_hot = weightings(network.weightings(trace))
        assert ((one_hot == 0) | (one_hot == 1)).all()
        assert (one_hot.sum(-1) == 1).all()


def test_the_shares_of_drawn_rows_are_their_probabilities():
    network = make_dntm(**HARD, std=0.3)
    keys = make_keys(20_000, 2)
    x = make_inputs(1, 1).expand(len(keys), -1, -1)
    _, _, trace = run_hard(network, x, keys)
    _, _, soft = run_hard(network, x[:1], [-1])
    shares = weightings(network.weightings(trace)).mean(0)
    expected = weightings(network.weightings(soft))[0]
    assert (expected > 0.01).all()
    assert_close(shares, expected, rtol=0, atol=0.02)  # over 5 standard deviations


def test_draws_do_not_depend_on_the_batch():
    network, x, keys = make_dntm(**HARD), make_inputs(), make_keys(4, 3)
    outputs, _, trace = run_hard(network, x, keys)
    for i in range(4):
        alone, _, alone_trace = run_hard(network, x[i : i + 1, :4], keys[i : i + 1])
        assert_close(alone[0], outputs[i, :4])
        actual = weightings(network.weightings(alone_trace))[0]
        assert torch.equal(actual, weightings(network.weightings(trace))[i, :4])


def test_draws_of_a_split_sequence_are_those_of_the_whole():
    network, x, keys = make_dntm(**HARD, n_hops=2), make_inputs(), make_keys(4, 4)
    outputs, state, _ = run_hard(network, x, keys)
    first, between, _ = run_hard(network, x[:, :2], keys)
    second, after = network(x[:, 2:], state=between)
    assert_close(torch.cat([first, second], dim=1), outputs)
    assert torch.equal(after.memory.draw, state.memory.draw)
    assert (state.memory.draw[:, 1] == 2 * 6).all()  # one count a hop


def test_prediction_takes_the_most_probable_rows():
    network, x = make_dntm(**HARD, std=0.5), make_inputs(n_steps=1)
    _, _, trace = network(x, return_states=True)
    _, _, soft = run_hard(network, x, [-1] * 4)
    hard = weightings(network.weightings(trace))
    assert torch.equal(hard.argmax(-1), weightings(network.weightings(soft)).argmax(-1))
    outputs, again = network(x)[0], network(x)[0]
    assert torch.equal(outputs, again)
    states = trace.states.memory
    assert (states.log_probability == 0).all()
    assert (states.entropy == 0).all()


def test_training_states_draw_and_a_soft_memory_never_does():
    hard = make_dntm(**HARD)
    draw = hard.training_state(5, 7, 0).memory.draw
    assert torch.equal(draw[:, 0].long(), make_keys(5, 7))
    other = hard.training_state(5, 8, 0).memory.draw
    assert not torch.equal(draw, other)
    assert (make_dntm().training_state(5, 7, 0).memory.draw[:, 0] == -1).all()
    assert (hard.initial_state(5).memory.draw == 0).all()


@pytest.mark.parametrize("draw", [[1e9, 0], [-2, 0], [5, -1], [0.5, 0], [np.nan, 0]])
def test_a_state_with_draws_that_there_are_not_is_refused(draw):
    network, x = make_dntm(**HARD), make_inputs(n_steps=1)
    state = network.initial_state(len(x))
    wrong = torch.as_tensor(draw).to(x).expand(len(x), 2)
    memory = state.memory._replace(draw=wrong)
    with pytest.raises(ValueError, match="state.memory.draw.*whole numbers below"):
        network(x, state=state._replace(memory=memory))


@pytest.mark.parametrize("n_updates", [0, 3, 99])
def test_a_curriculum_is_soft_with_probability_one_over_the_root_of_the_updates(n_updates):
    network = make_dntm(**HARD, curriculum=True)
    memory = network.cell.memory
    keys = torch.stack(
        [memory.training_state(3, seed, n_updates).draw[:, 0] for seed in range(2000)]
    )
    assert (keys == keys[:, :1]).all(1).logical_or((keys > 0).all(1)).all()
    share = (keys[:, 0] == -1).double().mean()
    assert share == pytest.approx((1 + n_updates) ** -0.5, abs=0.05)


def test_a_soft_batch_of_a_hard_memory_is_that_of_a_soft_one():
    hard, soft = make_dntm(**HARD), make_dntm()
    weights = hard.state_dict()
    rows = len(soft.cell.memory.input_projection.weight)
    name = "cell.memory.input_projection.weight"
    weights[name] = weights[name][:rows]
    soft.load_state_dict({k: v for k, v in weights.items() if k in soft.state_dict()})
    x = make_inputs()
    outputs, _, trace = run_hard(hard, x, [-1] * 4)
    assert_close(outputs, soft(x)[0])
    assert (hard.auxiliary_loss(trace, torch.zeros(4)) == 0).all()


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address_size": 0}, "address_size=0 .*at least 1 and at most 4"),
        ({"address_size": 5}, "address_size=5 .*at least 1 and at most 4"),
        ({"address_size": 2.0}, "address_size=2.0"),
        ({"addressing": "firm"}, r"addressing='firm' .*\['hard', 'soft'\]"),
        ({"curriculum": True}, "curriculum=True has no meaning with addressing='soft'"),
        ({"curriculum": 1}, "curriculum=1 is neither"),
        ({"entropy_cost": -1}, "entropy_cost=-1"),
        ({"entropy_cost": float("nan")}, "entropy_cost=nan"),
        ({"nop": "no"}, "nop='no'"),
        ({"n_hops": 0}, "n_hops=0 .*at least 1"),
        ({"n_hops": True}, "n_hops=True"),
        ({"shift_range": 3}, "7 shifts, more than memory_size=6"),
        ({"interface_clip": 0}, "interface_clip=0"),
        ({"word_size": 1}, "word_size=1 leaves no room"),
        ({"memory_size": 1}, "memory_size=1 leaves no row.*nop=False"),
        ({"n_inputs": 3, "reach": 1}, "'reach'.*it knows .*'addressing'"),
    ],
)
def test_bad_options_are_refused_with_the_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        make_dntm(**options)


def test_the_number_of_inputs_is_not_an_option():
    with pytest.raises(ValueError, match="'n_inputs'.*does not know"):
        SequenceNetwork(3, 2, memory="dntm", memory_params={"n_inputs": 3})
    with pytest.raises(ValueError, match="n_inputs=0"):
        make_memory("dntm", 4, 5, 6, 1, 1)


def test_numpys_values_from_a_grid_are_accepted():
    options = {"address_size": np.int64(2), "nop": np.bool_(True), "n_hops": np.int64(2)}
    memory = make_dntm(**options).cell.memory
    assert (memory.address_size, memory.nop, memory.n_hops) == (2, True, 2)


@pytest.mark.parametrize("options", [{}, HARD | {"shift_range": 1}])
def test_parts_cover_both_projections_exactly(options):
    memory = make_dntm(**options, n_read_heads=2, n_write_heads=3).cell.memory
    parts = memory.parts()
    rows = {name: torch.zeros(len(p)) for name, p in memory.named_parameters()}
    for places in parts.values():
        for name, where in places.items():
            rows[name][where] += 1
    for name in ("projection.weight", "projection.bias", "input_projection.weight"):
        assert (rows[name] == 1).all()
    assert "input_projection.weight" not in parts["write head 0: candidate"]
    assert len(parts["write head 2: mix"]) == 3
    assert list(parts["write head 1: given"]) == ["input_projection.weight"]
    assert ("baseline" in parts) == bool(options)


def test_the_penalty_is_on_writing_strength_and_shifts():
    network = make_dntm(shift_range=1, n_write_heads=2)
    x, lengths = make_inputs(3), torch.tensor([6, 2, 4])
    _, _, trace = network(x, lengths, return_states="heads")
    expected = torch.zeros(3, dtype=torch.float64)
    for i, n_steps in enumerate(lengths):
        for t in range(n_steps):
            told = DNTMInterface(*(part[i, t] for part in trace.interfaces))
            content = torch.relu(told.candidate + told.mix * told.given)
            writing = told.erase.square().sum() + content.square().sum()
            expected[i] += 0.03 * writing + 1e-3 * (told.strength - 1).square().sum()
            expected[i] += 0.01 * (told.gamma - 1).square().sum()
            expected[i] += 0.3 * (1 - told.shift.square().sum(-1)).sum()
    assert_close(network.penalty(trace), expected)
