"""One run a folder: a folder goes in, the sole right to write to it comes out, until released or killed."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from viewfusion.errors import ViewFusionError

from .files import explained

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""What file systems without locks say (some network mounts); there a run goes on unguarded."""


class FolderLock:
    """Holds ``folder/.lock``; the system lets go of it when the process ends, however it ends.

    Raises:
        ViewFusionError: another run holds it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / ".lock"
        with explained(folder):
            self._file: int | None = self._locked_file() if fcntl else self._sole_file()

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._file is None:
            return
        if fcntl:
            # Removed while still held: afterwards it might be another run's already. So it is where somebody
            # has deleted the folder meanwhile and a new run has made it again.
            with suppress(OSError):
                if self._is_still(self._file):
                    self._path.unlink(missing_ok=True)
            os.close(self._file)
        else:
            os.close(self._file)
            self._path.unlink(missing_ok=True)
        self._file = None

    def _locked_file(self) -> int:
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise self._taken() from None
            except OSError as error:
                if error.errno not in _NO_LOCKS_HERE:
                    os.close(file)
                    raise
            if self._is_still(file):
                return file
            os.close(file)

    def _is_still(self, file: int) -> bool:
        """Whether the path still names that file: a run that ended in between has removed it."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _sole_file(self) -> int:
        # O_TEMPORARY: Windows removes the file with its last handle, also of a killed process.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_TEMPORARY", 0)
        try:
            return os.open(self._path, flags)
        except (FileExistsError, PermissionError):
            if not self._path.exists():
                raise
            raise self._taken() from None

    def _taken(self) -> ViewFusionError:
        return ViewFusionError(
            f"another run is writing to {self._folder}; wait for it or choose another --out"
        )
