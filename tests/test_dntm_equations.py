"""The D-NTM equals an independent implementation, step by step."""

import numpy as np
import pytest
import torch
from dntm_helpers import make_dntm, with_keys
from numpy.testing import assert_allclose
from reference_dntm import plain_weights, run

from sknt.ops.draws import make_keys

pytestmark = pytest.mark.usefixtures("torch_seed")

N_STEPS = 7


def random_options(rng, addressing):
    word_size = int(rng.randint(2, 7))
    return {
        "memory_size": int(rng.randint(3, 9)),
        "word_size": word_size,
        "address_size": int(rng.randint(1, word_size)),
        "hidden_size": int(rng.randint(1, 8)),
        "n_read_heads": int(rng.randint(1, 4)),
        "n_write_heads": int(rng.randint(1, 4)),
        "controller": str(rng.choice(["lstm", "gru", "feedforward"])),
        "n_layers": int(rng.randint(1, 3)),
        "n_hops": int(rng.randint(1, 4)),
        "nop": bool(rng.randint(2)),
        "shift_range": int(rng.randint(2)),
        "interface_clip": [None, 20.0, 0.7][rng.randint(3)],
        "addressing": addressing,
    }


def assert_equal_to_reference(network, x, keys):
    memory = network.cell.memory
    kind = type(network.cell.controller).__name__.removesuffix("Controller").lower()
    weights = plain_weights(network.state_dict(), kind, memory)
    outputs, _, trace = network(x, state=with_keys(network, keys), return_states=True)
    states, told = trace.states.memory, trace.interfaces
    weightings = torch.cat([states.read_weights, states.write_weights], dim=2)
    for i, key in enumerate(keys):
        expected = run(weights, x[i], int(key))
        for name, actual in {
            "outputs": outputs,
            "reads": trace.states.reads,
            "content": states.memory[..., memory.address_size :],
            "usage": states.usage,
            "weightings": weightings,
            "log_probability": states.log_probability,
            "entropy": states.entropy,
            **{name: getattr(told, name) for name in ("key", "strength", "recency")},
            **{
                name: getattr(told, name) for name in ("erase", "candidate", "mix", "given")
            },
        }.items():
            assert_allclose(
                actual[i].detach(), expected[name], rtol=1e-9, atol=1e-10, err_msg=name
            )
        if memory.has_auxiliary_loss:
            actual = told.baseline[i, :, 0, 0].detach()
            baseline = x[i].numpy() @ weights["baseline"]
            clip = np.inf if memory.interface_clip is None else memory.interface_clip
            assert_allclose(actual, baseline.clip(-clip, clip), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_soft_steps_equal_an_independent_loop(seed):
    network = make_dntm(**random_options(np.random.RandomState(seed), "soft"))
    x = torch.randn(2, N_STEPS, 3, dtype=torch.float64)
    assert_equal_to_reference(network, x, [-1, -1])


@pytest.mark.parametrize("seed", range(12))
def test_hard_steps_equal_an_independent_loop_soft_argmax_and_drawn(seed):
    network = make_dntm(**random_options(np.random.RandomState(seed), "hard"), std=0.5)
    x = torch.randn(6, N_STEPS, 3, dtype=torch.float64)
    assert_equal_to_reference(network, x, [-1, 0, *make_keys(4, seed).tolist()])
