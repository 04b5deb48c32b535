"""The network, tensors only: spatial model, sign encoder, gated language decoder."""
