from impasto.networks.vgg import vgg


def filterbank(*, dims, channels, padding, seed):
    import torch

    torch.manual_seed(seed)
    return vgg(
        "filterbank",
        (1, 1, 1, 1, 1),
        (16, 32, 64, 128, 128),
        dims=dims,
        channels=channels,
        padding=padding,
        pooling="average",
    )
