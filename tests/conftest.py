"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach the network
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start is interrupted


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real annotations, reference scores and clips that are not ours to ship."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SIGN2GPT_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"the reference data is not at {folder} (set SIGN2GPT_SHARED_DATA)")
    return folder


def pytest_configure() -> None:
    """Two test processes with two threads each would fight over two cores."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
