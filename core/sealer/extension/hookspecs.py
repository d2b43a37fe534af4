"""The hooks: everyone installed gets a say."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.events import Event
from sealer.extension.marker import hookspec
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Step
from sealer.image.discovery.files import Files
from sealer.image.discovery.model import ImageReference, UnresolvedReference
from sealer.redaction import Secret


@hookspec
def pre_init(operation: Operation) -> Sequence[Step]:
    """On all hosts of a new cluster, before its first master is initialised.

    ::

        @hookimpl
        def pre_init(operation):
            return [Step("swap", "Turn swap off", ADDED, lambda context: context.sh("swapoff -a"))]
    """
    raise AssertionError  # pluggy never calls a specification


@hookspec
def pre_join(operation: Operation) -> Sequence[Step]:
    """Before `operation.added` joins a cluster that exists.

    ::

        @hookimpl
        def pre_join(operation):
            return [Step("clock", "Set the clock", ADDED, lambda context: context.sh("chronyc makestep"))]
    """
    raise AssertionError


@hookspec
def post_join(operation: Operation) -> Sequence[Step]:
    """After `operation.added` joined a cluster that existed.

    ::

        @hookimpl
        def post_join(operation):
            return [Step("note", "Note the change", OPERATOR, lambda context: context.log("joined"))]
    """
    raise AssertionError


@hookspec
def pre_guest(operation: Operation) -> Sequence[Step]:
    """When the cluster is up, before the image's CMDs.

    ::

        @hookimpl
        def pre_guest(operation):
            return [Step("quota", "Make quotas", FIRST_MASTER, lambda context: context.sh("kubectl apply -f q.yaml"))]
    """
    raise AssertionError


@hookspec
def post_install(operation: Operation) -> Sequence[Step]:
    """After the image's CMDs, at the end of an installation.

    ::

        @hookimpl
        def post_install(operation):
            return [Step("mail", "Tell the owner", OPERATOR, tell_the_owner)]
    """
    raise AssertionError


@hookspec
def pre_clean(operation: Operation) -> Sequence[Step]:
    """Before `operation.removed` leaves the cluster.

    ::

        @hookimpl
        def pre_clean(operation):
            return [Step("save", "Save the logs", REMOVED, save_logs, unreachable="skip")]
    """
    raise AssertionError


@hookspec
def post_clean(operation: Operation) -> Sequence[Step]:
    """After `operation.removed` left the cluster and was reset; its rootfs is still there.

    ::

        @hookimpl
        def post_clean(operation):
            return [Step("wipe", "Wipe the data disk", REMOVED, wipe, unreachable="skip")]
    """
    raise AssertionError


@hookspec
def plugin_types() -> Sequence[type[PluginType[object]]]:
    """Types that `kind: Plugin` documents can name in `spec.type`.

    ::

        @hookimpl
        def plugin_types():
            return [Firewall]
    """
    raise AssertionError


@hookspec
def image_references(path: str, content: bytes, files: Files) -> Sequence[ImageReference | UnresolvedReference]:
    """The container images that one file of a rootfs mentions.

    :param path: relative to the rootfs.
    :param files: all files of the rootfs, for what is made of several.

    ::

        @hookimpl
        def image_references(path, content):
            return [ImageReference(line.decode()) for line in content.split()] if path.endswith(".images") else []
    """
    raise AssertionError


@hookspec
def preflight_checks(operation: Operation) -> Sequence[Step]:
    """QUERY steps that must succeed before anything is changed.

    ::

        @hookimpl
        def preflight_checks(operation):
            return [Step("disk", "Check the disk", ADDED, check_disk, effect=Effect.QUERY)]
    """
    raise AssertionError


@hookspec
def health_checks(operation: Operation) -> Sequence[Step]:
    """QUERY steps of `sealer check`: each raises a SealerError where something is wrong.

    ::

        @hookimpl
        def health_checks(operation):
            return [Step("clock", "The clock is set by NTP", ALL, check_clock, effect=Effect.QUERY)]
    """
    raise AssertionError


@hookspec(firstresult=True)
def resolve_secret(reference: str) -> Secret | None:
    """The secret that a reference like `vault:path#field` stands for; None: not one of mine.

    Asked for passwords, passphrases and secret fields of drivers that have the form `NAME:REFERENCE`. What is given is
    used as the secret, and never recorded.

    ::

        @hookimpl
        def resolve_secret(reference):
            return Secret(read_vault(reference)) if reference.startswith("vault:") else None
    """
    raise AssertionError


@hookspec
def event(event: Event) -> None:
    """Something happened; an observer must not take long.

    ::

        @hookimpl
        def event(event):
            print(event.message)
    """
    raise AssertionError
