"""Chunks for partial_fit, and the pairs of a stream, that differ in width or labels."""

import numpy as np
import pytest
from helpers import SMALL, small_classifier, small_regressor, weights_of

from sknt import NTMSequenceClassifier, pad_sequences

nan = np.nan
LABELS = np.array([0, 1] * 4)


def series(*lengths, seed=0):
    rng = np.random.RandomState(seed)
    return [rng.normal(size=lengths[i % len(lengths)]) for i in range(8)]


FULL, PADDED, LONG = series(3), series(2, 4, seed=1), series(6, seed=2)


def as_padded(sequences):
    return pad_sequences(sequences)


def as_3d(sequences):
    return pad_sequences([np.reshape(s, (-1, 1)) for s in sequences])


def as_lists(sequences):
    return [s.tolist() for s in sequences]


def trained(chunks, **params):
    model = small_classifier(**params)
    for chunk in chunks:
        model.partial_fit(chunk, LABELS, classes=[0, 1])
    return model


@pytest.mark.parametrize("first", [as_padded, as_3d, as_lists, list])
@pytest.mark.parametrize("then", [as_padded, as_3d, as_lists, list])
def test_equally_long_rows_do_not_fix_the_width_of_later_chunks(first, then):
    one = trained([first(FULL), then(PADDED), then(FULL)])
    other = trained([list(FULL), list(PADDED), list(FULL)])
    assert (weights_of(one) == weights_of(other)).all()
    assert one.score(as_padded(PADDED), LABELS) == other.score(PADDED, LABELS)


@pytest.mark.parametrize("shown_by", [as_padded, as_3d, as_lists, list])
def test_once_a_chunk_was_of_sequences_full_rows_may_have_any_width(shown_by):
    model = trained([as_padded(FULL), shown_by(PADDED), as_padded(LONG)])
    assert model.predict(as_padded(series(5))).shape == (8,)


def test_a_table_that_is_never_padded_has_a_fixed_width():
    model = trained([as_padded(FULL)])
    before = weights_of(model).clone()
    with pytest.raises(ValueError, match=r"X has 6 features.*expecting 3.*np\.newaxis"):
        model.partial_fit(as_padded(LONG), LABELS)
    assert (weights_of(model) == before).all()
    # Nor does a chunk that is refused for another reason change that.
    with pytest.raises(ValueError, match="not among"):
        model.partial_fit(as_padded(PADDED), LABELS + 5)
    with pytest.raises(ValueError, match="X has 6 features"):
        model.partial_fit(as_padded(LONG), LABELS)
    # What predict is given says nothing about later chunks.
    model.predict(as_lists(PADDED))
    with pytest.raises(ValueError, match="X has 6 features"):
        model.partial_fit(as_padded(LONG), LABELS)


def test_a_chunk_of_single_steps_is_not_doubted_where_there_are_labels():
    ones = series(1)
    one = trained([as_padded(PADDED), as_padded(ones)])
    other = trained([list(PADDED), list(ones)])
    assert (weights_of(one) == weights_of(other)).all()


def test_the_pairs_of_a_stream_and_warm_starts_may_differ_too():
    pairs = [(as_padded(chunk), LABELS) for chunk in (FULL, PADDED, LONG)]
    model = NTMSequenceClassifier(**SMALL).fit(iter(pairs))
    assert model.n_iter_ == 3
    model = NTMSequenceClassifier(**SMALL | {"max_epochs": 1}, warm_start=True)
    for X, y in pairs:
        model.fit(X, y)
    assert model.n_iter_ == 3


def test_the_first_chunk_decides_the_patches_and_later_ones_may_be_longer():
    model = trained([list(series(40)), list(series(200, seed=1))])
    assert model.patch_size_ == 2
    assert model.predict(list(series(200))).shape == (8,)
    assert trained([list(FULL), list(LONG)], patch_size=5).patch_size_ == 3


def test_a_chunk_may_lack_labels_and_targets_of_an_output():
    model = small_classifier().partial_fit(FULL, [0] * 8, classes=[0, 1, 2])
    model.partial_fit(LONG, [2, 1] * 4)
    assert model.predict_proba(FULL).shape == (8, 3)
    indicators = np.column_stack([LABELS, np.full(8, nan)])
    first, second = indicators, indicators[:, ::-1]
    model = small_classifier().partial_fit(FULL, first).partial_fit(LONG, second)
    values = np.column_stack([LABELS, LABELS[::-1]]).astype(float)
    model = small_regressor().partial_fit(FULL, values).partial_fit(LONG, second)
    assert model.predict(FULL).shape == (8, 2)
    with pytest.raises(ValueError, match="output 1 of y has no target"):
        small_classifier().fit(FULL, indicators)
