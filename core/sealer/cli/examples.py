"""Examples of each command's help page: lines that can be typed as they stand. A test parses them all."""

from __future__ import annotations

from collections.abc import Mapping

import click

# By the command's module in sealer.cli.commands; those of a nested command by its full name.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "build": (
        "sealer build -t registry.example.com/team/etcd:3.4 .",
        "sealer build -t etcd:3.4 -f Kubefile.arm64 --platform linux/arm64 .",
        "sealer build -t app:1 --image-archive images.tar --pull=never .",
    ),
    "discover": ("sealer discover .", "sealer discover --strict --values web=values-prod.yaml charts"),
    "images": ("sealer images", "sealer images etcd --format '{{.Name}}:{{.Tag}} {{.Digest}}'"),
    "inspect": ("sealer inspect etcd:3.4", "sealer inspect etcd:3.4 --format '{{.Digest}}'"),
    "history": ("sealer history etcd:3.4", "sealer history etcd:3.4 --no-trunc"),
    "tag": ("sealer tag etcd:3.4 registry.example.com/team/etcd:3.4",),
    "rmi": ("sealer rmi etcd:3.4", "sealer rmi --prune"),
    "prune": ("sealer prune",),
    "save": ("sealer save -o etcd.tar etcd:3.4", "sealer save etcd:3.4 | ssh site 'sealer load'"),
    "load": ("sealer load -i etcd.tar",),
    "push": ("sealer push registry.example.com/team/etcd:3.4",),
    "pull": (
        "sealer pull registry.example.com/team/etcd:3.4",
        "sealer pull --platform linux/arm64 registry.example.com/team/etcd:3.4",
    ),
    "login": ("sealer login -u ann registry.example.com", "sealer login -u ann --password-stdin reg.corp < token"),
    "logout": ("sealer logout registry.example.com",),
    "run": (
        "sealer run etcd:3.4 -m 192.168.0.2 -n 192.168.0.3-192.168.0.9 --ask-passwd",
        "sealer run kubernetes:v1.30.4 -m 192.168.0.2 -n 192.168.0.3 -u admin --pk ~/.ssh/site",
        "sealer run redis:7 --name prod",
        "sealer run kubernetes:v1.30.4 --provider nspawn -m 1 -n 2 --dry-run",
    ),
    "apply": ("sealer apply", "sealer apply prod.yaml --dry-run", "sealer apply prod.yaml --yes"),
    "scale_up": ("sealer scale-up -n 192.168.0.7,192.168.0.8", "sealer join --name prod -m 192.168.0.4"),
    "delete": (
        "sealer delete prod",
        "sealer delete prod --yes --force",
        "sealer delete --name prod -n 192.168.0.7",
    ),
    "status": ("sealer status", "sealer status prod --watch", "sealer ps --format '{{.Name}} {{.Status}}'"),
    "check": ("sealer check", "sealer check prod --timeout 60"),
    "start": ("sealer start prod", "sealer start prod --hosts node-0"),
    "stop": ("sealer stop prod", "sealer stop prod --roles node --yes"),
    "timeline": ("sealer timeline", "sealer timeline --list --name prod", "sealer timeline --html run.html"),
    "exec": (
        "sealer exec 'df -h | grep /var'",
        "sealer exec --name prod --roles master -- systemctl status --no-pager etcd",
    ),
    "validate": ("sealer validate", "sealer validate prod.yaml"),
    "schema": ("sealer schema > clusterfile.json",),
    "get clusterfile": ("sealer get clusterfile", "sealer get clusterfile my-cluster > Clusterfile"),
    "plugin list": ("sealer plugin list", "sealer plugin list --format '{{.Name}} {{.Version}}'"),
    "plugin show": ("sealer plugin show kubeadm",),
    "plugin new": ("sealer plugin new motd", "sealer plugin new backup --hook pre_clean --directory plugins"),
    "config": ("sealer config", "sealer config --format '{{.Name}}={{.Value}}'"),
    "version": ("sealer version", "sealer version --short"),
    "completion": ("sealer completion bash > /etc/bash_completion.d/sealer",),
    "help": ("sealer help run", "sealer help plugin new"),
}


def epilog(lines: tuple[str, ...]) -> str:
    """Examples at the end of a help page; click must not wrap them."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def with_examples(name: str, command: click.Command) -> click.Command:
    """Give `command`, and those of a group, their examples.

    :param name: its module's, or a nested command's full name.
    """
    lines = EXAMPLES.get(name)
    if lines and not command.epilog:
        command.epilog = epilog(lines)
    if isinstance(command, click.Group):
        for nested, inner in command.commands.items():
            with_examples(f"{name} {nested}", inner)
    return command
