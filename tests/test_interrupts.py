"""An interrupt ends a command, wherever it is heard."""

import signal
import subprocess
import sys
import time
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
SLEEP = "import time\ntime.sleep(20)\nprint('went on')\n"
BLOCKS = {
    "import": "import swallows\n",
    "held": "with held():\n    exec(open('swallows.py').read())\n",
    "held in threads": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "with held():\n    exec(open('swallows.py').read())\n"
    ),
}


def interrupted(
    script: str, folder: Path, *sent: signal.Signals, apart: float = 0.0
) -> tuple[str, str]:
    """What a script says that gets the signals once it has said "waits"."""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, stdout=-1, stderr=-1, text=True
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "waits\n"
            for one in sent:
                process.send_signal(one)
                time.sleep(apart)
            return process.communicate(timeout=60)
        finally:
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("block", BLOCKS)
def test_an_interrupt_waits_and_is_not_lost(
    tmp_path: Path, block: str, sent: signal.Signals
) -> None:
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    out, err = interrupted(BEGIN + BLOCKS[block] + SLEEP, tmp_path, sent)
    assert out == "done\n" and err.endswith("KeyboardInterrupt\n")


def test_an_interrupt_is_heard_at_once_elsewhere(tmp_path: Path) -> None:
    begin = time.monotonic()
    out, err = interrupted(BEGIN + "print('waits', flush=True)\n" + SLEEP, tmp_path, signal.SIGINT)
    assert out == "" and err.endswith("KeyboardInterrupt\n") and time.monotonic() < begin + 15


def test_two_interrupts_in_an_import_are_one(tmp_path: Path) -> None:
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    script = f"{BEGIN}try:\n    import swallows\n    import time\n    time.sleep(20)\n"
    script += "except KeyboardInterrupt:\n    time.sleep(0.3)\n    print('ended')\n"
    found = interrupted(script, tmp_path, signal.SIGINT, signal.SIGTERM, apart=0.01)
    assert found == ("done\nended\n", "")


def test_an_interrupt_that_another_overtakes_is_not_raised_again(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    script = (
        f"import os, signal, time\n{BEGIN}import ends\n"  # waits, and is overtaken within 50 ms
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(20)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.3)\n    print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ended\n", b"")


def test_an_interrupt_in_the_last_import_does_not_kill_a_process_that_ends(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    (tmp_path / "late.py").write_text("import time\ntime.sleep(0.2)\n")
    script = f"import atexit\n{BEGIN}atexit.register(lambda: __import__('late'))\nimport ends\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode in (0, 1)  # ended before it was heard, or by KeyboardInterrupt


def test_what_ends_is_not_broken_off_by_a_second_interrupt(tmp_path: Path) -> None:
    script = (
        f"{BEGIN}import time\ntry:\n    print('waits', flush=True)\n    time.sleep(20)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.5)\n    print('ended')\n"
    )
    found = interrupted(script, tmp_path, signal.SIGINT, signal.SIGINT, apart=0.1)
    assert found == ("ended\n", "")


def test_an_import_that_hangs_is_ended(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text("print('waits', flush=True)\n" + SLEEP)
    impatient = "import sign2gpt.interrupts\nsign2gpt.interrupts._PATIENCE = 0.2\n"
    out, err = interrupted(BEGIN + impatient + "import hangs\n", tmp_path, signal.SIGINT)
    assert out == "" and err.endswith("KeyboardInterrupt\n")


def test_ctrl_c_is_heard_again_after_a_hold(tmp_path: Path) -> None:
    script = (
        "from sign2gpt.interrupts import held\nimport signal\n"
        "before = signal.pthread_sigmask(0, ())\n"
        "with held():\n    assert signal.SIGINT in signal.pthread_sigmask(0, ())\n"
        "assert signal.pthread_sigmask(0, ()) == before\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_where_an_interrupt_is_ignored_it_stays_so(tmp_path: Path) -> None:
    script = (
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        + BEGIN
        + "os.kill(os.getpid(), signal.SIGINT)\nprint('went on')\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.stdout == "went on\n" and not said.stderr
