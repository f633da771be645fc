"""The user encoder as a program that runs without the model's code: ``torch.export``, and a check before it is loaded.

An archive of ``torch.export`` is code: torch unpickles what the archive declares as pickled, looks operators up by
name, and evaluates sizes that are written as text. So an archive is read only if nothing in it is pickled, every
operator is one of :data:`OPERATORS` and every size is a sum of products of symbols and whole numbers.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.errors import RequestError
from recbole_logq.modules.feature_embedding import FeatureEmbedding

OPERATORS = frozenset(
    """
    _assert_scalar _assert_tensor_metadata _embedding_bag _to_copy add alias any arange bitwise_and bitwise_not bmm
    cat chunk clamp clamp_max clamp_min clone contiguous cos cumsum div dropout embedding embedding_bag eq exp
    expand expand_as flatten full full_like gather ge gelu gt index index_select layer_norm le lift_fresh_copy
    linalg_vector_norm linear log logical_and logical_not lt masked_fill matmul mean mm mul nan_to_num ne neg norm
    ones ones_like permute pow relu repeat reshape rsqrt rsub scalar_tensor scaled_dot_product_attention select sigmoid
    silu sin slice softmax split split_with_sizes sqrt squeeze stack sub sum sym_numel sym_size t tanh to transpose
    type_as unbind unflatten unsqueeze view where zeros zeros_like
    """.split()  # noqa: SIM905
)
"""Names of torch's own (aten) operators that an encoder may be made of; none of them touches anything but tensors."""

_FILE = re.compile(
    r"[^/]+/(data/(weights/(weight_\d+|model_weights_config\.json)|constants/(tensor_\d+|model_constants_config\.json)"
    r"|sample_inputs/model\.pt)|models/model\.json|archive_format|archive_version|byteorder|\.data/\w+)"
)
_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+?)_?(\.\w+)?|_operator\.(?:getitem|add|sub|mul|floordiv|[gl][et]|eq|ne)")
_SYMBOL = r"\bs\d+\b|Symbol\('s\d+'(, (positive|integer|nonnegative)=True)*\)"
_SIZE = re.compile(rf"([-+*, ()]|{_SYMBOL}|\b\d+\b|\bint_oo\b|\b(Mul|Add|Integer)\()*")


class _Queries(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, columns: dict[str, Tensor]) -> Tensor:
        return self.model.queries(columns)


@torch.no_grad()
def export_encoder(model: Any, example: dict[str, Tensor], file: Path) -> None:
    """Write the program that computes ``model.queries``.

    Args:
        model: A model of this package, on the CPU, in evaluation mode.
        example: The columns that it reads, ``[rows, ...]`` with 2 rows or more; any number of rows works afterwards.
        file: Ends in ``.pt2``.
    """
    rows = torch.export.Dim("rows", min=1)
    sizes = ({name: {0: rows} for name in example},)
    program = torch.export.export(_Queries(_with_plain_tables(model)), (example,), dynamic_shapes=sizes, strict=False)
    _leave_out_what_is_not_used(program)
    torch.export.save(program, file)


def _with_plain_tables(model: Any) -> Any:
    """A copy in which ids with features are rows of a table: their vectors are fixed once a model is trained."""
    if not any(isinstance(module, FeatureEmbedding) for module in model.modules()):
        return model
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, FeatureEmbedding):
                setattr(parent, name, nn.Embedding.from_pretrained(child.whole(), padding_idx=0))
    return model


def _leave_out_what_is_not_used(program: Any) -> None:
    """Drop weights that queries do not need (of items, of the sampler), and paths of this machine."""
    signature, graph = program.graph_signature, program.graph_module.graph
    placeholders = {node.target: node for node in graph.nodes if node.op == "placeholder"}
    kept = []
    for spec in signature.input_specs:
        node = placeholders[spec.arg.name]
        if spec.target is not None and not node.users:
            graph.erase_node(node)
            program.state_dict.pop(spec.target, None)
            program.constants.pop(spec.target, None)
        else:
            kept.append(spec)
    signature.input_specs = kept
    for node in graph.nodes:
        node.meta.pop("stack_trace", None)
    program.graph_module.recompile()


class Encoder:
    """Queries from columns.

    Args:
        file: What :func:`export_encoder` wrote.

    Raises:
        RequestError: It holds anything else, is damaged, or was written by a torch that this one does not understand.
    """

    def __init__(self, file: Path) -> None:
        content = file.read_bytes()  # what was checked is what is loaded
        _check(content, file)
        try:
            self._run = torch.export.load(io.BytesIO(content)).module()
        except Exception as error:  # whatever torch's reader makes of another version's file
            raise RequestError(f"{file}: torch {torch.__version__} cannot read it, export again with it") from error

    @torch.no_grad()
    def __call__(self, columns: dict[str, Tensor]) -> Tensor:
        """Queries ``[rows, d]``, prepared by the scorer: their dot products with item vectors are the scores."""
        return self._run(columns)


def _check(content: bytes, file: Path) -> None:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        texts = {name: archive.read(name) for name in archive.namelist()}
        described = [json.loads(text) for name, text in texts.items() if name.endswith(".json")]
        for name, text in texts.items():
            if name.endswith("sample_inputs/model.pt"):
                torch.load(io.BytesIO(text), weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(f"{file} holds more than values and tensors and is not loaded") from error
    except Exception as error:
        raise RequestError(f"{file} is damaged or no encoder: export again") from error
    strange = [name for name in texts if not _FILE.fullmatch(name)]
    strange += [part for one in described for part in _not_allowed(one)]
    if strange:
        raise RequestError(f"{file} holds more than an encoder of this package and is not loaded: {strange[0]}")


def _not_allowed(value: Any) -> Iterator[str]:
    """Whatever in the description of a program this package does not write."""
    if isinstance(value, list):
        for item in value:
            yield from _not_allowed(item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "use_pickle" and item is not False:
            yield "something pickled"
        elif key == "path_name" and not re.fullmatch(r"(weight|tensor)_\d+", str(item)):
            yield f"the file {item}"
        elif key == "nodes":
            for node in item:
                found = _OPERATOR.fullmatch(str(node.get("target")))
                if not found or (found[1] and found[1] not in OPERATORS):
                    yield f"the operator {node.get('target')}"
        elif (key == "expr_str" or (key == "as_expr" and isinstance(item, str))) and not _SIZE.fullmatch(str(item)):
            yield f"the size {item}"
        elif key == "range_constraints" and not all(_SIZE.fullmatch(str(name)) for name in item):
            yield "a size that is no symbol"
        yield from _not_allowed(item)
