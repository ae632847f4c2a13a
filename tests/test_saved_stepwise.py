"""Pipelines for text, names and static features are kept by save, pickle and joblib."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers import small_classifier
from numpy.testing import assert_array_equal
from persistence_helpers import round_trip
from sklearn.pipeline import make_pipeline
from stepwise_helpers import FAST, LABELS, columns_apart, sequences

from sknt.preprocessing import NestedToSequence, StepwiseTransformer


def through_joblib(model, tmp_path):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


KEEP = {
    "save": round_trip,
    "pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
}
every_way = pytest.mark.parametrize("keep", KEEP.values(), ids=KEEP)


@every_way
def test_a_pipeline_for_frames_is_the_same(tmp_path, keep):
    model = make_pipeline(
        StepwiseTransformer(columns_apart()), small_classifier(max_epochs=1, **FAST)
    )
    frames = sequences(pd.DataFrame)
    model.fit(frames, LABELS)
    loaded = keep(model, tmp_path)
    assert_array_equal(loaded.predict_proba(frames), model.predict_proba(frames))
    turned = [frame[frame.columns[::-1]] for frame in frames]
    assert_array_equal(loaded.predict_proba(turned), model.predict_proba(frames))
    names = model[0].get_feature_names_out()
    assert_array_equal(loaded[0].get_feature_names_out(), names)
    with pytest.raises(ValueError, match="sample 0 lacks"):
        loaded.predict([frame[["kind"]] for frame in frames])


@every_way
def test_containers_and_static_features_are_the_same(tmp_path, keep):
    people = pd.DataFrame({"kind": [["u", "v"], ["w"]] * 6, "a": np.arange(12.0)})
    people["flag"] = [[1.0, 0.0], [1.0]] * 6
    model = make_pipeline(NestedToSequence(), StepwiseTransformer(columns_apart()))
    model.set_output(transform="pandas").fit(people)
    loaded = keep(model, tmp_path)
    for own, other in zip(loaded.transform(people), model.transform(people), strict=True):
        pd.testing.assert_frame_equal(own, other)


@every_way
def test_learning_in_parts_goes_on(tmp_path, keep):
    X = np.random.RandomState(0).normal(size=(6, 3, 2))
    whole = StepwiseTransformer().partial_fit(X[:3])
    loaded = keep(whole, tmp_path)
    for stepwise in (whole, loaded):
        stepwise.partial_fit(X[3:])
    assert_array_equal(loaded.transformer_.var_, whole.transformer_.var_)
    assert loaded.transformer_.n_samples_seen_ == 18
