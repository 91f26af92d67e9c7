"""Sections `model`, `archs` and `train` of params.yaml: all settings of training, without importing Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from candid.settings import ByName, ConflictError, Section

Metric = Literal["val_accuracy", "val_loss", "val_macro_f1"]
Probability = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=4096)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class PlainScaling(Section):
    """Pixels to 0..1; imagenet: then less ImageNet's means, over its deviations, channel by channel."""

    name: Literal["unit", "imagenet"]


class StandardScaling(Section):
    """Pixels to 0..1, then less `mean`, over `std`; the defaults are those of adebo2023."""

    name: Literal["standard"]
    mean: float = Field(default=0.4907, ge=0, le=1)
    std: float = Field(default=0.2099, gt=0, le=1)


Scaling = Annotated[PlainScaling | StandardScaling, Field(discriminator="name"), ByName]
IMAGENET = PlainScaling(name="imagenet")


class NetSettings(Section):
    """Keys that each net has."""

    scaling: Scaling = PlainScaling(name="unit")


class NormedSettings(NetSettings):
    """Keys of a net with batch norm."""

    batch_norm_momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the old statistics kept at each step. Keras's own 0.99 forgets the initial values only after
    some 500 steps, which is 38 epochs where an epoch is 13 steps; 0.9 takes 50."""


class BasicSettings(NormedSettings):
    """`archs.basic_cnn`."""

    dropout: Dropout = 0.3
    last_dropout: Dropout = 0.4  # in the last convolutional block: behind both of its poolings


class ResidualSettings(BasicSettings):
    """`archs.residual_cnn`."""

    residual_after: list[Annotated[int, Field(ge=1, le=5)]] = [1, 3, 5]  # a residual block behind these
    skip: Literal["identity", "conv"] = "identity"  # conv: 1x1 with batch norm, which the paper dropped


class BaselineSettings(NormedSettings):
    """`archs.baseline_cnn`."""

    dropout: Dropout = 0.3  # in the head, below and above its hidden layer


class PlainSettings(NormedSettings):
    """`archs.plain_cnn`."""

    widths: list[Width] = Field(default=[32, 64, 128, 256], min_length=1, max_length=5)  # channels by stage
    depths: list[Annotated[int, Field(ge=1, le=8)]] = Field(default=[2, 2, 2, 2], min_length=1, max_length=5)
    """Convolutions of each stage."""
    dropout: Dropout = 0.0  # in the head

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.widths) != len(self.depths):
            counts = f"{len(self.widths)} widths and {len(self.depths)} depths"
            raise ValueError(f"{counts}: expected one each a stage")
        return self


class SelfBuiltSettings(NormedSettings):
    """`archs.self_built`."""

    scaling: Scaling = StandardScaling(name="standard")
    widths: list[Width] = Field(default=[32, 64], min_length=2, max_length=2)  # channels of both layers
    dropout: Dropout = 0.0  # behind each of the two fully connected layers


class ResNetSettings(NormedSettings):
    """`archs.resnet18` and `archs.resnet50`."""

    scaling: Scaling = IMAGENET
    dropout: Dropout = 0.0  # in the head


class VGGSettings(NetSettings):
    """`archs.vgg11`, `archs.vgg16` and `archs.vgg19`."""

    scaling: Scaling = IMAGENET
    dropout: Dropout = 0.5  # behind each of the two fully connected layers of 4096


class EfficientNetSettings(NormedSettings):
    """`archs.efficientnet_b0`."""

    scaling: Scaling = IMAGENET
    dropout: Dropout = 0.2  # in the head
    drop_connect: Dropout = 0.2  # share of faces that skip the last block in training; less before it


class HogSettings(Section):
    """`archs.hog_svm`: scikit-image's `hog`, scikit-learn's LinearSVC."""

    orientations: int = Field(default=9, ge=2, le=36)  # bins over 180 degrees
    cell: int = Field(default=8, ge=2, le=64)  # side in pixels
    block: int = Field(default=2, ge=1, le=8)  # side in cells
    C: float = Field(default=1.0, gt=0, le=1e6)  # weight of the SVM's squared hinge loss against its penalty


@dataclass(frozen=True)
class NetFacts:
    """What has to be known of a net before it is built."""

    settings: type[Section]  # its section `archs.<name>`
    smallest: int = 8  # side of the smallest face in pixels that the poolings leave something of
    preset: str | None = None  # keras-hub's name of the ImageNet weights of its body


NETS: dict[str, NetFacts] = {
    "residual_cnn": NetFacts(ResidualSettings, smallest=32),
    "basic_cnn": NetFacts(BasicSettings, smallest=32),
    "baseline_cnn": NetFacts(BaselineSettings, smallest=16),
    "plain_cnn": NetFacts(PlainSettings, smallest=16),
    "self_built": NetFacts(SelfBuiltSettings),
    "resnet18": NetFacts(ResNetSettings, preset="resnet_18_imagenet"),
    "resnet50": NetFacts(ResNetSettings, preset="resnet_50_imagenet"),
    "vgg11": NetFacts(VGGSettings, smallest=32, preset="vgg_11_imagenet"),
    "vgg16": NetFacts(VGGSettings, smallest=32, preset="vgg_16_imagenet"),
    "vgg19": NetFacts(VGGSettings, smallest=32, preset="vgg_19_imagenet"),
    "efficientnet_b0": NetFacts(EfficientNetSettings, preset="efficientnet_b0_ra_imagenet"),
    "hog_svm": NetFacts(HogSettings, smallest=16),
}
"""The nets there are; candid/training/nets builds them."""


class ModelSettings(Section):
    """Section `model`."""

    arch: str  # a key of `archs`
    weights: str | None  # None: from scratch; imagenet: keras-hub's preset; else a .keras file of the net

    @field_validator("arch")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in NETS:
            raise ValueError(f"expected one of {', '.join(NETS)}")
        return value


class Rotation(Section):
    """By an angle drawn uniformly from -degrees to degrees."""

    degrees: float = Field(ge=0, le=180)
    probability: Probability


class Shift(Section):
    """Along each side by a share of it, drawn uniformly from -fraction to fraction."""

    fraction: float = Field(ge=0, lt=1)
    probability: Probability


class Range(Section):
    """A factor drawn uniformly from low to high."""

    low: float = Field(gt=0, le=10)
    high: float = Field(gt=0, le=10)
    probability: Probability

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class ResizedCrop(Range):
    """A window at a random position, brought to full size; low and high are shares of the face's area."""

    aspect: float = Field(ge=1, le=10)  # of width / height, log-uniform from 1/aspect


