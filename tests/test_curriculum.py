"""Curricula: longer sequences as they are learned."""

from functools import partial

import pytest
from helpers import stepwise_classifier, tiny_copy

from sknt.callbacks import LengthCurriculum
from sknt.datasets import make_copy


def test_a_curriculum_gives_longer_sequences_as_they_are_learned():
    curriculum = LengthCurriculum(4, learned=1e9)  # each epoch is good enough
    model = stepwise_classifier(max_epochs=6, net_params={"callbacks": [curriculum]})
    lengths = []

    def stream(random_state, max_length=9):
        lengths.append(max_length)
        return make_copy(20, n_bits=2, max_length=max_length, random_state=random_state)

    model.fit(stream)
    assert lengths == [1, 2, 3, 4, 4, 4]
    assert [epoch["curriculum"] for epoch in model.history_] == [1, 2, 3, 4, 4, 4]
    never = LengthCurriculum(4, start=2, learned=1e-9)
    model.set_params(net_params={"callbacks": [never]}).fit(stream)
    assert lengths[6:] == [2] * 6
    assert model.net_.progress_.held


@pytest.mark.parametrize("wrong", [{"start": 5}, {"step": 0}, {"learned": 0}])
def test_an_invalid_curriculum_is_refused(wrong):
    model = stepwise_classifier(net_params={"callbacks": [LengthCurriculum(4, **wrong)]})
    with pytest.raises(ValueError, match="is not a curriculum"):
        model.fit(partial(tiny_copy))
