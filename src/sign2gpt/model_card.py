"""The card of an exported model: what it is, what is inside, how it scored, how it is used.

The Hub shows it, and finds the model by its first lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign2gpt.files import reading
from sign2gpt.model.licences import FROZEN_FACTS
from sign2gpt.translate import RECIPE

if TYPE_CHECKING:
    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.video.processor import SignVideoProcessor

SCORES = {  # of a training's record, and how they are written
    "eval_bleu4": "BLEU-4 {:.1f}",
    "eval_rouge_l": "ROUGE-L {:.1f}",
    "eval_f1": "F1 of pseudo-glosses {:.2f}",
}
STATE = "trainer_state.json"

_CARD = """
# {title}

Of a video of a person signing it says {what}. Trained with sign2gpt, an implementation of
*Sign2GPT* (Wong, Camgoz and Bowden, ICLR 2024).

{use}

| | |
|---|---|
{facts}

{limits} Do not rely on it where a mistake does harm. What may be done with it depends also on the
licence of the data, and on what the people in it have agreed to.
"""

_KNOWS = """It knows the signs, signers and sentences it was trained on, and has an answer for
others, too."""
_INVENTED = """It is made of parts of sign2gpt's demo, which know drawn signers and an invented sign
language alone: of a real signer it makes nonsense."""

_TRANSLATES = """With sign2gpt installed, and this model in a folder (`hf download NAME --local-dir
FOLDER`):

```bash
sign2gpt translate clip.mp4 --model FOLDER
```

```python
from sign2gpt.translate import Translator

translation = Translator.from_pretrained("FOLDER").translate("clip.mp4")
print(translation.text, translation.signs)
```"""

_PRETRAINED = """A model of stage 1, which writes no sentences: train one of stage 2 from it, with
`start_from: FOLDER` in a recipe."""


def model_card(
    title: str,
    folder: Path,
    config: Sign2GPTConfig,
    video: SignVideoProcessor,
    sources: Sequence[dict[str, Any]],
    language: str | None = None,
) -> str:
    """The card of the trained model in a folder.

    Args:
        title: what the model is called.
        folder: the trained model's, with its recipe and the record of its training where it has
            them.
        config: its configuration.
        video: what brings a clip to the frames it reads.
        sources: what is noted of its frozen models: their names, and the Hub's revision of those
            that come from there.
        language: of its sentences, as its pseudo-glosses' tagger calls it; None = not known.

    Raises:
        UserError: the recipe or the record of the training is damaged.
    """
    from huggingface_hub import ModelCardData

    translates = config.text_config is not None
    data = ModelCardData(
        language=language or None,
        library_name="sign2gpt",
        pipeline_tag="translation" if translates else "video-classification",
        tags=["sign-language", "sign-language-translation" if translates else "sign-spotting"],
        base_model=[source["name"] for source in sources if source["revision"]] or None,
    )
    facts = {"frozen models inside": ", ".join(map(_with_licence, sources))}
    facts["reads"] = f"{video.fps:g} frames a second, {video.image_size} pixels square"
    facts |= _of_recipe(folder / RECIPE) | _of_training(folder / STATE)
    card = _CARD.format(
        title=_plain(title),
        what=_what(translates, bool(config.num_pseudo_glosses)),
        use=_TRANSLATES if translates else _PRETRAINED,
        facts="\n".join(f"| {name} | {fact} |" for name, fact in facts.items() if fact),
        limits=_INVENTED if any(_shipped(source) for source in sources) else _KNOWS,
    )
    return f"---\n{data.to_yaml()}\n---\n{card}"


def _what(translates: bool, spots: bool) -> str:
    said = ["the sentence that is signed"] if translates else []
    return " and ".join(said + (["which signs are in it, and where"] if spots else []))


def _shipped(source: dict[str, Any]) -> bool:
    return source["name"].startswith("sign2gpt/")


def _with_licence(source: dict[str, Any]) -> str:
    """Its name, of a folder the last part alone: where it lies is its owner's."""
    name = source["name"]
    if known := FROZEN_FACTS.get(name):
        return f"{name} ({known.licence})"
    return f"{_plain(name if source['revision'] else Path(name).name)} (see its own licence)"


def _plain(name: str) -> str:
    """A name in one line, in which Markdown finds nothing."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(name.split()))


def _of_recipe(path: Path) -> dict[str, str]:
    """The store that a recipe trains on, by its name alone."""
    if not path.is_file():
        return {}
    from sign2gpt.train.recipe_file import load_recipe

    return {"trained on": _plain(Path(load_recipe(path).store).name)}


def _of_training(path: Path) -> dict[str, str]:
    """How the weights that were kept scored on the dev split while they were trained."""
    if not path.is_file():
        return {}
    with reading(path, "copy the model's folder again, or delete it"):
        state = json.loads(path.read_text(encoding="utf-8"))
        at = state["best_global_step"]
        found = [row for row in state["log_history"] if row.get("step") == at]
        scores = {name: float(row[name]) for row in found for name in SCORES if name in row}
        if not all(map(math.isfinite, scores.values())):
            raise ValueError("a score is no number")
    said = ", ".join(SCORES[name].format(value) for name, value in scores.items())
    return {"its best epoch, on dev": said} if said else {}
