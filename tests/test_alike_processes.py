"""Processes of one fit compare whatever decides how it goes on."""

import numpy as np
import pytest
import torch
from helpers import small_classifier


class Recorder:
    """An accelerator of two processes, of which the other does as this one does."""

    num_processes, process_index, is_main_process = 2, 0, True
    mixed_precision, gradient_accumulation_steps = "no", 1
    device = torch.device("cpu")

    def __init__(self):
        self.gathered = []

    def __deepcopy__(self, memo):
        return self

    def gather(self, tensor):
        self.gathered.append(tensor.tolist())
        return torch.cat([tensor, tensor])

    def reduce(self, tensor, reduction):
        return 2 * tensor


def compared(X, y, **validation):
    """Return what a process gives the others to compare."""
    accelerator = Recorder()
    model = small_classifier(
        backend="reference",
        max_epochs=1,
        n_convolutions=0,
        net_params={"accelerator": accelerator},
    )
    model.fit(X, y, **validation)
    return accelerator.gathered


@pytest.mark.parametrize("changed", ["X", "y", "sample_weight"])
def test_processes_compare_what_they_validate_on(sequences, changed):
    X, y = sequences
    given = {"X": X[:6].copy(), "y": y[:6].copy(), "sample_weight": np.arange(1.0, 7.0)}
    other = given | {changed: given[changed][::-1]}
    first, again, differs = (
        compared(X, y, validation_data=tuple(data.values()))
        for data in (given, given, other)
    )
    assert first == again
    assert len(first) == len(differs) == 1
    assert first != differs


@pytest.mark.parametrize(
    ("name", "value"), [("checkpoint", "somewhere"), ("on_interrupt", "keep")]
)
def test_what_each_process_would_decide_for_itself_is_refused(name, value):
    model = small_classifier(net_params={"accelerator": Recorder()}, **{name: value})
    with pytest.raises(ValueError, match=f"{name}='{value}' is not supported"):
        model.fit(np.eye(4), [0, 1, 0, 1])
