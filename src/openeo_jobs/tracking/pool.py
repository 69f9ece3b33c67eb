"""Requests and hooks in threads: a lane per backend, so that a silent one holds up no other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_Key = tuple[str, Hashable]
"""The kind of a task, and its key among those of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A task that is done: what it was about, and what it returned or raised."""

    kind: str
    lane: str
    subject: Any
    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    kind: str
    lane: str
    key: _Key
    subject: Any
    function: Callable[[], Any]


class Pool:
    """Runs tasks in daemon threads and hands their results to the thread that collects them.

    Daemon threads, so that an interpreter can always exit: whatever a request was about, its intent is
    stored before it leaves, and the next run finds out what became of it.
    """

    def __init__(self, threads_per_lane: int = 8) -> None:
        self._threads_per_lane = threads_per_lane
        self._lanes: dict[str, _Lane] = {}
        self._under_way: dict[_Key, _Task] = {}
        self._given_up: set[_Key] = set()
        self._done: queue.SimpleQueue[tuple[_Key, Done] | None] = queue.SimpleQueue()

    def submit(
        self,
        kind: str,
        *,
        lane: str,
        key: Hashable,
        subject: Any,
        function: Callable[[], Any],
        threads: int | None = None,
    ) -> bool:
        """Run *function* in *lane*; return False if the task with that *kind* and *key* is under way.

        *threads* is how many a new lane may have, where that is not as many as others.
        """
        if (kind, key) in self._under_way:
            return False
        task = _Task(kind=kind, lane=lane, key=(kind, key), subject=subject, function=function)
        self._under_way[task.key] = task
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(lane, threads or self._threads_per_lane, self._done)
        self._lanes[lane].put(task)
        return True

    def collect(self, timeout: float) -> list[Done]:
        """Wait at most *timeout* seconds until something is done, or `wake` is called; return all that is."""
        found: list[Done] = []
        try:
            item = self._done.get(timeout=timeout) if timeout > 0 else self._done.get_nowait()
            while True:
                if item is not None:
                    self._forget(item[0])
                    found.append(item[1])
                item = self._done.get_nowait()
        except queue.Empty:
            return found

    def awaited(self, kinds: Collection[str]) -> set[str]:
        """Return the lanes in which tasks of these *kinds* are under way that nobody gave up waiting for."""
        return {
            task.lane
            for key, task in self._under_way.items()
            if task.kind in kinds and key not in self._given_up
        }

    def give_up(self, kinds: Collection[str]) -> None:
        """Wait no longer for the tasks of these *kinds* that are under way; their results still come."""
        self._given_up |= {key for key, task in self._under_way.items() if task.kind in kinds}

    def keys_under_way(self, kind: str) -> set[Hashable]:
        """Return the keys of the tasks of this *kind* whose results were not collected yet."""
        return {key for its_kind, key in self._under_way if its_kind == kind}

    def kinds_under_way(self) -> set[str]:
        """Return the kinds of all tasks that are under way, given up or not."""
        return {task.kind for task in self._under_way.values()}

    def wake(self) -> None:
        """End a wait of `collect`; safe in a signal handler."""
        self._done.put(None)

    def drop_waiting(self, keep: Collection[str]) -> None:
        """Forget the tasks that have not begun, but those of the kinds to *keep*."""
        for lane in self._lanes.values():
            for task in lane.take_waiting():
                if task.kind in keep:
                    lane.put(task)
                else:
                    self._forget(task.key)

    def close(self) -> None:
        """Let every thread end after what it is doing; tasks that have not begun are dropped."""
        for lane in self._lanes.values():
            lane.close()

    def _forget(self, key: _Key) -> None:
        self._under_way.pop(key, None)
        self._given_up.discard(key)


class _Lane:
    """A queue of tasks, and the threads that take from it."""

    def __init__(self, name: str, most: int, done: queue.SimpleQueue[tuple[_Key, Done] | None]) -> None:
        self._name = name
        self._most = most
        self._done = done
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = threading.Semaphore(0)

    def put(self, task: _Task) -> None:
        self._tasks.put(task)
        if not self._waiting.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"openeo-jobs {self._name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def take_waiting(self) -> list[_Task]:
        waiting = []
        with suppress(queue.Empty):
            while (task := self._tasks.get_nowait()) is not None:
                waiting.append(task)
        return waiting

    def close(self) -> None:
        self.take_waiting()
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._done.put((task.key, _run(task)))
            self._waiting.release()


def _run(task: _Task) -> Done:
    try:
        return Done(kind=task.kind, lane=task.lane, subject=task.subject, value=task.function())
    except Exception as error:
        return Done(kind=task.kind, lane=task.lane, subject=task.subject, error=error)
    except BaseException as error:  # user code that wants to leave: not from this thread
        left = RuntimeError(f"{type(error).__name__}: {error}")
        return Done(kind=task.kind, lane=task.lane, subject=task.subject, error=left)
