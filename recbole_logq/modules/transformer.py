"""A causal transformer encoder over item sequences (Kang & McAuley, SASRec, ICDM 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from recbole_logq.modules.block import BLOCKS
from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.positions import POSITIONS, LearnedPositions, NoPositions


class SequenceEncoder(nn.Module):
    """Item embeddings of sequences to one state per position, each seeing only what came before.

    Args:
        size, n_heads, inner_size, dropout, norm, feed_forward: As in :class:`CausalBlock`.
        n_layers: Blocks.
        max_length: Longest sequence.
        initializer_range: Standard deviation of all weights.
        block: Of :data:`BLOCKS`.
        positions: Of :data:`POSITIONS`; they count from the first item.
        input_norm: LayerNorm on what enters the first block.
        scale_embedding: Multiply the embedded items by ``sqrt(size)`` first.

    Raises:
        ValueError: Sizes that do not divide, or a pair of options that does not exist.
    """

    def __init__(
        self,
        *,
        size: int,
        n_layers: int,
        n_heads: int,
        inner_size: int,
        dropout: float,
        norm: str,
        max_length: int,
        initializer_range: float,
        block: str = "classic",
        feed_forward: str = "gelu",
        positions: str = "learned",
        input_norm: bool = True,
        scale_embedding: bool = False,
    ) -> None:
        super().__init__()
        if size % n_heads:
            raise ValueError(f"size {size} does not divide into {n_heads} heads")
        self.scale = size**0.5 if scale_embedding else None
        # Stored weights go by the names and the order of the modules, and a seed's weights by the order alone.
        self.positions: NoPositions | LearnedPositions = POSITIONS[positions](max_length, size, n_heads)
        self.input_norm = nn.LayerNorm(size) if input_norm else nn.Identity()
        self.dropout = Dropout(dropout)
        shape = (size, n_heads, inner_size, dropout, norm, feed_forward)
        self.blocks = nn.ModuleList(BLOCKS[block](*shape) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, embedded: Tensor, packing: Packing) -> Tensor:
        """Embedded items ``[tokens, size]`` to states ``[tokens, size]``."""
        if self.scale is not None:
            embedded = embedded * self.scale
        states = self.dropout(self.input_norm(self.positions.at_input(embedded, packing.position)))
        rotation = self.positions.rotation(packing.position, embedded.dtype)
        for block in self.blocks:
            states = block(states, packing, rotation)
        return self.final_norm(states)
