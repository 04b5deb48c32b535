"""What both stages share: the trainer, its checkpoints, and the finished folder."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sign2gpt.errors import UserError
from sign2gpt.files import new_folder
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.progress import Advance
from sign2gpt.train.build import require_same_frozen_models
from sign2gpt.train.inputs import Datasets
from sign2gpt.train.recipe import Recipe, wrong_values
from sign2gpt.train.recipe_file import load_recipe, save_recipe
from sign2gpt.translate import RECIPE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Seq2SeqTrainingArguments

    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel

_ONLY_SPEED = ("dataloader_num_workers", "dataloader_prefetch_factor", "logging_steps")


def finished(recipe: Recipe) -> bool:
    """Whether this very run has been finished before.

    Raises:
        UserError: the output folder holds a run of another recipe.
    """
    output = Path(recipe.output)
    done = (output / "model.safetensors").is_file()
    begun = done or any((output / "checkpoints").glob("checkpoint-*"))
    if begun:
        try:
            before = load_recipe(output / RECIPE)
        except UserError as error:
            raise UserError(
                f"The folder {output} holds a run whose {RECIPE} cannot be read ({error}); remove "
                "that folder, or give this run another `output`."
            ) from error
        if _settings(before) != _settings(recipe):
            raise UserError(
                f"The folder {output} holds a run of another recipe; give this one another "
                "`output`, or remove that folder."
            )
    return done


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What makes two recipes the same run, however their folders are written."""
    settings = asdict(recipe)
    for key in _ONLY_SPEED:
        settings["training"].pop(key, None)
    for key in ("store", "output", "start_from", "features"):
        if settings[key] and not str(settings[key]).startswith("hf://"):
            settings[key] = str(Path(settings[key]).resolve())
    return settings


def training_arguments(
    recipe: Recipe, metric: str, label_names: list[str]
) -> Seq2SeqTrainingArguments:
    """The recipe's section ``training`` as typed arguments, with what every stage needs.

    Raises:
        UserError: a value that transformers does not take.
    """
    from transformers import Seq2SeqTrainingArguments, Trainer, get_scheduler
    from transformers.integrations import get_reporting_integration_callbacks

    gpu = torch.cuda.is_available()
    fixed: dict[str, Any] = {
        "output_dir": str(Path(recipe.output) / "checkpoints"),
        "label_names": label_names,
        "remove_unused_columns": False,
        "load_best_model_at_end": True,
        "metric_for_best_model": metric,
        "greater_is_better": True,
        "predict_with_generate": metric == "bleu4",
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "report_to": "tensorboard" if find_spec("tensorboard") else "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": gpu,
        "use_cpu": not gpu,  # else transformers takes bf16 for a wish for a GPU
    }
    with wrong_values("training"):
        arguments = Seq2SeqTrainingArguments(**(fixed | recipe.training))
        arguments.get_process_log_level()
        optimizer_class, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
        optimizer = optimizer_class([torch.zeros(1, requires_grad=True)], **settings)
        for callback in get_reporting_integration_callbacks(arguments.report_to):
            callback()
    with wrong_values("training.lr_scheduler_kwargs"):  # tried, as each schedule has its own
        get_scheduler(
            arguments.lr_scheduler_type,
            optimizer,
            num_warmup_steps=1,
            num_training_steps=2,
            scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
        )
    # Several GPUs would be a DataParallel, which cannot share out frames packed end to end.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def train_stage(
    recipe: Recipe,
    model: Sign2GPTPreTrainedModel,
    datasets: Datasets,
    *,
    compute_metrics: Callable[[Any], dict[str, float]],
    metric: str,
    label_names: list[str],
    save_beside: Callable[[Path], Any],
    tokenizer: PreTrainedTokenizerBase | None = None,
    progress: Advance | None = None,
) -> None:
    """Train, keep the best epoch, and write the finished model's folder."""
    from transformers import PrinterCallback

    from sign2gpt.train.trainer import (
        KeepInBounds,
        ReportProgress,
        StageTrainer,
        StopWhereDiverged,
    )

    output = Path(recipe.output)
    checkpoints = output / "checkpoints"
    with new_folder(checkpoints):
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(output / "log")
        callbacks: list[Any] = [KeepInBounds(), StopWhereDiverged(output)]
        if progress is not None:
            callbacks.append(ReportProgress(progress))
        trainer = StageTrainer(
            model=model,
            args=training_arguments(recipe, metric, label_names),
            train_dataset=datasets.train,
            eval_dataset=datasets.dev,
            data_collator=datasets.collator,
            processing_class=tokenizer,
            compute_metrics=compute_metrics,
            preprocess_logits_for_metrics=_first,
            callbacks=callbacks,
            rate_multipliers=recipe.rate_multipliers,
        )
        trainer.remove_callback(PrinterCallback)  # the progress bar and the log say it
        # A tied weight is saved once and a frozen source's not at all; the trainer warns of them
        # as missing when it returns to an epoch unless it is told.
        unsaved = {*model.all_tied_weights_keys, *model.source_keys()}
        model._keys_to_ignore_on_save = sorted(unsaved & set(model.state_dict()))
        last = _last_whole_checkpoint(checkpoints)
        if last is not None:
            require_same_frozen_models(Path(last), model)
        save_recipe(recipe, output / RECIPE)
        keep_freed_memory(trainer.args.device)
        try:
            trainer.train(resume_from_checkpoint=last)
        except BaseException:
            if last is None and trainer.state.global_step == 0:  # nothing has been learnt
                (output / RECIPE).unlink()
                shutil.rmtree(output / "log", ignore_errors=True)
            raise
    trainer.state.save_to_json(str(output / "trainer_state.json"))
    _finish(output, model, save_beside)
    shutil.rmtree(checkpoints)


