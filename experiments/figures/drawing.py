"""Figures of several experiments at once, each drawn by a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.figures.render import Rendered, current, render
from experiments.tables import Results

if TYPE_CHECKING:
    from pebble import ProcessPool


class Drawing:
    """Draws what it is handed, beside whatever its owner does; use as a context.

    Args:
        workers: processes; with less than two the caller draws.
        plugins: Python files to load before drawing.
    """

    def __init__(self, workers: int, plugins: Sequence[Path] = ()) -> None:
        self._workers, self._plugins = workers, tuple(plugins)
        self._pool: ProcessPool | None = None
        self._pending: list[Future[Rendered]] = []

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what is being drawn, or leave it where the owner was interrupted."""
        if kind is None:
            self.wait()
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    def submit(self, results: Results, out_root: Path) -> Future[Rendered]:
        """Draw a figure as `render` does; its future raises only what `render` raises.

        Raises:
            OSError: the folder cannot be written.
        """
        outer: Future[Rendered] = Future()
        found = current(results, out_root)
        if found is None and self._workers > 1:
            self._schedule(outer, results, out_root)
        else:
            outer.set_result(found or render(results, out_root))
        return outer

    def wait(self) -> None:
        """Return once nothing is being drawn."""
        wait(self._pending)
        self._pending.clear()

    def _schedule(self, outer: Future[Rendered], results: Results, out_root: Path) -> None:
        if self._pool is None:
            self._pool = _new_pool(self._workers)
        inner = self._pool.schedule(_draw, args=(results, out_root, self._plugins))
        inner.add_done_callback(lambda f: _settle(f, outer))
        self._pending.append(outer)


def _new_pool(workers: int) -> ProcessPool:
    from pebble import ProcessPool

    from experiments.executors.fork_server import fork_server, start_worker

    return ProcessPool(max_workers=workers, context=fork_server(), initializer=start_worker)


def _draw(results: Results, out_root: Path, plugins: tuple[Path, ...]) -> Rendered:
    from experiments.worker import registries
    from policies.registry import load_plugin

    for plugin in plugins:
        load_plugin(plugin, registries())
    return render(results, out_root)


def _settle(inner: Future[Rendered], outer: Future[Rendered]) -> None:
    from pebble import ProcessExpired

    if inner.cancelled():
        outer.cancel()
    elif isinstance(error := inner.exception(), ProcessExpired):
        outer.set_result(Rendered(None, None, None, problem=f"its process died ({error})"))
    elif error is not None:
        outer.set_exception(error)
    else:
        outer.set_result(inner.result())
