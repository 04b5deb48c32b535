"""Part-of-speech taggers behind one door: words, their lemmas and universal parts of speech.

The paper uses spaCy (appendix A.1: ``de_core_news_sm``, ``zh_core_web_sm``). Its pipelines are not
on PyPI, so two taggers that ship their models stand beside it: HanTa for German, jieba for Chinese.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sign2gpt.errors import UserError
from sign2gpt.text.plain_words import PlainWords
from sign2gpt.text.tagged_words import Tagger, Token, missing_package

# The Stuttgart-Tübingen tag set, HanTa's sub-tags such as ADJ(A) included, in universal terms.
_STTS = {
    "ADJ": "ADJ",
    "ADV": "ADV",
    "APPO": "ADP",
    "APPR": "ADP",
    "APPRART": "ADP",
    "APZR": "ADP",
    "ART": "DET",
    "CARD": "NUM",
    "ITJ": "INTJ",
    "KOKOM": "CCONJ",
    "KON": "CCONJ",
    "KOUI": "SCONJ",
    "KOUS": "SCONJ",
    "NE": "PROPN",
    "NN": "NOUN",
    "NNA": "NOUN",
    "NNI": "NOUN",
    "PDAT": "DET",
    "PDS": "PRON",
    "PIAT": "DET",
    "PIS": "PRON",
    "PPER": "PRON",
    "PPOSAT": "DET",
    "PPOSS": "PRON",
    "PRELAT": "DET",
    "PRELS": "PRON",
    "PRF": "PRON",
    "PROAV": "ADV",
    "PTKA": "PART",
    "PTKANT": "INTJ",
    "PTKNEG": "PART",
    "PTKVZ": "ADP",
    "PTKZU": "PART",
    "PWAT": "DET",
    "PWAV": "ADV",
    "PWS": "PRON",
    "VA": "AUX",
    "VM": "AUX",
    "VV": "VERB",
    "$": "PUNCT",
}

# The ICTCLAS tag set by its first letters, the longer entry first where two would fit.
_ICTCLAS = {
    "nr": "PROPN",
    "ns": "PROPN",
    "nt": "PROPN",
    "nz": "PROPN",
    "eng": "X",
    "mq": "NUM",
    "n": "NOUN",
    "t": "NOUN",
    "s": "NOUN",
    "q": "NOUN",
    "i": "NOUN",
    "j": "NOUN",
    "l": "X",  # set phrases of several words ("吃火锅"), which are signed word by word
    "m": "NUM",
    "v": "VERB",
    "a": "ADJ",
    "b": "ADJ",
    "z": "ADJ",
    "d": "ADV",
    "r": "PRON",
    "c": "CCONJ",
    "p": "ADP",
    "f": "ADP",
    "u": "PART",
    "y": "PART",
    "k": "PART",
    "e": "INTJ",
    "o": "INTJ",
}

_WORD_OR_MARK = re.compile(r"\w+(?:[-.,:'’]\w+)*|[^\w\s]")


class HantaTagger:
    """German by HanTa, whose morphology gives lemmas too (extra ``demo``).

    Case is ignored, so that lower-cased text (PHOENIX14T) gets its nouns: told that case matters,
    HanTa reads "abend" in "schönen abend" as an adverb.
    """

    name = "hanta"
    language = "de"

    def __init__(self) -> None:
        try:
            import HanTa
            from HanTa.HanoverTagger import HanoverTagger
        except ImportError as error:
            raise missing_package("HanTa", "hanta") from error
        self.version = installed_version("HanTa")
        # The full path: a bare name would be looked for in the working directory first, and HanTa
        # unpickles what it finds.
        model = Path(HanTa.__file__).with_name("morphmodel_ger.pgz")
        self._hanta = HanoverTagger(str(model))
        # A corpus has few types and many tokens; both analyses depend on the word alone.
        self._hanta.analyze_forward = cache(self._hanta.analyze_forward)
        self._hanta.analyze_viterbi = cache(self._hanta.analyze_viterbi)

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]:
        return [self._tag(sentence) for sentence in sentences]

    def _tag(self, sentence: str) -> list[Token]:
        words = _WORD_OR_MARK.findall(sentence)
        analyses = self._hanta.tag_sent(words, casesensitive=False)
        return [
            Token(word, lemma.lower(), _STTS.get(re.split(r"[(.,]", tag)[0], "X"))
            for word, lemma, tag in analyses
        ]


class JiebaTagger:
    """Chinese segments by jieba (extra ``zh``); a segment is its own lemma.

    Segments come from the dictionary alone. With jieba's guesses at unknown words (``HMM=True``)
    there are more types and longer ones ("太美" for "太", "美"), further from the paper's.
    """

    name = "jieba"
    language = "zh"

    def __init__(self) -> None:
        try:
            import jieba
            from jieba.posseg import POSTokenizer
        except ImportError as error:
            raise missing_package("jieba", "jieba") from error
        self.version = installed_version("jieba")
        segmenter = jieba.Tokenizer()
        # What its initialize() does, without the marshal file it trusts in the shared /tmp.
        segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
        segmenter.initialized = True
        self._segmenter = POSTokenizer(segmenter)

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]:
        return [
            [
                Token(word, word.lower(), _universal(flag))
                for word, flag in self._segmenter.lcut(sentence, HMM=False)
                if not word.isspace()
            ]
            for sentence in sentences
        ]


class SpacyTagger:
    """Any installed spaCy pipeline that tags parts of speech (extra ``spacy``).

    Pipelines without a lemmatizer, the Chinese ones, give the segment itself as its lemma.
    """

    def __init__(self, pipeline: str) -> None:
        try:
            import spacy
        except ImportError as error:
            raise missing_package("spacy", f"spacy:{pipeline}") from error
        if not spacy.util.is_package(pipeline):
            raise UserError(
                f"The tagger 'spacy:{pipeline}' needs a spaCy pipeline that is not installed: run "
                f"'python -m spacy download {pipeline}', or name another tagger (hanta, jieba, "
                "plain:LANGUAGE)."
            )
        try:
            self._pipeline = spacy.load(pipeline, exclude=["ner"])
        except Exception as error:  # a broken or foreign package fails in its own ways
            raise UserError(
                f"The installed package '{pipeline}' cannot be loaded as a spaCy pipeline by spaCy "
                f"{spacy.__version__} ({type(error).__name__}): if it is meant to be one, "
                f"uninstall it and run 'python -m spacy download {pipeline}'."
            ) from error
        self.name = f"spacy:{pipeline}"
        self.version = f"{self._pipeline.meta['version']} (spaCy {spacy.__version__})"
        self.language = str(self._pipeline.lang)
        if not {"tagger", "morphologizer"} & set(self._pipeline.pipe_names):
            raise UserError(
                f"The spaCy pipeline '{pipeline}' does not tag parts of speech (it has "
                f"{self._pipeline.pipe_names}): use one that does, such as de_core_news_sm."
            )

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]:
        return [
            [
                Token(word.text, (word.lemma_ or word.text).lower(), word.pos_)
                for word in document
                if not word.is_space
            ]
            for document in self._pipeline.pipe(sentences)
        ]


_TAGGERS: Mapping[str, Callable[[], Any]] = {"hanta": HantaTagger, "jieba": JiebaTagger}


def load_tagger(spec: str) -> Tagger:
    """Make a tagger ready.

    Args:
        spec: ``"hanta"`` (German), ``"jieba"`` (Chinese) or ``"spacy:PIPELINE"`` such as
            ``"spacy:de_core_news_sm"``, the paper's; ``"plain:LANGUAGE"`` for languages without a
            tagger, such as ``"plain:pl"``.

    Raises:
        UserError: unknown name, or its library or pipeline is not installed.
    """
    if spec.startswith("spacy:") and spec != "spacy:":
        return SpacyTagger(spec.removeprefix("spacy:"))
    if spec.startswith("plain:") and spec != "plain:":
        return PlainWords(spec.removeprefix("plain:"))
    if spec not in _TAGGERS:
        raise UserError(
            f"There is no tagger '{spec}': write 'hanta' (German), 'jieba' (Chinese), "
            "'spacy:PIPELINE', for example 'spacy:de_core_news_sm', or 'plain:LANGUAGE', for "
            "example 'plain:pl'."
        )
    tagger: Tagger = _TAGGERS[spec]()
    return tagger


def _universal(flag: str) -> str:
    """The universal part of speech of one of jieba's flags."""
    return next((pos for start, pos in _ICTCLAS.items() if flag.startswith(start)), "X")
