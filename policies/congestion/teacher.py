"""The teacher: a network trained on `triptych/Pcc-v1` by `policies.distill.train_teacher`."""

from __future__ import annotations

from policies.congestion.base import register
from policies.congestion.learned import Learned
from policies.congestion.networks import FOLDER


@register("teacher")
class Teacher(Learned, weights=FOLDER / "teacher_corrected.safetensors"):
    """The network that rules are distilled from, on links of 1 to 100 Mbit/s; `docs/teacher.md`."""
