"""Section `dedup` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from candid.settings import ByName, ConflictError, Section

HashName = Literal["phash", "dhash", "average", "wavelet"]
ConflictRule = Literal["report", "majority", "drop"]


class Aligned(Section):
    """Crops are compared as thumbnails, and each candidate pair is aligned and verified."""

    name: Literal["aligned"] = "aligned"
    min_similarity: float = Field(default=0.86, ge=0.5, le=1)  # correlation of fine structure


class Hash(Section):
    """Hashes of the imagehash library within a distance, as most tools compare images."""

    name: Literal["hash"] = "hash"
    hash: HashName = "phash"  # average is imagehash.average_hash, wavelet imagehash.whash
    hash_size: int = Field(default=8, ge=2, le=32)  # the hash has hash_size squared bits
    max_distance_bits: int = Field(default=4, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        bits = self.hash_size**2
        if self.max_distance_bits >= bits // 2:
            why = f"expected below {bits // 2}, half of the {bits} bits: two random images are that far apart"
            raise ConflictError("max_distance_bits", self.max_distance_bits, why)
        if self.hash == "wavelet" and self.hash_size & (self.hash_size - 1):
            raise ConflictError("hash_size", self.hash_size, "expected a power of 2 for hash = wavelet")
        return self


Method = Annotated[Aligned | Hash, Field(discriminator="name"), ByName]


class DedupSettings(Section):
    """How near-duplicates are found and what is done about them: docs/near-duplicates.md."""

    policy: Literal["auto", "remove", "decontaminate", "group", "off"] = "auto"
    method: Method = Aligned()
    mirror: bool = False  # also find mirrored copies
    protect: list[Literal["train", "validation", "test"]] = ["test"]
    conflicts: ConflictRule = "report"

    @model_validator(mode="after")
    def _protects_something(self) -> Self:
        if self.policy == "decontaminate" and not self.protect:
            why = "removes the copies of protected sets; expected one or more in dedup.protect"
            raise ConflictError("policy", self.policy, why)
        return self
