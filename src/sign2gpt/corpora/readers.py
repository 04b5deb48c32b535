"""The corpora that can be read as they are published."""

from sign2gpt.corpora.corpus import Corpus
from sign2gpt.corpora.csl_daily import CSL_DAILY
from sign2gpt.corpora.how2sign import HOW2SIGN
from sign2gpt.corpora.openasl import OPENASL
from sign2gpt.corpora.phoenix14t import PHOENIX14T

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus for corpus in (PHOENIX14T, CSL_DAILY, HOW2SIGN, OPENASL)
}
