"""When a registry is asked for an image that a build needs."""

from __future__ import annotations

import enum


class PullPolicy(enum.StrEnum):
    """What `--pull` says; images that are pinned by a digest are never asked for again."""

    ALWAYS = "always"  # what a tag means now; the build fails where the registry does not say it
    NEWER = "ifnewer"  # the same, but what is here will do where the registry does not say it
    MISSING = "missing"  # what is not here
    NEVER = "never"  # nothing

    @property
    def asks_again(self) -> bool:
        """Whether a registry is asked for what is here already."""
        return self in (PullPolicy.ALWAYS, PullPolicy.NEWER)


# As docker, podman and buildah write them, and both generations of the original.
WORDS = {
    "always": PullPolicy.ALWAYS,
    "true": PullPolicy.ALWAYS,
    "ifnewer": PullPolicy.NEWER,
    "newer": PullPolicy.NEWER,
    "missing": PullPolicy.MISSING,
    "ifmissing": PullPolicy.MISSING,
    "ifnotpresent": PullPolicy.MISSING,
    "false": PullPolicy.MISSING,
    "never": PullPolicy.NEVER,
}
