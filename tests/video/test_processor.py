"""Videos of any make become the model's pixels; the settings survive saving."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from sign2gpt.errors import UserError
from sign2gpt.video.decode import read_clip
from sign2gpt.video.processor import Sign2GPTProcessor, SignVideoProcessor

Writer = Callable[..., Path]
Numbers = Callable[[np.ndarray], list[int]]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    words = {"</s>": 0, "<unk>": 1, "regen": 2, "morgen": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


def test_clips_are_packed_end_to_end(write_clip: Writer, read_numbers: Numbers) -> None:
    processor = SignVideoProcessor(store_size=64, crop_size=64, fit="stretch")
    paths = [write_clip("a.mp4", 9), write_clip("b.webm", 4)]
    batch = processor(paths)
    assert batch["num_frames"].tolist() == [5, 2] and batch["num_frames"].dtype == torch.int64
    assert batch["pixel_values"].shape == (7, 3, 64, 64)
    assert batch["pixel_values"].dtype == torch.uint8
    frames = batch["pixel_values"].permute(0, 2, 3, 1).numpy()
    assert read_numbers(frames) == [0, 2, 4, 6, 8, 0, 2]


def test_path_clip_and_array_give_the_same_pixels(write_clip: Writer) -> None:
    processor = SignVideoProcessor(store_size=64, crop_size=56, max_frames=6)
    path = write_clip("clip.mkv", 30, pix_fmt="yuv444p")
    clip = read_clip(path)
    from_path = processor(path)["pixel_values"]
    assert len(from_path) == 6
    from_clip = processor(clip)["pixel_values"]
    from_array = processor([clip.frames[::2]])["pixel_values"]
    assert torch.equal(from_clip, from_array)
    difference = (from_path.int() - from_clip.int()).abs()  # two scalers, one picture
    assert difference.float().mean() < 2


@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
def test_fit(fit: str) -> None:
    frames = np.full((1, 40, 20, 3), 9, np.uint8)
    frames[:, :20] = 200
    read = SignVideoProcessor(store_size=40, crop_size=40, fit=fit).read(frames).frames[0, ..., 0]
    assert read.shape == (40, 40)
    if fit == "pad":
        assert read[:, :10].max() == 0 and read[:, 30:].max() == 0
        assert (read[:18, 10:30] == 200).all() and (read[22:, 10:30] == 9).all()
    else:
        assert (read[:15] == 200).all() and (read[25:] == 9).all()
    if fit == "crop":  # the top and bottom quarters are gone, not the sides
        corners = frames.copy()
        corners[:, :10] = 77
        cropped = SignVideoProcessor(store_size=40, crop_size=40, fit=fit).read(corners)
        assert not (cropped.frames[:, 3:] == 77).any()


def test_centre_crop_of_the_published_sizes() -> None:
    frames = np.zeros((2, 256, 256, 3), np.uint8)
    frames[:, 16:240, 16:240] = 255
    pixel_values = SignVideoProcessor()(frames)["pixel_values"]
    assert pixel_values.shape == (2, 3, 224, 224) and pixel_values.min() == 255


def test_small_images_show_the_same_field_of_view() -> None:
    frames = np.zeros((1, 256, 256, 3), np.uint8)
    frames[:, 16:240, 16:240] = 255
    pixel_values = SignVideoProcessor(image_size=84)(frames)["pixel_values"][0, 0]
    assert pixel_values.shape == (84, 84)
    assert pixel_values[2:-2, 2:-2].min() == 255


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((1, 256, 256, 3), np.uint8)
    stripes[:, :, ::2] = 255
    processor = SignVideoProcessor(store_size=256, crop_size=256, image_size=64)
    assert processor(stripes)["pixel_values"].float().std() < 10


def test_normalised_on_request() -> None:
    frames = np.full((1, 256, 256, 3), 255, np.uint8)
    pixel_values = SignVideoProcessor(do_normalize=True)(frames)["pixel_values"]
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(pixel_values[0, :, 5, 5], expected)


def test_read_keeps_every_sampled_frame(write_clip: Writer) -> None:
    processor = SignVideoProcessor(store_size=32, crop_size=32, max_frames=4)
    clip = processor.read(write_clip(frames=30))
    assert clip.frames.shape == (15, 32, 32, 3) and clip.fps == 12.5
    assert clip.duration == pytest.approx(1.2)
    assert len(processor(clip)["pixel_values"]) == 4


def test_saved_settings_come_back(tmp_path: Path) -> None:
    processor = SignVideoProcessor(10, 96, 90, 84, "crop", None, False, (0.1, 0.2, 0.3))
    processor.save_pretrained(tmp_path)
    loaded = SignVideoProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert {name: getattr(loaded, name) for name in SignVideoProcessor.setting_names()} == {
        name: getattr(processor, name) for name in SignVideoProcessor.setting_names()
    }


def test_processor_and_tokenizer_are_saved_as_one(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    video_processor = SignVideoProcessor(store_size=32, crop_size=28, fit="stretch")
    Sign2GPTProcessor(video_processor, tokenizer).save_pretrained(tmp_path)
    # A model's own config.json beside it must not get in the way.
    (tmp_path / "config.json").write_text('{"model_type": "sign2gpt"}')
    loaded = Sign2GPTProcessor.from_pretrained(tmp_path)
    assert loaded.video_processor.to_dict() == video_processor.to_dict()
    assert loaded.tokenizer("regen morgen")["input_ids"] == [2, 3]
    assert loaded.batch_decode([[2, 3]]) == ["regen morgen"]
    batch = loaded(videos=[np.zeros((3, 8, 8, 3), np.uint8)]).to("cpu")
    assert batch["pixel_values"].shape == (3, 3, 28, 28)


def test_folder_without_processor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"processor_config\.json"):
        Sign2GPTProcessor.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"processor_config\.json"):
        SignVideoProcessor.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fps", 0), ("crop_size", 300), ("fit", "zoom"), ("max_frames", 0), ("image_size", 0)],
)
def test_wrong_settings_are_refused(setting: str, value: object) -> None:
    with pytest.raises(UserError, match=setting):
        SignVideoProcessor(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "array", [np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8, 3)), np.zeros((0, 8, 8, 3), "u1")]
)
def test_wrong_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(UserError, match="uint8 frames of shape"):
        SignVideoProcessor()(array)


def test_no_video_is_refused() -> None:
    with pytest.raises(UserError, match="no video"):
        SignVideoProcessor()([])


def test_real_clips(shared_data: Path) -> None:
    clips = sorted((shared_data / "clips").iterdir())
    batch = SignVideoProcessor(image_size=84)(clips)
    assert len(batch["num_frames"]) == len(clips)
    assert batch["num_frames"].sum() == len(batch["pixel_values"])
