"""to_long_frame for sequences that are frames with columns of text."""

import pandas as pd
import pytest
from frame_helpers import LIBRARIES

from sknt.preprocessing import from_long_frame, from_nested, to_long_frame

EVENTS = {
    "id": ["b", "a", "b", "a", "c"],
    "day": [2, 1, 1, 3, 1],
    "ward": ["S", "N", "W", None, "N"],
    "pulse": [1.5, 2.5, None, 3.5, 4.5],
}
every_library = pytest.mark.parametrize("library", LIBRARIES)


def columns_of(frame):
    names = getattr(frame, "column_names", None) or list(frame.columns)
    found = {name: frame[name] for name in names}
    lists = {
        name: column.to_pylist() if hasattr(column, "to_pylist") else list(column)
        for name, column in found.items()
    }
    return {
        name: [None if pd.isna(value) else value for value in values]
        for name, values in lists.items()
    }


@every_library
def test_predictions_stand_beside_the_text_and_numbers_they_were_made_from(library):
    frame = LIBRARIES[library](EVENTS)
    data = from_long_frame(frame, id="id", time="day", as_frames=True)
    back = to_long_frame(
        data, [0.1, 0.2, 0.3], target="risk", backend=library.split(",")[0]
    )
    assert columns_of(back) == {
        "id": ["b", "b", "a", "a", "c"],
        "day": [1, 2, 1, 3, 1],
        "ward": ["W", "S", "N", None, "N"],
        "pulse": [None, 1.5, 2.5, 3.5, 4.5],
        "risk": [0.1, 0.1, 0.2, 0.2, 0.3],
    }


@every_library
def test_frames_to_a_long_frame_and_back_are_the_same(library):
    data = from_long_frame(LIBRARIES[library](EVENTS), id="id", time="day", as_frames=True)
    again = from_long_frame(
        to_long_frame(data, backend=library.split(",")[0]),
        id="id",
        time="day",
        as_frames=True,
    )
    assert again.columns.features == data.columns.features
    assert again.ids.tolist() == data.ids.tolist()
    for one, other in zip(data.X, again.X, strict=True):
        assert columns_of(one) == columns_of(other)


def test_numbers_beside_text_are_floats_as_all_features_are():
    data = from_nested({"ward": [["S", "N"], ["W"]], "n": [[1, 2], [3]]}, as_frames=True)
    back = to_long_frame(data)
    assert back["n"].dtype == float
    assert back["n"].tolist() == [1, 2, 3]
    assert back["ward"].tolist() == ["S", "N", "W"]


def test_a_row_without_any_value_that_has_a_time_keeps_its_row():
    events = pd.DataFrame(EVENTS)
    events.loc[3, ["ward", "pulse"]] = None  # the last one of "a"
    data = from_long_frame(events, id="id", time="day", as_frames=True, empty_rows="absent")
    back = to_long_frame(data)
    assert back["day"].tolist() == [1, 2, 1, 3, 1]
    assert columns_of(back)["ward"] == ["W", "S", "N", None, "N"]


def test_steps_without_any_value_have_no_row_without_times():
    frames = [pd.DataFrame({"ward": ["S", None], "n": [1, None]}), pd.DataFrame(EVENTS)]
    frames[1] = frames[1][["ward"]].assign(n=2)
    back = to_long_frame(frames, features=["ward", "n"])
    assert columns_of(back)["ward"] == ["S", *EVENTS["ward"]]
    assert back["id"].tolist() == [0] + [1] * 5


def test_frames_of_other_columns_are_refused():
    frames = [pd.DataFrame({"ward": ["S"], "n": [1]}), pd.DataFrame({"ward": ["S"]})]
    with pytest.raises(ValueError, match=r"sample 1 has the columns \['ward'\]"):
        to_long_frame(frames)
