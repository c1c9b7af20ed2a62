"""The toys of the course in one, two and three dimensions: filters of 5 without padding over 14
positions along each axis, content and Gram loss by hand, and a short gradient descent on J.

    python examples/toys.py        all three
    python examples/toys.py 3      14 x 14 x 14 with 16 filters of 5 x 5 x 5

The network is one block of the package's VGG, whose filters may be of any size and dimension.
Random filters decide the numbers; these are of torch 2.13, J before and after 100 steps:

    14 x 1             activations 10 x 16            J = 7.357, 0.476
    14 x 14 x 3        activations 10 x 10 x 16       J = 15.62, 3.997
    14 x 14 x 14 x 1   activations 10 x 10 x 10 x 16  J = 208.6, 11.84
"""

import sys

import torch
from torch import Tensor

import impasto
from impasto.networks.vgg import vgg

TOYS = {1: 1, 2: 3, 3: 1}
"""Channels by dimensions."""

FILTERS = 16
LAYER = "relu1_1"
ALPHA, BETA = 1.0, 1e4


def content_loss(a_C: Tensor, a_G: Tensor) -> Tensor:
    """J_content = 1/2 || a(C) - a(G) ||^2"""
    return 0.5 * (a_C - a_G).square().sum()


def gram(a: Tensor) -> Tensor:
    """Gram_kk' = sum over positions of a_k a_k', from activations of shape (channel, *space)."""
    rows = a.flatten(1)
    return rows @ rows.T


def gram_loss(a_S: Tensor, a_G: Tensor) -> Tensor:
    """J_style = 1 / (2 n_H n_W n_C)^2 || Gram(S) - Gram(G) ||_F^2"""
    return (gram(a_S) - gram(a_G)).square().sum() / (2 * a_G.numel()) ** 2


def toy(dims: int, channels: int, filters: int) -> tuple[tuple[float, float], ...]:
    """Prints the shapes and losses of one toy; J at the beginning and at the end."""
    torch.manual_seed(0)
    network = vgg(
        "toy",
        blocks=(1,),
        widths=(filters,),
        dims=dims,
        channels=channels,
        kernel=5,
        padding="valid",
        last_pooling=False,
    )
    shape = (channels,) + (14,) * dims
    C, S = (impasto.Sample(torch.rand(shape).numpy() ** power, (0.0, 1.0)) for power in (1, 3))
    a_C, a_S = (impasto.activations(sample, LAYER, network)[LAYER] for sample in (C, S))
    n_C, *grid = a_C.shape
    print(f"{dims}-D: {' x '.join(map(str, (*shape[1:], channels)))}, {n_C} filters of 5")
    print(f"  activations: {' x '.join(map(str, grid))}, {n_C} channels")
    print(f"  J_content(C, S) = {content_loss(a_C, a_S):.4g}, J_style = {gram_loss(a_S, a_C):.4g}")
    values = []

    def by_hand(progress: impasto.Progress) -> None:
        """J of this step's G, beside impasto's."""
        a_G = network(progress.g.cpu(), {LAYER})[LAYER][0]
        J = ALPHA * content_loss(a_C, a_G) + BETA * gram_loss(a_S, a_G)
        values.append((progress.value, J.item()))

    config = impasto.configure(
        alpha=ALPHA,
        beta=BETA,
        content_layers=LAYER,
        style_layers=LAYER,
        normalization="course",
        style_losses="gram",
        network=network,
        optimizer="gradient-descent",
        learning_rate=0.02,
        init="noise",
        size=0,
        coarsest=0,
        steps=100,
        average=0,
        precision="fp32",
    )
    impasto.stylize(C, S, config, callback=by_hand)
    for name, (J, hand) in (("first", values[0]), ("last", values[-1])):
        print(f"  {name} step: J = {J:.4g} (by hand {hand:.4g})")
    return values[0], values[-1]


if __name__ == "__main__":
    for chosen in map(int, sys.argv[1:] or TOYS):
        toy(chosen, TOYS[chosen], FILTERS)
