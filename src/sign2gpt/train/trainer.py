"""transformers' trainer with the two things Sign2GPT asks of an optimiser step.

Rates by part of a parameter's name, and parameters that live in an interval (gates, temperatures)
put back into it after each step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import Seq2SeqTrainer, TrainerCallback

from sign2gpt.data.streaming import StreamedClips
from sign2gpt.errors import UserError
from sign2gpt.progress import Advance


class StageTrainer(Seq2SeqTrainer):
    """``Seq2SeqTrainer`` with a learning rate a parameter group (reference: section 5).

    Args:
        rate_multipliers: factor on the learning rate for every parameter whose name contains the
            key, e.g. ``{"gate": 10}``; the first key that matches counts.
    """

    def __init__(
        self, *args: Any, rate_multipliers: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rate_multipliers = rate_multipliers or {}

    def get_train_dataloader(self) -> DataLoader[Any]:
        """As transformers', but that clips which stream bring processes of their own.

        Raises:
            UserError: there is no batch in it.
        """
        if not isinstance(self.train_dataset, StreamedClips):
            batches = super().get_train_dataloader()
            if len(batches) == 0:
                raise UserError(
                    f"No batch of {self.args.train_batch_size} clips can be made of train, as "
                    "training.dataloader_drop_last leaves out the last, shorter one; set that to "
                    "false."
                )
            return batches
        loader = DataLoader(
            self.train_dataset,
            batch_size=self._train_batch_size,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Told that it is alone, accelerate leaves the clips as they have been shared out.
        return prepare_data_loader(loader, num_processes=1, process_index=0)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over the trainable parameters; no decay on biases, norms, gates, temperatures."""
        if self.optimizer is not None:
            return self.optimizer
        groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                rate = next((m for key, m in self.rate_multipliers.items() if key in name), 1.0)
                groups.setdefault((parameter.ndim >= 2, rate), []).append(parameter)
        optimizer_class, kwargs = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = optimizer_class(
            [
                {
                    "params": parameters,
                    "weight_decay": self.args.weight_decay if decays else 0.0,
                    "lr": self.args.learning_rate * rate,
                }
                for (decays, rate), parameters in groups.items()
            ],
            **kwargs,
        )
        return self.optimizer


class KeepInBounds(TrainerCallback):
    """Puts gates and temperatures back into their intervals after each optimiser step.

    Outside its clamp a parameter gets no gradient, or runs far away under a straight-through one;
    projecting it keeps it where it can turn round at once.
    """

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        model.project_parameters_()


class StopWhereDiverged(TrainerCallback):
    """Ends a training whose weights are no numbers any more, before the epoch is scored."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def on_epoch_end(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        learnt = [weight for weight in model.parameters() if weight.requires_grad]
        if not all(bool(values.isfinite().all()) for values in (*learnt, *model.buffers())):
            raise UserError(
                f"The training in {self.output} diverged: weights are no numbers any more. Lower "
                "training.learning_rate, and train into another folder."
            )


class ReportProgress(TrainerCallback):
    """Moves a progress bar by optimiser steps."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.advance(state.global_step, state.max_steps, "steps")
