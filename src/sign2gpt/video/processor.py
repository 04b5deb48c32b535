"""Any video -> the pixels the model takes, with the settings saved beside the model.

Shapes: B clips, T frames of one clip, N frames of all clips, packed end to end; h = image_size.

`SignVideoProcessor` is a transformers feature extractor: the library's own video processors need
torchvision, and its feature extractors save and load the same way without it.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer
from transformers.feature_extraction_utils import BatchFeature, FeatureExtractionMixin
from transformers.processing_utils import ProcessorMixin

from sign2gpt.errors import UserError, one_line
from sign2gpt.video.decode import VideoClip, read_clip
from sign2gpt.video.sample import evenly, frame_count, nearest
from sign2gpt.video.source import ClipBytes

Video = str | Path | ClipBytes | VideoClip | np.ndarray
Fit = Literal["pad", "stretch", "crop"]

_RESIZED_AT_ONCE = 64  # frames


class SignVideoProcessor(FeatureExtractionMixin):
    """Samples, fits and crops videos as at evaluation: the same pixels every time.

    A video is sampled at `fps`, fitted into a square of `store_size`, and the centre `crop_size`
    of it is returned at `image_size`, in one resampling. Pixels stay uint8: the model normalises.

    Args:
        fps: sampled frames a second (paper: every second frame of 25).
        store_size: pixels of the square a video is fitted into, before the crop.
        crop_size: pixels of the square cut from the middle.
        image_size: pixels of the returned square; crop_size where not given.
        fit: "pad" keeps the shape and adds black, "stretch" fills the square (the paper),
            "crop" keeps the shape and cuts off what does not fit.
        max_frames: cap on sampled frames, kept evenly spread; None for no cap.
        do_normalize: return float32 pixels, already normalised, in place of uint8.
        image_mean, image_std: of RGB between 0 and 1 (ImageNet's).

    Raises:
        UserError: a setting out of range.
    """

    model_input_names = ["pixel_values", "num_frames"]  # noqa: RUF012 - transformers' own shape

    def __init__(
        self,
        fps: float = 12.5,
        store_size: int = 256,
        crop_size: int = 224,
        image_size: int | None = None,
        fit: Fit = "pad",
        max_frames: int | None = 256,
        do_normalize: bool = False,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not fps > 0:
            raise UserError(f"processor.fps is {fps}; give frames a second, above 0.")
        if not 0 < crop_size <= store_size:
            raise UserError(
                f"processor.crop_size is {crop_size}; give 1 to store_size ({store_size})."
            )
        if image_size is not None and image_size < 1:
            raise UserError(f"processor.image_size is {image_size}; give at least 1.")
        if fit not in ("pad", "stretch", "crop"):
            raise UserError(f"processor.fit is {fit!r}; give pad, stretch or crop.")
        if max_frames is not None and max_frames < 1:
            raise UserError(f"processor.max_frames is {max_frames}; give at least 1, or null.")
        if len(image_mean) != 3 or len(image_std) != 3 or min(image_std) <= 0:
            raise UserError(
                "processor.image_mean and image_std must be three numbers, std above 0."
            )
        self.fps = float(fps)
        self.store_size = store_size
        self.crop_size = crop_size
        self.image_size = image_size or crop_size
        self.fit = fit
        self.max_frames = max_frames
        self.do_normalize = do_normalize
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    @classmethod
    def setting_names(cls) -> list[str]:
        """The names of all settings."""
        return [name for name in inspect.signature(cls).parameters if name != "kwargs"]

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the rest of its arguments go by name
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> Self:
        """Load the settings from a model's folder (or hub name); UserError where it has none."""
        _check_folder(pretrained_model_name_or_path)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @property
    def fitted_size(self) -> int:
        """Pixels of the square that `read` returns: the store's, at the scale of image_size."""
        return max(self.image_size, round(self.store_size * self.image_size / self.crop_size))

    def read(
        self, video: Video, max_frames: int | None = None, source_fps: float | None = None
    ) -> VideoClip:
        """Sample a video at `fps` and fit it into a square: what augmentation starts from.

        Args:
            video: a path (file or folder of frames), a video file's content, a VideoClip at any
                rate and size, or an array (T, H, W, 3) uint8 of frames at `fps`.
            max_frames: a cap on the frames, kept evenly spread.
            source_fps: rate of a folder of frames (25 where not given).

        Returns:
            Clip with frames (T, S, S, 3) uint8, S = `fitted_size`.

        Raises:
            UserError: the video cannot be read.
        """
        if isinstance(video, str | Path | ClipBytes):
            clip = read_clip(
                video, self.fps, max_frames, size=self._scaled_size, source_fps=source_fps
            )
        else:
            clip = video if isinstance(video, VideoClip) else self._from_array(video)
            clip = self._sampled(clip, max_frames)
            clip = _with_frames(clip, _resized(clip.frames, self._scaled_size))
        return _with_frames(clip, _squared(clip.frames, self.fitted_size))

    def crop(self, frames: np.ndarray | Tensor) -> Tensor:
        """(T, S, S, 3) uint8 as `read` returns -> (T, 3, h, h) uint8, the middle of each frame."""
        start = (frames.shape[1] - self.image_size) // 2
        middle = slice(start, start + self.image_size)
        return torch.as_tensor(frames)[:, middle, middle].permute(0, 3, 1, 2).contiguous()

    def __call__(self, videos: Video | Sequence[Video], **kwargs: Any) -> BatchFeature:
        """Videos -> {"pixel_values": (N, 3, h, h) uint8, "num_frames": (B,) int64}.

        N is the sum of num_frames. Float32 pixels where `do_normalize` is set (or given here).
        Raises UserError where a video cannot be read.
        """
        if isinstance(videos, str | Path | ClipBytes | VideoClip | np.ndarray):
            videos = [videos]
        clips = [self.crop(self.read(video, self.max_frames).frames) for video in videos]
        if not clips:
            raise UserError("There is no video; give at least one.")
        pixel_values = torch.cat(clips)
        if kwargs.get("do_normalize", self.do_normalize):
            mean, std = (
                torch.tensor(values)[:, None, None] for values in (self.image_mean, self.image_std)
            )
            pixel_values = (pixel_values / 255 - mean) / std
        num_frames = torch.tensor([len(clip) for clip in clips])
        return BatchFeature({"pixel_values": pixel_values, "num_frames": num_frames})

    def _scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """A picture's size when fitted, before black is added or the overhang cut off."""
        side = self.fitted_size
        if self.fit == "stretch":
            return side, side
        scale = side / (max if self.fit == "pad" else min)(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _from_array(self, frames: np.ndarray) -> VideoClip:
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
            raise UserError(
                f"The video array is {frames.dtype} of shape {frames.shape}; "
                f"give uint8 frames of shape (frames, height, width, 3)."
            )
        times = np.arange(len(frames)) / self.fps
        return VideoClip(frames, self.fps, times, len(frames) / self.fps)

    def _sampled(self, clip: VideoClip, max_frames: int | None) -> VideoClip:
        chosen = np.arange(len(clip.frames))
        if not np.isclose(clip.fps, self.fps, rtol=1e-3):
            targets = np.arange(frame_count(clip.duration, self.fps)) / self.fps
            chosen = nearest(clip.times, targets)
        rate = self.fps
        if max_frames is not None:
            kept = evenly(len(chosen), max_frames)
            rate *= len(kept) / len(chosen)
            chosen = chosen[kept]
        return replace(clip, frames=clip.frames[chosen], fps=rate, times=clip.times[chosen])


class Sign2GPTProcessor(ProcessorMixin):
    """A model's video processor and tokenizer, saved and loaded as one with the model.

    Args:
        feature_extractor: the SignVideoProcessor (so named as transformers loads it by this name).
        tokenizer: the language model's.
    """

    def __init__(self, feature_extractor: SignVideoProcessor, tokenizer: Any) -> None:
        super().__init__(feature_extractor, tokenizer)

    @property
    def video_processor(self) -> SignVideoProcessor:
        return self.feature_extractor

    def __call__(self, videos: Video | Sequence[Video], **kwargs: Any) -> BatchFeature:
        """As SignVideoProcessor."""
        return self.video_processor(videos, **kwargs)

    def read(
        self, video: Video, max_frames: int | None = None, source_fps: float | None = None
    ) -> VideoClip:
        """As SignVideoProcessor.read."""
        return self.video_processor.read(video, max_frames, source_fps)

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the rest of its arguments go by name
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> Self:
        """Load both from a model's folder (or hub name); UserError where it has none."""
        _check_folder(pretrained_model_name_or_path)
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except UserError:
            raise
        except Exception as error:  # the tokenizers library raises nothing narrower
            raise UserError(
                f"The processor or the tokenizer in {pretrained_model_name_or_path} cannot be "
                f"loaded; copy or train that model again ({one_line(error)})."
            ) from error

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: Any = None, **kwargs: Any
    ) -> list[Any]:
        # By class, not by the Auto mappings: those would need the model's configuration here.
        return [
            SignVideoProcessor.from_pretrained(pretrained_model_name_or_path, **kwargs),
            AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **kwargs),
        ]


