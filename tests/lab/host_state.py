"""All of a host that an installation could leave something in, to compare before and after."""

from __future__ import annotations

from sealer.hosts import Host
from sealer_plugin_nspawn.testing import on_host

# Logs and caches, what time itself changes, and sealer's own directory, which :func:`left_on` looks for.
_PASSED_OVER = (
    *("/var/log/journal", "/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp"),
    *("/var/lib/systemd", "/var/lib/private", "/var/lib/sealer", "/var/cache/ldconfig", "/var/backups"),
)
_FILES = r"""
find /etc /usr /opt /var /root /home /srv /tmp %s -printf '%%p %%y %%m %%U %%l\n' | sort
find /etc /root/.ssh -xdev -type f -exec sha256sum {} + | sort -k2
find /run -mindepth 1 -maxdepth 1 -printf '%%p\n' | sort
ls -A /var/lib/containerd /run/netns 2>/dev/null
"""
# Tables of nftables stay when they are empty; without rules they do nothing.
_RULES = r"""
for save in iptables-save ip6tables-save; do
    $save | sed 's/ \[[0-9:]*\]$//' | grep -v '^#\|^\*\|^COMMIT\|^:[A-Z]* ACCEPT$'
done
"""
_SYSCTLS = "grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge"
_PROBES = {
    "files": _FILES % " ".join(f"-path {path} -prune -o" for path in _PASSED_OVER),
    "processes": "for p in /proc/[0-9]*; do readlink $p/exe; done 2>/dev/null |"
    " grep -v '/\\(sshd\\|bash\\|dash\\|readlink\\|grep\\|sort\\)$' | sort -u",
    "mounts": "awk '{print $1, $2, $3}' /proc/self/mounts | grep -v ' /run/user/\\|/run/credentials' | sort",
    # The number behind the @ is that of the other end, on this machine.
    "interfaces": "ip -o link | sed 's/ qlen.*//; s/^[0-9]*: //; s/@if[0-9]*:/:/' | sort;"
    " ip -o address | awk '{print $2, $4}' | sort",
    "routes": "ip route; ip -6 route | grep -v ' metric 256\\|expires'; ip rule",
    "rules": _RULES,
    "settings": _SYSCTLS,
    "units": "systemctl list-unit-files --no-legend --no-pager; systemctl list-units --failed --no-legend --no-pager",
    "groups": "find /sys/fs/cgroup -type d \\( -name 'kubepods*' -o -name k8s.io -o -name 'containerd*' \\)",
}
# What systemd and the kernel make anew, by other names, whenever a host boots.
_OF_A_BOOT = ("/systemd-private-", "fusectl")


def state_of(host: Host) -> dict[str, list[str]]:
    """The lines of each probe."""
    script = "".join(f"echo '=== {name}'\n{probe}\n" for name, probe in _PROBES.items())
    found: dict[str, list[str]] = {}
    for line in on_host(host, f"{script}true").splitlines():
        if line.startswith("=== "):
            lines = found.setdefault(line[4:], [])
        else:
            lines.append(line)
    assert set(found) == set(_PROBES)
    return found


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """What came and went, a line each."""
    found = []
    for name, lines in before.items():
        found += [f"{name}: - {line}" for line in lines if line not in set(after[name])]
        found += [f"{name}: + {line}" for line in after[name] if line not in set(lines)]
    return found


def left_on(host: Host, before: dict[str, list[str]], *, booted: bool = False) -> str:
    """What a cluster left on a host that has left it, or took from it, a line each; empty: it is as it was found.

    :param booted: whether the host was booted since `before`.
    """
    found = differences(before, state_of(host))
    if booted:
        found = [line for line in found if not any(word in line for word in _OF_A_BOOT)]
    return "\n".join(
        [*found, *on_host(host, "ls -dA /var/lib/sealer /var/lib/sealer/* 2>/dev/null || true").splitlines()]
    )
