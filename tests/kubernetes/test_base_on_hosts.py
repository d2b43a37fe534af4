"""The scripts of the base image on bare hosts: what they set up works, a second run changes nothing, all of it goes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from host_state import differences, state_of
from kubernetes_site import Kubernetes, home_of_its_own
from network_online import never_online

from sealer.errors import CommandError
from sealer.hosts import Host
from sealer_plugin_kubeadm.base.packages import place_packages, read_packages
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = pytest.mark.lab

ROOTFS = "/var/lib/sealer/data/try/rootfs"
PAUSE = "k8s.gcr.io/pause:3.2"
BUSYBOX = "docker.io/library/busybox:1.35"
CONTAINER = "ctr -n k8s.io run"


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(2, "sealer-base-tests") as made:
        yield made


@pytest.fixture(scope="module")
def hosts(machines: Machines, base_context: Path, payload: Path) -> list[Host]:
    """Two hosts with the files of the image, which no script knows of yet."""
    found = [state.host for state in machines.list()]
    for host in found:
        send(host, base_context, "/root/base", "scripts", "etc", "manifests")
        send(host, base_context / "bin/amd64", "/root/base/bin")
        send(host, base_context / "cni/amd64", "/root/base/cni")
        send(host, payload / "images", "/root/images", "busybox.tar", "pause.tar")
    return found


@pytest.fixture
def prepared(hosts: list[Host]) -> Iterator[list[Host]]:
    """The rootfs on both hosts, as the kernel lays it out; nothing is run. It goes at the end."""
    for host in hosts:
        on_host(host, f"mkdir -p {ROOTFS} && cp -al /root/base/. {ROOTFS}")
    yield hosts
    for host in hosts:
        on_host(host, f"{ROOTFS}/scripts/clean.sh; rm -rf /var/lib/sealer")


def send(host: Host, directory: Path, target: str, *names: str) -> None:
    """Copy files to a host."""
    ssh = ["ssh", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    with subprocess.Popen(["tar", "-C", directory, "-c", *(names or ["."])], stdout=subprocess.PIPE) as tar:
        command = f"mkdir -p {target} && tar x --no-same-owner -C {target}"
        login = ["-i", host.ssh.private_key, f"root@{host.address}"]
        subprocess.run([*ssh, *login, command], stdin=tar.stdout, check=True, timeout=120)
    assert tar.returncode == 0


def script(host: Host, name: str, *arguments: str, **environment: str) -> str:
    """Run one of the scripts as the kernel does."""
    exports = " ".join(f"{key}='{value}'" for key, value in environment.items())
    return on_host(host, f"cd {ROOTFS}/scripts && {exports} ./{name} {' '.join(arguments)} 2>&1")


def fact(host: Host, name: str) -> str:
    return on_host(host, f"cat {ROOTFS}/../facts/{name}")


def network(host: Host, number: int, others: list[tuple[int, Host]]) -> None:
    routes = "\n".join(f"100.64.{other}.0/24 via {at.address}" for other, at in others)
    script(host, "network.sh", PodCIDR=f"100.64.{number}.0/24", PodRoutes=routes)


def test_init_runs_containers_and_clean_leaves_nothing(prepared: list[Host]) -> None:
    host = prepared[0]
    before = state_of(host)
    script(host, "init.sh")
    assert fact(host, "cri-socket") == "unix:///run/containerd/containerd.sock"
    # The hosts of a machine with cgroup v1 have no groups of memory that systemd could give.
    second = on_host(host, "test ! -e /sys/fs/cgroup/cgroup.controllers || echo v2")
    assert fact(host, "cgroup-driver") == ("systemd" if second else "cgroupfs")
    settings = on_host(host, "cat /etc/containerd/config.toml")
    assert f"SystemdCgroup = {'true' if second else 'false'}\n" in settings
    lowered = on_host(host, "sh -c 'echo -1 >/proc/$$/oom_score_adj' 2>/dev/null && echo lowered; true")
    assert fact(host, "restrict-oom-score-adj") == ("false" if lowered else "true")
    assert f"restrict_oom_score_adj = {'false' if lowered else 'true'}\n" in settings
    assert on_host(host, "systemctl is-active containerd; systemctl is-enabled containerd kubelet").split() == [
        *("active", "enabled", "enabled")
    ]
    for image in ("busybox", "pause"):
        on_host(host, f"ctr -n k8s.io images import /root/images/{image}.tar")
    assert on_host(host, f"{CONTAINER} --rm {BUSYBOX} once /bin/echo it runs") == "it runs"
    on_host(host, f"{CONTAINER} --detach {PAUSE} sandbox && ctr -n k8s.io tasks list | grep sandbox.*RUNNING")
    network(host, 1, [(2, prepared[1])])

    log = script(host, "clean.sh")
    left = differences(before, state_of(host))
    assert not left, "\n".join([*left, log])


def test_a_second_run_changes_nothing(prepared: list[Host]) -> None:
    host = prepared[0]
    look = (
        "find /etc /usr/local /opt -printf '%p %T@ %i\\n' | sort; systemctl show containerd -p MainPID; ip route;"
        " iptables-save | grep -v '^#' | sed 's/ .[0-9:]*.$//'"
    )
    script(host, "init.sh")
    network(host, 1, [(2, prepared[1])])
    before = on_host(host, look)
    script(host, "init.sh")
    network(host, 1, [(2, prepared[1])])
    assert on_host(host, look) == before


def test_what_was_there_before_comes_back(prepared: list[Host]) -> None:
    host = prepared[0]
    on_host(
        host,
        "mkdir -p /etc/containerd /etc/systemd/system /usr/local/bin; echo mine >/etc/containerd/config.toml;"
        " echo '#!/bin/sh' >/usr/local/bin/runc; chmod 700 /usr/local/bin/runc; ln -s /dev/null /usr/local/bin/ctr;"
        " echo '# mine' >/etc/crictl.yaml; mkdir -p /opt/cni/bin; echo mine >/opt/cni/bin/mine",
    )
    try:
        before = state_of(host)
        script(host, "init.sh")
        assert on_host(host, "runc --version | head -n 1").startswith("runc version")
        script(host, "clean.sh")
        assert differences(before, state_of(host)) == []
    finally:
        on_host(host, "rm -rf /etc/containerd /usr/local/bin/runc /usr/local/bin/ctr /etc/crictl.yaml /opt/cni")


@pytest.mark.parametrize(
    ("spoil", "mend", "says"),
    [
        (
            "systemd-run -q --unit=docker sleep 1000",
            "systemctl stop docker",
            "docker.service runs on this host",
        ),
        (
            "mkdir -p /etc/kubernetes; touch /etc/kubernetes/kubelet.conf",
            "rm -r /etc/kubernetes",
            "this host is, or was, a node",
        ),
        (
            "mv /usr/sbin/iptables /root/",
            "mv /root/iptables /usr/sbin/",
            "this host lacks iptables: apt-get install iptables, or let the image bring packages of debian-12",
        ),
    ],
)
def test_a_host_that_cannot_be_one_is_refused_unchanged(prepared: list[Host], spoil: str, mend: str, says: str) -> None:
    host = prepared[0]
    on_host(host, spoil)
    try:
        before = state_of(host)
        with pytest.raises(CommandError) as caught:
            script(host, "init.sh")
        assert says in "\n".join(caught.value.output)
        assert differences(before, state_of(host)) == []
    finally:
        on_host(host, mend)


@pytest.fixture
def spoilt(hosts: list[Host]) -> Iterator[list[Host]]:
    """A master and a node on which kubeadm could not succeed: of each sort of reason one."""
    listen = "systemd-run --quiet --collect --unit taken-{} socat -u {},fork /dev/null"
    first, second = hosts
    on_host(first, listen.format("etcd", "TCP-LISTEN:2379"))
    on_host(first, listen.format("scheduler", "TCP6-LISTEN:10259,bind=[::1]"))
    on_host(second, listen.format("kubelet", "TCP-LISTEN:10250"))
    on_host(second, f"mkdir /run/crio && {listen.format('runtime', 'UNIX-LISTEN:/run/crio/crio.sock')}")
    on_host(second, "echo 0 >/proc/sys/net/ipv4/ip_forward")
    on_host(second, "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys")
    on_host(first, "for i in $(seq 50); do ss -ltn | grep -q :10259 && exit; sleep 0.1; done; exit 1")
    on_host(second, "for i in $(seq 50); do [ -S /run/crio/crio.sock ] && exit; sleep 0.1; done; exit 1")
    yield hosts
    on_host(first, "systemctl stop taken-etcd taken-scheduler")
    on_host(second, "systemctl stop taken-kubelet taken-runtime; rm -r /run/crio; umount /proc/sys")


def test_hosts_that_cannot_become_nodes_are_refused_before_any_is_changed(
    spoilt: list[Host], base_home: Path, tmp_path: Path
) -> None:
    site = Kubernetes(home_of_its_own(tmp_path, base_home), spoilt)
    site.masters = 1
    before = [state_of(host) for host in spoilt]
    site.spec(0, 1)
    said = " ".join(site.run(status=1).split())
    assert "Port 2379 of this host is taken" in said
    assert "Port 10259 of this host is taken" in said
    assert "net.ipv4.ip_forward is not 1 on this host, and cannot be set" in said
    assert "something listens on /run/crio/crio.sock" in said
    assert "Port 10250 of this host is taken" in said
    names = ["CRI", "Port-2379", "port-10259", "FileContent--proc-sys-net-ipv4-ip_forward"]
    site.spec(0, 1, runtime={"name": "kubeadm", "ignorePreflightErrors": names})
    said = " ".join(site.run(status=1).split())
    assert said.count("ignored, as") == len(names)
    assert "Port 10250 of this host is taken" in said, "this one is not named"
    assert [differences(*states) for states in zip(before, map(state_of, spoilt), strict=True)] == [[], []]
    assert [on_host(host, "find /var/lib/sealer -name rootfs 2>/dev/null || true") for host in spoilt] == ["", ""]


def test_the_cgroup_driver_by_hand_is_decided_once(prepared: list[Host]) -> None:
    host = prepared[0]
    before = state_of(host)
    with pytest.raises(CommandError) as caught:
        script(host, "init.sh", CgroupDriver="docker")
    assert "CgroupDriver is 'docker': it can be systemd or cgroupfs" in "\n".join(caught.value.output)
    assert differences(before, state_of(host)) == []
    script(host, "init.sh", CgroupDriver="systemd")
    assert "the cgroup driver stays systemd" in script(host, "init.sh", CgroupDriver="cgroupfs")
    assert fact(host, "cgroup-driver") == "systemd"
    assert "SystemdCgroup = true\n" in on_host(host, "cat /etc/containerd/config.toml")


# What goes with iptables and conntrack, and nothing else of a host needs.
PURGED = (
    *("conntrack", "iptables"),
    *("libip6tc2", "libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11"),
)
INSTALLED = "dpkg-query --show --showformat '${binary:Package} ${Version} ${db:Status-Abbrev}\\n' | sort"


@pytest.fixture(scope="module")
def debs(hosts: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages of the hosts' distribution, from its servers: this machine must be of the same one."""
    release = Path("/etc/os-release").read_text() if shutil.which("apt-get") else ""
    if release.strip() != on_host(hosts[0], "cat /etc/os-release"):
        pytest.skip("this machine has no apt of the hosts' distribution")
    directory = tmp_path_factory.mktemp("debs")
    for command in (["apt-get", "update", "-qq"], ["apt-get", "download", "-qq", *PURGED]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=180)
    return directory


