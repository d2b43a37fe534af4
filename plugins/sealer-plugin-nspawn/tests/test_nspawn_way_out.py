"""Whether hosts reach beyond the machine: shown on a machine of its own, a network namespace that forwards packets."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.testing import on_host

pytestmark = pytest.mark.lab

# Runs as a process with a network of its own; beyond it lies 198.19.100.2, which knows no way to the hosts.
MACHINE = """
import subprocess, sys
from pathlib import Path
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.testing import on_host

def ip(*words):
    subprocess.run(["ip", *words], check=True)

outside = subprocess.Popen(
    ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; read end"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
assert outside.stdout.readline() == "ready\\n"
ip("link", "set", "lo", "up")
ip("link", "add", "uplink", "type", "veth", "peer", "name", "uplink", "netns", str(outside.pid))
ip("address", "add", "198.19.100.1/24", "dev", "uplink")
ip("link", "set", "uplink", "up")
inside = ["nsenter", f"--net=/proc/{outside.pid}/ns/net"]
subprocess.run([*inside, "ip", "address", "add", "198.19.100.2/24", "dev", "uplink"], check=True)
subprocess.run([*inside, "ip", "link", "set", "uplink", "up"], check=True)
if sys.argv[3] == "forwards":
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

machines = Machines("exits", owner="here", options=Options(state=Path(sys.argv[1]), nat=sys.argv[2] == "nat"))
try:
    (state,) = machines.up(wanted(1))
    print(on_host(state.host, "ping -c 1 -W 2 198.19.100.2 >/dev/null && echo reached || echo kept in"))
finally:
    machines.down()
    outside.communicate("end")
    rules = subprocess.run(["ip", "rule"], capture_output=True, text=True, check=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    assert "snb" not in rules + tables, rules + tables
"""


def on_machine(options: Options, nat: str, forwards: str = "forwards") -> subprocess.CompletedProcess[str]:
    command = ["unshare", "--net", sys.executable, "-c", MACHINE, str(options.state), nat, forwards]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_nothing_leads_out_by_default(options: Options) -> None:
    done = on_machine(options, "")
    assert (done.stdout, done.returncode) == ("kept in\n", 0), done.stderr


def test_a_way_out_where_it_is_wanted(options: Options) -> None:
    done = on_machine(options, "nat")
    assert (done.stdout, done.returncode) == ("reached\n", 0), done.stderr


def test_a_machine_that_does_not_forward_cannot_give_a_way_out(options: Options) -> None:
    done = on_machine(options, "nat", "")
    assert done.returncode == 1
    assert "does not forward packets" in done.stderr


def test_hosts_in_another_network_of_the_machine_are_let_be(options: Options) -> None:
    outer = Machines("exits", owner="here", options=options)
    (state,) = outer.up(wanted(1))
    before = on_host(state.host, "cat /proc/sys/kernel/random/boot_id")
    inner = replace(options, state=options.state.parent / "inner")
    assert on_machine(inner, "").returncode == 0
    assert on_host(state.host, "cat /proc/sys/kernel/random/boot_id") == before
