"""The table of the CIS benchmark in the page about the security of Kubernetes, as tests read it.

A row that is met has claims, each in backquotes of its own:

- `kube-apiserver --profiling=false`: a flag of a component; `... without --x`: it does not have that one;
- `kubelet tlsMinVersion=VersionTLS12`: a field of its configuration, a list with commas between; `... without x`;
- `600 /path`: who may read a file or directory; `root /path`: whose it is, and whose group's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "kubernetes-security.md"
COMPONENTS = {
    "kube-apiserver": "apiServer",
    "kube-controller-manager": "controllerManager",
    "kube-scheduler": "scheduler",
    "etcd": "etcd.local",
}
CONFIGURED = {"kubelet": "KubeletConfiguration", "kube-proxy": "KubeProxyConfiguration"}
_ROW = re.compile(r"^\| ([0-9.]+) \| (.*?) \| (yes|no) \| (sealer|kubeadm|) ?\| (.*) \|$", re.M)
_CLAIM = re.compile(r"(\S+) (without )?(--)?([^=]+?)(?:=(.*))?")


@dataclass(frozen=True)
class Claim:
    """What a row says of a cluster.

    :param of: a component, the mode of a file, or `root`.
    :param name: of a flag, path of a field with dots between, or path of a file.
    :param value: None: it has none.
    """

    of: str
    name: str
    value: str | None
    flag: bool = False
    without: bool = False


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    item: str
    met: bool
    by: str
    where: str

    @property
    def claims(self) -> list[Claim]:
        """What can be looked at."""
        found = []
        for text in re.findall(r"`([^`]+)`", self.where):
            match = _CLAIM.fullmatch(text)
            assert match, f"{self.item}: {text!r} is no claim"
            of, without, dashes, name, value = match.groups()
            found.append(Claim(of, name, value, bool(dashes), bool(without)))
        return found


def rows() -> list[Row]:
    """All rows."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| [0-9]+\.[0-9]", line)]
    found = [Row(it[0], it[2] == "yes", it[3], it[4]) for it in _ROW.findall(text)]
    assert len(found) == len(lines), "a row of the table is not as tests read it"
    return found
