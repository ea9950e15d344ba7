"""Peers are timed in turns, each family of them in a process of its own.

Turns, so that noise hits all alike; processes, because the thread pools of two frameworks in one
process wait for each other, and so that a peer that crashes takes no other with it.
"""

import gc
import importlib
import multiprocessing
import os
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path

from timing import Case, Judged, Result, turns

FAMILIES = ("graphc", "NumPy", "numba", "CasADi", "JAX", "torch")
PATIENCE = 240.0
"""Seconds until a process that does not answer is ended, and named."""


def family(peer: str) -> str:
    """The process that runs a peer: "torch.compile" and "torch eager" share one."""
    return next(name for name in FAMILIES if peer.startswith(name))


class Crew:
    """A process for every family of peers; `run` times the cases of a workload."""

    def __init__(self, families, threads, quick, tell) -> None:
        self.families, self.threads, self.quick, self.tell = families, threads, quick, tell
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[str, tuple[multiprocessing.Process, Connection]] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for name in list(self._workers):
            self._end(name)

    def run(self, module: str, rounds: int, budget: float) -> list[Result]:
        """The results of all cases of a workload; `budget` seconds a peer a round."""
        found = []
        for i in range(len(cases_of(module, self.quick))):
            found += self._case(module, i, rounds, budget)
        return found

    def _case(self, module: str, i: int, rounds: int, budget: float) -> list[Result]:
        facts, errors = {}, {}
        for name in self.families:
            answer = self._ask(name, ("prepare", module, i, self.quick))
            if answer is not None:
                some, facts, problems = answer
                errors |= some
                for problem in problems:
                    self.tell(problem)
        times: dict[str, list[float]] = {peer: [] for peer in errors}
        for peer in turns(list(errors), rounds):
            if self.threads > 1:
                time.sleep(0.005)  # until the threads of the last one no longer spin
            seconds = self._ask(family(peer), ("time", peer, budget))
            if seconds is not None:
                times[peer].append(seconds)
        return [
            Result(
                **facts,
                peer=peer,
                median=statistics.median(t),
                fastest=min(t),
                error=errors[peer],
                threads=self.threads,
            )
            for peer, t in times.items()
            if len(t) == rounds
        ]

    def _ask(self, name: str, question: tuple[object, ...]):
        """What the family's process answers; None where it has ended or does not answer."""
        if name not in self._workers:
            self._start(name)
        _, pipe = self._workers[name]
        try:
            pipe.send(question)
            if pipe.poll(PATIENCE):
                return pipe.recv()
            self.tell(f"{question}: {name} does not answer within {PATIENCE:.0f} s")
        except (EOFError, OSError):
            self.tell(f"{question}: the process of {name} has crashed")
        self._end(name)
        return None

    def _start(self, name: str) -> None:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, name, self.threads))
        process.start()
        theirs.close()
        self._workers[name] = process, mine

    def _end(self, name: str) -> None:
        process, pipe = self._workers.pop(name)
        pipe.close()
        process.join(2)
        if process.is_alive():
            process.kill()
            process.join()


def cases_of(module: str, quick: bool):
    """The functions that make the cases of a workload."""
    return importlib.import_module(module).cases(quick)


def serve(pipe: Connection, name: str, threads: int) -> None:
    """Answers the crew's questions until the pipe closes."""
    judged = None
    if "torch" in name:
        _limit_torch(threads)
    while True:
        try:
            what, *rest = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if what == "prepare":
            judged = None
            gc.collect()
            judged, answer = _prepare(name, *rest)
            pipe.send(answer)
        elif judged is not None:
            pipe.send(judged.seconds(*rest))


def _prepare(name, module, i, quick):
    """The judged calls of one family for a case, and what the crew is told about them."""
    case: Case = cases_of(module, quick)[i]()
    judged = Judged(case, [peer for peer in case.peers if family(peer) == name])
    facts = {
        "workload": case.workload,
        "case": case.name,
        "flops": case.flops,
        "bytes": case.bytes,
        "dtype": case.dtype,
        "elements": case.elements,
    }
    return judged, (judged.errors, facts, judged.problems)


def _limit_torch(threads: int) -> None:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


def limit_threads(threads: int) -> None:
    """For this process and those it starts, before they import the peers, which read these once."""
    os.environ["BENCH_THREADS"] = str(threads)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    one = "false" if threads == 1 else "true"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={one} intra_op_parallelism_threads={threads}"
    )
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, dict.fromkeys(paths)))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
