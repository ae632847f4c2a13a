"""StepwiseTransformer, against the transformer itself on the present steps."""

import numpy as np
import pytest
import sklearn
from gap_helpers import is_absent, present_steps, sequences_with_gaps
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknt import NTMSequenceClassifier, pad_sequences, unpad_sequences
from sknt.preprocessing import StepwiseTransformer

nan = np.nan


@parametrize_with_checks([StepwiseTransformer(), StepwiseTransformer(StandardScaler())])
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


def laid_out_like(X, steps):
    """Lay rows, one for each present step in order, out like the steps of X."""
    rows = iter(steps)
    absent = np.full(steps.shape[1], nan)
    laid_out = np.array(
        [[absent if is_absent(step) else next(rows) for step in s] for s in X]
    )
    assert next(rows, None) is None
    return laid_out


def kbins(encode="onehot-dense"):
    return KBinsDiscretizer(3, encode=encode, quantile_method="averaged_inverted_cdf")


every_transformer = pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        MinMaxScaler(),
        PCA(2, svd_solver="full"),
        PolynomialFeatures(2),
        kbins("ordinal"),
        kbins("onehot-dense"),
        kbins("onehot"),
    ],
    ids=[
        "standard",
        "minmax",
        "pca to fewer features",
        "more features",
        "bins",
        "dense indicators",
        "sparse indicators",
    ],
)


@every_transformer
def test_present_steps_are_transformed_as_rows_of_one_table(transformer):
    X = sequences_with_gaps()
    steps = clone(transformer).fit_transform(present_steps(X))
    steps = steps.toarray() if hasattr(steps, "toarray") else steps
    result = StepwiseTransformer(transformer).fit_transform(X)
    assert result.shape == (6, 5, steps.shape[1])
    assert_allclose(result, laid_out_like(X, steps), rtol=1e-12)


@pytest.mark.parametrize("transformer", [StandardScaler(), PCA(2, svd_solver="full")])
def test_the_position_of_absent_steps_changes_nothing(transformer):
    X = sequences_with_gaps()
    packed = pad_sequences(unpad_sequences(X))
    result = StepwiseTransformer(transformer).fit_transform(X)
    of_packed = StepwiseTransformer(transformer).fit_transform(packed)
    assert_array_equal(np.isnan(result).all(axis=2), [[is_absent(s) for s in x] for x in X])
    for own, expected in zip(
        unpad_sequences(result), unpad_sequences(of_packed), strict=True
    ):
        assert_array_equal(own, expected)


def test_partly_missing_steps_are_imputed_and_absent_ones_are_not():
    X = sequences_with_gaps()
    X[0, 0, 1] = X[4, 2, 0] = X[5, 4, 2] = nan
    expected = SimpleImputer().fit_transform(present_steps(X))
    result = StepwiseTransformer(SimpleImputer()).fit_transform(X)
    assert_allclose(result, laid_out_like(X, expected))
    means = [np.mean([s[k] for s in present_steps(X) if s[k] == s[k]]) for k in range(3)]
    assert_allclose([result[4, 2, 0], result[0, 0, 1], result[5, 4, 2]], means)
    assert np.isnan(result[0, 3:]).all()


def test_without_a_transformer_steps_are_standardised():
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer().fit(X)
    assert isinstance(stepwise.transformer_, StandardScaler)
    steps = present_steps(stepwise.transform(X))
    assert_allclose(steps.mean(axis=0), 0, atol=1e-12)
    assert_allclose(steps.std(axis=0), 1)


def test_new_data_are_transformed_only_by_what_fit_saw():
    X, X_new = sequences_with_gaps(0), sequences_with_gaps(1) * 7
    scaler = StandardScaler().fit(present_steps(X))
    stepwise = StepwiseTransformer(StandardScaler()).fit(X)
    expected = laid_out_like(X_new, scaler.transform(present_steps(X_new)))
    assert_allclose(stepwise.transform(X_new), expected)
    assert_allclose(stepwise.transform(X_new[:1]), expected[:1])


def test_a_pipeline_in_cross_validation_scales_by_the_training_folds():
    X, y = sequences_with_gaps(), np.array([0, 1, 0, 1, 0, 1])
    folds = KFold(3)
    result = cross_validate(
        make_pipeline(StepwiseTransformer(StandardScaler()), DummyClassifier()),
        X,
        y,
        cv=folds,
        return_estimator=True,
    )
    means = []
    for pipeline, (train, _) in zip(result["estimator"], folds.split(X), strict=True):
        means.append(pipeline[0].transformer_.mean_)
        assert_allclose(means[-1], present_steps(X[train]).mean(axis=0))
    assert not np.allclose(means[0], means[1])


