"""Other ways to keep a model: pickle, joblib, cloudpickle and skops."""

import io
import pickle
from functools import partial

import cloudpickle
import joblib
import pytest
import skops.io
from helpers import small_classifier, small_regressor
from numpy.testing import assert_array_equal
from persistence_helpers import assert_same
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EpochScoring

from sknt.preprocessing import StepwiseTransformer


def through_joblib(model, compress):
    file = io.BytesIO()
    joblib.dump(model, file, compress=compress)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    content = skops.io.dumps(model)
    return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))


WAYS = {
    **{
        f"pickle, protocol {n}": lambda model, n=n: pickle.loads(pickle.dumps(model, n))
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "joblib": partial(through_joblib, compress=0),
    "joblib, compressed": partial(through_joblib, compress=3),
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "skops": through_skops,
}


@pytest.mark.parametrize("keep", WAYS.values(), ids=WAYS)
def test_a_pipeline_predicts_and_continues_the_same(sequences, keep):
    X, y = sequences
    model = small_classifier(n_convolutions=168, warm_start=True)
    pipeline = make_pipeline(StepwiseTransformer(), model).fit(X, y)
    kept = keep(pipeline)
    assert_array_equal(kept.predict_proba(X), pipeline.predict_proba(X))
    assert_same(kept[-1].history_, model.history_)
    for part in (pipeline, kept):
        part.fit(X, y)
    assert_same(kept[-1].net_.snapshot(), model.net_.snapshot())
    for record in (*kept[-1].history_, *model.history_):
        del record["dur"]
    assert_same(kept[-1].history_, model.history_)


@pytest.mark.parametrize("memory", ["dnc", "dntm", "sam", None])
@pytest.mark.parametrize("keep", [WAYS["cloudpickle"], WAYS["skops"]])
def test_regressors_of_all_memories_predict_the_same(values, keep, memory):
    X, y = values
    model = small_regressor(memory=memory).fit(X, y)
    assert_array_equal(keep(model).predict(X), model.predict(X))


def test_cloudpickle_keeps_functions_of_ones_own(sequences):
    X, y = sequences
    scoring = EpochScoring(
        lambda net, dataset, y: 0.5, name="half", use_caching=False, on_train=True
    )
    model = small_classifier(net_params={"callbacks": [scoring]}, warm_start=True)
    kept = WAYS["cloudpickle"](model.fit(X, y))
    assert kept.fit(X, y).history_[-1]["half"] == 0.5


def test_what_skops_asks_to_trust_is_all_of_sknt_skorch_and_torch(sequences):
    content = skops.io.dumps(small_classifier().fit(*sequences))
    names = skops.io.get_untrusted_types(data=content)
    assert {name.partition(".")[0] for name in names} <= {"sknt", "skorch", "torch"}
