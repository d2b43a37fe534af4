"""Whether a registry refuses what it should: pushes and deletes by its hosts, pulls without signing in."""

from __future__ import annotations

from http import HTTPStatus

from sealer.image.registry.client import Client

_NOWHERE = "sealer-check"  # a repository that no image has: nothing of it would be missed
_NOTHING = "sha256:" + "0" * 64
# Any answer but a redirect, which is followed.
_ANY = frozenset({*range(200, 300), *range(400, 600)})
# The client signs in where it is asked to.
_SIGNED_IN = _ANY - {HTTPStatus.UNAUTHORIZED}


def what_it_takes(client: Client) -> list[str]:
    """What it lets hosts do beside pulling, in words."""
    taken = []
    with client.call("POST", f"/v2/{_NOWHERE}/blobs/uploads/", expected=_SIGNED_IN) as answer:
        if answer.status < HTTPStatus.BAD_REQUEST:
            taken.append("pushes")
        begun = answer.header("Location")
    if taken and begun:
        with client.call("DELETE", begun, expected=_SIGNED_IN):
            pass
    with client.call("DELETE", f"/v2/{_NOWHERE}/manifests/{_NOTHING}", expected=_SIGNED_IN) as answer:
        if answer.status < HTTPStatus.BAD_REQUEST or answer.status == HTTPStatus.NOT_FOUND:
            taken.append("deletes")
    return taken


def what_anybody_may(client: Client) -> list[str]:
    """What it lets those do who do not sign in, in words."""
    with client.call("GET", "/v2/", expected=_ANY) as answer:
        return ["pulls without a login"] if answer.status < HTTPStatus.BAD_REQUEST else []