@pytest.fixture
def bare(prepared: list[Host], debs: Path) -> Iterator[Host]:
    """A host as a minimal system is: without iptables and conntrack."""
    host = prepared[1]
    send(host, debs, "/root/debs")
    on_host(host, f"dpkg --purge {' '.join(PURGED)}")
    yield host
    on_host(host, f"{ROOTFS}/scripts/clean.sh; dpkg --install /root/debs/*.deb; rm -r /root/debs")


def carry(host: Host, debs: Path, directory: Path, *packages: str) -> None:
    """Packages in the rootfs of a host, as the image has them."""
    place_packages(read_packages(debs, "amd64"), directory)
    send(host, directory, f"{ROOTFS}/packages", *packages)


def test_a_bare_host_gets_programs_from_the_images_packages(bare: Host, debs: Path, tmp_path: Path) -> None:
    installed, before = on_host(bare, INSTALLED), state_of(bare)
    carry(bare, debs, tmp_path)
    for number in range(12):
        on_host(bare, f"cd {ROOTFS}/scripts; setsid timeout -s KILL 0.{number * 8:02} ./packages.sh; true")
    script(bare, "init.sh")
    states = {line.split()[2] for line in on_host(bare, INSTALLED).splitlines()}
    assert states == {"ii"}, "none of them is half installed"
    on_host(bare, "iptables --version && ip6tables-save && conntrack --version")
    on_host(bare, "ctr -n k8s.io images import /root/images/busybox.tar")
    assert on_host(bare, f"{CONTAINER} --rm {BUSYBOX} once /bin/echo it runs") == "it runs"
    network(bare, 1, [])
    assert "SEALER-PODS" in on_host(bare, "iptables-save")

    look = f"{INSTALLED}; stat -c %y /var/lib/dpkg/status; find /etc /usr/local -printf '%p %T@ %i\\n' | sort"
    once = on_host(bare, look)
    script(bare, "init.sh")
    assert on_host(bare, look) == once

    for number in range(6):
        on_host(bare, f"cd {ROOTFS}/scripts; setsid timeout -s KILL 0.0{number * 2 + 1} ./packages.sh undo; true")
    log = script(bare, "clean.sh")
    left = differences(before, state_of(bare))
    assert not left, "\n".join([*left, log])
    assert on_host(bare, INSTALLED) == installed


