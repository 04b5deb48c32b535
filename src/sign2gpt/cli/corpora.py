"""Verbs that make, prepare and check corpora."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sign2gpt.cli.app import CORPORA, JsonFlag, app, new_place, print_json
from sign2gpt.errors import UserError
from sign2gpt.synth import CLIPS

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from sign2gpt.corpora.corpus import SourceClip
    from sign2gpt.corpora.table import TableColumns
    from sign2gpt.corpora.words import Extraction
    from sign2gpt.text.tagged_words import Tagger


@app.command(rich_help_panel=CORPORA)
def synth(
    out: Annotated[
        Path,
        typer.Argument(help="Folder the corpus is written to.", parser=new_place),
    ],
    clips: Annotated[int, typer.Option(min=1, help="How many clips, all splits together.")] = CLIPS,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same frames.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: all cores.")
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="Sign the orth column of a PHOENIX-layout CSV instead of the grammar."),
    ] = None,
    language: Annotated[
        str, typer.Option(help="Of the grammar's sentences, de or en; same videos.")
    ] = "de",
) -> None:
    """Make a signed-language corpus: drawn signers, weather sentences, ground truth."""
    from sign2gpt.progress import progress_bar
    from sign2gpt.synth.corpus import make_corpus

    with progress_bar("Drawing clips") as advance:
        store = make_corpus(
            out,
            clips=clips,
            seed=seed,
            workers=workers,
            annotations=annotations,
            progress=advance,
            language=language,
        )
    print(f"The corpus is in {store}.")


def _known_corpus(name: str) -> str:
    from sign2gpt.corpora.readers import CORPORA as KNOWN

    if name == "table" or name in KNOWN:
        return name
    mend = f"give one of {', '.join(KNOWN)} or table"
    if Path(name).is_file():
        mend = f"a table of your own is read by `sign2gpt prepare table {name} OUT`"
    raise UserError(f"There is no reader for the corpus {name!r}; {mend}.")


@app.command(rich_help_panel=CORPORA)
def prepare(
    corpus: Annotated[
        str,
        typer.Argument(
            help="phoenix14t, csl-daily, how2sign, openasl or table.",
            metavar="CORPUS",
            parser=_known_corpus,
        ),
    ],
    source: Annotated[
        Path, typer.Argument(help="The corpus's folder as it is downloaded; for `table`, a table.")
    ],
    out: Annotated[
        Path,
        typer.Argument(help="Folder the store is written to.", parser=new_place),
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: all cores.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many clips of each split, to try it out.")
    ] = None,
    clip: Annotated[str, typer.Option(help="table: column of videos or frame folders.")] = "path",
    text: Annotated[str, typer.Option(help="table: column of sentences.")] = "text",
    split: Annotated[str, typer.Option(help="table: column of splits.")] = "split",
    only_split: Annotated[
        str, typer.Option(help="table: all rows are of this split, in place of --split.")
    ] = "",
    id: Annotated[
        str, typer.Option("--id", help="table: column of ids; default: the clip's path.")
    ] = "",
    signer: Annotated[str, typer.Option(help="table: column of signers.")] = "",
    start: Annotated[
        str, typer.Option(help="table: column of starts in a longer video, seconds or a clock.")
    ] = "",
    end: Annotated[str, typer.Option(help="table: column of ends in a longer video.")] = "",
    fps: Annotated[str, typer.Option(help="table: column of frame rates of frame folders.")] = "",
    clips: Annotated[
        Path | None,
        typer.Option(help="table: what paths are relative to; default: the table's folder."),
    ] = None,
) -> None:
    """Make a store of a corpus in its official layout, or of any table of clips.

    The store has every clip at 256 pixels in H.264, whatever it was, and a manifest. Stopped
    half-way and started again, it goes on where it was. Clips that cannot be read are listed in
    prepare.report.json, the rest goes on, and the exit code is 2.

    What lies below SOURCE:

    - `phoenix14t`: annotations/manual/PHOENIX-2014-T.SPLIT.corpus.csv,
      features/fullFrame-210x260px/SPLIT/NAME/\\*.png

    - `csl-daily`: sentence/frames_512x512/NAME/\\*.jpg; sentence_label/csl2020ct_v2.pkl and
      split_1.txt, or csl-daily.SPLIT.tsv

    - `how2sign`: how2sign_realigned_SPLIT.csv; SENTENCE_NAME.mp4, or VIDEO_NAME.mp4 to be cut

    - `openasl`: openasl-v1.0.tsv; VID.mp4, or YID.mp4 to be cut

    - `table`: SOURCE is itself a CSV, TSV, JSON lines or Parquet file
    """
    from sign2gpt.corpora.prepare import REPORT_NAME, prepare
    from sign2gpt.corpora.table import TableColumns
    from sign2gpt.progress import progress_bar

    columns = TableColumns(
        clip=clip, text=text, split=split, only_split=only_split, id=id, signer=signer,
        start=start, end=end, fps=fps, clips=clips,
    )  # fmt: skip
    found, settings = _source_clips(corpus, source, columns)
    with progress_bar("Preparing clips") as advance:
        done = prepare(found, out, corpus, settings, workers=workers, limit=limit, progress=advance)
    splits = ", ".join(f"{name} {count}" for name, count in done.splits.items())
    print(f"{done.rows} clips are in {done.store} ({splits}), {done.made} of them made now.")
    _remark_on_training(done.splits)
    if done.short:
        print(
            f"{len(done.short)} of them have fewer frames than the annotation says, as "
            f"{done.short[0]}."
        )
    if done.damaged:
        print(
            f"The videos of {len(done.damaged)} of them are damaged in places, as that of "
            f"{done.damaged[0]}."
        )
    if done.unreadable:
        first = done.unreadable[0]
        raise UserError(
            f"{len(done.unreadable)} of {done.rows + len(done.unreadable)} clips could not be "
            f"read; the first, {first.id}: {first.reason} ({out / REPORT_NAME} lists them all)"
        )


def _remark_on_training(splits: Container[str]) -> None:
    if missing := [name for name in ("train", "dev") if name not in splits]:
        print(f"To train on it, it takes clips of the split {' and '.join(missing)}, too.")


def _source_clips(
    corpus: str, source: Path, columns: TableColumns
) -> tuple[Iterator[SourceClip], dict[str, str]]:
    """The clips of a corpus, or of a table's columns; and what a store notes of its making."""
    from dataclasses import asdict

    from sign2gpt.corpora.readers import CORPORA as KNOWN
    from sign2gpt.corpora.table import read_any_table

    settings = {"from": str(source.resolve())}
    if corpus == "table":
        settings |= {name: str(value) for name, value in asdict(columns).items() if value}
        return read_any_table(source, columns), settings
    if not source.is_dir():
        raise UserError(f"There is no folder {source}; give the folder of {corpus}.")
    return KNOWN[corpus].read(source), settings


