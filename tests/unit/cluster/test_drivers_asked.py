"""When a runtime and a registry are asked, and what steps of others ask a runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from sealer.errors import RefusedError
from sealer.extension import FIRST_MASTER, Operation, Step, StepContext, hookimpl

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
# Two drivers that mark what is asked of them in a file, one line a step that ran.
DRIVERS = """\
from pathlib import Path
from sealer.errors import RefusedError
from sealer.extension import ADDED, ALL, KEPT, REMOVED, FIRST_MASTER, Registry, Result, Runtime, Step

MARKS = Path({marks!r})

def step(word, on, **more):
    def mark(context):
        with MARKS.open("a") as marks:
            marks.write(f"{{word}} {{context.host.id}}\\n")
    return [Step(word, f"Mark {{word}}", on, mark, unreachable="skip", **more)]

class Talker(Runtime):
    schema = {{"type": "object", "additionalProperties": False, "properties": {{"loud": {{"type": "boolean"}}}}}}
    def install(self, operation):
        (self.credentials / "ca.key").write_text("of the cluster")
        return step("install", ALL)
    def join(self, operation):
        return step("join", ADDED)
    def forget(self, operation):
        return []
    def clean(self, operation):
        return step("clean", REMOVED)
    def upgrade(self, operation):
        return []
    def update(self, operation):
        return step("update", KEPT, covers=frozenset({{"kubeadm", "spec.hosts.labels"}}))
    def nodes(self, context):
        from sealer.extension import Node
        return [Node(f"node-{{host.address}}", host.address, True) for host in context.operation.hosts]
    def kubectl(self, context, *arguments, stdin=None, check=True):
        return context.query("cat; echo " + " ".join(arguments), stdin=stdin, check=check)
    def environment(self, operation, host):
        return {{"KUBECONFIG": "/of/the/runtime", "TALKER": host.address}}

class Keeper(Registry):
    def deploy(self, operation):
        return step("deploy", FIRST_MASTER)
    def publish(self, operation):
        return step("publish", FIRST_MASTER)
    def trust(self, operation):
        return step("trust", ALL)
    def remove(self, operation):
        if operation.kind != "delete" and any(host.address == "10.0.0.4" for host in operation.removed):
            raise RefusedError("what it holds would be lost")
        return step("remove", REMOVED)
"""
LABELS = "LABEL io.sealer.runtime=talker io.sealer.registry=keeper"


@pytest.fixture
def talking(site: Site) -> Iterator[Site]:
    """The site with the two drivers installed, and an image that wants them."""
    package = site.directory / "site/sealer_test_drivers-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-test-drivers\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[sealer.runtimes]\ntalker = sealer_test_drivers:Talker\n"
        "[sealer.registries]\nkeeper = sealer_test_drivers:Keeper\n"
    )
    (site.directory / "site/sealer_test_drivers.py").write_text(DRIVERS.format(marks=str(site.directory / "marks")))
    site.build({"scripts/init.sh": "#!/bin/sh\nenv > ../env\n"}, LABELS)
    yield site
    sys.modules.pop("sealer_test_drivers", None)


def marks(site: Site) -> list[str]:
    """What was marked since the last call."""
    file = site.directory / "marks"
    found = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def apply(site: Site, **more: Any) -> None:
    site.lifecycle(confirm=lambda question: True).apply(site.desired(**more))


def test_the_registry_of_the_image_runs_before_the_runtime_installs(talking: Site) -> None:
    apply(talking)
    done = [line.split()[0] for line in marks(talking)]
    assert done == ["deploy", "publish", "trust", "install"]


def test_a_scale_asks_the_registry_before_hosts_join_and_the_runtime_after(talking: Site) -> None:
    apply(talking)
    marks(talking)
    apply(talking, machines=(1, 2))
    assert sorted(marks(talking)) == sorted(
        ["deploy 10.0.0.1", "publish 10.0.0.1", "trust 10.0.0.1", "trust 10.0.0.2", "join 10.0.0.2", "update 10.0.0.1"]
    )


def test_a_host_that_leaves_is_left_by_the_registry_too(talking: Site) -> None:
    apply(talking, machines=(1, 2))
    marks(talking)
    apply(talking)
    done = marks(talking)
    assert "remove 10.0.0.2" in done
    assert done.index("deploy 10.0.0.1") < done.index("remove 10.0.0.2")


def test_a_registry_refuses_to_lose_what_it_holds_before_anything_is_done(talking: Site) -> None:
    apply(talking, machines=(1, 4))
    marks(talking)
    with pytest.raises(RefusedError, match="would be lost"):
        apply(talking)
    assert marks(talking) == []


def test_a_field_that_the_runtime_covers_can_be_changed(talking: Site) -> None:
    apply(talking)
    marks(talking)
    document = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 50\n"
    talking.lifecycle().apply(talking.desired(document))
    assert "update 10.0.0.1" in marks(talking)
    assert "install" not in " ".join(marks(talking))


def test_scripts_find_what_the_runtime_exports_and_the_user_comes_first(talking: Site) -> None:
    apply(talking, env="{KUBECONFIG: /of/the/user}")
    exported = (talking.rootfs() / "env").read_text().splitlines()
    assert "TALKER=10.0.0.1" in exported
    assert "KUBECONFIG=/of/the/user" in exported


def test_drivers_keep_their_secrets_with_the_cluster(talking: Site) -> None:
    apply(talking)
    key = talking.home.credentials / "ca.key"
    assert key.read_text() == "of the cluster"
    talking.lifecycle(confirm=lambda question: True).delete("here")
    assert not key.exists()


def test_a_step_of_another_plugin_asks_the_cluster_by_its_runtime(talking: Site) -> None:
    seen: list[str] = []

    class Asking:
        @hookimpl
        def pre_guest(self, operation: Operation) -> Sequence[Step]:
            def ask(context: StepContext) -> None:
                seen.extend(node.name for node in context.nodes())
                seen.append(context.kubectl("apply", "-f", "-", stdin=b"document ").stdout.strip())

            return [Step("ask", "Ask", FIRST_MASTER, ask)]

    talking.hooks.append(Asking())
    apply(talking)
    assert seen == ["node-10.0.0.1", "document apply -f -"]


def test_an_application_is_installed_with_the_drivers_of_its_cluster(talking: Site) -> None:
    apply(talking)
    marks(talking)
    talking.build({"app": "x"}, "CMD true", name="app:1", kind="app-installer")
    talking.lifecycle().create(talking.desired(image="app:1"))
    assert [line.split()[0] for line in marks(talking)] == ["publish", "trust"]


def test_a_cluster_is_deleted_with_its_drivers_though_its_image_is_gone(talking: Site) -> None:
    apply(talking)
    marks(talking)
    talking.store.remove("demo:1")
    talking.lifecycle(confirm=lambda question: True).delete("here")
    assert sorted(marks(talking)) == ["clean 10.0.0.1", "remove 10.0.0.1"]
