"""An archive comes from the first source that has it, is what the catalogue means, and no secret is shown."""

from __future__ import annotations

import base64
import gzip
import sys
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from candid.data import download
from candid.data.archives import open_files
from candid.data.catalogue import Archive
from candid.data.download import check, checksum, contents_digest, obtain, read_mirror, without_secrets
from candid.errors import CandidError
from tests.conftest import refusal
from tests.data.made import CATALOGUE, declare, face, folder, zipped

FILES = {f"happy/{i}.png": face(i) for i in range(5)} | {"sad/1.png": face(9)}


def digest_of(path):
    with open_files(path) as files:
        return contents_digest(files)


@pytest.fixture
def published(tmp_path):
    """A mirror with faces.zip, and the catalogue's entry of it."""
    path = zipped(tmp_path / "mirror/faces.zip", FILES)
    return Archive(name="faces.zip", sha256="0" * 64, contents=[digest_of(path)])


def nothing_in(path):
    return not path.exists() or not list(path.iterdir())


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("other order", dict(reversed(FILES.items()))),
        ("enclosed", {f"faces-main/{name}": data for name, data in FILES.items()}),
        ("macOS", FILES | {"__MACOSX/happy/._1.png": b"x", ".DS_Store": b"x", "happy/Icon\r": b""}),
        ("Windows", {name.replace("/", "\\"): data for name, data in FILES.items()} | {"a/Thumbs.db": b"x"}),
    ],
)
def test_a_mirror_archive_packed_again_is_accepted(tmp_path, published, name, files):
    zipped(tmp_path / "mirror/faces.zip", files, zipfile.ZIP_DEFLATED)
    line = obtain(published, tmp_path / "raw", tmp_path / "mirror")
    assert line.endswith("(contents as published)")
    assert (tmp_path / "raw/faces.zip").read_bytes() == (tmp_path / "mirror/faces.zip").read_bytes()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({name: data for name, data in FILES.items() if "happy" in name}, ["1 missing (sad/1.png)"]),
        (FILES | {"sad/2.png": face(3)}, ["1 extra (sad/2.png)"]),
        (FILES | {"sad/1.png": face(3)}, ["1 different (sad/1.png)"]),
        (
            {f"{i}.png": b"x" for i in range(9)},
            ["6 missing (happy/0.png, happy/1.png, happy/2.png, ...)", "9 extra"],
        ),
    ],
)
def test_a_refused_archive_says_which_files_are_missing_extra_or_different(
    tmp_path, published, monkeypatch, files, words
):
    with open_files(tmp_path / "mirror/faces.zip") as opened:
        lines = "".join(f"{checksum(opened, name)} {name}\n" for name in opened.names)
    (tmp_path / "faces.zip.txt.gz").write_bytes(gzip.compress(lines.encode()))
    monkeypatch.setattr(download, "MEMBERS", tmp_path)
    zipped(tmp_path / "mirror/faces.zip", files)
    line = refusal(obtain, published, tmp_path / "raw", tmp_path / "mirror")
    assert all(word in line for word in [*words, "mirror/faces.zip", "sha256", "the same files in it"]), line
    assert nothing_in(tmp_path / "raw")


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"", "0 bytes"), (b"PK\x03\x04 cut", "truncated or no zip archive"), (b"<html>" * 9, "no zip archive")],
)
def test_what_is_no_archive_is_refused(tmp_path, published, data, match):
    (tmp_path / "mirror/faces.zip").write_bytes(data)
    with pytest.raises(CandidError, match=match):
        check(tmp_path / "mirror/faces.zip", published, "somewhere")


def test_a_bomb_is_not_read_to_find_its_digest(tmp_path):
    bomb = declare(zipped(tmp_path / "b.zip", {"a/1.png": face()}), 4_043_309_055)
    with pytest.raises(CandidError, match=r"declares 4,043,309,055 bytes"):
        check(bomb, Archive(name="b.zip", contents=["0" * 64]), "somewhere")


@pytest.mark.parametrize("name", ["ck48", "muxspace"])
def test_the_list_of_published_files_is_there_and_whole(name):
    lines = gzip.decompress((download.MEMBERS / f"{name}.zip.txt.gz").read_bytes()).decode().splitlines()
    assert len(lines) == {"ck48": 981, "muxspace": 13_719}[name]
    assert all(len(line.split(" ", 1)[0]) == 8 for line in lines)


def test_a_mirror_is_an_absolute_folder_or_unset():
    assert read_mirror(None) is read_mirror("") is None
    for value, match in (("shared/data", "absolute"), ("/nowhere", "no such folder"), ("~/x", "absolute")):
        with pytest.raises(CandidError, match=f"CANDID_MIRROR = '{value}'.*{match}"):
            read_mirror(value)


def test_what_only_a_person_can_get_says_what_from_where_and_where_to_put_it(tmp_path):
    archive = CATALOGUE["rafdb"].archives[1]
    with pytest.raises(CandidError, match=r"aligned\.zip.*whdeng\.cn.*set CANDID_MIRROR to its absolute"):
        obtain(archive, tmp_path, None)
    with pytest.raises(CandidError, match=f"put aligned.zip into {tmp_path}"):
        obtain(archive, tmp_path, tmp_path)