class Erasing(Range):
    """A rectangle at a random position set to the face's mean; low and high are shares of the face's area."""

    high: float = Field(gt=0, le=1)
    aspect: float = Field(ge=1, le=10)  # of height / width, log-uniform from 1/aspect


class Jitter(Section):
    """A factor drawn uniformly from 1 - amount to 1 + amount."""

    amount: float = Field(ge=0, le=1)
    probability: Probability


class Crop(Section):
    """A square, random (at any whole pixel) or one of ten (corners and middle, each also flipped)."""

    name: Literal["random", "ten"]
    size: int = Field(ge=8, le=1024)  # pixels


class Augment(Section):
    """Part `train.augment`: changes to training faces, each with its range and its probability (0: off)."""

    flip: Probability  # of a horizontal flip
    rotation: Rotation
    shift: Shift
    zoom: Range  # above 1 enlarges the face
    resized_crop: ResizedCrop
    fill: Literal["nearest", "black"]  # what fills the parts of the result that lie outside the picture
    brightness: Jitter
    contrast: Jitter
    saturation: Jitter  # has no effect on grey faces
    erasing: Erasing
    crop: Crop | None  # last of the geometric changes; the net then takes faces of its size


class Sgd(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False


class Adaptive(Section):
    """Keras's Adam, Nadam or AdamW with its own betas."""

    name: Literal["adam", "nadam", "adamw"]


class Constant(Section):
    """The learning rate stays."""

    name: Literal["constant"]


class Plateau(Section):
    """The rate times `factor` after `patience` epochs without progress: ReduceLROnPlateau of Keras.

    The defaults are those of bah2022.
    """

    name: Literal["plateau"]
    monitor: Metric = "val_accuracy"
    patience: int = Field(default=15, ge=1)
    factor: float = Field(default=0.1, gt=0, lt=1)
    min_lr: float = Field(default=1e-7, ge=0, le=100)


class Cosine(Section):
    """Half a cosine from the learning rate down to `min_lr`: Loshchilov and Hutter 2017, without restarts."""

    name: Literal["cosine"]
    warmup_epochs: int = Field(default=0, ge=0)  # epochs at the start in which the rate grows linearly
    min_lr: float = Field(default=0.0, ge=0, le=100)


class EarlyStopping(Section):
    """Stop after `patience` epochs without progress."""

    monitor: Metric
    patience: int = Field(ge=1)


class Freeze(Section):
    """Transfer: `epochs` at the start in which only the head is trained, at train.learning_rate."""

    epochs: int = Field(ge=1)
    thaw_learning_rate: float = Field(gt=0, le=100)  # of the epochs after these, with everything trained


class TrainSettings(Section):
    """Section `train`."""

    backend: Literal["tensorflow", "jax", "torch"]
    distribution: Literal["none", "devices"] = "none"  # devices: each batch over all devices of this machine
    precision: Literal["float32", "mixed_bfloat16"]
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=2, le=65_536)
    steps_per_execution: int = Field(ge=1, le=10_000)
    optimizer: Annotated[Sgd | Adaptive, Field(discriminator="name"), ByName]
    learning_rate: float = Field(gt=0, le=100)
    weight_decay: float = Field(ge=0, lt=1)  # decoupled, as in AdamW; not of biases and batch norm
    clip_norm: float | None = Field(gt=0)  # largest norm of all gradients together
    schedule: Annotated[Constant | Plateau | Cosine, Field(discriminator="name"), ByName]
    early_stopping: EarlyStopping | None
    monitor: Metric  # by which the saved epoch is chosen
    targets: Literal["labels", "votes"] = "labels"  # votes: shares of the raters' votes, if there are any
    label_smoothing: float = Field(ge=0, lt=1)
    mixup: float = Field(ge=0, le=10)  # alpha of Beta(alpha, alpha), from which the share is drawn; 0: off
    averaging: float = Field(ge=0, lt=1)  # momentum of the weights' average that is validated; 0: off
    batch_norm: Literal["running", "recomputed"]  # statistics: the layers' own, or measured each epoch
    freeze: Freeze | None
    augment: Augment
    seed: int = Field(ge=0, lt=2**31)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        schedule, freeze, devices = self.schedule, self.freeze, self.distribution == "devices"
        min_lr = 0.0 if isinstance(schedule, Constant) else schedule.min_lr
        warmup = schedule.warmup_epochs if isinstance(schedule, Cosine) else 0
        frozen, thawed = (freeze.epochs, freeze.thaw_learning_rate) if freeze else (0, min_lr)
        short = f"must be less than epochs = {self.epochs}"
        rules = (
            (min_lr > self.learning_rate, "schedule.min_lr", min_lr,
             f"must not be above learning_rate = {self.learning_rate}"),
            (thawed < min_lr, "freeze.thaw_learning_rate", thawed,  # the schedule would raise it
             f"must not be below schedule.min_lr = {min_lr}"),
            (frozen >= self.epochs, "freeze.epochs", frozen, short),
            (0 < warmup >= self.epochs, "schedule.warmup_epochs", warmup, short),
            (self.averaging > 0 and self.batch_norm == "running", "batch_norm", self.batch_norm,
             "no running averages belong to averaged weights (averaging above 0); expected recomputed"),
            (devices and self.backend == "torch", "distribution", self.distribution,
             "on PyTorch Keras trains on one device; expected none, or backend tensorflow or jax"),
            (devices and self.backend == "tensorflow" and self.clip_norm, "clip_norm", self.clip_norm,
             "on TensorFlow Keras clips before it adds up the devices' gradients; expected null"),
        )  # fmt: skip
        for broken, key, value, why in rules:
            if broken:
                raise ConflictError(key, value, why)
        return self
