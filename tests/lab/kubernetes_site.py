"""A site whose image is Kubernetes, as a user works with it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from lab_site import Site

from sealer.errors import CommandError
from sealer_plugin_nspawn.testing import on_host

PATIENCE = 600.0  # seconds, of one command on a machine with two processors
SANS = ["k8s.example.org", "198.51.100.7"]


def home_of_its_own(directory: Path, images: Path) -> Path:
    """A home of sealer with images that another one has: hosts of one module may have addresses of another's."""
    home = directory / "home"
    home.mkdir(mode=0o700)
    (home / "images").symlink_to(images / "images")
    return home


class Kubernetes(Site):
    """Some hosts, the first `masters` of which are masters."""

    masters: int = 3

    def spec(self, *members: int, **more: object) -> None:
        """The Clusterfile has these hosts, by number from 0."""
        spec = {
            "image": "kubernetes:base",
            "ssh": {"pk": self.hosts[0].ssh.private_key},
            "certSANS": SANS,
            "hosts": [self.described(number) for number in members],
            **more,
        }
        head = {"apiVersion": "sealer.io/v2", "kind": "Cluster", "metadata": {"name": self.name}}
        self.clusterfile.write_text(yaml.safe_dump({**head, "spec": spec}))

    def described(self, number: int) -> dict[str, object]:
        """A host, as the Clusterfile has it; what it says beside of number 3."""
        host: dict[str, object] = {
            "ips": [self.hosts[number].address],
            "roles": ["master" if number < self.masters else "node"],
        }
        if number == 3:
            host |= {"roles": ["node", "gpu"], "labels": {"disk": "ssd"}, "taints": ["my-key=a-b:NoSchedule"]}
        return host

    def run(self, *words: str, status: int = 0) -> str:
        """`sealer apply`; without words, of the Clusterfile."""
        words = words or ("apply", "-f", str(self.clusterfile))
        sure = () if words[0] in ("scale-up", "join") else ("--yes",)  # those take nothing away, and do not ask
        config = str(self.home / "kubeconfig")  # the user's own
        return self.sealer(*words, *sure, status=status, patience=PATIENCE, KUBECONFIG=config)

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """`sealer kubectl`.

        :param stdin: what it reads.
        """
        process = self.start("kubectl", "--name", self.name, "--", *words, stdin=bool(stdin))
        output, _ = process.communicate(stdin or None, timeout=PATIENCE)
        assert process.returncode == 0, f"kubectl {' '.join(words)} ended with {process.returncode}:\n{output}"
        return output

    def items(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "--all-namespaces", "-o", "json"))["items"]
        return found

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes, by address."""
        return {
            next(it["address"] for it in item["status"]["addresses"] if it["type"] == "InternalIP"): item
            for item in self.items("nodes")
        }

    def ready(self) -> dict[str, bool]:
        """Whether each node is ready, by address."""
        return {
            address: any(it["type"] == "Ready" and it["status"] == "True" for it in item["status"]["conditions"])
            for address, item in self.nodes().items()
        }

    def addresses(self, *members: int) -> dict[str, bool]:
        """What :meth:`ready` gives when these are all there is, and all are well."""
        return {self.hosts[number].address: True for number in members}

    @property
    def credentials(self) -> Path:
        """The cluster's own keys on this machine."""
        return self.home / "clusters" / self.name / "credentials"

    def served(self, number: int) -> x509.Certificate:
        """What a master's API server shows, verified by the cluster's authority as the operator has it."""
        authority = str(self.credentials / "pki" / "ca.crt")
        text = ssl.get_server_certificate((self.hosts[number].address, 6443), ca_certs=authority, timeout=10)
        return x509.load_pem_x509_certificate(text.encode())

    def name_of(self, number: int) -> str:
        """What a host's node is called."""
        return str(self.nodes()[self.hosts[number].address]["metadata"]["name"])

    def asked(self) -> set[str]:
        """The addresses of the API servers that the cluster's kubeconfig and the user's own ask."""
        paths = [self.home / "clusters" / self.name / "credentials" / "kubeconfig", self.home / "kubeconfig"]
        servers = [yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"] for path in paths]
        return {server.removeprefix("https://").removesuffix(":6443") for server in servers}

    def run_a_pod_on(self, name: str, *members: int) -> None:
        """A new pod on each of some hosts; its image is asked for anew, whatever the host has."""
        container = {"name": "pause", "image": "k8s.gcr.io/pause:3.2", "imagePullPolicy": "Always"}
        nodes = self.nodes()
        pods = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-{number}", "labels": {"app": name}},
                "spec": {
                    "nodeName": nodes[self.hosts[number].address]["metadata"]["name"],
                    "containers": [container],
                    "tolerations": [{"operator": "Exists"}],
                    "terminationGracePeriodSeconds": 0,
                },
            }
            for number in members
        ]
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
        self.kubectl("wait", "--for=condition=Ready", "pod", "-l", f"app={name}", "--timeout=90s")

    def healthy(self, number: int) -> bool:
        """Whether a master's own API server, and with it its etcd, is well."""
        ask = f"kubectl --kubeconfig /etc/kubernetes/admin.conf --server https://{self.hosts[number].address}:6443"
        try:
            return on_host(self.hosts[number], f"{ask} --request-timeout=3s get --raw /readyz") == "ok"
        except CommandError:
            return False


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names and addresses that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(it) for it in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def years_of(certificate: x509.Certificate) -> int:
    """For how long a certificate is valid."""
    return certificate.not_valid_after_utc.year - certificate.not_valid_before_utc.year


def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(1)
