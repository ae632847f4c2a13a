"""Static features: rows of nested data become sequences that repeat them at each step."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import small_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from stepwise_helpers import FAST, LIBRARIES, every_library

from sknt.preprocessing import NestedToSequence, StepwiseTransformer, from_nested

N = 12
LENGTHS = [2, 4, 3] * 4
PULSE = [[float(10 * i + step) for step in range(n)] for i, n in enumerate(LENGTHS)]
DRUG = [
    ["x" if (i + step) % 3 else "y" for step in range(n)] for i, n in enumerate(LENGTHS)
]
AGE = list(range(30, 30 + N))
REGION = ["N", "S", "W"] * 4
COLUMNS = {"pulse": PULSE, "drug": DRUG, "age": AGE, "region": REGION}
LABELS = np.arange(N) % 2


def rows_of(frame):
    """The rows of a frame of any library, as tuples."""
    return [*zip(*(list(map(plain, frame[name])) for name in COLUMNS), strict=True)]


def plain(value):
    return value.as_py() if hasattr(value, "as_py") else value


EXPECTED = [
    [
        (pulse, drug, AGE[i], REGION[i])
        for pulse, drug in zip(PULSE[i], DRUG[i], strict=True)
    ]
    for i in range(N)
]


@pytest.mark.filterwarnings("ignore:Can't test estimator")  # with data of this kind
def test_scikit_learn_compatible():
    check_estimator(NestedToSequence())


@every_library
def test_what_is_given_once_is_there_at_each_step(make):
    result = NestedToSequence().fit_transform(make(COLUMNS))
    assert [rows_of(frame) for frame in result] == EXPECTED
    assert type(result[0]) is type(make({"a": [1]}))
    lists = [
        dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)
    ]
    of_json = NestedToSequence().fit_transform(lists)
    assert [rows_of(frame) for frame in of_json] == EXPECTED
    assert isinstance(of_json[0], pd.DataFrame)


def test_columns_are_matched_by_name_and_new_ones_left_out():
    people = pd.DataFrame(COLUMNS)
    nested = NestedToSequence().fit(people)
    turned = people[people.columns[::-1]].assign(outcome=LABELS)
    assert [rows_of(frame) for frame in nested.transform(turned)] == EXPECTED
    assert list(nested.transform(turned)[0].columns) == list(COLUMNS)
    assert nested.get_feature_names_out().tolist() == nested.features_ == list(COLUMNS)
    some = NestedToSequence(features=["age", "pulse"]).fit(turned)
    assert some.transform(people)[0].columns.tolist() == ["age", "pulse"]
    with pytest.raises(ValueError, match="no column 'drug'"):
        nested.transform(people.drop(columns="drug"))
    with pytest.raises(NotFittedError):
        NestedToSequence().transform(people)


def test_arrays_and_frames_in_cells_are_several_features():
    rng = np.random.RandomState(0)
    arrays = [rng.normal(size=(length, 2)) for length in LENGTHS]
    frames = [
        pd.DataFrame({"drug": d, "pulse": p}) for d, p in zip(DRUG, PULSE, strict=True)
    ]
    people = pd.DataFrame({"lab": arrays, "visit": frames, "region": REGION})
    nested = NestedToSequence().fit(people)
    names = ["lab_0", "lab_1", "visit.drug", "visit.pulse", "region"]
    assert nested.features_ == names
    for i, frame in enumerate(nested.transform(people)):
        assert_array_equal(frame[names[:2]], arrays[i])
        assert frame["visit.drug"].tolist() == DRUG[i]
        assert frame["visit.pulse"].tolist() == PULSE[i]
        assert set(frame["region"]) == {REGION[i]}
    other = people.assign(lab=[x[:, :1] for x in arrays])
    with pytest.raises(ValueError, match="X has the features .*, but in fit it had"):
        nested.transform(other)


def test_an_absent_step_stays_without_static_features():
    padded = np.array([[[1.0], [np.nan]], [[2.0], [3.0]]])
    people = pd.DataFrame({"a": list(padded), "age": [60, 61], "region": ["N", "S"]})
    frame = NestedToSequence().fit_transform(people)[0]
    assert frame.iloc[1].isna().all()
    assert frame.iloc[0].tolist() == [1.0, 60.0, "N"]
    X = from_nested(people[["a", "age"]], scalars="repeat").X
    assert_array_equal(X, [[[1, 60], [np.nan] * 2], [[2, 61], [3, 61]]])


def whole_model():
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["drug", "region"]),
        (StandardScaler(), ["pulse", "age"]),
    )
    return make_pipeline(
        NestedToSequence(),
        StepwiseTransformer(columns),
        small_classifier(max_epochs=1, **FAST),
    )


@every_library
def test_a_search_over_a_pipeline_of_text_and_static_features(make):
    people = make(COLUMNS)
    name = "stepwisetransformer__transformer__onehotencoder__min_frequency"
    grid = {name: [None, 4]}
    search = GridSearchCV(whole_model(), grid, cv=2, error_score="raise")
    search.fit(people, LABELS)
    assert search.predict(people).shape == (N,)
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert "standardscaler__age" in names


def test_rows_keep_what_belongs_together_in_cross_validation():
    people, folds = pd.DataFrame(COLUMNS), KFold(3, shuffle=True, random_state=0)
    result = cross_validate(
        whole_model(), people, LABELS, cv=folds, return_estimator=True, error_score="raise"
    )
    for model, (train, _) in zip(result["estimator"], folds.split(people), strict=True):
        steps = [row for i in train for row in EXPECTED[i]]
        scaler = model[1].transformer_.named_transformers_["standardscaler"]
        assert_allclose(scaler.mean_, np.mean([(row[0], row[2]) for row in steps], axis=0))
        regions = model[1].transformer_.named_transformers_["onehotencoder"].categories_[1]
        assert sorted({row[3] for row in steps}) == regions.tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_of_the_library_that_is_set(library):
    nested = NestedToSequence().set_output(transform=library)
    for make in (pd.DataFrame, pl.DataFrame):
        frame = nested.fit_transform(make(COLUMNS))[1]
        assert type(frame) is LIBRARIES[library]
        assert rows_of(frame) == EXPECTED[1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [[1.0], [2.0]], "r": ["N", 3]}, "sample 1 of column 'r' has 3 of type int"),
        ({"a": [[1.0], [2.0]], "r": ["N", ["S"]]}, "sample 0 of column 'r' is 'N', not"),
        ({"a": [[1.0], [2.0]], "r": [["N"], [4]]}, "sample 1 of column 'r' has 4 of type"),
        (
            {"a": [[1.0], [2.0]], "r": ["N", [1.0]]},
            "sample 1 of column 'r' has 1.0 of type",
        ),
        ({"a": [[1.0], [2.0]], "r": [1, "N"]}, "sample 1 of column 'r' is not numeric"),
        ({"a": [[1.0], [2.0]], "r": [["N"], ["S", "W"]]}, "sample 1 has 1 steps in column"),
        ({"r": ["N", "S"]}, "no column of features holds series"),
        (
            {"a": [[{"b": 1}]], "a.b": [[2.0]]},
            "two features would have the name 'a.b'",
        ),
    ],
)
def test_cells_that_do_not_go_together_are_refused_by_sample_and_column(columns, message):
    with pytest.raises(ValueError, match=message):
        NestedToSequence().fit(columns)


def test_a_static_feature_that_is_missing_is_left_to_an_imputer_if_it_is_text():
    people = {"a": [[1.0, 2.0], [3.0]], "r": ["N", None]}
    frames = NestedToSequence().fit_transform(people)
    assert frames[1]["r"].isna().all()
    with pytest.raises(ValueError, match="sample 1 of column 'age' is missing"):
        NestedToSequence().fit({"a": [[1.0], [3.0]], "age": [1.0, None]})


def test_text_needs_frames():
    with pytest.raises(ValueError, match="sample 0 of column 'region' is not numeric"):
        from_nested(pd.DataFrame(COLUMNS)[["pulse", "region"]], scalars="repeat")
    people = pl.DataFrame(COLUMNS | {"label": REGION})
    data = from_nested(people, target="label", scalars="repeat", as_frames="pyarrow")
    assert isinstance(data.X[0], pa.Table)
    assert data.y.tolist() == REGION
    with pytest.raises(ValueError, match="as_frames='dask' is not known"):
        from_nested(people, as_frames="dask")
    with pytest.raises(ValueError, match="'N' of type str, not a series"):
        from_nested(people, as_frames=True, features=["pulse", "region"])
