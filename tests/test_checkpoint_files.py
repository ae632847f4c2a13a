"""Files that are damaged, foreign or cannot be written: never a crash or a wrong result."""

import os
import shutil

import numpy as np
import pytest
from checkpoint_helpers import (
    Kill,
    Killed,
    assert_same_fit,
    every_epoch,  # noqa: F401
    files_in,
    with_kill,
)
from helpers import small_classifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknt
from sknt.preprocessing import StepwiseTransformer
from sknt.storage import checkpoints, container
from sknt.storage.encoding import ValueEncoder

pytestmark = pytest.mark.usefixtures("every_epoch")


def tiny(folder=None, **params):
    sizes = {"memory": None, "hidden_size": 3, "n_convolutions": 0, "max_epochs": 2}
    model = small_classifier(**sizes | params, backend="reference", checkpoint=folder)
    return with_kill(model)


def kill(model, X, y, n=5):
    Kill.before(n)
    with pytest.raises(Killed):
        model.fit(X, y)
    Kill.before(None)


@pytest.fixture
def few(sequences):
    X, y = sequences
    return X[:20], y[:20]


@pytest.fixture
def path(tmp_path, few):
    """The checkpoint of a fit that was killed in its second epoch of two updates."""
    kill(tiny(tmp_path), *few, n=3)
    (name,) = files_in(tmp_path)
    return tmp_path / name


@pytest.fixture
def whole(few):
    return tiny().fit(*few)


def goes_on_anew(path, few, whole):
    model = tiny(path.parent)
    with pytest.warns(UserWarning, match=r"checkpoint .* cannot be used.* begins anew"):
        model.fit(*few)
    assert_same_fit(model, whole, few[0])
    assert files_in(path.parent) == []


def test_cut_off_anywhere(path, few, whole):
    content = path.read_bytes()
    for n in np.linspace(0, len(content) - 1, 12).astype(int):
        path.write_bytes(content[:n])
        goes_on_anew(path, few, whole)


def test_any_flipped_bit(path, few, whole):
    content = path.read_bytes()
    rng = np.random.RandomState(0)
    for place in [0, 7, 8, *rng.randint(len(content), size=12)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randint(8)
        path.write_bytes(flipped)
        goes_on_anew(path, few, whole)


def a_model(path):
    sknt.save(tiny().set_params(net_params=None), path)


def a_checkpoint_of_another_fit(path):
    rng = np.random.RandomState(5)
    folder = path.parent / "other"
    kill(tiny(folder), rng.normal(size=(20, 4, 2)), [0, 1] * 10, n=3)
    shutil.copy(folder / files_in(folder)[0], path)
    shutil.rmtree(folder)


def forged(path, change):
    """A file as it would be written, of another state."""
    file = checkpoints.CheckpointFile(path.parent, path.stem.removeprefix("fit-"))
    state = file.read()
    change(state)
    file.write(state)


FOREIGN = {
    "a model": a_model,
    "another fit's": a_checkpoint_of_another_fit,
    "text": lambda path: path.write_text("hello"),
    "nothing": lambda path: path.write_bytes(b""),
    "another structure": lambda path: path.write_bytes(container.to_bytes([1], {}, "0")),
    "weights of another size": lambda path: forged(
        path, lambda state: state["net"].update(module={})
    ),
    "an optimizer of another size": lambda path: forged(
        path,
        lambda state: [
            part.update(exp_avg=part["exp_avg"][..., :1])
            for part in state["net"]["optimizer"]["state"].values()
        ],
    ),
    "no seeds": lambda path: forged(path, lambda state: state.update(seeds=["x"])),
    "no callbacks": lambda path: forged(path, lambda state: state.update(callbacks={})),
    "no epochs": lambda path: forged(path, lambda state: state.update(n_done=-1)),
    "nothing in it": lambda path: forged(path, lambda state: state.clear()),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_not_used(path, few, whole, name):
    FOREIGN[name](path)
    goes_on_anew(path, few, whole)


def test_one_that_cannot_be_read_is_not_used(path, few, whole, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoints, "read", fail)
    goes_on_anew(path, few, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.02},
        {"random_state": 1},
        {"net_params": {"optimizer__eps": 1e-3}},
        {"max_epochs": 3},
    ],
)
def test_a_fit_with_other_parameters_does_not_use_it(path, few, change):
    model = tiny(path.parent).set_params(**change)
    content = path.read_bytes()
    assert_same_fit(
        model.fit(*few), clone(model).set_params(checkpoint=None).fit(*few), few[0]
    )
    assert path.read_bytes() == content


def test_a_fit_to_other_data_does_not_use_it(path, few):
    X, y = few
    X = X.copy()
    X[3, 0, 0] += 1e-3
    content = path.read_bytes()
    assert_same_fit(tiny(path.parent).fit(X, y), tiny().fit(X, y), X)
    assert path.read_bytes() == content


def test_a_fit_with_other_classes_does_not_use_it(path, few):
    classes, content = ["down", "sideways", "up"], path.read_bytes()
    model = tiny(path.parent).fit(*few, classes=classes)
    assert_same_fit(model, tiny().fit(*few, classes=classes), few[0])
    assert path.read_bytes() == content


