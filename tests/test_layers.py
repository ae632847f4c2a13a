"""The layers of the package: imports go down only."""

import ast

from helpers import ROOT

# From the top down: a module imports only from layers below its own.
LAYERS = [
    ["sknt"],
    ["sknt.classifier", "sknt.regressor", "sknt.inspection"],
    ["sknt._base", "sknt.callbacks"],
    ["sknt._settings"],
    ["sknt._parameters"],
    ["sknt.training"],
    ["sknt.metrics", "sknt.preprocessing"],
    ["sknt.convolutions"],
    ["sknt.nn"],
    ["sknt.memories"],
    ["sknt.kernels"],
    ["sknt.ops"],
    ["sknt.data", "sknt.datasets", "sknt._runtime", "sknt._private", "sknt._declaration"],
]


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
