"""Packages of distributions that an image carries, and how scripts/packages.sh looks at a distribution."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import sealer_plugin_kubeadm
from sealer.errors import InputError
from sealer_plugin_kubeadm.base.packages import place_packages, read_packages

SCRIPTS = Path(sealer_plugin_kubeadm.__file__).parent / "tree" / "scripts"


def packages(directory: Path, *names: str) -> Path:
    """Files that begin as packages do."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"!<arch>\n" if name.endswith(".deb") else b"\xed\xab\xee\xdb") + name.encode())
    return directory


CARRIED = (
    *("iptables_1.8.9-2_amd64.deb", "iptables_1.8.9-2_arm64.deb", "conntrack_1%3a1.4.7-1+b2_amd64.deb"),
    *("debian-12/adduser_3.134_all.deb", "rhel-9/iptables-nft-1.8.10-2.el9.x86_64.rpm", "rhel-9/a-1-2.noarch.rpm"),
)


def test_packages_are_taken_by_architecture_and_distribution(tmp_path: Path) -> None:
    source = packages(tmp_path / "source", *CARRIED, ".hidden")
    for architecture in ("amd64", "arm64"):
        place_packages(read_packages(source, architecture), tmp_path / architecture)
    laid = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("a*64/**/*.*") if path.is_file()}
    both = ("debian-12/adduser_3.134_all.deb", "rhel-9/a-1-2.noarch.rpm")
    assert laid == {
        *(f"{architecture}/{name}" for architecture in ("amd64", "arm64") for name in both),
        *("amd64/iptables_1.8.9-2_amd64.deb", "amd64/conntrack_1%3a1.4.7-1+b2_amd64.deb"),
        *("amd64/rhel-9/iptables-nft-1.8.10-2.el9.x86_64.rpm", "arm64/iptables_1.8.9-2_arm64.deb"),
    }
    assert (tmp_path / "arm64" / CARRIED[1]).read_bytes() == (source / CARRIED[1]).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("README", b"", "is no package by its name"),
        ("iptables.deb", b"!<arch>\n", "is no package by its name"),
        ("a b_1_amd64.deb", b"!<arch>\n", "is no package by its name"),
        ("iptables_1_mips.deb", b"!<arch>\n", "is no package by its name"),
        ("iptables_1_amd64.deb", b"<html>", "its content is not that of a .deb"),
        ("iptables-1-1.x86_64.rpm", b"!<arch>\n", "its content is not that of a .rpm"),
        ("iptables_1_arm64.deb", b"!<arch>\n", "it has no package for amd64"),
        ("de bian/iptables_1_amd64.deb", b"!<arch>\n", "is called as no distribution is"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_packages(tmp_path, "amd64")
    assert says in f"{caught.value} {caught.value.why}"


def test_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="packages"):
        read_packages(tmp_path / "nowhere", "amd64")


RELEASES = {
    "debian": 'ID=debian\nVERSION_ID="12"\n',
    "ubuntu": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n',
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
    "suse": 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n',
    "other": "ID=arch\n",
}


class Host:
    """The scripts in a rootfs, and the root of a host that has an os-release and no program but a shell's."""

    def __init__(self, directory: Path, release: str) -> None:
        self.rootfs = directory / "data/rootfs"
        self.root = directory / "root"
        self.programs = directory / "programs"
        shutil.copytree(SCRIPTS, self.rootfs / "scripts")
        (self.root / "etc").mkdir(parents=True)
        (self.root / "etc/os-release").write_text(RELEASES[release])
        self.programs.mkdir()
        for name in ("sh", "cat", "dirname", "basename", "cut", "tr", "sed", "grep", "ls", "mkdir", "mv"):
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def run(self, argument: str) -> subprocess.CompletedProcess[str]:
        """A function of packages.sh."""
        return subprocess.run(
            ["sh", self.rootfs / "scripts/packages.sh", argument],
            env={"PATH": str(self.programs), "SEALER_ROOT": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.parametrize(
    ("release", "says"),
    [
        ("debian", "apt-get install iptables iproute2 mount util-linux, or let the image bring packages of debian-12"),
        ("ubuntu", "apt-get install iptables iproute2 mount util-linux, or let the image bring packages of ubuntu-24"),
        ("rocky", "dnf install iptables iproute util-linux util-linux, or let the image bring packages of rocky-9.4"),
        ("suse", "zypper install iptables iproute2 util-linux util-linux, or let the image bring packages of opensuse"),
        ("other", "install iptables iproute2 mount util-linux, or let the image bring packages of arch"),
    ],
)
def test_a_refusal_says_how_to_get_the_programs(tmp_path: Path, release: str, says: str) -> None:
    done = Host(tmp_path, release).run("check")
    assert done.returncode == 1
    assert done.stderr.startswith(f"this host lacks iptables ip mount nsenter: {says}")
    assert done.stderr.endswith("(sealer kubernetes base --packages DIR)\n")


@pytest.mark.parametrize(
    ("release", "carried", "taken"),
    [
        ("debian", "a_1_amd64.deb debian-12/b_1_amd64.deb", "debian-12/b_1_amd64.deb"),
        ("debian", "a_1_amd64.deb debian-11/b_1_amd64.deb debian-12/b-1.x86_64.rpm", "./a_1_amd64.deb"),
        ("ubuntu", "debian/a_1_amd64.deb ubuntu-24/b_1_amd64.deb", "ubuntu-24/b_1_amd64.deb"),
        ("rocky", "rhel-8/a-1.x86_64.rpm rhel-9/b-1.x86_64.rpm c_1_amd64.deb", "rhel-9/b-1.x86_64.rpm"),
        ("rocky", "c_1_amd64.deb", ""),
        ("other", "c_1_amd64.deb d-1.x86_64.rpm", "./d-1.x86_64.rpm"),
    ],
)
def test_the_packages_of_the_hosts_own_distribution_are_taken(
    tmp_path: Path, release: str, carried: str, taken: str
) -> None:
    host = Host(tmp_path, release)
    packages(host.rootfs / "packages", *carried.split())
    assert host.run("carried").stdout.strip() == (f"{host.rootfs}/packages/{taken}" if taken else "")
