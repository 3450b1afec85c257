"""Checkpoints by name: the facts, where they are looked for, what a fetch over HTTP brings, whose family."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import huggingface_hub.utils.logging  # now: it keeps the stderr it finds, and that of a test gets closed
import pytest

from viewfusion import resources
from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.geometry import FAMILIES
from viewfusion.zero123 import find_checkpoint, hashes, load_zero123, open_checkpoint
from viewfusion.zero123.catalogue import CATALOGUE, Entry, entries_of_size
from viewfusion.zero123.families import decide_family
from viewfusion.zero123.fetching import fetch_checkpoint
from viewfusion.zero123.names import installed

ROOT = Path(__file__).parents[1]


def test_the_names_and_that_nothing_is_invented():
    assert list(CATALOGUE) == [
        "zero123-nano",
        "zero123-xl",
        "zero123-105000",
        "zero123-165000",
        "zero123-230000",
        "zero123-300000",
        "stable-zero123",
        "stable-zero123-c",
    ]
    for entry in CATALOGUE.values():
        assert entry.family in FAMILIES
        assert entry.family == ("stable-zero123" if "stable" in entry.name else "zero123")
        assert entry.licence
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert entry.repository is None or (entry.sha256 and entry.size)  # what we fetch we can check
    hashes_known = [entry.sha256 for entry in CATALOGUE.values() if entry.sha256]
    assert len(set(hashes_known)) == len(hashes_known)


def test_sizes_that_are_worth_a_hash():
    assert [entry.name for entry in entries_of_size(8_584_287_851)] == ["stable-zero123"]
    assert entries_of_size(8_584_287_852) == []
    # zero123-165000's size is published as 15.5 GB only.
    names = ["zero123-xl", "zero123-105000", "zero123-165000"]
    assert [entry.name for entry in entries_of_size(15_465_973_531)] == names
    assert [entry.name for entry in entries_of_size(15_540_000_000)] == ["zero123-165000"]
    assert entries_of_size(15_560_000_000) == []


# --- where names are looked for ---------------------------------------------------------------------


@pytest.fixture
def places(monkeypatch, tmp_path) -> dict[str, Path]:
    """The three folders, empty: shipped, in the working directory, in the user's cache."""
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "package" / "viewfusion")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = {
        "shipped": tmp_path / "package/zero123_ckpts",
        "here": Path("zero123_ckpts"),
        "cache": tmp_path / "cache/viewfusion/zero123_ckpts",
    }
    for folder in found.values():
        folder.mkdir(parents=True)
    return found


def test_the_first_place_wins(places):
    for place in ("cache", "here", "shipped"):
        folder = places[place] / "mine"
        folder.mkdir()
        (folder / ("config.json" if place != "here" else "model_index.json")).touch()
        assert find_checkpoint("mine") == folder
    assert installed() == {"mine": places["shipped"] / "mine"}


@pytest.mark.parametrize("file", ["stable-zero123.safetensors", "stable-zero123.ckpt", "stable_zero123.ckpt"])
def test_files_by_our_name_and_by_the_published_one(places, file):
    (places["here"] / file).touch()
    assert find_checkpoint("stable-zero123") == places["here"] / file


def test_what_is_not_here_says_how_to_get_it(places):
    with pytest.raises(
        ViewFusionError, match="fetch it with `viewfusion checkpoints fetch zero123-xl`, or put"
    ):
        find_checkpoint("zero123-xl")
    with pytest.raises(ViewFusionError, match=r"download https://\S*/300000.ckpt and put 300000.ckpt"):
        find_checkpoint("zero123-300000")
    with pytest.raises(ViewFusionError, match="did you mean 'stable-zero123-c'"):
        find_checkpoint("stable-zero-123-c")
    (places["here"] / "notes").mkdir()
    for name in ("notes", "..", ".", "../zero123_ckpts/x", "a b", ""):
        if not Path(name).exists():
            with pytest.raises(ViewFusionError, match="no such file"):
                find_checkpoint(name)


# --- the family -------------------------------------------------------------------------------------


@pytest.fixture
def catalogued(monkeypatch, tiny_checkpoint) -> Entry:
    """An entry for the tiny checkpoint, as if it had been published as a Stable Zero123."""
    content = tiny_checkpoint[0].read_bytes()
    entry = Entry(
        name="tiny",
        family="stable-zero123",
        file="tiny.ckpt",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="none",
        repository="someone/tiny",
        url="http://localhost/tiny.ckpt",
    )
    monkeypatch.setitem(CATALOGUE, "tiny", entry)
    return entry