def test_sequences_may_be_longer_or_shorter_than_in_fit():
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer().fit(X)
    full = stepwise.transform(X)
    assert_array_equal(stepwise.transform(X[:, :3]), full[:, :3])
    longer = np.concatenate([X, X], axis=1)
    assert_array_equal(stepwise.transform(longer), np.concatenate([full, full], 1))


@pytest.mark.parametrize("n_features", [1, 3])
def test_single_samples_and_single_steps_are_transformed_alike(n_features):
    X = sequences_with_gaps()[..., :n_features]
    stepwise = StepwiseTransformer().fit(X)
    full = stepwise.transform(X)
    assert_array_equal(stepwise.transform(X[4:5, 2:3]), full[4:5, 2:3])
    assert_array_equal(stepwise.transform(X[4:5]), full[4:5])


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(object),
        np.asfortranarray,
        lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
        lambda X: X.tolist(),
        list,
        tuple,
    ],
    ids=["objects", "fortran", "reversed view", "nested lists", "list", "tuple"],
)
def test_every_way_of_writing_sequences_is_transformed_alike(convert):
    X = sequences_with_gaps()
    expected = StepwiseTransformer().fit_transform(X)
    assert_array_equal(StepwiseTransformer().fit_transform(convert(X)), expected)


def test_single_precision_is_transformed_in_double_precision():
    X = sequences_with_gaps().astype(np.float32)
    expected = StepwiseTransformer().fit_transform(X.astype(np.float64))
    result = StepwiseTransformer().fit_transform(X)
    assert result.dtype == np.float64
    assert_array_equal(result, expected)


@pytest.mark.parametrize("gaps", [True, False])
def test_data_stay_as_they_are_even_for_a_transformer_that_works_in_place(gaps):
    X = sequences_with_gaps()[0 if gaps else 4 :]
    before = X.copy()
    X.flags.writeable = False
    StepwiseTransformer(StandardScaler(copy=False)).fit_transform(X)
    assert_array_equal(X, before)


def test_lists_are_transformed_and_come_back_as_lists():
    sequences = unpad_sequences(sequences_with_gaps())
    result = StepwiseTransformer().fit_transform(sequences)
    assert [steps.shape for steps in result] == [steps.shape for steps in sequences]
    expected = StepwiseTransformer().fit_transform(pad_sequences(sequences))
    assert_array_equal(pad_sequences(result), expected)


def test_a_list_of_data_frames_is_transformed_as_one_of_arrays():
    pd = pytest.importorskip("pandas")
    sequences = unpad_sequences(sequences_with_gaps())
    frames = [pd.DataFrame(s, columns=["a", "b", "c"]) for s in sequences]
    result = StepwiseTransformer().fit_transform(frames)
    expected = StepwiseTransformer().fit_transform(sequences)
    assert_array_equal(pad_sequences(result), pad_sequences(expected))


def test_two_dimensions_are_univariate_and_stay_two():
    X = sequences_with_gaps()[..., 0]
    values = np.array([[value] for row in X for value in row if value == value])
    expected = laid_out_like(X, StandardScaler().fit_transform(values))[..., 0]
    stepwise = StepwiseTransformer().fit(X)
    assert_allclose(stepwise.transform(X), expected)
    assert stepwise.n_features_in_ == X.shape[1]
    bins = StepwiseTransformer(kbins()).fit_transform(X)
    assert bins.shape == (*X.shape, 3)


def test_a_data_frame_holds_univariate_sequences_with_names():
    pd = pytest.importorskip("pandas")
    X = sequences_with_gaps()[..., 0]
    frame = pd.DataFrame(X, columns=list("abcde"))
    stepwise = StepwiseTransformer().fit(frame)
    result = stepwise.transform(frame)
    assert isinstance(result, np.ndarray)
    assert_array_equal(result, StepwiseTransformer().fit_transform(X))
    assert stepwise.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        stepwise.transform(frame.rename(columns={"a": "z"}))


def test_a_transformer_that_returns_data_frames_works_too():
    pytest.importorskip("pandas")
    X = sequences_with_gaps()
    expected = StepwiseTransformer().fit_transform(X)
    inner = StandardScaler().set_output(transform="pandas")
    assert_allclose(StepwiseTransformer(inner).fit_transform(X), expected)
    with sklearn.config_context(transform_output="pandas"):
        assert_allclose(StepwiseTransformer().fit_transform(X), expected)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([np.arange(3.0), np.arange(5.0)], np.arange(8.0).reshape(2, 4)),
        ([[1, 2, 3], [4, 5], [6, 7]], [[4, 5], [6, 7]]),
        (np.arange(8.0).reshape(2, 4, 1), np.arange(6.0).reshape(2, 3)),
    ],
    ids=["arrays, then a table", "ragged lists, then equal ones", "3-D, then 2-D"],
)
def test_univariate_sequences_may_come_in_any_layout_and_length_after_fit(train, test):
    values = np.concatenate([np.ravel(sample) for sample in train])
    result = StepwiseTransformer().fit(train).transform(test)
    expected = (np.asarray(test) - values.mean()) / values.std()
    assert_allclose(np.reshape(result, expected.shape), expected)


