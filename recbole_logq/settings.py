"""The schema of the configuration: which settings exist, and of which type; see setting_checks.py for the checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.setting_types import (
    Block,
    Count,
    CountOrZero,
    FeedForward,
    Interval,
    Learner,
    LogLevel,
    Norm,
    OwnItems,
    Parts,
    Positions,
    Positive,
    PositiveOrZero,
    Seed,
    Share,
    Similarity,
    TemperatureMode,
    TextBucketCount,
    TextLength,
    TimeBucketCount,
)

DATA_PATH = "datasets"
"""Where datasets lie, one folder each, unless ``data_path`` says another place."""


class ClipSettings(BaseModel):
    """Arguments of torch's ``clip_grad_norm_``."""

    model_config = ConfigDict(extra="forbid")

    max_norm: Positive = Field(description="largest norm that the gradient of all parameters may have")
    norm_type: Positive = Field(2.0, description="order of the norm: 2 for the Euclidean one")
    error_if_nonfinite: bool = Field(False, description="whether a norm that is not finite ends the run")


class CommonSettings(BaseModel):
    """Settings of every model, RecBole's own included. Other RecBole keys pass through untouched."""

    model_config = ConfigDict(extra="allow", strict=False, protected_namespaces=())

    # --- training ---
    epochs: Count = Field(description="passes over the training data, at most")
    train_batch_size: Count = Field(
        description="rows of a step: interactions; for an own sequential model windows, about users, in which every "
        "position is a row"
    )
    learner: Learner = Field(description="optimizer; sparse_adam is for RecBole's models")
    learning_rate: Positive = Field(description="step size of the optimizer")
    weight_decay: PositiveOrZero = Field(description="L2 penalty that the optimizer adds to gradients")
    clip_grad_norm: ClipSettings | None = Field(None, description="limit to the norm of the gradient; None: no limit")
    shuffle: bool = Field(description="whether training rows come in a new order every epoch")
    enable_amp: bool = Field(description="mixed precision: layers compute in bfloat16, scores and losses in float32")
    max_train_cpu_seconds: Positive | None = Field(
        None, description="budget of training in CPU seconds, of all processes together; None: no limit"
    )
    train_neg_sample_args: dict[str, Any] | None = Field(
        None, description="RecBole's sampling of negatives, for its own models; own models have `negatives`"
    )
    seed: Seed = Field(description="seed of weights, batches, samplers and random splits")
    reproducibility: bool = Field(description="whether an accelerator uses deterministic algorithms alone")

    # --- validation and test ---
    eval_step: CountOrZero = Field(description="epochs from one validation to the next; 0 for none")
    stopping_step: CountOrZero = Field(
        description="validations in a row without improvement that end the training, once there is one more"
    )
    eval_args: dict[str, Any] = Field(
        description="protocol: `split` (RS: shares, LS: leave one out, GTS: by time), `order` (RO random, TO by time), "
        "`group_by` and `mode` (full, uni100, pop100, labeled); for GTS also `targets` and `unseen`"
    )
    metrics: str | Annotated[list[str], Field(min_length=1)] = Field(description="metrics to report, RecBole's or own")
    topk: Count | Annotated[list[Count], Field(min_length=1)] = Field(description="cut-offs of the rankings")
    valid_metric: str = Field(description="metric with its cut-off that chooses the best epoch and stops training")
    metric_decimal_place: CountOrZero = Field(description="digits of reported metrics after the point")
    eval_batch_size: Count = Field(description="rows that are ranked at a time; the memory of an evaluation")
    filter_history: bool | None = Field(
        None,
        description="whether items that a user had before are left out of its ranking; None: RecBole's rule, which "
        "leaves them out where `repeatable` is off",
    )

    # --- data ---
    request_time: Literal["unknown", "known"] = Field(
        "unknown", description="whether a query knows when it is asked: known takes the time of its target"
    )
    data_path: str = Field(description="folder in which datasets lie, a folder each")
    # RecBole's own default is what the machine likes best.
    encoding: Annotated[str, BeforeValidator(lambda value: "utf-8" if value is None else value)] = Field(
        "utf-8", description="text encoding of the dataset's files"
    )
    load_col: Annotated[dict[str, list[str] | Literal["*"] | None] | None, Allowed("columns by file, * for all")] = (
        Field(None, description="columns to load, by file suffix: {inter: [user_id, item_id], item: [item_id, genre]}")
    )
    unload_col: Annotated[dict[str, list[str]] | None, Allowed("columns by file")] = Field(
        None, description="columns not to load, by file suffix"
    )
    user_inter_num_interval: Interval | None = Field(
        None, description="interactions that a user must have; others are left out, again until all that stay have them"
    )
    item_inter_num_interval: Interval | None = Field(None, description="the same for items")
    val_interval: dict[str, Any] | None = Field(
        None, description='values that rows must have, by column: {rating: "[3,inf)"}'
    )
    rm_dup_inter: Literal["first", "last"] | None = Field(
        None, description="which of several interactions of a user with an item stays; None: all"
    )
    filter_inter_by_user_or_item: bool | None = Field(
        None, description="whether interactions stay out whose user or item has no line in the .user or .item file"
    )
    grade_field: str | None = Field(
        None,
        description="column of the .inter file that says what came of a row: 0 or less was shown and skipped and is no "
        "positive, nowhere; above are grades, such as 1 for a click and 2 for a like",
    )
    threshold: dict[str, Any] | None = Field(
        None, description="column and value from which on an interaction is labelled positive: {rating: 4}"
    )
    benchmark_filename: Parts | None = Field(
        None, description="ready-made split: names of the training, validation and test part, NAME.PART.inter"
    )
    MAX_ITEM_LIST_LENGTH: Count = Field(
        50, description="items of a sequence or history that a model sees, the latest ones"
    )
    recbole_order: bool = Field(
        False, description="order by time as RecBole has it, in float32; without it timestamps stay exact"
    )

    # --- machine and files ---
    use_gpu: bool = Field(description="whether to compute on an accelerator where there is one")
    nproc: Count = Field(1, description="processes of one run, each with a share of every batch; own models alone")
    worker: CountOrZero = Field(description="processes that make batches; of RecBole's models alone")
    checkpoint_dir: str = Field(description="folder of checkpoints")
    state: LogLevel = Field(
        description="least level of what is logged; the log file has all settings and the network too, the terminal at "
        "DEBUG"
    )
    show_progress: bool = Field(description="whether to draw progress bars")
    log_wandb: bool = Field(description="whether to send metrics to Weights & Biases (extra wandb)")
    wandb_project: str = Field(description="project of W&B that the run is one of")
    log_mlflow: bool = Field(False, description="whether to send metrics to MLflow (extra mlflow)")
    mlflow_uri: str | None = Field(
        None,
        description="where MLflow keeps runs, such as https://HOST or sqlite:///mlflow.db; None: what the environment "
        "variable MLFLOW_TRACKING_URI says, else a file mlflow.db here",
    )
    mlflow_experiment: str = Field("recbole_logq", description="experiment of MLflow that the run is one of")
    run_name: str | None = Field(
        None, description="name of the run in W&B and MLflow; None: model, dataset and seed, in compare its label"
    )
    log_energy: bool = Field(
        False, description="whether to estimate the energy that a run takes, with CodeCarbon, offline (extra energy)"
    )
    country_iso_code: str | None = Field(
        None, description="country of this machine, such as DEU, whose electricity's CO2 counts; None: energy alone"
    )
    plugins: list[str] | None = Field(
        None, description="files (./my_loss.py) and modules of your own that register losses, encoders or metrics"
    )


