"""Invalid parameters: an error names them, and nothing changes."""

import re

import pytest
from helpers import SMALL
from numpy.testing import assert_array_equal

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

BAD_PARAMETERS = {
    "memory": ("elephant", "'memory'.*'ntm'"),
    "controller": ("human", "'controller'.*'lstm'"),
    "optimizer": ("luck", "'optimizer'.*'adam'"),
    "memory_size": (0, "'memory_size'"),
    "word_size": (-1, "'word_size'"),
    "n_read_heads": (0, "'n_read_heads'"),
    "n_write_heads": (1.5, "'n_write_heads'"),
    "hidden_size": (0, "'hidden_size'"),
    "n_layers": (0, "'n_layers'"),
    "batch_size": (0, "'batch_size'"),
    "max_epochs": (0, "'max_epochs'"),
    "learning_rate": (0.0, "'learning_rate'"),
    "validation_fraction": (1.0, "'validation_fraction'"),
    "memory_params": (
        {"shift_rang": 1},
        r"'shift_rang'.*\['shift_range', 'memory_init', 'interface_clip'",
    ),
    "device": ("cuda:63", "device='cuda:63' is not available.*device='cpu'"),
    "net_params": ({"optimiser__eps": 1}, "unexpected argument.*optimiser__eps"),
    "random_state": ("seed", "'random_state'"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
@pytest.mark.parametrize("Estimator", [NTMSequenceClassifier, NTMSequenceRegressor])
def test_bad_parameters(sequences, Estimator, name):
    X, y = sequences
    y = (y == "up").astype(int)
    model = Estimator(**SMALL).fit(X, y)
    before, fitted = model.predict(X), set(vars(model))
    value, message = BAD_PARAMETERS[name]
    good = getattr(model, name)
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        model.fit(X, y)
    assert set(vars(model)) == fitted
    assert_array_equal(model.predict(X), before)
    model.set_params(**{name: good}).fit(X, y)


@pytest.mark.parametrize(
    ("memory_params", "message"),
    [
        ({"shift_range": 3}, "shift_range=3 makes 7 shifts, more than memory_size=6 rows"),
        ({"shift_range": -1}, "shift_range=-1"),
        ({"memory_init": "magic"}, r"memory_init='magic'.*\['constant', 'learned', 'ra"),
        ({"interface_clip": 0}, "interface_clip=0"),
    ],
)
def test_bad_memory_params(sequences, memory_params, message):
    with pytest.raises(ValueError, match=message):
        NTMSequenceClassifier(**SMALL, memory_params=memory_params).fit(*sequences)


def test_memory_params_without_a_memory(sequences):
    model = NTMSequenceClassifier(**SMALL, memory=None, memory_params={"shift_range": 1})
    with pytest.raises(ValueError, match="no meaning with memory=None"):
        model.fit(*sequences)


@pytest.mark.parametrize(
    ("net_params", "message"),
    [
        ({"lr": 1.0}, "'lr'.*set learning_rate"),
        ({"optimizer__lr": 1.0}, "'optimizer__lr'.*set learning_rate"),
        ({"module__hidden_size": 5}, "'module__hidden_size'.*set hidden_size"),
        ({"criterion__reduction": "mean"}, "'criterion__reduction'.*always 'none'"),
        ({"optimizer": "adam"}, "a class of torch.optim.*set the estimator's optimizer"),
        ({"optimizer": 3}, "optimizer=3; give a class"),
        ({"criterion": 3}, "criterion=3; give a loss"),
        ({"iterator_train": 3}, "iterator_train=3; give a class"),
        ({"train_split": 3}, "train_split=3; give a split"),
        ({"callbacks": 5}, "callbacks=5; give a list"),
        ({"callbacks": [3]}, "callbacks with 3, which is not a subclass"),
        ({"callbacks": [("name", object)]}, "callbacks with .*object.*not a subclass"),
        ({"n_outputs": 3}, "'n_outputs', which follows from y; leave it out"),
        ({1: "x"}, "key 1"),
    ],
)
def test_net_params_that_cannot_be_used(sequences, net_params, message):
    model = NTMSequenceClassifier(**SMALL, net_params=net_params)
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences)


def test_nothing_can_be_set_inside_a_parameter_that_is_not_a_dictionary():
    model = NTMSequenceClassifier(net_params=[1])
    with pytest.raises(ValueError, match=r"net_params=\[1\] is not a dictionary"):
        model.set_params(net_params__optimizer__eps=1)
