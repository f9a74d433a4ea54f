"""Workers on a Dask or Ray cluster, which run trials slice by slice.

:func:`cluster` connects to a cluster. A worker receives the plans and states of some trials, and
returns the result of a slice (``experiments/run/lanes.py``). Workers keep nothing between slices,
so they may join, leave and be killed at any time. If a worker dies, another one repeats its slice
with the same result, since trials depend on their experiment, seed and index alone.

Both libraries repeat tasks by themselves if each task contains its arguments. So slices are
submitted directly instead of through joblib, whose Dask backend stores large arguments on a worker
and loses them with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from typing import Any, Literal, Protocol, get_args
from urllib.parse import urlsplit

import joblib

from carrousel.checks import check_choice
from carrousel.errors import (
    ClusterError,
    ClusterFailedError,
    Error,
    MissingExtraError,
    SettingError,
)
from carrousel.experiments.run.lanes import Share, Slice, advance
from carrousel.kernels import KERNEL_VERSION

Backend = Literal["loky", "dask", "ray"]
"""What runs trials: processes of this machine, or a cluster."""
BACKENDS: tuple[Backend, ...] = get_args(Backend)

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a response of the scheduler."""

WORKER_TIMEOUT = 30.0
"""Seconds to wait for the first worker of a cluster without workers."""

RETRIES = 3
"""Number of times that a slice is repeated after its worker died. Dask has the same default,
``distributed.scheduler.allowed-failures``."""


class Cluster(Protocol):
    """Workers on a cluster that can run trials."""

    def cores(self) -> int:
        """Return the number of slices that the cluster can run at once now, at least 1."""
        ...

    def advance(self, shares: Sequence[Share], seconds: float) -> list[Slice]:
        """Run the trials of all shares for ``seconds``, at the same time.

        Raises:
            ClusterFailedError: the scheduler is gone, several workers died with the same share, or
                a worker has another version of this package.
        """
        ...


_CONNECTED: ContextVar[tuple[str, str | None, Cluster] | None] = ContextVar("cluster", default=None)


@contextmanager
def cluster(
    backend: str, address: str | None = None, *, jobs: int | None = None
) -> Iterator[Cluster | None]:
    """Connect to a cluster. Nested calls with the same arguments share the connection.

    A command that runs many experiments puts one ``with`` around them all, so that
    :func:`carrousel.experiments.run.runner.run` does not connect again for each.

    Args:
        backend: ``"dask"`` or ``"ray"``; ``"loky"`` needs no cluster and yields None.
        address: address of the scheduler, e.g. ``"tcp://host:8786"`` (Dask), ``"host:6379"`` or
            ``"ray://host:10001"`` (Ray). None uses the current client, else the cluster in the
            library's configuration, else one that is started on this machine and stopped at exit.
        jobs: worker processes of a cluster that is started on this machine; default: its cores.

    Raises:
        UnknownNameError: the backend is unknown.
        SettingError: there is an address, but the backend uses no cluster.
        MissingExtraError: the backend is not installed.
        ClusterError: nothing responds, there are no workers, or they have another version.

    >>> with cluster("loky") as none:
    ...     print(none)
    None
    >>> with cluster("loky", "tcp://host:8786"):
    ...     pass
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: address is 'tcp://host:8786', but backend 'loky' uses no \
cluster; set backend to 'dask' or 'ray', or omit address
    """
    check_choice("backend", backend, BACKENDS)
    if backend == "loky":
        if address is not None:
            raise SettingError(
                f"address is {address!r}, but backend 'loky' uses no cluster",
                argument="address",
                got=address,
                fix="set {backend} to 'dask' or 'ray', or omit {address}",
            )
        yield None
        return
    known = _CONNECTED.get()
    if known is not None and known[:2] == (backend, address):
        yield known[2]
        return
    connected = _dask(address, jobs) if backend == "dask" else _ray(address, jobs)
    with connected as found:
        token = _CONNECTED.set((backend, address, found))
        try:
            yield found
        finally:
            _CONNECTED.reset(token)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence a library's log; this module reports its errors."""
    log = logging.getLogger(name)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _needs_extra(backend: str) -> Iterator[None]:
    """Turn a failed import into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"backend {backend!r} needs {error.name}",
            argument="backend",
            got=backend,
            fix=f"install it with: pip install 'carrousel[{backend}]'",
        ) from error


# --- on a worker ----------------------------------------------------------------------------------


@cache
def _version() -> str:
    return f"{version('carrousel')} (kernels {KERNEL_VERSION})"


def _work(required: str, share: Share, seconds: float) -> Slice:
    """Run trials on a worker, if it has the required version of the package."""
    if _version() != required:
        raise _other_version(ClusterFailedError, socket.gethostname(), _version(), required)
    return advance(share, seconds)


def _other_version(kind: type[Error], worker: str, theirs: str, ours: str) -> Error:
    return kind(
        f"the worker on {worker} has carrousel {theirs}, but this is {ours}, and trials of two "
        "versions must not be mixed",
        fix="install the same version everywhere and restart the workers",
    )


_DEATHS = "several workers died with the same trials (out of memory?)"


def _not_importable(kind: type[Error], error: ModuleNotFoundError) -> Error:
    return kind(
        f"the cluster cannot import {error.name}",
        fix="install the same carrousel with the same extras on all machines of the cluster, and "
        "restart scheduler and workers",
    )


def _shortened(error: BaseException) -> str:
    """The message of a library's error on one line."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


