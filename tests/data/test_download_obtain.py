"""Where archives come from, in which order, and what is checked before they get their name."""

from __future__ import annotations

import hashlib
import importlib
import sys
import zipfile
from types import SimpleNamespace

import pytest

from candid.data.catalogue import Archive
from candid.data.download import https, kaggle, obtain
from candid.data.download.verify import check, contents_digest
from candid.errors import CandidError
from tests.data.loopback import Site, http_opener, serving
from tests.data.made import CATALOGUE, face, zipped

FILES = {"happy/1.png": face(1), "sad/2.png": face(2)}


def published(path, **more):
    """The catalogue's entry for this file."""
    data = path.read_bytes()
    return Archive(name="faces.zip", size=len(data), sha256=hashlib.sha256(data).hexdigest(), **more)


@pytest.fixture
def mirror(tmp_path):
    zipped(tmp_path / "mirror/faces.zip", FILES)
    return tmp_path / "mirror"


def put(archive, tmp_path, mirror=None):
    return obtain.obtain(archive, tmp_path / "raw", mirror, tmp_path / "parts")


def nothing_in(folder):
    return not folder.exists() or not list(folder.iterdir())


def test_the_mirror_comes_first(tmp_path, mirror):
    line = put(published(mirror / "faces.zip", kaggle="a/b", url="https://x.invalid/"), tmp_path, mirror)
    assert (tmp_path / "raw/faces.zip").read_bytes() == (mirror / "faces.zip").read_bytes()
    assert "sha256 as known" in line


def test_the_mirror_may_hold_it_under_another_of_its_names(tmp_path, mirror):
    put(Archive(name="faces.csv", also=["faces.zip"]), tmp_path, mirror)
    assert (tmp_path / "raw/faces.zip").is_file()


def test_the_same_files_wrapped_otherwise_are_right_too(tmp_path, mirror):
    archive = published(mirror / "faces.zip", contents=contents_digest(mirror / "faces.zip"))
    again = {f"folder/{name}": data for name, data in reversed(FILES.items())}
    zipped(mirror / "faces.zip", again, zipfile.ZIP_DEFLATED)
    assert "contents as published" in put(archive, tmp_path, mirror)


@pytest.mark.parametrize("contents", [None, "known"])
@pytest.mark.parametrize("fault", ["cut", "flipped", "other files", "renamed", "empty", "text"])
def test_a_wrong_archive_is_one_line_and_gets_no_name(tmp_path, mirror, fault, contents):
    path = mirror / "faces.zip"
    archive = published(path, contents=contents and contents_digest(path))
    data = path.read_bytes()
    flipped = bytes(byte ^ (i == 500) for i, byte in enumerate(data))
    {
        "cut": lambda: path.write_bytes(data[:-100]),
        "flipped": lambda: path.write_bytes(flipped),
        "other files": lambda: zipped(path, FILES | {"sad/3.png": face(3)}),
        "renamed": lambda: zipped(path, {"happy/1.png": face(1), "happy/2.png": face(2)}),
        "empty": lambda: path.write_bytes(b""),
        "text": lambda: path.write_bytes(b"<html>not found</html>"),
    }[fault]()
    with pytest.raises(CandidError) as caught:
        put(archive, tmp_path, mirror)
    message = str(caught.value)
    assert str(path) in message or "faces" in message
    assert "\n" not in message
    if fault in ("cut", "text"):
        assert "truncated" in message
        assert f"expected faces.zip with {archive.size:,} bytes" in message
    assert nothing_in(tmp_path / "raw")


def test_a_digest_of_contents_knows_names_and_bytes_and_nothing_else(tmp_path):
    digests = [
        contents_digest(zipped(tmp_path / f"{i}.zip", files, compression))
        for i, (files, compression) in enumerate(
            [
                (FILES, zipfile.ZIP_STORED),
                (dict(reversed(FILES.items())), zipfile.ZIP_DEFLATED),
                ({f"a/b/{name}": data for name, data in FILES.items()}, zipfile.ZIP_STORED),
                ({"happy/1.png": face(1), "sad/3.png": face(2)}, zipfile.ZIP_STORED),
                ({"happy/1.png": face(1), "sad/2.png": face(3)}, zipfile.ZIP_STORED),
                ({"happy/1.png": face(1)}, zipfile.ZIP_STORED),
            ]
        )
    ]
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests)) == 4


