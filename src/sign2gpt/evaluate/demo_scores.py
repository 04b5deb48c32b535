"""The demo's scores and report: three settings, controls, localisation, unseen signers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sign2gpt.data.manifest import ClipRow, read_manifest
from sign2gpt.evaluate.pictures import draw_localisation, draw_losses
from sign2gpt.evaluate.predict import blank_texts, predict, shuffled
from sign2gpt.evaluate.report import Example, table, write_report
from sign2gpt.evaluate.truth import paraphrase_ceiling, random_spots, read_truth, with_pseudo_gloss
from sign2gpt.metrics import bleu_rouge, localisation_scores, presence_scores
from sign2gpt.progress import Advance
from sign2gpt.text.pseudo_gloss import pseudo_glosses
from sign2gpt.text.taggers import load_tagger
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.recipe_file import load_recipe
from sign2gpt.translate import Translation, Translator

SETTINGS = {
    "translate": "Sign2GPT(w/PGP)",
    "translate-frozen-z": "Sign(Z)2GPT(w/PGP)",
    "translate-from-scratch": "Sign2GPT, no pretraining",
}
SHOWN = 3
RULE = (
    "A sign is spotted where E > 0.2. Every true sign whose word is a pseudo-gloss of its clip's "
    "sentence counts once, with the best time-IoU of the spotted intervals of that word, 0 when "
    "there is none. The random spotter puts the same intervals at random places."
)
INTRODUCTION = (
    "A model learnt an invented sign language, signed by drawn people, from videos and German "
    "sentences alone: no gloss was used in training. What it scores here says that the method and "
    "this code work; it says nothing about any real sign language."
)


def score_demo(
    out: Path, store: Path, models: Mapping[str, Path], seed: int, progress: Advance
) -> dict[str, Any]:
    """Score the demo's models on the test split and write the report's page and pictures.

    Args:
        out: the demo's folder; the report goes to ``out/report``.
        store: the corpus, with ``truth.jsonl``.
        models: folder of each stage by its recipe's name.
        seed: of the random spotter.

    Returns:
        What ``scores.json`` holds.
    """
    rows = read_manifest(store, "test")
    references = [row.text for row in rows]
    trained = {row.signer for row in read_manifest(store, "train")}
    groups = {
        "all": list(range(len(rows))),
        "seen": [i for i, row in enumerate(rows) if row.signer in trained],
        "unseen": [i for i, row in enumerate(rows) if row.signer not in trained],
    }
    outputs: dict[str, list[Translation]] = {}
    for number, name in enumerate(SETTINGS):
        translator = Translator.from_pretrained(models[name])

        def advance(done: int, total: int, number: int = number) -> None:
            progress(number * total + done, len(SETTINGS) * total)

        outputs[name] = predict(translator, store, rows, progress=advance)
        if name == "translate":
            blank = blank_texts(translator, rows)
    main = outputs["translate"]
    texts = [output.text for output in main]
    scores: dict[str, Any] = {
        "clips": {group: len(members) for group, members in groups.items()},
        "budgets": {title: _budget(name, models) for name, title in SETTINGS.items()},
        "settings": {
            title: {
                group: asdict(bleu_rouge(_pick(_texts(outputs[name]), m), _pick(references, m)))
                for group, m in groups.items()
            }
            for name, title in SETTINGS.items()
        },
        "controls": {
            "shuffled videos": bleu_rouge(shuffled(texts), references).bleu4,
            "blank videos": bleu_rouge(blank, references).bleu4,
        },
    }
    truths = read_truth(store, rows)
    ceiling = paraphrase_ceiling(truths, references)
    reached = scores["settings"][SETTINGS["translate"]]["all"]["bleu4"]
    scores["paraphrase_ceiling"] = {"bleu4": ceiling, "share_reached": reached / ceiling}
    scores |= _spotting(models, outputs, rows, store, seed)
    _report(out, store, rows, main, models, scores)
    return scores


def _budget(name: str, models: Mapping[str, Path]) -> str:
    """Epochs of a model and of all it started from, first one first."""
    parts: list[str] = []
    folder: Path | None = models[name]
    while folder is not None:
        recipe = load_recipe(folder / "recipe.yaml")
        parts.append(f"{recipe.stage.value} on {recipe.train_on.value}: {_epochs(recipe)}")
        folder = Path(recipe.start_from) if recipe.start_from else None
    return ", then ".join(reversed(parts))


def _epochs(recipe: Recipe) -> str:
    count = recipe.training.get("num_train_epochs", 3)
    return f"{count:g} epoch{'' if count == 1 else 's'}"


def _spotting(
    models: Mapping[str, Path],
    outputs: Mapping[str, Sequence[Translation]],
    rows: Sequence[ClipRow],
    store: Path,
    seed: int,
) -> dict[str, Any]:
    """Presence (Table 8) and localisation, of stage 1's sign features and of the final ones.

    Sign(Z)2GPT keeps stage 1's spatial model and sign encoder as they are, so its E is stage 1's.
    """
    translator = Translator.from_pretrained(models["translate"])
    vocabulary = translator.vocabulary
    assert vocabulary is not None
    tagger = load_tagger(load_recipe(models["pretrain"] / "recipe.yaml").pseudo_glosses.tagger)
    found = pseudo_glosses(tagger, [row.text for row in rows])
    labels = np.stack([vocabulary.encode(words) for words in found])
    kept = [[word for word in words if word in vocabulary.index] for words in found]
    truth = with_pseudo_gloss(read_truth(store, rows), kept)
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {"rule": RULE, "pseudo_glosses": len(vocabulary)}
    for title, name in (("stage 1", "translate-frozen-z"), ("stage 2", "translate")):
        clips = outputs[name]
        spotted = [[(s.word, s.start, s.end) for s in clip.signs] for clip in clips]
        chance = random_spots(spotted, [clip.duration for clip in clips], rng)
        presence = np.stack([clip.presence for clip in clips if clip.presence is not None])
        result[title] = {
            "presence": asdict(presence_scores(presence, labels)),
            "localisation": asdict(localisation_scores(spotted, truth)),
            "localisation_random": asdict(localisation_scores(chance, truth)),
        }
    return {"spotting": result}


def _report(
    out: Path,
    store: Path,
    rows: Sequence[ClipRow],
    main: Sequence[Translation],
    models: Mapping[str, Path],
    scores: dict[str, Any],
) -> None:
    """Pictures, clips and page; adds the examples and the command to try to the scores."""
    folder = out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    translator = Translator.from_pretrained(models["translate"])
    vocabulary = translator.vocabulary
    assert vocabulary is not None
    columns = [vocabulary.words] * len(rows)
    truths = with_pseudo_gloss(read_truth(store, rows), columns)
    examples = []
    for index in (len(rows) * number // SHOWN for number in range(SHOWN)):
        row, clip = rows[index], f"{rows[index].id}.mp4"
        shutil.copyfile(row.file(store), folder / clip)
        video = translator.processor.read(row.file(store))
        localised = main[index].localisation
        assert localised is not None
        signed = [word for word, _, _ in truths[index]]
        words = list(dict.fromkeys(signed + [sign.word for sign in main[index].signs]))
        draw_localisation(
            video.frames,
            localised[:, [vocabulary.index[word] for word in words]],
            words,
            translator.seconds_per_token,
            folder / f"{row.id}.png",
            truths[index],
        )
        examples.append(Example(clip, row.text, main[index].text, f"{row.id}.png"))
    draw_losses(models, folder / "losses.png")
    scores["examples"] = [asdict(example) for example in examples]
    scores["command"] = (
        f"sign2gpt translate {folder / examples[0].clip} --model {models['translate']}"
    )
    write_report(
        folder,
        "sign2gpt demo",
        INTRODUCTION,
        _tables(scores),
        examples,
        "losses.png",
        scores["command"],
    )


def _tables(scores: Mapping[str, Any]) -> dict[str, str]:
    names = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l")
    budgets = [[title, budget] for title, budget in scores["budgets"].items()]
    settings = [
        [title, group, str(scores["clips"][group]), *(values[n] for n in names)]
        for title, by_group in scores["settings"].items()
        for group, values in by_group.items()
    ]
    ceiling = scores["paraphrase_ceiling"]
    controls = [[name, value] for name, value in scores["controls"].items()]
    controls += [
        ["right content, a wording drawn from the grammar (ceiling)", ceiling["bleu4"]],
        ["Sign2GPT(w/PGP), of that ceiling", f"{100 * ceiling['share_reached']:.0f} %"],
    ]
    spotting = [
        [
            title,
            *(part["presence"][n] for n in ("precision", "recall", "f1")),
            part["localisation"]["mean_iou"],
            part["localisation_random"]["mean_iou"],
        ]
        for title, part in scores["spotting"].items()
        if isinstance(part, dict)
    ]
    head = ["sign features", "precision", "recall", "F1", "time-IoU", "random time-IoU"]
    return {
        "Translation of unseen clips": table(
            ["setting", "signers", "clips", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"],
            settings,
        ),
        "What each setting was trained for": table(["setting", "epochs"], budgets),
        "Controls (BLEU-4)": table(["", "BLEU-4"], controls),
        "Pseudo-glosses and spotting": table(head, spotting)
        + f'<p class="note">{scores["spotting"]["rule"]}</p>',
    }


def _texts(outputs: Sequence[Translation]) -> list[str]:
    return [output.text for output in outputs]


def _pick(items: Sequence[str], members: Sequence[int]) -> list[str]:
    return [items[index] for index in members]