class RecentPopSettings(CommonSettings):
    """Settings of what was popular lately."""

    recent_days: Positive = Field(
        30.0, description="days before training ends whose interactions count; older ones decide between equals alone"
    )


class NegativesSettings(BaseModel):
    """Where the negatives of a step come from; further keys are options of that source, which checks them itself."""

    model_config = ConfigDict(extra="allow")

    source: str = Field(description="source of negatives; `recbole-logq models` lists them")
    count: Count | None = Field(
        None, description="negatives of a pool; None: all that the source has, such as every positive of the batch"
    )
    own: OwnItems = Field(
        None,
        description="which of the user's other items are scored exactly, while the pool estimates the rest: those of "
        "the row's window, or of the whole history; None: none are",
    )


class RetrievalSettings(CommonSettings):
    """Settings of this package's models, whatever the encoder."""

    loss: str = Field(description="loss; `recbole-logq models` lists them")
    loss_options: dict[str, Any] | None = Field(None, description="options of the loss, listed with it below")
    negatives: NegativesSettings = Field(description="where negatives come from; options of the source stand beside")
    hits: Literal["masked", "kept"] | None = Field(
        None, description="what happens to negatives that are the row's own positive; None: what the loss's form needs"
    )
    allow_crossed: bool = Field(
        False, description="whether combinations that are inconsistent are accepted, for experiments about the bias"
    )
    mask: Literal["target", "query", "history"] = Field(
        "target",
        description="what is never a negative: the row's positive, the user's positives of this batch too, or all that "
        "the user had",
    )
    weight_field: str | None = Field(
        None, description="column of the .inter file that weighs rows in the loss; it never enters Q"
    )
    segment_field: str | None = Field(
        None, description="column of the .inter file: batches of one segment each, and Q per segment (TwoTower)"
    )
    impression_field: str | None = Field(
        None,
        description="column of the .inter file with the impression (request, page, session) of a row, for "
        "negatives.source=impression",
    )
    pools: Count = Field(1, description="pools of negatives that a step draws; each serves an equal part of the rows")
    kernel: Literal["auto", "triton", "torch"] = Field(
        "auto",
        description="what computes a loss's sum over its negatives: triton, one kernel on a CUDA device, which writes "
        "no scores to memory; torch, matrix by matrix; auto: triton on devices where it was faster, none so far",
    )
    similarity: Similarity = Field(description="score of a query and an item, before the temperature")
    temperature: Positive = Field(description="what scores are divided by before any correction")
    temperature_mode: TemperatureMode = Field(
        "fixed",
        description="fixed; learned from `temperature` on; or scheduled, geometrically to `temperature_end`",
    )
    temperature_end: Positive | None = Field(None, description="last temperature of a schedule")
    temperature_steps: Count | None = Field(None, description="steps until a schedule has reached it")
    embedding_size: Count = Field(description="width of id embeddings, and of states in a sequential model")
    user_features: list[str] | None = Field(
        None, description="columns of the .user file, such as [age, gender], added to the user's vector"
    )
    item_features: list[str] | None = Field(
        None, description="columns of the .item file, such as [genre], added to the item's vector"
    )
    user_text: list[str] | None = Field(
        None, description="columns of the .user file that are texts, such as [query]: words and letter trigrams, hashed"
    )
    item_text: list[str] | None = Field(
        None, description="columns of the .item file that are texts, such as [title]: words and letter trigrams, hashed"
    )
    text_buckets: TextBucketCount = Field(
        32_768, description="vectors of a text column, into which its words and trigrams are hashed"
    )
    text_length: TextLength = Field(
        256, description="words and trigrams of a text that count, the first ones; a word of n letters makes n + 1"
    )
    context_features: list[str] | None = Field(
        None, description="columns of the .inter file that a request knows, such as [hour], added to the query"
    )
    use_item_id: bool = Field(True, description="whether an item has a vector of its own beside its features and texts")
    id_dropout: Share = Field(0.0, description="share of ids left out in training, so that features can stand alone")
    gradient_cache: Count | None = Field(
        None, description="rows encoded at a time where a batch does not fit into memory; None: all at once"
    )
    sparse_embeddings: bool | Literal["auto"] = Field(
        "auto",
        description="whether id tables have sparse gradients; auto: large tables, where nothing speaks against it",
    )
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        description="learning rate after the warm-up: constant, or a decay to 0 over all epochs"
    )
    warmup_steps: CountOrZero = Field(description="steps of linear warm-up to the learning rate")
    cuda_graph: bool | Literal["auto"] = Field(
        False,
        description="whether steps have fixed shapes and a GPU replays them as one CUDA graph, with its own random "
        "numbers; auto: on a GPU, where nothing speaks against it (SASRec needs train_batch_tokens)",
    )
    diagnostics: bool = Field(
        True, description="whether an epoch ends with measures of the vectors, for catalogues that are not too large"
    )


