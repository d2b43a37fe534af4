"""Which steps there are, on whom, and what comes after what."""

from __future__ import annotations

import base64
import datetime
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, HostAlias
from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import CommandError, HostError, InputError, Position, RefusedError, SealerError
from sealer.events import EventStream
from sealer.extension import Operation
from sealer.extension.operation import OperationKind
from sealer.hosts import Host
from sealer.image.applications import SUPPORTED_VERSIONS_LABEL
from sealer.image.model import KUBERNETES_VERSION_LABEL, RUNTIME_LABEL, ContainerImage
from sealer.image.oci import Descriptor
from sealer.settings import Settings
from sealer.testing import Answers, RecordedContext, Reply, make_host, make_operation, run_steps
from sealer_plugin_kubeadm import balancer, cluster_api, endpoint, hooks, places
from sealer_plugin_kubeadm.checks import refuse_skew
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.probing import HOST
from sealer_plugin_kubeadm.runtime import Kubeadm

HAPROXY = "docker.io/library/haproxy:2.6"


def runtime(events: EventStream | None = None, **options: object) -> Kubeadm:
    return Kubeadm(Settings(home=Path("/nonexistent")), events or EventStream(), options)  # type: ignore[arg-type]  # JSON


def with_labels(operation: Operation, *containers: str, **labels: str) -> Operation:
    """The operation with an image that has labels (`__` for what a name cannot have) and container images."""
    assert operation.image
    rootfs = replace(operation.image.first, labels={**operation.image.first.labels, **labels})
    found = tuple(ContainerImage(name, "linux/amd64", Descriptor("m", "sha256:" + "0" * 64, 1)) for name in containers)
    return replace(operation, image=replace(operation.image, rootfs=(rootfs,), containers=found))


def test_nodes_join_beside_masters_and_masters_one_by_one() -> None:
    steps = {step.id: step for step in runtime().install(make_operation("create", masters=3, nodes=2))}
    assert steps["masters"].after == steps["nodes"].after == {"init"}
    assert (steps["masters"].order, steps["nodes"].order) == ("serial", "parallel")
    assert steps["pods"].after == {"masters", "nodes"}


def test_a_single_master_needs_nobody_to_join() -> None:
    steps = [step.id for step in runtime().install(make_operation("create", masters=1, nodes=0))]
    assert "masters" not in steps
    assert "nodes" not in steps
    assert steps[-1] == "kubeconfig"


def test_who_comes_later_does_not_touch_the_first_master() -> None:
    steps = [step.id for step in runtime().join(make_operation("scale", joining=2))]
    assert "init" not in steps
    assert "nodes" in steps


def test_who_joins_asks_a_master_that_answers(tmp_path: Path) -> None:
    """The first master is out of reach, the second one's API server is down: the third is asked."""
    operation = make_operation("scale", masters=3, nodes=0, joining=1)
    first, second, third = operation.kept
    silent = replace(operation, unreachable=frozenset({first.id}))
    assert silent.first_master == second
    authorities.make(tmp_path, datetime.timedelta(days=1))
    for asked, ready in ((third, {third.id}), (second, {second.id, third.id}), (second, set[str]())):
        driver = runtime()
        driver.credentials = tmp_path
        steps = [step for step in driver.join(silent) if step.id == "certificates"]
        probed = {"name": "new", "version": "v1.20.2"}
        facts: dict[tuple[str, str], object] = {(HOST.name, silent.added[0].id): probed, (HOST.name, first.id): {}}
        facts |= {(HOST.name, host.id): {"api": "yes"} if host.id in ready else {} for host in (second, third)}
        done = run_steps(steps, silent, facts=facts)
        sent = b"".join(call.content for call in done.calls)
        assert f"server: https://{asked.address}:6443".encode() in sent
        assert f"server: https://{first.address}:6443".encode() not in sent


def test_hosts_do_not_join_where_no_master_answers() -> None:
    operation = make_operation("scale", masters=2, nodes=0, joining=1)
    silent = replace(operation, unreachable=frozenset(host.id for host in operation.kept))
    with pytest.raises(RefusedError, match="No master of 'testing' answers"):
        runtime().join(silent)


def test_a_host_out_of_reach_is_passed_over_by_members_and_not_by_a_field_that_changed() -> None:
    for joining, wanted in ((0, "fail"), (1, "skip")):
        steps = {step.id: step for step in runtime().update(make_operation("scale", masters=2, joining=joining))}
        assert {steps[name].unreachable for name in ("balance", "names")} == {wanted}


