"""pyproject.toml declares what sknt imports, with the oldest version that works."""

import ast
import re
import sys
import tomllib

import pytest
from helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""Distributions by the name of their package, where the two differ."""


def names_of(requirements):
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


def imports_of(tree):
    """The distributions that the nodes import, without sknt and Python's own modules."""
    found = set()
    for node in tree:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    packages = {name.partition(".")[0] for name in found}
    packages -= {"sknt", *sys.stdlib_module_names}
    return {DISTRIBUTIONS.get(package, package) for package in packages}


def of_all_modules(nodes):
    """Imports of all modules among the nodes that a function selects from each tree."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "sknt").rglob("*.py"))
    return set().union(*(imports_of(nodes(tree)) for tree in trees))


def test_every_import_is_declared_and_every_declaration_imported():
    extras = {name for kind in ("plot", "onnx", "dask", "optuna") for name in EXTRAS[kind]}
    # onnxruntime runs what is exported, which is for others to do.
    declared = names_of(PROJECT["dependencies"]) | names_of(extras) - {"onnxruntime"}
    assert of_all_modules(ast.walk) == declared


def test_optional_dependencies_are_imported_only_where_they_are_used():
    at_the_top = of_all_modules(lambda tree: tree.body)
    of_clusters = names_of(EXTRAS["dask"])  # without which sknt.clusters is nothing
    assert at_the_top <= names_of(PROJECT["dependencies"]) | of_clusters


def test_only_the_module_for_clusters_needs_an_optional_dependency():
    for path in (ROOT / "sknt").rglob("*.py"):
        at_the_top = imports_of(ast.parse(path.read_text()).body)
        if at_the_top & names_of(EXTRAS["dask"]):
            assert path == ROOT / "sknt" / "clusters.py"


@pytest.mark.parametrize(
    "requirement", sum(EXTRAS.values(), PROJECT["dependencies"]), ids=str
)
def test_every_requirement_states_the_oldest_version(requirement):
    """From these bounds .ci/oldest.py makes the environment of the oldest versions."""
    assert re.match(r"[\w.-]+>=\d+(\.\d+)*(,|$)|sknt\[", requirement)
