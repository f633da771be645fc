"""A causal transformer encoder over item sequences (Kang & McAuley, SASRec, ICDM 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from recbole_logq.modules.block import BLOCKS
from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.pair_bias import Bias, PairBias, pairs_of
from recbole_logq.modules.positions import POSITIONS, LearnedPositions, NoPositions
from recbole_logq.modules.times import GapVectors, TimeBuckets, TokenTimes


class SequenceEncoder(nn.Module):
    """Item embeddings of sequences to one state per position, each seeing only what came before.

    Args:
        size, n_heads, inner_size, dropout, norm, feed_forward: As in :class:`CausalBlock`.
        n_layers: Blocks.
        max_length: Longest sequence.
        initializer_range: Standard deviation of all weights.
        block: Kind of block, one of :data:`BLOCKS`.
        positions: Kind of positions, one of :data:`POSITIONS`; they count from the first item.
        input_norm: LayerNorm on what enters the first block.
        scale_embedding: Multiply the embedded items by ``sqrt(size)`` first.
        time: ``none``, ``gaps`` (a vector of the gap is added to each item), ``bias`` (weights of the time between two
            items are added to the scores of attention), or ``both``.
        knows_request: Whether the time of a request is known.
        time_buckets: Buckets of times.
        bias_weights: ``layers`` for weights of attention that each block has of its own, or ``shared``.

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
        time: str = "none",
        knows_request: bool = False,
        time_buckets: int = 64,
        bias_weights: str = "layers",
    ) -> None:
        super().__init__()
        if size % n_heads:
            raise ValueError(f"size {size} does not divide into {n_heads} heads")
        self.scale = size**0.5 if scale_embedding else None
        # Stored weights go by the names and the order of the modules, and a seed's weights by the order alone.
        self.positions: NoPositions | LearnedPositions = POSITIONS[positions](max_length, size, n_heads)
        self.input_norm = nn.LayerNorm(size) if input_norm else nn.Identity()
        self.dropout = Dropout(dropout)
        shape = (size, n_heads, inner_size, dropout, norm, feed_forward, max_length)
        self.blocks = nn.ModuleList(BLOCKS[block](*shape) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()
        self.knows_request, self.max_length = knows_request, max_length
        self.buckets = None if time == "none" else TimeBuckets(time_buckets)
        self.gaps = GapVectors(time_buckets, size, knows_request) if time in ("gaps", "both") else None
        self.reads_pairs = time in ("bias", "both")
        self.biases = nn.ModuleList()
        if self.reads_pairs or positions == "relative":
            n_buckets = time_buckets if self.reads_pairs else None
            shape_of_bias = (n_heads, n_buckets, max_length if positions == "relative" else None)
            n_biases = n_layers if bias_weights == "layers" else 1
            self.biases.extend(PairBias(*shape_of_bias, BLOCKS[block].later) for _ in range(n_biases))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, embedded: Tensor, packing: Packing | FixedPacking, times: TokenTimes | None = None) -> Tensor:
        """Embedded items ``[tokens, size]`` to states ``[tokens, size]``; ``times`` where the encoder reads them."""
        if self.scale is not None:
            embedded = embedded * self.scale
        if self.gaps is not None:
            assert times is not None
            assert self.buckets is not None
            embedded = embedded + self.gaps(times, self.buckets)
        states = self.dropout(self.input_norm(self.positions.at_input(embedded, packing.position)))
        rotation = self.positions.rotation(packing.position, embedded.dtype)
        for block, bias in zip(self.blocks, self._biases(packing, times), strict=True):
            states = block(states, packing, rotation, bias)
        return self.final_norm(states)

    def _biases(self, packing: Packing | FixedPacking, times: TokenTimes | None) -> Iterator[Sequence[Bias] | None]:
        """What is added to the scores of each layer; one after the other, since a layer's may be large."""
        if not len(self.biases):
            yield from [None] * len(self.blocks)
            return
        pairs = pairs_of(packing, *((times, self.buckets) if self.reads_pairs else (None, None)))
        if len(self.biases) == 1:
            yield from [self.biases[0](pairs)] * len(self.blocks)
            return
        for bias in self.biases:
            yield bias(pairs)
