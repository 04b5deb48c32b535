"""Where a frozen model's configuration, weights and tokenizer come from.

A source is a name, told apart by what is there:
    a folder, or a name on the Hub      transformers' layout, safetensors
    `sign2gpt/NAME`                     a small model that comes with the package
    FILE.gguf                           a language model of llama.cpp, dequantised
    FILE.pth                            DINOv2 as its authors publish it
    `package:NAME/FILE`                 such a file inside an installed package
"""

import contextlib
import importlib.util
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.image_processing_auto import get_image_processor_config

from sign2gpt.errors import UserError, one_line
from sign2gpt.model.backbone import class_options
from sign2gpt.model.configuration import vision_tower
from sign2gpt.model.dinov2_authors import read_dinov2
from sign2gpt.model.hub import TOKENIZERS, cached, download, fetch, is_name, weight_files
from sign2gpt.model.published import PUBLISHED_NAMES, published_config

SHIPPED = Path(__file__).resolve().parent.parent / "priors"
"""Small frozen models that come with the package: ``sign2gpt/pose-vit`` and so on."""

# RGB mean and deviation where a source does not say; of all others ImageNet's, the default.
_COLOURS = {
    "siglip_vision_model": ([0.5] * 3, [0.5] * 3),
    "clip_vision_model": (
        [0.48145466, 0.4578275, 0.40821073],
        [0.26862954, 0.26130258, 0.27577711],
    ),
}
_FAULTS = ("missing_keys", "unexpected_keys", "mismatched_keys")
# What transformers and gguf raise where a source cannot be read.
_UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, ImportError,
    NotImplementedError, SafetensorError, pickle.UnpicklingError,
)  # fmt: skip


def locate(name: str) -> str:
    """Where a source lies: of `sign2gpt/NAME` the folder, of `package:NAME/FILE` the file, any
    other as it is.

    Raises:
        UserError: no such package, or no such file in it.
    """
    if name.startswith("package:"):
        package, _, file = name.removeprefix("package:").partition("/")
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        if spec is None:
            raise UserError(
                f"The model {name} lies in the package {package!r}, which is not installed; "
                "install it with pip, or name another model."
            )
        for folder in spec.submodule_search_locations or ():
            if file and (Path(folder) / file).exists():
                return str(Path(folder) / file)
        raise UserError(f"The package {package} holds no {file!r}; correct the model name {name}.")
    folder = SHIPPED / name.removeprefix("sign2gpt/")
    return str(folder) if name.startswith("sign2gpt/") and folder.is_dir() else name


def frozen_config(name: str | Path) -> PreTrainedConfig:
    """The configuration of a frozen model: from its file or folder, else as published, else of
    the Hub.

    Raises:
        UserError: when none of them knows it.
    """
    name = locate(str(name))
    if name.endswith(".pth"):
        return read_dinov2(name)[0]
    if not Path(name).is_dir() and name in PUBLISHED_NAMES:
        return published_config(name)
    try:
        return AutoConfig.from_pretrained(**_named(name))
    except _UNREADABLE as error:
        if name.endswith(".gguf"):
            raise UserError(f"The file {name} cannot be read ({one_line(error)}).") from error
        raise UserError(
            f"The model {name} is neither a folder with a config.json nor known to the Hub's "
            "cache; check the name, or download it first with `hf download`."
        ) from error


