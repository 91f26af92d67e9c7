"""The section `gate` of params.yaml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from candid.settings import Section

HIGHER_IS_BETTER = re.compile(
    r"accuracy|balanced_accuracy|accuracy_unleaked|macro_(precision|recall|f1)"
    r"|(macro|micro|weighted)\.(precision|recall|f1|auc)"
    r"|per_class\..+\.(precision|recall|f1|auc)"
    r"|(clean|without_copies)\.(accuracy|macro\.f1)"
)

Share = Annotated[float, Field(ge=0, le=1)]


class GateSettings(Section):
    """What a change may cost before the gate fails; see docs/gate.md."""

    margin: Share = 0.005  # non-inferiority margin of accuracy and macro F1
    class_margin: Share = 0.05  # of the F1 of each class, which trade from seed to seed
    floors: dict[str, Share] = {}  # score of metrics/report.json (macro.f1) or metrics.json -> least value
    min_common: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of both test sets that must be common

    @field_validator("floors")
    @classmethod
    def _known(cls, floors: dict[str, float]) -> dict[str, float]:
        for name in floors:
            if not HIGHER_IS_BETTER.fullmatch(name):
                examples = "accuracy, macro.f1, per_class.happy.recall (metrics/report.json, metrics.json)"
                raise ValueError(f"{name!r} has no floor; expected a score where more is better: {examples}")
        return floors
