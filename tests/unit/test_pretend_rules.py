"""What the pretended device refuses and allows as CUDA does, computes as the CPU does, and counts."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch.nn import functional

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended, transfers

T = torch.Tensor
SAME = "same device"


@pytest.fixture(autouse=True)
def _pretended() -> Iterator[None]:
    with pretended():
        yield


def numbers(*shape: int, seed: int = 0) -> T:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ROWS, MASK = torch.tensor([0, 2]), torch.zeros(3, 4, dtype=torch.bool)
MASK[0, 1] = MASK[2, 3] = True

# Of a tensor of the device, and one of the CPU: both [3, 4].
MIXED: dict[str, Callable[[T, T], object]] = {
    "sum": lambda device, cpu: device + cpu,
    "sum into the CPU's": lambda device, cpu: cpu.add_(device),
    "number of the device": lambda device, cpu: cpu * device.sum(),
    "number of the CPU, changed": lambda device, cpu: cpu.sum().add_(device.sum()),
    "number of the CPU, filled": lambda device, cpu: cpu.sum().masked_fill_(device.sum() > 0, 0.0),
    "where": lambda device, cpu: torch.where(device > 0, cpu, device),
    "a mask of the CPU": lambda device, cpu: device.masked_fill(cpu > 0, 0.0),
    "matmul": lambda device, cpu: device @ cpu.T,
    "cat": lambda device, cpu: torch.cat([device, cpu]),
    "stack of numbers": lambda device, cpu: torch.stack([device.sum(), cpu.sum()]),
    "out": lambda device, cpu: torch.add(device, device, out=cpu),
    "gather": lambda device, cpu: device.gather(1, ROWS[None]),
    "embedding": lambda device, cpu: functional.embedding(ROWS, device),
    "searchsorted": lambda device, cpu: torch.searchsorted(device.cumsum(-1), cpu),
    "assigned rows": lambda device, cpu: device.__setitem__(ROWS, cpu[ROWS]),
    "attention's mask": lambda device, cpu: functional.scaled_dot_product_attention(
        device, device, device, attn_mask=torch.ones(3, 3, dtype=torch.bool)
    ),
    "targets": lambda device, cpu: functional.cross_entropy(device, torch.tensor([0, 1, 2])),
    "foreach": lambda device, cpu: torch._foreach_add([device], [cpu]),
}


@pytest.mark.parametrize("name", MIXED)
def test_an_operator_refuses_a_tensor_of_the_cpu(name: str) -> None:
    with pytest.raises(RuntimeError, match=SAME):
        MIXED[name](numbers(3, 4).to(DEVICE), numbers(3, 4))


@pytest.mark.parametrize("assign", [False, True])
def test_indices_of_the_device_do_not_reach_into_the_cpu(assign: bool) -> None:
    rows = ROWS.to(DEVICE)
    with pytest.raises(RuntimeError, match=SAME):
        numbers(3, 4).__setitem__(rows, 0.0) if assign else numbers(3, 4)[rows]


# What CUDA allows: of a tensor of the device [3, 4], and one of the CPU; the same with two of the CPU is expected.
ALLOWED: dict[str, Callable[[T, T], T]] = {
    "a number of the CPU": lambda x, cpu: x * cpu.sum(),
    "where with a number": lambda x, cpu: torch.where(x > 0, cpu.sum(), x),
    "masked_fill with a number": lambda x, cpu: x.masked_fill(x > 0, cpu.sum()),
    "fill with a number": lambda x, cpu: x.clone().fill_(cpu.sum()),
    "indices of the CPU": lambda x, cpu: x[ROWS],
    "a mask of the CPU as index": lambda x, cpu: x[cpu > 0],
    "assigned by indices of the CPU": lambda x, cpu: x.clone().index_put_((ROWS,), cpu.sum()),
    "an assigned slice": lambda x, cpu: x.clone().copy_(cpu),
}

# What is computed on the device alone.
ALONE: dict[str, Callable[[T], T]] = {
    "indices": lambda x: x[torch.arange(2, device=x.device), torch.tensor([1, 3], device=x.device)],
    "a mask": lambda x: x[x > 0],
    "a number for a tensor": lambda x: torch.arange(4, device=x.device).remainder(3) + x * 2,
    "several results": lambda x: x.topk(2).values,
    "searchsorted": lambda x: torch.searchsorted(x.abs().cumsum(-1), x.abs()),
    "float64": lambda x: x.double().softmax(-1).cumsum(-1),
    "bfloat16": lambda x: (x.bfloat16() @ x.bfloat16().T).float(),
    "layer_norm": lambda x: functional.layer_norm(x, (4,)),
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
    "scatter": lambda x: x.scatter(1, x.argmax(-1, keepdim=True), 0.0),
    "views": lambda x: x.T.unsqueeze(1).expand(4, 2, 3).reshape(8, 3)[1:].unfold(1, 2, 1),
    "a view of a view": lambda x: x[1].as_strided((2,), (2,)),
    "bits": lambda x: x.view(torch.int32).float(),
    "nothing": lambda x: x[:0].sum(0),
    "factories": lambda x: torch.arange(4, device=x.device) + x.new_zeros(4) + torch.full((4,), 2.0, device=x.device),
    "an empty list": lambda x: torch.cat([torch.tensor([], device=x.device), x[0]]),
}


@pytest.mark.parametrize("name", [*ALLOWED, *ALONE])
def test_it_computes_what_the_cpu_computes(name: str) -> None:
    x, other = numbers(3, 4), numbers(3, 4, seed=1)
    compute = ALLOWED.get(name) or (lambda x, other: ALONE[name](x))
    result = compute(x.to(DEVICE), other)
    assert result.device == DEVICE
    torch.testing.assert_close(result.cpu(), compute(x, other), rtol=1e-6, atol=1e-6)


def test_numpy_is_refused() -> None:
    with pytest.raises(TypeError, match="to host memory first"):
        torch.ones(2, device=DEVICE).numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(2, dtype=torch.float64).to(DEVICE),
        lambda: torch.zeros(2, dtype=torch.float64, device=DEVICE),
        lambda: torch.ones(2, device=DEVICE).double(),
        lambda: torch.ones(2, device=DEVICE).sum(dtype=torch.float64),
    ],
)
def test_float64_is_refused_where_the_device_has_none(make: Callable[[], T]) -> None:
    assert make().dtype == torch.float64
    with pretended(has_float64=False), pytest.raises(TypeError, match="doesn't support float64"):
        make()
    assert make().dtype == torch.float64


# What it does, how often the host waits, how much is sent.
CROSSINGS: dict[str, tuple[Callable[[T], object], int, int]] = {
    "item": (lambda x: x.sum().item(), 1, 0),
    "float and int and bool": (lambda x: (float(x[0, 0]), int(x[0, 0]), bool(x[0, 0])), 3, 0),
    "if": (lambda x: 1 if (x > 0).any() else 2, 1, 0),
    "tolist": (lambda x: x.tolist(), 1, 0),
    "cpu": (lambda x: x.cpu(), 1, 0),
    "to": (lambda x: x.to("cpu", torch.float64), 1, 0),
    "a mask as index": (lambda x: x[x > 0], 1, 0),
    "assigned by a mask": (lambda x: x.__setitem__(x > 0, x[x > 0]), 2, 0),
    "one number assigned by a mask": (lambda x: x.__setitem__(x > 0, 0.0), 0, 0),
    "nonzero": (lambda x: x.nonzero(), 1, 0),
    "an item an element": (lambda x: [each.item() for each in x[0]], 4, 0),
    "indices of the CPU": (lambda x: x[ROWS], 0, 1),
    "a mask of the CPU": (lambda x: x[MASK], 0, 1),
    "assigned by a mask of the CPU": (lambda x: x.__setitem__(MASK, x[:2, 0]), 0, 1),
    "assigned by indices of the CPU": (lambda x: x.index_put_((ROWS,), x[0, 0]), 0, 1),
    "sent": (lambda x: torch.ones(2).to(DEVICE), 0, 1),
    "a list sent": (lambda x: torch.tensor([1, 2], device=DEVICE), 0, 1),
    "nothing": (lambda x: (x @ x.T).log_softmax(-1).argmax(-1).to(torch.float64)[:2].clone(), 0, 0),
}


@pytest.mark.parametrize("name", CROSSINGS)
def test_what_crosses_is_counted(name: str) -> None:
    act, waits, sent = CROSSINGS[name]
    x = numbers(3, 4).to(DEVICE)
    with transfers() as seen:
        act(x)
    x.tolist()
    assert (len(seen.to_host), len(seen.to_device), seen.random) == (waits, sent, []), seen


def test_a_crossing_says_where() -> None:
    x = torch.ones(2, device=DEVICE)
    with torch.autocast(DEVICE.type, torch.bfloat16), transfers() as seen, transfers() as outer:
        x.sum().item()
        x.index_put((torch.tensor([1]),), x[:1])
    assert seen == outer
    line = test_a_crossing_says_where.__code__.co_firstlineno + 3
    assert seen.to_host == [f"_local_scalar_dense at {__file__}:{line}"]
    assert seen.to_device == [f"_index_put_impl at {__file__}:{line + 1}"]


def test_what_the_device_draws_is_seeded_and_told() -> None:
    def drawn(device: torch.device | str) -> list[float]:
        torch.manual_seed(3)
        return torch.rand(4, device=device).tolist()

    with transfers() as seen:
        first = drawn(DEVICE)
    assert first == drawn(DEVICE) == drawn("cpu")
    assert len(seen.random) == 1
    with pytest.raises(RuntimeError, match="Expected a 'pretend' device type for generator but found 'cpu'"):
        torch.rand(4, device=DEVICE, generator=torch.Generator())
