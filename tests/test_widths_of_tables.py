"""Two dimensions at prediction: when the number of columns may differ from that of fit."""

import numpy as np
import pytest
from helpers import small_classifier, weights_of
from numpy.testing import assert_allclose
from reading_helpers import LABELS, every_reader, numbers, outputs

from sknt import pad_sequences
from sknt.data import DataWarning

nan = np.nan
RAGGED = [[1.0, 2.0], [3.0]] * 6
LONGER = [[1.0, 2.0, 3.0, 4.0], [3.0, 1.0]]


@every_reader
@pytest.mark.parametrize(
    "training",
    [
        RAGGED,
        pad_sequences(RAGGED),
        pad_sequences(RAGGED, side="left"),
        list(numbers(3)),
        numbers(3, 1),
    ],
    ids=["ragged", "padded", "padded before", "arrays", "sequences"],
)
def test_padded_sequences_may_have_another_width_than_in_fit(make, training):
    model = make().fit(training, LABELS)
    for sequences in (LONGER, [[1.0, 2.0, 3.0]] * 2):
        padded = pad_sequences(sequences)
        one_by_one = [outputs(model, [np.array(x)])[0] for x in sequences]
        for own, alone in zip(outputs(model, padded), one_by_one, strict=True):
            own, alone = np.ravel(own), np.ravel(alone)
            assert_allclose(own[~np.isnan(own)], alone, rtol=1e-12)


@every_reader
@pytest.mark.parametrize("inside", [False, True])
def test_a_table_has_a_fixed_width_and_the_error_says_the_way_out(make, inside):
    table = numbers(4)
    if inside:  # values that are missing here and there
        table[::2, 1] = table[3, 3] = nan
    model = make().fit(table, LABELS)
    with pytest.raises(ValueError, match=r"X has 3 features.*expecting 4.*np\.newaxis"):
        outputs(model, table[:, :3])
    shorter = [[1.0, 2.0], [3.0, 4.0]]
    padded = pad_sequences(shorter, max_length=4)
    assert_allclose(outputs(model, shorter), outputs(model, padded)[..., :2])


@every_reader
def test_a_frame_has_a_fixed_width_even_if_it_is_padded(make):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(pad_sequences(RAGGED)).rename(columns="t{}".format)
    model = make().fit(frame, LABELS)
    with pytest.raises(ValueError, match="feature names"):
        outputs(model, frame[["t0"]])


def test_chunks_of_partial_fit_may_have_other_widths():
    chunks = [pad_sequences(RAGGED), pad_sequences(LONGER * 6)]
    model, same = small_classifier(), small_classifier()
    for chunk, sequences in zip(chunks, (RAGGED, LONGER * 6), strict=True):
        model.partial_fit(chunk, LABELS, classes=[0, 1])
        same.partial_fit(sequences, LABELS, classes=[0, 1])
    assert (weights_of(model) == weights_of(same)).all()
    assert model.score(chunks[1], LABELS) == same.score(LONGER * 6, LABELS)


def test_one_series_in_one_column_is_not_taken_for_many_of_one_step():
    pd = pytest.importorskip("pandas")
    model = small_classifier().fit(numbers(5, 1), LABELS)
    series = numbers(1)
    for X in (series, pd.DataFrame(series)):
        for call in (model.predict, model.predict_proba, model.decision_function):
            with pytest.raises(ValueError, match=r"\[X\] if.*reshape\(X, \(-1, 1, 1\)\)"):
                call(X)
    with pytest.raises(ValueError, match=r"give \[X\]"):
        model.score(series, LABELS)
    for X in (series, pd.DataFrame(series)):
        assert model.predict([X]).shape == (1,)
        assert model.predict(np.reshape(X, (-1, 1, 1))).shape == (12,)
    assert model.predict(series[:1]).shape == (1,)  # one step, however it is read


def test_one_step_sequences_in_lists_are_read_with_a_warning():
    model = small_classifier().fit(RAGGED, LABELS)
    with pytest.warns(DataWarning, match="12 sequences of one step"):
        assert model.predict(numbers(1).tolist()).shape == (12,)
    model.predict([[1.0]])


def test_one_column_after_a_fit_on_one_column_is_a_table():
    model = small_classifier().fit(numbers(1), LABELS)
    assert model.predict(numbers(1)).shape == (12,)


def test_one_multivariate_series_is_pointed_to_a_batch_of_one():
    model = small_classifier().fit(numbers(5, 2), LABELS)
    with pytest.raises(ValueError, match=r"1 features.*is \[X\]"):
        model.predict(numbers(2))
