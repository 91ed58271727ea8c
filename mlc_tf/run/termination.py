"""SIGTERM and SIGINT: a run that is asked to end saves its state first."""

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
        deferred: Whether a signal is handled later. If True, whoever takes the
            training steps saves the state and then calls `end`. If False, a
            signal ends the run at once: there is nothing to save.

    Args:
        with_others: Whether other processes take the same steps. If so,
            signals are always deferred, because the other processes would wait
            for this one. Defaults to False.
    """

    def __init__(self, with_others: bool = False) -> None:
        self.with_others = with_others
        self.deferred = with_others
        self._signal = signal.SIGTERM
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether a signal has arrived."""
        return self._asked.is_set()

    @contextmanager
    def listening(self) -> Iterator["Termination"]:
        """Handles SIGTERM and SIGINT while the context is open.

        Only the first signal is handled here; a second signal has its usual
        effect. Outside the main thread of the process, signals cannot be
        handled, and nothing changes.

        Yields:
            This object.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signals = (signal.SIGTERM, signal.SIGINT)
        former_handlers = {
            number: signal.getsignal(number) or signal.SIG_DFL
            for number in signals
        }

        def ask(number: int, frame: FrameType | None) -> None:
            self._signal = signal.Signals(number)
            self._asked.set()
            signal.signal(number, former_handlers[self._signal])
            if not self.deferred:
                self.end()

        for number in signals:
            signal.signal(number, ask)
        try:
            yield self
        finally:
            for number, handler in former_handlers.items():
                signal.signal(number, handler)

    def end(self, saved: bool = False) -> NoReturn:
        """Raises the error that ends the run.

        Args:
            saved: Whether the state of training was just saved. Defaults to
                False: there was nothing new to save.

        Raises:
            InterruptedRunError: always, with the status 128 + the number of
                the signal.
        """
        raise InterruptedRunError(
            f"The run was ended by {self._signal.name}"
            f"{', and its state was saved' if saved else ''}. The same command "
            "again resumes it.",
            status=128 + self._signal,
        )
