"""Plugin documents from the two places where there may be some: the image, and the Clusterfile."""

from __future__ import annotations

import pytest

from sealer.cluster.documents import image_documents, merged
from sealer.errors import InputError


def document(name: str, type: str = "SHELL", data: str = "true") -> str:
    return (
        "apiVersion: sealer.aliyun.com/v1alpha1\nkind: Plugin\n"
        f"metadata: {{name: {name}}}\nspec: {{type: {type}, action: PreInit, data: '{data}'}}\n"
    )


def carried(files: dict[str, str]) -> list[str]:
    found = image_documents(list(files), lambda path: files[path].encode())
    return [f"{one.source}: {one.name} {one.data}" for one in found]


def test_documents_come_in_the_order_of_their_paths() -> None:
    files = {
        "plugins/b.yml": document("third"),
        "plugin/z.yaml": f"{document('first')}---\n{document('second')}",
        "plugins/readme.txt": "no document",
        "etc/plugins/c.yaml": document("elsewhere"),
    }
    assert carried(files) == ["plugin/z.yaml: first true", "plugin/z.yaml: second true", "plugins/b.yml: third true"]


def test_two_files_of_an_image_with_one_name_are_both_named() -> None:
    with pytest.raises(InputError) as caught:
        carried({"plugin/a.yaml": document("disk"), "plugins/b.yaml": f"# ours\n{document('disk')}"})
    [problem] = caught.value.problems
    assert (problem.position.file, problem.position.line) == ("plugins/b.yaml", 2)
    assert "another of this name at plugin/a.yaml:1:1" in problem.message


def test_a_file_that_is_no_text_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match="no UTF-8") as caught:
        image_documents(["plugins/a.yaml"], lambda _: b"kind: Plugin\nname: \xff\n")
    [problem] = caught.value.problems
    assert str(problem.position) == "plugins/a.yaml:2:7"


def test_the_clusterfile_replaces_a_document_of_its_name() -> None:
    files = {"plugins/a.yaml": document("disk") + "---\n" + document("net")}
    image = image_documents(list(files), lambda path: files[path].encode())
    theirs = image_documents(["plugins/c.yaml"], lambda _: document("disk", data="false").encode())
    assert [(one.name, one.data) for one in merged(image, theirs)] == [("net", "true"), ("disk", "false")]


def test_a_replacement_of_another_type_is_refused() -> None:
    image = image_documents(["plugins/a.yaml"], lambda _: document("disk").encode())
    other = image_documents(["plugins/c.yaml"], lambda _: document("disk", "HOSTNAME").encode())
    with pytest.raises(InputError) as caught:
        merged(image, other)
    assert "it is HOSTNAME here and SHELL in the image (plugins/a.yaml)" in caught.value.problems[0].message
