"""sealer is killed again and again while it installs, a host loses power while it joins: the same command finishes."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from cryptography import x509
from kubernetes_site import SANS, Kubernetes, eventually, home_of_its_own, names_of, years_of

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

LAB = Path(__file__).parent.parent / "lab"
KILLER = LAB / "killed_sealer.py"
ENOUGH = 20  # kills along one install

# What scripts of the image must have left: once, in this order.
MASTER = ["pre-init", "pre-guest", "cmd-1", "cmd-1 ended", "cmd-2", "post-install"]
NODE = ["pre-init", "post-install"]
KUBEFILE = """\
FROM kubernetes:base
COPY plugins plugins
CMD echo cmd-1 >>/root/marks; echo begun; sleep 2; echo cmd-1 ended >>/root/marks
CMD echo cmd-2 >>/root/marks
"""
PHASES = {
    *("Preflight", "Access", "Distribute", "PreInit", "Init", "Registry"),
    *("Install", "PreGuest", "Guest", "PostInstall"),
}


@dataclass(frozen=True)
class Moment:
    """When sealer is killed, in the words of `killed_sealer.py`."""

    when: str
    what: str

    def __str__(self) -> str:
        return f"{self.when} {self.what}"


def record(what: str) -> Moment:
    return Moment("record", what)


def event(what: str) -> Moment:
    return Moment("event", what)


IN_DISTRIBUTE = event("progress Distribute/kernel/layers")
IN_PUBLISH = event("progress Registry/registry/publish")
IN_INIT = event("output Install/kubeadm/init [wait-control-plane]")
INITIALIZED = event("output Install/kubeadm/init Your Kubernetes control-plane has initialized")
AFTER_INIT = record("completed Install/kubeadm/init")
IN_JOIN = event("output Install/kubeadm/nodes [kubelet-start] Starting the kubelet")
IN_CMD = event("output Guest/kernel/cmd-1 begun")
INSIDE = {
    "Distribute": [IN_DISTRIBUTE],
    "Registry": [IN_PUBLISH],
    "Install": [IN_INIT, INITIALIZED, AFTER_INIT, IN_JOIN, record("intend Install/kubeadm/ready")],
    "Guest": [IN_CMD],
}
# Around all that a dry run can plan.
BEFORE = [record("begin"), event("started Reach/kernel/facts"), record("locked"), event("done Reach/kernel/lock")]
AFTER = [record("settling"), record("end")]


class Killed(Kubernetes):
    """A master and a node, and what to expect of them."""

    masters = 1

    @property
    def words(self) -> tuple[str, ...]:
        """The command that is given again and again."""
        return ("apply", "-f", str(self.clusterfile), "--yes")

    def kill_at(self, moment: Moment) -> None:
        """Give the command, and see that it is killed at that very moment."""
        program = (str(KILLER), moment.when, moment.what)
        process = self.start(*self.words, program=program, KUBECONFIG=str(self.home / "kubeconfig"))
        output, _ = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, f"sealer was not killed at '{moment}':\n{output}"

    def moments(self) -> list[Moment]:
        """The beginning and the end of each phase of what is planned, and some in between."""
        [plan] = [json.loads(line) for line in self.run(*self.words, "--dry-run", "--output", "json").splitlines()]
        phases: dict[str, list[dict[str, str]]] = {}
        for step in plan["steps"]:
            phases.setdefault(step["phase"], []).append(step)
        assert set(phases) == PHASES
        borders = [[_begins(steps[0]), *INSIDE.get(phase, []), _ends(steps[-1])] for phase, steps in phases.items()]
        return [*BEFORE, *chain(*borders), *AFTER]

    def cluster_id(self) -> str:
        """What a second `kubeadm init` would change."""
        own = "--kubeconfig /etc/kubernetes/admin.conf"
        return self.on(0, f"kubectl {own} get namespace kube-system -o jsonpath={{.metadata.uid}}")

    def check(self) -> None:
        """All is there, and nothing was done twice."""
        assert self.ready() == self.addresses(0, 1)
        self.check_once()
        self.check_certificates()

    def check_once(self) -> None:
        """By the marks of scripts, by sealer's own record, and by what kubeadm printed on the hosts."""
        assert list(self.marks().values()) == [MASTER, NODE]
        journal = self.home / "clusters" / self.name / "journal.jsonl"
        records = [json.loads(line) for line in journal.read_text().splitlines()]
        begun = Counter((it["step"], it["host"]) for it in records if it["record"] == "intend")
        assert [step for step, times in begun.items() if times > 1] == []
        receipts = f"/var/lib/sealer/data/{self.name}/receipts"
        ended = f"grep -rlE --include=output 'initialized successfully|has joined the cluster' {receipts} || true"
        assert [len(self.on(number, ended).splitlines()) for number in (0, 1)] == [1, 1]
        anew = f"grep -rl --include=output 'starting again' {receipts} || true"
        assert [self.on(number, anew) for number in (0, 1)] == ["", ""]

    def check_certificates(self) -> None:
        """There is one authority of each kind, the operator's, and it signed all that there is on hosts."""
        pki = self.credentials / "pki"
        authorities = {path: path.read_text() for path in pki.glob("*.crt")}
        assert {path.name for path in authorities} == {"ca.crt", "etcd-ca.crt", "front-proxy-ca.crt"}
        known = [x509.load_pem_x509_certificate(text.encode()) for text in authorities.values()]
        by_subject = {it.subject: it for it in known}
        found = "find /etc/kubernetes/pki /var/lib/kubelet/pki -name '*.crt' -exec cat {} +"
        renewed = "cat /var/lib/kubelet/pki/kubelet-client-current.pem"  # by the kubelet, each year
        embedded = "sed -n 's/.*client-certificate-data: *//p' /etc/kubernetes/*.conf"
        for number, least in ((0, 12), (1, 2)):
            text = self.on(number, found)
            text += "\n".join(base64.b64decode(line).decode() for line in self.on(number, embedded).splitlines())
            certificates = x509.load_pem_x509_certificates(text.encode())
            assert len(certificates) >= least
            (client,) = x509.load_pem_x509_certificates(self.on(number, renewed).encode())
            client.verify_directly_issued_by(by_subject[client.issuer])
            for certificate in certificates:
                certificate.verify_directly_issued_by(by_subject[certificate.issuer])
                assert years_of(certificate) >= 99
            assert authorities[pki / "ca.crt"].strip() == self.on(number, "cat /etc/kubernetes/pki/ca.crt")
        assert {self.hosts[0].address, *SANS} <= names_of(self.served(0))