def test_where_the_api_of_a_master_is_down_that_of_another_is_asked() -> None:
    operation = make_operation("scale", masters=3, nodes=0)
    first, second, third = operation.kept
    silent = replace(operation, unreachable=frozenset({second.id}))
    refused = Reply(
        status=1, stderr=f"The connection to the server {places.NAME}:6443 was refused - did you specify the right"
    )
    nodes = Reply('{"items": []}')
    answers = Answers().on(f"--server https://{third.address}:6443 get nodes", nodes).on("kubectl get nodes", refused)
    assert not cluster_api.nodes(RecordedContext(silent, first, answers=answers))
    forbidden = Reply(status=1, stderr="Error from server (Forbidden): nodes is forbidden")
    for reply, operation_of in ((forbidden, operation), (refused, make_operation("create", masters=3))):
        context = RecordedContext(operation_of, first, answers=Answers().on("get nodes", reply))
        with pytest.raises(CommandError, match="status 1"):
            cluster_api.nodes(context)
        assert len(context.calls) == 1


def test_steps_on_hosts_that_stay_pass_over_those_out_of_reach() -> None:
    operation = make_operation("scale", masters=2, nodes=1, joining=1)
    steps = {step.id: step for step in (*runtime().join(operation), *runtime().update(operation))}
    passing = {step.id for step in steps.values() if step.unreachable == "skip"}
    assert passing == {"hosts", "network-of-others", "balance", "names"}


def test_an_image_without_network_is_not_waited_for() -> None:
    operation = with_labels(make_operation("create"), **{"io.sealer.kubernetes.network": "none"})
    assert not {"pods", "network", "ready"} & {step.id for step in runtime().install(operation)}


def test_a_mistake_in_the_options_of_kubeadm_is_told_before_anything_is_done() -> None:
    operation = with_labels(make_operation("create"), **{KUBERNETES_VERSION_LABEL: "v1.20.2"})
    with pytest.raises(InputError, match="addon/corends"):
        runtime(skipPhases=["addon/corends"]).install(operation)


def test_what_may_have_no_effect_is_warned_of_once_with_the_plan() -> None:
    operation = with_labels(make_operation("create"), **{KUBERNETES_VERSION_LABEL: "v1.99.0"})
    text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nzzzz: true\n"
    documents = read_kubeadm(text, "Clusterfile")
    operation = replace(operation, desired=replace(operation.desired, kubeadm=documents))
    events, heard = EventStream(), list[str]()
    events.subscribe(lambda event: heard.append(event.message))
    planner = runtime(events)
    planner.install(operation)
    planner.install(operation)
    assert len(heard) == 1
    assert heard[0].startswith("Clusterfile:3:1: KubeletConfiguration.zzzz: sealer does not know this field")


def test_what_has_no_effect_in_the_images_documents_is_warned_of_by_the_step(tmp_path: Path) -> None:
    operation = with_labels(make_operation("create", nodes=0), **{KUBERNETES_VERSION_LABEL: "v1.20.2"})
    driver = runtime()
    driver.credentials = tmp_path
    steps = [step for step in driver.install(operation) if step.id in ("hosts", "authorities", "init")]
    text = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\ncontrolPlaneEndpoint: lb.example.com\n"
    probed = f"name=one\nversion=v1.20.2\ndocuments={base64.b64encode(text.encode()).decode()}\n"
    answers = Answers().on("conntrack_fixed", Reply(probed))
    said = run_steps([replace(step, after=None) for step in steps], operation, answers=answers).messages()
    assert sum("etc/kubeadm.yml:3:1: ClusterConfiguration.controlPlaneEndpoint: this is for" in it for it in said) == 1


@pytest.mark.parametrize(("version", "patched"), [("v1.20.2", True), ("v1.21.0", True), ("v1.22.0", False)])
def test_etcd_asks_for_no_disk_that_a_kubelet_may_not_know_of_yet(tmp_path: Path, version: str, patched: bool) -> None:
    operation = with_labels(make_operation("create", masters=2, nodes=0), **{KUBERNETES_VERSION_LABEL: version})
    driver = runtime()
    driver.credentials = tmp_path
    steps = [step for step in driver.install(operation) if step.id in ("hosts", "authorities", "init", "masters")]
    answers = Answers().on("conntrack_fixed", Reply(f"name=one\nversion={version}\n"))
    done = run_steps([replace(step, after=None) for step in steps], operation, answers=answers)
    for master in operation.masters:
        [arguments] = [
            call.env["SEALER_ARGUMENTS"] for call in done.calls if call.host == master.id and call.what == "sh"
        ]
        assert (f"--experimental-patches={places.PATCHES}" in arguments) == patched
        patch = done.written(master.id).get(f"{places.PATCHES}/etcd+strategic.yaml", b"")
        assert (b"ephemeral-storage: null" in patch) == patched


