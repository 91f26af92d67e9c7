"""Section `dedup` of params.yaml."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stages.settings import Section

HashName = Literal["phash", "dhash", "average", "wavelet"]
PolicyName = Literal["auto", "remove", "decontaminate", "group", "off"]
ConflictRule = Literal["report", "majority", "drop"]
PartName = Literal["train", "validation", "test"]


class DedupSettings(Section):
    """How near-duplicates are found and what is done about them: docs/near-duplicates.md."""

    policy: PolicyName = "auto"
    hash: HashName = "phash"
    hash_size: int = Field(default=16, ge=2, le=32)
    max_distance_bits: int = Field(default=56, ge=0)
    verify: bool = True
    min_similarity: float = Field(default=0.86, ge=0.5, le=1)
    mirror: bool = False
    protect: list[PartName] = ["test"]
    conflicts: ConflictRule = "report"
    max_group_share: float = Field(default=0.05, gt=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.policy == "decontaminate" and not self.protect:
            raise ValueError("policy = decontaminate removes copies of protected parts, but protect = []")
        bits = self.hash_size**2
        if self.max_distance_bits >= bits // 2:
            raise ValueError(
                f"max_distance_bits = {self.max_distance_bits}: expected below {bits // 2}, half of the"
                f" {bits} bits that hash_size = {self.hash_size} gives (two random images are that far apart)"
            )
        if self.hash == "wavelet" and self.hash_size & (self.hash_size - 1):
            raise ValueError(f"hash_size = {self.hash_size}: expected a power of 2 for hash = wavelet")
        return self
