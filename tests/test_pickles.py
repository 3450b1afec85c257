"""Pickles read as data: what torch writes comes out, and no gadget runs, crashes or grows."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.pickles import SOMETHING, TensorRecord, UnsafePickleError, read_pickle
from viewfusion.zero123.lightning import read_state_dict

# --- an assembler for pickles no pickler would write ------------------------------------------------


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def whole(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(kind: str = "torch.FloatStorage", key: str = "0", count: int = 4) -> bytes:
    return b"(" + text("storage") + named(kind) + text(key) + text("cpu") + whole(count) + b"tQ"


def tensor(numbers: bytes, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), offset: int = 0):
    shape = b"(" + b"".join(map(whole, size)) + b"t(" + b"".join(map(whole, stride)) + b"t"
    hooks = named("collections.OrderedDict") + b")R"
    return (
        named("torch._utils._rebuild_tensor_v2")
        + b"("
        + numbers
        + whole(offset)
        + shape
        + b"\x89"
        + hooks
        + b"tR"
    )


WEIGHT = tensor(storage())


def checkpoint(weight: bytes = WEIGHT, beside: bytes = b"N") -> bytes:
    """A pickle of ``{"callbacks": beside, "state_dict": {"w": weight}}``."""
    state = b"}" + text("w") + weight + b"s"
    return b"\x80\x02}(" + text("callbacks") + beside + text("state_dict") + state + b"u."


def written(path: Path, pickled: bytes) -> Path:
    """An archive as torch writes it, with ``pickled`` for its pickle and the storage 1, 2, 3, 4."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", struct.pack("<4f", 1, 2, 3, 4))
        archive.writestr("archive/version", "3\n")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ViewFusionError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 400
    return message


# --- what is read -----------------------------------------------------------------------------------


def test_the_assembler_writes_what_torch_reads(tmp_path):
    """So that the hostile files below differ from good ones in what is hostile only."""
    path = written(tmp_path / "good.ckpt", checkpoint())
    for state in (torch.load(path, weights_only=True)["state_dict"], read_state_dict(path)):
        assert state["w"].tolist() == [1, 2, 3, 4]


def test_every_kind_of_tensor_is_read_as_torch_does(tmp_path):
    matrix = torch.arange(48.0).reshape(6, 8)
    state = {
        "transposed": matrix.T,
        "part": matrix[2:4, 1:5],
        "parameter": torch.nn.Parameter(matrix),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.0, dtype=torch.float64),
        "half": matrix.half(),
        "bfloat16": matrix.bfloat16(),
        "truth": matrix > 20,
        "whole": torch.arange(5),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }
    torch.save({"state_dict": state, "optimizer_states": [{"state": {0: matrix}}]}, tmp_path / "a.ckpt")
    read = read_state_dict(tmp_path / "a.ckpt")
    assert list(read) == list(state)
    for name, value in state.items():
        assert torch.equal(read[name], value), name
        assert (read[name].dtype, read[name].stride()) == (value.dtype, value.stride()), name


def test_values_by_hand():
    content = {"a": [1, -2, 2**40, 0.5, None, True], "b": ("x", ()), 3: {"c": b"raw"}}
    read = read_pickle(pickle.dumps(content, protocol=2), lambda name: name == "_codecs.encode")
    assert read == {**content, 3: {"c": SOMETHING}}
    record = read_pickle(b"\x80\x02" + WEIGHT + b".", lambda name: True)
    assert isinstance(record, TensorRecord)
    assert (record.offset, record.size, record.stride, record.storage.key) == (0, (4,), (1,), "0")


def test_a_name_that_is_not_known_is_refused():
    with pytest.raises(UnsafePickleError, match=r"asks to run `os.system`"):
        read_pickle(named("os.system") + b".", lambda name: False)


def test_an_archive_within_the_archive_is_left_alone(tmp_path):
    evil = written(tmp_path / "evil.ckpt", checkpoint(beside=GADGETS["os.system"]))
    path = written(tmp_path / "good.ckpt", checkpoint())
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(evil, "archive/data/evil.ckpt")
        archive.write(evil, "archive/constants.pkl")
    assert read_state_dict(path)["w"].tolist() == [1, 2, 3, 4]


def test_numbers_are_found_where_the_archive_begins_later(tmp_path):
    path = written(tmp_path / "late.ckpt", checkpoint())
    path.write_bytes(b"PK and what somebody put before it" + path.read_bytes())
    assert read_state_dict(path)["w"].tolist() == [1, 2, 3, 4]


# --- what is refused --------------------------------------------------------------------------------

