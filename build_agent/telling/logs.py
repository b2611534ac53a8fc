"""What the agent says: JSON lines of its own, and a build's output in CloudWatch Logs.

Neither ever fails a deployment: what cannot be shipped is counted and dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

LOGGER = "slipway"
TAIL_LINES = 60
TAIL_LINE_CHARACTERS = 500
BATCH_EVENTS = 1000
BATCH_BYTES = 200_000
"""Below PutLogEvents' limits of 10,000 events and 1,048,576 bytes (26 more for each event)."""
EVENT_CHARACTERS = 8192
BACKLOG = 20_000
"""Lines that wait to be shipped at most; more are dropped and counted."""
FLUSH_SECONDS = 2.0
STREAMS_KNOWN = 100
"""Streams that are known to be made; then they are found to be there once more."""
DRAIN_SECONDS = 5.0
"""How long a deployment's end waits for its last lines at most; then it ends without them."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what is passed as `extra={"fields": {...}}` is merged in."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Log:
    """A logger whose every line carries the same fields (`correlation_id`, `pipeline` …)."""

    def __init__(self, logger: logging.Logger | None = None, **fields: Any) -> None:
        self._logger = logger or logging.getLogger(LOGGER)
        self._fields = fields

    def bind(self, **fields: Any) -> Log:
        return Log(self._logger, **{**self._fields, **fields})

    def info(self, message: str, **fields: Any) -> None:
        self._logger.info(message, extra={"fields": {**self._fields, **fields}})

    def warning(self, message: str, **fields: Any) -> None:
        self._logger.warning(message, extra={"fields": {**self._fields, **fields}})

    def error(self, message: str, *, trace: bool = False, **fields: Any) -> None:
        """`trace`: with the exception under way, for what nobody foresaw."""
        self._logger.error(message, exc_info=trace, extra={"fields": {**self._fields, **fields}})


def set_up(level: str) -> Log:
    """Log JSON lines to standard output from `level` up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger(LOGGER)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    return Log(logger)


class Shipper(Protocol):
    """Takes a stream's lines and ships them in the background."""

    def ship(self, stream: str, line: str) -> None: ...

    def drain(self, stream: str, patience: float) -> bool: ...


class BuildLog:
    """One deployment's output: shipped, and its last lines kept for the failure notice."""

    def __init__(self, shipper: Shipper | None, stream: str) -> None:
        self._shipper = shipper
        self._stream = stream
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def __call__(self, line: str) -> None:
        self._tail.append(line[:TAIL_LINE_CHARACTERS])
        if self._shipper is not None:
            self._shipper.ship(self._stream, line)

    def begin_stage(self) -> None:
        """What comes now is of another stage: the last lines are to be that one's alone."""
        self._tail.clear()

    def end(self) -> None:
        """Nothing more comes: what waits is shipped, so that who sees the end sees it all."""
        if self._shipper is not None:
            self._shipper.drain(self._stream, DRAIN_SECONDS)

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)


class CloudWatchShipper:
    """Ships lines to one log group, a stream for each deployment, from a thread of its own."""

    def __init__(self, client: Any, group: str, *, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._group = group
        self._now = now
        self._waiting: dict[str, deque[tuple[int, str]]] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._shipped = threading.Condition(self._lock)
        self._under_way: str | None = None
        self._wake = threading.Event()
        self._ending = False
        self._made: set[str] = set()
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="log-shipper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ship(self, stream: str, line: str) -> None:
        event = (int(self._now() * 1000), line[:EVENT_CHARACTERS] or " ")
        with self._lock:
            self._waiting.setdefault(stream, deque()).append(event)
            self._count += 1
            if self._count > BACKLOG:
                self._drop_one()

    def stop(self, patience: float = 5.0) -> None:
        """Ship what waits, for at most `patience` seconds."""
        self._ending = True
        self._wake.set()
        self._thread.join(patience)

    def drain(self, stream: str, patience: float) -> bool:
        """Wait until all of the stream that waits now is shipped (or dropped): at most `patience`
        seconds. Other streams' lines, which may come without an end, are not waited for.
        """
        self._wake.set()
        with self._shipped:
            return self._shipped.wait_for(
                lambda: stream not in self._waiting and self._under_way != stream, timeout=patience
            )

    def flush(self) -> None:
        """Ship what waits now; called by the thread, and by tests."""
        while batch := self._take():
            stream, events = batch
            try:
                self._put(stream, [{"timestamp": t, "message": m} for t, m in events])
            except Exception as error:  # noqa: BLE001 - logging never fails what it logs
                self.dropped += len(events)
                Log().warning("build output was not shipped", lines=len(events), error=str(error))
                return
            finally:
                self._is_done()

    def _work(self) -> None:
        while not self._ending:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self.flush()
        self.flush()

    def _take(self) -> tuple[str, list[tuple[int, str]]] | None:
        """The next batch: events of one stream, within PutLogEvents' limits, in order.

        The streams take turns.
        """
        with self._lock:
            stream = next(iter(self._waiting), None)
            if stream is None:
                return None
            waiting, size = self._waiting.pop(stream), 0
            batch: list[tuple[int, str]] = []
            while waiting and len(batch) < BATCH_EVENTS and size < BATCH_BYTES:
                event = waiting.popleft()
                size += 4 * len(event[1]) + 26
                batch.append(event)
            if waiting:
                self._waiting[stream] = waiting
            self._count -= len(batch)
            self._under_way = stream
        return stream, batch

    def _drop_one(self) -> None:
        """The oldest line of the stream that has the most."""
        stream = max(self._waiting, key=lambda name: len(self._waiting[name]))
        self._waiting[stream].popleft()
        if not self._waiting[stream]:
            del self._waiting[stream]
        self._count -= 1
        self.dropped += 1

    def _is_done(self) -> None:
        with self._shipped:
            self._under_way = None
            self._shipped.notify_all()

    def _put(self, stream: str, events: list[dict[str, Any]]) -> None:
        if stream not in self._made:
            with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_stream(logGroupName=self._group, logStreamName=stream)
            if len(self._made) >= STREAMS_KNOWN:
                self._made.clear()
            self._made.add(stream)
        self._client.put_log_events(
            logGroupName=self._group, logStreamName=stream, logEvents=events
        )