def test_patches_of_the_user_are_taken_alone(tmp_path: Path) -> None:
    operation = with_labels(make_operation("create", nodes=0), **{KUBERNETES_VERSION_LABEL: "v1.20.2"})
    text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\npatches: {directory: /etc/patches}\n"
    operation = replace(operation, desired=replace(operation.desired, kubeadm=read_kubeadm(text, "Clusterfile")))
    driver = runtime()
    driver.credentials = tmp_path
    steps = [step for step in driver.install(operation) if step.id in ("hosts", "authorities", "init")]
    answers = Answers().on("conntrack_fixed", Reply("name=one\nversion=v1.20.2\n"))
    done = run_steps([replace(step, after=None) for step in steps], operation, answers=answers)
    [arguments] = [call.env["SEALER_ARGUMENTS"] for call in done.calls if "SEALER_ARGUMENTS" in call.env]
    assert [it for it in arguments.split() if "patches" in it] == ["--experimental-patches=/etc/patches"]


@pytest.mark.parametrize("wanted", ["docker", "cri-o"])
def test_another_container_runtime_than_the_images_is_refused(wanted: str) -> None:
    spec = Cluster(name="c", container_runtime=wanted, positions={"spec.containerRuntime": Position("f.yaml", 7, 3)})
    message = rf"^f\.yaml:7:3: spec\.containerRuntime: {wanted} is not supported by this image, testing:v1, which"
    with pytest.raises(InputError, match=message) as caught:
        runtime().install(make_operation("create", spec=spec))
    assert len(caught.value.problems) == 1
    # One that was made in spite of it can take in hosts.
    assert runtime().join(make_operation("scale", spec=spec, joining=1))


@pytest.mark.parametrize("wanted", ["", "containerd", "Containerd"])
def test_the_images_own_container_runtime_may_be_named(wanted: str) -> None:
    assert runtime().install(make_operation("create", spec=Cluster(name="c", container_runtime=wanted)))


def test_a_master_finds_itself_and_a_node_its_balancer() -> None:
    operation = with_labels(make_operation("create", masters=2, nodes=1), HAPROXY)
    first, second, node = operation.hosts
    assert [endpoint.address(operation, host) for host in (first, second, node)] == [
        *(first.address, second.address, "127.0.0.1")
    ]
    assert endpoint.address(make_operation("create", masters=2, nodes=1), node) == first.address


@pytest.mark.parametrize(("masters", "nodes", "containers"), [(1, 2, ()), (3, 0, ()), (3, 2, (HAPROXY,))])
def test_nodes_that_reach_every_master_are_not_warned_of(masters: int, nodes: int, containers: tuple[str, ...]) -> None:
    operation = with_labels(make_operation("create", masters=masters, nodes=nodes), *containers)
    events, heard = EventStream(), list[str]()
    events.subscribe(lambda event: heard.append(event.message))
    steps = [step for step in runtime(events).install(operation) if step.id == "endpoint"]
    assert not heard
    assert not run_steps(steps, operation).messages()


@pytest.mark.parametrize("kind", ["create", "scale"])
def test_several_masters_without_a_balancer_are_warned_of_with_the_plan_and_by_the_step(kind: OperationKind) -> None:
    nodes = 2 if kind == "create" else 0
    operation = with_labels(make_operation(kind, masters=3, nodes=nodes, joining=2), "k8s.gcr.io/pause:3.2")
    events, heard = EventStream(), list[str]()
    events.subscribe(lambda event: heard.append(event.message))
    driver = runtime(events)
    planned = driver.install(operation) if kind == "create" else driver.join(operation)
    assert len(heard) == 1
    assert heard[0].startswith("the image brings no haproxy: nodes reach the control plane through 192.0.2.11 alone")
    assert run_steps([step for step in planned if step.id == "endpoint"], operation).messages() == heard  # by one node


