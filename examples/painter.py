"""The painting of the demo, drawn by code; `python -m examples.painter painting.jpg` writes it.

The painting shows a golden valley under a swirling night sky. It is painted stroke by stroke along
a flow field, from broad strokes to fine ones. Positions and lengths are in units of the picture's
long side, so that a seed gives the same picture at every size.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impasto import media
from impasto.media.pictures.picture import from_array

Floats = NDArray[np.float64]
Canvas = NDArray[np.float32]

# Ramps of pigments from dark to light, as sRGB in 0..255.
NIGHT = ((16, 19, 66), (26, 40, 118), (30, 66, 158), (38, 112, 178), (70, 164, 182),
         (176, 214, 190), (246, 236, 196))  # fmt: skip
LAMP = ((178, 78, 30), (206, 116, 32), (234, 168, 42), (248, 208, 92), (255, 243, 200))
HILLS = ((16, 24, 62), (20, 58, 92), (30, 98, 108), (84, 142, 104), (190, 178, 88))
FIELD = ((58, 44, 46), (136, 74, 32), (200, 132, 36), (236, 184, 66), (250, 228, 150))

# The layers of paint from broad to fine: width and length of a stroke, coverage, thickness.
LAYERS = (
    (0.045, 0.140, 4.0, 0.5),
    (0.028, 0.120, 3.0, 0.9),
    (0.016, 0.080, 2.0, 1.2),
    (0.0105, 0.056, 1.2, 1.4),
    (0.006, 0.038, 0.35, 1.5),
)
BRISTLE = 0.0018  # the distance between two bristles of the brush
GRAIN = 512  # the side of the bristle texture, a power of two
SMALLEST_CANVAS = 512  # pixels; a smaller picture is painted larger and averaged down
SPIRALS = 3  # the first eddies are spirals
LAMP_RADIUS = 1.75  # the radius of the eddy around a moon or a star, in radii of its disc


def paint(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Paints a picture, shape (height, width, 3), in 0..255. The seed chooses sky and valley.

    Example:
        >>> paint(192, 256, seed=12).shape
        (192, 256, 3)
    """
    rng = np.random.default_rng(seed)
    long_side = max(height, width)
    scale = -(-SMALLEST_CANVAS // long_side)
    canvas = np.zeros((scale * height, scale * width, 4), np.float32)
    scene = Scene.compose(width / long_side, height / long_side, rng)
    texture = bristles(rng)
    for breadth, reach, coverage, thickness in LAYERS:
        points = scatter(scene.across, scene.down, coverage / (breadth * reach), rng)
        lay(canvas, texture, scene, points, (breadth, reach, thickness), 0.03, rng)
    for x, y, radius, _ in scene.eddies[SPIRALS:]:
        for ring in np.linspace(2.6, 0, 14) * radius / LAMP_RADIUS:
            turn = rng.uniform(0, 2 * np.pi, int(8 + 150 * ring))
            turn = turn[rng.random(len(turn)) > 0.9 * ring / radius - 0.5]  # fewer at the rim
            points = (x, y) + ring * np.stack([np.cos(turn), np.sin(turn)], axis=1)
            brush = (0.0035 + 0.086 * radius, min(0.05, 0.004 + 1.1 * ring), 1.4)
            lay(canvas, texture, scene, points, brush, 0.0, rng)
    mean = light(canvas).reshape(height, scale, width, scale, 3).mean(axis=(1, 3))
    return np.asarray(mean.round().astype(np.uint8))


@dataclass(frozen=True)
class Scene:
    """The scene to paint: a sky with eddies above a valley.

    Attributes:
        across: the width of the picture over its long side.
        down: the height of the picture over its long side.
        eddies: x, y, radius and spin of each eddy, shape (n, 4). The first three are spirals, the
            others are the moon and the stars.
        waves: wave vectors and phases, shape (k, 3), whose sum is a smooth noise.
    """

    across: float
    down: float
    eddies: Floats
    waves: Floats

    @classmethod
    def compose(cls, across: float, down: float, rng: np.random.Generator) -> Scene:
        """Places three spirals and the moon in balance, and stars in the gaps."""
        anchors = np.array([(0.36, 0.33), (0.63, 0.48), (0.10, 0.58), (0.82, 0.17)])
        x, y = ((anchors + rng.normal(0, 0.02, (4, 2))) * (across, down)).T
        eddies = list(zip(x, y, (0.125, 0.09, 0.065, 0.105), (1, -1, -1, 1), strict=True))
        for u, v, radius in rng.uniform((0.04, 0.06, 0.02), (0.96, 0.60, 0.042), (400, 3)):
            x, y = u * across, v * down
            if len(eddies) < 12 and all(
                np.hypot(x - cx, y - cy) > 1.3 * (radius + size) for cx, cy, size, _ in eddies
            ):
                eddies.append((x, y, radius, 1))
        number, angle = 2 * np.pi / rng.uniform(0.05, 0.16, 24), rng.uniform(0, 2 * np.pi, 24)
        waves = np.stack([number * np.cos(angle), number * np.sin(angle), 7 * angle], axis=1)
        return cls(across, down, np.array(eddies), waves)

    def crests(self, x: Floats) -> tuple[Floats, Floats]:
        """Returns the y of the hills' crest and of the field's edge, (n,) each, at x (n,)."""
        phase = self.waves[:, 2]
        hills = 0.67 + 0.04 * np.sin(5.1 * x + phase[0]) + 0.018 * np.sin(12.7 * x + phase[1])
        return hills * self.down, (0.785 + 0.022 * np.sin(4.3 * x + phase[2])) * self.down

    def river(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns the distance to the river's middle, where the banks are 1, and its direction.

        Both have shape (n,); the direction is in radians.
        """
        x, y = points.T
        drop = self.down - self.crests(x)[1]
        fall = np.clip(1 - (self.down - y) / drop, 0, None)
        middle = self.midstream(fall)
        angle = np.arctan2(0.01 * drop, self.midstream(fall + 0.01) - middle)
        bank = np.abs(x - middle) / (self.across * (0.012 + 0.075 * fall))
        return np.where(fall > 0.04, bank, np.inf), angle  # the river begins behind the rise

    def midstream(self, fall: Floats) -> Floats:
        """Returns the x of the river's middle, (n,). fall: the way down from the horizon, (n,)."""
        root = np.sqrt(fall)  # perspective: the meanders widen toward the viewer
        return np.asarray(self.across * (0.66 - 0.22 * fall + 0.16 * root * np.sin(9 * root)))

    def flow(self, points: Floats) -> Floats:
        """Returns the direction of the strokes in radians, (n,), at points (n, 2)."""
        x, y = points.T
        cx, cy, radius, spin = self.eddies.T
        dx, dy = x[:, None] - cx, y[:, None] - cy
        distance = np.hypot(dx, dy) + 1e-9
        pull = np.exp(-0.5 * (distance / radius) ** 2)
        inward = np.where(np.arange(len(spin)) < SPIRALS, 0.3, 0)
        drift = 0.5 * np.sin(4.2 * x + 3.0 * y + self.waves[3, 2])
        calm = (1 - pull).prod(axis=1)
        swirl = spin * pull / distance
        east = calm * np.cos(drift) - (swirl * (dy + inward * dx)).sum(axis=1)
        south = calm * np.sin(drift) + (swirl * (dx - inward * dy)).sum(axis=1)
        (crest, edge), (next_crest, next_edge) = self.crests(x), self.crests(x + 0.001)
        hills = np.arctan((next_crest - crest) / 0.0006) + 0.35 * np.sin(9 * x + 14 * y)
        field = np.arctan((next_edge - edge) / 0.001) + 0.4 * np.sin(7 * x + 20 * (y - edge) + 1)
        bank, stream = self.river(points)
        land = np.where(y < edge, hills, np.where(bank < 1.15, stream, field))
        return np.where(y < crest, np.arctan2(south, east), land)

    def streaks(self, points: Floats) -> Floats:
        """Returns a smooth noise, (n,), of deviation about 1, in bands along the flow."""
        total = np.zeros(len(points))
        for heading in (0.012, -0.012):
            at = points.copy()
            for _ in range(10):
                total += np.sin(at @ self.waves[:, :2].T + self.waves[:, 2]).sum(axis=1)
                angle = self.flow(at)
                at += heading * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return total / 26

    def pigments(self, points: Floats, wander: Floats) -> Floats:
        """Returns the colors, (n, 3), at points (n, 2). wander: random variation, (n,), about 1."""
        x, y = points.T
        crest, edge = self.crests(x)
        shade = 0.19 * self.streaks(points) + 0.09 * wander
        cx, cy, radius, _ = self.eddies.T
        away = np.hypot(x[:, None] - cx, y[:, None] - cy) / radius
        halo = np.exp(-0.6 * away[:, :SPIRALS] ** 2).sum(axis=1)
        away = away[:, SPIRALS:].min(axis=1) * LAMP_RADIUS
        halo += 0.9 * np.exp(-2.5 * (away - 2.3) ** 2)
        glow = 1 / (1 + np.exp(6 * np.clip(away - 1.4 - 0.15 * wander, -9, 9)))
        heat = 0.98 - 0.42 * away - 0.13 * np.sin(2 * np.pi * away)
        night = ramp(NIGHT, 0.22 + shade + 0.3 * (y / self.down) ** 2 + 0.2 * halo)
        sky = night + glow[:, None] * (ramp(LAMP, heat + 0.5 * shade) - night)
        hills = ramp(HILLS, 0.78 + 1.3 * shade - 0.5 * (y - crest) / (edge - crest))
        bank = self.river(points)[0]
        water = ramp(NIGHT, 0.85 - 0.45 * bank + 1.2 * shade)
        land = np.where((bank < 1)[:, None], water, ramp(FIELD, 0.55 + 1.2 * shade))
        return np.where((y < crest)[:, None], sky, np.where((y < edge)[:, None], hills, land))


def ramp(pigments: tuple[tuple[int, int, int], ...], position: Floats) -> Floats:
    """Interpolates colors, (n, 3), at positions (n,) along the pigments, which span 0..1."""
    stops = np.linspace(0, 1, len(pigments))
    return np.stack([np.interp(position, stops, c) for c in np.array(pigments, float).T], axis=1)


def scatter(across: float, down: float, density: float, rng: np.random.Generator) -> Floats:
    """Scatters points, (n, 2), in random order: one in each cell of a grid."""
    margin = 0.05
    extent = np.array([across, down]) + 2 * margin
    cells = np.ceil(extent * np.sqrt(density)).astype(int)
    corners = np.indices(tuple(cells)).reshape(2, -1).T
    points = (corners + rng.random(corners.shape)) * extent / cells - margin
    return np.asarray(rng.permutation(points))


def bristles(rng: np.random.Generator) -> Canvas:
    """Makes a periodic texture, (GRAIN, GRAIN), in 0..1: streaks along axis 1, 4 rows a bristle."""
    frequency = np.fft.fftfreq(GRAIN)
    keep = np.exp(-((4 * frequency[:, None]) ** 2) - (60 * frequency) ** 2)
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=keep.shape)) * keep).real
    return np.asarray((0.5 + 0.22 * noise / noise.std()).clip(0, 1), np.float32)


