"""Views, modules, autograd, optimisers, copies and autocast on the pretended device, as on CUDA."""

import copy
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

pytest.importorskip("pretend_device", reason="this torch cannot pretend a device in Python", exc_type=ImportError)

from pretend_device import DEVICE, pretended

T = torch.Tensor
SAME = "same device"


@pytest.fixture(autouse=True)
def _pretended() -> Iterator[None]:
    with pretended():
        yield


def numbers(*shape: int, seed: int = 0) -> T:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ROWS = torch.tensor([0, 2])


def test_what_changes_in_place_changes_all_views() -> None:
    whole = torch.zeros(2, 3, device=DEVICE)
    row, same = whole[1], whole.T
    row += 1
    whole[0, torch.tensor([2], device=DEVICE)] = 5.0
    assert same.tolist() == [[0, 1], [0, 1], [5, 1]]
    assert whole.unsqueeze_(0).shape == (1, 2, 3)
    assert torch.add(row, row, out=torch.empty(0, device=DEVICE)).tolist() == [2, 2, 2]


def test_inference_mode() -> None:
    weight, twice = numbers(3, 4).to(DEVICE).requires_grad_(), torch.empty(0, device=DEVICE)
    with torch.inference_mode():
        rows = functional.embedding(ROWS.to(DEVICE), weight)
        rows += 1
        assert rows.is_inference()
        assert not weight[0].is_inference(), "a view of an ordinary tensor"
        assert not weight.view(-1).is_inference()
        assert rows.view(-1).is_inference()
        torch.mul(rows, 2, out=twice)
        assert not twice.is_inference(), "an ordinary tensor, resized"
        assert torch.ops.aten.zero_(same := rows.clone()) is same
    assert torch.equal(rows.cpu(), weight.detach().cpu()[ROWS] + 1)


def test_moving_a_module_keeps_its_parameters_their_ties_and_gradients() -> None:
    embedding, head = torch.nn.Embedding(5, 4), torch.nn.Linear(4, 5, bias=False)
    head.weight = weight = embedding.weight
    module = torch.nn.Sequential(embedding, head)
    module(ROWS).sum().backward()
    expected = weight.grad.clone()
    module.to(DEVICE)
    assert head.weight is weight
    assert embedding.weight is weight
    assert weight.device == weight.grad.device == DEVICE
    assert torch.equal(weight.grad.cpu(), expected)
    assert module.to("cpu", torch.float64)[1].weight.dtype == torch.float64
    assert weight.device.type == "cpu"
    assert not torch.__future__.get_swap_module_params_on_conversion()


