"""The choice between the fused path and the reference."""

import numpy as np
import pytest
import torch
from helpers import in_subprocess
from kernel_helpers import make_batch, make_kernel_network

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.nn import SequenceNetwork

pytestmark = pytest.mark.usefixtures("torch_seed")


def test_backends_that_cannot_serve_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"backend='cuda' is not known.*'reference'"):
        SequenceNetwork(3, 2, backend="cuda")
    network = SequenceNetwork(3, 2, backend="fused").to(torch.bfloat16)
    with pytest.raises(ValueError, match="not in bfloat16"):
        network(torch.zeros(1, 2, 3, dtype=torch.bfloat16))
    with pytest.raises(ValueError, match="x is float32, but the network is float64"):
        network.double()(torch.zeros(1, 2, 3))


def test_auto_falls_back_where_there_are_no_kernels():
    for network in (
        SequenceNetwork(3, 2).to(torch.bfloat16),
        SequenceNetwork(3, 2, backend="reference"),
    ):
        x = torch.zeros(1, 2, 3, dtype=next(network.parameters()).dtype)
        assert network.backend_for(x) == "reference"
        assert network(x)[0].shape == (1, 2, 2)


def test_hooks_and_parametrizations_of_layers_are_not_bypassed():
    network = make_kernel_network()
    x, lengths = make_batch()
    assert network.backend_for(x) == "fused"
    seen = []
    handle = network.readout.register_forward_hook(lambda *args: seen.append(args))
    network(x, lengths)
    assert seen
    handle.remove()
    torch.nn.utils.parametrizations.weight_norm(network.cell.memory.projection)
    assert network.backend_for(x) == "reference"


@pytest.mark.slow
def test_importing_the_package_does_not_load_the_compiler():
    in_subprocess(
        """
        import sys, sknt
        sknt.NTMSequenceClassifier()
        assert not any(name.split(".")[0] == "numba" for name in sys.modules)
        """
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "breakage",
    ["sys.modules['numba'] = None", "sys.modules['numba'] = type(sys)('numba')"],
    ids=["missing", "broken"],
)
def test_without_numba_auto_works_and_warns_once(breakage):
    in_subprocess(
        f"""
        import sys, warnings
        {breakage}
        import pytest, torch
        from sknt.nn import SequenceNetwork
        network = SequenceNetwork(3, 2)
        with pytest.warns(RuntimeWarning, match="numba cannot be loaded.*Install numba"):
            outputs, _ = network(torch.zeros(1, 2, 3))
        assert outputs.shape == (1, 2, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network(torch.zeros(1, 2, 3))
        with pytest.raises(ImportError, match="numba cannot be loaded.*use 'auto'"):
            SequenceNetwork(3, 2, backend="fused")
        """
    )


def test_estimators_report_their_backend_and_predict_the_same(sequences):
    X, y = sequences
    shared = {"memory_size": 8, "max_epochs": 3, "random_state": 0}
    models = {
        backend: NTMSequenceClassifier(backend=backend, **shared).fit(X, y)
        for backend in ("auto", "reference")
    }
    assert models["auto"].backend_ == "fused"
    assert models["reference"].backend_ == "reference"
    np.testing.assert_allclose(
        models["auto"].predict_proba(X), models["reference"].predict_proba(X), atol=1e-4
    )
    bare = NTMSequenceClassifier(memory=None, **shared).fit(X, y)
    assert bare.backend_ == "fused"


def test_a_prediction_that_overflows_single_precision_is_made_in_double_precision():
    X = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    model = NTMSequenceRegressor(memory_size=4, max_epochs=1, random_state=0)
    model.fit(X, X[:, 0])
    with torch.no_grad():
        model.net_.module_.readout.weight.mul_(3e38)
    assert np.isfinite(model.predict(X)).all()