NO_TENSOR = {
    "more than the file holds": tensor(storage(), (5,)),
    "a count that lies": tensor(storage(count=2**40), (2**40,)),
    "repeated numbers": tensor(storage(), (2**30,), (0,)),
    "negative size": tensor(storage(), (-4,)),
    "negative stride": tensor(storage(), (4,), (-1,)),
    "negative offset": tensor(storage(), offset=-1),
    "far offset": tensor(storage(), offset=2**61),
    "overflowing size": tensor(storage(), (2**62, 4), (1, 1)),
    "overflowing stride": tensor(storage(), (5,), (2**62 + 1,)),
    "sizes without strides": tensor(storage(), (4,), ()),
    "no end of dimensions": tensor(storage(), (1,) * 2000, (1,) * 2000),
    "empty and endless": tensor(storage(), (0, 2**62), (1, 1)),
    "an entry outside": tensor(storage(key="../data.pkl"), (1,)),
    "an entry that is not there": tensor(storage(key="1")),
    "no storage": tensor(text("storage")),
    "no type": tensor(storage("torch.float32")),
}


@pytest.mark.parametrize("kind", NO_TENSOR)
def test_tensors_that_the_file_does_not_hold(tmp_path, kind):
    path = written(tmp_path / "odd.ckpt", checkpoint(NO_TENSOR[kind]))
    assert "w is not stored as plain numbers" in refusal(path)


