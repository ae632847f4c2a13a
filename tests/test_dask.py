"""A grid search on a Dask cluster of two processes, one of which is killed."""

import warnings

import numpy as np
import pytest
from cluster_helpers import run_with_killed_worker
from distributed import LocalCluster
from numpy.testing import assert_array_equal

from sknt.clusters import DurableClient

SEARCH = """
    import json
    import search_on_dask
    from search_on_dask import X, make_search, y

    plain = make_search().fit(X, y)

    def make_and_kill():
        search = make_search()
        search.estimator.set_params(net_params={"callbacks": [KillOnce()]})
        return search

    search_on_dask.make_search = make_and_kill
    found = search_on_dask.search()
    names = [n for n in plain.cv_results_ if "score" in n and "time" not in n]
    print(json.dumps({
        "scores": [[s.cv_results_[n].tolist() for n in names] for s in (plain, found)],
        "best": [s.best_params_ for s in (plain, found)],
        "predictions": [s.predict_proba(X).tolist() for s in (plain, found)],
    }))
"""


@pytest.mark.slow
def test_a_search_survives_that_a_worker_is_killed(tmp_path):
    for plain, found in run_with_killed_worker(SEARCH, tmp_path).values():
        assert plain == found


@pytest.fixture
def client():
    """One of a cluster whose workers are threads of this process."""
    with (
        LocalCluster(2, processes=False, dashboard_address=None) as cluster,
        DurableClient(cluster) as client,
    ):
        yield client


def test_scattered_data_come_back_as_they_were(client):
    array = np.arange(5.0)
    assert_array_equal(client.scatter(array).result(), array)
    for several in ([array, 1], (array, "a")):
        futures = client.scatter(several)
        assert type(futures) is type(several)
        assert_array_equal(futures[0].result(), array)
        assert futures[1].result() == several[1]
    assert client.scatter({"a": 1}, broadcast=True)["a"].result() == 1


def test_large_data_are_scattered_without_a_warning(client):
    large = np.ones(2_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        future = client.scatter(large)
    assert future.result().shape == large.shape
