"""Time stamps as annotations write them."""

import math
import re

from sign2gpt.errors import UserError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


def seconds(stamp: object, where: str) -> float:
    """Seconds of a number ("12.5") or a clock ("00:01:02.500", "1:02,5").

    Raises:
        UserError: it is neither, or below 0; `where` says whose it is.
    """
    text = str(stamp).strip()
    clock = _CLOCK.fullmatch(text)
    hours, minutes, rest = clock.groups() if clock else (None, "0", text)
    rest = rest.replace(",", ".") if clock else rest
    try:
        value = float(hours or 0) * 3600 + float(minutes) * 60 + float(rest)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(
            f"{where}: the time stamp is {text!r}; give seconds (12.5) or a clock (00:01:02.5)."
        )
    return value
