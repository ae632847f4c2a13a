"""Features whose differences single precision loses give a warning, and no others."""

import warnings

import numpy as np
import pytest
import torch
from helpers import small_classifier
from numpy.testing import assert_array_equal
from reading_helpers import LABELS, every_estimator, numbers, outputs

from sknt.data import DataWarning

EPOCH = 1.7e9
lost = pytest.warns(DataWarning, match=r"feature\(s\) \[1\].*single precision")


def with_times(times):
    return np.stack([numbers(4), np.broadcast_to(times, (12, 4))], axis=2)


def minutes(start=EPOCH):
    return start + 30.0 * np.arange(48).reshape(12, 4)


@every_estimator
def test_seconds_since_1970_as_they_are(make):
    with lost as caught:
        make(standardize=False).fit(with_times(minutes()), LABELS)
    assert "standardize" in str(caught[0].message)


@every_estimator
def test_standardised_seconds_keep_their_differences(make):
    # Standardising is done in double precision, before values are cast.
    X = with_times(minutes())
    model = make(standardize="auto").fit(X, LABELS)
    shifted = X.copy()
    shifted[..., 1] += 30
    assert (outputs(model, shifted) != outputs(model, X)).all()


@pytest.mark.parametrize("cast", [np.float32, torch.tensor])
def test_seconds_that_came_in_single_precision(cast):
    X = with_times(minutes()).astype(np.float32)
    with pytest.warns(DataWarning, match=r"feature\(s\) \[1\].*before"):
        small_classifier().fit(cast(X), LABELS)


@every_estimator
def test_seconds_over_decades_lose_their_differences_even_standardised(make):
    starts = EPOCH - 1e8 * np.arange(12)[:, np.newaxis]
    with lost as caught:
        make(standardize=True).fit(with_times(starts + np.arange(4)), LABELS)
    assert "subtract" in str(caught[0].message)


def test_a_feature_that_is_constant_within_each_sequence():
    times = EPOCH + 30.0 * np.arange(12)[:, np.newaxis]
    with lost:
        small_classifier(standardize=False).fit(with_times(times), LABELS)


ORDINARY = {
    "numbers": numbers(4),
    "years": 2000.0 + np.arange(4),
    "rounding": np.resize([0.3, 0.1 + 0.2], (12, 4)),
    "a constant": EPOCH,
    "days since 1970 in seconds": 86400.0 * np.arange(18000, 18048).reshape(12, 4),
    "prices": 1e4 + numbers(4),
    "heavy tails": np.exp(5 * numbers(4)),
    "large integers": np.random.RandomState(0).randint(2**31, size=(12, 4)),
    "a counter": 2**23 + np.arange(48).reshape(12, 4),
    "a constant beyond single precision": 2.0**30,
    "one outlier": np.where(np.arange(48).reshape(12, 4) == 7, 1e6, numbers(4)),
}


@pytest.mark.parametrize("times", ORDINARY.values(), ids=list(ORDINARY))
@pytest.mark.parametrize("standardize", [False, "auto"])
def test_ordinary_features_give_no_warning(times, standardize):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        warnings.filterwarnings("ignore", "Training stopped")
        small_classifier(standardize=standardize).fit(with_times(times), LABELS)


def test_a_counter_beyond_single_precision_is_not_taken_for_a_rounded_one():
    counter = 2**27 + np.arange(48).reshape(12, 4)
    small_classifier(standardize=True).fit(with_times(counter), LABELS)


def test_one_step_only_and_one_sequence_only():
    model = small_classifier().fit(numbers(1, 2), LABELS)
    assert_array_equal(model.predict(numbers(1, 2)[:1]).shape, (1,))
