"""Workers on other machines: a Dask or a Ray cluster that carries trials on, slice by slice.

:func:`cluster` is all there is to it. What goes to a worker is a plan and the trials of one slice;
what comes back is what became of them (``experiments/run/lanes.py``). Nothing else leaves this process
and no worker keeps anything from one slice to the next, so workers may come, go and be killed at
any time: a slice whose worker died is given to another one, and gives the same, for trials depend
on their experiment, seed and index alone. Both libraries do this by themselves as long as every
task carries its own arguments, which is why slices are submitted here rather than through joblib,
whose Dask backend first lays large arguments down on a worker and so loses them with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol
from urllib.parse import urlsplit

import joblib

from carrousel.checks import check_choice
from carrousel.errors import ClusterError, ClusterFailedError, MissingExtraError, SettingError
from carrousel.experiments.run.lanes import Paused, Plan, Slice, advance

BACKENDS = ("loky", "dask", "ray")

PATIENCE = 5.0
"""Seconds in which a scheduler must answer."""

WORKER_PATIENCE = 30.0
"""Seconds to wait for the first worker of a cluster that has none."""

RETRIES = 3
"""How many workers may die under one slice before the slice is taken for the cause. Dask has the
same number in its own configuration, ``distributed.scheduler.allowed-failures``."""

Hand = tuple[Sequence[Paused], Sequence[int]]
"""One worker's share: trials under way, and indices of trials to begin."""


class Cluster(Protocol):
    """Workers somewhere that can carry trials on."""

    def cores(self) -> int:
        """How many slices the cluster can work on at once, now; at least 1."""
        ...

    def advance(self, plan: Plan, hands: Iterable[Hand], seconds: float) -> list[Slice]:
        """Carry the trials of each hand on for ``seconds``, all hands at the same time.

        Raises:
            ClusterFailedError: the scheduler is gone, one slice saw several workers die, or a
                worker has another version of this package.
        """
        ...


_AT_HAND: ContextVar[tuple[str, str | None, Cluster] | None] = ContextVar("cluster", default=None)


@contextmanager
def cluster(
    backend: str, address: str | None = None, *, jobs: int | None = None
) -> Iterator[Cluster | None]:
    """Connect to a cluster; inside the ``with``, whoever asks for the same one shares it.

    So a command that runs many experiments puts one ``with`` around them all, and
    :func:`carrousel.experiments.run.runner.run` does not connect anew for each.

    Args:
        backend: ``"dask"`` or ``"ray"``; with ``"loky"``, which needs no cluster, this gives None.
        address: of the scheduler, e.g. ``"tcp://host:8786"`` (Dask), ``"host:6379"`` or
            ``"ray://host:10001"`` (Ray). None: the client in use, or the cluster that the library
            is configured with, or else one that is started on this machine and stopped at the end.
        jobs: worker processes of a cluster that is started on this machine; default: its cores.

    Raises:
        UnknownNameError: no such backend.
        SettingError: an address without a cluster.
        MissingExtraError: the backend is not installed.
        ClusterError: nobody answers, there are no workers, or they have another version.

    >>> with cluster("loky") as none:
    ...     print(none)
    None
    >>> with cluster("loky", "tcp://host:8786"):
    ...     pass
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: address is 'tcp://host:8786', but backend 'loky' works on this \
machine alone; choose backend 'dask' or 'ray', or leave the address out
    """
    check_choice("backend", backend, BACKENDS)
    if backend == "loky":
        if address is not None:
            raise SettingError(
                f"address is {address!r}, but backend 'loky' works on this machine alone; "
                "choose backend 'dask' or 'ray', or leave the address out"
            )
        yield None
        return
    known = _AT_HAND.get()
    if known is not None and known[:2] == (backend, address):
        yield known[2]
        return
    connected = _dask(address, jobs) if backend == "dask" else _ray(address, jobs)
    with connected as found:
        token = _AT_HAND.set((backend, address, found))
        try:
            yield found
        finally:
            _AT_HAND.reset(token)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from telling at length, in its log, what one sentence of ours will tell."""
    log = logging.getLogger(name)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _needed(backend: str) -> Iterator[None]:
    """Name the extra that brings what cannot be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"backend {backend!r} needs {error.name}; install it with "
            f"pip install 'carrousel[{backend}]'"
        ) from error


# --- what workers do ------------------------------------------------------------------------------


@cache
def _version() -> str:
    return version("carrousel")


def _work(
    asked: str, plan: Plan, paused: Sequence[Paused], pending: Sequence[int], seconds: float
) -> Slice:
    """What a worker does: carry trials on, if it has the version of the package asked for."""
    if _version() != asked:
        raise ClusterFailedError(_other_version(socket.gethostname(), _version(), asked))
    return advance(plan, paused, pending, seconds)


def _other_version(where: str, theirs: str, ours: str) -> str:
    return (
        f"the worker on {where} has carrousel {theirs}, but this is {ours}, and trials of two "
        "versions are not mixed; install the same version everywhere and start the workers anew"
    )


_DEATHS = "one worker after another died under the same slice (out of memory?)"


def _not_importable(error: ModuleNotFoundError) -> str:
    return (
        f"the cluster cannot import {error.name}; install the same carrousel, with the same "
        "extras, wherever the scheduler and workers run, and start them anew"
    )