class TwoTowerSettings(RetrievalSettings):
    """Settings of the two-tower encoder."""

    mlp_sizes: list[Count] = Field(
        description="widths of layers on top of the embeddings, such as [128, 64]; []: matrix factorisation"
    )
    dropout: Share = Field(description="share of the embedding that is dropped in training, before the layers")
    user_tower: Literal["id", "history"] = Field(
        "id", description="a user is a vector of its own, or the items before the target, pooled (eval_args.order=TO)"
    )
    max_history: Count | None = Field(
        None, description="of user_tower=history: items that are pooled, the latest; None: MAX_ITEM_LIST_LENGTH"
    )
    history_pooling: Literal["mean", "attention"] = Field(
        "mean", description="of user_tower=history: the mean, or attention with a learned query and recency"
    )
    time: Literal["none", "gaps", "bias", "both"] = Field(
        "none",
        description="times of a history: gaps, added to items; bias, weights of how long ago in attention pooling",
    )
    time_buckets: TimeBucketCount = Field(64, description="buckets of times, whose widths grow with the time")
    time_context: list[Literal["hour", "weekday"]] | None = Field(
        None, description="what the time of a request adds to the query, in UTC: [hour, weekday]; request_time=known"
    )
    second_histories: Annotated[dict[str, str] | None, Allowed("columns by file suffix")] = Field(
        None,
        description="of user_tower=history: what else users did, pooled beside it: {search: query} is the column query "
        "of the file NAME.search, before the target",
    )
    example_age: bool = Field(
        False, description="whether training tells the query how old the example is; everywhere else it is 0"
    )
    use_user_id: bool = Field(True, description="whether a user has a vector of its own beside its features")


