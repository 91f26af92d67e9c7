"""Sections `model` and `train` of params.yaml."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from stages.settings import Section

Metric = Literal["val_accuracy", "val_loss", "val_macro_f1"]


class ModelSettings(Section):
    """Section `model`."""

    arch: str
    """A key of `archs`."""
    weights: str | None
    """None: from scratch; imagenet: the keras-hub preset; else the path of a .keras file of the same net."""


class Rotation(Section):
    """By an angle drawn uniformly from -degrees to degrees."""

    degrees: float = Field(ge=0, le=180)
    probability: float = Field(ge=0, le=1)


class Shift(Section):
    """Along each side by a share of it, drawn uniformly from -fraction to fraction."""

    fraction: float = Field(ge=0, lt=1)
    probability: float = Field(ge=0, le=1)


class Range(Section):
    """A factor drawn uniformly from low to high."""

    low: float = Field(gt=0, le=10)
    high: float = Field(gt=0, le=10)
    probability: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class ResizedCrop(Range):
    """A window at a random place, brought to full size: its area is a share of the face from low to high."""

    aspect: float = Field(ge=1, le=10)
    """Width / height of the window is drawn log-uniformly from 1/aspect to aspect."""


class Erasing(Range):
    """A rectangle at a random place set to the face's mean: its area is a share of the face."""

    high: float = Field(gt=0, le=1)
    aspect: float = Field(ge=1, le=10)
    """Height / width of the rectangle is drawn log-uniformly from 1/aspect to aspect."""


class Jitter(Section):
    """A factor drawn uniformly from 1 - amount to 1 + amount."""

    amount: float = Field(ge=0, le=1)
    probability: float = Field(ge=0, le=1)


class Augment(Section):
    """Part `train.augment`: what is done to training faces, each with its range and its probability."""

    flip: float = Field(ge=0, le=1)
    """Probability of a horizontal flip."""
    rotation: Rotation
    shift: Shift
    zoom: Range
    """Above 1 enlarges the face."""
    resized_crop: ResizedCrop
    fill: Literal["nearest", "black"]
    """What stands where a geometric change shows what lies outside the picture."""
    brightness: Jitter
    contrast: Jitter
    saturation: Jitter
    """Has no effect on grey faces."""
    erasing: Erasing
    crop: int | None = Field(ge=8, le=1024)
    """Side in pixels of the square that is cut out, last of the geometric changes; the net then takes faces
    of that side."""
    crop_from: Literal["anywhere", "ten"] = "ten"
    """Where it is cut out: at any whole pixel, or as one of ten (corners and middle, each also flipped)."""


class Plateau(Section):
    """The rate times `factor` after `patience` epochs without progress, as in ReduceLROnPlateau of Keras."""

    monitor: Metric
    patience: int = Field(ge=1)
    factor: float = Field(gt=0, lt=1)


class EarlyStopping(Section):
    """Stop after `patience` epochs without progress; None: never."""

    monitor: Metric
    patience: int | None = Field(ge=1)


class TrainSettings(Section):
    """Section `train`."""

    backend: Literal["tensorflow", "jax", "torch"]
    distribution: Literal["none", "devices", "processes"] = "none"
    """Over all devices of this machine, or over those of several processes on any number of machines."""
    precision: Literal["float32", "mixed_bfloat16"]
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=2, le=65_536)
    steps_per_execution: int = Field(ge=1, le=10_000)
    optimizer: Literal["sgd", "adam", "nadam", "adamw"]
    learning_rate: float = Field(gt=0, le=100)
    momentum: float = Field(ge=0, lt=1)
    """Of sgd."""
    nesterov: bool
    """Of sgd."""
    weight_decay: float = Field(ge=0, lt=1)
    """Decoupled, as in AdamW, with every optimizer; biases and batch norm are left out."""
    clip_norm: float | None = Field(gt=0)
    """Largest norm of all gradients together."""
    schedule: Literal["constant", "plateau", "cosine", "step"]
    min_lr: float = Field(ge=0, le=100)
    """Below which plateau and cosine don't go."""
    plateau: Plateau
    warmup_epochs: int = Field(ge=0)
    """Of cosine: epochs in which the rate grows linearly from 0."""
    step_epochs: list[int]
    """Of step: after these epochs the rate is multiplied by step_factor."""
    step_factor: float = Field(gt=0, le=1)
    early_stopping: EarlyStopping
    monitor: Metric
    """By which the saved epoch is chosen."""
    label_smoothing: float = Field(ge=0, lt=1)
    mixup: float = Field(ge=0, le=10)
    """Alpha of Beta(alpha, alpha), from which the share is drawn; 0: off."""
    averaging: float = Field(ge=0, lt=1)
    """Momentum of the exponential average of the weights that is validated and saved; 0: off."""
    batch_norm: Literal["running", "recomputed"]
    """Statistics for validation and the saved model: the layers' own running averages, or measured
    over training faces after each epoch. With averaging they are always measured."""
    freeze_epochs: int = Field(ge=0)
    """Epochs at the start in which only the head is trained."""
    thaw_learning_rate: float = Field(gt=0, le=100)
    """After freeze_epochs; not used when that is 0."""
    augment: Augment
    seed: int = Field(ge=0, lt=2**31)

    @field_validator("thaw_learning_rate")
    @classmethod
    def _thaws(cls, value: float, info: ValidationInfo) -> float:
        """Plateau and cosine must not rise to min_lr."""
        if info.data.get("freeze_epochs") and value < info.data.get("min_lr", 0.0):
            raise ValueError(f"must not be below min_lr = {info.data['min_lr']}")
        return value

    @field_validator("min_lr", "warmup_epochs", "freeze_epochs", "step_epochs")
    @classmethod
    def _fits(cls, value: float | list[int], info: ValidationInfo) -> float | list[int]:
        """Hold a value against those that stand above it in the section."""
        epochs, rate = info.data.get("epochs"), info.data.get("learning_rate")
        if info.field_name == "step_epochs":
            if not isinstance(value, list) or value != sorted(set(value)) or min(value, default=1) < 1:
                raise ValueError("expected growing numbers of epochs, from 1")
        elif isinstance(value, list):
            raise ValueError("expected one number")
        elif info.field_name == "min_lr":
            if rate is not None and value > rate:
                raise ValueError(f"must not be above learning_rate = {rate}")
        elif epochs is not None and value >= epochs and value > 0:
            raise ValueError(f"must be less than epochs = {epochs}")
        return value
