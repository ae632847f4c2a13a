"""Where compiled kernels are kept, and what happens without compilation."""

import shutil
from pathlib import Path

import pytest
from helpers import in_subprocess

import sknt


@pytest.mark.parametrize("backend", ["auto", "fused"])
def test_without_compilation_auto_takes_the_reference_path_and_warns_once(backend):
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


@pytest.mark.slow
def test_kernels_are_kept_where_the_package_cannot_be_written_to(tmp_path):
    package = tmp_path / "site" / "sknt"
    shutil.copytree(
        Path(sknt.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "kernels" / "__pycache__").write_text("in the way")
    home = tmp_path / "home"
    env = {"PYTHONPATH": str(package.parent), "HOME": str(home), "NUMBA_CACHE_DIR": ""}
    env["XDG_CACHE_HOME"] = str(home / ".cache")
    code = """
        import sknt, torch
        from sknt.nn import SequenceNetwork
        with torch.no_grad():
            SequenceNetwork(3, 2)(torch.zeros(1, 2, 3))
        from sknt.kernels import passes
        print(sknt.__file__, sum(passes.forward.stats.cache_hits.values()))
    """
    first, second = (in_subprocess(code, cwd=tmp_path, **env) for _ in range(2))
    assert first.stdout.split() == [str(package / "__init__.py"), "0"]
    assert second.stdout.split()[1] == "1"
    assert first.stderr.count("is compiling the fused kernels") == 1
    assert str(home) in first.stderr
    assert "compiling" not in second.stderr
