"""What both stages share: the trainer, its checkpoints, and the finished folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sign2gpt.errors import UserError
from sign2gpt.progress import Advance
from sign2gpt.train.inputs import Datasets
from sign2gpt.train.recipe import Recipe, load_recipe, save_recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Seq2SeqTrainingArguments

RECIPE = "recipe.yaml"


def finished(recipe: Recipe) -> bool:
    """Whether this very run has been finished before.

    Raises:
        UserError: the output folder holds a run of another recipe.
    """
    beside = Path(recipe.output) / RECIPE
    if not beside.is_file():
        return False
    if asdict(load_recipe(beside)) != asdict(recipe):
        raise UserError(
            f"The folder {recipe.output} holds a run of another recipe; give this one another "
            "`output`, or remove that folder."
        )
    return (Path(recipe.output) / "model.safetensors").is_file()


def training_arguments(
    recipe: Recipe, metric: str, label_names: list[str]
) -> Seq2SeqTrainingArguments:
    """The recipe's section ``training`` as typed arguments, with what every stage needs.

    Raises:
        UserError: a value that transformers does not take.
    """
    from transformers import Seq2SeqTrainingArguments

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
        "report_to": "tensorboard",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    try:
        return Seq2SeqTrainingArguments(**(fixed | recipe.training))
    except (TypeError, ValueError) as error:
        raise UserError(f"The recipe's section `training` cannot be used: {error}") from error


def train_stage(
    recipe: Recipe,
    model: PreTrainedModel,
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
    from transformers.trainer_utils import get_last_checkpoint
    from transformers.utils import logging

    from sign2gpt.train.trainer import ClipByValue, KeepInBounds, ReportProgress, StageTrainer

    output = Path(recipe.output)
    checkpoints = output / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, output / RECIPE)
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(output / "log")
    callbacks: list[Any] = [KeepInBounds()]
    if recipe.clip_grad_value is not None:
        callbacks.append(ClipByValue(recipe.clip_grad_value))
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
    logging.disable_progress_bar()
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)))
    trainer.state.save_to_json(str(output / "trainer_state.json"))
    _finish(output, model, save_beside)
    shutil.rmtree(checkpoints)


def _first(outputs: Any, labels: Any) -> Any:
    """The model's first output (Ê, or generated tokens) is all that a score needs."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _finish(output: Path, model: PreTrainedModel, save_beside: Callable[[Path], Any]) -> None:
    """Write the model whole, its weights last: a folder that has weights is a finished one."""
    staging = output / ".unfinished"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    save_beside(staging)
    model.save_pretrained(staging)
    for path in sorted(staging.iterdir(), key=lambda path: path.suffix == ".safetensors"):
        path.replace(output / path.name)
    staging.rmdir()
