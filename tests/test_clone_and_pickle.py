"""Clones and pickles of the estimators."""

import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from helpers import environment
from numpy.testing import assert_array_equal
from sklearn.base import clone


def test_clone_has_the_parameters_and_nothing_else(sequences, model):
    model.set_params(memory_params={"shift_range": 0}).fit(*sequences)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "net_")


def test_an_unpickled_model_predicts_and_continues_the_same(sequences, model):
    X, y = sequences
    model.set_params(warm_start=True).fit(X, y)
    data = pickle.dumps(model)
    copied = pickle.loads(data)
    assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    assert copied.history_ == model.history_
    a, b = model.fit(X, y), copied.fit(X, y)
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    n_numbers = sum(p.numel() for p in model.net_.module_.parameters())
    # float32 weights, two moments of the optimizer, and little else.
    assert len(data) < 12 * n_numbers + 16_000


def test_unpickling_leaves_the_global_generator_as_it_was(sequences, model):
    data = pickle.dumps(model.fit(*sequences))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    pickle.loads(data)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_classes_of_main_survive_worker_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from skorch.callbacks import Callback
            from sklearn.model_selection import cross_validate
            from sknt import NTMSequenceClassifier

            class Mine(NTMSequenceClassifier):
                pass

            class Quiet(Callback):
                pass

            if __name__ == "__main__":
                X = np.random.RandomState(0).normal(size=(20, 4, 1))
                y = (X[:, 0, 0] > 0).astype(int)
                model = Mine(memory_size=4, hidden_size=5, max_epochs=1,
                             net_params={"callbacks": [Quiet()]})
                result = cross_validate(
                    model, X, y, cv=2, n_jobs=2, return_estimator=True
                )
                print(type(result["estimator"][0]).__name__,
                      result["estimator"][0].predict(X).shape)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment(PYTHONWARNINGS="default"),
    )
    assert done.stdout.split() == ["Mine", "(20,)"]