def lay(
    canvas: Canvas,
    texture: Canvas,
    scene: Scene,
    points: Floats,
    brush: tuple[float, float, float],
    accents: float,
    rng: np.random.Generator,
) -> None:
    """Lays strokes along the flow.

    Args:
        canvas: the canvas, (height, width, 4), which is painted on.
        texture: the texture of the bristles.
        scene: the scene.
        points: the middles of the strokes, (n, 2).
        brush: the width and the length of a stroke, and the thickness of the paint.
        accents: the fraction of strokes in the opposite color.
        rng: the source of randomness.
    """
    size, count = max(canvas.shape[:2]), len(points)
    breadth, reach, thickness = brush
    angle = scene.flow(points)
    ahead = 0.2 * reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turn = np.sin(scene.flow(points + ahead) - scene.flow(points - ahead)) / (0.4 * reach)
    body = scene.pigments(points, rng.normal(0, 1, count))
    opposite = rng.random(count) < accents
    body[opposite] = 0.12 * body[opposite] + 0.78 * (255 - body[opposite])
    tip = body + rng.normal(0, 14, (count, 3)) + rng.normal(0, 16, (count, 1))
    loads = np.stack([0.74 * body + rng.normal(0, 8, (count, 3)), tip], axis=1).clip(0, 255)
    widths = breadth * rng.uniform(0.7, 1.25, count)
    # A tight turn takes a short stroke.
    lengths = np.minimum(reach * rng.uniform(0.6, 1.2, count), 1.8 / (np.abs(turn) + 1e-9))
    lengths = np.maximum(lengths, 1.5 * widths)
    angle += rng.normal(0, 0.08, count)
    shapes = np.stack([*points.T * size, angle, turn / (2 * size), widths * size, lengths * size])
    for shape, load, grain in zip(
        shapes.T.tolist(),
        loads.astype(np.float32),
        rng.integers(0, GRAIN, (count, 2), np.int32),
        strict=True,
    ):
        stroke(canvas, texture, shape, load, grain, thickness)


