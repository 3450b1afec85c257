"""Archives: what is wanted comes out as it went in, and whatever could do harm is refused in one line."""

from __future__ import annotations

import stat
import struct
import warnings
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import test_fuzz

from viewfusion.datasets import archives
from viewfusion.datasets.archives import archived_files, unpack
from viewfusion.errors import ViewFusionError

GOOD = {"meshes/a.obj": b"v 0 0 0\n" * 500, "notes.txt": b"words"}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        archive.writestr("meshes/", b"")
        for name, content in files.items():
            archive.writestr(name.removesuffix("#"), content)
    return path


def special(path: Path, kind: int) -> Path:
    """An archive with a link, or a device, and what it is said to lead to."""
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("meshes/a.obj")
        link.external_attr = (kind | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return path


def patched(path: Path, offset: int, form: str, value: int, local: int | None = None) -> Path:
    """Another number in the list of files, and in the header before the file's own bytes."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into(form, content, at + offset, value)
    if local is not None:
        (start,) = struct.unpack_from("<I", content, at + 42)
        struct.pack_into(form, content, start + local, value)
    path.write_bytes(content)
    return path


def everything(name: PurePosixPath) -> bool:
    return True


def refusal(path: Path, into: Path) -> str:
    """What is said of an archive that is refused; nothing may have left ``into``."""
    before = {each for each in path.parent.rglob("*") if not each.is_relative_to(into)}
    with pytest.raises(ViewFusionError) as error:
        unpack(path, into, everything)
    assert before == {each for each in path.parent.rglob("*") if not each.is_relative_to(into)}
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


def test_only_what_is_wanted_comes_out(tmp_path):
    path = zipped(tmp_path / "a.zip", GOOD)
    assert archived_files(path) == [PurePosixPath(name) for name in GOOD]
    unpack(path, tmp_path / "out", lambda name: name.suffix == ".obj")
    files = {file for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert files == {tmp_path / "out/meshes/a.obj"}
    assert (tmp_path / "out/meshes/a.obj").read_bytes() == GOOD["meshes/a.obj"]


def test_an_archive_with_a_comment_is_read(tmp_path):
    path = zipped(tmp_path / "a.zip", GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"from a server"
    assert len(archived_files(path)) == 2


@pytest.mark.parametrize("name", ["../a.obj", "meshes/../../a.obj", "/tmp/a.obj", "..\\a.obj", "C:/a.obj"])
def test_a_name_that_leads_out_refuses_the_whole_archive(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {**GOOD, name: b"evil"})
    assert "leads out of its folder; nothing of it is unpacked" in refusal(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    said = refusal(special(tmp_path / "a.zip", kind), tmp_path / "out")
    assert "'meshes/a.obj' in it is a link or a device" in said
    assert not (tmp_path / "out").exists()


def test_what_needs_a_password_is_refused(tmp_path):
    path = patched(zipped(tmp_path / "a.zip", GOOD), 8, "<H", 1, local=6)
    assert "'notes.txt' in it is encrypted; unpack it yourself" in refusal(path, tmp_path / "out")


def test_a_way_of_packing_that_takes_memory_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", GOOD, zipfile.ZIP_LZMA)
    assert "compressed in a way that is not read" in refusal(path, tmp_path / "out")


def test_two_files_of_one_name_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {**GOOD, "notes.txt#": b"other words"})
    assert "'notes.txt' is in it twice" in refusal(path, tmp_path / "out")


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a": b"a file", "a/b": b"and a folder"})
    assert "cannot be written" in refusal(path, tmp_path / "out")


def test_damage_is_found(tmp_path):
    path = zipped(tmp_path / "a.zip", GOOD, zipfile.ZIP_STORED)
    content = path.read_bytes()
    (tmp_path / "flipped.zip").write_bytes(content.replace(b"words", b"wards"))
    (tmp_path / "cut.zip").write_bytes(content[:-30])
    (tmp_path / "text.zip").write_text("<html>Not found</html>")
    (tmp_path / "empty.zip").write_bytes(b"")
    for name in ("flipped", "cut", "text", "empty"):
        said = refusal(tmp_path / f"{name}.zip", tmp_path / name)
        assert "damaged or no ZIP archive" in said
    assert "Bad CRC-32" in refusal(tmp_path / "flipped.zip", tmp_path / "again")
    assert "cannot be read (No such file" in refusal(tmp_path / "absent.zip", tmp_path / "absent")
    assert "cannot be read (Is a directory" in refusal(tmp_path / "flipped", tmp_path / "out")


def test_bombs_are_refused_by_what_they_claim_and_by_what_they_are(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", GOOD)
    claiming = patched(zipped(tmp_path / "claims.zip", GOOD), 24, "<I", 2**31)
    assert "unpacks to over 1024 MB" in refusal(claiming, tmp_path / "claims")
    assert not (tmp_path / "claims").exists()
    # One that claims less than it holds is never unpacked beyond its claim, and then its checksum is wrong.
    modest = patched(zipped(tmp_path / "modest.zip", {"a.obj": b"v 0 0 0\n" * 500}), 24, "<I", 10)
    assert "Bad CRC-32" in refusal(modest, tmp_path / "modest")
    assert sum(file.stat().st_size for file in (tmp_path / "modest").rglob("*.obj")) <= 10
    monkeypatch.setattr(archives, "MOST_BYTES", 4004)
    assert "unpacks to over" in refusal(path, tmp_path / "out")
    monkeypatch.setattr(archives, "MOST_BYTES", 4005)
    unpack(path, tmp_path / "out", everything)


def test_too_many_files_are_refused(tmp_path):
    many = zipped(tmp_path / "many.zip", {f"{number}": b"" for number in range(1000)})
    assert "holds 1,001 files" in refusal(many, tmp_path / "out")
    long = zipped(tmp_path / "long.zip", {f"{number}" * 30_000: b"" for number in range(10, 30)})
    assert "holds over 1,000 files" in refusal(long, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_form_for_endless_archives_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", GOOD)
    content = path.read_bytes()
    path.write_bytes(content[:-22] + b"PK\x06\x07" + bytes(16) + content[-22:])
    assert "more than 65,535 files or 4 GB" in refusal(path, tmp_path / "out")


def test_mutated_archives_unpack_into_their_folder_or_are_refused(tmp_path):
    """The same files as in test_fuzz.py, which looks at their lists alone."""
    path, reader, refusals = tmp_path / "a.zip", test_fuzz.READERS["ZIP"], []
    for number in range(400):
        path.write_bytes(test_fuzz.mutant(reader, number))
        try:
            unpack(path, tmp_path / f"out/{number}", everything)
        except ViewFusionError as error:
            refusals.append(str(error))
    assert 40 < len(refusals) < 399
    assert all(said.startswith(f"{path}: ") for said in refusals)
    assert {each.name for each in tmp_path.iterdir()} == {"a.zip", "out"}
    written = [each for each in (tmp_path / "out").rglob("*") if not each.is_dir()]
    assert sum(each.stat().st_size for each in written) < 400 * 1000
    assert not any(each.is_symlink() for each in written)