def test_a_published_file_is_recognised_by_its_hash(catalogued, tiny_checkpoint, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_checkpoint(*tiny_checkpoint)
        assert load_zero123(*tiny_checkpoint, family="stable-zero123").family == "stable-zero123"
    assert opened.config["family"] == "stable-zero123"
    assert opened.family_known_by == "its hash, which is that of tiny"
    with pytest.raises(ViewFusionError, match=r"'stable-zero123' by its hash.* of 'zero123' by --family"):
        open_checkpoint(*tiny_checkpoint, family="zero123")


def test_another_file_of_that_size_is_not(catalogued, tiny_checkpoint, tmp_path):
    content = bytearray(tiny_checkpoint[0].read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "other.ckpt").write_bytes(content)
    with pytest.warns(ViewFusionWarning, match="assuming 'zero123'"):
        assert decide_family(tmp_path / "other.ckpt", None, None, None) == ("zero123", "assumed")


def test_a_name_of_the_catalogue_tells_the_family(catalogued, places, tiny_checkpoint):
    (places["here"] / "tiny.ckpt").symlink_to(tiny_checkpoint[0])
    opened = open_checkpoint("tiny", tiny_checkpoint[1])
    assert opened.family_known_by == "its name in the catalogue, tiny"
    with pytest.raises(ViewFusionError, match="by its hash, which is that of tiny"):
        open_checkpoint("tiny", tiny_checkpoint[1], family="zero123")


def test_nothing_is_hashed_that_would_tell_nothing(catalogued, tiny_checkpoint, monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr("viewfusion.zero123.families.file_hash", lambda path: read.append(path) or "")
    path = tiny_checkpoint[0]
    decide_family(path, None, None, "stable-zero123")  # agrees with the only candidate
    decide_family(path, "stable-zero123", None, None)
    (tmp_path / "short.ckpt").write_bytes(b"PK")
    decide_family(tmp_path / "short.ckpt", None, None, "zero123")
    assert read == []
    decide_family(path, None, None, "zero123")
    assert read == [path]


def test_a_hash_is_remembered_until_the_file_changes(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    hashes._hash_of.cache_clear()
    first = hashes.file_hash(file)
    assert hashes.file_hash(file) == first == hashlib.sha256(b"abc").hexdigest()
    assert hashes._hash_of.cache_info().hits == 1
    file.write_bytes(b"abcd")
    assert hashes.file_hash(file) == hashlib.sha256(b"abcd").hexdigest()


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file whose hash is kept on disk, and the list of files that were read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "_KEPT_FROM", 3)
    monkeypatch.setattr(hashes, "_SETTLED", 0.0)
    read, digest = [], hashes._digest
    monkeypatch.setattr(hashes, "_digest", lambda path: read.append(path.name) or digest(path))
    file = tmp_path / "large"
    file.write_bytes(b"abc")
    time.sleep(0.02)  # the file system's clock ticks every few milliseconds
    return file, read


def another_process_hashes(file, **options):
    hashes._hash_of.cache_clear()
    return hashes.file_hash(file, **options)


def test_the_hash_of_a_large_file_is_kept_on_disk(large):
    file, read = large
    abc = hashlib.sha256(b"abc").hexdigest()
    assert [another_process_hashes(file) for _ in range(3)] == [abc] * 3
    assert read == ["large"]
    assert another_process_hashes(file, fresh=True) == abc
    assert read == ["large", "large"]
    (file.parent / "small").write_bytes(b"ab")
    assert [another_process_hashes(file.parent / "small") for _ in range(2)] == [hash_of(b"ab")] * 2
    assert read[2:] == ["small", "small"]


def hash_of(content):
    return hashlib.sha256(content).hexdigest()


def test_a_kept_hash_is_forgotten_with_the_file_however_alike_it_looks(large):
    file, _ = large
    before = file.stat()
    another_process_hashes(file)
    file.write_bytes(b"xyz")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time
    assert another_process_hashes(file) == hash_of(b"xyz")
    other = file.with_name("other")
    other.write_bytes(b"123")
    other.replace(file)  # another file under the name
    assert another_process_hashes(file) == hash_of(b"123")


def test_a_file_that_just_changed_is_not_trusted_to_stay(large, monkeypatch):
    file, read = large
    monkeypatch.setattr(hashes, "_SETTLED", 60.0)
    assert another_process_hashes(file) == another_process_hashes(file)
    assert read == ["large", "large"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"PATH": 3}',
        '{"PATH": [3, 1, 1, 1, "abc"]}',
        "[" * 5000,
        '{"PATH": [true, 1, 1, 1, "' + "0" * 64,
    ],
)
def test_what_is_kept_may_be_anything(large, content):
    file, _ = large
    kept = file.parent / "cache/viewfusion/hashes.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(content.replace("PATH", str(file)))
    assert another_process_hashes(file) == hash_of(b"abc")
    assert [*json.loads(kept.read_text())] == [str(file)]


def test_a_cache_that_cannot_be_written_is_done_without(large, monkeypatch):
    file, _ = large
    (file.parent / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file.parent / "file"))
    assert another_process_hashes(file) == hash_of(b"abc")


