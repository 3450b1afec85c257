"""Downloads a checkpoint of the catalogue, only ever on request.

Enters: a name. Leaves: the path of a file in the cache of the Hugging Face libraries, its SHA-256 compared
with the published one; or an error of one line.
"""

from __future__ import annotations

from pathlib import Path

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import brief, shown

from .catalogue import CATALOGUE, Entry
from .hashes import file_hash
from .names import find_name, how_to_get


def fetch_checkpoint(name: str) -> Path:
    """The path of the checkpoint called ``name``, downloaded if it is not on this machine yet.

    Raises:
        ViewFusionError: no such name, no network, no permission, no space, or other bytes than published.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise ViewFusionError(f"{shown([name])}: not in the catalogue; it has {', '.join(CATALOGUE)}")
    found = find_name(name)
    if found is not None:
        return found
    if entry.repository is None:
        raise ViewFusionError(f"{name}: is not on the Hugging Face Hub; {how_to_get(entry)}")
    path = _download(entry)
    if entry.sha256 and file_hash(path, fresh=True) != entry.sha256:
        # The cache keeps a link to the bytes; both must go, or the name would find them.
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise ViewFusionError(
            f"{name}: what {entry.repository} sent is not the published file (another SHA-256) and was "
            f"removed; fetch it again, or download {entry.url}"
        )
    return path


def _download(entry: Entry) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

    place = f"{constants.ENDPOINT}/{entry.repository}"
    try:
        return Path(hf_hub_download(entry.repository or "", entry.file or ""))
    except GatedRepoError as error:
        reason = f"{place} wants you to accept its licence there and to log in with `hf auth login`"
        raise ViewFusionError(f"{entry.name}: {reason}; then fetch again") from error
    except LocalEntryNotFoundError as error:
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "check the network"
        raise ViewFusionError(
            f"{entry.name}: {place} cannot be reached; {offline}, or {_by_hand(entry)}"
        ) from error
    except EntryNotFoundError as error:
        raise ViewFusionError(f"{entry.name}: {place} has no {entry.file}; {_by_hand(entry)}") from error
    except Exception as error:  # whatever the network stack and the disk raise
        raise ViewFusionError(
            f"{entry.name}: cannot be fetched from {place} ({brief(str(error).strip())}); "
            f"try again, or {_by_hand(entry)}"
        ) from error


def _by_hand(entry: Entry) -> str:
    return f"download {entry.file} from {entry.url} and put it into a folder zero123_ckpts/ here"
