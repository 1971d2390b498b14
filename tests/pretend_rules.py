"""What CUDA allows between devices, and the record of what crosses, for the pretended device."""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

NAME = "pretend"
_NOT_CALLERS = (torch.__path__[0], str(Path(__file__).with_name("pretend_")))

# Beside the pointwise operators, these take a CPU tensor of no dimensions; those take CPU indices.
_TAKE_CPU_NUMBERS = {"fill", "masked_fill", "_index_put_impl"}
_TAKE_CPU_INDICES = {"index", "_index_put_impl"}
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


class Rules:
    """What CUDA says to an operator's tensors, and what the operator crosses."""

    def __init__(self, op: torch._ops.OpOverload) -> None:
        self.op, self.name = op, op._schema.name.removeprefix("aten::").rstrip("_")
        self.takes_cpu_indices = self.name in _TAKE_CPU_INDICES
        self.takes_cpu_numbers = torch.Tag.pointwise in op.tags or self.name in _TAKE_CPU_NUMBERS
        self.waits, self.draws = not _WAITS.isdisjoint(op.tags), torch.Tag.nondeterministic_seeded in op.tags
        self.is_assignment = self.name == "_index_put_impl"

    @cached_property
    def arguments(self) -> dict[str | int, torch.Argument]:
        """By place and by name."""
        both = [(each, (place, each.name)) for place, each in enumerate(self.op._schema.arguments)]
        return {key: each for each, keys in both for key in keys}

    def with_tensors(self, args: tuple[Any, ...]) -> list[Any]:
        """The arguments with a tensor for each number that stands for one: `x % 2` gives an operator on tensors a 2."""
        tensor = torch.TensorType.get()
        return [
            torch.tensor(value) if type(value) in (int, float) and self.arguments[place].type == tensor else value
            for place, value in enumerate(args)
        ]

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises RuntimeError, as CUDA does, for a CPU tensor or a CPU generator where the device's is needed."""
        given = [*enumerate(args), *kwargs.items()]
        leaves = [(key, leaf) for key, value in given for leaf in _leaves(value)]
        on_device = any(is_pretended(leaf) for _, leaf in leaves)
        for key, leaf in leaves:
            if isinstance(leaf, torch.Generator):
                raise RuntimeError(f"Expected a '{NAME}' device type for generator but found '{leaf.device}'")
            if on_device and not is_pretended(leaf) and not self._takes_from_cpu(self.arguments[key], leaf):
                raise RuntimeError(
                    "Expected all tensors to be on the same device, but found at least two devices, "
                    f"{NAME}:0 and {leaf.device}! ({self.arguments[key].name} of {self.op})"
                )

    def _takes_from_cpu(self, argument: torch.Argument, tensor: torch.Tensor) -> bool:
        if argument.alias_info is not None and argument.alias_info.is_write:
            return False
        if argument.name == "indices" and self.takes_cpu_indices:
            return True
        return tensor.dim() == 0 and self.takes_cpu_numbers

    def record(self, args: tuple[Any, ...]) -> None:
        """Add to the open `transfers` what this operator makes the host wait for, sends from it, or draws."""
        counts = [int(self.waits), 0, int(self.draws)]
        if self.is_assignment:
            indices, values = [*_leaves(args[1])], args[2]
            by_mask = any(index.dtype == torch.bool and is_pretended(index) for index in indices)
            counts[0] = by_mask and values.numel() > 1  # a single value goes to masked_fill, which asks nothing
            counts[1] = sum(not is_pretended(index) for index in indices)  # torch itself sends those of `index`
        for seen in _watching if any(counts) else []:
            for found, count in zip((seen.to_host, seen.to_device, seen.random), counts, strict=True):
                found += [f"{self.name} at {_caller()}"] * count


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


def _leaves(value: Any) -> Iterable[Any]:
    """The tensors, and a generator, in an argument."""
    if isinstance(value, torch.Tensor | torch.Generator):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