# --- Dask -----------------------------------------------------------------------------------------


@contextmanager
def _dask(address: str | None, jobs: int | None) -> Iterator[Cluster]:
    """Connect to a Dask cluster, as :func:`cluster` describes."""
    with _needs_extra("dask"):
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

    Checks first that a scheduler responds, since a client would wait for anything else forever.
    """
    import distributed

    async def identity() -> Any:
        security = distributed.Security().get_connection_args("client")
        timeout = CONNECT_TIMEOUT
        async with distributed.rpc(address, timeout=timeout, connection_args=security) as there:
            return await asyncio.wait_for(there.identity(), timeout)

    try:
        with ThreadPoolExecutor(1) as thread:  # this thread may have an event loop (notebooks)
            found = thread.submit(asyncio.run, identity()).result()
        if found.get("type") != "Scheduler":
            raise ValueError(found)
        return distributed.Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:  # ValueError: not an address
        raise _no_response("Dask scheduler", address, "dask scheduler") from error


def _no_response(what: str, address: str, command: str) -> ClusterError:
    return ClusterError(
        f"no {what} responds at {address!r}",
        argument="address",
        got=address,
        fix=f"check the address that '{command}' printed, and that this machine can reach it",
    )


def _check_dask_workers(client: Any) -> None:
    """Raise before the first trial if there are no workers, or workers of another version."""
    where = client.scheduler.address
    try:
        client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
    except TimeoutError as error:
        raise ClusterError(
            f"the Dask scheduler at {where!r} has no workers",
            fix=f"start some with 'dask worker {where} --nworkers auto --nthreads 1'",
        ) from error
    try:
        client.run_on_scheduler(_version)  # the scheduler unpickles tasks too
        versions: dict[str, str] = client.run(_version)
    except ModuleNotFoundError as error:
        raise _not_importable(ClusterError, error) from error
    for worker, theirs in versions.items():
        if theirs != _version():
            raise _other_version(ClusterError, worker, theirs, _version())


class _Dask:
    """A Dask cluster. If a worker dies, Dask repeats its task on another one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def cores(self) -> int:
        with self._failures():
            return max(1, sum(self._client.nthreads().values()))

    def advance(self, shares: Sequence[Share], seconds: float) -> list[Slice]:
        with self._failures():
            futures = [
                self._client.submit(_work, _version(), each, seconds, pure=False) for each in shares
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
            raise _not_importable(ClusterFailedError, cause) from error  # worker or scheduler


# --- Ray ------------------------------------------------------------------------------------------


@contextmanager
def _ray(address: str | None, jobs: int | None) -> Iterator[Cluster]:
    """Connect to a Ray cluster, as :func:`cluster` describes."""
    with _needs_extra("ray"):
        import ray  # pyright: ignore[reportMissingImports]
    if address is None and ray.is_initialized():
        yield _Ray(ray)
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:  # no cluster is running
            cores = jobs or joblib.cpu_count()
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    else:
        _check_ray_responds(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = _shortened(error.__cause__ or error)
            raise ClusterError(
                f"the Ray cluster at {address!r} cannot be used: {reason}",
                argument="address",
                got=address,
            ) from error
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()


def _check_ray_responds(address: str) -> None:
    """Raise if nothing responds at an address; Ray itself would try for a minute."""
    if address in ("auto", "local"):
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        socket.create_connection((parts.hostname, parts.port), CONNECT_TIMEOUT).close()
    except (OSError, TypeError, ValueError) as error:  # TypeError, ValueError: not an address
        raise _no_response("Ray cluster", address, "ray start --head") from error


class _Ray:
    """A Ray cluster. If a worker or node dies, Ray repeats its task."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._work = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)

    def cores(self) -> int:
        with self._failures():
            return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def advance(self, shares: Sequence[Share], seconds: float) -> list[Slice]:
        with self._failures():
            return self._ray.get([self._work.remote(_version(), each, seconds) for each in shares])

    @contextmanager
    def _failures(self) -> Iterator[None]:
        errors = self._ray.exceptions
        try:
            yield
        except errors.RayTaskError as error:  # raised by our own code on a worker
            cause = error.cause
            if isinstance(cause, ModuleNotFoundError):
                raise _not_importable(ClusterFailedError, cause) from error
            raise cause from error
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            raise ClusterFailedError(_DEATHS) from error
        except (errors.RayError, ConnectionError) as error:
            raise ClusterFailedError(f"the Ray cluster failed: {_shortened(error)}") from error
