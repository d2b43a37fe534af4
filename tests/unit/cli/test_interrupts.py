from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sealer.cli.interrupts import interrupts
from sealer.events import Event, EventStream


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_two_ask(number: signal.Signals) -> None:
    events, heard = EventStream(), threading.Semaphore(0)
    messages: list[str] = []

    def hear(event: Event) -> None:
        messages.append(event.message)
        heard.release()

    events.subscribe(hear)
    request = Counter()
    before = signal.getsignal(number)
    with interrupts(request, events):
        os.kill(os.getpid(), number)
        assert heard.acquire(timeout=10)
        os.kill(os.getpid(), number)
        assert heard.acquire(timeout=10)
    assert request.count == 2
    assert messages[0].startswith("stopping")
    assert messages[1].startswith("aborting")
    assert signal.getsignal(number) is before


def test_a_signal_in_the_middle_of_telling_is_no_deadlock() -> None:
    events, heard = EventStream(), threading.Semaphore(0)
    lock = threading.Lock()

    def slow(event: Event) -> None:
        with lock:  # as a view does, which cannot be entered again
            if event.message == "first":
                os.kill(os.getpid(), signal.SIGINT)
        heard.release()

    events.subscribe(slow)
    with interrupts(Counter(), events):
        events.info("first")
        assert heard.acquire(timeout=10)
        assert heard.acquire(timeout=10)


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        request = Counter()
        with interrupts(request, EventStream()):
            os.kill(os.getpid(), signal.SIGHUP)
        assert request.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_third_ends_the_process_whatever_its_threads_wait_for() -> None:
    code = """
import itertools, os, signal, threading
from concurrent.futures import ThreadPoolExecutor
from sealer.cli.interrupts import interrupts
from sealer.events import EventStream
counter = itertools.count(1)
with interrupts(lambda: next(counter), EventStream()):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(threading.Event().wait)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_an_interrupt_while_a_module_is_imported_ends_with_the_same_status(tmp_path: Path) -> None:
    """Python's own way out would be a death by SIGINT, as after any interrupt in an `exec`."""
    code = """
import sys
import sealer.cli.entry
def run(arguments):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130
sealer.cli.entry.run = run
sys.argv = ["sealer", "images"]
sealer.cli.main()
"""
    (tmp_path / "started.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "started"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
