"""The baseline CNN: of qutub2023's size, 1,672,775 trainable parameters; the architecture is ours.

The paper gives the count alone. The layers here were chosen for accuracy by time on two CPU cores: the
first convolution halves the side, and most of the 64 million multiply-adds lie at 24 and 12 pixels.
"""

from __future__ import annotations

from keras import layers
from pydantic import Field

from candid.training.nets.parts import (
    HEAD,
    NormedSettings,
    Tensor,
    average,
    dense_relu,
    probabilities,
    scaled,
)

STEM = 32
STAGES = ((48, 2), (128, 2), (192, 1))
"""Width and number of residual blocks; each stage halves the side."""
HIDDEN = 208


class BaselineSettings(NormedSettings):
    """`archs.baseline_cnn`."""

    dropout: float = Field(default=0.3, ge=0, lt=1)
    """In the head, below and above its hidden layer."""


def baseline_cnn(faces: Tensor, settings: BaselineSettings, classes: int) -> Tensor:
    """Build a small residual net: a 7x7 convolution, three stages, global average, a hidden layer.

    A stage is a convolution with max pooling and residual blocks of two convolutions with an identity skip.
    Every convolution is followed by batch norm and ReLU, and has no bias of its own.
    """
    momentum = settings.batch_norm_momentum
    x = _conv(scaled(faces, settings), STEM, 7, momentum, "stem", strides=2)
    for number, (width, blocks) in enumerate(STAGES, start=1):
        x = _conv(x, width, 3, momentum, f"stage{number}")
        x = layers.MaxPooling2D(name=f"stage{number}_pool")(x)
        for block in range(1, blocks + 1):
            name = f"stage{number}_block{block}"
            inner = _conv(x, width, 3, momentum, f"{name}a")
            inner = _conv(inner, width, 3, momentum, f"{name}b")
            x = layers.Add(name=f"{name}_add")([x, inner])
    # Not the global maximum: sums of residual branches make it so large that the hidden layer dies at
    # a learning rate of 0.002, and the net gives the class shares for every face.
    x = layers.Dropout(settings.dropout, name=f"{HEAD}average_dropout")(average(x))
    x = dense_relu(x, HIDDEN, "dense1", settings.dropout)
    return probabilities(x, classes)


def _conv(x: Tensor, width: int, kernel: int, momentum: float, name: str, strides: int = 1) -> Tensor:
    x = layers.Conv2D(
        width,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
