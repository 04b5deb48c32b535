"""The invented sign language: forms follow from glosses, and tell them apart."""

from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.synth.grammar import inventory
from sign2gpt.synth.lexicon import HANDSHAPES, LOCATIONS, MINIMAL_PAIRS, MOVEMENTS, sign_of
from sign2gpt.synth.motion import sign_pose


def test_inventory_is_as_large_as_promised() -> None:
    assert len(inventory()) >= 150
    assert len(HANDSHAPES) >= 12
    assert len(LOCATIONS) >= 10
    assert len(MOVEMENTS) >= 8


def test_no_two_signs_of_the_grammar_look_the_same() -> None:
    for seed in range(3):
        forms = {sign_of(gloss, seed).form for gloss in inventory()}
        assert len(forms) == len(inventory()), f"seed {seed}"


def test_the_grammar_uses_the_whole_phonology() -> None:
    signs = [sign_of(gloss) for gloss in inventory()]
    assert {sign.handshape for sign in signs} == set(HANDSHAPES)
    assert {sign.location for sign in signs} == set(LOCATIONS)
    assert {sign.movement for sign in signs} == set(MOVEMENTS)
    assert {sign.hands for sign in signs} == {"one", "mirrored", "parallel", "base"}
    assert {sign.repeated for sign in signs} == {True, False}


def test_minimal_pairs_differ_in_the_one_parameter_named() -> None:
    for gloss, (partner, parameter) in MINIMAL_PAIRS.items():
        assert {gloss, partner} <= set(inventory())
        for seed in range(4):
            assert sign_of(gloss, seed).differs_in(sign_of(partner, seed)) == (parameter,)
    assert len({parameter for _, parameter in MINIMAL_PAIRS.values()}) >= 5


def test_negated_glosses_are_their_positive_with_a_head_shake() -> None:
    assert sign_of("neg-REGEN").differs_in(sign_of("REGEN")) == ("head",)
    assert sign_of("NICHT").head == "shake"


def test_form_is_pinned_across_runs_and_machines() -> None:
    sign = sign_of("REGEN")
    assert (sign.handshape, sign.location, sign.movement) == ("ring", "chin", "circle_back")


@given(gloss=st.text(), seed=st.integers(0, 2**32))
def test_any_gloss_can_be_signed_and_always_alike(gloss: str, seed: int) -> None:
    sign = sign_of(gloss, seed)
    assert sign == sign_of(gloss, seed)
    assert sign.gloss == gloss
    assert len(sign_pose(sign)) == 1