def test_the_balancers_pod_is_another_one_when_masters_change() -> None:
    one, two = make_host(1, "master"), make_host(2, "master")
    before, after = (balancer.files(HAPROXY, masters) for masters in ([one], [two, one]))
    assert before[places.BALANCER_MANIFEST] != after[places.BALANCER_MANIFEST]
    assert after == balancer.files(HAPROXY, [one, two])
    six = balancer.files(HAPROXY, [Host("fd00::1", ("master",))])[places.BALANCER_CONFIGURATION]
    assert b"[fd00::1]:6443" in six


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("docker.io/library/haproxy:2.6", True),
        ("registry.example.org:5000/infra/haproxy@sha256:" + "0" * 64, True),
        ("docker.io/library/haproxy-exporter:1", False),
        ("docker.io/haproxy/other:1", False),
    ],
)
def test_the_balancers_image_is_known_by_its_name(reference: str, found: bool) -> None:
    operation = with_labels(make_operation("create"), "k8s.gcr.io/pause:3.2", reference)
    assert balancer.image(operation) == (reference if found else "")


def test_aliases_stand_beside_the_endpoint() -> None:
    spec = Cluster(name="c", host_aliases=(HostAlias("192.0.2.99", ("db", "db.example.org")),))
    operation = make_operation("create", spec=spec)
    assert operation.first_master
    assert endpoint.lines(operation, operation.first_master)[1:] == ["192.0.2.99 db db.example.org"]


def test_what_can_be_changed_of_a_cluster_that_runs() -> None:
    operation = make_operation("scale", joining=0)
    kept = replace(operation.kept[1], labels={"a": "b"})
    operation = replace(operation, kept=(operation.kept[0], kept))
    covered = frozenset().union(*(step.covers for step in runtime().update(operation)))
    assert covered == {
        "spec.certSANS",
        "spec.hostAliases",
        "spec.hosts.labels",
        "spec.hosts.taints",
        "spec.hosts.roles",
    }


def test_a_node_does_not_become_a_master() -> None:
    operation = make_operation("scale", joining=0)
    turned = tuple(replace(host, roles=("master",)) for host in operation.kept)
    with pytest.raises(RefusedError, match="between master and node"):
        runtime().update(replace(operation, kept=turned))


def test_only_clusters_of_this_runtime_are_checked() -> None:
    assert not hooks.preflight_checks(make_operation("create"))
    ours = with_labels(make_operation("create"), **{RUNTIME_LABEL: "kubeadm"})
    assert [step.id for step in hooks.preflight_checks(ours)] == ["hosts", "compare"]
    removal = with_labels(
        make_operation("scale", joining=0, removed=[make_host(9, "master")]), **{RUNTIME_LABEL: "kubeadm"}
    )
    assert [step.id for step in hooks.pre_clean(removal)] == ["majority"]


def checked(operation: Operation, answers: dict[str, str]) -> None:
    ours = with_labels(operation, **{RUNTIME_LABEL: "kubeadm"})
    script = Answers()
    for host, printed in answers.items():
        script = script.on("MemTotal", Reply(printed), host=host)
    run_steps(hooks.preflight_checks(ours), ours, answers=script)


def test_an_application_for_another_kubernetes_is_refused() -> None:
    operation = with_labels(make_operation("application"), **{SUPPORTED_VERSIONS_LABEL: ">= 1.22"})
    steps = hooks.preflight_checks(operation)
    answers = Answers().on("/version", Reply('{"gitVersion": "v1.20.2"}'))
    with pytest.raises(RefusedError) as caught:
        run_steps(steps, operation, answers=answers)
    assert caught.value.why == "it needs >= 1.22, and the cluster is v1.20.2"
    run_steps(steps, operation, answers=Answers().on("/version", Reply('{"gitVersion": "v1.24.0"}')))


def test_a_host_whose_ports_are_taken_is_refused() -> None:
    with pytest.raises(HostError, match=r"192\.0\.2\.12: Port 10250 of this host is taken") as caught:
        checked(make_operation("create"), {"192.0.2.12": "name=b\nbusy=10250 6443\n"})
    assert caught.value.why.endswith("; Port 6443 of this host is taken")
    assert "`ignorePreflightErrors: [Port-10250, Port-6443]`" in caught.value.remedy


def test_a_node_of_another_cluster_is_refused_and_our_own_is_not() -> None:
    with pytest.raises(RefusedError, match="already"):
        checked(make_operation("create"), {"192.0.2.11": "name=a\nnode=kubelet.service runs\n"})
    names = {f"192.0.2.{number}": f"name=n{number}\nclock=0\nours=yes\n" for number in (11, 12, 13)}
    checked(make_operation("create"), names)


def test_two_hosts_of_one_name_are_refused_unless_a_plugin_names_them() -> None:
    answers = {f"192.0.2.{number}": "name=debian\n" for number in (11, 12, 13)}
    with pytest.raises(HostError, match="both called debian"):
        checked(make_operation("create"), answers)
    checked(make_operation("create", names={"192.0.2.11": "a", "192.0.2.12": "b"}), answers)


