"""What scripts on hosts find, what locks out a second operator, and what stays for the next run, on real hosts."""

from __future__ import annotations

import json

import pytest
from lab_site import Site

pytestmark = pytest.mark.lab

# What DECISIONS call reserved: every script of an image finds these in its environment.
RESERVED = (
    *("ClusterName", "HostIP", "HostName", "HostRole", "MasterIPs", "NodeIPs", "PreviousMasterIPs"),
    *("PreviousNodeIPs", "SealerOperation", "RegistryDomain", "RegistryPort", "RegistryURL"),
)


def news(site: Site) -> list[list[str]]:
    """What the image's scripts did on each host since the last look."""
    found = [lines for _, lines in sorted(site.marks().items(), key=lambda item: order(site, item[0]))]
    for number in range(len(site.hosts)):
        site.on(number, "rm -f /root/marks")
    return found


def order(site: Site, address: str) -> int:
    return [host.address for host in site.hosts].index(address)


def environment_of_scripts() -> dict[str, object]:
    """A plugin that keeps what it finds exported."""
    spec = {"type": "SHELL", "action": "PreInit|PreJoin|PreClean", "data": "env > /root/environment"}
    return {"apiVersion": "sealer.io/v2", "kind": "Plugin", "metadata": {"name": "environment"}, "spec": spec}


def test_scripts_find_their_cluster_in_the_environment(site: Site) -> None:
    first, second, third = (host.address for host in site.hosts)
    site.write(environment_of_scripts(), hosts=site.hosts[:2], env={"docker-dir": "/data", "Answer": "yes"})
    site.apply()

    def exported(number: int) -> dict[str, str]:
        pairs = (line.partition("=") for line in site.on(number, "cat /root/environment").splitlines())
        return {name: value for name, _, value in pairs}

    names = [site.on(number, "hostname") for number in range(3)]
    seen = exported(1)
    assert set(RESERVED) <= seen.keys()
    assert {name: seen[name] for name in RESERVED[:9]} == {
        "ClusterName": site.name,
        "HostIP": second,
        "HostName": names[1],
        "HostRole": "node",
        "MasterIPs": first,
        "NodeIPs": second,
        "PreviousMasterIPs": "",
        "PreviousNodeIPs": "",
        "SealerOperation": "create",
    }
    assert (seen["docker_dir"], seen["Answer"]) == ("/data", "yes")
    site.write(environment_of_scripts(), env={"docker-dir": "/data", "Answer": "yes"})
    site.apply()
    seen = exported(2)
    assert (seen["HostIP"], seen["NodeIPs"], seen["PreviousNodeIPs"]) == (third, f"{second} {third}", second)
    for number in range(3):
        site.on(number, "rm -f /root/environment")


def test_a_label_chooses_hosts(site: Site) -> None:
    """Whom it means is asked when the step starts, from the runtime."""
    label = "node-role.kubernetes.io/node="
    spec = {"type": "SHELL", "action": "PostInstall|PreClean", "on": label, "data": "echo labelled >> /root/marks"}
    site.write({"apiVersion": "sealer.io/v2", "kind": "Plugin", "metadata": {"name": "labelled"}, "spec": spec})
    site.apply()
    assert ["labelled" in marks for marks in news(site)] == [False, True, True]
    site.delete()
    assert ["labelled" in marks for marks in news(site)] == [False, True, True]


def test_the_lock_of_a_sealer_elsewhere_holds_until_it_goes_stale(site: Site) -> None:
    """Another operator's machine died in the middle of its run; its lock lies on the host, with a sign of life."""
    site.write()
    site.apply()
    news(site)
    lock = f"/var/lib/sealer/data/{site.name}/lock"
    holder = json.dumps(
        {"pid": 4711, "user": "ada", "machine": "elsewhere", "since": "today", "command": "sealer apply"}
    )
    site.on(1, f"printf '%s\\n%s\\n' 0123456789abcdef01234567 '{holder}' > {lock}")
    site.write(hosts=site.hosts[:2])
    refused = site.apply(status=3)
    assert "`sealer apply` of ada on elsewhere, process 4711" in refused
    assert site.hosts[1].address in refused
    assert not any(news(site))
    site.on(1, f"touch -d '-121 seconds' {lock}")
    site.apply()
    assert news(site)[2] == ["pre-clean", "post-clean", "clean"]
    assert site.on(1, f"ls {lock} 2>/dev/null || true") == ""


def test_layers_are_kept_for_the_next_run_and_not_sent_twice(site: Site) -> None:
    site.write()
    site.apply()
    list_layers = "cd /var/lib/sealer/layers/sha256 && stat -c '%n %i %Z' *"
    before = site.on(1, list_layers)
    assert before
    site.delete("--keep-layers")
    assert site.on(1, "ls /var/lib/sealer") == "layers"
    site.apply()
    assert site.on(1, list_layers) == before
    site.delete()
    assert site.on(1, "ls /var/lib/sealer 2>/dev/null || true") == ""
