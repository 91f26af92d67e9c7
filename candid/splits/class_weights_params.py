"""Section `class_weights` of params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from candid.settings import Section


class ClassWeightsSettings(Section):
    """How classes of different size are balanced in training."""

    scheme: Literal["none", "balanced", "sqrt", "effective_number"]
    beta: float = Field(ge=0, lt=1)
    """Of effective_number: 0 weighs all classes alike, towards 1 by the inverse of their size."""
