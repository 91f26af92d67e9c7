"""Stages in part, or in need, for the server to run."""

from __future__ import annotations

import resource
from pathlib import Path

from candid.data.faces import load_images, read_splits
from candid.data.ingest import pool
from candid.files import read_json
from candid.settings import read_section
from candid.training.data import training_set
from candid.training.settings import ModelSettings, TrainSettings
from stages.ingest import main as ingest


def read_training_set() -> None:
    """Read what train reads, without starting TensorFlow."""
    training_set(
        load_images("data/faces.npy"), read_splits("data/splits.csv"), read_json("data/class_weights.json")
    )


def read_train_settings() -> None:
    """Read the settings of train, without starting TensorFlow."""
    read_section("train", TrainSettings)
    read_section("model", ModelSettings)


def ingest_in_workers_with_little_memory() -> None:
    """Run ingest with every picture decoded in another process, which may take 32 MiB more than it has."""
    pool.FIRST_JOBS_HERE = 0
    pool._start_worker = limit_memory
    ingest()


def limit_memory() -> None:
    """Take most of the memory from a worker."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (32 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
