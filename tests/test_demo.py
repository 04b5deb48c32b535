"""The whole way at a very small size, through the same doors as the real one."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from pympi import Eaf
from safetensors.torch import load_file, save_file

from sign2gpt.cli import main
from sign2gpt.corpora.shards import make_shards
from sign2gpt.data.manifest import read_manifest
from sign2gpt.demo import STAGES, demo_recipe, run_demo
from sign2gpt.errors import UserError
from sign2gpt.evaluate.predict import translate_split
from sign2gpt.model import Sign2GPTConfig, sources
from sign2gpt.model.cpu_generation import wide_dtype
from sign2gpt.model.cpu_products import Int8Linear
from sign2gpt.model.modeling import (
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
)
from sign2gpt.model.precision import Precision
from sign2gpt.model.sources import locate
from sign2gpt.train import run
from sign2gpt.train.build import build_translation
from sign2gpt.train.recipe_file import load_recipe
from sign2gpt.translate import Translator

QUICK = ("training.num_train_epochs=1",)
Translate = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "run"
    run_demo(out, seed=0, clips=66, overrides=QUICK)
    return out


@pytest.fixture
def translate(
    demo: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Translate:
    def run(*arguments: str | Path, model: Path = demo / "translate") -> tuple[int, str, str]:
        command = ["sign2gpt", "translate", "--model", str(model), *map(str, arguments)]
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, _, err = result
    assert code == 2 and "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("sign2gpt: ")]
    assert len(sentences) == 1, err
    assert all(word in sentences[0] for word in words), err


def test_scores_and_report_are_whole(demo: Path) -> None:
    scores = json.loads((demo / "report" / "scores.json").read_text(encoding="utf-8"))
    assert set(scores["settings"]) == {
        "Sign2GPT(w/PGP)",
        "Sign(Z)2GPT(w/PGP)",
        "Sign2GPT, no pretraining",
    }
    for by_signer in scores["settings"].values():
        assert all(0 <= by_signer[g]["bleu4"] <= 100 for g in ("all", "seen", "unseen"))
    assert scores["clips"]["seen"] + scores["clips"]["unseen"] == scores["clips"]["all"]
    assert 20 < scores["paraphrase_ceiling"]["bleu4"] < 80
    assert set(scores["controls"]) == {"shuffled videos", "blank videos"}
    page = (demo / "report" / "index.html").read_text(encoding="utf-8")
    for example in scores["examples"]:
        assert example["reference"] in page
        assert (demo / "report" / example["clip"]).stat().st_size > 1000
        assert Image.open(demo / "report" / example["picture"]).width > 300
    assert Image.open(demo / "report" / "losses.png").width > 300


def test_all_stages_read_the_frame_tokens_that_the_first_one_stored(demo: Path) -> None:
    written = (demo / "features" / "frame_tokens-train" / "features.npy").stat().st_mtime
    assert written < (demo / "pretrain" / "model.safetensors").stat().st_mtime


def test_frozen_z_kept_stage_1_and_the_frozen_models_stayed_as_they_were(demo: Path) -> None:
    weights = {
        stage: Sign2GPTForConditionalGeneration.from_pretrained(demo / stage).state_dict()
        for stage in ("translate-frozen-z", "translate")
    }
    frozen_z, final = weights["translate-frozen-z"], weights["translate"]
    stage_1 = Sign2GPTForPseudoGlossPretraining.from_pretrained(demo / "pretrain").state_dict()
    assert all((frozen_z[name] == weight).all() for name, weight in stage_1.items())
    changed = {name for name in final if not (final[name] == frozen_z[name]).all()}
    assert any(name.startswith("sign_encoder") for name in changed)
    assert any("gate" in name for name in changed)
    assert not any(name.startswith("pseudo_gloss_head") for name in changed)
    untouched = [
        name
        for name in final
        if "language_model" in name and "lora" not in name and not name.endswith("gate")
    ]
    assert untouched and not changed & set(untouched)


def test_a_finished_demo_is_left_as_it_is(demo: Path) -> None:
    before = {stage: (demo / stage / "model.safetensors").stat().st_mtime_ns for stage in STAGES}
    run_demo(demo, seed=0, clips=66, overrides=QUICK)
    after = {stage: (demo / stage / "model.safetensors").stat().st_mtime_ns for stage in STAGES}
    assert before == after
    with pytest.raises(UserError, match="other settings"):
        run_demo(demo, seed=1, clips=66, overrides=QUICK)


def test_a_broken_off_training_goes_on(demo: Path, tmp_path: Path) -> None:
    settings = (*QUICK, "training.num_train_epochs=3", f"output={tmp_path / 'out'}")
    recipe = demo_recipe("pretrain", demo, 0, settings)

    def stop(done: int, total: int, what: str = "") -> None:
        if done > total / 2:
            with pytest.raises(UserError, match=r"Another run is training in .*out; wait"):
                run(recipe)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, stop)
    assert not (tmp_path / "out" / "model.safetensors").exists()
    (epoch,) = (tmp_path / "out" / "checkpoints").glob("checkpoint-*/model.safetensors")
    assert "sign_encoder.layers.0.query.weight" in (kept := load_file(epoch))
    assert not any("backbone" in name and "lora" not in name for name in kept)
    parts = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")
    for name in (*parts, "trainer_state.json"):
        part = epoch.with_name(name)
        whole = part.read_bytes()
        for damaged in (whole[: len(whole) // 2], b""):
            part.write_bytes(damaged)
            with pytest.raises(UserError, match=rf"damaged \({name}\).*begins again"):
                run(recipe)
        part.write_bytes(whole)
    (tmp_path / "out" / "checkpoints" / "checkpoint-999").mkdir()  # broken off while saving
    steps: list[int] = []
    run(recipe, lambda done, total, what: steps.append(done))
    assert steps[0] > 1 and steps[-1] == 6
    history = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    assert [entry["epoch"] for entry in history if "eval_f1" in entry] == [1, 2, 3]
    other = replace(recipe, variants=3)
    with pytest.raises(UserError, match="another recipe"):
        run(other)
    (tmp_path / "out" / "recipe.yaml").unlink()
    with pytest.raises(UserError, match=r"holds a run whose recipe\.yaml cannot be read"):
        run(recipe)


def test_storing_features_goes_on_where_it_broke_off(demo: Path, tmp_path: Path) -> None:
    places = (f"output={tmp_path / 'out'}", f"features={tmp_path / 'features'}")
    recipe = demo_recipe("pretrain", demo, 0, (*QUICK, *places))
    begun: list[int] = []

    def stop(done: int, total: int, what: str = "") -> None:
        begun.append(done)
        if len(begun) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, stop)
    assert not (tmp_path / "features" / "frame_tokens-train").exists()
    again: list[int] = []
    run(recipe, lambda done, total, what: again.append(done))
    assert again[0] > begun[-1]
    for split in ("train", "dev"):
        made, gone_on = (
            np.load(place / "features" / f"frame_tokens-{split}" / "features.npy")
            for place in (demo, tmp_path)
        )
        np.testing.assert_allclose(made, gone_on, atol=2e-3, rtol=2e-3)


def test_pretraining_can_start_from_an_earlier_one(demo: Path, tmp_path: Path) -> None:
    settings = (f"start_from={demo / 'pretrain'}", "training.learning_rate=0")
    recipe = demo_recipe("pretrain", demo, 0, (*QUICK, *settings, f"output={tmp_path / 'out'}"))
    recipe = replace(recipe, start_from=str(demo / "pretrain"))
    run(recipe)
    models = [
        Sign2GPTForPseudoGlossPretraining.from_pretrained(folder)
        for folder in (demo / "pretrain", tmp_path / "out")
    ]
    first, second = (dict(model.named_parameters()) for model in models)
    assert all((first[name] == second[name]).all() for name in first)


def test_a_training_that_fails_leaves_nothing_where_nothing_was_done(
    demo: Path, tmp_path: Path
) -> None:
    place = (f"output={tmp_path / 'a' / 'out'}", f"features={tmp_path / 'f'}")
    recipe = demo_recipe("translate-from-scratch", demo, 0, (*QUICK, *place, "train_on=video"))
    with pytest.raises(UserError, match="tokens"):  # a sentence that is too long
        run(replace(recipe, max_text_tokens=2))
    training = {"per_device_train_batch_size": 64, "dataloader_drop_last": True}
    with pytest.raises(UserError, match="No batch of 64 clips"):
        run(replace(recipe, training=recipe.training | training))
    store = tmp_path / "store"
    shutil.copytree(demo / "corpus", store)
    for clip in (store / "clips").iterdir():
        clip.write_bytes(b"no video")
    recipe = demo_recipe("pretrain", demo, 0, (*QUICK, *place))
    with pytest.raises(UserError):
        run(replace(recipe, store=str(store)))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_stages_must_agree_on_what_has_no_shape(demo: Path, tmp_path: Path) -> None:
    settings = (f"output={tmp_path / 'out'}", "model.attention_window=null")
    with pytest.raises(UserError, match="attention_window"):
        run(demo_recipe("translate-frozen-z", demo, 0, settings))


def test_a_model_of_other_sizes_cannot_be_started_from(demo: Path, tmp_path: Path) -> None:
    overrides = [
        f"store={demo / 'corpus'}",
        f"start_from={demo / 'pretrain'}",
        f"output={tmp_path / 'out'}",
        "model.sign_intermediate_size=512",
    ]
    with pytest.raises(UserError, match="does not fit"):
        run(load_recipe("demo/translate-frozen-z", overrides))
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_stage_starts_from_the_same_frozen_models_alone(demo: Path, tmp_path: Path) -> None:
    other = shutil.copytree(locate("sign2gpt/pose-vit"), tmp_path / "vit")
    weights = load_file(other / "model.safetensors")
    weights["layernorm.bias"] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    settings = (f"output={tmp_path / 'out'}", f"vision={other}")
    with pytest.raises(UserError, match="to what it was trained with"):
        run(demo_recipe("translate-frozen-z", demo, 0, settings))


def test_a_whole_model_that_a_stage_starts_from_stays_whole(demo: Path, tmp_path: Path) -> None:
    """Older checkpoints hold their frozen weights; where those are others, they stay with it."""
    model = Sign2GPTForPseudoGlossPretraining.from_pretrained(demo / "pretrain")
    model.forget_source("vision")
    for change in (0, 1):
        start = shutil.copytree(demo / "pretrain", tmp_path / f"start{change}")
        model.spatial_model.backbone.layernorm.bias.data += change
        model.save_pretrained(start)
        recipe = demo_recipe("translate-frozen-z", demo, 0, (f"start_from={start}",))
        built = build_translation(recipe)
        given, own = model.state_dict(), built.state_dict()
        assert all((own[name] == weight).all() for name, weight in given.items())
        assert ("vision" in built.frozen_sources) == (change == 0)


def test_trained_models_hold_no_frozen_weights(demo: Path) -> None:
    for stage in STAGES:
        inside = [
            name
            for name in load_file(demo / stage / "model.safetensors")
            if "backbone" in name or "language_model" in name
        ]
        assert inside and all(n.endswith(("lora_a", "lora_b", "gate")) for n in inside)
        sources = Sign2GPTConfig.from_pretrained(demo / stage).frozen_sources
        assert sources["vision"]["name"] == "sign2gpt/pose-vit"


@pytest.mark.parametrize("held", ["bfloat16", "nf4"])
def test_a_stage_runs_with_the_language_model_in_fewer_bits(
    demo: Path, tmp_path: Path, held: str
) -> None:
    settings = (f"output={tmp_path / 'out'}", f"language_precision={held}")
    with pytest.raises(UserError, match=r"training\.bf16 to true"):
        run(demo_recipe("translate-frozen-z", demo, 0, (*settings, "training.bf16=false")))
    run(demo_recipe("translate-frozen-z", demo, 0, (*settings, "training.bf16=true")))
    kept = load_file(tmp_path / "out" / "model.safetensors")
    assert all(
        weight.dtype == torch.float32 for weight in kept.values() if weight.is_floating_point()
    )
    clip = next((demo / "report").glob("*.mp4"))
    for precision in (None, Precision(held)):
        translator = Translator.from_pretrained(tmp_path / "out", precision=precision)
        found = translator.translate(clip, num_beams=1)
        assert found.text and found.duration


def test_translate_prints_sentence_and_signs(demo: Path, translate: Translate) -> None:
    clips = sorted((demo / "report").glob("*.mp4"))[:2]
    code, out, _ = translate(*clips, "--json")
    results = json.loads(out)
    assert code == 0 and [result["clip"] for result in results] == [str(clip) for clip in clips]
    for result in results:
        assert isinstance(result["text"], str) and result["duration"] > 1
        for sign in result["signs"]:
            assert 0 <= sign["start"] < sign["end"] <= result["duration"] + 1e-6
    code, out, _ = translate(clips[0], "--beams", "1")
    assert code == 0 and out.strip()


def test_translate_says_where_a_video_is_damaged(
    demo: Path, translate: Translate, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    data = bytearray(next((demo / "corpus" / "clips").glob("*.mp4")).read_bytes())
    with av.open(io.BytesIO(data)) as container:
        position, size = next((p.pos, p.size) for p in container.demux(video=0) if p.size)
    data[position + size // 3 : position + size] = bytes(size - size // 3)
    clip.write_bytes(data)
    code, out, err = translate(clip, "--json", "--beams", "1")
    assert code == 0 and json.loads(out)[0]["damaged"][0] == 0.0
    assert "clip.mp4 is damaged, first at 0.00 s" in err


def test_translate_writes_files_for_elan(demo: Path, translate: Translate, tmp_path: Path) -> None:
    clips = sorted((demo / "report").glob("*.mp4"))[:2]
    code, out, _ = translate(*clips, "--elan", tmp_path / "new" / "elan", "--json")
    assert code == 0
    for clip, result in zip(clips, json.loads(out), strict=True):
        read = Eaf(tmp_path / "new" / "elan" / f"{clip.stem}.eaf")
        ((start, end, text),) = read.get_annotation_data_for_tier("sentence")
        assert (start, end, text) == (0, round(1000 * result["duration"]), result["text"])
        tiers = [tier for tier in read.get_tier_names() if tier.startswith("signs")]
        signs = [sign for tier in tiers for sign in read.get_annotation_data_for_tier(tier)]
        assert sorted(word for _, _, word in signs) == sorted(s["word"] for s in result["signs"])
    refused(translate(clips[0], "--elan", tmp_path / "new" / "elan"), "there already")


def test_a_model_says_tokens_of_given_sentences_only(
    demo: Path, translate: Translate, tmp_path: Path
) -> None:
    """With those that it would have said anyway it says the same, one beam wide."""
    clip, given = next((demo / "report").glob("*.mp4")), tmp_path / "sentences.txt"
    options = ("--json", "--beams", "1")
    said = json.loads(translate(clip, *options)[1])[0]["text"]
    given.write_text(said, encoding="utf-8")
    code, out, _ = translate(clip, *options, "--only-tokens-of", given)
    assert code == 0 and json.loads(out)[0]["text"] == said
    code, out, _ = translate(
        clip, *options, "--only-tokens-of", demo / "corpus", "--precision", "int8"
    )
    assert code == 0 and json.loads(out)[0]["text"]
    given.write_text("日本\n", encoding="utf-8")
    refused(translate(clip, "--only-tokens-of", given), "knows no character")
    given.write_text("\n", encoding="utf-8")
    refused(translate(clip, "--only-tokens-of", given), "no sentences")


def test_a_model_made_ready_for_generation_is_not_saved(demo: Path, tmp_path: Path) -> None:
    translator = Translator.from_pretrained(demo / "translate")
    with pytest.raises(UserError, match="cannot be saved"):
        translator.model.save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_precision_may_be_a_word(demo: Path) -> None:
    translator = Translator.from_pretrained(demo / "translate", precision="int8")
    kinds = {type(part) for part in translator.model.decoder.modules()}
    assert Int8Linear in kinds or not Int8Linear.possible()
    with pytest.raises(UserError, match="no precision int3; give float32, bfloat16, int8"):
        Translator.from_pretrained(demo / "translate", precision="int3")


def test_what_is_no_number_is_not_translated(demo: Path, tmp_path: Path) -> None:
    """Neither is a model of such weights written."""
    translator = Translator.from_pretrained(demo / "translate")
    with torch.no_grad():
        translator.model.spatial_model.projection.bias.fill_(torch.nan)
    with pytest.raises(UserError, match="no numbers of the clip"):
        translator.translate(next((demo / "report").glob("*.mp4")))
    settings = (f"output={tmp_path / 'out'}", "training.learning_rate=1e30")
    for stage in ("pretrain", "translate-frozen-z"):
        recipe = demo_recipe(stage, demo, 0, (*QUICK, *settings))
        with pytest.raises(UserError, match=r"diverged.*training\.learning_rate"):
            run(recipe)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_a_batch_gives_what_each_clip_gives_alone(demo: Path) -> None:
    translator = Translator.from_pretrained(demo / "translate")
    videos = [translator.processor.read(c) for c in sorted((demo / "report").glob("*.mp4"))]
    together = translator.translate_batch(videos)
    for video, translation in zip(videos, together, strict=True):
        alone = translator.translate_batch([video])[0]
        assert alone.text == translation.text
        np.testing.assert_allclose(alone.localisation, translation.localisation, atol=1e-5)


def test_a_bad_clip_does_not_stop_the_others(
    demo: Path, translate: Translate, tmp_path: Path
) -> None:
    good = next((demo / "report").glob("*.mp4"))
    code, out, err = translate(tmp_path / "absent.mp4", good, "--json")
    assert code == 2 and len(json.loads(out)) == 1
    assert err.count("sign2gpt: ") == 1 and "absent.mp4" in err


def test_wrong_clips_are_refused_in_one_sentence(
    demo: Path, translate: Translate, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    cut = tmp_path / "cut.mp4"
    whole = next((demo / "report").glob("*.mp4")).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    folder = tmp_path / "folder"
    folder.mkdir()
    for clip in (empty, text, cut, sound, folder):
        refused(translate(clip), clip.name)


def test_wrong_models_are_refused_in_one_sentence(
    demo: Path, translate: Translate, tmp_path: Path
) -> None:
    clip = next((demo / "report").glob("*.mp4"))
    refused(translate(clip, model=tmp_path / "absent"), "absent")
    copy = tmp_path / "copy"
    shutil.copytree(demo / "translate", copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    refused(translate(clip, model=copy), str(copy))
    weights.unlink()
    refused(translate(clip, model=copy), "weights", str(copy))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", None),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", '{"added_tokens": []}'),
        ("generation_config.json", None),
        ("generation_config.json", "{}"),
        ("generation_config.json", -1),
        ("generation_config.json", 10**6),
        ("processor_config.json", "{"),
        ("pseudo_glosses.json", "{"),
        ("config.json", "[]"),
    ],
)
def test_a_damaged_part_of_a_model_is_named(
    demo: Path, translate: Translate, tmp_path: Path, name: str, content: str | int | None
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo / "translate", copy)
    (copy / name).unlink()
    if isinstance(content, int):  # in place of all its numbers
        settings = json.loads((demo / "translate" / name).read_text())
        numbers = {key: content for key, value in settings.items() if type(value) is int}
        content = json.dumps(settings | numbers)
    if content is not None:
        (copy / name).write_text(content)
    refused(translate(next((demo / "report").glob("*.mp4")), model=copy), str(copy))


def export(capfd, monkeypatch, *arguments: str | Path) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["sign2gpt", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return (int(stop.value.code or 0), *capfd.readouterr())


@pytest.mark.parametrize("options", [(), ("--merge",), ("--dtype", "bfloat16", "--merge")])
def test_an_exported_model_says_the_same_and_needs_nothing_else(
    demo: Path, translate: Translate, tmp_path: Path, capfd, monkeypatch, options: tuple[str, ...]
) -> None:
    out, clip = tmp_path / "new" / "whole", next((demo / "report").glob("*.mp4"))
    said = json.loads(translate(clip, "--json")[1])[0]
    found = Translator.from_pretrained(demo / "translate").translate(clip)
    code, shown, err = export(capfd, monkeypatch, demo / "translate", out, *options)
    assert code == 0 and str(out) in shown, err
    assert sorted(path.name for path in out.parent.iterdir()) == ["whole"]
    assert {"recipe.yaml", "pseudo_glosses.json"} <= {path.name for path in out.iterdir()}
    refused(export(capfd, monkeypatch, demo / "translate", out), str(out), "not empty")
    monkeypatch.setattr(sources, "SHIPPED", tmp_path / "gone")
    refused(translate(clip), "sign2gpt/pose-vit", "--vision")
    code, text, err = translate(clip, "--json", model=out)
    assert code == 0, err
    again = Translator.from_pretrained(out)
    config, weights = again.model.config, load_file(out / "model.safetensors")
    assert config.frozen_sources is None
    assert any("backbone" in n and "lora" in n for n in weights) == ("--merge" not in options)
    if "bfloat16" in options:  # rounded: only that it works
        assert again.model.dtype == wide_dtype(Precision.bfloat16)  # what is not in 16 bits
        assert isinstance(json.loads(text)[0]["text"], str)
        assert all(w.dtype == torch.bfloat16 for w in weights.values() if w.is_floating_point())
        return
    assert json.loads(text)[0]["text"] == said["text"] == found.text
    np.testing.assert_allclose(again.translate(clip).localisation, found.localisation, atol=1e-5)
    if not options:
        assert json.loads(text)[0] == said


def test_real_clips_of_every_make_go_through(translate: Translate, shared_data: Path) -> None:
    clips = sorted((shared_data / "clips").iterdir())
    code, out, err = translate(*clips, "--json")
    assert code == 0, err
    assert len(json.loads(out)) == len(clips) >= 6


def test_a_model_is_scored_over_a_store(
    demo: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ["sign2gpt", "evaluate", "--model", str(demo / "translate"), "--split", "dev"]
    command += ["--store", str(demo / "corpus"), "--beams", "1", "--json"]
    monkeypatch.setattr("sys.argv", [*command, "--out", str(tmp_path / "said")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    scores = json.loads(capfd.readouterr().out)
    assert {"bleu4", "shuffled_bleu4", "signature"} <= set(scores)
    rows = read_manifest(demo / "corpus", "dev")
    references = (tmp_path / "said" / "references.txt").read_text().splitlines()
    assert references == [row.text for row in rows]
    files = [str(tmp_path / "said" / f"{name}.txt") for name in ("hypotheses", "references")]
    again = ["sign2gpt", "evaluate", "--hypotheses", files[0], "--references", files[1], "--json"]
    monkeypatch.setattr("sys.argv", again)
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capfd.readouterr().out)["bleu4"] == scores["bleu4"]


def test_a_model_says_of_shards_what_it_says_of_their_folder(demo: Path, tmp_path: Path) -> None:
    make_shards(demo / "corpus", tmp_path / "shards")
    folder, shards = (
        translate_split(demo / "translate", store, "dev", num_beams=1)
        for store in (demo / "corpus", tmp_path / "shards")
    )
    assert folder == shards


def test_stage_2_reads_its_clips_as_they_stream(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)
    make_shards(demo / "corpus", tmp_path / "shards", shard_size="1MB")
    settings = (*QUICK, f"output={tmp_path / 'out'}", "train_on=video", "processor.max_frames=8")
    recipe = demo_recipe("translate", demo, 0, settings)
    run(replace(recipe, store=str(tmp_path / "shards"), stream=True))
    log = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    assert any("eval_bleu4" in entry for entry in log)