@app.command(rich_help_panel=CORPORA)
def shards(
    store: Annotated[Path, typer.Argument(help="A store whose clips are files.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="New folder, or new dataset hf://datasets/USER/NAME.",
            parser=new_place,
        ),
    ],
    shard_size: Annotated[
        str, typer.Option(help="Clips in a shard at most; smaller ones mix better as they stream.")
    ] = "500MB",
) -> None:
    """Write a store as Parquet shards that stream, in the layout of the Hugging Face Hub.

    The shards hold the manifest and the clips, byte for byte, and whatever takes a store takes
    their folder, or their address on the Hub. Each clip is compared with its checksum on the way.

    A dataset on the Hub is made private and in one commit, as whoever `hf auth login` says; the
    shards lie in the folder for temporary files (TMPDIR) until they are sent. Make it public
    on its page, if the corpus's licence and the people who sign in it allow that.
    """
    from sign2gpt.corpora.shards import make_shards
    from sign2gpt.data.hub import hub_dataset
    from sign2gpt.progress import progress_bar

    with progress_bar("Writing shards") as advance:
        made = make_shards(store, out, shard_size=shard_size, progress=advance)
    for split, count in made.clips.items():
        files = made.shards[split]
        print(f"{split}: {count:,} clips in {files} {'shard' if files == 1 else 'shards'}")
    print(f"The shards are in {hub_dataset(out) or out}, {made.size / 1e9:.2f} GB.")


