"""What the server logs: where a request failed, without the message of the error, which may quote what people write."""

from __future__ import annotations

import logging
import traceback

LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "asyncio", "fastapi", "starlette")


class WithoutTexts(logging.Filter):
    """Of an error its kind and the lines of code are logged, without its message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            where = "".join(traceback.format_tb(error.__traceback__))
            record.msg, record.args = f"A request failed with {type(error).__name__}:\n{where}", ()
            record.exc_info = record.exc_text = None
        return True


def log_no_texts() -> None:
    """From now on."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, WithoutTexts) for one in logger.filters):
            logger.addFilter(WithoutTexts())
