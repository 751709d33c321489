"""The private folder in which compiled programs are kept: where it lies, whether it may be trusted, and seals on what is in it.

What is loaded into the process must be what this user's process put there.  So the folder belongs to the user and nobody
else may write in it, and all that is read back carries an HMAC whose secret lies beside it, readable by the user alone:
truncated files, and files that come from elsewhere or were exchanged, do not fit their seal.  Where the folder cannot be
used, a fresh temporary one is, for this process.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
import threading
import warnings
from typing import NamedTuple

from arrayad.errors import user_stacklevel

SECRET = "secret"
SECRET_BYTES = 32
SEAL_BYTES = 32
WORK = "work-"
"""How the names of what is not finished begin."""


class Folder(NamedTuple):
    """A private folder and the secret of its seals."""

    path: str
    secret: bytes

    def seal(self, *parts: bytes) -> bytes:
        """The HMAC of a sequence of byte strings; other sequences of the same bytes have others."""
        import hmac

        code = hmac.new(self.secret, digestmod="sha256")
        for part in parts:
            code.update(len(part).to_bytes(8, "little"))
            code.update(part)
        return code.digest()

    def write(self, name: str, content: bytes) -> None:
        """Put a sealed file here, whole or not at all."""
        replace(self.path, name, self.seal(name.encode(), content) + content)

    def read(self, name: str) -> bytes | None:
        """The content of a sealed file; None where there is none or the seal does not fit."""
        try:
            found = read(os.path.join(self.path, name))
        except OSError:
            return None
        seal, content = found[:SEAL_BYTES], found[SEAL_BYTES:]
        return content if same(seal, self.seal(name.encode(), content)) else None


def same(seal: bytes, other: bytes) -> bool:
    """Whether two seals are alike."""
    import hmac

    return hmac.compare_digest(seal, other)


def read(path: str) -> bytes:
    """The content of a regular file of this user's.

    **Raises** OSError where it is anything else: a symbolic link, a pipe, another user's.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{path} is not a file of this user's")
        return file.read()


def replace(folder: str, name: str, content: bytes) -> None:
    """Write a file that only this user can read, whole or not at all."""
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix=WORK, dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(path, os.path.join(folder, name))
    except BaseException:
        os.unlink(path)
        raise


# --- which folder -------------------------------------------------------------------------------------------------------


def folder() -> Folder:
    """The folder to use: $ARRAYAD_CACHE_DIR, else `arrayad` in the user's cache directory, else a temporary one, with a warning.

    **Raises** OSError where not even a temporary folder can be made.
    """
    with CHOOSING:
        place = preferred()
        if place in INSTEAD:
            return INSTEAD[place]
        if place not in CHOSEN:
            try:
                CHOSEN[place] = opened(place)
            except OSError as error:
                return use_temporary(place, str(error))
        return CHOSEN[place]


def fall_back(error: OSError) -> Folder:
    """Use a temporary folder from now on in this process, because the one in use failed as `error` says.

    **Raises** the error, if the one in use was temporary already.
    """
    with CHOOSING:
        place = preferred()
        if place in INSTEAD:
            raise error
        return use_temporary(place, f"{place}: {error}")


CHOOSING = threading.RLock()
CHOSEN: dict[str, Folder] = {}
INSTEAD: dict[str, Folder] = {}
"""Temporary folders, by the place that could not be used."""


def preferred() -> str:
    """The absolute path of the folder that the environment asks for, whether or not it can be used."""
    given = os.environ.get("ARRAYAD_CACHE_DIR")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        inside = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)
        base = os.path.join(os.path.expanduser("~"), *inside)
    return os.path.join(base, "arrayad")


def opened(place: str) -> Folder:
    """The folder at a place, made if it is missing.

    **Raises** OSError where it cannot be made, or must not be used: the text says why.
    """
    home = os.path.expanduser("~")
    if not os.path.isabs(place) or (place.startswith(home + os.sep) and not os.path.isdir(home)):
        raise FileNotFoundError(f"the home folder {home} does not exist")
    os.makedirs(place, mode=0o700, exist_ok=True)
    path = os.path.realpath(place)
    found = os.stat(path)
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{place} belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others may write in {place}; `chmod 700` it after a look at what is in it")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{place} is not writable")
    if os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise PermissionError(f"{place} lies on a file system from which nothing may be executed")
    return Folder(path, secret_of(path))


def secret_of(path: str) -> bytes:
    """The secret of a folder; a new one where there is none, or one that others may know.

    Of processes that make it at once the first wins, for all of them.
    """
    import tempfile

    file = os.path.join(path, SECRET)
    try:
        found = read(file)
        if len(found) == SECRET_BYTES and not os.stat(file).st_mode & 0o077:
            return found
        os.unlink(file)
    except FileNotFoundError:
        pass
    descriptor, work = tempfile.mkstemp(prefix=WORK, dir=path)
    try:
        with open(descriptor, "wb") as new:
            new.write(os.urandom(SECRET_BYTES))
        os.link(work, file)
    except FileExistsError:
        pass
    except OSError:
        os.replace(work, file)  # a file system without hard links
    finally:
        if os.path.lexists(work):
            os.unlink(work)
    return read(file)


def use_temporary(place: str, why: str) -> Folder:
    """A new temporary folder in place of another; it is removed when this process ends."""
    import tempfile

    path = tempfile.mkdtemp(prefix="arrayad-")
    made = Folder(path, os.urandom(SECRET_BYTES))
    INSTEAD[place] = made
    atexit.register(remove, path, os.getpid())
    warnings.warn(
        f"compiled programs are kept in a temporary folder, for this process alone: {why}. Set ARRAYAD_CACHE_DIR to a folder "
        "of your own that only you can write in.",
        RuntimeWarning,
        stacklevel=user_stacklevel(),
    )
    return made


def remove(path: str, process: int) -> None:
    """Remove a temporary folder, in the process that made it."""
    import shutil

    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