class Doubled(torch.autograd.Function):
    """Twice, with a gradient of a chosen device; it notes the thread of its backward."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: T, device: torch.device, threads: list[int]) -> T:
        ctx.device, ctx.threads = device, threads
        return x * 2

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: T) -> tuple[T, None, None]:
        ctx.threads.append(threading.get_ident())
        return 2 * torch.ones(2, device=ctx.device), None, None


def test_backward_runs_in_the_devices_thread() -> None:
    threads: list[int] = []
    for device in (DEVICE, torch.device("cpu")):
        Doubled.apply(torch.ones(2, device=device, requires_grad=True), device, threads).sum().backward()
    assert threads[0] != threading.get_ident() == threads[1]


def test_a_gradient_of_another_device_is_refused() -> None:
    x = torch.ones(2, device=DEVICE, requires_grad=True)
    with pytest.raises(RuntimeError, match="expected device pretend:0 but got cpu"):
        Doubled.apply(x, torch.device("cpu"), []).sum().backward()
    with pytest.raises(RuntimeError, match=SAME):
        x.grad = torch.ones(2)


def test_checkpointed_dropout_draws_the_same_again() -> None:
    def gradient(device: torch.device | str, use: bool) -> T:
        x = numbers(8).to(device).requires_grad_()
        torch.manual_seed(1)
        function = lambda x: functional.dropout(x.exp(), 0.5)  # noqa: E731
        (checkpoint(function, x, use_reentrant=False) if use else function(x)).sum().backward()
        return x.grad.cpu()

    assert torch.equal(gradient(DEVICE, use=True), gradient("cpu", use=False))


def trained(device: torch.device | str, move_steps_to: str | None = None, **options: bool) -> tuple[T, set[str]]:
    """The weights after three steps of AdamW, and where its `step` is."""
    module = torch.nn.Linear(3, 2)
    module.load_state_dict({"weight": numbers(2, 3), "bias": numbers(2, seed=1)})
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, **options)
    module.to(device)
    for _ in range(3):
        optimizer.zero_grad()
        module(numbers(4, 3, seed=2).to(device)).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        if move_steps_to:
            for state in optimizer.state.values():
                state["step"] = state["step"].to(move_steps_to)
        optimizer.step()
    return module.weight.detach().cpu(), {state["step"].device.type for state in optimizer.state.values()}


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}])
def test_adamw_learns_as_on_the_cpu(options: dict[str, bool]) -> None:
    weight, steps = trained(DEVICE, **options)
    assert torch.equal(weight, trained("cpu", **options)[0])
    assert steps == {"pretend" if "fused" in options else "cpu"}


def test_fused_adamw_refuses_steps_on_the_cpu() -> None:
    with pytest.raises(RuntimeError, match=r"same device.*state_steps"):
        trained(DEVICE, move_steps_to="cpu", fused=True)


def test_copies_share_memory_among_themselves() -> None:
    weight = numbers(3, 4).to(DEVICE)
    again = copy.deepcopy({"weight": weight, "row": weight[1], "flat": weight.view(-1)})
    assert {each.device for each in again.values()} == {DEVICE}
    assert torch.equal(again["weight"].cpu(), weight.cpu())
    again["weight"][1] = 7.0
    assert again["row"].tolist() == again["flat"][4:8].tolist() == [7.0] * 4
    assert torch.equal(weight.cpu(), numbers(3, 4))


def test_a_module_loads_the_state_of_another_device() -> None:
    source, target = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2).to(DEVICE)
    target.load_state_dict(source.state_dict())
    assert target.weight.device == DEVICE
    assert torch.equal(target.weight.cpu(), source.weight)
    source.to(torch.float64).load_state_dict(target.state_dict())
    assert source.weight.dtype == torch.float64


def test_autocast_computes_products_in_bfloat16_and_sums_in_float32() -> None:
    module = torch.nn.Linear(4, 4).to(DEVICE)
    x = numbers(3, 4).to(DEVICE)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        y = module(x)
        probabilities = y.softmax(-1)
        exact = x.double() @ x.double().T
    assert (y.dtype, probabilities.dtype, exact.dtype) == (torch.bfloat16, torch.float32, torch.float64)
    expected = functional.linear(*(each.bfloat16().cpu() for each in (x, module.weight, module.bias)))
    assert torch.equal(y.cpu(), expected)
    assert torch.equal(probabilities.cpu(), expected.float().softmax(-1))
    y.float().square().sum().backward()
    assert module.weight.grad.dtype == torch.float32
    assert module(x).dtype == torch.float32


PRODUCTS = {
    "matmul": lambda x: x @ x,
    "mm": lambda x: torch.mm(x, x),
    "bmm": lambda x: torch.bmm(x[None], x[None]),
    "addmm": lambda x: torch.addmm(x[0], x, x),
    "baddbmm": lambda x: torch.baddbmm(x[None], x[None], x[None]),
    "attention": lambda x: functional.scaled_dot_product_attention(x[None], x[None], x[None]),
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS.keys())
def test_autocast_computes_every_product_in_bfloat16(product: Callable[[T], T]) -> None:
    with torch.autocast(DEVICE.type, torch.bfloat16):
        assert product(numbers(4, 4).to(DEVICE)).dtype == torch.bfloat16


def test_torch_is_told_of_the_device_only_inside() -> None:
    assert torch.accelerator.current_accelerator(check_available=True).type == DEVICE.type
    with pytest.MonkeyPatch.context() as outside:
        outside.setattr(torch.pretend, "available", False)
        assert torch.accelerator.current_accelerator(check_available=True) is None
        assert torch.accelerator.device_count() == 0
