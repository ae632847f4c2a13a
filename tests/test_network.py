"""The network and its memories: against a slow NumPy copy, and by their invariants."""

import itertools

import numpy as np
import pytest
import reference_ntm
import torch
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from sknt.memories import MEMORIES, NTMInterface, NTMMemory, NTMState, make_memory
from sknt.nn import CONTROLLERS, SequenceNetwork
from sknt.nn.controllers import WEIGHT_GAIN
from sknt.nn.unroll import map_state

N_INPUTS, N_OUTPUTS, N_ROWS, WORD, HIDDEN = 3, 2, 7, 4, 5
LENGTHS = torch.tensor([4, 6, 1, 5])  # neither equal nor sorted
N_STEPS = int(LENGTHS.max())

# What holds for a new memory or controller as for those that are there.
ANY_NETWORK = pytest.mark.parametrize(
    ("memory", "controller"), [*itertools.product([*MEMORIES, None], CONTROLLERS)]
)
ANY_MEMORY = pytest.mark.parametrize("memory", MEMORIES)


@pytest.fixture(autouse=True, params=["reference", "fused"])
def backend(request):
    """Both paths are held to the same: fused wherever there are kernels."""
    torch.manual_seed(0)
    make_network.backend = request.param


def randomize(module):
    """Weights far from their initial values, so that heads address sharply.

    Any larger, and each step would multiply float32's rounding by its large γ.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.normal_(std=2.0 if "memory." in name else 0.4)
    return module


def make_network(memory="ntm", **options):
    sizes = {"memory_size": N_ROWS, "word_size": WORD, "hidden_size": HIDDEN}
    sizes["backend"] = make_network.backend if memory == "ntm" else "auto"
    network = SequenceNetwork(N_INPUTS, N_OUTPUTS, memory=memory, **(sizes | options))
    return randomize(network).double()


def make_inputs(n_steps=N_STEPS):
    return torch.randn(len(LENGTHS), n_steps, N_INPUTS, dtype=torch.float64)


def is_present(lengths=LENGTHS, n_steps=N_STEPS):
    return torch.arange(n_steps) < lengths[:, None]


def leaves(state):
    """Tensors of a nested NamedTuple, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    return [leaf for field in state for leaf in leaves(field)]


def assert_states_close(actual, expected, **tolerances):
    assert type(actual) is type(expected)
    for one, other in zip(leaves(actual), leaves(expected), strict=True):
        assert_close(one, other, **tolerances)


def some_loss(outputs):
    """A loss in which every output counts, and differently."""
    weights = torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype)
    return (outputs.flatten() * weights).sum()


def gradients(network, loss):
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


# Against the NumPy reference


def reference(network, x, lengths, **layout):
    weights = reference_ntm.weights_of(network.state_dict(), **layout)
    return [
        reference_ntm.run(weights, sequence[:length].numpy())
        for sequence, length in zip(x, lengths, strict=True)
    ]


def layout_of(controller, heads, shift_range, interface_clip):
    return {
        "controller": controller,
        "n_read_heads": heads[0],
        "n_write_heads": heads[1],
        "word_size": WORD,
        "shift_range": shift_range,
        "interface_clip": interface_clip,
    }


GRID = [
    *itertools.product(
        CONTROLLERS,
        [1, 2],
        [(1, 1), (2, 1), (1, 2), (3, 2)],
        [0, 1, 2],
        ["random"],
        [20.0],
    ),
    *itertools.product(
        CONTROLLERS,
        [1],
        [(2, 2)],
        [1],
        ["random", "constant", "learned"],
        [None, 1.5, 20.0],
    ),
]


