"""One fit by two processes gives what one process gives, to rounding."""

import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import fits_in_processes as fits
import numpy as np
import pytest
from accelerate import Accelerator
from helpers import environment, small_classifier
from numpy.testing import assert_allclose, assert_array_equal

from sknt.training.processes import Share, processes_of

TIMEOUT = 300
"""Seconds after which the processes are taken to wait for each other in vain."""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def launch(script, *arguments, count=2):
    """Run a script in several processes, as ``accelerate launch`` does; none survives."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    place |= {"WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning:sknt", script, *arguments],
            env=environment(**place, RANK=str(index), LOCAL_RANK=str(index)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(count)
    ]
    end = time.monotonic() + TIMEOUT
    try:
        while any(process.poll() is None for process in processes):
            failed = any(process.poll() for process in processes)
            if failed or time.monotonic() > end:
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()  # where it is still running, it waits for one that has failed
        said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, "\n".join(said)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each of two processes ended with."""
    folder = tmp_path_factory.mktemp("fits")
    launch(Path(fits.__file__), str(folder))
    return [np.load(folder / f"{index}.npz") for index in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", fits.FITS)
def test_two_processes_fit_what_one_fits(results, name):
    for what, expected in fits.fit(name).items():
        first, second = (result[f"{name}/{what}"] for result in results)
        assert_array_equal(first, second)
        assert_allclose(first, expected, rtol=1e-4, atol=1e-5, err_msg=what)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["data", "random_state"])
def test_processes_that_differ_are_told_so(results, what):
    for result in results:
        assert "the processes of this fit differ" in str(result[f"refused/{what}"])


@pytest.mark.parametrize("n_sequences", [1, 2, 5, 16])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_sequence_belongs_to_one_process(n_sequences, count):
    class Accelerators:
        mixed_precision, gradient_accumulation_steps = "no", 1
        num_processes, is_main_process, reduce, gather = count, False, None, None

        def __init__(self, index):
            self.process_index = index

    owned = []
    for index in range(count):
        share = processes_of(Accelerators(index)).share(n_sequences)
        run = range(n_sequences)[share.rows]
        assert len(run) == max(1, share.n_own)  # no process is left without any
        owned += run[: share.n_own]
    assert owned == list(range(n_sequences))


def test_the_one_that_stands_in_is_within_the_batch():
    assert range(2)[Share(2, 0, 2).rows] == range(1, 2)


def test_an_accelerator_of_one_process_changes_nothing(sequences):
    X, y = sequences
    alone = small_classifier(n_convolutions=0).fit(X, y)
    params = {"accelerator": Accelerator(cpu=True)}
    model = small_classifier(n_convolutions=0, net_params=params).fit(X, y)
    assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.net_.accelerator is None
    loaded.set_params(warm_start=True).fit(X, y)


@pytest.mark.parametrize("accelerator", [Accelerator, "cpu", 2])
def test_what_is_no_accelerator_is_refused(sequences, accelerator):
    model = small_classifier(net_params={"accelerator": accelerator})
    with pytest.raises(ValueError, match=r"give an accelerate.Accelerator\(\)"):
        model.fit(*sequences)


@pytest.mark.parametrize(
    "changed", [{"mixed_precision": "bf16"}, {"gradient_accumulation_steps": 2}]
)
def test_settings_that_would_change_the_fit_are_refused(sequences, monkeypatch, changed):
    accelerator = Accelerator(cpu=True)
    for name, value in changed.items():
        monkeypatch.setattr(Accelerator, name, property(lambda self, value=value: value))
    model = small_classifier(net_params={"accelerator": accelerator})
    with pytest.raises(ValueError, match="alone"):
        model.fit(*sequences)