class SASRecSettings(RetrievalSettings):
    """Settings of the SASRec-style encoder."""

    multi_positive: Count = Field(
        1, description="targets of a position: that many next items of its window, each a positive of the same query"
    )
    train_batch_tokens: Count | None = Field(
        None,
        description="positions of a batch, in place of train_batch_size: windows are taken until the next does not fit",
    )
    n_layers: Count = Field(description="transformer blocks")
    n_heads: Count = Field(description="attention heads; embedding_size must divide by them")
    inner_size: Count = Field(
        description="width of the feed-forward layers; with swiglu two thirds of it make the same number of parameters"
    )
    dropout: Share = Field(description="share dropped in training after embedding, attention output and feed-forward")
    block: Block = Field(description="classic; ligr: gates before the residual sums; or hstu: gated silu attention")
    norm: Norm = Field(description="LayerNorm before each part, or after the residual sum")
    feed_forward: FeedForward = Field(description="activation of the feed-forward layers")
    positions: Positions = Field(
        description="learned: vectors from the first item on; rotary, relative: distances; or none"
    )
    time: Literal["none", "gaps", "bias", "both"] = Field(
        "none", description="times of items: gaps, added to items; bias, weights in attention; both, or none"
    )
    time_buckets: TimeBucketCount = Field(64, description="buckets of times, whose widths grow with the time")
    bias_weights: Literal["layers", "shared"] = Field(
        "layers", description="weights of time and relative positions: of each layer, or shared by all"
    )
    input_norm: bool = Field(description="whether items and positions are normalised before the first block")
    scale_embedding: bool = Field(description="whether items are multiplied by sqrt(embedding_size) before positions")
    initializer_range: Positive = Field(description="standard deviation of initial weights")
