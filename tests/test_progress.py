"""What a log says of long work."""

import pytest

from sign2gpt.progress import progress_bar


def test_what_remains_is_told_by_the_pace_of_this_run_and_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("sign2gpt.progress.time.monotonic", lambda: now)
    with progress_bar("Work") as advance:
        for minutes, done, total, what in (
            (1, 500, 1000, "storing"),
            (2, 510, 1000, "storing"),
            (3, 1, 21, "steps"),
            (4, 11, 21, "steps"),
            (5, 20, 21, ""),
            (6, 21, 21, ""),
        ):
            now = 60.0 * minutes
            advance(done, total, what)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "Work, storing: 510 of 1,000, 49.0 minutes left",
        "Work, steps: 11 of 21, 1.0 minutes left",
        "Work: 21 of 21, 0.0 minutes left",
    ]
