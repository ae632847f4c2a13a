"""What StepwiseTransformer returns: names, data frames, and the way back."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from gap_helpers import present_steps, sequences_with_gaps
from helpers import small_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.utils import estimator_checks
from stepwise_helpers import FAST, LABELS, by_hand, columns_apart, every_library, sequences

from sknt import pad_sequences, unpad_sequences
from sknt.preprocessing import StepwiseTransformer

NAMES = [*(f"k__kind_{c}" for c in "uvw"), "n__a", "remainder__flag"]


# They mix frames and arrays.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
# Checks of scikit-learn that check_estimator leaves out.
@pytest.mark.parametrize(
    "check",
    [
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_get_feature_names_out_error",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_set_output_transform_polars",
    ],
)
def test_tables_get_names_and_frames_as_scikit_learn_wants_them(check):
    getattr(estimator_checks, check)("StepwiseTransformer", StepwiseTransformer())


def test_names_of_sequences_are_those_of_their_features():
    X = sequences_with_gaps()
    assert StepwiseTransformer().fit(X).get_feature_names_out().tolist() == [
        *("x0", "x1", "x2")
    ]
    pca = StepwiseTransformer(PCA(2)).fit(unpad_sequences(X))
    assert pca.get_feature_names_out(["a", "b", "c"]).tolist() == ["pca0", "pca1"]
    with pytest.raises(ValueError, match="input_features should have length equal"):
        pca.get_feature_names_out(["a"])
    bins = StepwiseTransformer(KBinsDiscretizer(2, quantile_method="linear"))
    assert bins.fit_transform(X[..., 0]).shape == (6, 5, 2)
    assert len(bins.get_feature_names_out()) == 2
    with pytest.raises(NotFittedError):
        StepwiseTransformer().get_feature_names_out()


def test_methods_exist_exactly_where_the_inner_transformer_has_them():
    has = {
        "get_feature_names_out": (PCA(), FunctionTransformer()),
        "set_output": (PCA(), FunctionTransformer()),
        "inverse_transform": (PCA(), Normalizer()),
        "partial_fit": (IncrementalPCA(), PCA()),
    }
    X = sequences_with_gaps()
    for method, (with_it, without) in has.items():
        for stepwise in (StepwiseTransformer(), StepwiseTransformer(with_it)):
            assert hasattr(stepwise, method)
            assert hasattr(stepwise.fit(X), method)
        assert not hasattr(StepwiseTransformer(without), method)
        assert not hasattr(StepwiseTransformer(without).fit(X), method)


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd), ("polars", pl)])
@every_library
def test_lists_become_lists_of_frames(make, library, kind):
    stepwise = StepwiseTransformer(columns_apart()).set_output(transform=library)
    result = stepwise.fit_transform(sequences(make))
    for own, expected in zip(result, by_hand(), strict=True):
        assert isinstance(own, kind.DataFrame)
        assert list(own.columns) == NAMES
        assert_allclose(own.to_numpy(), expected)
    again = stepwise.set_output(transform="default").transform(sequences(make))
    assert_allclose(again[0], by_hand()[0])


def test_frames_keep_the_index_of_the_frames_they_come_from():
    frames = [
        f.set_axis(pd.date_range("2024-01-01", periods=len(f)))
        for f in sequences(pd.DataFrame)
    ]
    stepwise = StepwiseTransformer(columns_apart()).set_output(transform="pandas")
    for own, given in zip(stepwise.fit_transform(frames), frames, strict=True):
        assert own.index.equals(given.index)


def test_absent_steps_of_arrays_are_rows_without_values():
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer().set_output(transform="pandas")
    frames = stepwise.fit_transform(X)
    assert [len(frame) for frame in frames] == [5] * 6
    expected = StepwiseTransformer().fit_transform(X)
    assert_array_equal(np.stack([frame.to_numpy() for frame in frames]), expected)


def test_the_setting_survives_clone_and_that_of_scikit_learn_counts():
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer().set_output(transform="pandas")
    assert isinstance(clone(stepwise).fit_transform(X)[0], pd.DataFrame)
    assert stepwise.set_output(transform=None) is stepwise
    assert isinstance(stepwise.fit_transform(X)[0], pd.DataFrame)
    with sklearn.config_context(transform_output="polars"):
        assert isinstance(StepwiseTransformer().fit_transform(X)[0], pl.DataFrame)
        assert isinstance(stepwise.fit_transform(X)[0], pd.DataFrame)
    with pytest.raises(ValueError, match=r"output config must be in .* got cudf"):
        stepwise.set_output(transform="cudf").fit_transform(X)


def test_a_pipeline_hands_frames_on_from_one_transformer_to_the_next():
    first = ColumnTransformer(
        [("n", SimpleImputer(), ["a"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    model = make_pipeline(
        StepwiseTransformer(first),
        StepwiseTransformer(
            ColumnTransformer([("k", OneHotEncoder(), ["kind"])], remainder="passthrough")
        ),
        small_classifier(max_epochs=1, **FAST),
    )
    model[:2].set_output(transform="pandas")
    frames = sequences(pd.DataFrame)
    assert model.fit(frames, LABELS).predict(frames).shape == (12,)
    assert model[-1].feature_names_in_.tolist() == [
        *(f"k__kind_{c}" for c in "uvw"),
        *("remainder__a", "remainder__flag"),
    ]
    by_column = model[:2].transform(frames)
    for own, expected in zip(by_column, by_hand(), strict=True):
        assert_allclose(own.to_numpy(dtype=float), expected)


# The way back


def test_inverse_transform_gives_text_back():
    frames = sequences(pd.DataFrame, names=("kind",))
    stepwise = StepwiseTransformer(OneHotEncoder()).fit(frames)
    back = stepwise.inverse_transform(stepwise.transform(frames))
    for own, given in zip(back, frames, strict=True):
        assert own[:, 0].tolist() == given["kind"].tolist()


@pytest.mark.parametrize("library", ["default", "pandas"])
def test_inverse_transform_undoes_lists_and_frames(library):
    X = unpad_sequences(sequences_with_gaps())
    X[1] = np.insert(X[1], 1, np.nan, axis=0)  # an absent step within
    stepwise = StepwiseTransformer().set_output(transform=library).fit(X)
    back = stepwise.inverse_transform(stepwise.transform(X))
    assert isinstance(back, list)
    for own, given in zip(back, X, strict=True):
        assert_allclose(own, given)


# Learning in parts


def test_partial_fits_on_parts_equal_a_fit_on_all():
    X = sequences_with_gaps()
    whole = StepwiseTransformer().fit(X)
    parts = StepwiseTransformer()
    for part in (X[:2], X[2:5, :4], X[2:5, 4:], unpad_sequences(X[5:])):
        if not np.isnan(np.concatenate(list(part))).all():
            parts.partial_fit(part)
    assert parts.transformer_.n_samples_seen_ == len(present_steps(X))
    assert_allclose(parts.transformer_.mean_, whole.transformer_.mean_)
    assert_allclose(pad_sequences(parts.transform(list(X))), whole.transform(X))


def test_partial_fit_checks_what_the_first_call_saw_and_fit_begins_anew():
    frames = sequences(pd.DataFrame, names=("a", "flag"))
    stepwise = StepwiseTransformer().partial_fit(frames)
    inner = stepwise.transformer_
    assert stepwise.partial_fit(frames[:3]).transformer_ is inner
    assert stepwise.transformer is None
    with pytest.raises(ValueError, match="sample 0 lacks"):
        stepwise.partial_fit([f[["a"]] for f in frames])
    with pytest.raises(ValueError, match="2 features"):
        StepwiseTransformer().partial_fit(np.ones((2, 3, 2))).partial_fit(
            np.ones((2, 3, 1))
        )
    stepwise.fit(frames[:3])
    expected = StandardScaler().fit(pd.concat(frames[:3]))
    assert_allclose(stepwise.transformer_.mean_, expected.mean_)
