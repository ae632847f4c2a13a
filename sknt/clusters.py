"""Searches on a cluster of Dask whose workers may be lost."""

from typing import Any
from uuid import uuid4

import dask
from distributed import Client, Future

UNLIMITED = {"distributed.admin.large-graph-warning-threshold": "1 PB"}
"""Dask warns of large data in a graph, which are meant to be there."""


class DurableClient(Client):
    """A client of Dask whose scattered data outlive the workers that hold them.

    For ``joblib.parallel_backend("dask")``, which scatters large arguments: each is put
    into the memory of one worker, and a search ends with an error if that worker is lost.
    Here data are scattered as the results of tasks that return them. The scheduler keeps
    these tasks, the data included, and repeats them where they are needed again.

    Parameters
    ----------
    *args, **kwargs
        As for ``distributed.Client``: such as the address of a scheduler, or a cluster.

    Notes
    -----
    The scheduler needs memory for all data that are in use.
    """

    def scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a future for the data, or for each item of a list, tuple or dict.

        Parameters
        ----------
        data : object
        *args, **kwargs
            Of ``distributed.Client.scatter``. Only ``asynchronous`` has an effect: workers
            fetch what they need.

        Returns
        -------
        futures : Future, or list, tuple or dict of Future
            With ``asynchronous``, to be awaited.
        """
        return self.sync(
            _scatter_as_tasks, self, data, asynchronous=kwargs.get("asynchronous")
        )


async def _scatter_as_tasks(client: Client, data: Any) -> Any:
    def scatter(item: Any) -> Future:
        # A key of its own: hashing the data would take longer than sending them.
        return client.submit(_same, item, key=f"data-{uuid4().hex}", pure=False)

    with dask.config.set(UNLIMITED):
        if isinstance(data, dict):
            return {key: scatter(item) for key, item in data.items()}
        if isinstance(data, list | tuple):
            return type(data)(scatter(item) for item in data)
        return scatter(data)


def _same(item: Any) -> Any:
    return item
