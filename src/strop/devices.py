"""The device of a run: what the config may ask for, what torch has on this machine, and what `auto` takes."""

from __future__ import annotations

import re

import torch

from strop.types import PolicyConfig

AUTO, CPU = "auto", "cpu"
ALLOWED = "auto, cpu, cuda, cuda:0 (or another number) and mps"
_NAME = re.compile(r"auto|cpu|cuda(:(0|[1-9]\d*))?|mps")


def check_device(asked: str) -> None:
    """Raise ValueError for a text that names no device."""
    if not _NAME.fullmatch(asked):
        raise ValueError(f"device={asked!r}: allowed are {ALLOWED}.")


def accelerators() -> list[str]:
    """What torch can compute on here, beside the CPU: cuda:0, cuda:1, ..., mps."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else [])]


def device_of(asked: str, policy: PolicyConfig) -> str:
    """The device of a run as torch names it: `auto` is decided, and `cuda` is cuda:0.

    Raises ValueError for a device that this policy cannot compute on, or that is not there.
    """
    if asked == AUTO:
        there = accelerators() if policy.computes_on == "accelerator" else []
        return there[0] if there else CPU
    wanted = "cuda:0" if asked == "cuda" else asked
    require_cpu_if_alone(asked, policy)
    if wanted != CPU and wanted not in accelerators():
        raise ValueError(
            f"device={asked}: {_why_missing(wanted)}. Set device=auto, which takes what is there, or device=cpu; a run "
            "that goes on with another device records it as a fork."
        )
    return wanted


def device_here(recorded: str, policy: PolicyConfig) -> str:
    """Where to load what was trained on `recorded`: there, or on a machine that lacks it where `auto` would."""
    return recorded if recorded in (CPU, *accelerators()) else device_of(AUTO, policy)


def require_cpu_if_alone(device: str, policy: PolicyConfig) -> None:
    """Raise ValueError for another device than the CPU under a policy that computes on nothing else."""
    if policy.computes_on == CPU and device != CPU:
        raise ValueError(f"device={device}: {_this(policy)} computes on the CPU alone. Set device=cpu, or device=auto.")


def has_bfloat16(device: str) -> bool:
    """Whether an accelerator multiplies bfloat16 itself; of `mps` that is not known, and counts as no."""
    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def described(device: str, policy: PolicyConfig) -> str:
    """The device in words, with the hardware or with the reason: `cuda:0 (NVIDIA H200, 139 GiB)`."""
    if device != CPU:
        hardware = hardware_of(device)
        return f"{device} ({hardware})" if hardware else device
    if policy.computes_on == CPU:
        return f"cpu: {_this(policy)} computes nowhere else"
    there = accelerators()
    if not there:
        return "cpu: torch finds no accelerator here"
    is_usual = policy.computes_on == "any"
    return f"cpu: device=auto takes {there[0]} for transformers only" if is_usual else f"cpu, and not {there[0]}"


def hardware_of(device: str) -> str:
    """The name and the memory of a CUDA device; empty for any other, of which torch says neither."""
    if not device.startswith("cuda"):
        return ""
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB"


def _why_missing(wanted: str) -> str:
    kind, backend = ("MPS", torch.backends.mps) if wanted == "mps" else ("CUDA", torch.backends.cuda)
    if not backend.is_built():
        return f"this torch ({torch.__version__}) is built without {kind}"
    return f"torch finds {' and '.join([CPU, *accelerators()])} here"


def _this(policy: PolicyConfig) -> str:
    return f"this policy ({type(policy).__qualname__.split('.')[0]})"
