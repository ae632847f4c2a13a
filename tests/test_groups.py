"""Groups of sequences that are held out as a whole."""

import numpy as np
import pytest
import sklearn
from blend_helpers import blended_estimator, both, make_targets, make_waves
from helpers import small_classifier, small_regressor, weights_of
from sklearn.model_selection import GroupKFold, cross_validate

from sknt import _blends
from sknt.data.ragged import Ragged
from sknt.training.data import TrainingData
from sknt.training.groups import choose_held_out_groups, join_groups

nan = np.nan


def data_of(targets):
    n = len(targets)
    inputs = Ragged.in_blocks(np.zeros((n, 1, 1)), np.ones(n, int))
    return TrainingData(inputs, targets, np.ones(n))


def chosen(targets, joined, fraction, seed=0, equal=None):
    equal = np.arange(len(targets)) if equal is None else equal
    return choose_held_out_groups(data_of(targets), equal, joined, fraction, seed)


# Which rows are joined


def naive_components(equal, given):
    own = list(range(len(equal)))
    for _ in own:
        for i in range(len(own)):
            for j in range(len(own)):
                if equal[i] == equal[j] or given[i] == given[j]:
                    own[i] = own[j] = min(own[i], own[j])
    return own


@pytest.mark.parametrize("seed", range(8))
def test_chains_of_equal_rows_and_groups_are_joined(seed):
    rng = np.random.RandomState(seed)
    equal = np.unique(rng.randint(14, size=16), return_inverse=True)[1]
    given = rng.randint(9, size=16)
    joined, expected = join_groups(equal, given), naive_components(equal, given)
    for i in range(16):
        for j in range(16):
            assert (joined[i] == joined[j]) == (expected[i] == expected[j])
    names = rng.permutation(9)
    assert (join_groups(equal, names[given]) == joined).all()


# What is chosen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.6])
def test_small_groups_give_the_part_wanted_of_each_class(fraction, seed):
    rng = np.random.RandomState(seed)
    joined = np.repeat(np.arange(100), 3)
    targets = np.repeat(rng.choice(3, size=100, p=[0.6, 0.3, 0.1]), 3)
    held_out = chosen(targets, joined, fraction, seed)
    for label in range(3):
        of_class = targets == label
        wanted = fraction * of_class.sum()
        assert abs(held_out[of_class].sum() - wanted) <= 3  # a group
    assert (held_out.reshape(100, 3).all(axis=1) == held_out.reshape(100, 3)[:, 0]).all()


