"""Files of megabytes take seconds. The bounds are generous: a busy machine must keep them, a quadratic reader not."""

from __future__ import annotations

import time

import pytest

from sealer.image.discovery.manifests import read_manifest

SECONDS = 30
FIELD = """\
          field{0}:
            description: Words about the image of field {0}, as long as those in real definitions are.
            type: string
            properties:
              image:
                type: string
                default: quay.io/never/default:v{0}
"""
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        properties:
""" + "".join(FIELD.format(number) for number in range(400))
POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a/b:1}]}\n"
COUNT = 1 + 5_000_000 // len(DEFINITION)


def listed() -> str:
    """The definitions as items of one List, so that none of them is a document of its own."""
    item = "".join(f"    {line}\n" for line in DEFINITION.splitlines())
    pod = POD.replace("\n", "\n    ")
    return "apiVersion: v1\nkind: List\nitems:\n" + f"  -\n{item}" * COUNT + f"  - {pod}"


@pytest.mark.parametrize(
    "text",
    [
        f"---\n{DEFINITION}" * COUNT + f"---\n{POD}",
        listed(),
        "# a comment about an image\n" * 200_000 + POD,
        "words of prose about an image: " * 160_000 + "\n---\n" + POD,
        "image: [" + "x" * 5_000_000 + "]\n---\n" + POD,
        "{{ image }} " * 400_000 + "\n---\n" + POD,
        "image: " + "a/" * 2_500_000 + "\n---\n" + POD,
        "a: |\n" + "  --image \\\n" * 400_000 + "---\n" + POD,
    ],
    ids=["documents", "a list", "comments", "prose", "a long word", "actions", "a long name", "arguments"],
)
def test_five_megabytes(text: str) -> None:
    assert len(text) > 4_000_000
    begun = time.monotonic()
    found = read_manifest("a.yaml", text.encode())
    assert time.monotonic() - begun < SECONDS
    assert "a/b:1" in {getattr(one, "image", "") for one in found}