# HTTPS


@contextmanager
def server(body=b"", location="", length=True, status=200):
    """Answer every request on the loopback address with that; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args):
            pass

        def do_GET(self):
            self.send_response(302 if location else status)
            if location:
                self.send_header("Location", location)
            if length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/faces.zip"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def plain_http(monkeypatch):
    """Let the loopback server stand in for one that speaks HTTPS, and ask no proxy."""
    monkeypatch.setattr(download, "SCHEME", "http://127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_a_fetched_archive_is_checked_and_named(tmp_path, published, plain_http):
    body = (tmp_path / "mirror/faces.zip").read_bytes()
    with server(body) as url:
        line = obtain(published.model_copy(update={"url": url}), tmp_path / "raw", None)
    assert url in line
    assert (tmp_path / "raw/faces.zip").read_bytes() == body
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["faces.zip"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"body": b"<html>login</html>" * 40}, "sha256"),
        ({"body": b"x" * 5000, "length": False}, "more than 4,000 bytes"),
        ({"body": b"x" * 5000}, "more than 4,000 bytes"),
        ({"location": "ftp://elsewhere/x"}, "'ftp://elsewhere/x'; expected an https address"),
        ({"location": "http://[::1/x\x1b[31m"}, "Invalid"),
        ({"status": 404}, "404"),
    ],
)
def test_a_fetch_that_goes_wrong_is_one_line_and_leaves_nothing(
    tmp_path, published, plain_http, monkeypatch, options, match
):
    monkeypatch.setattr(download, "MAX_DOWNLOAD_BYTES", 4000)
    with server(**options) as url, pytest.raises(CandidError, match=match) as caught:
        obtain(published.model_copy(update={"url": url}), tmp_path / "raw", None)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "set CANDID_MIRROR" in str(caught.value)
    assert nothing_in(tmp_path / "raw")


def test_an_address_that_is_not_https_is_refused(tmp_path, published):
    with server() as url, pytest.raises(CandidError, match="expected an https address"):
        obtain(published.model_copy(update={"url": url}), tmp_path / "raw", None)


# Kaggle


@pytest.fixture
def client(monkeypatch):
    """Stands in for kagglehub; gives what `answer` says and keeps what was requested."""
    fake = SimpleNamespace(answer=None, requests=[])

    def fetch(handle, path=None):
        fake.requests.append((handle, path))
        if isinstance(fake.answer, Exception):
            raise fake.answer
        return str(fake.answer)

    fake.dataset_download = fake.competition_download = fetch
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    return fake


def test_what_kaggle_unpacks_is_packed_again_and_checked_by_its_contents(tmp_path, published, client):
    client.answer = folder(tmp_path / "cache", FILES)
    archive = published.model_copy(update={"kaggle": "a/b/versions/1"})
    assert "contents as published" in obtain(archive, tmp_path / "raw", None)
    assert client.requests == [("a/b/versions/1", None)]
    assert [digest_of(tmp_path / "raw/faces.zip")] == archive.contents
    client.answer = folder(tmp_path / "other", {"happy/1.png": face(5)})
    line = obtain(archive, tmp_path / "raw", None)
    assert "other files than those this catalogue was checked with" in line


def test_one_file_of_a_contest_keeps_its_name(tmp_path, client):
    (tmp_path / "fer2013.tar.gz").write_bytes(b"archive")
    client.answer = tmp_path / "fer2013.tar.gz"
    (archive,) = CATALOGUE["fer2013_csv"].archives
    obtain(archive, tmp_path / "raw", None)
    assert (tmp_path / "raw/fer2013.tar.gz").read_bytes() == b"archive"
    assert client.requests[0][0].startswith("challenges-in-representation-learning")
    assert client.requests[0][1] == "fer2013.tar.gz"


KEYS = {"environment": "0123456789abcdef", "token": "KGAT_secret", "file": "0f" * 16}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyError, RuntimeError])
def test_a_key_never_reaches_a_message(tmp_path, published, client, monkeypatch, error):
    monkeypatch.setenv("KAGGLE_KEY", KEYS["environment"])
    monkeypatch.setenv("KAGGLE_API_TOKEN", KEYS["token"])
    unknown = "f" * 8 + "0" * 24
    basic = base64.b64encode(f"ada:{KEYS['environment']}".encode()).decode()
    shown = f"401 for https://x?key={KEYS['environment']}&token={KEYS['token']}\nmore {KEYS['file']}"
    client.answer = error(f"{shown} {basic} {unknown}")
    with pytest.raises(CandidError) as caught:
        obtain(published.model_copy(update={"kaggle": "a/b"}), tmp_path / "raw", None)
    message = str(caught.value)
    for secret in (*KEYS.values(), basic, unknown):
        assert secret not in message
    for word in ("Kaggle's client can't fetch a/b", "401 for https://x", "CANDID_MIRROR"):
        assert word in message
    assert caught.value.__suppress_context__
    assert without_secrets("nothing to hide in /home/ada") == "nothing to hide in /home/ada"
