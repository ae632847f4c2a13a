"""The layers of the package: imports go down only."""

import ast

import torch
from helpers import ROOT

from sknt.memories import MEMORIES

# From the top down: a module imports only from layers below its own.
LAYERS = [
    ["sknt"],
    ["sknt.exporting"],
    ["sknt.clusters", "sknt.model_selection", "sknt.persistence"],
    ["sknt.classifier", "sknt.regressor", "sknt.inspection"],
    ["sknt._base", "sknt.callbacks"],
    ["sknt._blends"],
    ["sknt._reading"],
    ["sknt._resuming"],
    ["sknt._settings"],
    ["sknt._parameters"],
    ["sknt.online"],
    ["sknt.training"],
    ["sknt.metrics", "sknt.preprocessing"],
    ["sknt.convolutions"],
    ["sknt.nn"],
    ["sknt.memories"],
    ["sknt.kernels"],
    ["sknt.ops"],
    ["sknt.data", "sknt.datasets", "sknt.storage", "sknt._runtime", "sknt._declaration"],
    ["sknt._private"],
    ["sknt._version"],
]


ENGINE = (
    *("blocks", "buffers", "contract", "controllers", "driver", "engine", "gradients"),
    *("guards", "layout", "onward", "parameters", "states"),
)
"""Modules of the kernels that serve every memory."""


def test_the_engine_knows_no_field_of_any_memory():
    names = set()
    for memory in MEMORIES.values():
        own = {"n_inputs": 3} if memory.uses_inputs else {}
        made = memory(5, 6, 4, 1, 1, **own)
        inputs = (torch.zeros(1, 3),) if memory.uses_inputs else ()
        interface = made.interface(torch.zeros(1, 5), *inputs)
        names |= {*made.initial_state(1)._fields, *interface._fields}
    assert {"links", "read_weights", "erase", "last_access", "usage"} <= names
    # Words with other meanings, too:
    names -= {"add", "candidate", "given", "key", "memory", "step"}
    for module in ENGINE:
        tree = ast.parse((ROOT / "sknt" / "kernels" / f"{module}.py").read_text())
        used = {getattr(node, "id", getattr(node, "attr", None)) for node in ast.walk(tree)}
        assert not names & used, module


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
