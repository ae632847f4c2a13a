"""What the tests of the D-NTM share."""

import torch
from network_helpers import randomize

from sknt.nn import SequenceNetwork

SIZES = {"memory_size": 6, "word_size": 5, "hidden_size": 7}


def make_dntm(n_inputs=3, n_outputs=2, *, std=None, **options):
    """Make a network in float64 on the reference path; other options are the memory's."""
    of_network = SequenceNetwork.__init__.__kwdefaults__.keys()
    sizes = {name: options.pop(name) for name in of_network & options.keys()}
    network = SequenceNetwork(
        n_inputs,
        n_outputs,
        memory="dntm",
        memory_params=options,
        **SIZES | {"backend": "reference"} | sizes,
    ).double()
    if std is None:
        return randomize(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=std)
    return network


def with_keys(network, keys):
    """Return a first state of sequences with these keys of their draws."""
    state = network.initial_state(len(keys))
    keys = torch.as_tensor(keys, dtype=torch.float64)
    draw = torch.stack([keys, torch.zeros_like(keys)], dim=-1)
    return state._replace(memory=state.memory._replace(draw=draw))
