"""No secret in the repository, its history, or what a run with a token in its environment says and writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.made import write_params
from tools import secrets

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file holds none.
SAMPLES = {
    "a Kaggle token": "KGAT_" + "0123456789abcdef" * 2,
    "a Kaggle key": '{"username": "x", "key": "' + "0123456789abcdef" * 2 + '"}',
    "a private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "an AWS key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a GitHub token": "ghp_" + "a1B2" * 10,
    "a GitLab token": "glpat-" + "a1B2" * 6,
    "a Hugging Face token": "hf_" + "a1B2" * 9,
    "a PyPI token": "pypi-AgEIcHlwaS5vcmc" + "a1B2" * 20,
    "a Google key": "AIza" + "a1B2c" * 7,
    "a Slack token": "xoxb-" + "1234567890-abc",
    "a JSON Web Token": ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxIn0x", "c2lnbmF0dXJl"]),
    "a password in an address": "https://user:" + "hunter22@example.org/",
}
TOKEN = "not-a-real-token-7f3a9c"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for command in (["init", "-q"], ["config", "user.name", "t"], ["config", "user.email", "t@example.org"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def commit(*paths: str) -> None:
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "one", "--allow-empty"], check=True)


def test_every_kind_has_a_sample_that_is_found():
    assert SAMPLES.keys() == secrets.KINDS.keys()


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_secret_is_found_and_not_repeated(repository, capsys, kind):
    (repository / "notes.txt").write_text(f"one\ntwo {SAMPLES[kind]}\n")
    commit()
    assert secrets.main() == 1
    out = capsys.readouterr().out
    assert f"notes.txt:2: {kind}\n" in out
    assert SAMPLES[kind] not in out


def test_what_was_deleted_is_still_in_the_history(repository, capsys):
    (repository / "notes.txt").write_text(SAMPLES["an AWS key"])
    commit()
    (repository / "notes.txt").unlink()
    commit()
    assert secrets.main() == 1
    assert "commit " in capsys.readouterr().out


def test_the_values_of_this_environment_are_looked_for(repository, capsys, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    (repository / "log.txt").write_text(f"asked with {TOKEN}\n")
    commit()
    assert secrets.main() == 1
    out = capsys.readouterr().out
    assert "log.txt:1: the value of $SOME_TOKEN" in out
    assert TOKEN not in out


def test_this_repository_has_none(monkeypatch, capsys):
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: there is no history to look through")
    monkeypatch.chdir(ROOT)
    assert secrets.main() == 0, capsys.readouterr().out


CLIENT = """
import os, sys
def dataset_download(handle, path=None):
    token = os.environ["KAGGLE_API_TOKEN"]
    {}
competition_download = dataset_download
"""


def download(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The stage in a project below `folder`, for a set that only Kaggle has, with TOKEN at hand."""
    project = folder / "project"
    project.mkdir()
    write_params(project, dataset="ck48")
    return subprocess.run(
        [sys.executable, "-m", "stages.download"],
        cwd=project,
        env={**environment, "KAGGLE_API_TOKEN": TOKEN, "CANDID_MIRROR": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "fault",
    [
        'raise ValueError(f"401: https://x?token={token}\\nAuthorization: Bearer {token}")',
        'raise OSError(f"can not connect with {token}")',
        'raise OSError(5, f"Input/output error with {token}", f"/tmp/{token}")',
        'raise OSError(28, "No space left on device", "/tmp/kaggle")',
        "raise KeyError(token)",
    ],
    ids=["refused", "connection", "input and output", "full disk", "key"],
)
def test_a_token_reaches_no_log_and_no_file(fault, tmp_path):
    """Kaggle's client is replaced by one that puts the token into every message it can."""
    (tmp_path / "client").mkdir()
    (tmp_path / "client/kagglehub.py").write_text(CLIENT.format(fault))
    path = f"{tmp_path / 'client'}{os.pathsep}{ROOT}"
    done = download(tmp_path, {**os.environ, "PYTHONPATH": path})
    assert done.returncode != 0
    assert TOKEN not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert all(
        TOKEN.encode() not in path.read_bytes()
        for path in (tmp_path / "project").rglob("*")
        if path.is_file()
    )


def test_the_real_client_keeps_a_token_to_itself(tmp_path):
    """At its most talkative, with a log, and with a proxy that nobody answers at: no network is asked."""
    talkative = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PYTHONPATH": str(ROOT),
        "KAGGLEHUB_VERBOSITY": "debug",
        "KAGGLE_LOGGING_ENABLED": "1",
        "KAGGLE_LOGGING_ROOT_DIR": str(tmp_path),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HOME": str(tmp_path),
    }
    done = download(tmp_path, talkative)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Kaggle's client can't fetch shawon10/ckplus" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert all(TOKEN.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
