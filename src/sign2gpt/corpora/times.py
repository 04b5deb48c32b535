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
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UserError(
            f"{where}: the time stamp is {text!r}; give seconds (12.5) or a clock (00:01:02.5)."
        )
    return value
