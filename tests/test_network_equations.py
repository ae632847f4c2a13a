"""The network against a slow NumPy copy of the equations, and against torch."""

import itertools

import numpy as np
import pytest
import reference_ntm
import torch
from network_helpers import (
    ANY_NETWORK,
    HIDDEN,
    LENGTHS,
    N_INPUTS,
    N_ROWS,
    WORD,
    assert_states_close,
    gradients,
    make_inputs,
    make_network,
    some_loss,
)
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from sknt.nn import CONTROLLERS, SequenceNetwork

pytestmark = pytest.mark.usefixtures("backend")


# Against the NumPy reference


def reference(network, x, lengths, **layout):
    weights = reference_ntm.plain_weights(network.state_dict(), **layout)
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
    x = make_inputs().float().double()  # numbers that float32 represents exactly
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
