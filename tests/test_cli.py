"""The command line as its users meet it: real processes, exit codes, one-sentence errors."""

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sign2gpt.cli import main
from sign2gpt.video.encode import write_clip

VERBS = (
    "demo",
    "synth",
    "prepare",
    "shards",
    "check",
    "pseudo-gloss",
    "train",
    "params",
    "evaluate",
    "translate",
    "priors",
    "export",
    "models",
)


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def sign2gpt(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command through the entry point, in this process: importing torch takes seconds."""

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["sign2gpt", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return run


def ends_in_one_sentence(result: Result, *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    (last,) = result.stderr.strip().splitlines()  # and no progress bar of work that never began
    assert last.startswith("sign2gpt: "), result.stderr
    for word in words:
        assert word in last, result.stderr


def test_the_installed_command_works_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sign2gpt.cli", "evaluate", "--hypotheses", "none"]
    result = subprocess.run(
        [*command, "--references", "none"], capture_output=True, text=True, check=False
    )
    ends_in_one_sentence(Result(result.returncode, result.stdout, result.stderr), "none")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(sign2gpt: Run, verb: str) -> None:
    result = sign2gpt(verb, "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout and len(result.stdout.splitlines()) > 8


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, sign2gpt.cli; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'av', 'cv2') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_params_prints_table_1b_to_the_digit(sign2gpt: Run) -> None:
    result = sign2gpt("params", "phoenix14t/translate", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "spatial": {"total": 22_328_448, "trainable": 271_872},
        "sign encoder": {"total": 12_613_632, "trainable": 12_613_632},
        "decoder": {"total": 1_736_710_528, "trainable": 3_803_520},
        "total": {"total": 1_771_652_608, "trainable": 16_689_024},
    }


def test_evaluate_prints_scores_and_their_signature(sign2gpt: Run, tmp_path: Path) -> None:
    (tmp_path / "h").write_text("am tag zwölf grad\nviel sonne im süden heute\n", encoding="utf-8")
    (tmp_path / "r").write_text("am tag zwölf grad\nviel sonne im norden heute\n", encoding="utf-8")
    arguments = ("evaluate", "--hypotheses", tmp_path / "h", "--references", tmp_path / "r")
    scores = json.loads(sign2gpt(*arguments, "--json").stdout)
    assert scores["bleu1"] == pytest.approx(100 * 8 / 9)
    assert "tok:none" in scores["signature"]
    text = sign2gpt(*arguments).stdout
    assert f"{scores['bleu4']:8.2f}" in text and scores["signature"] in text
    assert text.startswith("2 sentences\n")


def test_evaluate_gives_the_reference_scores(sign2gpt: Run, shared_data: Path) -> None:
    folder = shared_data / "metrics"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["paper"]
    for name, wanted in expected.items():
        split, _, kind = name.partition(".")
        files = (folder / f"{split}.{kind}.{side}.txt" for side in ("hyp", "ref"))
        hypotheses, references = files
        result = sign2gpt(
            "evaluate", "--hypotheses", hypotheses, "--references", references, "--json"
        )
        scores = json.loads(result.stdout)
        for score, value in wanted.items():
            assert scores[score] == pytest.approx(value, abs=5e-5), (name, score)


def test_wrong_input_ends_in_one_sentence(sign2gpt: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("eins\nzwei\n", encoding="utf-8")
    one = tmp_path / "one"
    one.write_text("eins\n", encoding="utf-8")
    evaluate = ("evaluate", "--references", lines, "--hypotheses")
    ends_in_one_sentence(sign2gpt(*evaluate, one), "1 hypotheses", "2 references")
    own = tmp_path / "own.csv"
    own.touch()
    ends_in_one_sentence(sign2gpt("prepare", own, tmp_path / "out"), "prepare table", "own.csv OUT")
    ends_in_one_sentence(sign2gpt("prepare", "foo", own, tmp_path / "out"), "openasl or table")
    ends_in_one_sentence(sign2gpt(*evaluate, tmp_path / "absent"), "absent")
    given = {"--precision": "int8", "--split": "dev", "--beams": 4}  # 4 as if it were not given
    given |= dict.fromkeys(("--out", "--vision", "--language", "--only-tokens-of"), tmp_path)
    for option, value in given.items():
        ends_in_one_sentence(sign2gpt(*evaluate, lines, option, value), option, "--model")
    ends_in_one_sentence(
        sign2gpt(*evaluate, lines, "--convention", "mine"), "mine", "paper", "sacrebleu"
    )
    ends_in_one_sentence(sign2gpt("params", "no/such"), "no/such", "phoenix14t/translate")
    ends_in_one_sentence(
        sign2gpt("params", "phoenix14t/translate", "model.spatial_lora_rnak=8"),
        "model.spatial_lora_rank",
    )
    ends_in_one_sentence(
        sign2gpt("translate", lines, "--model", tmp_path / "nothing"), "nothing", "sign2gpt demo"
    )
    ends_in_one_sentence(sign2gpt("translate", tmp_path, "--fps", "0"), "--fps is 0.0")
    ends_in_one_sentence(sign2gpt("translate", lines, "--fps", "5"), "--fps", str(lines))
    ends_in_one_sentence(
        sign2gpt("train", "demo/pretrain", f"store={tmp_path}", f"output={tmp_path / 'out'}"),
        str(tmp_path),
        "manifest",
    )


@pytest.mark.parametrize(
    "command",
    [
        ("demo", "--out"),
        ("synth",),
        ("priors",),
        ("train", "demo/pretrain", "output="),
        ("train", "demo/pretrain", "features="),
    ],
    ids=lambda command: "-".join(command),
)
def test_an_output_that_is_no_folder_is_refused_before_any_work(
    sign2gpt: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    taken = tmp_path / "file"
    taken.write_text("mine")
    *first, last = command
    assigns = last.endswith("=")
    arguments = [*first, f"{last}{taken / 'x'}"] if assigns else [*command, taken / "x"]
    ends_in_one_sentence(sign2gpt(*arguments), "is not a folder", "name another")
    assert taken.read_text() == "mine"


@pytest.mark.parametrize(
    "command", [("prepare", "table", "t.csv"), ("synth",), ("shards", "s"), ("export", "m")]
)
def test_an_empty_output_is_refused(
    sign2gpt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ends_in_one_sentence(sign2gpt(*command, ""), "is empty", "name a folder")
    ends_in_one_sentence(sign2gpt(*command, "x\udcff"), "is not UTF-8", "name another folder")
    assert not list(tmp_path.iterdir())


def test_a_way_back_makes_no_folder(
    sign2gpt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", np.zeros((3, 32, 32, 3), np.uint8), 25.0)
    (tmp_path / "t.csv").write_text("path,text,split\nclip.mp4,regen,train\n")
    result = sign2gpt("prepare", "table", "t.csv", "a/../b", "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"b", "clip.mp4", "t.csv"}


def test_a_corpus_that_cannot_be_trained_on_says_so(
    sign2gpt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before hours are spent on it, and as it may be meant for scores alone, as a remark."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", np.zeros((3, 32, 32, 3), np.uint8), 25.0)
    rows = "id,path,text,split\na,clip.mp4,regen,train\nb,clip.mp4,regen,train\n"
    for last, remark in (("c,clip.mp4,sonne,valid\n", True), ("c,clip.mp4,sonne,dev\n", False)):
        (tmp_path / "t.csv").write_text(rows + last)
        result = sign2gpt("prepare", "table", "t.csv", f"s{remark}", "--id", "id", "--workers", "1")
        split = "valid" if remark else "dev"
        assert f"3 clips are in s{remark} (train 2, {split} 1), 3 of them" in result.stdout
        checked = sign2gpt("check", f"s{remark}", "--no-clips")
        for said in (result.stdout, checked.stdout):
            assert ("To train on it, it takes clips of the split dev, too." in said) is remark


def test_outputs_are_tried_where_permissions_say_yes(sign2gpt: Run, tmp_path: Path) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("no /proc")
    ends_in_one_sentence(sign2gpt("train", "demo/pretrain", "output=/proc/x"), "/proc", "no files")
    (tmp_path / "weather-xglm").write_text("mine")
    ends_in_one_sentence(sign2gpt("priors", tmp_path), "weather-xglm", "is not a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["weather-xglm"]


def test_help_names_the_recipes_and_explains_the_conventions(sign2gpt: Run) -> None:
    for verb in ("train", "params"):
        words = sign2gpt(verb, "--help").stdout.replace("\n", " ").replace("│", " ").split()
        assert {"demo/translate,", "phoenix14t/pretrain,"} <= set(words)
    assert all(word in sign2gpt("evaluate", "--help").stdout for word in ("tok:none", "tok:13a"))


@pytest.mark.parametrize(
    "option", [("--beams", "100000"), ("--threshold", "2"), ("--threshold", "-1")]
)
def test_numbers_of_translate_have_bounds(
    sign2gpt: Run, tmp_path: Path, option: tuple[str, str]
) -> None:
    result = sign2gpt("translate", tmp_path, *option)
    assert (
        result.returncode == 2
        and option[0] in result.stderr
        and "not in the range" in result.stderr
    )


def test_several_processes_are_refused(sign2gpt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun sets it
    ends_in_one_sentence(sign2gpt("train", "demo/pretrain"), "WORLD_SIZE is 2", "torchrun")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("demo.json", b"{"),
        ("demo.json", b"\xff\xfe"),
        ("timings.json", b"["),
        ("timings.json", b"[]"),
        ("report/scores.json", b"{}"),
        ("report/scores.json", b'{"settings": 3}'),
    ],
)
def test_a_damaged_file_of_a_demo_is_named(
    sign2gpt: Run, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    result = sign2gpt("demo", "--out", tmp_path)
    ends_in_one_sentence(result, str(file), "damaged", "delete it")
    assert not result.stdout and file.read_bytes() == content


@pytest.mark.parametrize(
    "error, sentence",
    [
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected"), "free some space"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "--dry-run` says how much"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "--dry-run` says how much"),
        (MemoryError(), "--dry-run` says how much"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "--dry-run` says how much"),
    ],
)
def test_what_the_machine_lacks_is_said_in_one_sentence(
    sign2gpt: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("sign2gpt.cli.app", fail)
    ends_in_one_sentence(sign2gpt("train", "demo/pretrain"), sentence)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_how_to_go_on(tmp_path: Path, sent: signal.Signals) -> None:
    command = [Path(sys.executable).parent / "sign2gpt", "demo", "--out", tmp_path / "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (tmp_path / "run" / "demo.json").exists():
            break
        time.sleep(0.1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().endswith("sign2gpt: stopped; the same command goes on from what is kept.")