@pytest.mark.parametrize(
    ("controller", "n_layers", "heads", "shift_range", "memory_init", "interface_clip"),
    GRID,
)
def test_the_ntm_equals_loops_over_the_equations(
    controller, n_layers, heads, shift_range, memory_init, interface_clip
):
    network = make_network(
        controller=controller,
        n_layers=n_layers,
        n_read_heads=heads[0],
        n_write_heads=heads[1],
        memory_params={
            "shift_range": shift_range,
            "memory_init": memory_init,
            "interface_clip": interface_clip,
        },
    )
    x = make_inputs().float().double()  # numbers that float32 holds
    layout = layout_of(controller, heads, shift_range, interface_clip)
    expected = reference(network, x, LENGTHS, **layout)
    # Uniform weightings would agree whatever the addressing did.
    assert max(run["weightings"].max() for run in expected) > 2 / N_ROWS
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        outputs, _ = network.to(dtype)(x.to(dtype), LENGTHS)
        for i, run in enumerate(expected):
            actual = outputs[i, : LENGTHS[i]].detach().double().numpy()
            np.testing.assert_allclose(
                actual, run["outputs"], rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize("interface_clip", [1.5, None])
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_trace_equals_loops_over_the_equations(controller, interface_clip):
    heads = (2, 2)
    network = make_network(
        controller=controller,
        n_layers=2,
        n_read_heads=heads[0],
        n_write_heads=heads[1],
        memory_params={"interface_clip": interface_clip},
    )
    x = make_inputs()
    _, _, trace = network(x, LENGTHS, return_states=True)
    states, told = trace.states, trace.interfaces
    actual = {
        **told._asdict(),
        **states.controller._asdict(),
        "reads": states.reads,
        "memory": states.memory.memory,
        "weightings": torch.cat(
            [states.memory.read_weights, states.memory.write_weights], dim=2
        ),
    }
    layout = layout_of(controller, heads, 1, interface_clip)
    for i, run in enumerate(reference(network, x, LENGTHS, **layout)):
        assert set(run) == {*actual, "outputs"}
        for name, values in actual.items():
            np.testing.assert_allclose(
                values[i, : LENGTHS[i]].detach().numpy(),
                run[name],
                rtol=1e-10,
                atol=1e-10,
                err_msg=name,
            )


@pytest.mark.parametrize("return_states", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_bare_controller_equals_loops_over_the_equations(
    controller, n_layers, return_states
):
    network = make_network(memory=None, controller=controller, n_layers=n_layers)
    x = make_inputs()
    outputs, *_ = network(x, LENGTHS, return_states=return_states)
    for i, run in enumerate(reference(network, x, LENGTHS, controller=controller)):
        np.testing.assert_allclose(
            outputs[i, : LENGTHS[i]].detach().numpy(),
            run["outputs"],
            rtol=1e-10,
            atol=1e-10,
        )


# Against torch


@pytest.mark.parametrize("return_states", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize(
    ("controller", "layer"), [("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)]
)
def test_without_a_memory_copied_weights_give_what_torch_gives(
    controller, layer, n_layers, return_states
):
    torchs = layer(N_INPUTS, HIDDEN, n_layers, batch_first=True)
    network = SequenceNetwork(
        N_INPUTS,
        HIDDEN,
        memory=None,
        controller=controller,
        hidden_size=HIDDEN,
        n_layers=n_layers,
    )
    loaded = network.cell.controller.load_state_dict(torchs.state_dict(), strict=False)
    # torch starts from zeros, and so does the learned state before it has learned.
    assert all(name.startswith("initial_") for name in loaded.missing_keys)
    assert not loaded.unexpected_keys
    with torch.no_grad():  # the outputs are the controller's own
        network.readout.weight.copy_(torch.eye(HIDDEN))
        network.readout.bias.zero_()
    x = make_inputs().float()
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, final = torchs(packed)
    expected, _ = pad_packed_sequence(expected, batch_first=True)
    outputs, state, *_ = network(x, LENGTHS, return_states=return_states)
    assert_close(outputs, expected, rtol=0, atol=1e-6)
    finals = final if controller == "lstm" else (final,)
    for own, torchs_own in zip(state, finals, strict=True):
        assert_close(own, torchs_own.transpose(0, 1), rtol=0, atol=1e-6)


@ANY_NETWORK
def test_a_trace_changes_neither_outputs_nor_state_nor_gradients(memory, controller):
    network = make_network(memory, controller=controller, n_layers=2)
    x = make_inputs()
    outputs, state = network(x, LENGTHS)
    same_outputs, same_state, _ = network(x, LENGTHS, return_states=True)
    assert_close(same_outputs, outputs, rtol=0, atol=1e-12)
    assert_states_close(same_state, state, rtol=0, atol=1e-12)
    expected = gradients(network, some_loss(outputs))
    actual = gradients(network, some_loss(same_outputs))
    assert_close(actual, expected, rtol=1e-9, atol=1e-12)


# Gradients


@pytest.mark.parametrize(
    ("memory", "controller", "n_layers", "n_heads"),
    [
        *((m, c, 1, 1) for m in [*MEMORIES, None] for c in CONTROLLERS),
        *((m, "lstm", 2, 2) for m in [*MEMORIES, None]),
    ],
)
def test_gradients_equal_finite_differences(memory, controller, n_layers, n_heads):
    network = SequenceNetwork(
        2,
        1,
        memory=memory,
        memory_size=3,
        word_size=2,
        n_read_heads=n_heads,
        n_write_heads=n_heads,
        controller=controller,
        hidden_size=2,
        n_layers=n_layers,
        backend=make_network.backend if memory == "ntm" else "auto",
    )
    network.double()
    with torch.no_grad():  # saturated gates would have no gradient to compare
        for parameter in network.parameters():
            parameter.normal_(std=0.7)
    names, parameters = zip(*network.named_parameters(), strict=True)
    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)

    def outputs_and_state(x, *values):
        lengths = torch.tensor([2, 3])
        values = dict(zip(names, values, strict=True))
        outputs, state = functional_call(network, values, (x, lengths))
        return outputs, *leaves(state)

    assert gradcheck(outputs_and_state, (x, *parameters))


@ANY_NETWORK
def test_every_parameter_has_a_gradient_learned_initial_states_too(memory, controller):
    network = make_network(memory, controller=controller, n_layers=2)
    outputs, _ = network(make_inputs(), LENGTHS)
    for name, gradient in gradients(network, some_loss(outputs)).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


@pytest.mark.parametrize("weights", ["read_weights", "write_weights"])
def test_a_loss_on_the_traces_weightings_reaches_the_heads_projection(weights):
    network = make_network(n_read_heads=2, n_write_heads=2)
    _, _, trace = network(make_inputs(), LENGTHS, return_states=True)
    weighting = getattr(trace.states.memory, weights)
    entropy = -(weighting * torch.log(weighting + 1e-12))[is_present()].sum()
    gradient = torch.autograd.grad(entropy, network.cell.memory.projection.weight)[0]
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-3


# Absent steps


@pytest.mark.parametrize("fill", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_what_lies_after_a_sequences_end_changes_nothing(
    memory, controller, return_states, fill
):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    expected, expected_state = network(x, LENGTHS)
    expected_gradients = gradients(network, some_loss(expected))

    filled = torch.where(is_present()[..., None], x, fill).requires_grad_()
    outputs, state, *trace = network(filled, LENGTHS, return_states=return_states)
    assert_close(outputs, expected, rtol=0, atol=1e-12)
    assert_states_close(state, expected_state, rtol=0, atol=1e-12)
    assert all(leaf.isfinite().all() for leaf in leaves(trace))
    loss = some_loss(outputs)
    x_gradient = torch.autograd.grad(loss, filled, retain_graph=True)[0]
    assert x_gradient.isfinite().all()
    assert (x_gradient[~is_present()] == 0).all()
    assert (x_gradient[is_present()] != 0).any()
    assert_close(gradients(network, loss), expected_gradients, rtol=1e-9, atol=1e-12)


@ANY_NETWORK
def test_a_sequence_alone_gives_the_same_as_beside_longer_ones(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    outputs, state = network(x, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone, alone_state = network(x[i : i + 1, :length])
        assert_close(alone[0], outputs[i, :length], rtol=0, atol=1e-12)
        beside = map_state(lambda s, i=i: s[i : i + 1], state)
        assert_states_close(alone_state, beside, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_absent", [0, 3])
@ANY_NETWORK
def test_outputs_after_the_end_are_zeros(memory, controller, n_absent):
    network = make_network(memory, controller=controller)
    n_steps = N_STEPS + n_absent
    outputs, _ = network(make_inputs(n_steps), LENGTHS)
    present = is_present(n_steps=n_steps)
    assert outputs.shape == (len(LENGTHS), n_steps, N_OUTPUTS)
    assert (outputs[~present] == 0).all()
    assert (outputs[present] != 0).all()


@ANY_NETWORK
def test_lengths_of_none_are_all_the_steps(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    outputs, state = network(x)
    full, full_state = network(x, torch.full((len(x),), N_STEPS))
    assert torch.equal(outputs, full)
    assert all(map(torch.equal, leaves(state), leaves(full_state)))


# States


@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_the_state_carried_through_two_halves_equals_one_run(
    memory, controller, return_states
):
    network = make_network(memory, controller=controller, n_layers=2)
    lengths, half = torch.tensor([5, 8, 7, 5]), 4
    x = make_inputs(8)
    whole, whole_state = network(x, lengths)
    first, state, *_ = network(x[:, :half], return_states=return_states)
    second, state, *_ = network(
        x[:, half:], lengths - half, state, return_states=return_states
    )
    outputs = torch.cat([first, second], dim=1)
    assert_close(outputs, whole, rtol=0, atol=1e-12)
    assert_states_close(state, whole_state, rtol=0, atol=1e-12)
    # The gradient goes back through the state that was carried.
    expected = gradients(network, some_loss(whole))
    actual = gradients(network, some_loss(outputs))
    assert_close(actual, expected, rtol=1e-9, atol=1e-12)


@ANY_NETWORK
def test_starting_from_the_initial_state_is_the_default(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    given, _ = network(x, LENGTHS, network.initial_state(len(x)))
    assert torch.equal(given, network(x, LENGTHS)[0])


@ANY_NETWORK
def test_the_final_state_is_the_traces_at_each_sequences_last_step(memory, controller):
    network = make_network(memory, controller=controller, n_layers=2)
    _, state, trace = network(make_inputs(), LENGTHS, return_states=True)
    sequences = torch.arange(len(LENGTHS))
    last = map_state(lambda s: s[sequences, LENGTHS - 1], trace.states)
    assert type(last) is type(state)
    assert all(map(torch.equal, leaves(last), leaves(state)))


@ANY_NETWORK
def test_the_trace_is_batch_first_with_zeros_after_the_end(memory, controller):
    network = make_network(memory, controller=controller)
    _, state, trace = network(make_inputs(), LENGTHS, return_states=True)
    assert len(leaves(trace.states)) == len(leaves(state))
    for final, steps in zip(leaves(state), leaves(trace.states), strict=True):
        assert steps.shape == (len(LENGTHS), N_STEPS, *final.shape[1:])
    for steps in leaves(trace):
        assert steps.shape[:2] == (len(LENGTHS), N_STEPS)
        assert (steps[~is_present()] == 0).all()


@pytest.mark.parametrize("memory", [*MEMORIES, None])
def test_the_trace_has_as_many_steps_as_the_outputs(memory):
    network = make_network(memory)
    outputs, _, trace = network(make_inputs(N_STEPS + 2), LENGTHS, return_states=True)
    for steps in leaves(trace):
        assert steps.shape[:2] == outputs.shape[:2]


# Modules


def snapshot(network):
    """Everything that hangs on the modules; containers are copied, one level deep."""
    found = {}
    for path, module in network.named_modules():
        for key, value in vars(module).items():
            found[path, key] = value
            if isinstance(value, dict):
                found |= {(path, key, inner): v for inner, v in value.items()}
            elif isinstance(value, list | tuple):
                found |= {(path, key, i): v for i, v in enumerate(value)}
    return found


@pytest.mark.parametrize("return_states", [False, True])
@ANY_NETWORK
def test_a_forward_pass_assigns_nothing_to_the_modules(memory, controller, return_states):
    network = make_network(memory, controller=controller)
    before = snapshot(network)
    values = {name: value.clone() for name, value in network.state_dict().items()}
    network(make_inputs(), LENGTHS, return_states=return_states)
    after = snapshot(network)
    assert before.keys() == after.keys()
    assert [key for key in before if before[key] is not after[key]] == []
    for name, value in network.state_dict().items():
        assert torch.equal(value, values[name]), name


@ANY_NETWORK
def test_a_state_dict_holds_all_there_is(memory, controller):
    network = make_network(memory, controller=controller)
    x = make_inputs()
    other = make_network(memory, controller=controller)
    expected = network(x, LENGTHS)[0]
    assert not torch.equal(other(x, LENGTHS)[0], expected)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x, LENGTHS)[0], expected)


@pytest.mark.parametrize("controller", ["lstm", "gru"])
def test_recurrent_controllers_start_wide_and_without_bias_beside_a_memory(controller):
    network = SequenceNetwork(3, 2, word_size=4, hidden_size=30, controller=controller)
    bound = WEIGHT_GAIN / np.sqrt(3 + 4 + 30)
    for weight_ih, weight_hh, *biases in network.cell.controller.all_weights:
        for weight in (weight_ih, weight_hh):
            assert 0.9 * bound < weight.abs().max() <= bound
        assert all((bias == 0).all() for bias in biases)
    bare = SequenceNetwork(3, 2, memory=None, hidden_size=30, controller=controller)
    # Without one they are torch's own: U(±1/√units), biases too.
    for parameters in bare.cell.controller.all_weights:
        for parameter in parameters:
            assert 0 < parameter.abs().max() <= 1 / np.sqrt(30)


# Contract of every memory


def make_any_memory(memory, n_read_heads=2, n_write_heads=2):
    made = make_memory(memory, HIDDEN, N_ROWS, WORD, n_read_heads, n_write_heads)
    return randomize(made).double()


def hidden_outputs(n_sequences=3):
    return torch.tanh(torch.randn(n_sequences, HIDDEN, dtype=torch.float64))


def assert_is_state(state, n_sequences):
    assert isinstance(state, tuple)
    assert hasattr(state, "_fields")
    for leaf in leaves(state):
        assert isinstance(leaf, torch.Tensor)
        assert leaf.shape[0] == n_sequences


@pytest.mark.parametrize("n_sequences", [1, 3])
@ANY_MEMORY
def test_initial_states_and_interfaces_are_namedtuples_of_batch_first_tensors(
    memory, n_sequences
):
    made = make_any_memory(memory)
    state = made.initial_state(n_sequences)
    assert_is_state(state, n_sequences)
    for leaf in leaves(state):
        assert torch.equal(leaf, leaf[:1].expand_as(leaf))  # one copy a sequence
    assert_is_state(made.interface(hidden_outputs(n_sequences)), n_sequences)


@pytest.mark.parametrize(("n_read_heads", "n_write_heads"), [(1, 1), (3, 1), (1, 2)])
@ANY_MEMORY
def test_a_step_gives_reads_of_every_head_and_a_state_like_the_one_given(
    memory, n_read_heads, n_write_heads
):
    made = make_any_memory(memory, n_read_heads, n_write_heads)
    assert (made.n_read_heads, made.word_size) == (n_read_heads, WORD)
    state = made.initial_state(3)
    for _ in range(3):
        reads, new = made.step(made.interface(hidden_outputs()), state)
        assert reads.shape == (3, n_read_heads, WORD)
        assert reads.isfinite().all()
        assert type(new) is type(state)
        for one, other in zip(leaves(new), leaves(state), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert one.isfinite().all()
        state = new


@ANY_MEMORY
def test_a_step_does_not_change_the_state_or_the_interface_given(memory):
    made = make_any_memory(memory)
    state = made.initial_state(3)
    for _ in range(2):
        interface = made.interface(hidden_outputs())
        given = [*leaves(state), *leaves(interface)]
        copies = [leaf.clone() for leaf in given]
        versions = [leaf._version for leaf in given]
        _, state = made.step(interface, state)
        assert all(map(torch.equal, given, copies))
        assert [leaf._version for leaf in given] == versions


@ANY_MEMORY
def test_a_step_changes_what_the_next_one_reads(memory):
    made = make_any_memory(memory)
    interface = made.interface(hidden_outputs())
    first, state = made.step(interface, made.initial_state(3))
    second, _ = made.step(interface, state)
    assert (first - second).abs().max() > 1e-3


@ANY_MEMORY
def test_sequences_of_a_batch_do_not_see_each_other(memory):
    made = make_any_memory(memory)
    hiddens = [hidden_outputs() for _ in range(3)]

    def run(rows):
        state = made.initial_state(len(hiddens[0][rows]))
        for hidden in hiddens:
            reads, state = made.step(made.interface(hidden[rows]), state)
        return reads, state

    reads, state = run(slice(None))
    for i in range(3):
        alone_reads, alone_state = run(slice(i, i + 1))
        assert_close(alone_reads, reads[i : i + 1], rtol=0, atol=1e-12)
        beside = map_state(lambda s, i=i: s[i : i + 1], state)
        assert_states_close(alone_state, beside, rtol=0, atol=1e-12)


@ANY_MEMORY
def test_gradients_of_the_reads_flow_to_all_parameters_of_a_memory(memory):
    made = make_any_memory(memory)
    state, loss = made.initial_state(3), 0
    for _ in range(3):
        reads, state = made.step(made.interface(hidden_outputs()), state)
        loss = loss + some_loss(reads)
    for name, gradient in gradients(made, loss).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


# The NTM's own


def assert_on_simplex(weighting):
    assert (weighting >= 0).all()
    assert_close(weighting.sum(-1), torch.ones_like(weighting[..., 0]))


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_the_ntms_trace_keeps_every_bound(controller):
    n_read, n_write, shift_range = 3, 2, 2
    network = make_network(
        controller=controller,
        n_read_heads=n_read,
        n_write_heads=n_write,
        memory_params={"shift_range": shift_range},
    )
    _, _, trace = network(make_inputs(), LENGTHS, return_states=True)
    assert isinstance(trace.states.memory, NTMState)
    assert isinstance(trace.interfaces, NTMInterface)
    state = map_state(lambda s: s[is_present()], trace.states.memory)
    told = map_state(lambda s: s[is_present()], trace.interfaces)

    n_present, n_heads = int(LENGTHS.sum()), n_read + n_write
    assert state.memory.shape == (n_present, N_ROWS, WORD)
    assert state.read_weights.shape == (n_present, n_read, N_ROWS)
    assert state.write_weights.shape == (n_present, n_write, N_ROWS)
    assert told.key.shape == (n_present, n_heads, WORD)
    assert told.shift.shape == (n_present, n_heads, 2 * shift_range + 1)
    for field in (told.strength, told.gate, told.gamma):
        assert field.shape == (n_present, n_heads, 1)
    for field in (told.erase, told.add):
        assert field.shape == (n_present, n_write, WORD)

    for weighting in (state.read_weights, state.write_weights, told.shift):
        assert_on_simplex(weighting)
    for field in (told.gate, told.erase):
        assert (field >= 0).all()
        assert (field <= 1).all()
    for field in (told.key, told.add):
        assert (field.abs() <= 1).all()
    assert (told.strength >= 0).all()
    assert (told.gamma >= 1).all()


def test_reads_see_the_memory_before_the_steps_writes():
    network = make_network(n_read_heads=2)
    x = make_inputs()
    _, _, trace = network(x, return_states=True)
    initial = network.initial_state(len(x)).memory.memory[:, None]
    before = torch.cat([initial, trace.states.memory.memory[:, :-1]], dim=1)
    blended = trace.states.memory.read_weights @ before
    assert_close(trace.states.reads, blended, rtol=0, atol=1e-12)
    after = trace.states.memory.read_weights @ trace.states.memory.memory
    assert not torch.allclose(trace.states.reads, after)


def test_write_heads_write_in_turn_not_at_once():
    # Both heads stay on row 0: no content, no shift, and erase all before they add.
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 2)
    focus = torch.eye(N_ROWS)[:1]
    add = torch.randn(1, 2, WORD)
    interface = NTMInterface(
        key=torch.randn(1, 3, WORD),
        strength=torch.ones(1, 3, 1),
        gate=torch.zeros(1, 3, 1),
        shift=torch.tensor([0.0, 1.0, 0.0]).expand(1, 3, 3),
        gamma=torch.ones(1, 3, 1),
        erase=torch.ones(1, 2, WORD),
        add=add,
    )
    state = NTMState(
        torch.randn(1, N_ROWS, WORD),
        focus.expand(1, 1, N_ROWS),
        focus.expand(1, 2, N_ROWS),
    )
    reads, new = memory.step(interface, state)
    assert_close(new.memory[:, 0], add[:, 1], rtol=0, atol=1e-5)  # at once: the sum
    assert_close(reads[:, 0], state.memory[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_rows", [16, 128])
def test_heads_start_on_row_0_and_learn_where_to_start(n_rows):
    memory = NTMMemory(HIDDEN, n_rows, WORD, 2, 1)
    state = memory.initial_state(3)
    assert state.read_weights.shape == (3, 2, n_rows)
    assert state.write_weights.shape == (3, 1, n_rows)
    for weights in (state.read_weights, state.write_weights):
        assert_on_simplex(weights)
        assert (weights[..., 0] > 0.99).all()
        weights[..., 1].sum().backward(retain_graph=True)
    assert (memory.initial_logits.grad[:, 1] > 0).all()


def test_memory_init_constant_is_1e_6_everywhere_and_not_learned():
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, memory_init="constant")
    initial = memory.initial_state(2).memory
    assert_close(initial, torch.full((2, N_ROWS, WORD), 1e-6))
    assert "initial_memory" not in dict(memory.named_parameters())


def test_memory_init_random_is_within_its_bound_differs_by_row_and_is_not_learned():
    memory = NTMMemory(HIDDEN, 50, 14, 1, 1, memory_init="random")
    initial = memory.initial_state(2).memory
    assert 0.9 / 8 < initial.max() <= 1 / 8  # 1/√(50 + 14)
    assert -1 / 8 <= initial.min() < -0.9 / 8
    assert len(initial[0].unique(dim=0)) == 50
    assert torch.equal(initial[0], initial[1])
    assert "initial_memory" not in dict(memory.named_parameters())


def test_memory_init_learned_is_a_parameter():
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, memory_init="learned")
    memory.initial_state(2).memory.sum().backward()
    assert torch.equal(memory.initial_memory.grad, torch.full((N_ROWS, WORD), 2.0))


@pytest.mark.parametrize("clip", [0.5, 2, None])
def test_the_interface_is_clipped_before_its_activations(clip):
    memory = NTMMemory(HIDDEN, N_ROWS, WORD, 1, 1, interface_clip=clip).double()
    with torch.no_grad():
        memory.projection.weight.zero_()
        memory.projection.bias.fill_(-30.0)
    interface = memory.interface(hidden_outputs(1))
    bound = torch.tensor(-30.0 if clip is None else -float(clip)).double()
    for field, activation in (
        ("key", torch.tanh),
        ("gate", torch.sigmoid),
        ("erase", torch.sigmoid),
        ("add", torch.tanh),
    ):
        value = getattr(interface, field)
        assert_close(value, activation(bound).expand_as(value))
    softplus = torch.log1p(torch.exp(bound))
    assert_close(interface.strength, softplus.expand(1, 2, 1))
    assert_close(interface.gamma, (1 + softplus).expand(1, 2, 1))


# Errors name the parameter and the way out

NOT_SIZES = [0, -1, 1.5, 2.0, True, "3", None]


@pytest.mark.parametrize("value", NOT_SIZES)
@pytest.mark.parametrize(
    "name",
    [
        "n_inputs",
        "n_outputs",
        "memory_size",
        "word_size",
        "n_read_heads",
        "n_write_heads",
        "hidden_size",
        "n_layers",
    ],
)
def test_a_size_that_is_not_a_positive_integer_is_refused(name, value):
    sizes = {"n_inputs": 3, "n_outputs": 2, name: value}
    with pytest.raises(ValueError, match=f"^{name}={value!r} .*positive integer"):
        SequenceNetwork(**sizes)


@pytest.mark.parametrize("memory", [*MEMORIES, None])
def test_numpys_integers_are_sizes_as_a_parameter_grid_gives_them(memory):
    sizes = dict.fromkeys(("memory_size", "word_size", "hidden_size"), np.int64(4))
    network = SequenceNetwork(3, 2, memory=memory, n_layers=np.int64(1), **sizes)
    assert network(torch.zeros(1, 2, 3))[0].shape == (1, 2, 2)


def test_an_unknown_memory_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"memory='tape'.*ntm.*None") as error:
        SequenceNetwork(3, 2, memory="tape")
    assert all(repr(name) in str(error.value) for name in MEMORIES)
    with pytest.raises(ValueError, match=r"memory='tape'.*ntm.*None"):
        make_memory("tape", HIDDEN, N_ROWS, WORD, 1, 1)


def test_an_unknown_controller_is_refused_with_the_known_ones():
    for memory in [*MEMORIES, None]:
        with pytest.raises(ValueError, match="controller='rnn'") as error:
            SequenceNetwork(3, 2, memory=memory, controller="rnn")
        assert all(repr(name) in str(error.value) for name in CONTROLLERS)


@ANY_MEMORY
def test_unknown_options_are_refused_with_those_a_memory_knows(memory):
    options = {"reach": 1, "colour": 2}
    expected = f"memory_params.*'colour', 'reach'.*memory='{memory}'.*it knows"
    with pytest.raises(ValueError, match=expected):
        make_memory(memory, HIDDEN, N_ROWS, WORD, 1, 1, memory_params=options)
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory=memory, memory_params=options)


def test_the_sizes_of_a_memory_are_not_its_options():
    expected = "'word_size'.*shift_range.*memory_init.*interface_clip"
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory_params={"word_size": 4})


def test_options_of_a_memory_have_no_meaning_without_one():
    with pytest.raises(ValueError, match=r"memory_params=.*shift_range.*memory=None"):
        SequenceNetwork(3, 2, memory=None, memory_params={"shift_range": 1})
    SequenceNetwork(3, 2, memory=None, memory_params={})


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None])
def test_a_shift_range_that_is_no_number_of_rows_is_refused(value):
    with pytest.raises(ValueError, match=f"^shift_range={value!r} .*at least 0"):
        SequenceNetwork(3, 2, memory_params={"shift_range": value})


@pytest.mark.parametrize(("n_rows", "widest"), [(1, 0), (2, 0), (5, 2), (6, 2)])
def test_more_shifts_than_rows_are_refused_with_the_widest_that_fits(n_rows, widest):
    def make(shift_range):
        return SequenceNetwork(
            N_INPUTS, 2, memory_size=n_rows, memory_params={"shift_range": shift_range}
        )

    expected = f"shift_range={widest + 1} .*memory_size={n_rows} .*<= {widest} "
    with pytest.raises(ValueError, match=expected):
        make(widest + 1)
    assert make(widest)(torch.zeros(1, 2, N_INPUTS))[0].isfinite().all()


@pytest.mark.parametrize("value", ["zeros", None, 0])
def test_an_unknown_memory_init_is_refused_with_the_known_ones(value):
    expected = f"^memory_init={value!r} .*constant.*learned.*random"
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory_params={"memory_init": value})


@pytest.mark.parametrize("value", [0, -1.5, float("nan")])
def test_an_interface_clip_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match=f"^interface_clip={value!r} .*None"):
        SequenceNetwork(3, 2, memory_params={"interface_clip": value})


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 2), (2, 4, 3, 1), (0, 4, 3), (2, 0, 3)])
def test_inputs_of_another_shape_are_refused(shape):
    network = SequenceNetwork(3, 2, memory=None, hidden_size=HIDDEN)
    with pytest.raises(ValueError, match=r"x has shape .*n_inputs=3") as error:
        network(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4], r"lengths has shape \(1,\).*\(2,\)"),
        ([[4, 4]], r"lengths has shape \(1, 2\).*\(2,\)"),
        ([0, 4], "lengths are from 0 to 4.*use 1 to 4"),
        ([-1, 4], "lengths are from -1 to 4.*use 1 to 4"),
        ([2, 5], "lengths are from 2 to 5.*use 1 to 4"),
    ],
)
def test_lengths_that_do_not_fit_the_inputs_are_refused(lengths, message):
    network = SequenceNetwork(3, 2, memory=None, hidden_size=HIDDEN)
    with pytest.raises(ValueError, match=message):
        network(torch.zeros(2, 4, 3), torch.tensor(lengths))


