"""Logs, for whoever looks for a fault: structlog to stderr, without secrets and without the values of variables.

Events say what happens to the cluster; logs say what the program and its libraries do. Nothing is set up before the
first line is written: importing structlog costs 80 ms.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sealer.cli.terminal import visible, write_coloured
from sealer.redaction import HIDDEN, redactor

if TYPE_CHECKING:
    from structlog.typing import Processor

LogFormat = Literal["auto", "text", "json"]
_SECRET_KEY = re.compile(r"passw(or)?d|token|secret|private_?key|passphrase|authorization|credential", re.IGNORECASE)


class DeferredHandler(logging.Handler):
    """Takes the log lines of libraries; sets structlog up when the first one is worth printing."""

    def __init__(self, log_format: LogFormat, level: int) -> None:
        super().__init__(level)
        self._format: LogFormat = log_format
        self._ready = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print `record`."""
        try:
            if not self._ready:
                self.setFormatter(_formatter(self._format))
                self._ready = True
            write_coloured(sys.stderr, self.format(record) + "\n")
        except Exception:
            self.handleError(record)


def configure(log_format: LogFormat = "auto", debug: bool = False) -> None:
    """Send the log lines of sealer and of its libraries to stderr: warnings, or with `debug` everything.

    Calling it again replaces what an earlier call set up.
    """
    level = logging.DEBUG if debug else logging.WARNING
    top = logging.getLogger()
    for handler in [handler for handler in top.handlers if isinstance(handler, DeferredHandler)]:
        top.removeHandler(handler)
    top.addHandler(DeferredHandler(log_format, level))
    top.setLevel(level)
    logging.captureWarnings(True)  # what python warns of is for developers
    logging.getLogger("py.warnings").setLevel(logging.WARNING if debug else logging.CRITICAL)
    # paramiko says on DEBUG what every packet is about; its transport thread logs tracebacks of refused logins as
    # errors, which the error that reaches the user tells better.
    logging.getLogger("paramiko").setLevel(logging.DEBUG if debug else logging.CRITICAL)
    logging.raiseExceptions = debug


def redact(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hides values under telling keys, and registered secrets anywhere."""
    for key, value in line.items():
        line[key] = _clean(key, value)
    return line


def _clean(key: str, value: object) -> object:
    if value and _SECRET_KEY.search(key):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(name): _clean(str(name), inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_clean("", inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else visible(redactor(str(value)))


def _formatter(log_format: LogFormat) -> logging.Formatter:
    import structlog

    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    stamp: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # A plugin that uses structlog itself must not print to stdout, where the results go.
    structlog.configure(
        processors=[*stamp, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=stamp,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(_traceback(as_text)),
            redact,
            _renderer(as_text),
        ],
    )


def _traceback(as_text: bool) -> Any:  # structlog types the two alike only as a callable of anything
    from structlog.processors import format_exc_info  # noqa: F401
    from structlog.tracebacks import ExceptionDictTransformer

    if not as_text:
        return ExceptionDictTransformer(show_locals=False)
    import traceback  # noqa: PLC0415

    return lambda info: "".join(traceback.format_exception(*info)).rstrip()


def _renderer(as_text: bool) -> Processor:
    import structlog

    if not as_text:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
