"""Word vectors: trained ones are reproducible and tell words apart, those of a file come as are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sign2gpt.errors import UserError
from sign2gpt.text.word_vectors import corpus_vectors, file_vectors, spread_vectors

gensim = pytest.importorskip("gensim", reason="gensim is not installed")


def template_sentences(count: int = 600) -> tuple[list[list[str]], list[str]]:
    rng = np.random.default_rng(0)
    places = ["küste", "gebirge", "stadt", "insel", "wald", "tal", "fluss", "dorf"]
    weather = ["regen", "schnee", "sonne", "nebel", "wind", "gewitter", "hagel", "frost"]
    times = ["heute", "morgen", "abend", "nacht", "montag", "freitag", "winter", "sommer"]
    slots = [times, places, weather]
    sentences = [[str(rng.choice(slot)) for slot in slots] for _ in range(count)]
    return sentences, sorted({*times, *places, *weather})


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)]


def test_corpus_vectors_are_reproducible_and_tell_words_apart() -> None:
    sentences, words = template_sentences()
    vectors = corpus_vectors(sentences, words, size=100, seed=3)
    assert vectors.shape == (len(words), 100) and vectors.dtype == np.float32
    assert np.array_equal(vectors, corpus_vectors(sentences, words, size=100, seed=3))
    assert not np.array_equal(vectors, corpus_vectors(sentences, words, size=100, seed=4))
    assert np.abs(cosines(vectors)).mean() < 0.2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_raw_vectors_of_such_a_corpus_do_coincide() -> None:
    """The reason for spreading: without it the pairs of words are nearly the same vector."""
    sentences, words = template_sentences(1800)
    model = gensim.models.FastText(
        sentences, vector_size=100, min_count=1, bucket=2**12, workers=1, epochs=10, sg=1
    )
    raw = np.stack([model.wv[word] for word in words])
    assert cosines(raw).mean() > 0.5
    assert np.abs(cosines(spread_vectors(raw))).mean() < 0.2


def test_words_the_corpus_lacks_get_a_vector() -> None:
    sentences, words = template_sentences(50)
    assert np.isfinite(corpus_vectors(sentences, [*words, "gewitterregen", "水"], size=20)).all()


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(2, 12), st.integers(4, 8)), elements=st.floats(-9, 9)
    ),
    st.floats(-5, 5),
)
def test_spreading_ignores_what_all_vectors_share(vectors: np.ndarray, offset: float) -> None:
    try:
        spread = spread_vectors(vectors)
    except UserError:
        return  # some vector is the mean itself
    assert spread.shape == vectors.shape and np.isfinite(spread).all()
    np.testing.assert_allclose(np.linalg.norm(spread, axis=1), 1, rtol=1e-4)


def test_spreading_takes_off_the_mean_and_keeps_likeness() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(10, 50))
    pairs = np.repeat(centres, 2, axis=0) + 0.3 * rng.normal(size=(20, 50)) + 20
    spread = spread_vectors(pairs)
    nearest = np.argmax(spread @ spread.T - 2 * np.eye(20), axis=1)
    assert np.array_equal(nearest, np.arange(20) ^ 1)
    assert cosines(pairs).min() > 0.95 and abs(cosines(spread).mean()) < 0.1
    np.testing.assert_allclose(spread, spread_vectors(3 * pairs + 7), atol=1e-3)


def test_vectors_that_coincide_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be told apart"):
        spread_vectors(np.ones((3, 5)))
    assert np.allclose(spread_vectors(np.ones((1, 4))), 0.5)


def test_nothing_to_train_on_is_refused() -> None:
    for sentences, words in [([], ["a"]), ([[]], ["a"]), ([["a"]], [])]:
        with pytest.raises(UserError, match="cannot be trained"):
            corpus_vectors(sentences, words)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real fastText model, in the format of cc.de.300.bin."""
    sentences, _ = template_sentences(100)
    model = gensim.models.FastText(
        sentences, vector_size=12, min_count=1, bucket=1000, workers=1, seed=0
    )
    path = tmp_path_factory.mktemp("vectors") / "tiny.bin"
    gensim.models.fasttext.save_facebook_model(model, str(path))
    return path


def test_model_file_gives_every_word_a_vector(model_file: Path) -> None:
    keyed = gensim.models.fasttext.load_facebook_vectors(str(model_file))
    vectors = file_vectors(model_file, ["regen", "regenwald"], size=12)
    assert vectors.shape == (2, 12) and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.stack([keyed["regen"], keyed["regenwald"]]))


def test_text_file_gives_the_words_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "tiny.vec"
    path.write_text("3 2\nder 1 2\nWolke 3 4\nüber 5e-1 -6 \n", encoding="utf-8")
    vectors = file_vectors(path, ["über", "wolke"])
    np.testing.assert_array_equal(vectors, np.array([[0.5, -6], [3, 4]], np.float32))
    with pytest.raises(UserError, match=r"1 of 2 words \(\['regen'\]"):
        file_vectors(path, ["der", "regen"])
    with pytest.raises(UserError, match="2 wide where 300"):
        file_vectors(path, ["der"], size=300)


@pytest.mark.parametrize("content", ["", "der 1 2\n", "1 3\nder 1 2\n", "1 2\nder 1 x\n", "\udc80"])
def test_broken_text_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.vec"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="not fastText text"):
        file_vectors(path, ["der"])


def test_broken_model_is_refused(tmp_path: Path, model_file: Path) -> None:
    for name, content in [
        ("text.bin", b"1 2\nder 1 2\n"),
        ("cut.bin", model_file.read_bytes()[:999]),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="not a whole fastText model"):
            file_vectors(tmp_path / name, ["der"])


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not there"):
        file_vectors(tmp_path / "absent.bin", ["der"])
    with pytest.raises(UserError, match="no known kind"):
        file_vectors(tmp_path / "vectors.npy", ["der"])