@ANY_MEMORY
def test_names_and_options_of_a_wrong_type_are_refused_by_name(memory):
    with pytest.raises(ValueError, match="memory_params=.* is no dictionary"):
        SequenceNetwork(3, 2, memory=memory, memory_params=["shift_range"])
    with pytest.raises(ValueError, match=r"memory=\['ntm'\]"):
        SequenceNetwork(3, 2, memory=["ntm"])
    with pytest.raises(ValueError, match=r"controller=\['lstm'\]"):
        SequenceNetwork(3, 2, memory=memory, controller=["lstm"])


@pytest.mark.parametrize("interface_clip", ["20", True, 0, -1.0])
def test_a_clip_that_is_no_positive_number_is_refused(interface_clip):
    with pytest.raises(ValueError, match="interface_clip="):
        SequenceNetwork(3, 2, memory_params={"interface_clip": interface_clip})


@pytest.mark.parametrize("memory", [*MEMORIES, None])
@pytest.mark.parametrize("n_other", [2, 5])
def test_a_state_of_other_sequences_is_refused_with_both_numbers(memory, n_other):
    network = SequenceNetwork(3, 2, memory=memory, memory_size=4)
    _, state = network(torch.zeros(n_other, 2, 3))
    with pytest.raises(ValueError, match=f"state is of {n_other} sequences, but x has 3"):
        network(torch.zeros(3, 2, 3), state=state)


def test_lengths_that_are_no_integers_are_refused():
    network = SequenceNetwork(3, 2, memory_size=4)
    with pytest.raises(ValueError, match="one integer for each sequence"):
        network(torch.zeros(3, 4, 3), lengths=torch.tensor([2.5, 4.0, 3.0]))
