"""Sessions: what they take, what they refuse, and what never changes them."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import small_classifier, small_regressor
from online_helpers import (
    N_FEATURES,
    N_SEQUENCES,
    N_STEPS,
    X,
    assert_equal,
    fitted,
    sequence_model,
    stepwise_model,
)
from sklearn.exceptions import NotFittedError

from sknt.nn import SequenceNetwork
from sknt.online.cells import KernelCell, ReferenceCell

nan = np.nan
STEP = X[0, 0]


@pytest.fixture(scope="module")
def stepwise():
    return stepwise_model()


@pytest.fixture(scope="module")
def whole():
    return sequence_model(patch_size=4)


@pytest.mark.parametrize(
    ("n_sequences", "given", "axes"),
    [
        (None, (N_FEATURES,), ()),
        (None, (4, N_FEATURES), (4,)),
        (None, (0, N_FEATURES), (0,)),
        (1, (1, N_FEATURES), (1,)),
        (1, (1, 4, N_FEATURES), (1, 4)),
        (3, (3, N_FEATURES), (3,)),
        (3, (3, 4, N_FEATURES), (3, 4)),
    ],
)
def test_outputs_have_the_axes_of_what_was_given(stepwise, whole, n_sequences, given, axes):
    x = np.random.RandomState(0).normal(size=given)
    session = stepwise.start(n_sequences)
    assert session.predict_proba(x).shape == (*axes, 3)
    assert np.shape(session.predict(x)) == axes
    session, axes = whole.start(n_sequences), axes[: n_sequences is not None]
    assert session.predict_proba(x).shape == (*axes, 3)
    assert np.shape(session.predict(x)) == axes


def test_a_second_method_takes_no_step(stepwise):
    session = stepwise.start()
    with pytest.raises(ValueError, match="no step has been taken yet; give x"):
        session.predict()
    probabilities = session.predict_proba(X[0])
    np.testing.assert_array_equal(session.predict_proba(), probabilities)
    np.testing.assert_array_equal(session.predict(), probabilities.argmax(axis=1))
    assert session.n_steps == N_STEPS


def test_what_a_caller_does_with_outputs_changes_nothing(stepwise):
    session = stepwise.start()
    outputs = session.decision_function(X[0])
    expected = outputs.copy()
    outputs[:] = 0
    np.testing.assert_array_equal(session.decision_function(), expected)


def test_steps_arrive_unevenly(stepwise):
    session = stepwise.start(N_SEQUENCES)
    for t in range(N_STEPS):
        outputs = session.predict_proba(X[:, t])
        assert (np.isnan(outputs).all(axis=1) == np.isnan(X[:, t, 0])).all()
    np.testing.assert_array_equal(session.n_steps, (~np.isnan(X[..., 0])).sum(axis=1))
    session.reset()
    chunks = [sequence[~np.isnan(sequence[:, 0])] for sequence in X]
    expected = stepwise.predict_proba(chunks)
    assert_equal(stepwise, session.predict_proba(chunks), expected)


def test_a_regressor_has_no_probabilities():
    session = fitted(small_regressor, np.arange(5.0)).start()
    assert isinstance(session.predict(STEP), float)
    assert not hasattr(session, "predict_proba")


@pytest.mark.parametrize("missing", [None, -1, nan])
def test_absent_steps_have_the_estimators_mark(missing):
    model = stepwise_model(missing_target=missing)
    session = model.start(N_SEQUENCES)
    np.testing.assert_array_equal(session.predict(X), model.predict(X))
    mark = model.start().predict(np.full(N_FEATURES, nan))
    assert mark is missing or mark == missing or np.isnan(mark)


def test_one_feature_may_be_a_number():
    univariate = X[:, :, 0]
    model = fitted(small_classifier, [0, 1, 0, 1, 1], univariate, patch_size=2)
    session = model.start()
    for value in univariate[0]:
        outputs = session.predict_proba(value)
    np.testing.assert_allclose(outputs, model.predict_proba([univariate[0]])[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"x has shape \(11,\); expected \(1,\) for one"):
        session.predict(univariate[0])
    side_by_side = model.start(N_SEQUENCES)
    for t in range(N_STEPS):
        outputs = side_by_side.predict_proba(univariate[:, t])
    np.testing.assert_allclose(outputs, model.predict_proba(univariate), rtol=1e-12)


@pytest.mark.parametrize(
    "read", [list, torch.tensor, lambda x: np.ma.masked_invalid(x), pd.Series, pl.Series]
)
def test_a_step_may_be_in_any_container(stepwise, read):
    expected = stepwise.start().predict_proba(STEP)
    np.testing.assert_array_equal(stepwise.start().predict_proba(read(STEP)), expected)


def test_columns_are_those_of_fit():
    names = ["a", "b", "c"]
    frames = [pd.DataFrame(x, columns=names) for x in X[[0, 3]]]
    y = [x.index % 2 for x in frames]
    model = small_classifier(return_sequences=True).fit(frames, y)
    expected = model.predict_proba(frames)
    session = model.start()
    np.testing.assert_array_equal(session.predict_proba(frames[0]), expected[0])
    session.reset()
    rows = [session.predict_proba(row) for _, row in frames[0].iterrows()]
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(model.start(2).predict_proba(frames), expected)
    swapped = frames[0][["b", "a", "c"]]
    for wrong in (swapped, swapped.iloc[0], pl.from_pandas(swapped)):
        with pytest.raises(
            ValueError, match=r"columns \['b', 'a', 'c'\].*\['a', 'b', 'c'\]"
        ):
            session.predict(wrong)
    with pytest.raises(ValueError, match=r"columns \['b', 'a', 'c'\]"):
        model.start(2).predict([frames[0], swapped])


def changed(value, *where):
    x = X[0].copy()
    x[where] = value
    return x


BAD = {
    "infinite": (changed(np.inf, 3, 1), "infinity.*: step 3 of the chunk, feature 1"),
    "too large": (changed(1e39, 3, 1), "too large for float32: step 3 of the chunk"),
    "partly NaN": (changed(nan, 3, 1), r"part of a step: step 3 .*feature\(s\) \[1\]"),
    "one step": (changed(nan, 3, 1)[3], r"NaN in part of a step: feature\(s\) \[1\]"),
    "features": (X[0][:, :2], r"shape \(11, 2\); expected \(3,\) for one.*\(n_steps, 3\)"),
    "axes": (X[:1], r"shape \(1, 11, 3\); expected"),
    "text": (["a", "b", "c"], "x is not numeric"),
    "nothing": ([], "shape"),
    "dates": (np.array(["2020-01-01"] * 3, "M8[D]"), "not numeric"),
    "mixed": (np.array([1, "a", None], object), "not numeric"),
    "complex": (STEP * 1j, "not numeric"),
}


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_and_takes_no_step(stepwise, whole, bad, message):
    for model in (stepwise, whole):
        session, other = model.start(), model.start()
        for one in (session, other):
            one.predict_proba(X[0])
        with pytest.raises(ValueError, match=message):
            session.predict_proba(bad)
        assert session.n_steps == N_STEPS
        np.testing.assert_array_equal(session.predict_proba(), other.predict_proba())
        outputs = [one.predict_proba(X[3]) for one in (session, other)]
        np.testing.assert_array_equal(*outputs)


def test_errors_name_the_sequence(stepwise):
    session = stepwise.start(2)
    with pytest.raises(ValueError, match=r": sequence 1, step 3 of the chunk, feature 1"):
        session.predict(np.stack([X[0], changed(np.inf, 3, 1)]))
    with pytest.raises(ValueError, match=r": sequence 1, feature\(s\) \[1\]"):
        session.predict(np.stack([STEP, changed(nan, 3, 1)[3]]))
    with pytest.raises(ValueError, match=r"shape \(3, 3\); expected \(2, 3\).*2 sequences"):
        session.predict(X[:3, 0])
    assert (session.n_steps == 0).all()


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_an_interrupt_takes_no_step(monkeypatch, backend):
    model = stepwise_model(backend=backend)
    expected = model.start().predict_proba(X[0])
    session = model.start()
    before = session.predict_proba(X[0, :5])
    kind = {"fused": KernelCell, "reference": ReferenceCell}[backend]

    def and_interrupt(self, *args, run=kind.run):
        run(self, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kind, "run", and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            session.predict_proba(X[0, 5:])
    after = session.predict_proba(X[0, 5:])
    assert_equal(model, np.concatenate([before, after]), expected)


WAYS = {
    "copy": lambda session: session.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda session: pickle.loads(pickle.dumps(session)),
}


@pytest.mark.parametrize("memory", ["ntm", None])
@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("branch", WAYS.values(), ids=WAYS)
def test_a_copy_goes_on_by_itself(branch, backend, memory):
    model = sequence_model(patch_size=2, backend=backend, memory=memory)
    session = model.start(2)
    before = session.predict_proba(X[:2, :5])
    copied = branch(session)
    np.testing.assert_array_equal(copied.predict_proba(), before)
    assert copied.backend == session.backend == backend
    copied.predict_proba(X[3:5, 5:])
    expected = model.predict_proba(X[:2])
    for one in (session, branch(session)):
        one.predict_proba(X[:2, 5:])
        np.testing.assert_allclose(one.predict_proba(), expected, rtol=1e-9)
    other = np.concatenate([X[:2, :5], X[3:5, 5:]], axis=1)
    np.testing.assert_allclose(
        copied.predict_proba(), model.predict_proba(other), rtol=1e-9
    )


def test_a_pickle_goes_on_where_there_are_no_kernels(monkeypatch, stepwise):
    session = stepwise.start()
    session.predict_proba(X[0, :5])
    content = pickle.dumps(session)
    expected = session.predict_proba(X[0, 5:])
    monkeypatch.setattr("sknt.nn.network.missing", lambda: "there are none")
    with pytest.warns(RuntimeWarning, match="there are none"):
        loaded = pickle.loads(content)
    assert loaded.backend == "reference"
    np.testing.assert_allclose(loaded.predict_proba(X[0, 5:]), expected, atol=1e-3)


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_some_sequences_start_anew(backend):
    model = sequence_model(patch_size=4, backend=backend)
    session = model.start(3)
    for which in ([1], [False, True, False], 1, np.array([-2])):
        session.reset()
        session.predict_proba(X[[0, 3, 0], :6])
        session.reset(which)
        np.testing.assert_array_equal(session.n_steps, [6, 0, 6])
        outputs = session.predict_proba(X[[0, 3, 0], 6:])
        expected = model.predict_proba([X[0], X[3, 6:], X[0]])
        np.testing.assert_allclose(outputs, expected, rtol=1e-9)
    session.reset([])
    np.testing.assert_array_equal(session.n_steps, [11, 5, 11])
    with pytest.raises(IndexError):
        session.reset([3])


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_a_session_keeps_what_the_model_was(backend):
    model = stepwise_model(backend=backend)
    expected = model.predict_proba(X)
    session = model.start(N_SEQUENCES)
    session.predict_proba(X[:, :4])
    with torch.no_grad():
        for parameter in model.net_.module_.parameters():
            parameter.mul_(2)
    model.fit(1e6 * X, np.arange(N_SEQUENCES * N_STEPS).reshape(X.shape[:2]) % 2)
    assert_equal(model, session.predict_proba(X[:, 4:]), expected[:, 4:])
    session.reset()
    assert_equal(model, session.predict_proba(X), expected)


def test_what_needs_whole_sequences_is_refused_with_the_way_out():
    with pytest.raises(NotFittedError):
        small_classifier().start()
    with pytest.raises(ValueError, match="bidirectional=False"):
        stepwise_model(bidirectional=True).start()
    model = sequence_model()
    model.network_share_ = 0.5
    with pytest.raises(
        ValueError, match="share_ is 0.5.*n_convolutions=0, or call predict"
    ):
        model.start()
    for n_sequences in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="n_sequences=.* is not a positive integer"):
            stepwise_model().start(n_sequences)


def test_a_module_of_ones_own_is_refused():
    class Doubled(SequenceNetwork):
        def forward(self, *args, **kwargs):
            outputs, *rest = super().forward(*args, **kwargs)
            return 2 * outputs, *rest

    model = stepwise_model(net_params={"module": Doubled})
    with pytest.raises(ValueError, match="the module Doubled may do with whole sequences"):
        model.start()
