"""An interrupt ends a command, wherever it is heard."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

WAITS = """
import time
print("waits", flush=True)
begin = time.monotonic()
while time.monotonic() < begin + 0.5:
    pass
print("done", flush=True)
"""
SWALLOWS = (
    "try:" + WAITS.replace("\n", "\n    ") + "\nexcept:\n    print('swallowed', flush=True)\n"
)
BEGIN = "from sign2gpt.interrupts import end_on_interrupt, held\nend_on_interrupt()\n"
BLOCKS = {
    "import": "import swallows\n",
    "held": "with held():\n    exec(open('swallows.py').read())\n",
    "held in threads": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "with held():\n    exec(open('swallows.py').read())\n"
    ),
}


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("block", BLOCKS)
def test_an_interrupt_waits_and_is_not_lost(
    tmp_path: Path, block: str, sent: signal.Signals
) -> None:
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    script = BEGIN + BLOCKS[block] + "import time\ntime.sleep(20)\nprint('went on')\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=-1, stderr=-1, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert out == "done\n"
    assert err.endswith("KeyboardInterrupt\n")


def test_an_interrupt_is_heard_at_once_elsewhere(tmp_path: Path) -> None:
    script = BEGIN + "import time\nprint('waits', flush=True)\ntime.sleep(20)\nprint('went on')\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=-1, stderr=-1, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert out == "" and err.endswith("KeyboardInterrupt\n")


def test_where_an_interrupt_is_ignored_it_stays_so(tmp_path: Path) -> None:
    script = (
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        + BEGIN
        + "os.kill(os.getpid(), signal.SIGINT)\nprint('went on')\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.stdout == "went on\n" and not said.stderr
