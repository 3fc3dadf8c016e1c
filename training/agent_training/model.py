"""The embedded architecture in PyTorch: LFM2 (gated short convolutions + grouped attention).

Parameter names and shapes are those mlx-lm's `lfm2` loads, so exporting is saving the state dict.
Layout after Liquid AI's LFM2 as mlx-lm implements it; sizes come from the recipe.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agent_training.shape import Shape


class Lfm2(nn.Module):
    """Decoder with tied embeddings: token ids (B, T) -> final hidden states (B, T, D)."""

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = nn.Dropout(dropout)
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape, kind) for kind in shape.layers)
        self.embedding_norm = nn.RMSNorm(shape.hidden_size, shape.norm_eps)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=self.shape.initial_std(name, parameter.shape[1]))

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.dropout(self.embed_tokens(tokens))
        rotation = rotary(tokens.shape[1], self.shape, hidden.device)
        for layer in self.layers:
            hidden = layer(hidden, rotation)
        return torch.as_tensor(self.dropout(self.embedding_norm(hidden)))

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embed_tokens.weight)


class Block(nn.Module):
    def __init__(self, shape: Shape, kind: str) -> None:
        super().__init__()
        self.is_attention = kind == "a"
        if self.is_attention:
            self.self_attn = Attention(shape)
        else:
            self.conv = ShortConv(shape)
        self.feed_forward = FeedForward(shape)
        self.operator_norm = nn.RMSNorm(shape.hidden_size, shape.norm_eps)
        self.ffn_norm = nn.RMSNorm(shape.hidden_size, shape.norm_eps)

    def forward(self, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        normed = self.operator_norm(hidden)
        mixed = self.self_attn(normed, rotation) if self.is_attention else self.conv(normed)
        hidden = hidden + mixed
        return hidden + torch.as_tensor(self.feed_forward(self.ffn_norm(hidden)))


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.head_size = head_size = shape.hidden_size // shape.heads
        self.q_proj = nn.Linear(shape.hidden_size, shape.heads * head_size, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, shape.kv_heads * head_size, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, shape.kv_heads * head_size, bias=False)
        self.out_proj = nn.Linear(shape.heads * head_size, shape.hidden_size, bias=False)
        self.q_layernorm = nn.RMSNorm(head_size, shape.norm_eps)
        self.k_layernorm = nn.RMSNorm(head_size, shape.norm_eps)

    def forward(self, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, _ = hidden.shape

        def heads(projected: Tensor) -> Tensor:
            return projected.view(batch, length, -1, self.head_size)

        queries = rotate(self.q_layernorm(heads(self.q_proj(hidden))).transpose(1, 2), rotation)
        keys = rotate(self.k_layernorm(heads(self.k_proj(hidden))).transpose(1, 2), rotation)
        values = heads(self.v_proj(hidden)).transpose(1, 2)
        groups = self.shape.heads // self.shape.kv_heads
        mixed = F.scaled_dot_product_attention(
            queries.to(values.dtype),
            keys.to(values.dtype).repeat_interleave(groups, 1),
            values.repeat_interleave(groups, 1),
            is_causal=True,
        )
        flat = mixed.transpose(1, 2).reshape(batch, length, -1)
        return torch.as_tensor(self.out_proj(flat))


class ShortConv(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.kernel = shape.conv_kernel
        self.in_proj = nn.Linear(shape.hidden_size, 3 * shape.hidden_size, bias=False)
        self.out_proj = nn.Linear(shape.hidden_size, shape.hidden_size, bias=False)
        self.conv = DepthwiseKernel(shape.hidden_size, shape.conv_kernel)

    def forward(self, hidden: Tensor) -> Tensor:
        gate_in, gate_out, value = self.in_proj(hidden).chunk(3, dim=-1)
        gated = gate_in * value
        length = gated.shape[1]
        padded = F.pad(gated, (0, 0, self.kernel - 1, 0))
        taps = self.conv.weight[:, 0, :].to(gated.dtype)
        # Shifted multiplies: several times faster on a CPU than a grouped conv1d.
        mixed = sum(padded[:, k : k + length] * taps[:, k] for k in range(self.kernel))
        return torch.as_tensor(self.out_proj(gate_out * mixed))


class DepthwiseKernel(nn.Module):
    """Holds the taps as (channels, 1, kernel), the layout mlx-lm's loader expects to transpose."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel).uniform_(-1, 1) / kernel**0.5)


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.w1 = nn.Linear(shape.hidden_size, shape.ffn_size, bias=False)
        self.w3 = nn.Linear(shape.hidden_size, shape.ffn_size, bias=False)
        self.w2 = nn.Linear(shape.ffn_size, shape.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.as_tensor(self.w2(F.silu(self.w1(hidden)) * self.w3(hidden)))


def rotary(length: int, shape: Shape, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, head_size / 2) of rotary position embedding (Su et al. 2021)."""
    half = shape.hidden_size // shape.heads // 2
    frequencies = shape.rope_theta ** (-torch.arange(half, device=device) / half)
    angles = torch.arange(length, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate (B, H, T, head_size) by position; halves are paired, as mlx's non-traditional RoPE."""
    first, second = heads.chunk(2, dim=-1)
    cosine, sine = rotation
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