def test_packages_that_lack_what_they_depend_on_are_refused_unchanged(bare: Host, debs: Path, tmp_path: Path) -> None:
    carry(bare, debs, tmp_path, *(path.name for path in debs.glob("*_amd64.deb") if "libnftnl" not in path.name))
    installed, before = on_host(bare, INSTALLED), state_of(bare)
    with pytest.raises(CommandError) as caught:
        script(bare, "init.sh")
    said = "\n".join(caught.value.output)
    assert "this host lacks iptables, and the image's packages do not fit it" in said
    assert "iptables depends on libnftnl11" in said
    assert differences(before, state_of(bare)) == []
    assert on_host(bare, INSTALLED) == installed


def test_packages_that_others_need_by_now_stay(bare: Host, debs: Path, tmp_path: Path) -> None:
    carry(bare, debs, tmp_path)
    script(bare, "packages.sh")
    on_host(
        bare,
        "mkdir -p /root/other/DEBIAN; printf 'Package: other\\nVersion: 1\\nArchitecture: all\\nDepends: iptables\\n"
        "Maintainer: a <a@b.c>\\nDescription: of somebody\\n' >/root/other/DEBIAN/control;"
        " dpkg-deb --build /root/other /root/other.deb && dpkg --install /root/other.deb",
    )
    try:
        assert "iptables" in script(bare, "clean.sh")
        states = on_host(bare, INSTALLED)
        assert "\niptables " in states
        assert "\nconntrack " not in states
    finally:
        on_host(bare, f"dpkg --purge other {' '.join(PURGED)}; rm -rf /root/other /root/other.deb")


