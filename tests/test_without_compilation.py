"""What happens where nothing can be compiled."""

import pytest
from helpers import in_subprocess

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["auto", "fused"])
def test_an_estimator_takes_the_reference_path_and_warns_once(backend):
    code = f"""
        import warnings
        import numpy as np, pytest
        from sknt import NTMSequenceClassifier
        X, y = np.random.RandomState(0).normal(size=(12, 4, 2)), [0, 1] * 6
        model = NTMSequenceClassifier(memory_size=4, max_epochs=1, backend="{backend}")
        if "{backend}" == "fused":
            with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT is set.*use 'auto'"):
                model.fit(X, y)
        else:
            with pytest.warns(RuntimeWarning, match="NUMBA_DISABLE_JIT.*Unset it"):
                model.fit(X, y)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                model.fit(X, y).predict(X)
            assert model.backend_ == "reference"
    """
    in_subprocess(code, NUMBA_DISABLE_JIT="1")


def test_a_network_takes_the_reference_path_and_warns_once():
    code = """
        import warnings
        import pytest, torch
        from sknt.nn import SequenceNetwork
        network = SequenceNetwork(3, 2)
        reason = "NUMBA_DISABLE_JIT is set.*Unset it"
        with pytest.warns(RuntimeWarning, match=reason) as said:
            network(torch.zeros(1, 2, 3))
        assert len(said) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            SequenceNetwork(3, 2)(torch.zeros(1, 2, 3))
        with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT is set; use 'auto'"):
            SequenceNetwork(3, 2, backend="fused")
    """
    in_subprocess(code, NUMBA_DISABLE_JIT="1")
