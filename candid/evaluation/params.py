"""Section `evaluate` of params.yaml, and the few keys of other sections that evaluate needs to see."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from candid.settings import Section


class EvaluateSettings(Section):
    """Section `evaluate`."""

    tta: Literal["none", "flip", "ten_crop"]  # views of a face whose probabilities are averaged
    bootstrap: int = Field(ge=100, le=1_000_000)  # resamples behind each 95 % interval
    seed: int = Field(ge=0, lt=2**32)  # of the resampling


class Seen(Section, extra="ignore"):
    """What evaluate reads of the sections `split` and `train`, which other stages own."""

    seed: int
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"  # of `train`: what trained it runs it
