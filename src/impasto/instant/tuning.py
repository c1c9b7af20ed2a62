"""A decoder for one style: training goes on with that style alone (Johnson et al. 2016, Perceptual
losses for real-time style transfer), from the decoder for all styles."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from impasto.errors import SampleError
from impasto.grids.patch import Values
from impasto.instant.encoder import COLOR, TAPS, Activations, encode, halved
from impasto.instant.instant import Goal, Instant
from impasto.instant.objective import StyleGoal, decoded_terms
from impasto.instant.pyramid import sharpened
from impasto.media.files import atomic_write
from impasto.version import __version__

SIDE, SIZES = 256, 2
"""Of the crops of contents, and the sizes of the style that each step has a crop for."""

RATE, WARM_UP = 2e-4, 50
"""The highest learning rate, and how many steps it rises: Adam knows no gradients before."""

AVERAGE = 0.99
"""Decay of the running average of the weights, which is what is kept."""

EVERY = 60.0
"""Seconds between two checkpoints."""

LEAST = 64
"""The smallest side of a content."""


@dataclass(frozen=True)
class TuningStep:
    """What a callback is told after each step.

    Attributes:
        step: the number of steps so far.
        steps: of the whole tuning.
        value: J, a mean over the crops of this step.
        terms: the parts of J.
        seconds: since the tuning began or went on.
        saved: whether the decoder has just been saved.
        picture: a function that stylizes a picture with the decoder as it is now.
    """

    step: int
    steps: int
    value: float
    terms: dict[str, float]
    seconds: float
    saved: bool
    picture: Callable[[Values], Values]


class Tuning:
    """Trains a decoder for one style, and can go on where it was interrupted.

    Args:
        instant: the encoder, and the decoder to start from, which stays as it is.
        style: values in [0, 1], shape (1, 3, height, width), of the size that styles will have.
        contents: pictures of which it learns on crops, in the same form.
        output: the file of the decoder.
        steps: how many steps to take.
        seed: of the crops.
        likeness: the weight of looking like the content. With 0, a decoder paints more of its style
            than the one for all styles does, and loses as much more of the content.

    Raises:
        SampleError: there is no content, or one is too small.
    """

    def __init__(
        self,
        instant: Instant,
        style: Float[Tensor, "1 3 _ _"],
        contents: Sequence[Float[Tensor, "1 3 _ _"]],
        output: Path,
        *,
        steps: int = 1000,
        seed: int = 0,
        likeness: float = 10.0,
    ) -> None:
        least = min((min(each.shape[2:]) for each in contents), default=0)
        if least < LEAST:
            raise SampleError(
                subject="--contents",
                expected=f"at least one picture, each with sides of {LEAST} pixels or more",
                found=f"a side of {least}" if contents else "none",
                remedy="pass photographs, the more the better",
            )
        self.instant, self.steps, self.seed, self.likeness = instant, steps, seed, likeness
        self.contents, self.output = contents, output
        self.statistics = instant.statistics(style)
        sums = [self.statistics.at(size) for size in range(SIZES)]
        self.goals = [
            StyleGoal({tap: each.gaussian(tap) for tap in (*TAPS, COLOR)}) for each in sums
        ]
        self.decoder = copy.deepcopy(instant.decoder).requires_grad_(True)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), betas=(0.9, 0.99))
        self.step = 0
        self.identity = self._identity(style)

    @property
    def checkpoint(self) -> Path:
        """The file with which an interrupted tuning goes on; it is removed at the end."""
        return self.output.with_name(f"{self.output.name}.tuning")

    def resume(self) -> bool:
        """Goes on from the checkpoint, if there is one of the same tuning."""
        try:
            saved = torch.load(self.checkpoint, weights_only=True)
        except FileNotFoundError:
            return False
        except Exception:  # torch.load raises whatever a damaged file makes it raise
            return False
        if saved.get("identity") != self.identity:
            return False
        self.decoder.load_state_dict(saved["decoder"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        return True

    def run(self, callback: Callable[[TuningStep], bool | None] | None = None) -> bool:
        """Takes the steps and saves the decoder.

        Args:
            callback: called after each step. It ends the tuning by returning False or by raising
                KeyboardInterrupt; a checkpoint is left then.

        Returns:
            Whether all steps were taken.

        Raises:
            OutputError: the decoder cannot be written.
        """
        began = last = time.monotonic()
        while self.step < self.steps:
            terms = self._learn()
            now = time.monotonic()
            due = now - last > EVERY or self.step == self.steps
            if due:
                last = now
                self._save()
            value = sum(terms.values())
            told = TuningStep(self.step, self.steps, value, terms, now - began, due, self.picture)
            try:
                stop = callback is not None and callback(told) is False
            except KeyboardInterrupt:
                stop = True
            if stop and self.step < self.steps:
                self._save()
                return False
        self.checkpoint.unlink(missing_ok=True)
        return True

    def picture(self, content: Values) -> Values:
        """Stylizes a picture with the decoder as it is now."""
        instant = Instant(self.average, self.instant.network)
        return instant.render(content, [Goal([self.statistics])])

    def _learn(self) -> dict[str, float]:
        """Takes a step; returns the parts of J, means over its crops."""
        progress = self.step / self.steps
        rising = min(1.0, (self.step + 1) / WARM_UP)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * rising * 0.5 * (1 + math.cos(math.pi * progress))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        crops = [self._crop(generator) for _ in self.goals]
        found = [encode(self.instant.network, crop) for crop in crops]
        moved = [
            self._given(crop, shown, size)
            for size, (crop, shown) in enumerate(zip(crops, found, strict=True))
        ]
        given = {
            tap: torch.cat([each[tap] for each in moved]).contiguous(
                memory_format=torch.channels_last
            )
            for tap in moved[0]
        }
        decoded = self.decoder(given)
        parts = [
            decoded_terms(self.instant.network, picture[None], own, goal, self.likeness)
            for picture, own, goal in zip(decoded, found, self.goals, strict=True)
        ]
        terms = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        value = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(AVERAGE, self.step / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.decoder.parameters(), strict=True)
            for average, parameter in pairs:
                average.lerp_(parameter, 1 - keep)
        return {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def _given(self, crop: Tensor, shown: Activations, size: int) -> Activations:
        """What the decoder is given: as `Instant` has it at the coarsest size and at the next."""
        goal, coarse = self.goals[size], self.goals[-1]
        if goal is coarse:
            return goal.moved(shown)
        network, small = self.instant.network, halved(crop)
        painted = coarse.colored(self.average(coarse.moved(encode(network, small)))).clamp(0, 1)
        return goal.moved(encode(network, sharpened(crop, small, painted)))

    def _crop(self, generator: torch.Generator) -> Float[Tensor, "1 3 side side"]:
        """A square of a content, of any size, brought to `SIDE` pixels."""

        def uniform() -> float:
            return torch.rand((), generator=generator).item()

        content = self.contents[int(uniform() * len(self.contents))]
        short = min(content.shape[2:])
        least = min(SIDE // 2, short)
        length = round(math.exp(math.log(least) + uniform() * math.log(short / least)))
        top, left = (int(uniform() * (side - length + 1)) for side in content.shape[2:])
        crop = content[..., top : top + length, left : left + length]
        if uniform() < 0.5:
            crop = crop.flip(3)
        return functional.interpolate(crop, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(
            0, 1
        )

    def _save(self) -> None:
        """Writes the decoder and, before the last step, a checkpoint."""
        record = {"impasto": __version__, "steps": self.step, "identity": self.identity}
        kept = self.average.state_dict()
        weights = {name: tensor.half().contiguous() for name, tensor in kept.items()}
        with atomic_write(self.output) as file:
            file.write(save(weights, {"tuned": json.dumps(record)}))
        if self.step < self.steps:
            state = {
                "identity": self.identity,
                "step": self.step,
                "decoder": self.decoder.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
            with atomic_write(self.checkpoint) as file:
                torch.save(state, file)

    def _identity(self, style: Values) -> str:
        """What a checkpoint has to be of: the same inputs and settings."""
        digest = hashlib.sha256(f"{__version__} {self.steps} {self.seed} {self.likeness}".encode())
        for picture in (style, *self.contents):
            digest.update(str(tuple(picture.shape)).encode())
            digest.update(picture.contiguous().numpy().tobytes())
        for tensor in self.instant.decoder.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()
