"""candid compare as a person calls it: text, Markdown, JSON, recorded results, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from candid.compare.command import main
from candid.compare.rows import Table
from candid.compare.seconds import note_attempt
from candid.compare.tell import as_markdown
from candid.errors import CandidError
from tests.commands.recipe_project import RecipeProject, made
from tests.conftest import REPOSITORY
from tests.gate.project import faces


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeProject:
    monkeypatch.chdir(tmp_path)
    return made(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(["made2024", *arguments])
    return capsys.readouterr().out


def line(text: str, start: str) -> str:
    return " ".join(next(one for one in text.splitlines() if one.startswith(start)).split())


def test_the_table_can_be_read_on_a_terminal(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        project.member("seeds", f"s{seed}", table=faces(300, seed, group=3))
    project.member("plain", behind="2epochs", train__epochs=2, train__warmup_epochs=1)
    project.member("plain", honest=True, table=faces(seed=3, right=0.6))
    text = said(capsys)
    assert max(map(len, text.splitlines())) <= 100
    assert "Lovelace and Babbage 2024, Drawn faces told apart" in text
    assert text.index("published numbers lie within") < text.index("claim      A net") < text.index("run  ")
    assert "published  the sample at random, copies left in" in text
    assert "honest     groups kept together" in text
    head, plain = line(text, "run "), line(text, "plain ")
    assert head == "run metric published source measured (95 %) diff within honest (95 %)"
    assert plain.startswith("plain accuracy 75 T1 ")
    assert " yes " in plain
    assert "97 ±1.4 F5" in line(text, "seeds ")
    assert line(text, "plain-large ") == "plain-large accuracy 95 T1 – – – –"
    assert "a  shortened: 2 of 10 epochs" in text
    assert "mean over 3 seeds, ± standard deviation" in text
    assert "Under the paper's protocol: 4 experiments at commit " in text
    assert "1 of 2 published numbers lie within the 95 % interval" in " ".join(text.split())
    assert "protocol: plain-large, repeated, transfer. `candid reproduce made2024`" in " ".join(text.split())
    assert (
        "in the training part: 100.0 % under the paper's protocol, 0.0 % under the honest one."
        in " ".join(text.split())
    )


def test_all_numbers_on_demand(project: RecipeProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.member("plain")
    text = said(capsys, "--full", "--only", "plain")
    assert max(map(len, text.splitlines())) <= 100
    assert "plain: one experiment" in text
    assert line(text, "happy recall").startswith("happy recall 80 T3 ")
    assert line(text, "macro AUC").startswith("macro AUC 90 T2 ")
    assert "support" not in text
    assert "plain-large" not in text


def test_what_was_recorded_for_the_shipped_recipe_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    main(["bah2022", "--full", "--from", "recipes/measured/bah2022"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    row = text.splitlines().index(next(one for one in text.splitlines() if one.startswith("ck48-residual ")))
    assert "97.4 ±1.5 (95.2–99.0)" in text.splitlines()[row]
    assert text.splitlines()[row + 1].split() == ["a,b,c,d", "a,b,e,d"]
    assert "by the settings of the recipe, but for the letters, under" in " ".join(text.split())


def test_the_summary_says_which_numbers_are_of_bent_runs(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    def short() -> str:
        return " ".join(said(capsys, "--only", "plain", "plain-large").split())

    project.member("plain", honest=True, behind="2epochs", train__epochs=2, train__warmup_epochs=1)
    assert "by the settings of the recipe, under the protocol" in short()
    assert "- 1 honest run is shortened, changed, from scratch or in part: see the letters." in short()
    assert "the one published (shortened, changed, from scratch or in part)." in short()
    project.member("plain-large", honest=True)
    assert "the one published (2 runs, 1 of them shortened, changed, from scratch or in part)." in short()
    project.member("plain-large", train__batch_size=8)
    assert "- 1 measured run and 1 honest run are shortened, changed, from scratch or in part" in short()
    assert (
        "the one measured under the paper's protocol (shortened, changed, from scratch or in part)."
        in short()
    )


def test_the_summary_says_so_also_where_no_number_is_published(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = project.root / "recipes/made2024.yaml"
    published = "    published:\n      - {source: Table 1, metric: accuracy, value: 0.95}\n"
    assert published in recipe.read_text(encoding="utf-8")
    project.write("recipes/made2024.yaml", recipe.read_text(encoding="utf-8").replace(published, ""))
    project.commit("without a number")
    project.member("plain-large", train__batch_size=8)
    text = " ".join(said(capsys, "--only", "plain-large").split())
    assert "- 1 measured run is shortened, changed, from scratch or in part: see the letters." in text


def test_markdown_and_json_hold_the_same(project: RecipeProject, capsys: pytest.CaptureFixture[str]) -> None:
    commit = project.member("plain")
    metrics = project.metrics_of(commit)
    md = said(capsys, "--md")
    assert "## Lovelace and Babbage 2024: [Drawn faces told apart](https://example.org/paper)" in md
    assert f"| plain | accuracy | 75 | T1 | {100 * metrics['accuracy']:.1f} (" in md
    assert {row.count("|") for row in md.splitlines() if row.startswith("|")} == {9}
    assert "\n\n\n" not in md
    recipe = project.recipe
    unlinked = Table(replace(recipe, paper=replace(recipe.paper, url=None)), [])
    heading = as_markdown(unlinked, full=False).splitlines()[0]
    assert heading == "## Lovelace and Babbage 2024: Drawn faces told apart"
    value = json.loads(said(capsys, "--json", "--full"))
    (plain,) = [one for one in value["runs"] if one["name"] == "plain"]
    accuracy = plain["rows"][0]
    assert accuracy["published"] == {"value": 0.75, "sd": None, "source": "Table 1"}
    assert accuracy["measured"]["value"] == metrics["accuracy"]
    assert accuracy["measured"]["low"] == metrics["accuracy_low"]
    assert accuracy["within"] is True
    assert accuracy["honest"] is None
    assert plain["measured"]["experiments"] == {"made2024-plain": commit}
    assert plain["measured"]["leaked_test_faces"] == 400


def test_exported_results_make_the_same_table_in_another_clone(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold in range(3):
        project.member("repeated", f"r0-f{fold}", table=faces(90, fold, group=2))
    commit = project.member("plain")
    project.member("plain", honest=True)
    note_attempt(project.root, "made2024-plain", 60)  # stopped
    note_attempt(project.root, "made2024-plain", 40, commit)
    note_attempt(project.root, "made2024-plain-honest", 7, "of another experiment")
    here = said(capsys, "--full")
    assert here.count("; 1 min 40 s") == 1
    assert " s\n" not in here.replace("; 1 min 40 s\n", "")
    written = said(capsys, "--export", "recipes/measured/made2024").splitlines()
    assert [Path(path).name for path in written] == [
        "made2024-plain.json",
        "made2024-plain-honest.json",
        "made2024-repeated.json",
    ]
    for path in written:
        text = Path(path).read_text(encoding="utf-8")
        assert ".png" not in text, "no picture is named in what is committed"
    record = json.loads(Path(written[0]).read_text())
    assert record["members"]["only"]["commit"] == commit
    assert record["members"]["only"]["seconds"] == 100
    assert record["settings"]["train.epochs"] == 10
    for ref in project.git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        project.git("update-ref", "-d", ref)
    for arguments in (("--full",), ("--full", "--from", "recipes/measured/made2024")):
        there = said(capsys, *arguments)
        assert "recorded at commit" in there
        for start in ("plain ", "repeated ", "happy recall", "macro F1", "macro AUC"):
            numbers = [[w for w in line(one, start).split() if w not in "abcd"] for one in (here, there)]
            assert [w for w in numbers[0] if "," not in w] == [w for w in numbers[1] if "," not in w], start


def test_where_a_file_of_one_s_own_lies_is_not_told(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.member("plain", behind="earlier", model__weights="/home/ada/models/earlier.keras")
    assert "changed: model.weights earlier.keras instead of null" in " ".join(said(capsys).split())
    project.member("plain-large", behind="shipped", model__weights="models/pretrained/fer2013.keras")
    assert "model.weights models/pretrained/fer2013.keras instead" in " ".join(said(capsys).split())
    written = said(capsys, "--export", "out").splitlines()[0]
    assert "/home" not in Path(written).read_text(encoding="utf-8")


def test_what_was_run_here_goes_before_what_is_recorded(
    project: RecipeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.member("plain", table=faces(seed=1))
    said(capsys, "--export", "recipes/measured/made2024")
    project.commit("measured")
    project.member("plain", behind="1epoch", train__epochs=1, train__warmup_epochs=0, table=faces(seed=2))
    project.git(
        "update-ref", "-d", project.git("for-each-ref", "--format=%(refname)", "refs/exps/**/made2024-plain")
    )
    assert "shortened: 1 of 10 epochs" in said(capsys)
    assert "shortened" not in said(capsys, "--from", "recipes/measured/made2024")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["made2025"], "recipes/made2025.yaml: no such recipe; expected one of made2024"),
        (["made2024", "--only", "plian"], "made2024 has no run 'plian'; expected one of plain"),
        (["made2024", "--from", "nowhere"], "nowhere: no such folder"),
        (["made2024", "--export", "out"], "made2024: no experiment to export here"),
        (["made2024", "--from", "broken"], "broken/a.json: no record of results"),
        (["made2024", "--from", "cut"], "cut/a.json: not JSON"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(project: RecipeProject, arguments: list[str], words: str) -> None:
    project.write("broken/a.json", '{"recipe": "made2024", "run": "plain", "members": 3}')
    project.write("cut/a.json", '{"recipe": ')
    with pytest.raises(CandidError) as error:
        main(arguments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = made(tmp_path)
    (tmp_path / ".git").rename(tmp_path / "away")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CandidError, match="not a git repository"):
        main(["made2024"])
    assert project.root == tmp_path
