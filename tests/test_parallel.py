"""Worker processes end with the one that started them, and an interrupt is said once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import sys
from pathlib import Path
from sign2gpt.parallel import in_parallel
import slow
if __name__ == "__main__":
    list(in_parallel(slow.work, [Path(sys.argv[1]) / str(n) for n in range(200)], 2, chunk=1))
"""
SLOW = """
import os, time
def work(place):
    place.write_text(str(os.getpid()))
    time.sleep(0.2)
"""


@pytest.fixture
def parent(tmp_path: Path) -> subprocess.Popen[str]:
    """A process in a session of its own whose two workers have begun."""
    if not Path("/proc/self").exists():
        pytest.skip("no /proc")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path / "out"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(workers(tmp_path)) == 2)
    return process


def workers(folder: Path) -> set[int]:
    pids = {path.read_text() for path in (folder / "out").iterdir()}
    return {int(pid) for pid in pids if pid}


def until(done, seconds: float = 60) -> None:
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < seconds
        time.sleep(0.05)


def ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_workers_end_with_a_parent_that_is_killed(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    pids = workers(tmp_path)
    parent.kill()
    parent.wait()
    until(lambda: all(ended(pid) for pid in pids), 5)


def test_an_interrupt_is_the_parents_alone(parent: subprocess.Popen[str], tmp_path: Path) -> None:
    pids = workers(tmp_path)
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, said = parent.communicate(timeout=20)
    assert said.count("Traceback") == 1 and said.endswith("KeyboardInterrupt\n"), said
    assert all(ended(pid) for pid in pids)
    assert len(list((tmp_path / "out").iterdir())) < 50  # what was not begun stays so


def test_an_interrupt_while_the_processes_start_ends_the_work(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "parent.py").write_text(
        "import os, signal\n"
        "class Interrupted(list):\n"
        "    def __iter__(self):\n"
        "        yield from super().__iter__()\n"
        "        os.kill(os.getpid(), signal.SIGINT)  # the processes have begun to start\n"
        + PARENT.replace(
            "[Path(sys.argv[1]) / str(n) for n in range(200)]",
            "Interrupted(Path(sys.argv[1]) / str(n) for n in range(200))",
        )
    )
    (tmp_path / "out").mkdir()
    said = subprocess.run(
        [sys.executable, tmp_path / "parent.py", tmp_path / "out"], capture_output=True, text=True
    ).stderr
    assert said.count("Traceback") == 1 and said.endswith("KeyboardInterrupt\n"), said
    assert len(list((tmp_path / "out").iterdir())) < 50
