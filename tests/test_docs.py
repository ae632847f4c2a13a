"""Documentation that runs, examples that run, and the layers of the package."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# From the top down: a module imports only from layers below its own.
LAYERS = [
    ["sknt"],
    ["sknt.classifier", "sknt.regressor", "sknt.inspection"],
    ["sknt._base"],
    ["sknt._fitting"],
    ["sknt._training"],
    ["sknt.callbacks", "sknt.metrics", "sknt.preprocessing"],
    ["sknt._input", "sknt._targets", "sknt._stream"],
    ["sknt.nn"],
    ["sknt.memories"],
    ["sknt.kernels"],
    ["sknt.ops"],
    ["sknt.sequences", "sknt.datasets", "sknt._runtime", "sknt._optimizers"],
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    namespace = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), namespace)
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(r"`((?:sknt|examples|docs)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("example", "pictures"),
    [
        ("speaker_identification.py", ["speaker_confusion.png", "speaker_attention.png"]),
        ("copy_beyond_training.py", ["copy_heads.png"]),
    ],
)
def test_examples_run_when_shortened(tmp_path, example, pictures):
    subprocess.run(
        [sys.executable, ROOT / "examples" / example],
        cwd=tmp_path,
        check=True,
        timeout=300,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SKNT_EXAMPLE_EPOCHS": "1",
            "SKNT_EXAMPLE_CHUNKS": "1",
        },
    )
    for picture in pictures:
        assert (tmp_path / picture).stat().st_size > 10_000


def layer_of(module):
    for depth, names in enumerate(LAYERS):
        if any(module == n or (depth and module.startswith(n + ".")) for n in names):
            return depth
    raise AssertionError(f"{module} belongs to no layer; add it to LAYERS")


def test_imports_go_down_only():
    for path in sorted((ROOT / "sknt").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sknt"):
                imported = {node.module}
                if node.module == "sknt":  # from sknt import ops
                    imported = {f"sknt.{alias.name}" for alias in node.names}
                for name in imported:
                    same = name.split(".")[1:2] == module.split(".")[1:2]
                    assert same or layer_of(module) < layer_of(name), (module, name)