def test_the_seed_decides():
    joined, targets = np.repeat(np.arange(30), 2), np.arange(60) / 60
    first, again, other = (chosen(targets, joined, 0.2, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert first.sum() == other.sum() == 12


@pytest.mark.parametrize("sizes", [(30, 2), (20, 20), (1, 5), (1, 1, 1), (50, 1, 1, 1)])
def test_some_are_held_out_and_some_are_left_whatever_the_sizes(sizes):
    joined = np.repeat(np.arange(len(sizes)), sizes)
    for fraction in (0.01, 0.1, 0.5, 0.99):
        held_out = chosen(np.zeros(sum(sizes)), joined, fraction)
        assert 2 <= held_out.sum() < sum(sizes)


def test_a_class_in_one_large_group_is_not_lost():
    joined = np.array([0] * 10 + [1, 2, 3, 4, 5, 6] * 5)
    targets = np.array([1] * 10 + [0] * 30)
    for seed in range(10):
        held_out = chosen(targets, joined, 0.2, seed)
        assert not held_out[targets == 1].any()
        assert held_out.sum() == 10 or held_out.sum() == 5


def test_repeated_rows_count_once():
    equal = np.array([0] * 90 + list(range(1, 11)))
    held_out = chosen(np.zeros(100), equal, 0.3, equal=equal)
    assert len(np.unique(equal[held_out])) == 4


# In fit


@pytest.fixture
def held_out_rows(monkeypatch):
    """Return a list to which each fit appends its data and what it holds out of them."""
    seen, choose = [], _blends.choose_held_out_groups

    def and_remember(data, *args):
        seen.append((data, choose(data, *args)))
        return seen[-1][1]

    monkeypatch.setattr(_blends, "choose_held_out_groups", and_remember)
    return seen


@pytest.mark.parametrize(
    "name",
    [
        lambda g: g,
        lambda g: [f"person {i}" for i in g],
        lambda g: np.array([f"p{i}" for i in g], dtype=object),
        lambda g: g * 0.5,
        lambda g: np.array(["2020-01-01"], dtype="datetime64[D]") + g,
    ],
    ids=["numbers", "text", "objects", "floats", "dates"],
)
def test_whole_groups_are_held_out_for_early_stopping(held_out_rows, sequences, name):
    X, _ = sequences
    groups = np.random.RandomState(0).randint(8, size=60)
    X[:, 0, 1] = groups  # so that a row tells its group
    model = small_regressor(early_stopping=True, standardize=False, max_epochs=1)
    model.fit(X, X[:, 0, 0], groups=name(groups))
    ((data, is_held_out),) = held_out_rows
    found = data.inputs.padded()[:, 0, 1]
    assert set(found[is_held_out]).isdisjoint(found[~is_held_out])
    assert 2 <= is_held_out.sum() <= 20


def test_neither_the_order_nor_the_names_of_groups_change_a_fit(sequences):
    X, y = sequences
    X, y = np.concatenate([X, X[:9]]), np.concatenate([y, y[:9]])
    groups = np.random.RandomState(0).randint(12, size=69)  # equal rows in two groups
    order = np.random.RandomState(1).permutation(69)
    names = np.array(list("qwertzuiopas"))
    for weights in (None, np.random.RandomState(2).randint(3, size=69)):
        models = [
            small_classifier(early_stopping=True, max_epochs=1).fit(
                X[rows],
                y[rows],
                None if weights is None else weights[rows],
                groups=labels[rows],
            )
            for rows, labels in [
                (slice(None), groups),
                (order, groups),
                (order, names[groups]),
            ]
        ]
        first, *others = map(weights_of, models)
        assert all((first == other).all() for other in others)


def test_rows_of_weight_0_do_not_join_groups(held_out_rows, sequences):
    X, y = sequences
    X, y = np.concatenate([X, X[:30]]), np.concatenate([y, y[:30]])
    groups = np.concatenate([np.arange(60), np.zeros(30, int)])
    weights = np.repeat([1, 0], [60, 30])
    model = small_classifier(early_stopping=True, validation_fraction=0.2, max_epochs=1)
    model.fit(X, y, weights, groups=groups)
    ((data, is_held_out),) = held_out_rows
    assert len(data.lengths) == 60
    assert is_held_out.sum() == 12


@both
def test_whole_groups_are_held_out_for_the_blend(held_out_rows, kind, blends):
    X, values = make_waves(40)
    groups = np.arange(40) // 4
    y = make_targets(kind, values)
    model = blended_estimator(kind, max_epochs=1).fit(X, y, groups=groups)
    ((_, is_held_out),) = held_out_rows
    (blend,) = blends
    assert is_held_out.sum() == 8
    # The regression that the share is judged against has seen no one of their groups.
    rest = blend.data.take(~is_held_out)
    alone, _ = _blends.fit_regression(
        rest,
        np.arange(len(rest.lengths)),
        model._codes(rest),
        n_thresholds=168,
        seed=np.random.RandomState(0).randint(2**31 - 1, size=4)[3],  # as fit draws it
        backend="auto",
    )
    outputs = alone.predict(blend.judged.inputs)
    assert blend.judged_outputs == pytest.approx(model.convolutions_.factor * outputs)


def test_groups_that_tell_the_target_are_not_taken_for_skill(blends):
    """Copies with noise in a group: leaving one out says nothing about other groups."""
    X, _ = make_waves(12, seed=1)
    rng = np.random.RandomState(0)
    labels, groups = rng.randint(2, size=12), np.repeat(np.arange(12), 5)
    X = np.repeat(X, 5, axis=0)
    X += 0.01 * rng.normal(size=X.shape)
    y = labels[groups]
    blended_estimator("classifier", max_epochs=1).fit(X, y)
    blended_estimator("classifier", max_epochs=1).fit(X, y, groups=groups)
    without, with_groups = blends
    assert without.mean_loss < 0.3  # each is predicted by its copies
    assert with_groups.mean_loss > 0.5


def test_a_search_hands_groups_to_fit_and_splitter(held_out_rows, sequences):
    X, y = sequences
    groups = np.random.RandomState(0).randint(8, size=60)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small_classifier(early_stopping=True, max_epochs=1)
        model.set_fit_request(groups=True)
        cross_validate(model, X, y, cv=GroupKFold(2), params={"groups": groups})
    assert len(held_out_rows) == 2


# Errors


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(60), "all sequences belong together.*at least two groups"),
        (np.arange(59), "groups has 59 entries, but X has 60"),
        (np.zeros((60, 2)), r"groups has shape \(60, 2\)"),
        ([*range(59), nan], "groups is missing at sample 59"),
        (["a", None] * 30, "groups is missing at sample 1"),
        (np.ma.masked_equal(np.arange(60), 7), "groups is missing at sample 7"),
        ([{1}, {2}] * 30, "groups has a group that cannot be compared"),
        ([[1], [1, 2]] * 30, "groups is not a list of groups|cannot be compared"),
        (3, r"groups has shape \(\)"),
    ],
)
def test_groups_that_do_not_fit_are_refused(sequences, groups, message):
    model = small_classifier(early_stopping=True)
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences, groups=groups)
    assert not hasattr(model, "net_")


def test_a_stream_has_no_groups(sequences):
    with pytest.raises(ValueError, match="groups cannot be used when X is a stream"):
        small_classifier().fit(iter([sequences]), groups=np.arange(60))
