"""Parameters are declared once, and everything else follows from the declaration."""

import inspect
from numbers import Integral

import numpy as np
import pytest
from helpers import small_classifier
from sklearn.base import BaseEstimator, clone

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt._declaration import declares_parameters, parameter
from sknt._private import Interval, StrOptions
from sknt.nn import SequenceNetwork

ESTIMATORS = [NTMSequenceClassifier, NTMSequenceRegressor]


@declares_parameters
class Base(BaseEstimator):
    """An estimator.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    none_ : None
    """

    size: int = parameter(
        default=3,
        constraint=[Interval(Integral, 1, None, closed="left")],
        network=True,
        doc="""int, default=3
        How large it is.""",
    )
    kind: str = parameter(
        default="a",
        constraint=[StrOptions({"a", "b"})],
        doc="""{"a", "b"}, default="a"
        Of two kinds
        one.""",
    )


@declares_parameters
class Derived(Base):
    """Another one, with its own documentation."""

    between: float = parameter(
        default=0.5, constraint=[float], after="size", doc="float, default=0.5"
    )
    kind: str = parameter(default="b", constraint=["no"], doc='str, default="b"')


def test_the_constructor_follows_the_declaration():
    signature = "(*, size=3, kind='a')"
    assert str(inspect.signature(Base)) == signature
    assert str(inspect.signature(Base(size=4).__init__)) == signature
    assert Base(kind="b").get_params() == {"size": 3, "kind": "b"}
    assert repr(clone(Base(size=5))) == "Base(size=5)"
    with pytest.raises(TypeError, match=r"Base\(\) got an unexpected keyword argument 'x'"):
        Base(x=1)
    with pytest.raises(TypeError, match=r"Base\(\) too many positional arguments"):
        Base(1)


def test_only_instances_have_values():
    assert not hasattr(Base, "size")
    assert vars(Base()) == {"size": 3, "kind": "a"}


def test_constraints_and_paragraphs_follow_the_declaration():
    assert list(Base._parameter_constraints) == ["size", "kind"]
    Base(size=2)._validate_params()
    with pytest.raises(ValueError, match="'size' parameter of Base must be an int"):
        Base(size=0)._validate_params()
    paragraphs = inspect.getdoc(Base).split("----------")[1].split("Attributes")[0]
    assert paragraphs.strip().splitlines() == [
        "size : int, default=3",
        "    How large it is.",
        'kind : {"a", "b"}, default="a"',
        "    Of two kinds",
        "    one.",
    ]


def test_a_subclass_adds_positions_and_replaces_parameters():
    assert str(inspect.signature(Derived)) == "(*, size=3, between=0.5, kind='b')"
    assert str(inspect.signature(Base)) == "(*, size=3, kind='a')"
    assert Derived._parameters["size"].fixed  # what goes to a network is


def test_a_subclass_may_have_its_own_constructor():
    class Own(NTMSequenceClassifier):
        def __init__(self, *, memory_size=16, random_state=None):
            super().__init__(memory_size=memory_size, random_state=random_state)

    model = clone(Own(memory_size=8))
    assert set(model.get_params(deep=False)) == {"memory_size", "random_state"}
    assert model.memory_size == 8
    assert model.hidden_size == 100


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_every_parameter_is_documented_constrained_and_has_its_default(Estimator):
    signature = inspect.signature(Estimator).parameters
    declared = Estimator._parameters
    assert list(signature) == list(declared) == list(Estimator._parameter_constraints)
    documented = inspect.getdoc(Estimator)
    for name, part in declared.items():
        assert f"\n{part.paragraph(name).splitlines()[0]}\n" in documented, name
        assert signature[name].kind is inspect.Parameter.KEYWORD_ONLY
    Estimator()._validate_params()


def test_the_parameters_passed_to_the_network_are_those_it_takes():
    taken = inspect.signature(SequenceNetwork).parameters
    declared = {n: p for n, p in NTMSequenceClassifier._parameters.items() if p.network}
    assert set(taken) == {"n_inputs", "n_outputs", *declared}
    resolved = {"patch_size": 1, "pooling": None}  # "auto" depends on the data
    for name, part in declared.items():
        assert taken[name].default == resolved.get(name, part.default), name


CHANGED = {
    "memory": None,
    "controller": "gru",
    "memory_params": {"shift_range": 2},
    "patch_size": 2,
    "pooling": "mean",
    "bidirectional": True,
    "standardize": False,
    "return_sequences": True,
    "optimizer": "sgd",
    "device": "meta",
    "backend": "reference",
    "net_params": {"optimizer__eps": 1e-3},
}


@pytest.mark.parametrize(
    "name", [n for n, p in NTMSequenceClassifier._parameters.items() if p.fixed]
)
def test_a_warm_start_refuses_any_change_of_a_fixed_parameter(sequences, name):
    model = small_classifier(warm_start=True).fit(*sequences)
    value = CHANGED[name] if name in CHANGED else getattr(model, name) + 1
    with pytest.raises(ValueError, match=f"{name} changed since the last fit"):
        model.set_params(**{name: value}).fit(*sequences)


def test_a_nan_does_not_count_as_a_change(sequences):
    model = small_classifier(warm_start=True).fit(*sequences)
    assert np.isnan(model.missing_target)
    assert model.fit(*sequences).n_iter_ == 6
