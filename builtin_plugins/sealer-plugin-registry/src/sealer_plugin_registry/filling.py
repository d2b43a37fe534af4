"""Puts container images of the store into a registry, through its own API: only what it lacks travels."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import RegistryError
from sealer.events import Event, EventStream, Json, State
from sealer.extension import StepContext
from sealer.image.model import ContainerImage
from sealer.image.oci import INDEX, Descriptor, encode
from sealer.image.reference import Reference
from sealer.image.registry.client import Client
from sealer.image.registry.documents import Document, document_of
from sealer.image.registry.pool import Pool
from sealer.image.registry.progress import Progress
from sealer.image.registry.registries import Registries
from sealer.image.registry.repository import Repository
from sealer.image.registry.upload import Uploader
from sealer.image.store import Store
from sealer_plugin_registry.names import repository

STEP = "publish"


@dataclass(frozen=True)
class Pinned:
    """An index whose registry must hold it though it has not all of the manifests in it.

    docker-registry 2.8 takes no such index through its API, and serves one that lies in its storage.
    """

    repository: str
    index: Descriptor
    tag: str


@dataclass(frozen=True)
class Contents:
    """What is to be in a registry, by repository.

    :param indexes: each after those that lie in it.
    :param blobs: of all images, each once.
    :param first: the repository that a blob is sent to; the others take it from there.
    """

    manifests: Mapping[str, Mapping[str, Document]]
    tags: Mapping[tuple[str, str], Document]
    indexes: Sequence[tuple[Pinned, Document]]
    blobs: Mapping[str, Descriptor]
    first: Mapping[str, str]
    wanted: Mapping[str, frozenset[str]]


def contents(store: Store, images: Sequence[ContainerImage]) -> Contents:
    """What some images are made of.

    :raises ImageError: a part of one is missing in the store, or damaged.
    """
    manifests: dict[str, dict[str, Document]] = defaultdict(dict)
    blobs: dict[str, Descriptor] = {}
    first: dict[str, str] = {}
    wanted: dict[str, set[str]] = defaultdict(set)
    tagged: dict[tuple[str, str], dict[str, Document]] = defaultdict(dict)
    indexes: dict[tuple[str, str, str], Descriptor] = {}
    for image in images:
        reference = Reference.parse(image.reference)
        where = repository(reference)
        document = _read(store, image.manifest)
        manifests[where][document.descriptor.digest] = document
        for blob in document.children():
            blobs[blob.digest] = blob
            first.setdefault(blob.digest, where)
            wanted[where].add(blob.digest)
        if image.index is not None:
            for inner in image.inner_indexes:
                indexes.setdefault((where, inner.digest, ""), inner)
            indexes[where, image.index.digest, reference.tag] = image.index
        elif reference.tag:
            tagged[where, reference.tag][image.platform] = document
    return Contents(
        manifests,
        {key: _one(documents) for key, documents in tagged.items()},
        [(Pinned(where, index, tag), _read(store, index)) for (where, _, tag), index in indexes.items()],
        blobs,
        first,
        {where: frozenset(digests) for where, digests in wanted.items()},
    )


@dataclass(frozen=True)
class Filling:
    """Brings images to the registry that `client` talks to.

    :param sessions: directory for the addresses of uploads that break off.
    :param tell: hears how far it has come; what it raises ends the transfer.
    """

    store: Store
    registries: Registries
    client: Client
    sessions: Path
    tell: Callable[[Event], None]

    def fill(self, content: Contents) -> list[Pinned]:
        """Bring what the registry lacks.

        :returns: the indexes that the registry did not take, though their bytes are there as blobs.
        :raises RegistryError: the registry refuses something, or cannot be reached.
        """
        events = EventStream()
        stopped: list[BaseException] = []

        def hear(event: Event) -> None:
            if event.state in (State.PROGRESS, State.RETRYING) and "part" not in event.data and not stopped:
                try:
                    self.tell(event)
                except BaseException as error:  # whatever it is ends the transfer, and is raised below
                    stopped.append(error)
                    self.registries.patience.stop()

        events.subscribe(hear)
        try:
            with self.registries.pool() as pool, Progress(events, STEP, "Publish") as progress:
                self.registries.patience.notify = progress.retrying
                return self._fill(content, pool, progress)
        except BaseException:
            if stopped:
                raise stopped[0] from None
            raise

    def _fill(self, content: Contents, pool: Pool, progress: Progress) -> list[Pinned]:
        targets = {where: Repository(self.client, where) for where in content.manifests}
        uploaders = {
            where: Uploader(target, self.store.path, _sources(content, where), self.sessions, progress)
            for where, target in targets.items()
        }
        # One that several repositories want is settled in each of them.
        progress.expect(content.blobs[digest] for digests in content.wanted.values() for digest in digests)
        self.client.base  # noqa: B018  # one connection finds out how to speak, before six try
        for sent_first in (True, False):
            blobs = [
                (where, content.blobs[digest])
                for where, digests in content.wanted.items()
                for digest in digests
                if (content.first[digest] == where) is sent_first
            ]
            blobs.sort(key=lambda entry: (-entry[1].size, entry[1].digest))
            pool.map(lambda entry: uploaders[entry[0]].push(entry[1]), blobs)
        documents = [(where, one) for where, some in content.manifests.items() for one in some.values()]
        pool.map(lambda entry: _put(targets[entry[0]], entry[1], entry[1].descriptor.digest), documents)
        for (where, tag), document in sorted(content.tags.items(), key=lambda entry: entry[0]):
            _put(targets[where], document, tag)
        left = []
        for pinned, document in content.indexes:
            if not _put_index(targets[pinned.repository], pinned, document):
                uploaders[pinned.repository].push(pinned.index)
                left.append(pinned)
        return left


def _put(target: Repository, document: Document, wanted: str) -> None:
    target.put_manifest(document.content, document.descriptor, wanted)


def _put_index(target: Repository, pinned: Pinned, document: Document) -> bool:
    """Whether the registry takes an index; it refuses one of whose manifests it lacks some."""
    try:
        for wanted in filter(None, (pinned.index.digest, pinned.tag)):
            _put(target, document, wanted)
    except RegistryError as error:
        if error.status in (400, 404):
            return False
        raise
    return True


def _sources(content: Contents, where: str) -> Callable[[str], tuple[str, ...]]:
    def of(digest: str) -> tuple[str, ...]:
        first = content.first.get(digest, where)
        return () if first == where else (first,)

    return of


def _one(documents: Mapping[str, Document]) -> Document:
    """What a tag stands for: the manifest, or an index of those of several platforms."""
    if len(documents) == 1:
        return next(iter(documents.values()))
    parts: list[Json] = []
    for platform, document in sorted(documents.items()):
        os, architecture, *variant = platform.split("/")
        described = {"os": os, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        found = document.descriptor
        parts.append(Descriptor(found.media_type, found.digest, found.size, platform=described).as_json())
    index = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts})
    return document_of(index, INDEX, "the platforms of an image")


def _read(store: Store, descriptor: Descriptor) -> Document:
    return document_of(store.read(descriptor), descriptor.media_type, descriptor.digest, descriptor)


def telling(context: StepContext) -> Callable[[Event], None]:
    """Events of a transfer, told as the step's."""

    def tell(event: Event) -> None:
        if event.state is State.PROGRESS:
            done, total = event.data["done"], event.data["total"]
            if isinstance(done, int) and isinstance(total, int):
                context.progress(done, total)
        else:
            context.log(event.message)

    return tell


def link_script(storage: str, pinned: Pinned) -> str:
    """Lets the registry serve an index whose bytes it has as a blob.

    https://github.com/distribution/distribution/blob/v2.8.3/registry/storage/paths.go
    """
    kind, _, value = pinned.index.digest.partition(":")
    manifests = f"{storage}/docker/registry/v2/repositories/{pinned.repository}/_manifests"
    links = [f"{manifests}/revisions/{kind}/{value}/link"]
    if pinned.tag:
        tag = f"{manifests}/tags/{pinned.tag}"
        links += [f"{tag}/index/{kind}/{value}/link", f"{tag}/current/link"]
    lines = [
        f"mkdir -p {shlex.quote(link.rpartition('/')[0])} && printf %s {shlex.quote(pinned.index.digest)} "
        f">{shlex.quote(link)}.new && mv -f {shlex.quote(link)}.new {shlex.quote(link)} || exit 1"
        for link in links
    ]
    return "\n".join(["umask 022", *lines])  # the service that hands them out is not root
