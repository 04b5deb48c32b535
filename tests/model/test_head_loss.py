"""The chunked loss against torch's cross-entropy over whole logits."""

import pytest
import torch
import torch.nn.functional as F

from sign2gpt.model import Sign2GPTForConditionalGeneration
from sign2gpt.model.head_loss import TARGETS_AT_ONCE, head_loss


@pytest.mark.parametrize("count", [1, TARGETS_AT_ONCE, 2 * TARGETS_AT_ONCE + 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_value_and_gradient_are_torchs(count, smoothing):
    torch.manual_seed(0)
    features = torch.randn(count, 16, requires_grad=True)
    weight, labels = torch.randn(300, 16), torch.randint(300, (count,))
    own = head_loss(features, weight, labels, smoothing)
    whole = F.cross_entropy(features @ weight.T, labels, label_smoothing=smoothing)
    torch.testing.assert_close(own, whole, atol=1e-5, rtol=1e-5)
    (found,) = torch.autograd.grad(3 * own, features)
    (wanted,) = torch.autograd.grad(3 * whole, features)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_a_second_derivative_is_refused():
    features = torch.randn(3, 16, requires_grad=True)
    loss = head_loss(features * features, torch.randn(9, 16), torch.tensor([1, 2, 3]), 0.1)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, features, create_graph=True)


def test_bfloat16_is_within_its_rounding():
    torch.manual_seed(0)
    features = torch.randn(70, 16, requires_grad=True)
    weight, labels = torch.randn(300, 16), torch.randint(300, (70,))
    with torch.autocast("cpu", torch.bfloat16):
        own = head_loss(features, weight, labels, 0.1)
    assert own.dtype == torch.float32
    (found,) = torch.autograd.grad(own, features)
    whole = F.cross_entropy(features @ weight.T, labels, label_smoothing=0.1)
    (wanted,) = torch.autograd.grad(whole, features)
    torch.testing.assert_close(own, whole, atol=0, rtol=2e-2)
    assert (found - wanted).norm() < 2e-2 * wanted.norm()


@pytest.mark.parametrize("scale", [1.0, 1024.0, 65536.0])
def test_float16_gradients_are_right_at_any_loss_scale(scale):
    torch.manual_seed(0)
    features = torch.randn(70, 16).half().requires_grad_()
    weight, labels = torch.randn(300, 16).half(), torch.randint(300, (70,))
    own = head_loss(features, weight, labels, 0.1)
    (found,) = torch.autograd.grad(scale * own, features)
    exact = features.detach().float().requires_grad_()
    whole = F.cross_entropy(exact @ weight.float().T, labels, label_smoothing=0.1)
    (wanted,) = torch.autograd.grad(scale * whole, exact)
    assert (found.float() - wanted).norm() < 2e-3 * wanted.norm()


def test_training_loss_is_that_of_the_logits_in_evaluation(tiny_config, awaken, clips):
    quiet = dict.fromkeys(
        ("spatial_lora_dropout", "sign_dropout", "sign_drop_path", "decoder_lora_dropout"), 0.0
    )
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(**quiet)))
    frames, lengths = clips(6, 4)
    model.train()(frames, lengths, labels=torch.ones(2, 3, dtype=torch.int64))
    model.spatial_model.norm.eval()
    labels = torch.tensor([[5, 6, 2], [7, 2, -100]])
    trained = model(frames, lengths, labels=labels)
    assert trained.logits is None
    evaluated = model.eval()(frames, lengths, labels=labels)
    torch.testing.assert_close(trained.loss, evaluated.loss, atol=1e-5, rtol=1e-5)
