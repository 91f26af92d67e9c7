from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.recipe_project import RecipeProject, made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeProject:
    """A project with the recipe and no experiment, entered."""
    monkeypatch.chdir(tmp_path)
    return made(tmp_path)