def test_killed_anywhere_it_is_finished_by_the_next_run_and_taken_back(prepared: list[Host]) -> None:
    host = prepared[0]
    before = state_of(host)
    for number in range(8):
        on_host(host, f"cd {ROOTFS}/scripts; setsid timeout -s KILL 0.{number}5 ./init.sh; true")
    script(host, "init.sh")
    assert on_host(host, "systemctl is-active containerd") == "active"
    for number in range(6):
        on_host(host, f"cd {ROOTFS}/scripts; setsid timeout -s KILL 0.{number}5 ./clean.sh; true")
    script(host, "clean.sh")
    assert differences(before, state_of(host)) == []


SERVE = """\
set -e
systemd-run --quiet --collect --unit={unit} {where} socat -u TCP-LISTEN:{port},reuseaddr,fork \\
    SYSTEM:'echo $SOCAT_PEERADDR >>/root/{unit}'
for i in $(seq 50); do {where} ss -ltn | grep -q :{port} && exit; sleep 0.1; done
exit 1
"""
# The bridge plugin alone, as containerd calls it: what the whole list holds for it, with the head of the list.
ADD = """\
set -e
ip netns add pod
export CNI_COMMAND=ADD CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin
list=/etc/cni/net.d/10-sealer-bridge.conflist
{ echo '{"cniVersion": "0.4.0", "name": "sealer-bridge",'; sed -n '/"type": "bridge"/,/^    }/p' $list; } |
    sed '$s/,$//' | /opt/cni/bin/bridge
"""