def test_a_bomb_is_not_read_to_find_its_digest(tmp_path):
    bomb = zipped(tmp_path / "b.zip", {"a/1.png": b"\0" * 30_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(CandidError, match="declares 30,000,000 bytes"):
        check(bomb, Archive(name="b.zip", contents="0" * 64), "somewhere")


@pytest.mark.parametrize(
    ("value", "match"),
    [("shared/data", "absolute"), ("/nowhere/at/all", "no such folder"), ("~/data", "absolute")],
)
def test_a_mirror_that_is_no_folder_is_one_line(value, match):
    with pytest.raises(CandidError, match=f"CANDID_MIRROR = '{value}'.*{match}"):
        obtain.read_mirror(value)


def test_no_mirror_is_no_fault():
    assert obtain.read_mirror(None) is None
    assert obtain.read_mirror("") is None


def test_what_only_a_person_can_get_says_what_from_where_and_where_to_put_it(tmp_path, mirror):
    archive = CATALOGUE["rafdb"].archives[1]
    with pytest.raises(
        CandidError, match=r"aligned\.zip.*whdeng\.cn.*set CANDID_MIRROR to its absolute path"
    ):
        put(archive, tmp_path)
    with pytest.raises(CandidError, match=f"put aligned.zip into {mirror}"):
        put(archive, tmp_path, mirror)


# HTTPS


@pytest.fixture
def plain_http(monkeypatch):
    """Let the loopback server stand in for one that speaks HTTPS."""
    monkeypatch.setattr(https, "https_opener", http_opener)
    monkeypatch.setattr(https, "FIRST_WAIT_SECONDS", 0.0)


def test_a_fetched_archive_is_checked_then_named_and_its_parts_go(tmp_path, mirror, plain_http):
    body = (mirror / "faces.zip").read_bytes()
    with serving(Site(body, cuts=[300])) as site:
        line = put(published(mirror / "faces.zip", url=site.url), tmp_path)
    assert (tmp_path / "raw/faces.zip").read_bytes() == body
    assert site.url in line
    assert nothing_in(tmp_path / "parts")


def test_a_fetched_archive_that_is_wrong_leaves_nothing_to_resume(tmp_path, mirror, plain_http):
    with serving(Site(b"<html>login</html>" * 40)) as site, pytest.raises(CandidError, match="sha256"):
        put(published(mirror / "faces.zip", url=site.url), tmp_path)
    assert nothing_in(tmp_path / "raw")
    assert not list((tmp_path / "parts").glob("*.part"))


def test_a_connection_that_keeps_breaking_leaves_a_part_under_another_name(tmp_path, mirror, plain_http):
    breaking = Site((mirror / "faces.zip").read_bytes(), cuts=[10] * 20)
    with serving(breaking), pytest.raises(CandidError, match="kept in"):
        put(published(mirror / "faces.zip", url=breaking.url), tmp_path)
    assert nothing_in(tmp_path / "raw")
    assert [path.stat().st_size for path in (tmp_path / "parts").glob("*.part")] == [60]


# Kaggle


@pytest.fixture
def client(monkeypatch):
    """Stands in for kagglehub; gives what `answer` says and keeps what it was asked for."""
    fake = SimpleNamespace(answer=None, asked=[])

    def download(handle, path=None):
        fake.asked.append((handle, path))
        if isinstance(fake.answer, Exception):
            raise fake.answer
        return str(fake.answer)

    fake.dataset_download = fake.competition_download = download
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    return fake


def unpacked(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_what_kaggle_unpacks_is_packed_again_and_checked_by_its_contents(tmp_path, mirror, client):
    client.answer = unpacked(tmp_path / "cache", FILES)
    archive = published(
        mirror / "faces.zip", contents=contents_digest(mirror / "faces.zip"), kaggle="a/b/versions/1"
    )
    assert "contents as published" in put(archive, tmp_path)
    assert client.asked == [("a/b/versions/1", None)]
    assert contents_digest(tmp_path / "raw/faces.zip") == archive.contents


def test_another_version_on_kaggle_is_told_and_used(tmp_path, mirror, client):
    client.answer = unpacked(tmp_path / "cache", {"happy/1.png": face(5)})
    archive = published(mirror / "faces.zip", contents=contents_digest(mirror / "faces.zip"), kaggle="a/b")
    assert "other files than those this catalogue was checked with" in put(archive, tmp_path)


def test_one_file_of_a_contest_keeps_its_name(tmp_path, client):
    (tmp_path / "fer2013.tar.gz").write_bytes(b"archive")
    client.answer = tmp_path / "fer2013.tar.gz"
    (archive,) = CATALOGUE["fer2013_csv"].archives
    put(archive, tmp_path)
    assert (tmp_path / "raw/fer2013.tar.gz").read_bytes() == b"archive"
    assert client.asked[0][0].startswith("challenges-in-representation-learning")
    assert client.asked[0][1] == "fer2013.tar.gz"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyError, RuntimeError])
def test_a_secret_never_reaches_a_message(tmp_path, mirror, client, monkeypatch, error):
    monkeypatch.setenv("KAGGLE_KEY", "0123456789abcdef")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    client.answer = error("401 for https://x?key=0123456789abcdef&token=KGAT_secret\nmore")
    with pytest.raises(CandidError) as caught:
        put(published(mirror / "faces.zip", kaggle="a/b"), tmp_path)
    message = str(caught.value)
    assert "0123456789abcdef" not in message
    assert "KGAT_secret" not in message
    assert "Kaggle's client can't fetch a/b" in message
    assert "CANDID_MIRROR" in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_kaggle_is_asked_through_its_own_client():
    kagglehub = importlib.import_module("kagglehub")
    assert callable(kagglehub.dataset_download)
    assert callable(kagglehub.competition_download)
    assert kaggle.without_secrets("nothing to hide") == "nothing to hide"
