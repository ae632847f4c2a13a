"""Frames with groups of rows, or with two levels of columns, are refused, not guessed."""

import numpy as np
import pytest
from helpers import small_classifier
from reading_helpers import every_reader

from sknt.preprocessing import ToSequence


@every_reader
def test_a_frame_with_groups_of_rows(make):
    pd = pytest.importorskip("pandas")
    rows = pd.MultiIndex.from_product([range(6), range(4)], names=["id", "t"])
    grouped = pd.DataFrame(np.ones((24, 2)), index=rows, columns=["a", "b"])
    y = np.arange(24) % 2
    with pytest.raises(ValueError, match=r"\('id', 't'\).*from_long_frame.*reset_index"):
        make().fit(grouped, y)
    with pytest.raises(ValueError, match="from_long_frame"):
        ToSequence(n_features=2).fit(grouped)
    groups = [group for _, group in grouped.groupby(level=0)]
    make().fit(groups, np.arange(6) % 2)  # each is a sequence


def test_a_frame_with_groups_of_rows_in_predict():
    pd = pytest.importorskip("pandas")
    X = np.random.RandomState(0).normal(size=(24, 2))
    rows = pd.MultiIndex.from_product([range(6), range(4)])
    model = small_classifier().fit(X, np.arange(24) % 2)
    for call in (model.predict, lambda X: model.score(X, np.arange(24) % 2)):
        with pytest.raises(ValueError, match="from_long_frame"):
            call(pd.DataFrame(X, index=rows))


def test_a_pivoted_frame_holds_features_first_and_is_refused():
    pd = pytest.importorskip("pandas")
    long = pd.DataFrame(
        {
            "id": [1, 1, 2, 2],
            "t": [0, 1, 0, 1],
            "a": [1.0, 2, 3, 4],
            "b": [10.0, 20, 30, 40],
        }
    )
    pivoted = long.pivot(index="id", columns="t")
    for model in (ToSequence(n_features=2), small_classifier()):
        with pytest.raises(ValueError, match="two levels of columns.*from_long_frame"):
            model.fit(pivoted, [0, 1])
    # One feature leaves no doubt.
    result = ToSequence().fit_transform(pivoted[["a"]])
    assert result[..., 0].tolist() == [[1, 2], [3, 4]]
