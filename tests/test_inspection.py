"""Traces of the heads, and their picture."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.inspection import MemoryTraceDisplay
from sknt.preprocessing import StepwiseTransformer

nan = np.nan
SMALL = {
    "memory_size": 5,
    "word_size": 3,
    "hidden_size": 6,
    "n_read_heads": 2,
    "max_epochs": 1,
    "random_state": 0,
}
PRESENT = [0, 2, 3, 5]
"""Steps of the sequence looked at that are present."""


def data():
    X = 3 + 2 * np.random.RandomState(0).normal(size=(8, 6, 2))
    X[0, [1, 4]] = X[1, :2] = X[2, 4:] = nan
    y = (X[..., 0] > 3).astype(float)
    y[np.isnan(X[..., 0])] = nan
    return X, y


@pytest.fixture(scope="module")
def classifier():
    X, y = data()
    return NTMSequenceClassifier(return_sequences=True, **SMALL).fit(X, y)


@pytest.fixture
def sequence():
    return data()[0][0]


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def assert_same_trace(display, expected):
    for name in ["inputs", "write_weights", "read_weights", "outputs"]:
        left, right = getattr(display, name), getattr(expected, name)
        assert (left is None) == (right is None)
        if left is not None:
            assert_allclose(left, right, rtol=1e-5, atol=1e-6)


# from_estimator


def test_the_trace_has_only_the_present_steps(classifier, sequence):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    assert_array_equal(display.inputs, sequence[PRESENT])
    assert display.read_weights.shape == (4, 2, 5)
    assert display.write_weights.shape == (4, 1, 5)
    assert len(display.outputs) == 4
    without_gaps = MemoryTraceDisplay.from_estimator(classifier, sequence[PRESENT])
    assert_same_trace(display, without_gaps)


def test_every_weighting_is_on_the_simplex(classifier, sequence):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    for weights in [display.read_weights, display.write_weights]:
        assert weights.min() >= 0
        assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


def test_the_heads_are_the_networks_own_so_that_two_heads_differ(classifier, sequence):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    first, second = display.read_weights[:, 0], display.read_weights[:, 1]
    assert np.abs(first - second).max() > 1e-3
    changed = clone(classifier).set_params(n_write_heads=3, n_read_heads=1)
    display = MemoryTraceDisplay.from_estimator(changed.fit(*data()), sequence)
    assert display.write_weights.shape == (4, 3, 5)
    assert display.read_weights.shape == (4, 1, 5)


def test_the_outputs_are_those_that_the_classifier_decides_by(classifier, sequence):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    assert display.outputs.shape == (4, 2)
    decisions = classifier.decision_function(sequence[np.newaxis])[0, PRESENT]
    assert_allclose(
        display.outputs[:, 1] - display.outputs[:, 0], decisions, rtol=1e-4, atol=1e-5
    )


def test_a_step_does_not_depend_on_later_ones(classifier, sequence):
    whole = MemoryTraceDisplay.from_estimator(classifier, sequence)
    start = MemoryTraceDisplay.from_estimator(classifier, sequence[:3])
    assert len(start.inputs) == 2
    assert_allclose(start.read_weights, whole.read_weights[:2], rtol=1e-5, atol=1e-6)
    assert_allclose(start.outputs, whole.outputs[:2], rtol=1e-5, atol=1e-6)


def test_what_the_heads_do_depends_on_what_they_see(classifier, sequence):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    other = MemoryTraceDisplay.from_estimator(classifier, -sequence)
    assert np.abs(display.read_weights - other.read_weights).max() > 1e-3


def test_inspection_changes_nothing_in_the_estimator(classifier, sequence):
    X, _ = data()
    before = classifier.predict_proba(X)
    given = sequence.copy()
    first = MemoryTraceDisplay.from_estimator(classifier, sequence)
    second = MemoryTraceDisplay.from_estimator(classifier, sequence)
    assert_array_equal(first.read_weights, second.read_weights)
    assert_array_equal(classifier.predict_proba(X), before)
    assert_array_equal(sequence, given)


def test_a_sequence_may_be_a_list_or_a_data_frame(classifier, sequence):
    expected = MemoryTraceDisplay.from_estimator(classifier, sequence)
    from_list = MemoryTraceDisplay.from_estimator(classifier, sequence.tolist())
    assert_same_trace(from_list, expected)
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(sequence)
    assert_same_trace(MemoryTraceDisplay.from_estimator(classifier, frame), expected)
    frame.columns = ["a", "b"]
    with pytest.warns(UserWarning, match="fitted without feature names"):
        named = MemoryTraceDisplay.from_estimator(classifier, frame)
    assert_same_trace(named, expected)


@pytest.mark.parametrize("n_timesteps", [1, 6, 11])
def test_a_sequence_of_one_feature_needs_no_feature_axis(n_timesteps):
    X, y = data()
    model = NTMSequenceClassifier(return_sequences=True, **SMALL).fit(X[..., :1], y)
    sequence = np.random.RandomState(1).normal(size=n_timesteps)
    display = MemoryTraceDisplay.from_estimator(model, sequence)
    assert display.inputs.shape == (n_timesteps, 1)
    with_axis = MemoryTraceDisplay.from_estimator(model, sequence[:, np.newaxis])
    assert_same_trace(display, with_axis)


def test_a_row_of_a_table_is_shown_as_its_sequence():
    X, y = data()
    table = X[3:, :, 0]
    model = NTMSequenceClassifier(**SMALL).fit(table, y[3:, 0])
    display = MemoryTraceDisplay.from_estimator(model, table[0])
    assert_array_equal(display.inputs[:, 0], table[0])


def test_a_row_of_a_data_frame_is_shown_without_a_warning_about_names():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X[3:, :, 0], columns=list("abcdef"))
    model = NTMSequenceClassifier(**SMALL).fit(frame, y[3:, 0])
    display = MemoryTraceDisplay.from_estimator(model, frame.iloc[0])
    assert_array_equal(display.inputs[:, 0], X[3, :, 0])


def test_outputs_are_left_out_where_only_the_last_step_has_a_target(sequence):
    X, _ = data()
    model = NTMSequenceClassifier(**SMALL).fit(X, np.arange(8) % 2)
    display = MemoryTraceDisplay.from_estimator(model, sequence)
    assert display.outputs is None
    assert display.read_weights.shape == (4, 2, 5)


def test_a_regressor_shows_its_standardised_values(sequence):
    X, _ = data()
    model = NTMSequenceRegressor(return_sequences=True, **SMALL).fit(X, 100 * X)
    display = MemoryTraceDisplay.from_estimator(model, sequence)
    assert display.outputs.shape == (4, 2)
    assert_allclose(
        display.outputs * model.target_scale_ + model.target_mean_,
        model.predict(sequence[np.newaxis])[0, PRESENT],
        rtol=1e-4,
    )
    assert_allclose(display.read_weights.sum(axis=-1), 1, atol=1e-5)


# Pipelines and searches


@pytest.fixture(scope="module")
def pipeline():
    X, y = data()
    model = NTMSequenceClassifier(return_sequences=True, **SMALL)
    return make_pipeline(StepwiseTransformer(StandardScaler()), model).fit(X, y)


def test_a_pipelines_sequence_is_shown_as_the_network_saw_it(pipeline, sequence):
    X, _ = data()
    display = MemoryTraceDisplay.from_estimator(pipeline, sequence)
    steps = np.array([step for x in X for step in x if not np.isnan(step).all()])
    scaled = (sequence[PRESENT] - steps.mean(axis=0)) / steps.std(axis=0)
    assert_allclose(display.inputs, scaled)
    assert_same_trace(
        display, MemoryTraceDisplay.from_estimator(pipeline[-1], display.inputs)
    )


def test_a_pipeline_of_the_estimator_alone_can_be_inspected_too(classifier, sequence):
    alone = make_pipeline(clone(classifier)).fit(*data())
    assert_same_trace(
        MemoryTraceDisplay.from_estimator(alone, sequence),
        MemoryTraceDisplay.from_estimator(classifier, sequence),
    )


def search(estimator, name):
    X, y = data()
    y = (np.arange(len(X)) % 2).astype(float)
    return GridSearchCV(estimator, {name: [3, 4]}, cv=2).fit(X, y)


def test_the_best_estimator_of_a_search_is_inspected(sequence):
    fitted = search(NTMSequenceClassifier(**SMALL), "memory_size")
    display = MemoryTraceDisplay.from_estimator(fitted, sequence)
    assert display.read_weights.shape[2] == fitted.best_params_["memory_size"]
    assert_same_trace(
        display, MemoryTraceDisplay.from_estimator(fitted.best_estimator_, sequence)
    )


def test_a_search_over_a_pipeline_is_unwrapped(sequence):
    pipeline = make_pipeline(StepwiseTransformer(), NTMSequenceClassifier(**SMALL))
    fitted = search(pipeline, "ntmsequenceclassifier__memory_size")
    assert_same_trace(
        MemoryTraceDisplay.from_estimator(fitted, sequence),
        MemoryTraceDisplay.from_estimator(fitted.best_estimator_, sequence),
    )


def test_a_pipeline_that_ends_in_a_search_is_unwrapped(sequence):
    X, _ = data()
    grid = GridSearchCV(NTMSequenceClassifier(**SMALL), {"memory_size": [3, 4]}, cv=2)
    fitted = make_pipeline(StepwiseTransformer(), grid).fit(X, np.arange(8) % 2)
    scaled = fitted[0].transform(sequence[np.newaxis])[0]
    assert_same_trace(
        MemoryTraceDisplay.from_estimator(fitted, sequence),
        MemoryTraceDisplay.from_estimator(fitted[-1].best_estimator_, scaled),
    )


# Errors


def test_without_a_memory_there_is_nothing_to_show(sequence):
    X, y = data()
    model = NTMSequenceClassifier(memory=None, return_sequences=True, **SMALL)
    with pytest.raises(ValueError, match="memory=None"):
        MemoryTraceDisplay.from_estimator(model.fit(X, y), sequence)


def test_other_estimators_are_refused_by_their_name(sequence):
    X, _ = data()
    dummy = DummyClassifier().fit(X, np.arange(8) % 2)
    pipeline = make_pipeline(StepwiseTransformer(), DummyClassifier())
    for model in [dummy, pipeline.fit(X, np.arange(8) % 2)]:
        with pytest.raises(TypeError, match="DummyClassifier"):
            MemoryTraceDisplay.from_estimator(model, sequence)


@pytest.mark.parametrize(
    "estimator",
    [
        NTMSequenceClassifier(),
        make_pipeline(StepwiseTransformer(), NTMSequenceClassifier()),
        GridSearchCV(NTMSequenceClassifier(), {"memory_size": [3]}),
    ],
    ids=["estimator", "pipeline", "search"],
)
def test_unfitted_estimators_are_refused_as_such(estimator, sequence):
    with pytest.raises(NotFittedError):
        MemoryTraceDisplay.from_estimator(estimator, sequence)


def test_a_sequence_of_other_features_or_without_steps_is_refused(classifier, sequence):
    with pytest.raises(ValueError, match="1 features"):
        MemoryTraceDisplay.from_estimator(classifier, sequence[:, :1])
    with pytest.raises(ValueError, match="no step"):
        MemoryTraceDisplay.from_estimator(classifier, sequence * nan)


# plot


def test_plot_draws_an_axis_for_the_inputs_each_head_and_the_outputs(
    classifier, sequence, pyplot, tmp_path
):
    display = MemoryTraceDisplay.from_estimator(classifier, sequence)
    assert not hasattr(display, "figure_")
    assert display.plot() is display
    panels = [
        display.inputs,
        display.write_weights[:, 0],
        display.read_weights[:, 0],
        display.read_weights[:, 1],
        display.outputs,
    ]
    assert len(display.axes_) == len(panels)
    for ax, panel in zip(display.axes_, panels, strict=True):
        assert ax.figure is display.figure_
        (image,) = ax.images
        assert_allclose(image.get_array(), panel.T)
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert len(set(labels)) == len(panels)
    for label, name in zip(
        labels, ["input", "write", "read", "read", "output"], strict=True
    ):
        assert name in label
    assert "step" in display.axes_[-1].get_xlabel()

    file = tmp_path / "trace.png"
    display.figure_.savefig(file)
    drawn = pyplot.imread(file)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert drawn[..., :3].std() > 0.05  # not a blank page


def test_plot_needs_no_outputs_and_no_second_step(pyplot):
    weights = np.full((1, 1, 4), 0.25)
    display = MemoryTraceDisplay(
        inputs=np.zeros((1, 2)), write_weights=weights, read_weights=weights
    ).plot()
    assert len(display.axes_) == 3
    display.figure_.canvas.draw()


def test_plot_colours_the_weightings_as_asked_and_from_zero(pyplot):
    weights = np.full((3, 1, 4), 0.25)
    display = MemoryTraceDisplay(
        inputs=np.ones((3, 2)), write_weights=weights, read_weights=weights
    ).plot(cmap="magma")
    for ax in display.axes_[1:]:
        (image,) = ax.images
        assert image.get_cmap().name == "magma"
        assert image.get_clim()[0] == 0


def test_plot_again_makes_a_new_figure(pyplot):
    weights = np.full((3, 1, 4), 0.25)
    display = MemoryTraceDisplay(
        inputs=np.ones((3, 2)), write_weights=weights, read_weights=weights
    )
    first = display.plot().figure_
    assert display.plot().figure_ is not first
    assert len(pyplot.get_fignums()) == 2


def test_a_row_is_seen_in_the_picture_of_a_memory_with_more_rows_than_pixels(pyplot):
    n_steps, n_rows = 12, 1000
    weights = np.zeros((n_steps, 1, n_rows))
    weights[np.arange(n_steps), 0, 50 + 77 * np.arange(n_steps)] = 1
    display = MemoryTraceDisplay(
        inputs=np.ones((n_steps, 2)), write_weights=weights, read_weights=weights
    ).plot()
    display.figure_.canvas.draw()
    pixels = np.asarray(display.figure_.canvas.buffer_rgba())[..., :3].astype(float)
    left, bottom, right, top = display.axes_[1].get_window_extent().extents.astype(int)
    assert top - bottom < n_rows / 3
    panel = pixels[len(pixels) - top + 2 : len(pixels) - bottom - 2, left + 2 : right - 2]
    background = np.median(panel, axis=(0, 1))
    differs = np.abs(panel - background).max(axis=(0, 2)) > 10
    columns = ((np.arange(n_steps) + 0.5) / n_steps * differs.size).astype(int)
    assert differs[columns].all()


def test_of_a_large_memory_the_rows_in_use_are_drawn_with_their_numbers(pyplot):
    write, read = np.zeros((2, 4, 1, 100_000))
    write[[0, 1, 2, 3], 0, [70_000, 9, 9, 70_001]] = 0.9
    read[2, 0, 123] = 0.02
    read[:, 0, 5] = 0.005  # too little to be seen
    display = MemoryTraceDisplay(
        inputs=np.zeros((4, 2)), write_weights=write, read_weights=read
    ).plot()
    of_inputs, *of_heads = display.axes_
    rows = [9, 123, 70_000, 70_001]
    for axis, weights in zip(of_heads, (write, read), strict=True):
        assert_array_equal(axis.images[0].get_array(), weights[:, 0, rows].T)
        label = axis.yaxis.get_major_formatter()
        assert [label(place, None) for place in range(-1, 5)] == ["", *map(str, rows), ""]
    assert of_inputs.images[0].get_array().shape == (2, 4)


def test_a_module_without_weightings_is_refused_by_name(sequences):
    class Line(torch.nn.Linear):
        def __init__(self, n_inputs, n_outputs):
            super().__init__(n_inputs, n_outputs)

        def forward(self, x, lengths):
            return super().forward(x)

    X, y = sequences
    model = NTMSequenceClassifier(max_epochs=1, net_params={"module": Line}).fit(X, y)
    with pytest.raises(ValueError, match="the module Line has no weightings to show"):
        MemoryTraceDisplay.from_estimator(model, X[0])
