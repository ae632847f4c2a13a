"""Steps taken together, outputs pooled over steps, and a second direction."""

import numpy as np
import pytest
import torch
from network_helpers import make_network, randomize
from torch.testing import assert_close

from sknt.nn import POOLINGS, SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed", "backend")
LENGTHS = [7, 1, 4, 6]


def build(n_inputs=3, n_outputs=2, **options):
    sizes = {"memory_size": 7, "word_size": 4, "hidden_size": 5}
    backend = make_network.backend
    network = SequenceNetwork(n_inputs, n_outputs, backend=backend, **(sizes | options))
    return randomize(network).double()


def make_sequences():
    return [torch.randn(n, 3, dtype=torch.float64) for n in LENGTHS]


def padded(sequences, longest, fill=0.0):
    shape = len(sequences), longest, sequences[0].shape[1]
    x = torch.full(shape, fill, dtype=torch.float64)
    for row, sequence in zip(x, sequences, strict=True):
        row[: len(sequence)] = sequence
    return x


def in_patches(sequence, size):
    """A slow loop: each patch's steps side by side, zeros where there are none."""
    patches = []
    for start in range(0, len(sequence), size):
        steps = [*sequence[start : start + size]]
        steps += [torch.zeros_like(steps[0])] * (size - len(steps))
        patches.append(torch.cat(steps))
    return torch.stack(patches)


def pooled(features, pooling):
    parts = {
        "last": features[-1],
        "mean": features.mean(0),
        "max": features.max(0).values,
    }
    return torch.cat([*parts.values()]) if pooling == "concat" else parts[pooling]


@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("patch_size", [1, 3])
def test_the_output_of_a_sequence_is_that_of_a_slow_loop(memory, pooling, patch_size):
    network = build(memory=memory, pooling=pooling, patch_size=patch_size)
    sequences = make_sequences()
    outputs, _ = network(padded(sequences, 9, fill=99.0), LENGTHS)
    steps = build(
        n_inputs=patch_size * network.n_inputs,
        n_outputs=network.readout.out_features,
        memory=memory,
    )
    steps.load_state_dict(
        {k: v for k, v in network.state_dict().items() if not k.startswith("head.")}
    )
    for sequence, output in zip(sequences, outputs, strict=True):
        features = steps(in_patches(sequence, patch_size)[None])[0][0]
        expected = pooled(features, pooling)
        if network.head is not None:
            expected = network.head(expected)
        assert_close(output, expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("pooling", [None, "concat"])
def test_the_second_direction_reads_each_sequence_backwards(memory, pooling):
    network = build(memory=memory, pooling=pooling, bidirectional=True)
    sequences = make_sequences()
    outputs, _ = network(padded(sequences, 9, fill=99.0), LENGTHS)
    forward = build(memory=memory, n_outputs=network.readout.out_features)
    forward.load_state_dict(
        {
            k: v
            for k, v in network.state_dict().items()
            if not k.startswith(("head.", "reverse."))
        }
    )
    for i, sequence in enumerate(sequences):
        there = forward(sequence[None])[0][0]
        back = network.reverse(sequence.flip(0)[None])[0][0].flip(0)
        if pooling is None:
            assert_close(outputs[i, : len(sequence)], there + back, atol=1e-10, rtol=1e-8)
            assert not outputs[i, len(sequence) :].any()
        else:
            expected = network.head(pooled(there + back, pooling))
            assert_close(outputs[i], expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_rest_of_a_batch_changes_nothing_beyond_rounding(pooling):
    network = build(pooling=pooling, patch_size=2, bidirectional=True)
    prepared = network.prepare()
    sequences = make_sequences()
    together, _ = prepared(padded(sequences, 12), LENGTHS)
    for sequence, output in zip(sequences, together, strict=True):
        alone, _ = prepared(sequence[None])
        assert_close(alone[0], output, atol=1e-12, rtol=1e-12)


def test_gradients_are_those_of_finite_differences():
    options = {"pooling": "concat", "patch_size": 2, "bidirectional": True}
    network = build(memory_size=3, word_size=2, hidden_size=3, **options)
    lengths = torch.tensor([5, 2])
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: network(x, lengths)[0], x)
    x = x.detach()
    network.zero_grad()
    network(x, lengths)[0].square().sum().backward()
    for parameter in network.parameters():
        flat, gradient = parameter.detach().view(-1), parameter.grad.view(-1)
        values = []
        with torch.no_grad():
            before = flat[0].clone()
            for step in (1e-6, -1e-6):
                flat[0] = before + step
                values.append(network(x, lengths)[0].square().sum())
            flat[0] = before
        slope = (values[0] - values[1]) / 2e-6
        assert_close(gradient[0], slope, atol=1e-6, rtol=1e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"patch_size=4 needs pooling.*patch_size=1"):
        SequenceNetwork(3, 2, patch_size=4)
    for size in (0, True, 1.5):
        with pytest.raises(ValueError, match=f"patch_size={size} is not a positive"):
            SequenceNetwork(3, 2, patch_size=size, pooling="mean")
    with pytest.raises(ValueError, match="pooling='sum' is not known; choose from"):
        SequenceNetwork(3, 2, pooling="sum")
    network = build(bidirectional=True)
    x = torch.zeros(1, 2, 3, dtype=torch.float64)
    state = network.initial_state(1)
    with pytest.raises(ValueError, match="bidirectional network reads whole sequences"):
        network(x, state=state)


def test_numpy_integers_are_taken():
    network = SequenceNetwork(3, 2, patch_size=np.int64(2), pooling="mean")
    assert network(torch.zeros(1, 5, 3))[0].shape == (1, 2)
