"""Word vectors of pseudo-glosses: the prototypes of section 3.3, from a fastText file or a corpus.

Shapes: V pseudo-glosses, E width of a vector (300 in the paper).
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sign2gpt.errors import UserError

Vectors = NDArray[np.float32]


def corpus_vectors(
    sentences: Sequence[Sequence[str]],
    words: Sequence[str],
    size: int = 300,
    seed: int = 0,
    epochs: int = 30,
) -> Vectors:
    """Train fastText on a corpus's own sentences: prototypes without a download.

    The same input always gives the same vectors. They are spread out by :func:`spread_vectors`;
    as trained on so little text they would nearly coincide. Words that the sentences lack get
    theirs from their character n-grams.

    Args:
        sentences: the words of each TRAINING sentence, in the form of ``words`` (lemmas with
            lemmas: what :func:`~sign2gpt.text.pseudo_gloss.pseudo_glosses` gives).
        words: the V words whose vectors are wanted.
        size: E.
        seed: of the initial vectors and of the sampled negatives.
        epochs: passes over the sentences.

    Returns:
        (V, E), each of length 1.

    Raises:
        UserError: no sentences, no words, or gensim is not installed.
    """
    if not words or not any(sentences):
        raise UserError(
            f"Word vectors of {len(words)} words cannot be trained on {len(sentences)} sentences: "
            "give at least one word and one sentence that is not empty."
        )
    model = _gensim().models.FastText(
        sentences=[list(sentence) for sentence in sentences],
        vector_size=size,
        seed=seed,
        epochs=epochs,
        window=3,
        sg=1,
        min_count=1,
        bucket=2**15,  # n-grams of a small corpus; the customary two million take 2.4 GB
        workers=1,  # a second one would make the order of the updates a matter of chance
        hashfxn=_stable_hash,
    )
    return spread_vectors(np.stack([model.wv[word] for word in words]))


def spread_vectors(vectors: NDArray[Any], power: float = 0.25) -> Vectors:
    """Take apart vectors that all point the same way, so that their cosines can tell words apart.

    Vectors learnt from little text share a large mean and few directions: all pairs of words have
    a cosine of 0.5 to 1, where eq. (2) needs a pseudo-gloss to be near its own prototype alone. As
    in Mu & Viswanath (2018) the mean is taken off. The directions left are evened out by raising
    the singular values to a power (Levy, Goldberg & Dagan, 2015), where removing a fixed number of
    them would leave the next ones as dominant. Mean absolute cosine of all pairs before -> after
    with 0.25 (with their 0.5): 1,800 invented forecasts 0.53 -> 0.09 (0.22), as many real ones
    0.68 -> 0.08 (0.18). Words of like meaning stay nearest neighbours.

    Args:
        vectors: (V, E).
        power: 1 leaves the singular values alone, 0 whitens and with it loses all likeness.

    Returns:
        (V, E), each of length 1.

    Raises:
        UserError: two or more vectors that are all the same, which nothing can take apart.
    """
    centred = np.asarray(vectors, dtype=np.float64)
    if len(centred) > 1:  # a mean of one would take off the vector itself
        centred = centred - centred.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    # Directions that are rounding alone would be blown up by a power under 1.
    kept = singular > 1e-6 * max(singular[0], 1e-12)
    spread = (left[:, kept] * singular[kept] ** power) @ right[kept]
    lengths = np.linalg.norm(spread, axis=1, keepdims=True)
    if not (lengths > 1e-9).all():
        raise UserError(
            f"The {len(spread)} word vectors cannot be told apart (one is zero or their mean): "
            "train them on more sentences or take them from a fastText file."
        )
    return (spread / lengths).astype(np.float32)


_FASTTEXT = "https://dl.fbaipublicfiles.com/fasttext/vectors-crawl"


def require_vectors(path: str | Path) -> None:
    """Raise `UserError` unless there is a file of word vectors."""
    path = Path(path)
    if path.suffix not in _READERS:
        raise UserError(f"The word vectors {path} are of no known kind: give a .bin or .vec file.")
    if not path.is_file():
        published = path.name.startswith("cc.")
        address = f"{_FASTTEXT}/{path.name}.gz" if published else "https://fasttext.cc"
        raise UserError(
            f"The word vectors {path} are not there: download them ({address}) and unpack them, "
            "mend the path, or train some on the sentences with pseudo_glosses.vectors=corpus."
        )


def file_vectors(path: str | Path, words: Sequence[str], size: int | None = None) -> Vectors:
    """Read the vectors of some words from a fastText file, as they are (the paper's prototypes).

    Args:
        path: a model such as ``cc.de.300.bin``, whose character n-grams give every word a vector;
            or text such as ``cc.de.300.vec``, a word a line, read line by line.
        words: the V words wanted. In text, a word that is missing is looked for capitalised, since
            pseudo-glosses are in lower case.
        size: E, where the vectors must have a certain width.

    Returns:
        (V, E), of the lengths they have in the file.

    Raises:
        UserError: not such a file, another width, a word without a vector, or gensim not installed.
    """
    path = Path(path)
    require_vectors(path)
    vectors = _READERS[path.suffix](path, words)
    if size is not None and vectors.shape[1] != size:
        raise UserError(
            f"The word vectors in {path} are {vectors.shape[1]} wide where {size} are asked for: "
            "set the width to the file's, or give another file."
        )
    return vectors


def _from_model(path: Path, words: Sequence[str]) -> Vectors:
    try:
        keyed = _gensim().models.fasttext.load_facebook_vectors(str(path))
    except UserError:
        raise
    except Exception as error:  # the reader fails in as many ways as a file can be broken
        raise UserError(
            f"{path} is not a whole fastText model ({type(error).__name__}: {error}): download it "
            "anew."
        ) from error
    try:
        vectors = np.stack([keyed[word] for word in words])
    except KeyError as error:
        raise UserError(
            f"{path} has no vector for {error} since it was trained without character n-grams: "
            "use a model that has them, such as cc.de.300.bin."
        ) from error
    return vectors.astype(np.float32)


def _from_text(path: Path, words: Sequence[str]) -> Vectors:
    wanted = {form for word in words for form in (word, word.capitalize())}
    found: dict[str, Vectors] = {}
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            count, width = (int(number) for number in next(file).split())
            for line in file:
                word, _, numbers = line.rstrip().partition(" ")
                if word in wanted:
                    found[word] = np.array(numbers.split(" "), dtype=np.float32)
                    if found[word].shape != (width,):
                        raise ValueError(f"'{word}' has {len(found[word])} of {width} numbers")
    except (ValueError, StopIteration) as error:
        raise UserError(
            f"{path} is not fastText text, 'COUNT WIDTH' and then a word and its numbers a line "
            f"({error}): download it anew."
        ) from error
    forms = [word if word in found else word.capitalize() for word in words]
    missing = [word for word, form in zip(words, forms, strict=True) if form not in found]
    if missing:
        raise UserError(
            f"{path} has no vector for {len(missing)} of {len(words)} words ({missing[:5]}...), "
            f"among its {count}: use the .bin of the same language, which has one for every word."
        )
    return np.stack([found[form] for form in forms])


def _gensim() -> Any:
    try:
        import gensim.models.fasttext
    except ImportError as error:
        raise UserError(
            "Word vectors need the package gensim, which is not installed: run 'pip install "
            "gensim'."
        ) from error
    return gensim


def _stable_hash(word: str) -> int:
    """Python's own hash of a string differs from run to run."""
    return zlib.crc32(word.encode())


_READERS: dict[str, Callable[[Path, Sequence[str]], Vectors]] = {
    ".bin": _from_model,
    ".vec": _from_text,
}
