"""A SASRec-style encoder trained on every position of a sequence in one causal pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_logq.data.batches.token_loader import window_loader
from recbole_logq.data.batches.window_batch import WindowBatch
from recbole_logq.data.dataset.event_times import ASKED, TIMES, TOKEN_TIMES, check_times
from recbole_logq.data.dataset.feature_columns import feature_names
from recbole_logq.data.dataset.impressions import SHOWN
from recbole_logq.errors import RequestError
from recbole_logq.models.encoders import encoder_defaults
from recbole_logq.models.feature_modules import feature_embedding, fields_alone, text_items
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.models.rows import Rows, own_inputs
from recbole_logq.models.sparse import sparse_rule
from recbole_logq.modules.embedding import IdTable
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.gradient_cache import in_parts
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.query import Request, SequenceQuery, token_times
from recbole_logq.modules.text_items import TextItems
from recbole_logq.modules.times import TokenTimes, logarithmic_edges
from recbole_logq.modules.transformer import SequenceEncoder
from recbole_logq.ranks import world_size


class SASRec(RetrievalMixin, SequentialRecommender):
    """Causal transformer over the item sequence; the item table also scores (Kang & McAuley, ICDM 2018).

    Rows are positions: a batch is ``train_batch_size`` windows of users' sequences and trains on every target in it.
    """

    input_type = InputType.POINTWISE
    train_loader = staticmethod(window_loader)
    takes_segments = False
    n_items: int
    max_seq_length: int
    ITEM_SEQ: str
    ITEM_SEQ_LEN: str

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.size = size = config["embedding_size"]
        self.multi_positive = config["multi_positive"]
        self.item_text = feature_names(config, "item_text")
        sparse = sparse_rule(config, self.n_items)
        std = config["initializer_range"]
        self.item_embedding: nn.Embedding | FeatureEmbedding = feature_embedding(
            "item_features", config, dataset, std
        ) or IdTable(self.n_items, size, padding_idx=0, sparse=sparse)
        self.encoder = SequenceEncoder(
            size=size,
            n_layers=config["n_layers"],
            n_heads=config["n_heads"],
            inner_size=config["inner_size"],
            dropout=config["dropout"],
            norm=config["norm"],
            max_length=self.max_seq_length,
            initializer_range=config["initializer_range"],
            block=config["block"],
            feed_forward=config["feed_forward"],
            positions=config["positions"],
            input_norm=config["input_norm"],
            scale_embedding=config["scale_embedding"],
            time=config["time"],
            knows_request=config["request_time"] == "known",
            time_buckets=config["time_buckets"],
            bias_weights=config["bias_weights"],
        )
        if self.encoder.buckets is not None:
            gaps, longest = dataset.training_gaps()
            self.encoder.buckets.edges = logarithmic_edges(gaps, longest, config["time_buckets"])
        if isinstance(self.item_embedding, nn.Embedding):
            nn.init.normal_(self.item_embedding.weight, std=std)
            nn.init.zeros_(self.item_embedding.weight[0].detach())
        units = dataset.windows.expected_units(self.n_items)
        self.build_retrieval(config, dataset, (*units, dataset.windows.length))

    @staticmethod
    def dataset_class() -> type:
        """The dataset that keeps sequences whole."""
        from recbole_logq.data.dataset.sequence_dataset import SequenceDataset

        return SequenceDataset

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """See :meth:`RetrievalMixin.check_settings`."""
        super().check_settings(values, given)
        for key in ("user_features", "context_features", "user_text"):
            if feature_names(values, key):
                instead = "item_text" if key == "user_text" else "item_features"
                raise RequestError(f"{key}: SASRec computes queries from items alone; set {instead}, or take TwoTower")
        _check_encoder(values, given)
        check_times(values, given)

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """See :meth:`RetrievalMixin.item_vectors`."""
        if ids is not None:
            return self.scorer.item(self.item_embedding(ids))
        table = self.item_embedding
        return self.scorer.item(table.whole() if isinstance(table, FeatureEmbedding) else table.weight)

    def item_encoder(self) -> nn.Embedding | FeatureEmbedding:
        """See :meth:`RetrievalMixin.item_encoder`."""
        return self.item_embedding

    def vectors_of_new_items(self, columns: Sequence[Tensor]) -> Tensor:
        """See :meth:`RetrievalMixin.vectors_of_new_items`."""
        return self.scorer.item(fields_alone(self.item_embedding, columns))

    def text_items(self) -> TextItems | None:
        """See :meth:`RetrievalMixin.text_items`."""
        return text_items(self.item_text, self.item_embedding, nn.Sequential(), self.scorer)

    def forward(self, tokens: Tensor, packing: Packing | FixedPacking, times: TokenTimes | None = None) -> Tensor:
        """Item ids ``[tokens]`` in the order of a packing to one query each, ``[tokens, d]``.

        Args:
            tokens: Items.
            packing: Packing of the tokens.
            times: Times of the tokens, where the encoder reads them.
        """
        if not packing.n_tokens:  # this process has no share of a small batch
            return next(self.parameters()).new_zeros(0, self.size)
        states = self.query_encoder().states
        if isinstance(packing, FixedPacking):
            return states(tokens, packing, times)
        if not self.training or not self.gradient_cache or self.gradient_cache >= len(packing.lengths):
            return states(tokens, packing, times)
        parts = packing.parts(self.gradient_cache)
        return in_parts(states, [(tokens[part], packed, times and times.part(part)) for part, packed in parts])

    def rows(self, interaction: Any) -> Rows:
        """Rows of a batch of windows, or of RecBole's rows (a history and one target each)."""
        weights = interaction[self.weight_field] if self.weight_field else None
        shown = interaction.interaction.get(SHOWN)
        targets, users = interaction[self.ITEM_ID], interaction[self.USER_ID]
        if not isinstance(interaction, WindowBatch):
            states = self._last_states(interaction)
            own = own_inputs(interaction[self.ITEM_SEQ]) if self.own == "window" else None
            return Rows(states, targets, len(targets), users, weights, shown=shown, further_own=own)
        packing, real = interaction.packing, interaction.real
        times = None if self.encoder.buckets is None else TokenTimes(*interaction[TOKEN_TIMES].unbind(1))
        states = self.forward(interaction[self.ITEM_SEQ], packing, times)
        if isinstance(packing, FixedPacking):
            n_units, windows = packing.n_sequences, packing.sequence
            return Rows(states, targets, n_units, users, weights, windows=windows, real=real)
        place = packing.place if world_size() > 1 else None
        windows, sizes, first_items = packing.sequence, None, None
        if real is None and (self.own == "window" or self.multi_positive > 1):
            sizes = packing.lengths
        if real is None and self.own == "window":  # each input but the first is the target before it
            first_items = interaction[self.ITEM_SEQ][packing.first]
        if real is not None:
            windows = windows[real]
            states, targets, users = states[real], targets[real], users[real]
            weights, shown = (None if column is None else column[real] for column in (weights, shown))
            place = None if place is None else place[real]
        return Rows(
            query=states,
            positives=targets,
            n_units=len(packing.lengths),
            users=users,
            weights=weights,
            place=place,
            shown=shown,
            windows=windows,
            window_sizes=sizes,
            first_items=first_items,
        )

    @property
    def query_columns(self) -> tuple[str, ...]:
        """See :attr:`RetrievalMixin.query_columns`."""
        columns = (self.ITEM_SEQ, self.ITEM_SEQ_LEN)
        if self.encoder.buckets is None:
            return columns
        return (*columns, TIMES, ASKED) if self.encoder.knows_request else (*columns, TIMES)

    def query_encoder(self) -> SequenceQuery:
        """See :meth:`RetrievalMixin.query_encoder`."""
        return SequenceQuery(self.item_embedding, self.encoder, self.scorer)

    def request(self, interaction: Any) -> Request:
        """See :meth:`RetrievalMixin.request`."""
        known = {name: interaction[name] for name in self.query_columns}
        return Request(
            history=known[self.ITEM_SEQ],
            n_items=known[self.ITEM_SEQ_LEN],
            times=known.get(TIMES),
            request_time=known.get(ASKED),
        )

    def _last_states(self, interaction: Any) -> Tensor:
        request = self.request(interaction)
        assert request.history is not None
        assert request.n_items is not None
        packing = Packing(request.n_items, request.history.device)
        times = None
        if self.encoder.buckets is not None:
            times = token_times(request, packing, self.encoder.knows_request)
        return self.forward(packing.pack(request.history), packing, times)[packing.last]


