"""Errors that newcomers meet on the way from a file to a saved model say what to do."""

import os
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from helpers import small_classifier

import sknt
from sknt.callbacks import OptunaPruning
from sknt.preprocessing import from_long_frame


def test_a_path_is_not_a_frame_but_can_be_read():
    with pytest.raises(TypeError, match=r"pandas.read_csv\(path\)"):
        from_long_frame("events.csv", id="id")


def test_groups_of_a_frame_lead_to_from_long_frame():
    frame = pd.DataFrame({"id": [1, 1, 2], "a": [1.0, 2.0, 3.0]})
    with pytest.raises(TypeError, match=r"from_long_frame\(frame, id="):
        small_classifier().fit(frame.groupby("id"), [0, 1])


def test_a_missing_directory_is_named_rather_than_a_temporary_file(tmp_path):
    path = tmp_path / "absent" / "model.sknt"
    with pytest.raises(FileNotFoundError, match="create it first") as raised:
        sknt.save(small_classifier(), path)
    assert raised.value.filename == str(path)
    assert "tmp'" not in str(raised.value)


def test_a_directory_is_not_the_name_of_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="not the name of a file"):
        sknt.save(small_classifier(), tmp_path)
    assert os.listdir(tmp_path) == []


def test_the_model_comes_before_the_path(tmp_path):
    with pytest.raises(TypeError, match="the model comes first"):
        sknt.save(str(tmp_path / "model.sknt"), small_classifier())


@pytest.mark.parametrize(
    ("monitor", "direction"), [("valid_score", "minimize"), ("valid_loss", "maximize")]
)
def test_a_pruner_is_not_asked_in_the_wrong_direction(monitor, direction):
    net = SimpleNamespace(history=[{monitor: 0.5}])
    study = optuna.create_study(direction=direction)
    with pytest.raises(ValueError, match="create the study so"):
        OptunaPruning(study.ask(), monitor).on_epoch_end(net)
    right = {"minimize": "maximize", "maximize": "minimize"}[direction]
    trial = optuna.create_study(direction=right).ask()
    OptunaPruning(trial, monitor).on_epoch_end(net)
