"""The classes of sknt.preprocessing are found, and pickled, under its public path."""

import base64
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sknt.preprocessing
from sknt.preprocessing import StepwiseTransformer, ToSequence

MODULE = b"sknt.preprocessing"


@pytest.mark.parametrize("estimator", [StepwiseTransformer(), ToSequence(n_features=2)])
def test_pickles_name_the_public_module_and_no_other(estimator):
    estimator.fit(np.arange(12.0).reshape(2, 6))
    stored = pickle.dumps(estimator)
    assert MODULE in stored
    assert MODULE + b"." not in stored
    assert type(pickle.loads(stored)) is type(estimator)


def test_a_pickle_from_when_it_was_one_module_is_read():
    stored = base64.b64decode(
        "gASVOwAAAAAAAACMEnNrbnQucHJlcHJvY2Vzc2luZ5SMClRvU2VxdWVuY2WUk5QpgZR9lIwKbl9mZWF0"
        "dXJlc5RLA3NiLg=="
    )
    X = np.arange(6.0).reshape(1, 6)
    assert_array_equal(pickle.loads(stored).fit_transform(X)[0], X.reshape(2, 3))


def test_everything_public_is_documented_and_exported():
    for name in sknt.preprocessing.__all__:
        assert inspect.getdoc(getattr(sknt.preprocessing, name))


def test_no_library_of_data_frames_is_imported():
    code = (
        "import sys, torch, skorch, sklearn; before = {*sys.modules}; "
        "from sknt.preprocessing import *; "
        "from_channels_first([[[1.0, 2.0]]]); to_windows([1.0, 2.0], length=1); "
        "from_nested([{'a': [1, 2]}]); "
        "print({'polars', 'pyarrow', 'awkward', 'pandas'} & ({*sys.modules} - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr
