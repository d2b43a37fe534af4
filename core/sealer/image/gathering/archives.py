"""`--image-archive`: container images from files, before anyone else is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sealer.errors import InputError
from sealer.image.archive_errors import blamed
from sealer.image.gathering.bundles import Bundle, DirectoryBundle, TarBundle, is_archive
from sealer.image.gathering.forms import Form, form_of
from sealer.image.model import ContainerImage
from sealer.image.reference import Reference
from sealer.image.staging import Staging
from sealer.image.storage import storage_errors

_LAYOUT = "oci-layout"


class ImageArchives:
    """The images of some archives; the first that has an image gives it.

    :param paths: each an archive, an OCI layout, or a directory of both.
    :param staging: gets the images; archives that are compressed are unpacked beside them.
    :param warn: is told of what is no archive in a directory of archives.
    """

    def __init__(self, paths: Sequence[Path], staging: Staging, warn: Callable[[str], None]) -> None:
        self._paths = paths
        self._staging = staging
        self._warn = warn
        self._forms: list[tuple[Path, Form]] | None = None

    def find(self, reference: str, platform: str) -> ContainerImage | None:
        """Stage an image; None: no archive has it.

        :param reference: normalised.
        :raises InputError: a path is wrong.
        :raises ImageError: an archive is damaged, or holds what none may.
        """
        parsed = Reference.parse(reference)
        for source, form in self.forms:
            with blamed(source):
                found = form.find(parsed, platform, self._staging)
            if found:
                return found
        return None

    @property
    def references(self) -> frozenset[str]:
        """The names of all images, normalised. For the errors see :meth:`find`."""
        return frozenset(name for _, form in self.forms for name in form.references)

    @property
    def forms(self) -> Sequence[tuple[Path, Form]]:
        """All archives, opened. For the errors see :meth:`find`."""
        if self._forms is None:
            self._forms = [self._open(number, path) for number, path in enumerate(self._files())]
        return self._forms

    def _files(self) -> Iterator[Path]:
        for path in self._paths:
            if not path.exists():
                raise InputError("there is no such image archive", where=str(path))
            if not path.is_dir() or (path / _LAYOUT).is_file():
                yield path
                continue
            with storage_errors("the image archives cannot be read", path):
                entries = sorted(path.iterdir())
            for entry in entries:
                if (entry / _LAYOUT).is_file() or (entry.is_file() and is_archive(entry)):
                    yield entry
                else:
                    self._warn(f"{entry}: it is no image archive, and is passed over")

    def _open(self, number: int, path: Path) -> tuple[Path, Form]:
        with blamed(path):
            bundle: Bundle
            if path.is_dir():
                bundle = DirectoryBundle(path)
            else:
                bundle = TarBundle(path, self._staging.directory / f"archive-{number}.tar")
            return path, form_of(bundle)
