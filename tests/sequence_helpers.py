"""Ragged sequences and the positions that their steps may have in an array."""

import numpy as np
import pytest

nan = np.nan
LENGTHS = [3, 1, 4]
N_TIMESTEPS = 6
POSITIONS = {
    "after": [[0, 1, 2], [0], [0, 1, 2, 3]],
    "before": [[3, 4, 5], [5], [2, 3, 4, 5]],
    "inside": [[0, 2, 5], [3], [0, 1, 4, 5]],
    "mixed": [[1, 2, 4], [0], [2, 3, 4, 5]],
}
every_layout = pytest.mark.parametrize(
    "positions", POSITIONS.values(), ids=POSITIONS.keys()
)


def ragged(*step_shape):
    rng = np.random.RandomState(0)
    return [rng.normal(size=(length, *step_shape)) for length in LENGTHS]


def lay_out(sequences, positions, fill=nan):
    first = np.asarray(sequences[0])
    shape = (len(sequences), N_TIMESTEPS, *first.shape[1:])
    array = np.full(shape, fill, first.dtype if first.dtype.kind == "f" else object)
    for i, sequence in enumerate(sequences):
        for step, position in zip(sequence, positions[i], strict=True):
            array[i, position] = step
    return array


def present_of(positions):
    present = np.zeros((len(positions), N_TIMESTEPS), dtype=bool)
    for i, steps in enumerate(positions):
        present[i, steps] = True
    return present


WHOLE = np.arange(12.0).reshape(2, 3, 2) - 4


def object_array(samples):
    array = np.empty(len(samples), dtype=object)
    for i, sample in enumerate(samples):
        array[i] = sample
    return array
