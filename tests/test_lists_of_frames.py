"""Frames in a list are matched by the names of their columns, as a plain frame is."""

import numpy as np
import pytest
from helpers import small_classifier
from numpy.testing import assert_allclose, assert_array_equal
from reading_helpers import (
    LABELS,
    columns_of,
    every_estimator,
    every_reader,
    frames,
    numbers,
    outputs,
)

from sknt import pad_sequences
from sknt.inspection import MemoryTraceDisplay
from sknt.preprocessing import StepwiseTransformer

every_library = pytest.mark.parametrize("module", ["pandas", "polars", "pyarrow"])


@every_reader
@every_library
def test_names_are_remembered_and_the_same_frames_are_read(make, module):
    given = frames(module=module)
    arrays = [np.column_stack([np.asarray(f["a"]), np.asarray(f["b"])]) for f in given]
    model = make().fit(given, LABELS)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.n_features_in_ == 2
    expected = make().fit(arrays, LABELS)
    assert_allclose(outputs(model, given), outputs(expected, arrays), rtol=1e-12)


@every_reader
@every_library
def test_other_columns_than_in_fit_are_refused(make, module):
    given = frames(module=module)
    model = make().fit(given, LABELS)
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        outputs(model, frames(names=("a", "c"), module=module))
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        outputs(model, frames(names=("a", "b", "c"), module=module))


@every_estimator
@every_library
def test_columns_in_another_order_are_refused_by_estimators(make, module):
    given = frames(module=module)
    model = make().fit(given, LABELS)
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        outputs(model, [columns_of(f, ["b", "a"]) for f in given])
    given[5] = columns_of(given[5], ["b", "a"])
    for call in (lambda: make().fit(given, LABELS), lambda: outputs(model, given)):
        with pytest.raises(ValueError, match=r"sample 5 .*\['a', 'b'\]"):
            call()


@every_reader
@every_library
def test_frames_of_one_list_have_the_same_columns(make, module):
    given = frames(module=module)
    given[5] = frames(names=["a", "c"], module=module)[0]
    with pytest.raises(ValueError, match=r"sample 5 .*\['a', 'b'\]"):
        make().fit(given, LABELS)
    model = make().fit(frames(module=module), LABELS)
    with pytest.raises(ValueError, match=r"sample 5 .*\['a', 'b'\]"):
        outputs(model, given)
    with pytest.raises(ValueError, match="sample 5 "):
        pad_sequences(given)


@every_reader
def test_a_frame_among_arrays_is_refused(make):
    mixed = list(numbers(4, 2))
    mixed[3] = frames()[3]
    with pytest.raises(ValueError, match="sample 3 .*all samples"):
        make().fit(mixed, LABELS)


@every_reader
def test_arrays_after_frames_warn_as_scikit_learn_does(make):
    model = make().fit(frames(), LABELS)
    for X in (numbers(4, 2), list(numbers(4, 2))):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            outputs(model, X)
    model = make().fit(numbers(4, 2), LABELS)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        outputs(model, frames())


def test_names_that_are_not_text_are_no_names():
    pd = pytest.importorskip("pandas")
    unnamed = [pd.DataFrame(x) for x in numbers(4, 2)]
    model = small_classifier().fit(unnamed, LABELS)
    assert not hasattr(model, "feature_names_in_")
    assert_array_equal(model.predict(unnamed), model.predict(numbers(4, 2)))


def test_names_of_which_some_are_not_text_are_refused_as_by_scikit_learn():
    pd = pytest.importorskip("pandas")
    mixed = [pd.DataFrame(x, columns=["a", 0]) for x in numbers(4, 2)]
    with pytest.raises(TypeError, match="convert them all to strings"):
        small_classifier().fit(mixed, LABELS)


@every_reader
def test_batches_of_arrow_are_refused_because_their_names_are_not_known(make):
    pa = pytest.importorskip("pyarrow")
    batches = [pa.record_batch({"a": x[:, 0], "b": x[:, 1]}) for x in numbers(4, 2)]
    for X in (batches, batches[0]):
        with pytest.raises(TypeError, match="from_batches"):
            make().fit(X, LABELS)


def test_a_new_fit_forgets_the_names():
    model = small_classifier().fit(frames(), LABELS)
    model.fit(numbers(4, 2), LABELS)
    assert not hasattr(model, "feature_names_in_")


def test_partial_fit_scores_and_streams_match_the_names_too():
    given = frames()
    turned = [columns_of(f, ["b", "a"]) for f in given]
    model = small_classifier().partial_fit(given, LABELS, classes=[0, 1])
    for call in (model.partial_fit, model.score):
        with pytest.raises(ValueError, match="must be in the same order"):
            call(turned, LABELS)
    with pytest.raises(ValueError, match="must be in the same order"):
        small_classifier().fit(iter([(given, LABELS), (turned, LABELS)]))


@every_reader
def test_frames_in_an_object_series_are_frames(make):
    pd = pytest.importorskip("pandas")
    series = pd.Series(frames())
    model = make().fit(series, LABELS)
    assert model.feature_names_in_.tolist() == ["a", "b"]


def test_the_result_of_a_groupby_is_pointed_to_the_groups():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"id": np.arange(24) // 2, "a": np.arange(24.0)})
    for X in (list(table.groupby("id")), table.groupby("id")):
        for model in (small_classifier(), StepwiseTransformer()):
            with pytest.raises((TypeError, ValueError), match="for _, group in"):
                model.fit(X, LABELS)


def test_the_trace_of_a_frame_is_that_of_its_values():
    given = frames()
    model = small_classifier().fit(given, LABELS)
    display = MemoryTraceDisplay.from_estimator(model, given[0])
    assert display.inputs.shape == (4, 2)
    with pytest.raises(ValueError, match="must be in the same order"):
        MemoryTraceDisplay.from_estimator(model, columns_of(given[0], ["b", "a"]))