def _begins(step: dict[str, str]) -> Moment:
    return event(f"started {step['id']}") if step["effect"] == "query" else record(f"intend {step['id']}")


def _ends(step: dict[str, str]) -> Moment:
    return event(f"done {step['id']}") if step["effect"] == "query" else record(f"completed {step['id']}")


@pytest.fixture(scope="module")
def images(base_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an image whose scripts of all phases leave marks."""
    context = tmp_path_factory.mktemp("marked")
    (context / "Kubefile").write_text(KUBEFILE)
    shutil.copytree(LAB / "images" / "marks" / "plugins", context / "plugins")
    Kubernetes(base_home, [], name="none").sealer("build", "-t", "marked:1", str(context))
    return base_home


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(2, "sealer-killed") as made:
        yield made


@contextmanager
def site_on(machines: Machines, images: Path, directory: Path) -> Iterator[Killed]:
    home = home_of_its_own(directory, images)
    site = Killed(home, [state.host for state in machines.list()], name="killed")
    site.spec(0, 1, image="marked:1")
    try:
        yield site
    finally:
        if (site.home / "clusters" / site.name / "state.json").exists():
            site.run("delete", "--all", "--name", site.name, "--force")


@pytest.fixture
def site(machines: Machines, images: Path, tmp_path: Path) -> Iterator[Killed]:
    with site_on(machines, images, tmp_path) as site:
        for host in site.hosts:
            on_host(host, "rm -f /root/marks")  # those of the test before, its leaving among them
        yield site


def test_an_install_that_is_killed_all_along_is_finished_by_the_same_command(site: Killed) -> None:
    """At the borders of every phase, and in the middle of what takes long."""
    moments = site.moments()
    assert len(moments) == len(set(moments)) >= ENOUGH
    initialized = ""
    for moment in moments:
        site.kill_at(moment)
        if moment == AFTER_INIT:
            initialized = site.cluster_id()
    site.run()
    site.check()
    assert site.cluster_id() == initialized != ""


@pytest.mark.soak
@pytest.mark.parametrize("moment", [IN_PUBLISH, IN_INIT, AFTER_INIT, IN_JOIN, IN_CMD], ids=str)
def test_an_install_that_is_killed_once_on_hosts_of_its_own(moment: Moment, images: Path, tmp_path: Path) -> None:
    with real_machines(2, "sealer-killed-once") as machines, site_on(machines, images, tmp_path) as site:
        site.kill_at(moment)
        site.run()
        site.check()


def test_a_host_that_loses_its_power_while_it_joins(site: Killed, machines: Machines) -> None:
    process = site.start(*site.words, KUBECONFIG=str(site.home / "kubeconfig"))
    joins = "pgrep -f 'kubeadm [j]oin' || test -e /etc/kubernetes/sealer/joined && echo joins"
    eventually(lambda: process.poll() is not None or "joins" in quiet(site, 1, f"({joins}) && echo joins"), 300)
    machines.kill(site.hosts[1].address)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert site.hosts[1].address in output
    machines.boot(site.hosts[1].address)
    site.run()
    assert site.ready() == site.addresses(0, 1)


def quiet(site: Kubernetes, number: int, command: str) -> str:
    """What a command prints, while the host may be anything."""
    time.sleep(0.2)
    return on_host(site.hosts[number], f"{command} || true")
