"""The examples run."""

import subprocess
import sys

import pytest
from helpers import ROOT, environment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "pictures"),
    [
        ("speaker_identification.py", ["speaker_confusion.png", "speaker_attention.png"]),
        ("copy_beyond_training.py", ["copy_heads.png"]),
        ("variables_in_source_code.py", ["variables_accuracy.png", "variables_heads.png"]),
        ("serve_onnx.py", []),
    ],
)
def test_examples_run_when_shortened(tmp_path, example, pictures):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example],
        cwd=tmp_path,
        check=True,
        timeout=300,
        capture_output=True,
        text=True,
        env=environment(SKNT_EXAMPLE_EPOCHS="1", SKNT_EXAMPLE_CHUNKS="1"),
    )
    warnings = [line for line in done.stderr.splitlines() if "Warning: " in line]
    # Shortened, they learn nothing.
    assert [w for w in warnings if "ConvergenceWarning" not in w] == []
    for picture in pictures:
        assert (tmp_path / picture).stat().st_size > 10_000
