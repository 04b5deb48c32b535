"""A whole signed corpus, made from a seed: clips, manifest, and where each gloss is signed.

Clip k follows from (seed, k) alone, whatever the number of clips or workers. Clips are 256x256
H.264 at 25 frames a second.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sign2gpt.data.manifest import MANIFEST_NAMES, PARQUET_NAME, ClipRow, write_manifest
from sign2gpt.data.tables import read_records
from sign2gpt.errors import UserError
from sign2gpt.files import (
    check_output,
    reading,
    remove_unfinished,
    sha256_of,
    write_json,
    write_whole,
)
from sign2gpt.parallel import in_parallel
from sign2gpt.synth import CLIPS
from sign2gpt.synth.avatar import VIEW, Picture, draw
from sign2gpt.synth.grammar import LANGUAGES, glosses, random_meaning, realise
from sign2gpt.synth.lexicon import sign_of
from sign2gpt.synth.motion import FRAMES_PER_SECOND, SignedGloss, sign_sequence
from sign2gpt.synth.signer import Signer, signer_named

TRUTH_NAME: Final = "truth.jsonl"
ARGUMENTS_NAME: Final = "corpus.json"
SOURCE: Final = "sign2gpt-synth"
VIDEO_OPTIONS: Final = {"preset": "ultrafast", "crf": "23"}
FEWEST_CLIPS: Final = 13  # below this there would be no dev clip or no test clip
PARAPHRASES: Final = 8
MOST_WORDINGS: Final = 5  # of a document for a language model

# Of every 88 clips 80 train, 3 are dev and 5 test clips: 3,600, 135 and 225 of 3,960.
_CYCLE: Final = 88
_DEV_PLACES: Final = (6, 36, 66)
_TEST_PLACES: Final = (3, 11, 28, 50, 72)
_SEEN: Final = tuple(f"signer{n:02d}" for n in range(1, 9))
_UNSEEN: Final = {"dev": ("signer09", "signer10"), "test": ("signer11", "signer12", "signer13")}
# Of a hundred gloss sequences this many belong to each split, and to no other.
_SHARES: Final = {"train": range(0, 76), "dev": range(76, 86), "test": range(86, 100)}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClipPlan:
    """What a clip is to show and say; `key` seeds how exactly it is signed."""

    id: str
    split: str
    signer: str
    text: str
    glosses: tuple[str, ...]
    paraphrases: tuple[str, ...]
    key: tuple[int, ...]


def make_corpus(
    out: Path,
    clips: int = CLIPS,
    seed: int = 0,
    workers: int | None = None,
    annotations: Path | None = None,
    progress: Progress | None = None,
    language: str = "de",
) -> Path:
    """Render a corpus into the store folder `out`; return `out`.

    Writes `clips/ID.mp4`, `manifest.parquet`, and `truth.jsonl` with one line a clip: its
    glosses, each with the frames [start, end) of its stroke and hold (transitions excluded) at 25
    a second, and other wordings of its meaning. A clip that is already there is kept, so a run
    that was stopped goes on where it was.

    Args:
        clips: how many; with `annotations` the most that are taken from the file.
        seed: of the sign language, the signers and the sentences.
        workers: processes; the machine's number of cores where None. No effect on the result.
        annotations: a `|`-separated table in the layout of PHOENIX14T; its `orth` column is
            signed instead, with its own sentences, speakers and splits.
        progress: called with (clips done, clips in all).
        language: of the sentences, "de" or "en"; the videos are the same in each. It does not
            concern `annotations`, which bring their own sentences.

    Raises UserError for a number of clips, language or annotations that cannot be used, and for a
    folder that holds another corpus or cannot be written to.
    """
    out = Path(out)
    check_output(out)
    if language not in LANGUAGES:
        spoken = " and ".join(map(repr, LANGUAGES))
        raise UserError(f"No corpus can be made in {language!r}; the grammar speaks {spoken}.")
    if annotations is None and clips < FEWEST_CLIPS:
        raise UserError(
            f"A corpus of {clips} clips has no dev or test clip; ask for {FEWEST_CLIPS} or more."
        )
    planned = (
        [partial(plan_clip, number, seed, language) for number in range(clips)]
        if annotations is None
        else [partial(_same, plan) for plan in plans_of(Path(annotations), clips, seed)]
    )
    arguments = {
        "clips": clips,
        "seed": seed,
        "language": language,
        "annotations": sha256_of(Path(annotations)) if annotations else None,
    }
    if _already_made(out, arguments):
        return out
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / ARGUMENTS_NAME, arguments)
    (out / "clips").mkdir(exist_ok=True)
    remove_unfinished(out / "clips", ".mp4")
    rows, truth = [], []
    for row, line in in_parallel(partial(_make_clip, out, seed), planned, workers):
        rows.append(row)
        truth.append(json.dumps(line, ensure_ascii=False))
        if progress:
            progress(len(rows), len(planned))
    write_whole(out / TRUTH_NAME, "\n".join(truth) + "\n")
    write_manifest(out, rows)
    return out


def plan_clip(number: int, seed: int = 0, language: str = "de") -> ClipPlan:
    """Decide what clip `number` of the corpus of `seed` shows, without rendering it.

    It shows the same in every language, down to the frame.
    """
    rng = np.random.default_rng([seed, number])
    place = number % _CYCLE
    split = "dev" if place in _DEV_PLACES else "test" if place in _TEST_PLACES else "train"
    signers = _SEEN
    if split != "train":
        places = _DEV_PLACES if split == "dev" else _TEST_PLACES
        nth = number // _CYCLE * len(places) + places.index(place)
        signers = _UNSEEN[split] if nth % 2 == 0 else _SEEN
    meaning = random_meaning(rng)
    while _share(glosses(meaning)) not in _SHARES[split]:
        meaning = random_meaning(rng)
    text = realise(meaning, rng)
    signer = str(rng.choice(signers))
    if language != "de":  # only here: the signer is drawn after the German sentence
        rng = np.random.default_rng([seed, number, 3])
        text = realise(meaning, rng, language)
    return ClipPlan(
        id=f"{number:05d}",
        split=split,
        signer=signer,
        text=text,
        glosses=glosses(meaning),
        paraphrases=tuple(realise(meaning, rng, language) for _ in range(PARAPHRASES)),
        key=(seed, number, 1),
    )


def train_document(rng: np.random.Generator, language: str = "de") -> list[str]:
    """One forecast in 1 to `MOST_WORDINGS` wordings, of a meaning that no dev or test clip has.

    A language model that read only these has seen no wording of a sentence it is tested on,
    whatever the corpus's seed.
    """
    meaning = random_meaning(rng)
    while _share(glosses(meaning)) not in _SHARES["train"]:
        meaning = random_meaning(rng)
    return [realise(meaning, rng, language) for _ in range(rng.integers(MOST_WORDINGS) + 1)]


def plans_of(annotations: Path, clips: int, seed: int = 0) -> list[ClipPlan]:
    """Plan clips that sign the `orth` column of a PHOENIX14T-like table; UserError if it can't.

    The split is read from the file's name (".train.", ".dev.", ".test."), else it is "train".
    """
    table = []
    for where, row in read_records(annotations, ("name", "speaker", "orth", "translation")):
        if empty := next((name for name in ("orth", "translation") if not row[name].strip()), None):
            raise UserError(f"{annotations}, {where}: nothing stands in {empty!r}; fill it.")
        table.append(row)
    if not table:
        raise UserError(f"The annotations {annotations} have no rows; give some.")
    table = table[:clips]
    names = [row["name"] for row in table]
    twice = {name for name, count in Counter(names).items() if count > 1}
    bad = next((n for n in names if n in twice or not _plain(n)), None)
    if bad is not None:
        raise UserError(
            f"{annotations} has the clip name {bad!r}, which is empty, a path or there twice; "
            f"give each clip a plain name of its own."
        )
    split = next((part for part in annotations.name.split(".") if part in _SHARES), "train")
    return [
        ClipPlan(
            id=row["name"],
            split=split,
            signer=row["speaker"],
            text=row["translation"],
            glosses=tuple(row["orth"].split()),
            paraphrases=(),
            key=(seed, number, 2),
        )
        for number, row in enumerate(table)
    ]


def render_clip(plan: ClipPlan, seed: int = 0) -> tuple[Iterator[Picture], list[SignedGloss], int]:
    """The pictures of a planned clip, where its glosses are, and how many pictures there are."""
    rng = np.random.default_rng(plan.key)
    signer = _filmed_again(signer_named(plan.signer, seed), rng)
    signs = [sign_of(gloss, seed) for gloss in plan.glosses]
    poses, spans = sign_sequence(signs, signer, rng)
    return draw(poses, signer), spans, len(poses)


def write_video(path: Path, frames: Iterable[Picture]) -> None:
    """Write (256, 256, 3) uint8 RGB frames as H.264, at once or not at all."""
    import av
    import cv2

    from sign2gpt.video.encode import write_clip

    cv2.setNumThreads(1)
    planes = (np.asarray(cv2.cvtColor(f, cv2.COLOR_RGB2YUV_I420), np.uint8) for f in frames)
    pictures = (av.VideoFrame.from_ndarray(plane, "yuv420p") for plane in planes)
    write_clip(path, pictures, FRAMES_PER_SECOND, VIDEO_OPTIONS)


def _make_clip(
    out: Path, seed: int, planned: Callable[[], ClipPlan]
) -> tuple[ClipRow, dict[str, Any]]:
    """Render a clip unless it is there; its manifest row and its line of the truth."""
    plan = planned()
    path = out / "clips" / f"{plan.id}.mp4"
    pictures, spans, frames = render_clip(plan, seed)
    if not path.is_file():
        write_video(path, pictures)
    row = ClipRow(
        id=plan.id,
        split=plan.split,
        text=plan.text,
        path=f"clips/{path.name}",
        signer=plan.signer,
        frames=frames,
        fps=float(FRAMES_PER_SECOND),
        width=VIEW,
        height=VIEW,
        source=SOURCE,
        sha256=sha256_of(path),
    )
    truth = {
        "id": plan.id,
        "glosses": [asdict(span) for span in spans],
        "paraphrases": list(plan.paraphrases),
    }
    return row, truth


def _plain(name: str) -> bool:
    return name == Path(name).name and name.isprintable() and name not in ("", ".", "..")


def _same(plan: ClipPlan) -> ClipPlan:
    return plan


def _share(sequence: Sequence[str]) -> int:
    """0 to 99 by the gloss sequence, so that no sequence stands in two splits, of any corpora."""
    digest = hashlib.blake2b(" ".join(sequence).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100


def _filmed_again(signer: Signer, rng: np.random.Generator) -> Signer:
    """Nobody sits in quite the same place twice."""
    x, y = signer.camera_shift + rng.normal(0, 2.0, 2)
    return replace(
        signer,
        camera_shift=(float(x), float(y)),
        camera_scale=signer.camera_scale * float(rng.uniform(0.98, 1.02)),
        camera_roll=signer.camera_roll + float(rng.normal(0, 0.008)),
    )


def _already_made(out: Path, arguments: dict[str, Any]) -> bool:
    """Whether the corpus stands complete; UserError if `out` holds something else."""
    noted = out / ARGUMENTS_NAME
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    # Foreign clips would be taken for the corpus's own, a second manifest for the store's.
    foreign = there & set(MANIFEST_NAMES) - {PARQUET_NAME}
    if ARGUMENTS_NAME not in there:
        foreign = {name for name in there if not name.startswith(".")}
    if foreign:
        raise UserError(
            f"{out} holds another store or other files ({min(foreign)}); give a new folder for "
            f"the corpus."
        )
    if ARGUMENTS_NAME not in there:
        return False
    remedy = "give a new folder for the corpus, or delete that one"
    with reading(noted, remedy):
        same = json.loads(noted.read_text(encoding="utf-8")) == arguments
    if not same:
        raise UserError(
            f"{out} holds a corpus made with other arguments ({ARGUMENTS_NAME} says which); "
            f"give a new folder, or delete that one."
        )
    if not (out / PARQUET_NAME).is_file() or not (out / TRUTH_NAME).is_file():
        return False
    with reading(out / TRUTH_NAME, remedy):
        lines = (out / TRUTH_NAME).read_text(encoding="utf-8").splitlines()
        return all((out / "clips" / f"{json.loads(line)['id']}.mp4").is_file() for line in lines)
