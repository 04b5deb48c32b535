"""Files for ELAN: what is read again, and what is never written over."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pympi import Eaf

from sign2gpt.elan import elan_files, without_overlap, write_elan
from sign2gpt.errors import UserError
from sign2gpt.spot import SpottedSign
from sign2gpt.translate import Translation

SPANS = st.tuples(st.integers(0, 40), st.integers(1, 20)).map(
    lambda span: SpottedSign("x", span[0] / 8, (span[0] + span[1]) / 8, 0.5)
)


def test_sentence_and_signs_are_read_again(tmp_path: Path) -> None:
    clip = tmp_path / "größer & more.mp4"
    clip.touch()
    signs = [
        SpottedSign("wind", 0.5, 1.25, 0.4),
        SpottedSign("freitag", 0.1, 0.75, 0.9),
        SpottedSign("<regen>", 0.75, 0.75, 0.2),
    ]
    path = tmp_path / "a.eaf"
    write_elan(path, clip, Translation("am <freitag> & \x00größer", tuple(signs), 3.0))
    read = Eaf(path)
    assert set(read.get_tier_names()) == {"sentence", "signs", "signs 2"}
    (sentence,) = read.get_annotation_data_for_tier("sentence")
    assert sentence == (0, 3000, "am <freitag> & größer")
    first, second = (sorted(read.get_annotation_data_for_tier(f"signs{n}")) for n in ("", " 2"))
    assert first == [(100, 750, "freitag"), (750, 751, "<regen>")]
    assert second == [(500, 1250, "wind")]
    (media,) = read.get_linked_files()
    assert media["MEDIA_URL"] == clip.resolve().as_uri() and media["MIME_TYPE"] == "video/mp4"
    assert {file.name for file in tmp_path.iterdir()} == {"a.eaf", clip.name}


def test_a_clip_without_signs_keeps_its_tier_and_a_folder_is_not_linked(tmp_path: Path) -> None:
    write_elan(tmp_path / "a.eaf", tmp_path, Translation("", (), 0.0))
    read = Eaf(tmp_path / "a.eaf")
    assert read.get_annotation_data_for_tier("signs") == [] and read.get_linked_files() == []
    assert read.get_annotation_data_for_tier("sentence") == [(0, 1, "")]


@given(st.lists(SPANS, max_size=12))
def test_rows_are_few_and_without_overlap(signs: list[SpottedSign]) -> None:
    rows = without_overlap(signs)
    assert sorted(id(sign) for row in rows for sign in row) == sorted(map(id, signs))
    for row in rows:
        assert all(one.end <= other.start for one, other in pairwise(row))
    at_once = [sum(one.start <= sign.start < one.end for one in signs) for sign in signs]
    assert len(rows) == max(at_once, default=0)


def test_no_work_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.eaf").write_text("mine")
    with pytest.raises(UserError, match=r"a\.eaf is there already; remove it"):
        elan_files([Path("b.mp4"), Path("a.mp4")], tmp_path)
    with pytest.raises(UserError, match=r"Two clips .*b\.eaf"):
        elan_files([Path("b.mp4"), Path("x/b.webm")], tmp_path)
    assert (tmp_path / "a.eaf").read_text() == "mine"
