"""A grid search on Ray with two processes, one of which is killed."""

import pytest
from cluster_helpers import run_with_killed_worker

SEARCH = """
    import contextlib, io, json, logging
    import ray
    import search_on_ray
    from search_on_ray import X, make_search, y

    plain = make_search().fit(X, y)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=100 * 2**20,
    )
    with contextlib.redirect_stdout(io.StringIO()) as said:
        make_search().estimator.fit(X, y)

    def make_and_kill():
        search = make_search()
        search.estimator.set_params(net_params={"callbacks": [KillOnce()]})
        return search

    search_on_ray.make_search = make_and_kill
    found = search_on_ray.search()
    ray.shutdown()
    names = [n for n in plain.cv_results_ if "score" in n and "time" not in n]
    print(json.dumps({
        "scores": [[s.cv_results_[n].tolist() for n in names] for s in (plain, found)],
        "best": [s.best_params_ for s in (plain, found)],
        "predictions": [s.predict_proba(X).tolist() for s in (plain, found)],
        "said": ["", said.getvalue()],
    }))
"""


@pytest.mark.slow
def test_a_search_survives_that_a_worker_is_killed(tmp_path, monkeypatch):
    """Nor does a fit print anything where Ray has replaced ``print``."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # it would write to the home folder
    for plain, found in run_with_killed_worker(SEARCH, tmp_path).values():
        assert plain == found
