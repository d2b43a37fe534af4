"""The files of a rootfs that are not the same on every host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from sealer.clusterfile.model import ConfigDocument
from sealer.errors import InputError, Position, Problem
from sealer.templates import config, gotemplate

TEMPLATE_DIRECTORIES = ("etc", "manifests", "charts")
SUFFIX = ".tmpl"


def host_files(
    paths: Sequence[str], read: Callable[[str], bytes], env: Mapping[str, str], configs: Sequence[ConfigDocument]
) -> dict[str, bytes]:
    """What one host's rootfs has instead of, or beside, the files of the image.

    Each file goes through the same three stages: the image's content, the rendering of a template of that name, the
    Config documents in their order.

    :param paths: every regular file of the rootfs, relative to it.
    :param read: gives the content of one of `paths`.
    :param env: what is exported on the host.
    :returns: content by path, sorted by path.
    :raises InputError: with every mistake of every template and document.
    """
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for path in sorted(paths):
        if is_template(path):
            with _collected(problems):
                files[path.removesuffix(SUFFIX)] = _rendered(path, read, env)
    present = frozenset(paths)
    for document in configs:
        with _collected(problems):
            _configure(files, present, read, document)
    if problems:
        raise InputError("files of the rootfs cannot be made", problems=problems)
    return dict(sorted(files.items()))


def template_faults(paths: Iterable[str], read: Callable[[str], bytes]) -> list[Problem]:
    """What is wrong with templates wherever they are rendered: their syntax. Variables are known on the hosts alone.

    :param paths: files of a rootfs; those that are no templates are left out.
    :param read: gives the content of one of `paths`.
    """
    problems: list[Problem] = []
    for path in filter(is_template, paths):
        with _collected(problems):
            gotemplate.check(_text(path, read), path)
    return problems


def is_template(path: str) -> bool:
    """Whether a file of a rootfs is rendered."""
    parts = PurePosixPath(path).parts
    return len(parts) > 1 and parts[0] in TEMPLATE_DIRECTORIES and path.endswith(SUFFIX) and parts[-1] != SUFFIX


def config_target(document: ConfigDocument) -> str:
    """The normalised path of a Config document's file.

    :raises InputError: it is absolute, leads out of the rootfs, or names no file.
    """
    path = PurePosixPath(document.path)
    message = ""
    if path.is_absolute():
        message = f"'{document.path}' must be relative to the rootfs"
    elif ".." in path.parts:
        message = f"'{document.path}' must stay inside the rootfs"
    elif not path.parts or document.path.endswith("/") or "\0" in document.path:
        message = f"'{document.path}' names no file"
    if message:
        problem = Problem(document.position, f"Config {document.name}: spec.path", message)
        raise InputError("the Config document cannot be applied", where=str(document.position), problems=[problem])
    return str(path)


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)


def _rendered(path: str, read: Callable[[str], bytes], env: Mapping[str, str]) -> bytes:
    return gotemplate.render(_text(path, read), env, path).encode()


def _text(path: str, read: Callable[[str], bytes]) -> str:
    try:
        return read(path).decode()
    except UnicodeDecodeError:
        message = f"a file that ends in {SUFFIX} is a template, and this one is no UTF-8 text"
        raise InputError(message, where=path, problems=[Problem(Position(path), "", message)]) from None


def _configure(
    files: dict[str, bytes], present: frozenset[str], read: Callable[[str], bytes], document: ConfigDocument
) -> None:
    path = config_target(document)
    content = files[path] if path in files else read(path) if path in present else None
    files[path] = config.apply(content, document)