@pytest.mark.parametrize("change", ["NUMBA_CPU_NAME", "version"])
def test_another_kind_of_processor_or_version_does_not_use_it(
    path, few, whole, monkeypatch, change
):
    from sknt.training import identity

    if change == "version":
        monkeypatch.setattr(identity, "__version__", "0.0.0")
    else:
        import numba

        monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    content = path.read_bytes()
    assert_same_fit(tiny(path.parent).fit(*few), whole, few[0])
    assert path.read_bytes() == content


@pytest.mark.parametrize("change", [{"verbose": 1}, {"on_interrupt": "keep"}])
def test_what_does_not_change_the_result_does_not_matter(path, few, whole, change):
    model = tiny(path.parent).set_params(**change)
    assert_same_fit(model.fit(*few), whole, few[0])
    assert files_in(path.parent) == []


def test_a_folder_that_cannot_be_made_is_an_error_at_once(tmp_path, few):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", str(tmp_path / "file" / "below"), ""):
        with pytest.raises(ValueError, match="not a directory that can be written to"):
            tiny(folder).fit(*few)
    with pytest.raises(ValueError, match="'checkpoint' parameter of NTM"):
        tiny(3).fit(*few)


def test_a_file_that_cannot_be_written_at_first_is_an_error(tmp_path, few, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomically", fail)
    model = tiny(tmp_path)
    with pytest.raises(ValueError, match="cannot be written: .*No space left"):
        model.fit(*few)
    assert not hasattr(model, "net_")


def test_a_disk_that_is_full_later_is_a_warning_and_loses_nothing(
    tmp_path, few, monkeypatch
):
    written, write = [], checkpoints.write_atomically

    def fail(path, parts):
        written.append(path)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        write(path, parts)

    monkeypatch.setattr(checkpoints, "write_atomically", fail)
    model = tiny(tmp_path, max_epochs=4)
    with pytest.warns(UserWarning, match="cannot be written .*No space left") as caught:
        model.fit(*few)
    assert len(written) == 4
    assert len(caught) == 1
    assert_same_fit(model, tiny(max_epochs=4).fit(*few), few[0])


def test_a_folder_that_is_removed_meanwhile_is_a_warning(tmp_path, few):
    class Remove(Kill):
        def on_epoch_end(self, net, **kwargs):
            shutil.rmtree(tmp_path / "folder", ignore_errors=True)

    model = tiny(tmp_path / "folder").set_params(net_params={"callbacks": [Remove()]})
    with pytest.warns(UserWarning, match="cannot be written"):
        model.fit(*few)


def test_a_relative_folder_stays_where_it_was(tmp_path, few, monkeypatch):
    class Leave(Kill):
        def on_epoch_begin(self, net, **kwargs):
            os.chdir(tmp_path)

    (tmp_path / "start").mkdir()
    monkeypatch.chdir(tmp_path / "start")
    model = tiny("here").set_params(net_params={"callbacks": [Leave()]})
    kill(model, *few, n=3)
    assert len(files_in(tmp_path / "start" / "here")) == 1
    assert files_in(tmp_path) == ["start"]


def test_what_killed_writers_left_is_removed_once_it_is_old(path, few):
    old, new = (path.parent / f".{path.name}.{i:012x}.tmp" for i in range(2))
    for left in (old, new):
        left.write_bytes(b"")
    os.utime(old, (0, 0))
    tiny(path.parent).fit(*few)
    assert files_in(path.parent) == [new.name]


def test_searches_and_pipelines_share_a_folder(tmp_path, few):
    X, y = few
    pipeline = make_pipeline(
        StepwiseTransformer(StandardScaler()), tiny(tmp_path, max_epochs=1)
    )
    grid = {"ntmsequenceclassifier__learning_rate": [0.01, 0.02]}
    search = GridSearchCV(pipeline, grid, cv=2)
    Kill.before(3)  # in the last of four fits of an update each
    with pytest.raises(Killed):
        search.fit(X, y)
    assert len(files_in(tmp_path)) == 1
    Kill.before(None)
    search.fit(X, y)
    assert files_in(tmp_path) == []
    pipeline.set_params(ntmsequenceclassifier__checkpoint=None)
    other = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    ours = search.best_estimator_.predict_proba(X)
    assert np.array_equal(ours, other.best_estimator_.predict_proba(X))


def test_a_saved_model_has_no_folder_to_write_to(tmp_path, few):
    model = tiny(tmp_path / "folder").set_params(net_params=None).fit(*few)
    sknt.save(model, tmp_path / "model.sknt")
    loaded = sknt.load(tmp_path / "model.sknt")
    assert loaded.checkpoint is None
    assert np.array_equal(loaded.predict_proba(few[0]), model.predict_proba(few[0]))
    encoder = ValueEncoder()
    name, params = "sknt.NTMSequenceClassifier", {"checkpoint": "/tmp"}
    forged = {"object": name, "params": params, "fitted": {}}
    content = container.to_bytes({"versions": {}, "model": forged}, encoder.tensors, "0")
    (tmp_path / "forged.sknt").write_bytes(content)
    with pytest.raises(ValueError, match="where a fit is to write"):
        sknt.load(tmp_path / "forged.sknt")


def test_a_checkpoint_is_no_model(path):
    with pytest.raises(ValueError, match="the checkpoint of a fit that has not ended"):
        sknt.load(path)
