"""Sequences whose axes look swapped give a warning, others none."""

import warnings

import numpy as np
import pytest
from helpers import small_classifier
from reading_helpers import LABELS, every_reader, numbers
from sklearn.preprocessing import MinMaxScaler

from sknt.data import DataWarning
from sknt.preprocessing import StepwiseTransformer, ToSequence

swapped = pytest.warns(DataWarning, match="from_channels_first")


def walks(n_samples, n_steps, n_features, seed=0):
    """Smooth, independent series, each about a level of its own."""
    rng = np.random.RandomState(seed)
    steps = rng.normal(size=(n_samples, n_steps, n_features))
    return steps.cumsum(axis=1) + 20 * rng.normal(size=n_features)


@every_reader
def test_one_step_of_very_many_features(make):
    X = numbers(1, 251)
    for one_step in (X, list(X)):
        with swapped:
            make().fit(one_step, LABELS)


@every_reader
def test_few_rough_steps_of_many_smooth_features(make):
    with swapped:
        make().fit(walks(12, 100, 6).transpose(0, 2, 1), LABELS)


def test_only_fits_warn_and_streams_in_their_first_pair():
    X = numbers(1, 64)
    with swapped:
        model = small_classifier().partial_fit(X, LABELS, classes=[0, 1])
    model.predict(X)
    model.partial_fit(X, LABELS)
    with swapped as caught:
        small_classifier().fit(iter([(X, LABELS)] * 3))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def patches():
    return walks(12, 128, 1).reshape(12, 8, 16)


def windows():
    series = walks(12, 200, 1)[..., 0]
    return np.lib.stride_tricks.sliding_window_view(series, 40, axis=1)[:, ::10]


def days_of_hours():
    hours = np.arange(7 * 24)
    series = walks(12, 7 * 24, 1)[..., 0] / 5 + 3 * np.sin(hours * np.pi / 12)
    return series.reshape(12, 7, 24)


def spectra():
    lines = np.exp(-((np.arange(200) - np.array([[30], [90], [140]])) ** 2) / 50)
    heights = 1 + np.random.RandomState(0).uniform(size=(12, 8, 3))
    return heights @ lines


def still_pictures():
    rng = np.random.RandomState(0)
    strokes = np.kron(rng.uniform(size=(12, 5, 9, 9)) < 0.2, np.ones((3, 3)))
    return strokes.reshape(12, 5, 27 * 27)


def one_hot():
    return np.eye(40)[np.random.RandomState(0).randint(40, size=(12, 6))]


ORDINARY = {
    "series": lambda: walks(12, 100, 6),
    "few steps of noise": lambda: numbers(4, 100),
    "one step of few features": lambda: numbers(1, 8),
    "patches": patches,
    "windows": windows,
    "days of hours": days_of_hours,
    "spectra": spectra,
    "pictures": still_pictures,
    "words": one_hot,
    "constant": lambda: np.ones((12, 3, 50)),
}


@pytest.mark.parametrize("make", ORDINARY.values(), ids=list(ORDINARY))
def test_ordinary_sequences_give_no_warning(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StepwiseTransformer().fit(make())


def test_enormous_values_do_not_overflow_in_the_check():
    StepwiseTransformer(MinMaxScaler()).fit(1e300 * numbers(4, 100))


def test_a_table_is_never_swapped():
    StepwiseTransformer().fit(numbers(251))
    ToSequence().fit(numbers(251))


@every_reader
def test_a_list_of_channels_by_steps_of_unequal_length_is_refused_with_the_helper(make):
    X = [np.ones((2, 5)), np.ones((2, 7))] * 6
    with pytest.raises(ValueError, match=r"sample 1 .*same number of features.*x\.T for x"):
        make().fit(X, LABELS)


def test_padded_channels_first_is_refused_with_the_helper():
    X = numbers(2, 7)
    X[3, :, 5:] = np.nan
    with pytest.raises(ValueError, match="part of a step: sample 3.*from_channels_first"):
        small_classifier().fit(X, LABELS)
