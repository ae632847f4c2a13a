"""The other tasks, against programs that solve them from X alone, step by step."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknt.datasets import (
    make_associative_recall,
    make_copy,
    make_dynamic_ngrams,
    make_priority_sort,
    make_repeat_copy,
)
from sknt.metrics import (
    bits_per_sequence,
    decode_vectors,
    optimal_ngram_proba,
)

nan = np.nan
MAKERS = [
    make_copy,
    make_repeat_copy,
    make_associative_recall,
    make_dynamic_ngrams,
    make_priority_sort,
]


def steps_of(x):
    return [step for step in x.tolist() if not math.isnan(step[0])]


def solve_copy(x):
    steps = steps_of(x)
    end = next(t for t, step in enumerate(steps) if step[-1] == 1)
    return end + 1, [step[:-1] for step in steps[:end]]


def solve_repeat_copy(x):
    mean, std = 5.5, math.sqrt(8.25)  # of 1 to 10
    steps = steps_of(x)
    end = next(t for t, step in enumerate(steps) if step[-2] == 1)
    n_repeats = round(steps[end][-1] * std + mean)
    assert math.isclose((n_repeats - mean) / std, steps[end][-1], abs_tol=1e-12)
    vectors = [[*step[:-2], 0] for step in steps[:end]] * n_repeats
    return end + 1, [*vectors, [0] * (len(steps[0]) - 2) + [1]]


def solve_recall(x, length=3):
    steps = steps_of(x)
    items, t = [], 0
    while steps[t][-2] == 1:
        items.append([step[:-2] for step in steps[t + 1 : t + 1 + length]])
        assert all(step[-2:] == [0, 0] for step in steps[t + 1 : t + 1 + length])
        t += length + 1
    assert steps[t][-1] == steps[t + length + 1][-1] == 1
    query = [step[:-2] for step in steps[t + 1 : t + 1 + length]]
    answers = [b for a, b in itertools.pairwise(items) if a == query]
    assert len(answers) >= 1
    return t + length + 2, answers[0]


def solve_sort(x, n_targets=16):
    steps = steps_of(x)
    end = next(t for t, step in enumerate(steps) if step[-1] == 1)
    ordered = sorted(steps[:end], key=lambda step: -step[-2])
    assert all(-1 <= step[-2] <= 1 for step in ordered)
    return end + 1, [step[:-2] for step in ordered[:n_targets]]


PROGRAMS = [
    (make_copy, solve_copy, {}),
    (make_copy, solve_copy, {"min_length": 30, "max_length": 30}),
    (make_repeat_copy, solve_repeat_copy, {}),
    (make_repeat_copy, solve_repeat_copy, {"min_length": 20, "max_length": 20}),
    (make_repeat_copy, solve_repeat_copy, {"min_repeats": 20, "max_repeats": 20}),
    (make_associative_recall, solve_recall, {"n_bits": 12}),
    (make_associative_recall, solve_recall, {"n_bits": 12, "max_items": 20}),
    (make_priority_sort, solve_sort, {}),
]


@pytest.mark.parametrize(("make", "solve", "sizes"), PROGRAMS)
def test_targets_follow_from_the_inputs(make, solve, sizes):
    X, y = make(60, random_state=0, **sizes)
    assert X.shape[:2] == y.shape[:2] == (60, X.shape[1])
    for x, targets in zip(X, y, strict=True):
        begin, expected = solve(x)
        end = begin + len(expected)
        assert_array_equal(targets[begin:end], expected)
        assert np.isnan(targets[:begin]).all()
        assert np.isnan(targets[end:]).all()
        assert not np.isnan(x[:end]).any()
        assert np.isnan(x[end:]).all()
        assert (x[begin:end] == 0).all()  # nothing is shown while it is reproduced
    decoded = decode_vectors(y)
    assert_array_equal(decoded[0], solve(X[0])[1])


def test_sizes_are_uniform_over_their_range_with_both_ends_included():
    X, _ = make_repeat_copy(3000, min_length=2, max_length=4, max_repeats=3, random_state=0)
    n_vectors = [np.flatnonzero(x[:, -2] == 1)[0] for x in X]
    n_steps = (~np.isnan(X[..., 0])).sum(axis=1)
    repeats = (n_steps - 2) // n_vectors - 1
    for found, expected in [(n_vectors, 3), (repeats, 3)]:
        counts = np.unique(found, return_counts=True)[1]
        assert len(counts) == expected
        assert np.abs(counts - 1000).max() < 130  # standard deviation 26
    X, _ = make_associative_recall(2000, random_state=0)
    counts = np.unique((X[..., -2] == 1).sum(axis=1), return_counts=True)
    assert_array_equal(counts[0], [2, 3, 4, 5, 6])
    assert np.abs(counts[1] - 400).max() < 90  # standard deviation 18


@pytest.mark.parametrize("make", MAKERS)
def test_a_seed_fixes_the_data_and_a_generator_continues(make):
    X, y = make(5, random_state=3)
    assert_array_equal(make(5, random_state=np.random.RandomState(3))[0], X)
    assert_array_equal(make(5, random_state=3)[1], y)
    rng = np.random.RandomState(3)
    make(5, random_state=rng)
    assert not np.array_equal(make(5, random_state=rng)[0], X, equal_nan=True)


def test_ngrams_follow_one_table_per_sample_and_tables_differ():
    X, y = make_dynamic_ngrams(40, order=3, length=4000, random_state=0)
    assert_array_equal(X[:, 1:], y[:, :-1])
    shares = []
    for bits in X[..., 0].astype(int):
        follows = {}
        for t in range(2, len(bits)):
            follows.setdefault((bits[t - 2], bits[t - 1]), []).append(bits[t])
        # What comes after a context is drawn independently: both halves agree.
        for found in follows.values():
            if len(found) > 300:
                half = len(found) // 2
                assert abs(np.mean(found[:half]) - np.mean(found[half:])) < 0.2
                shares.append(np.mean(found))
    # Beta(1/2, 1/2) has mean 1/2 and variance 1/8, most of it near 0 and 1.
    assert abs(np.mean(shares) - 0.5) < 0.12
    assert np.var(shares) > 0.05


def test_the_optimal_estimator_counts_and_beats_the_true_tables_rivals():
    X, y = make_dynamic_ngrams(20, order=4, length=60, random_state=1)
    proba = optimal_ngram_proba(X, order=4)
    for i, bits in enumerate(X[..., 0].astype(int).tolist()):
        seen = {}
        for t in range(len(bits)):
            if t >= 3:
                seen.setdefault(tuple(bits[t - 3 : t]), []).append(bits[t])
            expected = 0.5
            if t >= 2:
                after = seen.get(tuple(bits[t - 2 : t + 1]), [])
                expected = (sum(after) + 0.5) / (len(after) + 1)
            assert proba[i, t, 0] == expected
    X, y = make_dynamic_ngrams(300, random_state=0)
    best = bits_per_sequence(y, optimal_ngram_proba(X))
    for other in (optimal_ngram_proba(X, order=5), optimal_ngram_proba(X, order=7)):
        assert best < bits_per_sequence(y, other)
    assert best < 199


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_repeat_copy(0), "n_samples=0"),
        (lambda: make_repeat_copy(min_repeats=3, max_repeats=2), "min_repeats=3"),
        (lambda: make_repeat_copy(scale_repeats=(3, 3)), "scale_repeats"),
        (lambda: make_associative_recall(min_items=1), "2 <= min_items"),
        (lambda: make_associative_recall(item_length=0), "item_length=0"),
        (lambda: make_dynamic_ngrams(order=0), "order=0"),
        (lambda: make_dynamic_ngrams(length=1), "max_length=1"),
        (lambda: make_priority_sort(n_inputs=3, n_targets=4), "n_targets=4"),
        (lambda: make_copy(max_length=2.5), "max_length=2.5"),
    ],
)
def test_invalid_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
