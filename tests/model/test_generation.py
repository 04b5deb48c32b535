"""Generation: caching changes nothing, beams share the signs, keys are computed once a clip."""

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from transformers import GenerationMixin

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTForConditionalGeneration
from sign2gpt.model.kept_tokens import keep_tokens, plain_linear
from sign2gpt.model.shortlist import Shortlist


@pytest.fixture(scope="module", params=["xglm", "llama", "qwen2", "qwen3"])
def model(request, tiny_config, awaken):
    torch.manual_seed(5)
    return awaken(Sign2GPTForConditionalGeneration(tiny_config(request.param))).eval()


@pytest.mark.parametrize("beams", [1, 4])
def test_cache_changes_nothing(beams, model, clips):
    frames, num_frames = clips(9, 14)
    given = {"pixel_values": frames, "num_frames": num_frames, "num_beams": beams}
    cached = model.generate(**given, max_length=14)
    assert cached.shape[0] == 2
    assert torch.equal(cached, model.generate(**given, max_length=14, use_cache=False))


@pytest.mark.parametrize("beams", [2, 4, 30])  # 30: twice as many are kept as there are tokens
@pytest.mark.parametrize("more", [{}, {"length_penalty": 2.0}, {"eos_token_id": [1, 7, 9]}])
@pytest.mark.parametrize("kept", [None, [1, 2, 5, 7, 9, 11, 30]])
def test_the_best_of_each_beam_hold_the_best_of_all(beams, more, kept, model, clips, monkeypatch):
    frames, num_frames = clips(9, 14)
    if kept is not None:
        model = copy.deepcopy(model)
        keep_tokens(model.decoder, kept, plain_linear)
    given = {"pixel_values": frames, "num_frames": num_frames, "num_beams": beams, "max_length": 14}
    given |= {"num_return_sequences": beams} | more
    seen = []
    listed = Shortlist.of
    monkeypatch.setattr(Shortlist, "of", lambda *args: seen.append(1) or listed(*args))
    ours = model.generate(**given)
    assert seen
    plain = GenerationMixin._beam_search
    monkeypatch.setattr(Sign2GPTForConditionalGeneration, "_beam_search", plain)
    assert torch.equal(ours, model.generate(**given))


@pytest.mark.parametrize("kept", [[2], [2, 5], [1, 2, 5]])
def test_a_search_among_hardly_any_tokens_is_the_plain_one(kept, model, clips, monkeypatch):
    model = copy.deepcopy(model)
    keep_tokens(model.decoder, kept, plain_linear)
    given = {"pixel_values": clips(9)[0], "num_beams": 4, "max_length": 9, "eos_token_id": [2, 5]}
    ours = model.generate(**given)
    plain = GenerationMixin._beam_search
    monkeypatch.setattr(Sign2GPTForConditionalGeneration, "_beam_search", plain)
    assert torch.equal(ours, model.generate(**given))


def test_what_else_runs_inside_a_search_is_not_of_it(model, clips):
    other, checked = copy.deepcopy(model), []
    given, labels = {"pixel_values": clips(9)[0]}, torch.tensor([[5, 7, 9]])
    alone = other.generate(**given, num_beams=1, max_length=9)
    logits = model(**given, labels=labels).logits

    def meanwhile(texts: torch.Tensor, *_: object) -> torch.Tensor:
        assert torch.equal(other.generate(**given, num_beams=1, max_length=9), alone)
        torch.testing.assert_close(model(**given, labels=labels).logits, logits)
        checked.append(len(texts))
        return torch.zeros(len(texts), dtype=torch.bool)

    model.generate(**given, num_beams=4, max_length=5, stopping_criteria=[meanwhile])
    assert len(checked) > 1


ALL = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}


