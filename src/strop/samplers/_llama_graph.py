"""A Llama as an OpenVINO graph, made operation by operation from torch's own tensors: nothing is converted.

Shapes: `B` rows, `T` new tokens, `S` tokens that stand in the cache and the new ones, `N` heads, `D` a head's width,
`H` the model's. A product keeps its module's name, and a constant its tensor's, as in torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

ROPES = ("default", "linear", "llama3")
"""Rotary positions whose frequencies do not change with the length, and which scale nothing else."""


def require_llama(config: Any) -> None:
    """Refuse what the graph below would compute wrongly."""
    if config.model_type != "llama":
        raise _refusal(f"model_type={config.model_type!r} (allowed: 'llama')")
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    if rope not in ROPES:
        raise _refusal(f"rope_type={rope!r} (allowed: {', '.join(map(repr, ROPES))})")
    for name, allowed in (("hidden_act", "silu"), ("attention_bias", False), ("mlp_bias", False)):
        if (given := getattr(config, name)) != allowed:
            raise _refusal(f"{name}={given!r} (allowed: {allowed!r})")


def _refusal(given: str) -> ValueError:
    return ValueError(
        f"the OpenVINO sampler runs models of the Llama architecture, such as SmolLM2; this one has {given}. "
        "Sample with strop.samplers.LocalSampler.Config(), which runs any model."
    )


def build(config: Any, weights: Mapping[str, np.ndarray], inv_freq: np.ndarray, temperature: float) -> Any:
    """The model (`openvino.Model`): token ids in, logits over `temperature` out, keys and values kept as states.

    `weights` are float32 under torch's names, `inv_freq` the rotary frequencies [D / 2].
    """
    return _Llama(config, weights, inv_freq).model(temperature)


class _Llama:
    def __init__(self, config: Any, weights: Mapping[str, np.ndarray], inv_freq: np.ndarray) -> None:
        import openvino.opset13 as ops

        self.ops, self.config, self.weights = ops, config, weights
        self.kv_heads, self.width = config.num_key_value_heads, config.head_dim
        self.groups = config.num_attention_heads // self.kv_heads
        self.tokens_BT = self._input("input_ids", [-1, -1], np.int64)
        self.attention_BS = self._input("attention_mask", [-1, -1], np.int64)
        self.position_BT = self._input("position_ids", [-1, -1], np.int64)
        self.beam_B = self._input("beam_idx", [-1], np.int32)
        self.cos_B1TD, self.sin_B1TD = self._rotary(inv_freq)
        self.mask_B11S = self._mask()
        self.sinks: list[Any] = []

    def model(self, temperature: float) -> Any:
        import openvino as ov

        ops, table_VH = self.ops, self._weight("model.embed_tokens.weight")
        hidden_BTH = ops.gather(table_VH, self.tokens_BT, np.int64(0))
        for layer in range(self.config.num_hidden_layers):
            hidden_BTH = self._layer(hidden_BTH, layer)
        # Only the head reads this norm, so that its weight over T makes logits over T.
        hidden_BTH = self._norm(hidden_BTH, "model.norm.weight", 1.0 / temperature)
        head_VH = table_VH if self.config.tie_word_embeddings else self._weight("lm_head.weight")
        logits_BTV = ops.matmul(hidden_BTH, head_VH, False, True, name="lm_head")
        logits_BTV.output(0).set_names({"logits"})
        inputs = [self.tokens_BT, self.attention_BS, self.position_BT, self.beam_B]
        return ov.Model([ops.result(logits_BTV)], self.sinks, inputs, "llama")

    def _layer(self, hidden_BTH: Any, layer: int) -> Any:
        ops, at = self.ops, f"model.layers.{layer}"
        normed_BTH = self._norm(hidden_BTH, f"{at}.input_layernorm.weight")
        hidden_BTH = ops.add(hidden_BTH, self._attention(normed_BTH, layer))
        normed_BTH = self._norm(hidden_BTH, f"{at}.post_attention_layernorm.weight")
        gate = ops.swish(self._linear(normed_BTH, f"{at}.mlp.gate_proj"))
        inner = ops.multiply(gate, self._linear(normed_BTH, f"{at}.mlp.up_proj"))
        return ops.add(hidden_BTH, self._linear(inner, f"{at}.mlp.down_proj"))

    def _attention(self, normed_BTH: Any, layer: int) -> Any:
        ops, at = self.ops, f"model.layers.{layer}.self_attn"
        query_BNTD = self._rotate(self._heads(self._linear(normed_BTH, f"{at}.q_proj")))
        key_BNTD = self._rotate(self._heads(self._linear(normed_BTH, f"{at}.k_proj")))
        value_BNTD = self._heads(self._linear(normed_BTH, f"{at}.v_proj"))
        key_BNSD = self._repeated(self._cached(key_BNTD, layer, "key"))
        value_BNSD = self._repeated(self._cached(value_BNTD, layer, "value"))
        mixed_BNTD = ops.scaled_dot_product_attention(query_BNTD, key_BNSD, value_BNSD, self.mask_B11S)
        mixed_BTND = ops.transpose(mixed_BNTD, np.array([0, 2, 1, 3]))
        mixed_BTH = ops.reshape(mixed_BTND, np.array([0, 0, -1]), True)
        return self._linear(mixed_BTH, f"{at}.o_proj")

    def _heads(self, joined_BTH: Any) -> Any:
        split_BTND = self.ops.reshape(joined_BTH, np.array([0, 0, -1, self.width]), True)
        return self.ops.transpose(split_BTND, np.array([0, 2, 1, 3]))

    def _rotate(self, x_BNTD: Any) -> Any:
        ops = self.ops
        low, high = ops.split(x_BNTD, np.int64(3), 2).outputs()
        turned_BNTD = ops.concat([ops.multiply(high, np.float32(-1.0)), low], 3)
        return ops.add(ops.multiply(x_BNTD, self.cos_B1TD), ops.multiply(turned_BNTD, self.sin_B1TD))

    def _cached(self, new_BNTD: Any, layer: int, what: str) -> Any:
        """What stands in the cache and the new ones; the pipeline replaces it by paged attention."""
        import openvino as ov
        from openvino.op.util import Variable, VariableInfo

        ops = self.ops
        info = VariableInfo()
        info.data_shape = ov.PartialShape([-1, self.kv_heads, -1, self.width])
        info.data_type = ov.Type.f32
        info.variable_id = f"past_key_values.{layer}.{what}present.{layer}.{what}"
        variable = Variable(info)
        rows_1 = ops.gather(ops.shape_of(self.tokens_BT), np.array([0]), np.int64(0))
        shape_4 = ops.concat([rows_1, np.array([self.kv_heads]), np.array([0]), np.array([self.width])], 0)
        empty = ops.broadcast(np.float32(0.0), shape_4)
        past = ops.gather(ops.read_value(empty, variable), self.beam_B, np.int64(0))
        both_BNSD = ops.concat([past, new_BNTD], 2)
        self.sinks.append(ops.assign(both_BNSD, variable))
        return both_BNSD

    def _repeated(self, x_BNSD: Any) -> Any:
        """A head of keys for every head of queries."""
        if self.groups == 1:
            return x_BNSD
        ops = self.ops
        five = ops.unsqueeze(x_BNSD, np.array([2]))
        five = ops.broadcast(five, np.array([1, 1, self.groups, 1, 1]), broadcast_spec="BIDIRECTIONAL")
        return ops.reshape(five, np.array([0, self.kv_heads * self.groups, -1, self.width]), True)

    def _rotary(self, inv_freq: np.ndarray) -> tuple[Any, Any]:
        ops = self.ops
        position_B1T1 = ops.convert(ops.unsqueeze(self.position_BT, np.array([1, 3])), "f32")
        angle = ops.multiply(position_B1T1, inv_freq.astype(np.float32).reshape(1, 1, 1, -1))
        angle_B1TD = ops.concat([angle, angle], 3)
        return ops.cos(angle_B1TD), ops.sin(angle_B1TD)

    def _mask(self) -> Any:
        ops = self.ops
        hidden_BS = ops.subtract(np.float32(1.0), ops.convert(self.attention_BS, "f32"))
        return ops.unsqueeze(ops.multiply(hidden_BS, np.float32(-1e9)), np.array([1, 2]))

    def _norm(self, x_BTH: Any, name: str, scale: float = 1.0) -> Any:
        ops = self.ops
        square_BT1 = ops.reduce_mean(ops.power(x_BTH, np.float32(2.0)), np.array([-1]), True)
        root_BT1 = ops.sqrt(ops.add(square_BT1, np.float32(self.config.rms_norm_eps)))
        normed_BTH = ops.multiply(x_BTH, ops.divide(np.float32(1.0), root_BT1))
        return ops.multiply(normed_BTH, ops.constant(self.weights[name] * np.float32(scale), name=name))

    def _linear(self, x: Any, name: str) -> Any:
        """OpenVINO GenAI finds the product that an adapter belongs to by its name, and ignores one that finds none."""
        return self.ops.matmul(x, self._weight(f"{name}.weight"), False, True, name=name)

    def _weight(self, name: str) -> Any:
        return self.ops.constant(self.weights[name], shared_memory=True, name=name)

    def _input(self, name: str, shape: list[int], dtype: Any) -> Any:
        node = self.ops.parameter(shape, dtype, name)
        node.set_friendly_name(name)
        node.output(0).set_names({name})
        return node
