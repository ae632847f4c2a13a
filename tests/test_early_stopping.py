"""Early stopping and the samples held out for it."""

import numpy as np
import pytest
import torch
from helpers import SMALL, small_classifier, small_regressor, weights_of

from sknt import NTMSequenceClassifier, NTMSequenceRegressor


def test_early_stopping_restores_the_best_weights(sequences):
    X, _ = sequences
    y = np.random.RandomState(1).randint(0, 2, size=60)  # nothing to learn
    model = small_classifier(
        schedule="constant",
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=4,
        max_epochs=60,
    ).fit(X, y)
    assert model.n_iter_ < 60
    scores = [record["valid_score"] for record in model.history_]
    losses = [record["valid_loss"] for record in model.history_]
    best = max(range(len(scores)), key=lambda i: (scores[i], -losses[i]))
    exactly = small_classifier(
        schedule="constant",
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=100,
        max_epochs=best + 1,
    ).fit(X, y)
    assert torch.equal(weights_of(model), weights_of(exactly))


@pytest.mark.parametrize("return_sequences", [False, True])
def test_validation_score_is_the_score_of_the_held_out_part(sequences, return_sequences):
    X, _ = sequences
    y = (np.nan_to_num(X[..., 0]) > 0).astype(int)
    y = y if return_sequences else y[:, 0]
    for Estimator in (NTMSequenceClassifier, NTMSequenceRegressor):
        model = Estimator(
            **SMALL, early_stopping=True, return_sequences=return_sequences
        ).fit(X, y)
        assert {"train_loss", "valid_loss", "valid_score", "dur"} <= set(model.history_[0])
        assert all(record["valid_score"] <= 1 for record in model.history_)


@pytest.mark.slow
def test_copies_of_a_sample_are_never_both_held_out_and_trained_on():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(60, 5, 3)), rng.randint(0, 2, size=60)  # nothing to learn
    params = {"early_stopping": True, "n_iter_no_change": 30, "max_epochs": 30}
    model = small_classifier(**params, hidden_size=30)
    model.fit(X, y, sample_weight=np.full(60, 4))
    assert model.history_[-1]["train_loss"] < 0.1  # memorised
    assert max(record["valid_score"] for record in model.history_) < 0.95


@pytest.mark.slow
def test_early_stopping_works_if_an_output_is_rarely_among_the_held_out(sequences):
    X, _ = sequences
    y = np.column_stack([X[:, 0, 0], X[:, 0, 1]])
    y[3:, 1] = np.nan
    params = {"early_stopping": True, "max_epochs": 20}
    for seed in range(4):
        model = small_regressor(**params, random_state=seed).fit(X, y)
        assert model.score(X, y[:, :1].repeat(2, axis=1) * [1, np.nan]) > 0.2


def test_early_stopping_falls_back_where_a_class_has_one_member(sequences):
    X, _ = sequences
    y = np.zeros(60, dtype=int)
    y[0], y[1:20] = 2, 1
    model = small_classifier(early_stopping=True).fit(X, y)
    assert "valid_score" in model.history_[0]