def _check_folder(folder: str | Path) -> None:
    names = ("processor_config.json", "preprocessor_config.json")
    if Path(folder).is_dir() and not any((Path(folder) / name).is_file() for name in names):
        raise UserError(
            f"The model folder {folder} has no processor_config.json; save the processor with it."
        )


def _with_frames(clip: VideoClip, frames: np.ndarray) -> VideoClip:
    return replace(clip, frames=frames)


def _resized(frames: np.ndarray, size: Callable[[int, int], tuple[int, int]]) -> np.ndarray:
    """(T, H, W, 3) uint8 -> the same at the wanted size, antialiased."""
    wanted = size(*frames.shape[1:3])
    if wanted == frames.shape[1:3]:
        return frames
    resized = np.empty((len(frames), *wanted, 3), dtype=np.uint8)
    for start in range(0, len(frames), _RESIZED_AT_ONCE):
        part = torch.from_numpy(frames[start : start + _RESIZED_AT_ONCE]).permute(0, 3, 1, 2)
        scaled = functional.interpolate(part, wanted, mode="bilinear", antialias=True)
        resized[start : start + len(part)] = scaled.permute(0, 2, 3, 1).numpy()
    return resized


def _squared(frames: np.ndarray, side: int) -> np.ndarray:
    """(T, H, W, 3) -> (T, side, side, 3), centred: black where it is short, cut where long."""
    for axis in (1, 2):
        length = frames.shape[axis]
        if length > side:
            start = (length - side) // 2
            frames = frames[(slice(None),) * axis + (slice(start, start + side),)]
        elif length < side:
            before = (side - length) // 2
            padding = [(0, 0)] * 4
            padding[axis] = (before, side - length - before)
            frames = np.pad(frames, padding)
    return frames