class TestPodNetwork:
    @pytest.fixture
    def joined(self, prepared: list[Host]) -> Iterator[list[Host]]:
        """Both hosts with a pod's network namespace, whose address the CNI plugins gave it."""
        for number, (host, other) in enumerate([prepared, prepared[::-1]], 1):
            script(host, "init.sh")
            network(host, number, [(3 - number, other)])
            assert f'"100.64.{number}.2/24"' in on_host(host, ADD)
        yield prepared
        for host in prepared:
            on_host(
                host, "systemctl stop seen-by-pod seen-by-host 2>/dev/null; ip netns del pod; rm -f /root/seen-by-*"
            )

    def test_pods_reach_each_other_as_themselves_and_all_else_as_their_host(self, joined: list[Host]) -> None:
        first, second = joined
        ask = "ip netns exec pod timeout 5 bash -c 'exec 3<>/dev/tcp/{}/{}; echo x >&3'"
        seen = "for i in $(seq 50); do [ -s /root/{0} ] && break; sleep 0.1; done; cat /root/{0}"
        on_host(second, SERVE.format(unit="seen-by-pod", port=81, where="ip netns exec pod"))
        on_host(first, ask.format("100.64.2.2", 81))
        assert on_host(second, seen.format("seen-by-pod")) == "100.64.1.2"
        on_host(second, SERVE.format(unit="seen-by-host", port=82, where=""))
        on_host(first, ask.format(second.address, 82))
        assert on_host(second, seen.format("seen-by-host")) == first.address

    def test_routes_follow_the_members(self, joined: list[Host]) -> None:
        first, second = joined
        routes = "ip -o route show proto 155"
        assert on_host(first, routes).split()[:3] == ["100.64.2.0/24", "via", second.address]
        network(first, 1, [(7, second)])
        assert on_host(first, routes).split()[:3] == ["100.64.7.0/24", "via", second.address]
        network(first, 1, [])
        assert on_host(first, routes) == ""
        assert "100.64.7" not in on_host(first, "iptables-save")
        with pytest.raises(CommandError) as caught:
            script(first, "network.sh", PodCIDR="100.64.1.0/24", PodRoutes="100.64.2.0/24 by accident")
        assert "is not of the form 'CIDR via ADDRESS'" in "\n".join(caught.value.output)

    def test_two_families(self, joined: list[Host]) -> None:
        first, _ = joined
        script(
            first,
            "network.sh",
            PodCIDR="100.64.1.0/24,fd64:0:0:1::/64",
            PodRoutes=f"100.64.2.0/24 via {joined[1].address}",
        )
        assert on_host(first, "cat /proc/sys/net/ipv6/conf/all/forwarding") == "1"
        assert '[[{"subnet": "100.64.1.0/24"}], [{"subnet": "fd64:0:0:1::/64"}]]' in on_host(
            first, "cat /etc/cni/net.d/10-sealer-bridge.conflist"
        )
        assert "-s fd64:0:0:1::/64 -j MASQUERADE" in on_host(first, "ip6tables-save")


