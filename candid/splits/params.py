"""Sections `split` and `class_weights` of params.yaml."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from candid.settings import Section

Kind = Literal["subject", "sequence", "duplicate"]
KINDS: tuple[Kind, ...] = ("subject", "sequence", "duplicate")  # what relates two images

OfficialPart = Literal["train", "validation", "test", "none"]  # none: the published set gives no part


class OfficialParts(Section):
    """Which official parts make which part of ours (protocol official)."""

    train: list[OfficialPart] = Field(min_length=1)
    validation: list[OfficialPart]
    test: list[OfficialPart] = Field(min_length=1)

    @field_validator("validation", "test")
    @classmethod
    def _used_once(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for other, taken in info.data.items():
            if twice := set(value) & set(taken):
                unlike = f"expected parts that split.official.{other} does not have"
                raise ValueError(f"{unlike}; both have {min(twice)}")
        return value


class SplitSettings(Section):
    """Section `split` of params.yaml."""

    protocol: Literal["random", "official", "folds"]
    ratios: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=3, max_length=3)
    official: OfficialParts
    groups: list[Kind]
    folds: int = Field(ge=3, le=1000)
    fold: int = Field(ge=0)
    repeat: int = Field(ge=0, lt=2**32)
    seed: int = Field(ge=0, lt=2**32)

    @field_validator("ratios")
    @classmethod
    def _sum_to_one(cls, value: list[float]) -> list[float]:
        total = sum(map(exact, value), Fraction())
        if abs(total - 1) > Fraction(1, 10**6):
            raise ValueError(f"expected train, validation, test that sum to 1; these sum to {float(total):g}")
        return value

    @field_validator("fold")
    @classmethod
    def _fold_exists(cls, value: int, info: ValidationInfo) -> int:
        if value >= (folds := info.data.get("folds", value + 1)):
            raise ValueError(f"expected 0 to {folds - 1} (split.folds = {folds})")
        return value


Scheme = Literal["none", "balanced", "sqrt"]


class ClassWeightsSettings(Section):
    """Section `class_weights` of params.yaml: how classes of different size are balanced in training."""

    scheme: Scheme


def exact(ratio: float) -> Fraction:
    """Take 0.05 as 5/100, which the nearest binary float is not."""
    return Fraction(repr(ratio))
