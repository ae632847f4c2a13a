"""Fits that test_accelerate.py compares: in one process, and in each of two as a script."""

import sys
from pathlib import Path

import numpy as np
import torch
from helpers import SMALL
from sklearn.base import clone

import sknt.training.net
from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.training.progress import Update

rng = np.random.RandomState(0)
X = rng.normal(size=(23, 6, 2))
X[np.arange(6) >= rng.randint(2, 7, size=23)[:, np.newaxis]] = np.nan
y = (X[:, 0, 0] > 0).astype(int)
y_steps = np.where(np.isnan(X[..., 0]), np.nan, X[..., 0] > 0)
y_values = np.nan_to_num(X[:, 0, 0])
weights = rng.uniform(0.5, 2, size=23)

ALONE = SMALL | {"max_epochs": 2, "n_convolutions": 0}
Classifier, Regressor = NTMSequenceClassifier, NTMSequenceRegressor
FITS = {
    "weighted": (Classifier(**ALONE, batch_size=5), y, weights),
    "single sequences": (Classifier(**ALONE, batch_size=1, early_stopping=True), y, None),
    "reference": (Classifier(**ALONE, batch_size=3, backend="reference"), y, None),
    "steps": (
        Classifier(**ALONE, return_sequences=True, optimizer="muon"),
        y_steps,
        weights,
    ),
    "draws": (Classifier(**ALONE, memory="dntm", batch_size=9), y, None),
    "two directions": (
        Regressor(**ALONE, input_noise=0.1, bidirectional=True, max_grad_norm=0.1),
        y_values,
        None,
    ),
    "blend": (Classifier(**ALONE | {"n_convolutions": 84}), y, None),
    "penalty": (Classifier(**ALONE, batch_size=5), y, None),
}


def fit(name, net_params=None):
    """Fit a model and return its weights and buffers, and what its history says."""
    model, target, sample_weight = FITS[name]
    model = clone(model).set_params(net_params=net_params)
    choose = sknt.training.net.next_update
    if name == "penalty":
        sknt.training.net.next_update = lambda *_: Update(penalty=0.5, noise=0.2)
    try:
        model.fit(X, target, sample_weight=sample_weight)
    finally:
        sknt.training.net.next_update = choose
    assert model.net_.processes_ is None
    state = model.net_.module_.state_dict().values()
    numbers = ("train_loss", "grad_norm", "n_clipped", "valid_score", "n_sequences")
    return {
        "weights": torch.cat([part.double().flatten() for part in state]).numpy(),
        "history": np.array([[e.get(n, 0) for n in numbers] for e in model.history_]),
        "share": np.array(model.network_share_),
    }


def main(folder):
    """Fit all models, each by all processes together; then two that are refused."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    index = accelerator.process_index
    parts = {"accelerator": accelerator}
    results = {
        f"{name}/{what}": value for name in FITS for what, value in fit(name, parts).items()
    }
    model = clone(FITS["weighted"][0]).set_params(net_params=parts)
    for what, change in {"data": {}, "random_state": {"random_state": index}}.items():
        try:
            rows = slice(index if what == "data" else 0, None)
            model.set_params(**change).fit(X[rows], y[rows])
        except ValueError as error:
            results[f"refused/{what}"] = np.array(str(error))
    np.savez(Path(folder) / f"{index}.npz", **results)


if __name__ == "__main__":
    main(sys.argv[1])
