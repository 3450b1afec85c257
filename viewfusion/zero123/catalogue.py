"""The checkpoints viewfusion knows by name: what each is, where it lies, under which licence.

Enters: a name, or the size and SHA-256 of a file. Leaves: an :class:`Entry`. Facts only, each from the page
named beside it; what no page states is None, and nothing here is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from viewfusion.geometry import Family


@dataclass(frozen=True)
class Entry:
    """One published checkpoint.

    Args:
        name: ours.
        family: what it is told of a camera move.
        file: the published file's name; None for what ships as a folder.
        size: bytes; None where no page states it.
        size_step: the size is known to the next multiple of this only.
        sha256: hex; None where no page states it.
        licence: as the source states it, or that it states none.
        repository: on the Hugging Face Hub; None where the file is not there.
        url: the page or file to get it from by hand.
    """

    name: str
    family: Family
    file: str | None
    size: int | None
    sha256: str | None
    licence: str
    repository: str | None
    url: str
    size_step: int = 1

    def may_have_size(self, size: int) -> bool:
        """Whether a file of ``size`` bytes could be this one."""
        return self.size is not None and abs(size - self.size) <= self.size_step // 2


_STABLE = "https://huggingface.co/stabilityai/stable-zero123"

_ENTRIES = (
    Entry(
        name="zero123-nano",
        family="zero123",
        file=None,
        size=None,  # a folder; its card says what is in it
        sha256=None,
        licence="Apache-2.0 (its card)",
        repository=None,
        url="ships with viewfusion",
    ),
    # Size and hash: the Git LFS pointers of One-2-3-45/code and of two further copies on the Hub agree.
    # Its authors' own server gives neither, nor a licence beside the file.
    Entry(
        name="zero123-xl",
        family="zero123",
        file="zero123-xl.ckpt",
        size=15_465_973_531,
        sha256="bc4ea2f8696ed96495a756e178cab659de807bbae2d2df18987cf61c44070696",
        licence="none stated beside the file",
        repository="One-2-3-45/code",
        url="https://zero123.cs.columbia.edu/assets/zero123-xl.ckpt",
    ),
    # Hash: the file's page in cvlab/zero123-weights. Size: the same hash's pointer in cvlab/zero123-live.
    Entry(
        name="zero123-105000",
        family="zero123",
        file="105000.ckpt",
        size=15_465_973_531,
        sha256="f0fee4e7c1d81c70af5a5f7bb6185fd03d75f0764f8fb9a2efaf729c69679855",
        licence="MIT (the model page)",
        repository="cvlab/zero123-weights",
        url="https://cv.cs.columbia.edu/zero123/assets/105000.ckpt",
    ),
    # Hash and rounded size: the file's page in cvlab/zero123-weights.
    Entry(
        name="zero123-165000",
        family="zero123",
        file="165000.ckpt",
        size=15_500_000_000,
        size_step=100_000_000,
        sha256="0735390909ba6b2ba3640957b68ed8b6e477ce43c728123d30d32802994f6eb3",
        licence="MIT (the model page)",
        repository="cvlab/zero123-weights",
        url="https://cv.cs.columbia.edu/zero123/assets/165000.ckpt",
    ),
    # These two: the README of cvlab-columbia/zero123, which names the address and nothing else.
    Entry(
        name="zero123-230000",
        family="zero123",
        file="230000.ckpt",
        size=None,
        sha256=None,
        licence="none stated beside the file",
        repository=None,
        url="https://cv.cs.columbia.edu/zero123/assets/230000.ckpt",
    ),
    Entry(
        name="zero123-300000",
        family="zero123",
        file="300000.ckpt",
        size=None,
        sha256=None,
        licence="none stated beside the file",
        repository=None,
        url="https://cv.cs.columbia.edu/zero123/assets/300000.ckpt",
    ),
    # Hash: the file's page in stabilityai/stable-zero123. Size: the same hash's pointer in a public copy.
    # Licences: that repository's README.
    Entry(
        name="stable-zero123",
        family="stable-zero123",
        file="stable_zero123.ckpt",
        size=8_584_287_851,
        sha256="a28d471b0f450881faf0685335a9ace0c12191c007d285862012747ab4b80f6b",
        licence="Stability AI Non-Commercial Research Community License (not for commercial use)",
        repository="stabilityai/stable-zero123",
        url=_STABLE,
    ),
    # Size and hash: the file's Git LFS pointer in that repository's history.
    Entry(
        name="stable-zero123-c",
        family="stable-zero123",
        file="stable_zero123_c.ckpt",
        size=8_584_305_838,
        sha256="394f6adcca928fc83e2e65f571b57af0edd06aa30ffc6bb358596c4f65dd884f",
        licence="Stability AI Community License (commercial use under its conditions)",
        repository="stabilityai/stable-zero123",
        url=_STABLE,
    ),
)

CATALOGUE = {entry.name: entry for entry in _ENTRIES}


def entries_of_size(size: int) -> list[Entry]:
    """The entries whose hash is worth comparing with that of a file of ``size`` bytes."""
    return [entry for entry in CATALOGUE.values() if entry.sha256 and entry.may_have_size(size)]
