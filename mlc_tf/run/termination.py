"""SIGTERM and SIGINT: a run that is asked to end first saves its work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from mlc_tf.errors import InterruptedRunError


class Termination:
    """Whether the process was asked to end.

    Attributes:
        deferred: Whether a step is under way. What steps then calls `end` when
            it has saved; else the process ends at once, with nothing to save.

    Args:
        with_others: Whether other processes take the same steps. Then it never
            ends at once, which would leave them alone. Defaults to False.
    """

    def __init__(self, with_others: bool = False) -> None:
        self.with_others = with_others
        self.deferred = with_others
        self._signal = signal.SIGTERM
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @contextmanager
    def listening(self) -> Iterator["Termination"]:
        """Listens to both signals; a second one has its usual effect.

        Only a process' main thread can; in another nothing is changed.

        Yields:
            Itself.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {
            each: signal.getsignal(each) or signal.SIG_DFL for each in signals
        }

        def ask(number: int, frame: FrameType | None) -> None:
            self._signal = signal.Signals(number)
            self._asked.set()
            signal.signal(number, before[self._signal])
            if not self.deferred:
                self.end()

        for each in signals:
            signal.signal(each, ask)
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def end(self, saved: bool = False) -> NoReturn:
        """Raises what ends the run.

        Args:
            saved: Whether the state of training was just saved. Defaults to
                False: there was nothing new to save.

        Raises:
            InterruptedRunError: always, of status 128 + the signal's number.
        """
        raise InterruptedRunError(
            f"The run was ended by {self._signal.name}"
            f"{', and its state saved' if saved else ''}. The same command "
            "again resumes it.",
            status=128 + self._signal,
        )