def test_after_a_reboot_all_is_there_again(prepared: list[Host], machines: Machines) -> None:
    first, second = prepared
    script(first, "init.sh")
    network(first, 1, [(2, second)])
    rules = on_host(first, "iptables-save | grep -v '^#' | sed 's/ .[0-9:]*.$//'")
    name = machines.list()[0].name
    machines.kill(name)
    machines.boot(name)
    on_host(first, "systemctl is-system-running --wait || true")
    assert on_host(first, "systemctl is-active containerd sealer-pod-network").split() == ["active", "active"]
    assert on_host(first, "ip -o route show proto 155").split()[:3] == ["100.64.2.0/24", "via", second.address]
    assert on_host(first, "iptables-save | grep -v '^#' | sed 's/ .[0-9:]*.$//'") == rules
    assert on_host(first, "cat /proc/sys/net/ipv4/ip_forward") == "1"


WITHOUT_ADDRESS = """\
set -e
address=$(ip -4 -o address show dev eth0 | sed "s/.*inet \\([^ ]*\\).*/\\1/")
ip address delete $address dev eth0
systemctl restart --no-block sealer-pod-network
sleep 2
systemctl is-active sealer-pod-network >/root/meanwhile || true
ip address add $address dev eth0
"""


def test_a_host_that_cannot_tell_whether_its_network_is_up_waits_for_nothing(prepared: list[Host]) -> None:
    host = prepared[0]
    with never_online(partial(on_host, host)):
        script(host, "init.sh")
        network(host, 1, [(2, prepared[1])])
        on_host(host, "timeout 20 systemctl start kubelet")


def test_routes_wait_at_boot_for_the_address_of_their_host(prepared: list[Host]) -> None:
    first, second = prepared
    script(first, "init.sh")
    network(first, 1, [(2, second)])
    on_host(first, f"systemd-run --quiet --wait --collect sh -c '{WITHOUT_ADDRESS}'")
    assert on_host(first, "cat /root/meanwhile; rm /root/meanwhile") == "activating"
    on_host(first, "timeout 20 sh -c 'until systemctl is-active sealer-pod-network; do sleep 0.2; done'")
    assert on_host(first, "ip -o route show proto 155").split()[:3] == ["100.64.2.0/24", "via", second.address]


CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd")
INIT = """\
set -e
cd /var/lib/sealer/data/try
cat >/root/kubeadm.yml <<END
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ADDRESS}
nodeRegistration: {criSocket: /run/containerd/containerd.sock, taints: []}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
networking: {podSubnet: 100.64.0.0/16, serviceSubnet: 10.96.0.0/22}
---
END
sed "s/^failSwapOn/cgroupDriver: $(cat facts/cgroup-driver)\\n&/" rootfs/etc/kubeadm.yml >>/root/kubeadm.yml
kubeadm init --config /root/kubeadm.yml --skip-phases=preflight,addon/coredns 2>&1 | tail -n 20
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl wait --for=condition=Ready node --all --timeout=120s
for i in $(seq 100); do kubectl get serviceaccount default >/dev/null 2>&1 && break; sleep 0.2; done
kubectl run web --image=docker.io/library/busybox:1.35 --restart=Never --command -- sleep 1000
kubectl wait --for=condition=Ready pod/web --timeout=120s
kubectl get pod web -o 'jsonpath={.status.podIP}'
"""


def long(host: Host, command: str) -> str:
    """Run what takes minutes."""
    ssh = ["ssh", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    login = ["-i", host.ssh.private_key, f"root@{host.address}", "bash -s"]
    done = subprocess.run([*ssh, *login], input=command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kubeadm_makes_a_cluster_of_it_and_clean_leaves_nothing(prepared: list[Host], payload: Path) -> None:
    host = prepared[0]
    send(host, payload / "images", "/root/images", *(f"{name}.tar" for name in CONTROL_PLANE))
    before = state_of(host)
    script(host, "init.sh")
    long(host, "for image in /root/images/*.tar; do ctr -n k8s.io images import $image; done")
    network(host, 1, [])
    printed = long(host, INIT.replace("ADDRESS", host.address))
    assert printed.splitlines()[-1].startswith("100.64.1."), printed
    log = long(host, f"{ROOTFS}/scripts/clean.sh")
    on_host(host, "rm -rf /root/kubeadm.yml /root/.kube")
    left = differences(before, state_of(host))
    assert not left, "\n".join([*left, log])
