"""The receiver's log: one line an event, `key=value` all along, so that people and programs can read it.

What strangers send cannot break a line or pass for another field: values with anything special in them are quoted.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime

_PLAIN = re.compile(r"[\w.:/@+%,-]+", re.ASCII)


def configure() -> None:
    """Send everything that Roadie logs, and the warnings of the libraries, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValue())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("roadie").setLevel(logging.INFO)


class KeyValue(logging.Formatter):
    """`time=... level=info event=request method=POST`: the message as `event`, then `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = record.exc_info[0].__name__
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return " ".join(f"{key}={_quoted(str(value))}" for key, value in fields.items() if value not in ("", None))


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    # JSON escapes line breaks in any case; other letters stay readable where they can be printed.
    return json.dumps(value, ensure_ascii=not value.isprintable())