def test_many_weights_on_the_same_bytes(tmp_path):
    """Each is wholly in the file, and the copies of all would not fit into memory."""
    names = b"".join(text(f"w{number}") + WEIGHT for number in range(2000))
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + names + b"u.")
        archive.writestr("archive/data/0", bytes(2**20))
    assert len(read_state_dict(tmp_path / "a.ckpt")) == 2000
    large = tensor(storage(count=2**18), (2**18,))
    names = b"".join(text(f"w{number}") + large for number in range(2000))
    with zipfile.ZipFile(tmp_path / "b.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + names + b"u.")
        archive.writestr("archive/data/0", bytes(2**20))
    assert "more weights than it holds" in refusal(tmp_path / "b.ckpt")


GADGETS = {
    "os.system": named("os.system") + text("touch CANARY") + b"\x85R",
    "posix.system": named("posix.system") + text("touch CANARY") + b"\x85R",
    "eval": named("builtins.eval") + text("open('CANARY', 'w')") + b"\x85R",
    "exec of Python 2": named("__builtin__.exec") + text("open('CANARY', 'w')") + b"\x85R",
    "open": named("io.open") + text("CANARY") + text("w") + b"\x86R",
    "INST": b"(" + text("touch CANARY") + b"ios\nsystem\n",
    "OBJ": b"(" + named("os.system") + text("touch CANARY") + b"o",
    "NEWOBJ": named("subprocess.Popen") + text("touch CANARY") + b"\x85\x81",
    "NEWOBJ_EX": named("subprocess.Popen") + text("touch CANARY") + b"\x85}\x92",
    "STACK_GLOBAL": text("os") + text("system") + b"\x93" + text("touch CANARY") + b"\x85R",
    "EXT1": b"\x82\x01)R",
    "EXT4": b"\x84\x01\x00\x00\x00)R",
    "PERSID": b"Pos.system\n",
    "by name, dotted": b"cos\npath.os.system\n" + text("touch CANARY") + b"\x85R",
    "through torch": named("torch.serialization.os.system") + text("touch CANARY") + b"\x85R",
    "torch.load": named("torch.load") + text("CANARY") + b"\x85R",
    "torch.hub": named("torch.hub.load") + text("CANARY") + b"\x85R",
    "numpy": named("numpy.load") + text("CANARY") + b"\x85R",
    "runpy": named("runpy.run_path") + text("CANARY") + b"\x85R",
    "import": named("importlib.import_module") + text("antigravity") + b"\x85R",
    "bytearray": named("builtins.bytearray") + whole(10**10) + b"\x85R",
    "escapes": b"cos\x1b[2J\nsystem\x07\n",
    "reduce_ex": named("copyreg._reconstructor") + named("os.system") + b"\x85R",
    "POP": b"N0N",
    "NEXT_BUFFER": b"\x97",
}


@pytest.mark.parametrize("kind", GADGETS)
@pytest.mark.parametrize("place", ["beside the weights", "as a weight", "as a size"])
def test_no_gadget_runs(tmp_path, monkeypatch, kind, place):
    monkeypatch.chdir(tmp_path)
    gadget = GADGETS[kind]
    size = named("torch._utils._rebuild_tensor_v2") + b"(" + storage() + whole(0) + gadget + b"))\x89NtR"
    pickled = {
        "beside the weights": checkpoint(beside=gadget),
        "as a weight": checkpoint(gadget),
        "as a size": checkpoint(size),
    }[place]
    path = written(tmp_path / "evil.ckpt", pickled)
    assert "refused: its pickle " in refusal(path)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.ckpt"]


HARMLESS = {
    # Each ended in a traceback: the state_dict's own methods were written over.
    "an OrderedDict with items": named("collections.OrderedDict") + b")R}" + text("items") + b"Nsb",
    # Ours to ignore: bookkeeping, whatever it is handed, stays a mark.
    "bookkeeping that is called": named("omegaconf.os.system") + text("touch CANARY") + b"\x85R",
    "bookkeeping that is built": named("pytorch_lightning.X") + b")\x81}" + text("__class__") + b"Nsb",
    "a function that is built": named("torch._utils._rebuild_tensor_v2") + b"}" + text("__code__") + b"Nsb",
    "keys of every kind": b"}" + (named("lightning.X") + b"Ns") + b"(K\x01tNs" + b"G" + bytes(8) + b"Ns",
    "things that are set on no dictionary": named("omegaconf.X") + b"K\x01K\x02s",
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless_oddities_beside_the_weights(tmp_path, kind):
    path = written(tmp_path / "odd.ckpt", checkpoint(beside=HARMLESS[kind]))
    assert read_state_dict(path)["w"].tolist() == [1, 2, 3, 4]


def test_a_state_dict_whose_methods_are_written_over(tmp_path):
    state = named("collections.OrderedDict") + b")R}" + text("items") + b"Nsb" + text("w") + WEIGHT + b"s"
    path = written(tmp_path / "odd.ckpt", b"\x80\x02}" + text("state_dict") + state + b"s.")
    assert read_state_dict(path)["w"].tolist() == [1, 2, 3, 4]


def call(name: str, *arguments: bytes) -> bytes:
    return named(name) + b"(" + b"".join(arguments) + b"tR"


def greedy() -> dict[str, bytes]:
    """Pickles of at most a few MB that an unpickler pays for with gigabytes, minutes or its life."""
    encode, stored = named("_codecs.encode") + b"q\x00", b"q\x01"
    doubled = b"(" + encode + text("a" * 1000) + text("latin1") + b"\x86R" + stored
    doubled += b"".join(b"h\x00h\x01" + text("hex") + b"\x86R" + stored for _ in range(36)) + b"t"
    copies = b"(" + encode + text("a" * 10**6) + stored + text("latin1") + b"q\x02"
    copies += b"h\x00h\x01h\x02\x86R" * 20_000 + b"t"
    numbers = b"(" + b"".join(b"J" + struct.pack("<i", number) for number in range(50_000)) + b"t" + stored
    sets = b"(" + named("builtins.set") + b"q\x00" + numbers + b"h\x00h\x01\x85R" * 20_000 + b"t"
    return {
        "doubled": doubled,
        "copied": copies,
        "sets": sets,
        "deep key": b"})" + b"\x85" * 200_000 + b"Ns",
        "deep value": b")" + b"\x85" * 200_000,
        "deep lists": b"]" * 200_000 + b"a" * 199_999,
        "marks": b"(" * 3 * 10**6,
        "instructions": b"N\x85" * 10**6,
        "memo": b"]r\xff\xff\xff\xff",
        "long string": b"X\xff\xff\xff\x7fabc",
        "long number": b"\x8b\xff\xff\xff\x7f",
        "bytearray": call("builtins.bytearray", whole(10**10)),
    }


CHILD = """
import resource, sys
from pathlib import Path
from viewfusion.errors import ViewFusionError
from viewfusion.zero123.lightning import read_state_dict

mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + 2**30,) * 2)
for path in sys.argv[1:]:
    try:
        print("read" if list(read_state_dict(Path(path))) == ["w"] else "odd")
    except ViewFusionError as error:
        print("refused" if str(error).startswith(path) and "\\n" not in str(error) else error)
"""


def test_a_small_pickle_stays_small(tmp_path):
    """In a process of its own, with a gigabyte and no more: torch's unpickler crashed or swelled here."""
    contents = greedy()
    paths = [written(tmp_path / f"{kind}.ckpt", checkpoint(beside=contents[kind])) for kind in contents]
    child = subprocess.run([sys.executable, "-c", CHILD, *paths], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr[-2000:]
    answers = dict(zip(contents, child.stdout.splitlines(), strict=True))
    assert set(answers.values()) <= {"read", "refused"}, answers
    assert answers["doubled"] == answers["sets"] == answers["deep key"] == answers["memo"] == "read"
