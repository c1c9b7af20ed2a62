"""The ONNX model beside what it is made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.errors import MissingExtraError
from impasto.instant.decoder import Decoder
from impasto.instant.exporting import export
from impasto.instant.instant import Goal, Instant
from impasto.instant.unrolled import roots

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def instant() -> Instant:
    torch.manual_seed(0)
    return Instant(Decoder().eval().requires_grad_(False))


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e5])
def test_roots_of_matrices(condition: float) -> None:
    vectors = torch.linalg.qr(torch.randn(96, 96, dtype=torch.float64))[0]
    values = torch.logspace(0, -float(np.log10(condition)), 96, dtype=torch.float64)
    root, inverse = roots(vectors * values @ vectors.T, 24)
    torch.testing.assert_close(root, vectors * values.sqrt() @ vectors.T)
    torch.testing.assert_close(inverse, vectors / values.sqrt() @ vectors.T)


@pytest.mark.slow
def test_the_model_gives_the_same(instant: Instant, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    export(instant, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for content, style, amount in (
        ((64, 80), (80, 64), 1.0),
        ((45, 131), (97, 33), 0.4),
        ((300, 257), (200, 180), 1.0),
    ):
        c, s = (torch.rand((1, 3, *space), generator=generator) for space in (content, style))
        given = {"content": c.numpy(), "style": s.numpy(), "amount": np.float32(amount)}
        (found,) = session.run(["picture"], {k: np.asarray(v) for k, v in given.items()})
        expected = instant.render(c, [Goal([instant.statistics(s)])], amount)
        assert found.shape == c.shape
        assert np.abs(found - expected.numpy()).max() < 1e-3
    even = np.full((1, 3, 40, 40), 0.5, np.float32)
    given = {"content": even, "style": 0.5 * even, "amount": np.asarray(1, np.float32)}
    assert np.isfinite(session.run(None, given)[0]).all()


def test_a_missing_library_is_named(
    instant: Instant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingExtraError) as refused:
        export(instant, tmp_path / "model.onnx")
    assert "impasto[onnx]" in refused.value.remedy
    assert not list(tmp_path.iterdir())
