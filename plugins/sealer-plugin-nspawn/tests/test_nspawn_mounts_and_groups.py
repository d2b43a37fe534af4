from __future__ import annotations

from pathlib import Path

from sealer_plugin_nspawn.base import base_directory, source_lines
from sealer_plugin_nspawn.boot import unwanted_mounts
from sealer_plugin_nspawn.cgroups import hierarchies

LEGACY = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:35 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 31 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
35 31 0:29 /docker /mnt/again rw - cgroup cgroup rw,cpu,cpuacct
42 27 254:0 /run/netns /run/netns rw shared:1 - ext4 /dev/vda rw
43 42 0:4 net:[402] /run/netns/lab rw - nsfs nsfs rw
44 27 8:1 / /var rw - ext4 /dev/sdb rw
45 44 8:2 / /var/lib/sealer\\040nspawn rw - ext4 /dev/sdc rw
46 44 8:3 / /var/lib/docker rw - ext4 /dev/sdd rw
47 27 8:4 / /usr rw - ext4 /dev/sde rw
"""


def test_hierarchies_of_v1_beside_v2() -> None:
    found = hierarchies(LEGACY)
    assert [(str(one.root), one.version) for one in found] == [
        ("/sys/fs/cgroup/cpu,cpuacct", 1),
        ("/sys/fs/cgroup/systemd", 1),
        ("/sys/fs/cgroup/unified", 2),
    ]
    assert found[0].controllers >= {"cpu", "cpuacct"}


def test_mounts_that_booting_hosts_would_hold_on_to() -> None:
    needed = (Path("/var/lib/sealer nspawn/0/1"), Path("/var/cache/sealer-nspawn/base"))
    assert unwanted_mounts(*needed, mountinfo=LEGACY) == [
        "/var/lib/docker",
        "/run/netns/lab",
        "/run/netns",
        "/mnt/again",
    ]


def test_the_machine_s_own_sources_are_used() -> None:
    listed = "\n".join(
        [
            "http://mirror/debian/\tbookworm\tmain\t$(SIGNED_BY)",
            "http://mirror/debian/\tbookworm\tmain\t$(SIGNED_BY)",
            "http://mirror/debian/\tbookworm\tcontrib\t$(SIGNED_BY)",
            "http://mirror/security/\tbookworm-security\tmain\t",
            "http://mirror/debian/\ttrixie\tmain\t",
            "http://docker/debian/\tbookworm\tstable\t/nonexistent/docker.gpg",
        ]
    )
    lines = [line.split()[-3:] for line in source_lines("bookworm", listed)]
    assert lines == [
        ["http://mirror/debian/", "bookworm", "main"],
        ["http://mirror/security/", "bookworm-security", "main"],
    ]
    assert source_lines("sid", listed) == []
    assert source_lines("bookworm", "http://mirror/security/\tbookworm-security\tmain\t") == []


def test_a_base_tree_s_name_says_what_is_in_it() -> None:
    cache = Path("/cache")
    assert base_directory(cache, "bookworm") == base_directory(cache, "bookworm")
    assert base_directory(cache, "bookworm") != base_directory(cache, "trixie")