def test_clocks_that_are_apart_are_told_with_the_two_hosts() -> None:
    refuse_skew({"a": 0.0, "b": 59.0, "c": 30.0})
    with pytest.raises(HostError, match="The clock of b is 61 s ahead of that of a"):
        refuse_skew({"a": 0.0, "b": 61.0, "c": 30.0})


def sent_to(tmp_path: Path, operation: Operation, reads: str, **options: object) -> dict[str, bytes]:
    """The files that the first host that comes is given.

    :param reads: names of our files that API servers of the masters that stay read.
    """
    driver = runtime(**options)
    driver.credentials = tmp_path
    planned = driver.install(operation) if operation.kind == "create" else driver.join(operation)
    steps = [step for step in planned if step.id in ("authorities", "certificates")]
    facts: dict[tuple[str, str], object] = {
        (HOST.name, host.id): {"name": f"n{number}", "version": "v1.20.2"}
        for number, host in enumerate(operation.added)
    }
    facts |= {(HOST.name, host.id): {"api": "yes", "api_server_files": reads} for host in operation.kept}
    first = operation.added[0].id
    done = run_steps([replace(step, after=None) for step in steps], operation, facts=facts)
    [archive] = [call.content for call in done.calls if call.host == first and b"kubelet.conf" in call.content]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        given = {f"/{member.name}": None if member.issym() else tar.extractfile(member) for member in tar}
        modes = {f"/{member.name}": member.mode for member in tar}
        assert modes.get(places.ENCRYPTION, 0o600) == 0o600
        return {path: file.read() if file else b"" for path, file in given.items()}


BOTH = "audit-policy.yaml encryption.yaml "


def test_a_first_master_is_given_what_its_api_server_reads(tmp_path: Path) -> None:
    operation = make_operation("create", masters=1, nodes=0)
    files = sent_to(tmp_path, operation, "")
    assert {places.AUDIT_POLICY, places.ENCRYPTION, places.KUBELET_CLIENT, places.KUBELET_FIRST_CLIENT} <= set(files)
    assert authorities.load(tmp_path).secrets in files[places.ENCRYPTION]


def test_a_cluster_is_made_without_encryption_where_it_is_switched_off(tmp_path: Path) -> None:
    files = sent_to(tmp_path, make_operation("create", masters=1, nodes=0), "", encryptSecrets=False)
    assert places.ENCRYPTION not in files
    assert places.AUDIT_POLICY in files
    assert not authorities.load(tmp_path).secrets


def test_a_master_that_comes_is_given_what_the_others_read(tmp_path: Path) -> None:
    """Its API server has the flags that the cluster keeps: those it was made with, whatever is made now."""
    operation = make_operation("scale", masters=2, nodes=0, joining=0)
    operation = replace(operation, added=(make_host(9, "master"),))
    authorities.make(tmp_path / "before", datetime.timedelta(days=1))
    assert not {places.AUDIT_POLICY, places.ENCRYPTION} & set(sent_to(tmp_path / "before", operation, ""))
    assert not authorities.load(tmp_path / "before").secrets
    authorities.make(tmp_path / "now", datetime.timedelta(days=1), encrypt_secrets=True)
    key = authorities.load(tmp_path / "now").secrets
    files = sent_to(tmp_path / "now", operation, BOTH)
    assert key in files[places.ENCRYPTION]
    assert places.AUDIT_POLICY in files
    (tmp_path / "now/pki/encryption.key").unlink()
    with pytest.raises(SealerError, match="is not on this machine"):
        sent_to(tmp_path / "now", operation, BOTH)


@pytest.mark.parametrize("kind", ["create", "scale"])
@pytest.mark.parametrize("there", [True, False])
def test_somebody_approves_of_what_kubelets_renew(kind: OperationKind, *, there: bool) -> None:
    """Also where kubeadm's phase that makes the rule was skipped, and in a cluster that was made before."""
    operation = make_operation(kind, joining=1)
    planned = runtime().install(operation) if kind == "create" else runtime().join(operation)
    [step] = [step for step in planned if step.id == "rotation"]
    assert not [other for other in planned if "rotation" in (other.after or ())]
    answers = Answers().on("get clusterrolebinding", Reply("clusterrolebinding/x\n" if there else ""))
    lines = [str(call) for call in run_steps([step], operation, answers=answers).calls]
    made = [line for line in lines if "create clusterrolebinding" in line]
    assert len(made) == (0 if there else 1)
    assert all("certificatesigningrequests:selfnodeclient" in line and "system:nodes" in line for line in made)
