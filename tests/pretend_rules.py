"""What CUDA allows between devices, and the record of what crosses, for the pretended device."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

NAME = "pretend"
_NOT_CALLERS = (torch.__path__[0], str(Path(__file__).with_name("pretend_")))

# Beside the pointwise operators, these take a CPU tensor of no dimensions; those take CPU indices.
_TAKE_CPU_NUMBERS = {"fill", "masked_fill", "index_put", "_index_put_impl", "where"}
_TAKE_CPU_INDICES = {"index", "index_put", "_index_put_impl", "_unsafe_index", "_unsafe_index_put"}
_WAITS = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


@dataclass
class Transfers:
    """What crossed between host and device: the operator and the line that called torch, one entry a crossing.

    `to_host` also has what waits for the device because its result's shape depends on its numbers (`nonzero`, a mask
    as an index). `random` has what drew random numbers on the device.
    """

    to_host: list[str] = field(default_factory=list)
    to_device: list[str] = field(default_factory=list)
    random: list[str] = field(default_factory=list)


_watching: list[Transfers] = []


@contextmanager
def transfers() -> Iterator[Transfers]:
    """Record what all threads transfer until the end of the `with`."""
    seen = Transfers()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching[:] = [other for other in _watching if other is not seen]


def is_pretended(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == NAME


class Given:
    """An operator's tensors, by argument, and what CUDA's operators say to them."""

    def __init__(self, op: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.op, self.name = op, op._schema.name.removeprefix("aten::").rstrip("_")
        values = [*zip(op._schema.arguments, args, strict=False)]
        values += [(each, kwargs[each.name]) for each in op._schema.arguments if each.name in kwargs]
        self.tensors = [(each, item) for each, value in values for item in _tensors(value)]
        self.on_device = any(is_pretended(tensor) for _, tensor in self.tensors)
        self.generator = next((value for _, value in values if isinstance(value, torch.Generator)), None)

    def check_devices(self) -> None:
        """Raises RuntimeError, as CUDA does, for a CPU tensor or a CPU generator where the device's is needed."""
        if self.generator is not None:
            raise RuntimeError(f"Expected a '{NAME}' device type for generator but found '{self.generator.device}'")
        for argument, tensor in self.tensors:
            if self.on_device and not is_pretended(tensor) and not self._takes_from_cpu(argument, tensor):
                raise RuntimeError(
                    "Expected all tensors to be on the same device, but found at least two devices, "
                    f"{NAME}:0 and {tensor.device}! ({argument.name} of {self.op})"
                )

    def _takes_from_cpu(self, argument: torch.Argument, tensor: torch.Tensor) -> bool:
        if argument.alias_info is not None and argument.alias_info.is_write:
            return False
        if argument.name == "indices" and self.name in _TAKE_CPU_INDICES:
            return True
        return tensor.dim() == 0 and (torch.Tag.pointwise in self.op.tags or self.name in _TAKE_CPU_NUMBERS)

    def record(self) -> None:
        """Add to the open `transfers` what this operator makes the host wait for, sends from it, or draws."""
        for seen in _watching:
            line = f"{self.name} at {_caller()}"
            seen.to_host += [line] * self._waits()
            seen.to_device += [line] * self._sends()
            seen.random += [line] * (torch.Tag.nondeterministic_seeded in self.op.tags)

    def _waits(self) -> bool:
        if self.name != "_index_put_impl":
            return not _WAITS.isdisjoint(self.op.tags)
        by_mask = any(index.dtype == torch.bool for index in self._of("indices"))
        return by_mask and self._of("values")[0].numel() > 1  # a single value goes to masked_fill, which asks nothing

    def _sends(self) -> int:
        sent = self._of("indices") if self.name == "_index_put_impl" else []  # torch itself sends those of `index`
        return sum(not is_pretended(index) for index in sent)

    def _of(self, name: str) -> list[torch.Tensor]:
        return [tensor for argument, tensor in self.tensors if argument.name == name]


def record_copy(source: torch.Tensor, target: torch.Tensor) -> None:
    for seen in _watching:
        if not is_pretended(target):
            seen.to_host.append(f"copy at {_caller()}")
        elif not is_pretended(source):
            seen.to_device.append(f"copy at {_caller()}")


def _caller() -> str:
    """The innermost line that is neither torch's nor the device's."""
    for frame, line in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_CALLERS):
            return f"{file}:{line}"
    return "a thread of torch's"


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in _tensors(each)]
    return [value] if isinstance(value, torch.Tensor) else []