def _check_encoder(values: dict[str, Any], given: dict[str, Any]) -> None:
    size, n_heads = values["embedding_size"], values["n_heads"]
    if size % n_heads:
        raise RequestError(f"embedding_size={size} does not divide into n_heads={n_heads} heads")
    if values["positions"] == "rotary" and size // n_heads % 2:
        raise RequestError(
            f"positions=rotary turns pairs of dimensions: embedding_size={size} over n_heads={n_heads} must be even"
        )
    if values["block"] != "classic" and values["norm"] != "pre":
        raise RequestError(f"norm={values['norm']}: block={values['block']} is pre-norm, set norm=pre or block=classic")
    if values["block"] == "hstu":
        defaults = encoder_defaults("SASRec")
        for key in ("inner_size", "feed_forward"):
            if given.get(key, defaults[key]) != defaults[key]:
                raise RequestError(f"{key}={given[key]}: block=hstu has no feed-forward layer, leave it out")
    if values["bias_weights"] == "shared" and (
        values["n_layers"] == 1 or not (values["positions"] == "relative" or values["time"] in ("bias", "both"))
    ):
        raise RequestError(
            "bias_weights=shared: for several layers with time=bias, time=both or positions=relative; leave it out"
        )
    if values["scale_embedding"] and values["input_norm"] and values["positions"] != "learned":
        raise RequestError(
            "scale_embedding=true: without learned positions the input norm divides the factor out again; set "
            "input_norm=false, or positions=learned"
        )
