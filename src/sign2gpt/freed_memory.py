"""What a model frees on a CPU stays with the process, for its next step or clip.

glibc gives large blocks back to the system, which clears each page anew when it is touched: 6 % of
a training step's time with the paper's vision model, up to a third of what frames take without
gradients (docs/log.md).
"""

import ctypes
import os
import sys

import torch

_SETTINGS = {"MMAP_THRESHOLD": (-3, 2**25), "TRIM_THRESHOLD": (-1, 2**31 - 1)}  # the most it takes


def keep_freed_memory(device: torch.device) -> bool:
    """Let freed blocks of up to 32 MB stay with this process from now on; whether it is done.

    It is not where the model is not on the CPU, where the C library has no such setting, nor where
    the environment sets malloc: with MALLOC_TRIM_THRESHOLD_=131072 all goes back as usual.
    """
    own = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    own = own or any(f"MALLOC_{name}_" in os.environ for name in _SETTINGS)
    if own or device.type != "cpu" or sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all([mallopt(*setting) for setting in _SETTINGS.values()])
