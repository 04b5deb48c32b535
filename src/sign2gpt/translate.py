"""One call from a video to its sentence, and to the place where each sign was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sign2gpt.errors import UserError
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.spot import THRESHOLD, SpottedSign, spot_signs
from sign2gpt.text.tokenizer import texts_of, tokens_in

if TYPE_CHECKING:
    from sign2gpt.model.modeling import Sign2GPTForConditionalGeneration
    from sign2gpt.model.precision import Precision
    from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
    from sign2gpt.video.decode import VideoClip
    from sign2gpt.video.processor import Sign2GPTProcessor

PSEUDO_GLOSSES = "pseudo_glosses.json"
"""Name of the vocabulary's file in a model's folder."""
RECIPE = "recipe.yaml"
"""Name of the recipe's."""


@dataclass(frozen=True, eq=False)
class Translation:
    """A clip's sentence and its signs.

    Attributes:
        text: the spoken-language sentence.
        signs: where signs were spotted, in order of time; empty for a model without a
            pseudo-gloss head.
        duration: the clip's length in seconds.
        localisation: E, (T, V), or None for a model without a pseudo-gloss head.
        presence: Ê, (V,), or None.
        damaged: as VideoClip's: seconds at which the video is known to be damaged; what is signed
            there, or soon after, may be read wrongly.
    """

    text: str
    signs: tuple[SpottedSign, ...]
    duration: float
    localisation: np.ndarray | None = field(default=None, repr=False)
    presence: np.ndarray | None = field(default=None, repr=False)
    damaged: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``sign2gpt translate --json`` prints them; times in seconds."""
        signs = [asdict(sign) for sign in self.signs]
        return {
            "text": self.text,
            "duration": round(self.duration, 6),
            "signs": signs,
            "damaged": list(self.damaged),
        }

    def as_text(self, name: str | None = None) -> str:
        """The sentence, then a line a sign, or one that there is none and how near one came."""
        lines = [f"{name}: {self.text}" if name else self.text]
        if self.localisation is not None and not self.signs:
            lines.append(f"  no sign was spotted (E is at most {self.localisation.max():.2f})")
        lines += [
            f"  {s.start:6.2f} - {s.end:5.2f} s  {s.word}  ({s.score:.2f})" for s in self.signs
        ]
        return "\n".join(lines)


class Translator:
    """A trained model with the processor that feeds it.

    On a CPU with glibc what the process frees stays with it from then on, for the next clip, unless
    MALLOC_TRIM_THRESHOLD_ is set as it starts (see `freed_memory`).
    """

    def __init__(
        self,
        model: Sign2GPTForConditionalGeneration,
        processor: Sign2GPTProcessor,
        vocabulary: PseudoGlossVocabulary | None = None,
    ) -> None:
        self.model = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self.processor = processor
        self.vocabulary = vocabulary
        keep_freed_memory(self.model.device)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        vision: str | Path | None = None,
        language: str | Path | None = None,
        precision: Precision | str | None = None,
        sentences: Iterable[str] | None = None,
    ) -> Translator:
        """Load a trained model's folder.

        On a CPU the model is laid out for generation alone: it can neither be trained nor saved
        then, nor brought to another dtype or device.

        Args:
            folder: the model's folder.
            vision: where its frozen vision model lies now, if not where the model says.
            language: the same for the frozen language model.
            precision: of the weights; int8 and nf4 of the language model's blocks alone, the rest
                is bfloat16 then (with int8 on a CPU float32, but for vision where that is faster).
                None = as in training, where the recipe had a language_precision, else as they
                were saved.
            sentences: the model may use only tokens that these hold, such as those of the train
                split: with a large vocabulary that is faster, but it can say nothing else.

        Raises:
            UserError: no such folder, or a part of the model is missing or damaged; no such
                precision, or one that needs a library which is not installed; sentences without a
                word that the model can say.
        """
        from sign2gpt.model.hub import is_name
        from sign2gpt.model.modeling import Sign2GPTForConditionalGeneration
        from sign2gpt.model.precision import Precision
        from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
        from sign2gpt.video.processor import Sign2GPTProcessor

        if isinstance(precision, str):
            names = [kind.value for kind in Precision]
            if precision not in names:
                raise UserError(f"There is no precision {precision}; give {', '.join(names)}.")
            precision = Precision(precision)
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            mend = "`sign2gpt demo` trains one, or name another folder with --model"
            if not folder.exists() and is_name(str(folder)):
                mend += f"; `hf download {folder} --local-dir FOLDER` fetches one of the Hub"
            raise UserError(f"There is no trained model in {folder}; {mend}.")
        model = Sign2GPTForConditionalGeneration.from_pretrained(
            folder, vision=vision, language=language
        )
        noted = model.frozen_sources.get("language", {}).get("precision")
        if precision is None and noted is not None:
            precision = Precision(noted)
        processor = Sign2GPTProcessor.from_pretrained(folder)
        kept = None
        if sentences is not None:
            search = model.generation_config
            kept = tokens_in(processor.tokenizer, sentences) | {search.decoder_start_token_id}
            ends = search.eos_token_id
            kept.update(ends if isinstance(ends, list) else [ends])
        make_ready(model, precision, kept)
        vocabulary = None
        if model.config.num_pseudo_glosses:
            vocabulary = PseudoGlossVocabulary.load(folder / PSEUDO_GLOSSES)
        return cls(model, processor, vocabulary)

    def translate(
        self,
        clip: str | Path,
        num_beams: int = 4,
        threshold: float = THRESHOLD,
        source_fps: float | None = None,
    ) -> Translation:
        """Translate a video file, a GIF or a folder of frames.

        Args:
            clip: the file; any frame rate, size and aspect.
            num_beams: width of the beam search.
            threshold: a sign is spotted where E, from 0 to 1, is above it.
            source_fps: rate of a folder of frames (25 where not given); files know their own.

        Raises:
            UserError: the file is missing or cannot be read as a video, or a number out of range.
        """
        video = self.processor.read(clip, source_fps=source_fps)
        return self.translate_batch([video], num_beams, threshold)[0]

    @torch.inference_mode()
    def translate_batch(
        self, videos: Sequence[VideoClip], num_beams: int = 4, threshold: float = THRESHOLD
    ) -> list[Translation]:
        """Translate clips that have been read, all at once; each as if it were alone, but for
        what fewer bits than 16 round otherwise.

        Raises:
            UserError: a number out of range; what the model makes of a clip is not numbers.
        """
        if num_beams < 1 or not 0 <= threshold <= 1:
            raise UserError(
                f"num_beams is {num_beams} and threshold {threshold}; give 1 or more beams, and a "
                "threshold from 0 to 1."
            )
        inputs = self.processor(videos=list(videos)).to(self.model.device)
        encoded = self.model.encode(**inputs)
        if not encoded[0].isfinite().all():
            raise UserError(
                "The model makes no numbers of the clip: its training diverged, or its weights or "
                "image_mean and image_std in its config.json are damaged; use another model."
            )
        tokens = self.model.generate(encoder_outputs=encoded, num_beams=num_beams)
        full_width = self.model.config.full_width_punctuation
        texts = texts_of(self.processor.tokenizer, tokens.cpu(), full_width)
        if self.vocabulary is None:
            return [
                Translation(text, (), video.duration, damaged=video.damaged)
                for text, video in zip(texts, videos, strict=True)
            ]
        located = self.model.localise(encoder_outputs=encoded)
        localisation = located.localisation.float().cpu().numpy()
        presence = located.presence.float().cpu().numpy()
        translations = []
        for index, (text, video) in enumerate(zip(texts, videos, strict=True)):
            own = localisation[index, : int(located.sign_mask[index].sum())]
            step = self.seconds_per_token * len(video.frames) / int(inputs["num_frames"][index])
            signs = spot_signs(own, self.vocabulary.words, step, video.duration, threshold)
            translations.append(
                Translation(text, tuple(signs), video.duration, own, presence[index], video.damaged)
            )
        return translations

    @property
    def seconds_per_token(self) -> float:
        """Time from one sign token to the next, for a clip that is not longer than the cap."""
        frames = 2 if self.model.config.downsample_after is not None else 1
        return frames / self.processor.video_processor.fps


def make_ready(
    model: Sign2GPTForConditionalGeneration,
    precision: Precision | None,
    kept_tokens: Iterable[int] | None,
) -> None:
    """Bring a model's weights into a precision, in the form its device translates fastest with.

    It cannot be trained afterwards; on a CPU neither saved, nor brought to another dtype or device.

    Args:
        precision: None = as the model is.
        kept_tokens: ids of the only tokens to be said; None = all.
    """
    from sign2gpt.model.cpu_generation import lay_out, wide_dtype
    from sign2gpt.model.cpu_products import Int8Linear
    from sign2gpt.model.kept_tokens import keep_tokens, plain_linear
    from sign2gpt.model.precision import Precision
    from sign2gpt.model.quantise import hold_language_model

    model.requires_grad_(False)
    in_8_bits = precision is Precision.int8
    bitsandbytes_only = precision is Precision.nf4 or (in_8_bits and not Int8Linear.possible())
    if torch.cuda.is_available() or bitsandbytes_only:
        if precision is not None:
            model.to(precision.dtype)
            hold_language_model(model, precision)
        if kept_tokens is not None:
            keep_tokens(model.decoder, kept_tokens, plain_linear)
    else:
        if precision is None:
            in_16_bits = model.dtype == torch.bfloat16
            precision = Precision.bfloat16 if in_16_bits else Precision.float32
        model.to(wide_dtype(precision))
        lay_out(model.decoder, precision, kept_tokens)
    if not torch.cuda.is_available():
        model.spatial_model.reader.keep_ready()