def _last_whole_checkpoint(checkpoints: Path) -> str | None:
    """The one to go on from, if any; those that broke off while they were written go.

    Raises:
        UserError: it is damaged.
    """
    from transformers.trainer_utils import get_last_checkpoint

    for folder in checkpoints.glob("checkpoint-*"):
        if not (folder / "trainer_state.json").is_file():
            shutil.rmtree(folder)
    last = get_last_checkpoint(str(checkpoints))
    if last is not None:
        _require_undamaged(Path(last))
    return last


def _require_undamaged(checkpoint: Path) -> None:
    """A part that is missing would begin anew unnoticed, a damaged one end in a traceback.

    Raises:
        UserError: such a part.
    """
    from safetensors import SafetensorError, safe_open

    parts = {path.name for path in checkpoint.glob("*.pt*")}  # scaler.pt, where there is one
    parts |= {"model.safetensors", "trainer_state.json"}
    parts |= {"optimizer.pt", "scheduler.pt", "rng_state.pth"}
    for name in sorted(parts):
        path = checkpoint / name
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "pt"):
                    whole = True
            elif path.suffix == ".json":
                whole = bool(json.loads(path.read_bytes()))
            else:  # as torch saves, a zip file
                with zipfile.ZipFile(path) as archive:
                    whole = archive.testzip() is None
        except (OSError, ValueError, SafetensorError, zipfile.BadZipFile):
            whole = False
        if not whole:
            raise UserError(
                f"The checkpoint {checkpoint} is damaged ({name}), so the training cannot go on "
                "from it; remove it, and the training begins again."
            )


def _first(outputs: Any, labels: Any) -> Any:
    """The model's first output (Ê, or generated tokens) is all that a score needs."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _finish(
    output: Path, model: Sign2GPTPreTrainedModel, save_beside: Callable[[Path], Any]
) -> None:
    """Write the model, its weights last: a folder that has weights is a finished one."""
    staging = output / ".unfinished"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    save_beside(staging)
    model.save_pretrained(staging)
    for path in sorted(staging.iterdir(), key=lambda path: path.suffix == ".safetensors"):
        path.replace(output / path.name)
    staging.rmdir()