@pytest.mark.parametrize("more", [{"min_new_tokens": 8}, {"no_repeat_ngram_size": 1}, ALL])
def test_who_asks_for_all_scores_has_them(more, model, clips, monkeypatch):
    frames, num_frames = clips(9, 14)
    given = {"pixel_values": frames, "num_frames": num_frames, "num_beams": 4, "max_length": 14}
    ours = model.generate(**given, **more)
    plain = GenerationMixin._beam_search
    monkeypatch.setattr(Sign2GPTForConditionalGeneration, "_beam_search", plain)
    theirs = model.generate(**given, **more)
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs)
    else:
        assert ours.scores[0].shape == (8, model.config.text_config.vocab_size)
        for name in ("sequences", "sequences_scores", "beam_indices", "scores", "logits"):
            torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))


def test_two_searches_at_once_have_a_shortlist_each(model, clips):
    frames, _ = clips(9)
    beams = range(2, 6)
    alone = [model.generate(pixel_values=frames, num_beams=n, max_length=14) for n in beams]
    with ThreadPoolExecutor(4) as pool:
        search = partial(model.generate, pixel_values=frames, max_length=14)
        together = pool.map(lambda n: search(num_beams=n), beams)
        assert all(map(torch.equal, alone, together))


def test_greedy_search_follows_the_teacher_forced_logits(model, clips):
    frames, num_frames = clips(9, 14)
    given = {"pixel_values": frames, "num_frames": num_frames}
    ids = model.generate(**given, num_beams=1, max_length=10)
    logits = model(**given, decoder_input_ids=ids).logits
    end = model.config.eos_token_id
    for row, scores in zip(ids, logits, strict=True):
        for position in range(len(row) - 1):
            assert int(scores[position].argmax()) == int(row[position + 1])
            if int(row[position + 1]) == end:
                break


def test_keys_and_values_are_computed_once_and_for_clips_not_beams(model, clips, monkeypatch):
    frames, num_frames = clips(9, 14)
    shapes = []
    gated = model.decoder.gates[0]
    adapter = gated.cross_key
    original = adapter.apply_to

    def counting(linear, inputs, bias=True):
        shapes.append(inputs.shape[0])
        return original(linear, inputs, bias)

    monkeypatch.setattr(adapter, "apply_to", counting)
    given = {"pixel_values": frames, "num_frames": num_frames, "min_new_tokens": 6}
    model.generate(**given, num_beams=4, max_new_tokens=6)
    assert shapes == [2]
    model.generate(**given, num_beams=4, max_new_tokens=6)
    assert shapes == [2, 2]  # nothing is left over from the generation before


def test_keys_are_not_kept_while_gradients_are_on(model, clips):
    signs = model.encode(clips(9)[0])
    memory = model.decoder.remember(*signs, keep=True)
    model.decoder(torch.tensor([[2, 5]]), memory)
    assert not memory.kept


def test_all_ways_of_giving_a_clip_agree(model, clips):
    frames, num_frames = clips(9, 14)
    ids = model.generate(pixel_values=frames, num_frames=num_frames, max_length=10)
    features, mask = model.encode(frames, num_frames)
    tokens = model.spatial_model.frozen_tokens(frames)
    others = (
        {"encoder_outputs": (features, mask)},
        {"sign_features": features, "sign_mask": mask},
        {"frame_tokens": tokens, "num_frames": num_frames},
        {"inputs": frames, "num_frames": num_frames},
    )
    for given in others:
        assert torch.equal(ids, model.generate(**given, max_length=10))


def test_several_sentences_and_sampling(model, clips):
    frames, num_frames = clips(9, 14)
    given = {"pixel_values": frames, "num_frames": num_frames, "max_new_tokens": 5}
    assert len(model.generate(**given, num_return_sequences=3)) == 6
    assert len(model.generate(**given, num_beams=1, do_sample=True)) == 2


def test_default_search_is_four_beams_of_at_most_64_tokens(tiny_config, clips):
    model = Sign2GPTForConditionalGeneration(tiny_config()).eval()
    assert model.generation_config.num_beams == 4
    ids = model.generate(pixel_values=clips(4)[0], eos_token_id=49, suppress_tokens=[49])
    assert ids.shape == (1, 64)


def test_forward_without_words_is_refused(model, clips):
    with pytest.raises(UserError, match="labels or decoder_input_ids"):
        model(pixel_values=clips(4)[0])
    with pytest.raises(UserError, match="pseudo-gloss head"):
        model.localise(clips(4)[0])
