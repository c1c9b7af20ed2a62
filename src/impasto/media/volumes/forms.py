"""The place of a NIfTI volume: its header says it twice, as sform and as qform, or not at all.

nibabel takes the sform where its code is not 0, whatever is in it, and says nothing where the two
disagree or where neither is there.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.media.coding import one_line
from impasto.media.volumes.volume import check_affine

logger = logging.getLogger(__name__)

Affine = Float64[np.ndarray, "4 4"]

_APART = 0.5
"""How far the corners of a volume may lie apart in its two forms, in voxels."""


def affine_of(header: Any) -> tuple[Affine, str]:
    """Chooses the affine of a header: the sform, without a good one the qform, else none of both.

    Args:
        header: nibabel's.

    Returns:
        The affine, in the header's unit, and what there is to say about it; "" for nothing.

    Raises:
        SampleError: a form is there, but none is good.
    """
    sform, wrong_sform = _checked(header, "sform")
    qform, wrong_qform = _checked(header, "qform")
    if sform is not None:
        if qform is not None and (apart := _apart(sform, qform, header)):
            return sform, f"its sform and its qform place it differently ({apart}): taken by sform"
        return sform, ""
    if qform is not None:
        return qform, f"its sform is {wrong_sform}: taken by qform" if wrong_sform else ""
    if wrong := wrong_sform or wrong_qform:
        raise SampleError(
            expected="an affine that places voxels in space",
            found=f"one that is {wrong}",
            remedy="correct the orientation in the header",
        )
    affine = np.array(header.get_base_affine(), np.float64)
    check_affine(affine)
    return affine, "neither sform nor qform says where it lies: left and right are not known"


def warn_of(said: str, name: str) -> None:
    """Logs what there is to say about the place of a volume."""
    if said:
        logger.warning("%s: %s", name, said)


def _checked(header: Any, form: str) -> tuple[Affine | None, str]:
    """Returns a form, None where it has no code or is no affine, and what is wrong with it."""
    if not int(header[f"{form}_code"]):
        return None, ""
    try:
        affine = np.array(getattr(header, f"get_{form}")(), np.float64)
        check_affine(affine)
    except SampleError as error:
        return None, error.found.removeprefix("one that is ")
    except Exception as error:  # nibabel's, for a quaternion that is none
        return None, one_line(error)[:80]
    return affine, ""


def _apart(sform: Affine, qform: Affine, header: Any) -> str:
    """Says how two affines differ; "" where they place the volume alike."""
    ends = [(0, max(0, int(side) - 1)) for side in header["dim"][1:4]]
    corners = np.stack([*map(np.ravel, np.meshgrid(*ends)), np.ones(8)])
    distance = float(np.linalg.norm((sform - qform)[:3] @ corners, axis=0).max())
    if distance <= _APART * float(np.linalg.norm(sform[:3, :3], axis=0).min()):
        return ""
    one, other = (affine[:3, :3] for affine in (sform, qform))
    if np.linalg.det(one) * np.linalg.det(other) < 0:
        return "left and right are opposite"
    return f"by up to {distance:.3g} units of length"
