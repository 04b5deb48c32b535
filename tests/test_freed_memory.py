"""What is freed stays, where malloc is glibc's."""

import platform
import subprocess
import sys

import pytest
import torch

from sign2gpt.freed_memory import keep_freed_memory

TWICE = """
import ctypes, resource, sys, torch
from sign2gpt.freed_memory import keep_freed_memory

ctypes.CDLL(None).mallopt(-3, 2**20)  # larger ones are mapped, whatever lies around
if sys.argv[1] == "kept":
    assert keep_freed_memory(torch.device("cpu"))

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    blocks = [torch.ones(4 * 2**20) for _ in range(12)]  # 16 MB each

work(), work()
before = faults()
work()
print(faults() - before)
"""


def new_pages(how: str) -> int:
    command = [sys.executable, "-c", TWICE, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's here")
def test_memory_that_is_freed_is_used_again_without_new_pages():
    assert new_pages("kept") < 0.2 * new_pages("returned")


def test_settings_of_the_environment_stay(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    assert not keep_freed_memory(torch.device("cpu"))