# --- Dask -----------------------------------------------------------------------------------------


@contextmanager
def _dask(address: str | None, jobs: int | None) -> Iterator[Cluster]:
    """The cluster at an address; without one, as :func:`cluster` says."""
    with _needed("dask"):
        import dask.config
        import distributed
    known = None
    if address is None:
        with suppress(ValueError):  # there is no client
            known = distributed.default_client()
        address = dask.config.get("scheduler-address", None)
    if known is not None:
        client = nullcontext(known)
    elif address is None:
        cores = jobs or joblib.cpu_count()
        client = distributed.Client(
            n_workers=cores, threads_per_worker=1, processes=True, dashboard_address=None
        )
    else:
        client = _dask_client(address)
    with _quiet("distributed.client"), client as connected:
        _check_dask_workers(connected)
        yield _Dask(connected)


def _dask_client(address: str) -> Any:
    """A client of the scheduler at an address.

    First see who is there: with anything but a scheduler, a client would talk for ever.
    """
    import distributed

    async def identity() -> Any:
        security = distributed.Security().get_connection_args("client")
        async with distributed.rpc(address, timeout=PATIENCE, connection_args=security) as there:
            return await asyncio.wait_for(there.identity(), PATIENCE)

    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop, as in a notebook
            found = thread.submit(asyncio.run, identity()).result()
        if found.get("type") != "Scheduler":
            raise ValueError(found)
        return distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError: this is no address
        raise _silence("Dask scheduler", address, "dask scheduler") from error


def _silence(what: str, address: str, command: str) -> ClusterError:
    return ClusterError(
        f"no {what} answers at {address!r}; check the address that '{command}' printed, and that "
        "this machine may reach it"
    )


def _check_dask_workers(client: Any) -> None:
    """Look at once, rather than in the middle, whether there are workers that can do the work."""
    where = client.scheduler.address
    try:
        client.wait_for_workers(1, timeout=WORKER_PATIENCE)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask scheduler at {where!r} has no workers; start some with "
            f"'dask worker {where} --nworkers auto --nthreads 1'"
        ) from error
    try:
        client.run_on_scheduler(_version)  # it reads what passes through it
        versions: dict[str, str] = client.run(_version)
    except ModuleNotFoundError as error:
        raise ClusterError(_not_importable(error)) from error
    for worker, theirs in versions.items():
        if theirs != _version():
            raise ClusterError(_other_version(worker, theirs, _version()))


class _Dask:
    """A Dask cluster. A task whose worker dies goes to another one, by Dask's own doing."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def cores(self) -> int:
        with self._failures():
            return max(1, sum(self._client.nthreads().values()))

    def advance(self, plan: Plan, hands: Iterable[Hand], seconds: float) -> list[Slice]:
        with self._failures():
            futures = [
                self._client.submit(_work, _version(), plan, *hand, seconds, pure=False)
                for hand in hands
            ]
            return self._client.gather(futures)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            yield
        except KilledWorker as error:
            raise ClusterFailedError(_DEATHS) from error
        except (CancelledError, CommClosedError) as error:
            raise ClusterFailedError("the Dask scheduler is gone") from error
        except (ModuleNotFoundError, RuntimeError) as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) else error
            if not isinstance(cause, ModuleNotFoundError):
                raise
            raise ClusterFailedError(_not_importable(cause)) from error  # worker or scheduler


# --- Ray ------------------------------------------------------------------------------------------


@contextmanager
def _ray(address: str | None, jobs: int | None) -> Iterator[Cluster]:
    """The cluster at an address; without one, as :func:`cluster` says."""
    with _needed("ray"):
        import ray  # pyright: ignore[reportMissingImports]
    if address is None and ray.is_initialized():
        yield _Ray(ray)
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:  # there is none
            cores = jobs or joblib.cpu_count()
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    else:
        _knock_at_ray(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error.__cause__ or error).strip().rpartition("\n")[2]
            raise ClusterError(
                f"the Ray cluster at {address!r} cannot be used: {reason}"
            ) from error
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()


def _knock_at_ray(address: str) -> None:
    """See whether anybody is there; Ray itself would try for a minute."""
    if address in ("auto", "local"):
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        socket.create_connection((parts.hostname, parts.port), PATIENCE).close()
    except (OSError, TypeError, ValueError) as error:  # Type, Value: this is no address
        raise _silence("Ray cluster", address, "ray start --head") from error


class _Ray:
    """A Ray cluster. A task whose worker or node dies is run again, by Ray's own doing."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._work = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)

    def cores(self) -> int:
        with self._failures():
            return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def advance(self, plan: Plan, hands: Iterable[Hand], seconds: float) -> list[Slice]:
        with self._failures():
            return self._ray.get(
                [self._work.remote(_version(), plan, *hand, seconds) for hand in hands]
            )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        errors = self._ray.exceptions
        try:
            yield
        except errors.RayTaskError as error:  # it came about in our own code
            cause = error.cause
            if isinstance(cause, ModuleNotFoundError):
                raise ClusterFailedError(_not_importable(cause)) from error
            raise cause from error
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            raise ClusterFailedError(_DEATHS) from error
        except (errors.RayError, ConnectionError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ClusterFailedError(f"the Ray cluster failed: {reason}") from error
