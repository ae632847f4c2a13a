"""Files of earlier releases load, and their models predict what they predicted then.

``python tests/test_kept_files.py`` writes the files of the current format, once: they stay
in ``tests/data`` as they are. A release that changes the format adds files of its own.
"""

import json

import numpy as np
import pytest
from helpers import ROOT
from numpy.testing import assert_allclose

import sknt

DATA = ROOT / "tests" / "data"
FILES = ["format_1_classifier", "format_1_regressor"]
TINY = {"memory_size": 4, "word_size": 3, "hidden_size": 4, "random_state": 0}


def data():
    """Ten sequences of 4 to 8 steps, computed without a random generator."""
    steps = np.arange(10 * 8 * 2.0).reshape(10, 8, 2)
    X = np.sin(steps * 1.7) + 0.01 * steps
    X[np.arange(8) >= 4 + np.arange(10)[:, np.newaxis] % 5] = np.nan
    return X


def outputs_of(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_kept_file_predicts_what_it_predicted(name):
    model = sknt.load(DATA / f"{name}.sknt")
    expected = json.loads((DATA / f"{name}.json").read_text())
    assert_allclose(outputs_of(model, data()), expected["outputs"], rtol=1e-6, atol=1e-6)
    last = model[-1] if hasattr(model, "steps") else model
    assert last.n_iter_ == len(last.history_) == 2
    assert [epoch["epoch"] for epoch in last.history_] == [1, 2]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_kept_file_goes_on_training(name):
    model = sknt.load(DATA / f"{name}.sknt")
    expected = json.loads((DATA / f"{name}.json").read_text())
    last = model[-1] if hasattr(model, "steps") else model
    last.set_params(warm_start=True)
    model.fit(data(), expected["y"])
    assert last.n_iter_ == 4
    assert_allclose(outputs_of(model, data()), expected["later"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", FILES)
def test_a_kept_file_is_small_and_of_the_format_that_it_says(name):
    content = (DATA / f"{name}.sknt").read_bytes()
    assert len(content) < 50_000
    assert name.removeprefix("format_")[0].encode() == content.split(b'_version":"')[1][:1]


def write():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sknt.preprocessing import StepwiseTransformer

    X = data()
    positive = X[:, 0, 0] > 0.5
    classifier = sknt.NTMSequenceClassifier(**TINY, max_epochs=2, pooling="last")
    regressor = sknt.NTMSequenceRegressor(**TINY, max_epochs=2, n_convolutions=168)
    models = {
        "classifier": (
            make_pipeline(StepwiseTransformer(StandardScaler()), classifier),
            np.where(positive, "up", "down").tolist(),
        ),
        "regressor": (regressor, (3 * X[:, 0, 0] + 1).tolist()),
    }
    DATA.mkdir(exist_ok=True)
    for kind, (model, y) in models.items():
        name = f"format_{sknt.persistence.FORMAT_VERSION}_{kind}"
        sknt.save(model.fit(X, y), DATA / f"{name}.sknt")
        kept = {"y": y, "outputs": outputs_of(model, X).tolist()}
        last = model[-1] if hasattr(model, "steps") else model
        last.set_params(warm_start=True)
        kept["later"] = outputs_of(model.fit(X, y), X).tolist()
        (DATA / f"{name}.json").write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    write()
