"""Compiled kernels are kept on disk."""

import shutil
from pathlib import Path

import pytest
from helpers import in_subprocess

import sknt


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
        from sknt.kernels import sequences
        print(sknt.__file__, sum(sequences.forward.stats.cache_hits.values()))
    """
    first, second = (in_subprocess(code, cwd=tmp_path, **env) for _ in range(2))
    assert first.stdout.split() == [str(package / "__init__.py"), "0"]
    assert second.stdout.split()[1] == "1"
    assert first.stderr.count("compiling the fused kernels") == 1
    assert str(home) in first.stderr
    assert "compiling" not in second.stderr


@pytest.mark.slow
def test_damaged_files_of_kernels_are_written_anew(tmp_path):
    env = {"NUMBA_CACHE_DIR": str(tmp_path)}
    code = """
        from sknt.kernels import sequences
        sequences.weight_gradients._cache._cache_file.save("key", "data")
        path = sequences.weight_gradients._cache._cache_file._index_path
        open(path, "wb").write(b"damaged")
        assert sequences.weight_gradients._cache.load_overload((), None) is None
    """
    assert "compiling" in in_subprocess(code, **env).stderr
