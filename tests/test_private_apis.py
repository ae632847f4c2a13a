"""Private names of other libraries: in few places, and each of them still there.

An upgrade of a library that removes one fails here and names it, even if ``sknt`` can no
longer be imported: nothing in this file imports it.
"""

import ast
import importlib
import re
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LIBRARIES = {
    "numba": "numba",
    "sklearn": "scikit-learn",
    "skorch": "skorch",
    "torch": "torch",
}
"""Distributions by the name of their package."""

UNDOCUMENTED = ("numba.core",)
"""Packages that are private without an underscore."""

HOMES = {"sknt/_private.py", "sknt/kernels/_compile.py", "sknt/kernels/_libraries.py"}
"""The modules that import private names; all others take them from there."""

MEMBERS = [
    ("numba", lambda: named("numba.njit")(lambda: 0), ["_cache"]),
    ("numba", lambda: named("numba.core.caching.FunctionCache"), ["_impl_class"]),
    (
        "numba",
        lambda: named("numba.core.caching.CompileResultCacheImpl"),
        ["_locator_classes"],
    ),
    (
        "numba",
        lambda: named("numba.core.codegen.JITCodeLibrary"),
        [
            "_ensure_finalized",
            "_finalize_dynamic_globals",
            "_finalize_final_module",
            "_optimize_final_module",
            "_optimize_functions",
        ],
    ),
    (
        "numba",
        lambda: named("numba.njit")(lambda: 0).targetctx.codegen().create_library("a"),
        ["_codegen", "_final_module", "_finalized"],
    ),
    (
        "numba",
        lambda: named("numba.njit")(lambda: 0).targetctx.codegen(),
        ["_data_layout"],
    ),
    (
        "scikit-learn",
        lambda: named("sklearn.callback.CallbackSupportMixin"),
        ["_init_callback_context"],
    ),
    (
        "scikit-learn",
        lambda: named("sklearn.metrics.get_scorer")("accuracy"),
        ["_kwargs", "_response_method", "_score", "_score_func", "_sign"],
    ),
    ("scikit-learn", lambda: requesting_weights(), ["_metadata_request"]),
    ("skorch", lambda: named("skorch.NeuralNet"), ["_set_training"]),
    (
        "torch",
        lambda: named("torch.nn.Linear")(1, 1),
        [
            "_backward_hooks",
            "_backward_pre_hooks",
            "_buffers",
            "_forward_hooks",
            "_forward_pre_hooks",
            "_modules",
            "_parameters",
        ],
    ),
    (
        "torch",
        lambda: named("torch.ones")(1),
        ["_backward_hooks", "_post_accumulate_grad_hooks", "_version"],
    ),
    ("torch", lambda: named("torch.optim.Adam"), ["_init_group"]),
]
"""Private members of classes and objects, which no import shows, and where they are."""

OF_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
OURS = {"_parameters", "_runs"}
"""What sknt itself puts on objects that are not its own."""


class Use(NamedTuple):
    """A private name, and where it is used."""

    module: str
    name: str
    where: str

    @property
    def package(self):
        return self.module.partition(".")[0]


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def sources():
    for path in sorted((ROOT / "sknt").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imports(tree, where):
    """Every name imported from the libraries, also ``name`` of ``import module.name``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found = [(node.module, alias) for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [(alias.name.rpartition(".")[0], alias) for alias in node.names]
        else:
            continue
        for module, alias in found:
            name = alias.name.rpartition(".")[2]
            use = Use(module or name, name, f"{where}:{node.lineno}")
            if use.package in LIBRARIES:
                yield use, alias.asname or name


def uses_of(where, tree):
    """The private names that a module imports, and what it uses of private modules."""
    found = {
        alias: use
        for use, alias in imports(tree, where)
        if any(map(is_private, [*use.module.split("."), use.name]))
        or use.module.startswith(UNDOCUMENTED)
    }
    yield from found.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            use = found.get(node.value.id)
            if use is not None:
                yield Use(f"{use.module}.{use.name}", node.attr, f"{where}:{node.lineno}")


USES = [use for where, tree in sources() for use in uses_of(where, tree)]


def named(path):
    """Return what a dotted name stands for: a module, or a member of one or of a class."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        owner, _, name = path.rpartition(".")
        return getattr(named(owner), name)


def requesting_weights():
    """A transformer that asks for the weights of samples."""
    scaler = named("sklearn.preprocessing.StandardScaler")()
    with named("sklearn.config_context")(enable_metadata_routing=True):
        return scaler.set_fit_request(sample_weight=True)


def test_private_names_are_imported_in_few_places():
    strays = [use for use in USES if use.where.partition(":")[0] not in HOMES]
    assert not strays, f"import these from {sorted(HOMES)}"


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.module}.{use.name}")
def test_a_private_name_is_still_there(use):
    distribution = LIBRARIES[use.package]
    try:
        named(f"{use.module}.{use.name}")
    except (ImportError, AttributeError) as error:
        pytest.fail(
            f"{distribution} {version(distribution)} has no {use.module}.{use.name}, which "
            f"{use.where} uses ({error})"
        )


@pytest.mark.parametrize(
    ("distribution", "make_owner", "name"),
    [
        pytest.param(distribution, make_owner, name, id=f"{distribution}: {name}")
        for distribution, make_owner, names in MEMBERS
        for name in names
    ],
)
def test_a_private_member_is_still_there(distribution, make_owner, name):
    users = [where for where, tree in sources() if name in names_in(tree)]
    assert users, f"{name} is no longer used: take it out of MEMBERS"
    try:
        getattr(make_owner(), name)
    except (ImportError, AttributeError) as error:
        pytest.fail(
            f"{distribution} {version(distribution)} has no {name}, which {users} use "
            f"({error})"
        )


def names_in(tree):
    """Private names that a module defines or uses, as members or otherwise."""
    found = set()
    for node in ast.walk(tree):
        for field in ("attr", "name", "id"):
            name = getattr(node, field, None)
            if isinstance(name, str) and is_private(name):
                found.add(name)
    return found


def test_every_private_member_of_others_is_listed():
    used, own = set(), set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and is_private(node.attr):
                of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                stored = isinstance(node.ctx, ast.Store) and of_self
                (own if stored else used).add(node.attr)
    listed = {name for _, _, names in MEMBERS for name in names}
    assert used - own - OURS - OF_TUPLES <= listed


@pytest.mark.parametrize("distribution", sorted(LIBRARIES.values()))
def test_a_library_whose_private_names_are_used_has_an_upper_bound(distribution):
    requirements = (ROOT / "pyproject.toml").read_text()
    assert re.search(rf'"{distribution}>=[\d.]+,<[\d.]+"', requirements)
