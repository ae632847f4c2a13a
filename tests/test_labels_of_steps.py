"""Labels of steps given to a classifier of sequences, and events given as sequences."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_classifier, small_regressor

from sknt.data import DataWarning

X = np.random.RandomState(0).normal(size=(12, 5, 2))
LABELS = (X[..., 0] > 0).astype(int)


@pytest.mark.parametrize("give", [np.asarray, list])
def test_a_label_for_each_step_is_not_read_as_many_labels_in_silence(give):
    with pytest.warns(DataWarning, match="5 labels.*return_sequences=True"):
        small_classifier(max_epochs=1).fit(give(X), LABELS)


def test_what_is_meant_gives_no_warning():
    small_classifier(max_epochs=1, return_sequences=True).fit(X, LABELS)
    small_classifier(max_epochs=1).fit(X, LABELS[:, :4])
    small_classifier(max_epochs=1).fit(X[..., 0], LABELS)  # a table
    small_regressor(max_epochs=1).fit(X, X[..., 0])  # a forecast of as many steps


def test_a_frame_of_events_is_refused_with_the_way_to_sequences():
    frame = pd.DataFrame({"id": [1, 1], "time": pd.to_datetime(["2026-01-01"] * 2)})
    with pytest.raises(ValueError, match="'time' holds dates.*from_long_frame"):
        small_classifier().fit(frame, [0, 1])