def test_a_pipeline_fit_on_univariate_lists_predicts_longer_ones():
    rng = np.random.RandomState(0)
    X = [rng.normal(size=length) for length in [3, 5, 4, 2]]
    model = make_pipeline(
        StepwiseTransformer(),
        NTMSequenceClassifier(memory_size=4, word_size=3, hidden_size=6, max_epochs=1),
    )
    model.fit(X, [0, 1, 0, 1])
    assert model.predict([*X, rng.normal(size=9)]).shape == (5,)


# Inverse, parameters, errors


@pytest.mark.parametrize(
    "transformer",
    [StandardScaler(), MinMaxScaler((2, 3)), PCA(3, svd_solver="full")],
)
def test_inverse_transform_gives_the_steps_back_where_they_were(transformer):
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer(transformer).fit(X)
    assert not np.allclose(stepwise.transform(X), X, equal_nan=True)
    assert_allclose(stepwise.inverse_transform(stepwise.transform(X)), X)


def test_inverse_transform_may_change_the_number_of_features():
    X = sequences_with_gaps()
    pca = PCA(2, svd_solver="full")
    reduced = pca.fit_transform(present_steps(X))
    expected = laid_out_like(X, pca.inverse_transform(reduced))
    stepwise = StepwiseTransformer(PCA(2, svd_solver="full")).fit(X)
    result = stepwise.inverse_transform(stepwise.transform(X))
    assert_allclose(result, expected)


def test_inverse_transform_exists_only_if_the_transformer_has_one():
    X = sequences_with_gaps()
    for stepwise in [
        StepwiseTransformer(Normalizer()),
        StepwiseTransformer(Normalizer()).fit(X),
    ]:
        assert not hasattr(stepwise, "inverse_transform")
    for stepwise in [StepwiseTransformer(), StepwiseTransformer(MinMaxScaler())]:
        assert hasattr(stepwise, "inverse_transform")


def test_the_transformer_is_cloned_so_that_fit_leaves_the_parameter_alone():
    inner = PCA(2)
    stepwise = StepwiseTransformer(inner).fit(sequences_with_gaps())
    assert stepwise.transformer is inner
    assert not hasattr(inner, "components_")
    assert stepwise.transformer_.components_.shape == (2, 3)


def test_a_search_reaches_the_transformers_parameters():
    stepwise = StepwiseTransformer(PCA(2))
    assert stepwise.get_params()["transformer__n_components"] == 2
    copy = clone(stepwise).set_params(transformer__n_components=1)
    assert copy.fit_transform(sequences_with_gaps()).shape == (6, 5, 1)
    assert stepwise.transformer.n_components == 2


@pytest.mark.parametrize(
    "transformer", [StandardScaler(), FunctionTransformer()], ids=["checks", "does not"]
)
@pytest.mark.parametrize("as_list", [False, True])
def test_another_number_of_features_is_refused_whatever_the_transformer(
    transformer, as_list
):
    X = sequences_with_gaps()
    stepwise = StepwiseTransformer(transformer).fit(X)
    assert stepwise.n_features_in_ == 3
    narrow = unpad_sequences(X[..., :2]) if as_list else X[..., :2]
    with pytest.raises(ValueError, match=r"2 features, but \w+ is expecting 3"):
        stepwise.transform(narrow)


def test_ragged_feature_counts_in_a_list_name_the_sample():
    with pytest.raises(ValueError, match="sample 1 "):
        StepwiseTransformer().fit([np.ones((2, 3)), np.ones((2, 2))])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((2, 3, 1), nan), "no present step"),
        (np.array([[[1.0], [np.inf]]]), "infinity"),
        (np.array([[["a"], ["b"]]]), "could not convert|not numeric"),
        (np.ones(3), "1D array|1 dimensions"),
        (np.ones((1, 2, 3, 4)), "dim 4|4 dimensions"),
    ],
)
def test_data_without_sequences_are_refused_with_the_reason(X, message):
    with pytest.raises(ValueError, match=message):
        StepwiseTransformer().fit(X)


@pytest.mark.parametrize("transformer", [3, "passthrough"])
def test_an_object_that_is_not_a_transformer_is_refused_by_the_parameters_name(transformer):
    with pytest.raises(ValueError, match="'transformer' parameter"):
        StepwiseTransformer(transformer).fit(sequences_with_gaps())


def test_a_sample_without_steps_passes_and_is_left_to_the_estimator_to_refuse():
    X = np.array([[[1.0], [3.0]], [[nan], [nan]]])
    result = StepwiseTransformer().fit_transform(X)
    assert_array_equal(result, [[[-1.0], [1.0]], [[nan], [nan]]])
