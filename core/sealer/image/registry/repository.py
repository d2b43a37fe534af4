"""One repository at one endpoint: the calls of the distribution specification that sealer needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from sealer.errors import ImageError, ImageNotFoundError, RegistryError
from sealer.image.oci import INDEXES, Descriptor
from sealer.image.reference import DIGEST
from sealer.image.registry.client import Client
from sealer.image.registry.documents import ACCEPT, LARGEST_MANIFEST, Document, document_of
from sealer.image.registry.limits import AgainError
from sealer.image.registry.messages import Answer, FileBody
from sealer.image.registry.wire import joined

# The specification has `0-N`; some write it as HTTP does in requests, or in answers.
_RANGE = re.compile(r"(?:bytes[= ]\s*)?0-(\d+)(?:/(?:\d+|\*))?")
_UPLOAD = re.compile(r"/uploads?/", re.IGNORECASE)
_UNKNOWN = (404, 405, 501)  # a blob is not there, or `HEAD` is not answered
_STREAM = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Session:
    """An upload that has begun.

    :param location: where its next bytes go; it changes with every answer.
    :param offset: how many bytes the registry has.
    """

    location: str
    offset: int = 0


class Repository:
    """A repository; the client it speaks through may serve others too.

    :param name: as it is called at that endpoint.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self._addresses = _Addresses(client.endpoint.host, name)
        self.pull = (f"repository:{name}:pull",)
        self.push = (f"repository:{name}:pull,push",)

    def __str__(self) -> str:
        return f"{self.client.endpoint.host}/{self.name}"

    # Reading

    def manifest(self, wanted: str, expected: Descriptor | None = None) -> Document:
        """A manifest or index by tag or digest, checked.

        :raises ImageNotFoundError: there is none.
        :raises ImageError: it is not what it should be.
        """
        where = f"{self}@{wanted}" if DIGEST.fullmatch(wanted) else f"{self}:{wanted}"
        if expected is not None and expected.size > LARGEST_MANIFEST:
            raise ImageError("a manifest is too large", where=where, why=f"{expected.size} bytes")

        def fetch() -> Document:
            with self.client.call(
                "GET", self._addresses.manifest(wanted), scopes=self.pull, headers={"Accept": ACCEPT}, once=True
            ) as answer:
                content = answer.read(LARGEST_MANIFEST)
                kind, told = answer.header("Content-Type"), answer.header("Docker-Content-Digest")
            if len(content) > LARGEST_MANIFEST:
                raise ImageError("a manifest is too large", where=where, why=f"more than {LARGEST_MANIFEST} bytes")
            document = document_of(content, kind, where, expected)
            pinned = wanted if DIGEST.fullmatch(wanted) else told
            if DIGEST.fullmatch(pinned) and pinned != document.descriptor.digest:
                raise ImageError(
                    "a manifest is not what it should be", where=where, why=f"it has {document.descriptor.digest}"
                )
            return document

        try:
            return self.client.patience.persist(fetch, where)
        except ImageNotFoundError as error:
            raise ImageNotFoundError(
                "there is no such image in the registry",
                where=where,
                why=error.why,
                remedy="check the name and the tag; some registries say this too where one has to `sealer login`",
            ) from error

    def blob(self, digest: str, offset: int = 0) -> Answer:
        """The bytes of a blob from an offset on; whether the registry heeds the offset shows in the status.

        :raises AgainError: it may be tried again.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        expected = (416,) if offset else ()
        address = self._addresses.blob(digest)
        return self.client.call("GET", address, scopes=self.pull, headers=headers, expected=expected, once=True)

    # Writing

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether a blob is there already, whole; False where a registry does not answer such questions."""
        address = self._addresses.blob(descriptor.digest)
        with self.client.call("HEAD", address, scopes=self.push, expected=_UNKNOWN) as answer:
            length = answer.header("Content-Length")
            return answer.status not in _UNKNOWN and (not length.isdigit() or int(length) == descriptor.size)

    def mount(self, digest: str, source: str) -> Session | None:
        """Take a blob over from another repository of the same registry; None: done, else it has to be sent."""
        scopes = (*self.push, f"repository:{source}:pull")
        address = f"{self._addresses.uploads}?{urlencode({'mount': digest, 'from': source})}"
        try:
            with self.client.call("POST", address, scopes=scopes) as answer:
                # some answer 201 to each POST: where an upload begins, the address is that of an upload
                mounted = answer.status == 201 and not _UPLOAD.search(answer.header("Location"))
                return None if mounted else self._session(answer)
        except (RegistryError, ImageNotFoundError):
            return self.begin()  # not allowed to read there, perhaps; sending it always works

    def begin(self) -> Session:
        """Begin an upload."""
        with self.client.call("POST", self._addresses.uploads, scopes=self.push) as answer:
            return self._session(answer)

    def state(self, session: Session) -> Session | None:
        """How far an upload has come; None: the registry has forgotten it.

        docker-registry 2.8 forgets each one that broke off in the middle of a request.
        """
        try:
            with self.client.call("GET", session.location, scopes=self.push) as answer:
                return self._session(answer, answer.header("Range"), session.location)
        except (RegistryError, ImageNotFoundError):
            return None

    def send(self, session: Session, body: FileBody) -> Session:
        """Send bytes, which must begin at the session's offset.

        :raises AgainError: it broke off; :meth:`state` says how far it came.
        """
        headers = dict(_STREAM)
        if session.offset:
            headers["Content-Range"] = f"{body.offset}-{body.offset + body.size - 1}"
        with self.client.call(
            "PATCH", session.location, scopes=self.push, headers=headers, body=body, expected=(416,), once=True
        ) as answer:
            if answer.status == 416:
                raise AgainError("the registry goes on at another byte", status=416)
            return self._session(answer, answer.header("Range"), session.location)

    def finish(self, session: Session, digest: str, body: FileBody | None = None) -> None:
        """End an upload; the registry checks the digest.

        :param body: the last bytes, or all of a small blob.
        :raises AgainError: it may be tried again.
        """
        location = session.location.partition("#")[0]
        address = location + ("&" if "?" in location else "?") + urlencode({"digest": digest})
        with self.client.call("PUT", address, scopes=self.push, headers=_STREAM, body=body, once=True):
            return

    def put_manifest(self, content: bytes, descriptor: Descriptor, wanted: str) -> None:
        """Write a manifest or an index, under a tag or its digest.

        :raises RegistryError: the registry refuses it.
        """
        headers = {"Content-Type": descriptor.media_type}
        address = self._addresses.manifest(wanted)
        try:
            with self.client.call("PUT", address, scopes=self.push, headers=headers, body=content) as answer:
                told = answer.header("Docker-Content-Digest")
        except RegistryError as error:
            if error.status in (400, 413, 415):
                kind = "index" if descriptor.media_type in INDEXES else "manifest"
                raise RegistryError(
                    f"the registry refuses the {kind}", status=error.status, where=str(self), why=error.why,
                    remedy="it must know OCI images, as docker-registry does from version 2.7 on",
                ) from error  # fmt: skip
            raise
        if DIGEST.fullmatch(told) and told != descriptor.digest:
            raise RegistryError(
                "the registry changed a manifest", where=str(self), why=f"{descriptor.digest} became {told}"
            )

    def _session(self, answer: Answer, told: str = "", before: str = "") -> Session:
        location = answer.header("Location") or before
        if not location:
            raise RegistryError("the registry does not say where an upload goes on", where=str(self))
        match = _RANGE.fullmatch(told.strip())
        return Session(joined(answer.url, location), int(match[1]) + 1 if match and match[1] != "0" else 0)


class _Addresses:
    """The paths of the distribution specification, as oras writes them."""

    def __init__(self, host: str, name: str) -> None:
        from oras.container import Container  # not for `sealer --help`

        # oras takes a first part without a dot or colon for a part of the path
        self._container = Container(f"{host if ':' in host else host + ':443'}/{name}")

    @property
    def uploads(self) -> str:
        return self._path(self._container.upload_blob_url())

    def manifest(self, wanted: str) -> str:
        return self._path(self._container.manifest_url(quote(wanted, safe=":")))

    def blob(self, digest: str) -> str:
        return self._path(self._container.get_blob_url(digest))

    def _path(self, url: str) -> str:
        return "/" + url.partition("/")[2]
