"""The one fork server that worker processes start from, and what each does first.

They do not start from this process: forking after a numba parallel region kills the child.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

import psutil

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
LIFELINE = "experiments.executors.lifeline"


def fork_server() -> BaseContext:
    """Return the context of the fork server, which ends with the thread that first calls this."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")  # one thread per library and worker
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([LIFELINE, "experiments.worker", "numpy"])
    forkserver.ensure_running()
    return context


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and die with it, so that no run is left behind."""
    from experiments.executors.lifeline import die_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = psutil.Process().parent()
    die_with_parent()
    if parent is None or not parent.is_running():
        os._exit(1)