def load_weights(name: str | Path, auto_class: type) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A frozen model's weights by transformers' names, on the CPU and in the dtype on disk.

    Args:
        name: the source.
        auto_class: AutoModel for a vision model, AutoModelForCausalLM for a language model.

    Returns:
        The weights, and which were missing, left over or of another shape, as in transformers'
        loading info. What belongs to another task (a classifier, a pooler behind the class token,
        the text half of CLIP) is not left over.

    Raises:
        UserError: the source cannot be read.
    """
    name = locate(str(name))
    if name.endswith(".pth"):
        if auto_class is not AutoModel:
            raise UserError(f"The file {name} is no language model; give a folder or .gguf file.")
        return read_dinov2(name)[1], {key: set() for key in _FAULTS}
    if not Path(name).exists() and not name.endswith(".gguf"):
        name = str(fetch(name))
    files = weight_files(Path(name))
    # Of a pickle only tensors are read: transformers calls torch.load with weights_only.
    options: dict[str, Any] = {"use_safetensors": not any(f.suffix == ".bin" for f in files)}
    others: tuple[str, ...] = ("classifier", "model.embed_positions.weights")  # XGLM's sinusoids
    try:
        config = AutoConfig.from_pretrained(**_named(name))
        if auto_class is AutoModel:
            tower = vision_tower(config)
            if tower is not config:
                others += ("text_model.", "text_projection", "visual_projection", "logit_")
            options |= class_options(tower)[0]
            others += ("pooler.",) if options.get("add_pooling_layer") is False else ()
            config = tower
        elif name.endswith(".gguf"):
            options = {"dtype": torch.float32}
        # Dequantising draws a bar past transformers' own switch.
        hidden = io.StringIO() if name.endswith(".gguf") else sys.stderr
        with contextlib.redirect_stderr(hidden):
            part, info = auto_class.from_pretrained(
                **_named(name), config=config, output_loading_info=True, **options
            )
    except _UNREADABLE as error:
        raise UserError(
            f"The pretrained model {name} cannot be loaded; give a folder or hub name with "
            f"safetensors weights, a .gguf or a .pth file ({one_line(error)})."
        ) from error
    left = {key for key in info["unexpected_keys"] if not key.startswith(others)}
    if name.endswith(".gguf"):
        left |= _left_over(name, part)
    return part.state_dict(), {**info, "unexpected_keys": left}


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerBase:
    """A language model's tokenizer, with an end token, and padding by it where it has none.

    Raises:
        UserError: there is none, or it has no end token.
    """
    source = locate(str(name))
    if not Path(source).exists() and is_name(source):
        place = cached(source)
        has_tokenizer = place is not None and any(any(place.glob(file)) for file in TOKENIZERS)
        source = str(place if has_tokenizer else download(source))
    source = _named(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
    except Exception as error:  # tokenizers raises nothing narrower
        raise UserError(
            f"The tokenizer of {name} cannot be loaded; give a language model with its tokenizer "
            f"({one_line(error)})."
        ) from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"The tokenizer of {name} has no end token; set eos_token in its folder.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def special_tokens(tokenizer: PreTrainedTokenizerBase, text: PreTrainedConfig) -> dict[str, Any]:
    """Sign2GPTConfig's token ids where the tokenizer knows better than the language model's
    configuration: generation must stop at the token that labels end with."""
    tokens = {key: getattr(tokenizer, key) for key in ("bos_token_id", "pad_token_id")}
    ends = getattr(text, "eos_token_id", None)
    if tokenizer.eos_token_id not in (ends if isinstance(ends, list) else [ends]):
        tokens["eos_token_id"] = tokenizer.eos_token_id
    return {key: token for key, token in tokens.items() if token is not None}


def image_colours(name: str | Path) -> dict[str, list[float]]:
    """`image_mean` and `image_std` that a vision model was taught with, where its source says so
    (`preprocessor_config.json`) or its kind has its own; else nothing: ImageNet's hold."""
    name = locate(str(name))
    if name.endswith(".pth") or (not Path(name).is_dir() and name in PUBLISHED_NAMES):
        return {}
    said = get_image_processor_config(name)
    if said.get("image_mean") and said.get("image_std") and said.get("do_normalize", True):
        return {key: list(said[key]) for key in ("image_mean", "image_std")}
    tower = vision_tower(frozen_config(name))
    own = _COLOURS.get(tower.model_type)
    return {} if own is None else dict(zip(("image_mean", "image_std"), own, strict=True))


def _named(name: str) -> dict[str, str]:
    """A source as transformers' `from_pretrained` takes it."""
    if not name.endswith(".gguf"):
        return {"pretrained_model_name_or_path": name}
    path = Path(name)
    if not path.is_file():
        raise UserError(f"There is no file {name}; correct the language model's path.")
    if importlib.util.find_spec("gguf") is None:
        raise UserError(f"To read {name}, install sign2gpt's extra: pip install 'sign2gpt[gguf]'.")
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}


def _left_over(path: str, part: torch.nn.Module) -> set[str]:
    """Tensors of a GGUF file that are no weight of the model; transformers passes them over."""
    from gguf import MODEL_ARCH_NAMES, GGUFReader, get_tensor_name_map

    with open(path, "rb") as file:  # magic and version, then the number of tensors
        count = int.from_bytes(file.read(16)[8:], "little")
    own = [name for name in part.state_dict() if name not in part.all_tied_weights_keys]
    if count <= len(own):  # the whole file is read only where something is left over
        return set()
    reader = GGUFReader(path)
    kind = reader.fields["general.architecture"].contents()
    architecture = next(key for key, value in MODEL_ARCH_NAMES.items() if value == kind)
    names = get_tensor_name_map(architecture, part.config.num_hidden_layers)
    known = set()
    for name in own:
        stem, _, suffix = name.rpartition(".")
        known.add(f"{names.get_name(stem)}.{suffix}")
    return {tensor.name for tensor in reader.tensors} - known