# --- fetching from a real server --------------------------------------------------------------------


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face Hub as a download asks for."""

    protocol_version = "HTTP/1.1"
    content: bytes = b""
    status = 200
    code: str | None = None  # the Hub's own word for an error
    asked: list[str]

    def answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        known = self.path == "/someone/tiny/resolve/main/tiny.ckpt" or "/resolve/" + "0" * 40 in self.path
        status = self.status if known else 404
        body = self.content if status == 200 else b""
        self.send_response(status)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        if self.code:
            self.send_header("X-Error-Code", self.code)
            self.send_header("X-Error-Message", "no such luck")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD = answer  # noqa: N815 (the server's names)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub():
    """``hub(content, status, code) -> address`` of a running server; ``hub.asked`` is what it was asked."""
    servers = []

    def serve(content: bytes = b"", status: int = 200, code: str | None = None) -> str:
        serve.asked = []
        handler = type("Handler", (Hub,), {"content": content, "status": status, "code": code})
        handler.asked = serve.asked
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def command(entry: Entry, endpoint: str, cache: Path, *arguments: str, **environment: str):
    """``viewfusion checkpoints ...`` in a process of its own whose catalogue knows ``entry`` too."""
    code = (
        "import sys\nfrom viewfusion.cli import main\n"
        "from viewfusion.zero123.catalogue import CATALOGUE, Entry\n"
        f"CATALOGUE['tiny'] = Entry(**{dataclasses.asdict(entry)!r})\n"
        f"sys.argv = ['viewfusion', 'checkpoints', *{arguments!r}]\nmain()"
    )
    variables = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    variables |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "XDG_CACHE_HOME": str(cache / "xdg")}
    variables |= {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables, timeout=300, cwd=cache
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout.strip(), ended.stderr


@pytest.fixture
def fetch(run, monkeypatch, tmp_path):
    """``fetch(endpoint)`` is ``viewfusion checkpoints fetch tiny`` in this process, from that hub."""

    def call(endpoint: str):
        theirs = partial(huggingface_hub.hf_hub_download, endpoint=endpoint, cache_dir=tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(huggingface_hub, "hf_hub_download", theirs)
            return run("checkpoints", "fetch", "tiny")

    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    huggingface_hub.close_session()  # one that was opened before knows the proxies
    yield call
    huggingface_hub.close_session()


def error_of(result) -> str:
    code, out, err = result
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert (code, out, len(lines)) == (2, "", 1), err
    return lines[0]


def test_fetch_brings_the_file_once_and_then_the_name_finds_it(catalogued, tiny_checkpoint, hub, tmp_path):
    content = tiny_checkpoint[0].read_bytes()
    endpoint = hub(content)
    code, out, err = command(catalogued, endpoint, tmp_path, "fetch", "tiny")
    assert code == 0, err
    assert Path(out).read_bytes() == content
    assert "licence: none" in err
    asked = list(hub.asked)
    assert "GET /someone/tiny/resolve/main/tiny.ckpt" in asked
    offline = {"HF_HUB_OFFLINE": "1"}
    config = str(tiny_checkpoint[1])
    code, report, _ = command(
        catalogued, endpoint, tmp_path, "inspect", "tiny", "--config", config, **offline
    )
    assert code == 0
    assert "stable-zero123 (known by: its name in the catalogue, tiny)" in report
    assert catalogued.sha256 in report
    assert hub.asked == asked  # nothing is asked for what is here


def test_other_bytes_than_published_are_refused_and_removed(catalogued, hub, fetch, tmp_path):
    message = error_of(fetch(hub(b"something else")))
    assert "not the published file (another SHA-256)" in message
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"something else"]
    assert left == []


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "EntryNotFound", "has no tiny.ckpt"),
        (404, "RepoNotFound", "cannot be fetched"),
        (403, "GatedRepo", "accept its licence there and to log in with `hf auth login`"),
    ],
)
def test_a_server_that_refuses(catalogued, hub, fetch, status, code, words):
    assert words in error_of(fetch(hub(b"", status, code)))


def test_no_network(catalogued, fetch, monkeypatch):
    """After some more attempts, between which the library would wait for 23 seconds."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert "check the network" in error_of(fetch("http://127.0.0.1:9"))
    assert pauses == sorted(pauses)
    assert len(pauses) > 1


def test_a_network_that_is_switched_off(catalogued, places, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ViewFusionError, match="HF_HUB_OFFLINE is set"):
        fetch_checkpoint("tiny")


def test_names_that_cannot_be_fetched(places):
    with pytest.raises(ViewFusionError, match="zero123: not in the catalogue; it has zero123-nano"):
        fetch_checkpoint("zero123")
    with pytest.raises(
        ViewFusionError, match="zero123-230000: is not on the Hugging Face Hub; download https"
    ):
        fetch_checkpoint("zero123-230000")