@app.command(rich_help_panel=CORPORA)
def check(
    store: Annotated[
        Path,
        typer.Argument(help="A store: a folder with a manifest, or of shards, or on the Hub."),
    ],
    clips: Annotated[
        bool, typer.Option("--clips/--no-clips", help="Decode every clip, or look at texts only.")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: all cores.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Examine a store: sizes, sentences in two splits, odd texts, missing, black or frozen clips.

    The exit code is 2 where clips or sentences cannot be trained on, else 0.
    """
    from dataclasses import asdict

    from sign2gpt.corpora.check import check
    from sign2gpt.progress import progress_bar

    with progress_bar("Looking at clips") as advance:
        found = check(store, look_at_clips=clips, workers=workers, progress=advance)
    if as_json:
        print_json(asdict(found))
    else:
        print(", ".join(f"{split}: {count:,} clips" for split, count in found.splits.items()))
        for finding in found.findings:
            shown = ", ".join(finding.clips[:3]) + (", ..." if len(finding.clips) > 3 else "")
            print(f"{finding.level:<8}{finding.text}" + (f"  [{shown}]" if shown else ""))
        if not found.findings:
            print("Nothing is wrong with it.")
        _remark_on_training(found.splits)
    if any(finding.level == "error" for finding in found.findings):
        raise typer.Exit(2)


@app.command("pseudo-gloss", rich_help_panel=CORPORA)
def pseudo_gloss(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A store, or tables with a column of sentences.", metavar="SRC..."),
    ],
    tagger: Annotated[
        str,
        typer.Option(help="spacy:PIPELINE, hanta (German), jieba (Chinese) or plain:LANGUAGE."),
    ] = "spacy:de_core_news_sm",
    splits: Annotated[str, typer.Option(help="Splits to read, separated by commas.")] = "train",
    text: Annotated[str, typer.Option(help="A table's column of sentences.")] = "",
    all_words: Annotated[
        bool, typer.Option("--all-words", help="Every word, whatever its part of speech.")
    ] = False,
    max_share: Annotated[
        float, typer.Option(help="Leave out what is in more than this share of the sentences.")
    ] = 0.4,
    min_count: Annotated[
        int, typer.Option(help="Leave out what is in fewer sentences than this.")
    ] = 1,
    show: Annotated[
        int, typer.Option(min=0, help="Print this many sentences with their pseudo-glosses.")
    ] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Write the vocabulary to this JSON file.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Take pseudo-glosses from sentences: the words that pretraining looks for in the videos.

    Lemmas (in Chinese: segments) of nouns, numbers, adverbs, pronouns, names, adjectives and verbs,
    as in section 3.3 of the paper.
    """
    from sign2gpt.corpora.words import extract
    from sign2gpt.files import check_output
    from sign2gpt.text.taggers import load_tagger

    if out is not None:
        check_output(out.parent)
    loaded = load_tagger(tagger)
    found = extract(
        sources, loaded, splits=splits.split(","), text_column=text, all_words=all_words,
        max_share=max_share, min_count=min_count,
    )  # fmt: skip
    if out is not None:
        found.vocabulary.save(out)
    if as_json:
        print_json(
            {
                "tagger": loaded.name,
                "tagger_version": loaded.version,
                "sentences": len(found.sentences),
                "types": found.types,
                "vocabulary": len(found.vocabulary),
                "left_out_as_frequent": list(found.vocabulary.frequent),
            }
        )
        return
    _print_pseudo_glosses(found, loaded, splits, show)
    if out is not None:
        print(f"The vocabulary is in {out}.")


def _print_pseudo_glosses(found: Extraction, tagger: Tagger, splits: str, show: int) -> None:
    from sign2gpt.corpora.words import PUBLISHED_TYPES

    vocabulary = found.vocabulary
    print(f"Tagger             {tagger.name} {tagger.version}")
    if tagger.name.startswith("plain:"):
        print("                   plain words: function words go by a stop list, and inflected")
        print("                   forms stay apart, as no tagger of this language is used")
    print(f"Sentences          {len(found.sentences):>7,}  ({splits})")
    print(f"Types              {found.types:>7,}")
    if tagger.language in PUBLISHED_TYPES:
        name, types = PUBLISHED_TYPES[tagger.language]
        print(f"  Table 1(a)       {types:>7,}  ({name}, by spaCy)")
    share = f"each in {vocabulary.max_share:.0%} of them at most"
    print(f"Vocabulary         {len(vocabulary):>7,}  ({share})")
    if vocabulary.frequent:
        print(f"Left out           {', '.join(vocabulary.frequent)}")
    commonest = sorted(vocabulary.counts, key=vocabulary.counts.__getitem__, reverse=True)
    print(f"Most frequent      {', '.join(commonest[:12])}")
    pairs = zip(found.sentences, found.glosses, strict=True)
    different = {sentence: glosses for sentence, glosses in pairs if glosses}
    for sentence, glosses in list(different.items())[:show]:
        print(f"  {sentence}\n    {' '.join(glosses)}")
