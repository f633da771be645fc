"""What an exported encoder is made of: a schema that lists everything it may be."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recbole_logq.modules.scorer import Scorer
from recbole_logq.serving.moments import Moments
from recbole_logq.serving.plain import MAX_LENGTH, Large, Name, Plain, Tokens, Width
from recbole_logq.setting_types import Block, FeedForward, Norm, Positions, Similarity, TemperatureMode

MAX_HISTORY = 1 << 20
MAX_LAYERS = 1 << 10
Float = Literal["float32", "float64"]
Length = Annotated[int, Field(ge=0, le=MAX_LENGTH)]
"""Length of a column of several tokens or numbers; 0 where nobody has any."""


class ScorerDescription(Plain):
    """Arguments of :class:`~recbole_logq.modules.scorer.Scorer`."""

    similarity: Similarity
    temperature: Annotated[float, Field(gt=0, le=Large)]
    mode: TemperatureMode
    end: Annotated[float, Field(gt=0, le=Large)] | None
    steps: Annotated[int, Field(ge=1, le=1 << 53)] | None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.build()
        return self

    def build(self) -> Scorer:
        """The scorer; raises ``ValueError`` for arguments that do not go together."""
        return Scorer(self.similarity, self.temperature, self.mode, self.end, self.steps)


class TokenColumn(Plain):
    """A column of requests that holds one of the tokens of ``context.parquet``."""

    name: Name
    type: Literal["token"]
    n_tokens: Tokens


class NumberColumn(Plain):
    """A column of requests that holds numbers."""

    name: Name
    type: Float


class TokenField(Plain):
    """A field of users: one token each, or up to ``length`` of them."""

    type: Literal["token"]
    n_tokens: Tokens
    length: Length | None


class NumberField(Plain):
    """A field of users: one number each, or ``length`` of them."""

    type: Float
    length: Length | None


class TextColumn(Plain):
    """A text, as ``text_buckets`` and ``text_length`` say how it is read; see `recbole_logq.modules.text`."""

    name: Name
    buckets: Annotated[int, Field(ge=1, le=(1 << 31) - 2)]
    parts: Annotated[int, Field(ge=1, le=MAX_LENGTH)]


class UserText(TextColumn):
    """A text of users; ``width`` parts of each are kept for a tower over histories, none for one over ids."""

    width: Length | None


class SecondColumn(Plain):
    """A second history: what else users did, as hashed tokens.

    ``several`` tokens may be one event, between blanks; ``kept`` are those of all users of the folder.
    """

    name: Name
    buckets: Annotated[int, Field(ge=1, le=(1 << 31) - 2)]
    several: bool
    kept: Annotated[int, Field(ge=0, le=1 << 53)]


Texts = Annotated[list[TextColumn], Field(min_length=1, max_length=100)]


class ItemTextDescription(Plain):
    """What makes vectors of items of which texts alone are known."""

    size: Width
    mlp_sizes: Annotated[list[Width], Field(max_length=64)]
    cosine: bool
    texts: Texts

    @model_validator(mode="after")
    def _once(self) -> Self:
        _check_once([text.name for text in self.texts])
        return self


def _check_once(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError("a column of the context twice")


Time = Literal["none", "gaps", "bias", "both"]
RequestTime = Literal["unknown", "known"]
TimeBuckets = Annotated[int, Field(ge=3, le=1024)]
TimeUnit = Literal["seconds", "milliseconds", "microseconds"]
ContextColumn = Annotated[TokenColumn | NumberColumn, Field(discriminator="type")]
UserField = Annotated[TokenField | NumberField, Field(discriminator="type")]


class _Encoder(Plain):
    reads_history: ClassVar[bool] = False
    """Whether a user is what they had, so that a visitor can be served."""
    needs_history: ClassVar[bool] = False
    """Whether an empty history has no query."""

    size: Width
    scorer: ScorerDescription

    @property
    def dimensions(self) -> int:
        """Numbers of a query."""
        return self.size

    @property
    def context_columns(self) -> list[TokenColumn | NumberColumn]:
        """What is read of a request beside its user."""
        return []

    @property
    def text_columns(self) -> list[UserText]:
        """What is read of users as texts."""
        return []

    @property
    def second_columns(self) -> list[SecondColumn]:
        """What is read of a user beside what they had."""
        return []

    @property
    def moments(self) -> Moments:
        """What is read of times."""
        return Moments(False, False, None)

    @property
    def keeps_requests(self) -> bool:
        """Whether a folder keeps all that is read of the requests that its users made when they had something."""
        timely = self.moments.reads_times or not self.moments.knows_request
        return timely and not self.context_columns and not self.second_columns

    @property
    def items_seen(self) -> int | None:
        """Items of a history that the encoder sees, the latest; None where it reads none."""
        return getattr(self, "max_history", None)


class _WithTower(_Encoder):
    mlp_sizes: Annotated[list[Width], Field(max_length=64)]
    context: Annotated[list[ContextColumn], Field(max_length=1000)]
    # What folders from before towers read times do not have.
    time_context: Annotated[list[Literal["hour", "weekday"]], Field(max_length=2)] = []
    time_unit: TimeUnit | None = None
    # What folders from before there were texts do not have.
    texts: Annotated[list[UserText], Field(max_length=100)] = []

    @property
    def dimensions(self) -> int:
        """See :attr:`_Encoder.dimensions`."""
        return self.mlp_sizes[-1] if self.mlp_sizes else self.size

    @property
    def context_columns(self) -> list[TokenColumn | NumberColumn]:
        """See :attr:`_Encoder.context_columns`."""
        return self.context

    @property
    def text_columns(self) -> list[UserText]:
        """See :attr:`_Encoder.text_columns`."""
        return self.texts

    @property
    def moments(self) -> Moments:
        """See :attr:`_Encoder.moments`."""
        return Moments(False, bool(self.time_context), self.time_unit)

    @model_validator(mode="after")
    def _once(self) -> Self:
        _check_once([column.name for column in (*self.context, *self.texts)])
        _check_once(list(self.time_context))
        if self.time_context and self.time_unit is None:
            raise ValueError("an hour of times whose unit is not known")
        return self


class UserDescription(_WithTower):
    """A vector of each user."""

    kind: Literal["user"]

    @model_validator(mode="after")
    def _no_texts_kept(self) -> Self:
        if any(text.width is not None for text in self.texts):
            raise ValueError("texts of users beside their vectors")
        return self


class HistoryDescription(_WithTower):
    """The items that a user had, pooled."""

    reads_history: ClassVar[bool] = True

    kind: Literal["history"]
    max_history: Annotated[int, Field(ge=1, le=MAX_HISTORY)]
    pooling: Literal["mean", "attention"]
    user_fields: Annotated[list[UserField], Field(max_length=1000)]
    time: Time = "none"
    request_time: RequestTime = "unknown"
    time_buckets: TimeBuckets = 64
    # What folders from before there were second histories do not have.
    second: Annotated[list[SecondColumn], Field(max_length=100)] = []

    @property
    def second_columns(self) -> list[SecondColumn]:
        """See :attr:`_Encoder.second_columns`."""
        return self.second

    @property
    def moments(self) -> Moments:
        """See :attr:`_Encoder.moments`."""
        reads = self.time != "none"
        knows = self.request_time == "known" and (reads or bool(self.time_context))
        return Moments(reads, knows, self.time_unit)

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.time_context and self.request_time == "unknown":
            raise ValueError("an hour of requests whose time is not known")
        _check_once([column.name for column in self.second])
        if any(text.width is None for text in self.texts):
            raise ValueError("texts of users that are not kept")
        return self


class SequenceDescription(_Encoder):
    """The items that a user had, through a transformer; keys are the settings of SASRec."""

    reads_history: ClassVar[bool] = True
    needs_history: ClassVar[bool] = True

    kind: Literal["sequence"]
    max_history: Annotated[int, Field(ge=1, le=MAX_LENGTH)]
    n_layers: Annotated[int, Field(ge=1, le=MAX_LAYERS)]
    n_heads: Width
    inner_size: Width
    block: Block
    norm: Norm
    feed_forward: FeedForward
    positions: Positions
    input_norm: bool
    scale_embedding: bool
    # What folders from before there was time in the encoder do not have.
    time: Time = "none"
    request_time: RequestTime = "unknown"
    time_buckets: TimeBuckets = 64
    bias_weights: Literal["layers", "shared"] = "layers"
    time_unit: TimeUnit | None = None

    @property
    def moments(self) -> Moments:
        """See :attr:`_Encoder.moments`."""
        reads = self.time != "none"
        return Moments(reads, reads and self.request_time == "known", self.time_unit)


Description = UserDescription | HistoryDescription | SequenceDescription
EncoderDescription = Annotated[Description, Field(discriminator="kind")]