def stroke(
    canvas: Canvas,
    texture: Canvas,
    shape: list[float],
    load: Canvas,
    grain: NDArray[np.int32],
    thickness: float,
) -> None:
    """Lays one stroke.

    Args:
        canvas: the canvas, (height, width, 4): red, green, blue and relief.
        texture: the texture of the bristles.
        shape: x, y, angle, bend, width and length of the stroke in pixels.
        load: the two colors that the bristles carry, (2, 3).
        grain: the start of the stroke in the texture, (2,).
        thickness: the thickness of the paint.
    """
    x, y, angle, bend, width, length = shape
    size = max(canvas.shape[:2])
    c, s = math.cos(angle), math.sin(angle)
    side = width / 2 + abs(bend) * length**2 / 4
    half_x, half_y = (abs(p) * length / 2 + abs(q) * side + 1 for p, q in ((c, s), (s, c)))
    left, right = max(int(x - half_x), 0), min(int(x + half_x) + 2, canvas.shape[1])
    top, bottom = max(int(y - half_y), 0), min(int(y + half_y) + 2, canvas.shape[0])
    if left >= right or top >= bottom:
        return
    dx = np.arange(left, right, dtype=np.float32) - np.float32(x)
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    along = c * dx + s * dy
    across = c * dy - s * dx - bend * along**2
    travel = along / length + 0.5
    row = (across * (4 / (BRISTLE * size))).astype(np.int32) + grain[0]
    column = (along * (GRAIN / size)).astype(np.int32) + grain[1]
    streak = texture[row & (GRAIN - 1), column & (GRAIN - 1)]
    # A stroke is round where the brush lands, and thin and dry where it lifts.
    breadth = width / 2 * np.sqrt(np.clip(9 * travel, 0, 1) * np.clip(1.8 - 1.8 * travel, 0, 1))
    cover = np.clip(breadth - np.abs(across) + 0.5, 0, 1)
    cover *= np.clip(0.8 - 1.5 * travel + 2.2 * streak, 0, 1)
    patch = canvas[top:bottom, left:right]
    fresh = np.empty_like(patch)
    fresh[..., :3] = load[0] + streak[..., None] * (load[1] - load[0])
    # Paint piles up toward the edges of a stroke, and a little of what lies below shows through.
    fresh[..., 3] = thickness * (0.45 + 0.75 * streak + 2 * (across / width) ** 2)
    fresh[..., 3] += 0.35 * patch[..., 3]
    patch += cover[..., None] * (fresh - patch)


def light(canvas: Canvas) -> Canvas:
    """Lights the canvas, (height, width, 4), from the upper left: (height, width, 3) in 0..255."""
    relief = np.pad(canvas[..., 3], 1, mode="edge")
    slope = (relief[1:-1, 2:] - relief[1:-1, :-2] + relief[2:, 1:-1] - relief[:-2, 1:-1]) / 2
    shade = np.tanh(1.4 * slope * (max(canvas.shape[:2]) / 1024))[..., None]
    color = canvas[..., :3]
    bright, dark = color + 0.42 * shade * (255 - color), color * (1 + 0.55 * shade)
    return np.asarray(np.where(shade > 0, bright, dark))


def main() -> None:
    """Writes the painting that the demo repaints its photograph in."""
    media.save(from_array(paint(576, 768, seed=12)), sys.argv[1])


if __name__ == "__main__":
    main()
