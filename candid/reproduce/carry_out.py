"""Queues what is to be run, follows it, and stops cleanly."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Never

from ruamel.yaml import YAML

from candid.compare.found import experiment_refs
from candid.compare.settings import differences, flat
from candid.errors import CandidError
from candid.gate.results import EXPERIMENTS, git
from candid.reproduce.overrides import hydra
from candid.reproduce.plan import Planned
from candid.reproduce.queue import Queue
from candid.reproduce.watch import Screen, Watch
from candid.reproduce.workers import Workers, list_gpus


def carry_out(
    root: Path, wanted: Sequence[Planned], params: Mapping[str, Any], jobs: int, screen: Screen
) -> Watch:
    """Run the experiments by DVC's queue and give what became of them.

    Those that wait or are under way from an earlier call are followed, not queued again. Ctrl-C (or SIGTERM)
    takes them out of the queue; a training begun is gone on with by the next call.

    Args:
        root: the project.
        wanted: to be run.
        params: params.yaml, over which their settings are put.
        jobs: workers.
        screen: takes the progress.
    """
    queue = Queue(root)
    workers = Workers(queue, jobs, list_gpus())
    by_name = {one.called: one for one in wanted}

    def put(name: str) -> str:
        sets = [hydra(key, value, params) for key, value in by_name[name].overrides.items()]
        try:
            return queue.put(name, sets)
        except KeyboardInterrupt:  # put off until DVC had queued it: it is there, and has to be taken out
            watch.tasks.update({one: task for one, task in queue.waiting().items() if one == name})
            own.add(name)
            raise

    watch = Watch(root, queue, workers, screen, {}, put)
    own: set[str] = set()
    with _terminated_as_interrupted():
        try:
            _enqueue(watch, wanted, own)
            workers.start()
            watch.run()
        except KeyboardInterrupt:
            watch.stop()
            raise
        except CandidError:
            watch.stop(own)
            raise
        workers.stop_idle()
    return watch


def _enqueue(watch: Watch, wanted: Sequence[Planned], own: set[str]) -> None:
    """Queue what is not queued yet; note in `own` which these are."""
    root, queue = watch.root, watch.queue
    waiting, taken = queue.waiting(), queue.taken()
    queue.remove_failed(one.called for one in wanted)
    refs = experiment_refs(root)
    baseline = git(root, "rev-parse", "HEAD").decode().strip()
    for place, one in enumerate(wanted, start=1):
        watch.screen.show(f"queueing {place} of {len(wanted)}: {one.called}")
        task = _under_way(watch, one, waiting, taken)
        if task is None:
            _make_room(root, one.called, refs.get(one.called, []), baseline)
            task = watch.again(one.called)
            own.add(one.called)
        watch.tasks[one.called] = task
    watch.screen.clear()


def _under_way(
    watch: Watch, one: Planned, waiting: Mapping[str, str], taken: Mapping[str, str]
) -> str | None:
    """The task of an earlier call that does what is wanted; one with other settings makes room."""
    queue, task = watch.queue, taken.get(one.called)
    if task is not None and queue.process(task) is None and not watch.workers.any():
        queue.give_up(task)  # it went down with its worker
        task = None
    if task is not None:
        if not _holds(queue, task, one):
            raise CandidError(
                f"{one.called} is under way with other settings; let it end, "
                f"or stop it by `dvc queue kill {one.called}`"
            )
        return task
    task = waiting.get(one.called)
    if task is not None and not _holds(queue, task, one):
        queue.remove([task])
        return None
    return task


def _holds(queue: Queue, task: str, one: Planned) -> bool:
    content = queue.settings(task)
    has = YAML(typ="safe", pure=True).load(content.decode("utf-8")) if content else {}
    return not differences(flat(has), one.overrides)


def _make_room(root: Path, name: str, had: Sequence[tuple[str, str]], baseline: str) -> None:
    """Rename an experiment of this name and baseline that has other settings: DVC keeps one of each."""
    for commit, queued_from in had:
        if queued_from == baseline:
            place = f"{EXPERIMENTS}{baseline[:2]}/{baseline[2:]}"
            git(root, "update-ref", f"{place}/{name}-before-{commit[:7]}", commit)
            git(root, "update-ref", "-d", f"{place}/{name}", commit)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """End by SIGTERM as by Ctrl-C, also where a shell started this with Ctrl-C ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> Never:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
