"""The options that say which hosts, and how to log in to them; several commands share them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, TypeVar, cast

import click

from sealer.cli.app import App
from sealer.cli.completions import Completion, cluster_names, host_names, hosts_of, provider_names
from sealer.cli.passwords import expanded, from_environment, password
from sealer.cli.typed import as_text, filled, named
from sealer.errors import InputError
from sealer.events import Json
from sealer.hosts import Ssh
from sealer.redaction import Secret

C = TypeVar("C", bound=Callable[..., Any])
A_FILE = click.Path()  # shells complete its name; whoever reads it says what is wrong with it

DEFAULT_FILE = "Clusterfile"


class RunOptions(TypedDict):
    """What :func:`run_options` say."""

    dry_run: bool
    parallel: int | None
    resume: Literal["continue", "abandon"] | None
    settle: tuple[str, ...]


class Login(TypedDict):
    """What :func:`login_options` pass to a command."""

    user: str | None
    passwd: str | None
    passwd_file: str | None
    ask_passwd: bool
    port: int | None
    pk: str | None
    pk_passwd: str | None
    ssh_config: str | None


def host_options(function: C) -> C:
    """`--masters` and `--nodes`, each given once or several times."""
    return _apply(
        function,
        _hosts("-m", "--masters", help="Masters: a,b:2222,c-d; or how many."),
        _hosts("-n", "--nodes", help="Nodes: a,b:2222,c-d; or how many."),
    )


def leaving_options(function: C) -> C:
    """The same, of hosts that a cluster has."""
    return _apply(
        function,
        _hosts("-m", "--masters", help="Masters to remove: a,b,c-d.", complete=hosts_of(masters=True)),
        _hosts("-n", "--nodes", help="Nodes to remove: a,b,c-d.", complete=hosts_of(masters=False)),
    )


def _hosts(*names: str, help: str, complete: Completion | None = None) -> Callable[[C], C]:
    return click.option(*names, multiple=True, metavar="HOSTS", help=help, callback=filled, shell_complete=complete)


def picking_options(function: C) -> C:
    """Some of a cluster's hosts, by role and by name."""
    return _apply(
        function,
        click.option(
            *("-r", "--roles"),
            multiple=True,
            metavar="ROLES",
            callback=filled,
            help="Only hosts with one of these roles: master,node.",
        ),
        click.option(
            "--hosts",
            multiple=True,
            metavar="HOSTS",
            callback=filled,
            shell_complete=host_names,
            help="Only these: a,b,c-d.",
        ),
    )


def login_options(function: C) -> C:
    """How to log in to hosts that do not know the cluster's own key."""
    return _apply(
        function,
        click.option("-u", "--user", callback=as_text, help="Login name; default root."),
        click.option(
            "-p", "--passwd", callback=as_text, help="SSH password; also what sudo asks for. Or set SEALER_PASSWD."
        ),
        click.option("--passwd-file", type=A_FILE, metavar="FILE", help="File with the password; - is stdin."),
        click.option("--ask-passwd", is_flag=True, help="Ask for the password."),
        click.option("--port", type=click.IntRange(1, 65535), help="SSH port; default 22."),
        click.option("--pk", type=A_FILE, metavar="FILE", help="Private key."),
        click.option("--pk-passwd", callback=as_text, help="Passphrase of that key. Or set SEALER_PK_PASSWD."),
        click.option(
            "--ssh-config",
            type=A_FILE,
            metavar="FILE",
            help="ssh's configuration; none: ignore it. Default: as for ssh.",
        ),
    )


def name_option(function: C) -> C:
    """Which cluster, by its name."""
    return _apply(
        function,
        click.option(
            *("-c", "--name", "--cluster-name", "--cluster", "name"),
            default="",
            callback=filled,
            help="Name of the cluster.",
            shell_complete=cluster_names,
        ),
    )


def name_argument(function: C) -> C:
    """The same as a word of its own, as Docker and kubectl take it; :func:`one_name` holds it against the option."""
    return click.argument("cluster", default="", metavar="[NAME]", callback=filled, shell_complete=cluster_names)(
        function
    )


def one_name(argument: str, option: str) -> str:
    """The cluster that is named, by the word or by `--name`; empty: by neither.

    :raises click.UsageError: they differ.
    """
    return _one("--name", argument, option)


def one_file(argument: str, option: str) -> str:
    """The Clusterfile that is named, by the word or by `-f`; where neither is, the one of this directory.

    :raises click.UsageError: they differ, or this directory has none.
    """
    found = _one("-f", argument, option)
    if not found and not os.path.lexists(DEFAULT_FILE):
        raise click.UsageError(f"there is no {DEFAULT_FILE} in this directory; name a file: FILE or -f FILE")
    return found or DEFAULT_FILE


def _one(flag: str, argument: str, option: str) -> str:
    if argument and option and argument != option:
        raise click.UsageError(f"'{argument}' and {flag} {option} are given; give one of them")
    return argument or option


def file_option(help: str = "Clusterfile.") -> Callable[[C], C]:
    """Which Clusterfile; empty: none is named.

    :param help: its line on the help page.
    """
    names = ("-f", "--Clusterfile", "--clusterfile", "clusterfile")
    return click.option(*names, type=A_FILE, default="", metavar="FILE", help=help, callback=named)


def file_argument(function: C) -> C:
    """The same as a word of its own; :func:`one_file` holds it against the option."""
    return click.argument("file", default="", type=A_FILE, metavar="[FILE]", callback=named)(function)


def driver_options(provider: str) -> Callable[[C], C]:
    """Which provider and transport, and fields of theirs and of the runtime's own.

    :param provider: what the help says of `--provider`.
    """

    def decorate(function: C) -> C:
        return _apply(
            function,
            click.option("--provider", default="", callback=filled, help=provider, shell_complete=provider_names),
            provider_option,
            click.option(
                *("--transport", "transport"),
                default="",
                callback=filled,
                help="Transport: ssh, or local for this machine.",
            ),
            _fields("transport", "e.g. connectTimeout=30"),
            _fields("runtime", "e.g. certificateValidity=10y"),
        )

    return decorate


def provider_option(function: C) -> C:
    """Fields of the provider's own."""
    return _fields("provider", "e.g. release=trixie")(function)


def _fields(kind: str, example: str) -> Callable[[C], C]:
    return click.option(
        *(f"--{kind}-option", f"{kind}_options"),
        multiple=True,
        callback=as_text,
        metavar="KEY=VALUE",
        help=f"A field of spec.{kind}, {example}; may be repeated.",
    )


def driver_flags(app: App, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of :func:`driver_options`, by the names that :class:`~sealer.cluster.desired.Flags` has for them.

    :raises InputError: a field is no `KEY=VALUE`.
    """
    given = {f"{kind}_options": _resolved(app, kind, values) for kind in ("provider", "transport", "runtime")}
    return {"provider": values["provider"], "transport": values["transport"], **given}


def provider_fields(app: App, values: Mapping[str, Any]) -> dict[str, Json]:
    """The values of :func:`provider_option`.

    :raises InputError: one is no `KEY=VALUE`.
    """
    from sealer.cluster.desired import options_of  # noqa: PLC0415  # `--help` does without

    return options_of("provider", _resolved(app, "provider", values))


def _resolved(app: App, kind: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    from sealer.clusterfile.secret_references import option_resolved  # noqa: PLC0415  # as above

    given = values[f"{kind}_options"]
    return tuple(option_resolved(text, f"--{kind}-option", app.resolve_secret) for text in given)


def run_options(function: C) -> C:
    """How an operation on a cluster is carried out."""
    return _apply(
        function,
        click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
        click.option("--parallel", type=click.IntRange(1), metavar="N", help="Hosts in parallel; default 32."),
        click.option("--continue", "finish", is_flag=True, help="Finish the interrupted operation as it was started."),
        click.option(
            "--abandon", is_flag=True, help="Continue the interrupted operation with this command's options and files."
        ),
        click.option(
            "--settle",
            multiple=True,
            metavar="STEP@HOST=done|again",
            help="Tell whether a step that must not run twice was completed.",
        ),
    )


def split(values: Mapping[str, Any]) -> tuple[Login, RunOptions]:
    """The values of :func:`login_options` and of :func:`run_options`.

    :raises click.UsageError: two of them exclude each other.
    """
    if values["finish"] and values["abandon"]:
        raise click.UsageError("--continue and --abandon exclude each other")
    run = RunOptions(
        dry_run=values["dry_run"],
        parallel=values["parallel"],
        resume="continue" if values["finish"] else "abandon" if values["abandon"] else None,
        settle=values["settle"],
    )
    return login(values), run


def login(values: Mapping[str, Any]) -> Login:
    """The values of :func:`login_options`."""
    return cast(Login, {name: values[name] for name in Login.__annotations__})


def joined(values: tuple[str, ...]) -> str:
    """`-m a -m b` is the same as `-m a,b`."""
    return ",".join(values)


def ssh(app: App, given: Login) -> Ssh:
    """The login that the options ask for; what is not given stays empty.

    A password may be a reference that a plugin knows, as in a Clusterfile; not one that is typed or read from a file.

    :raises InputError: the password or the key cannot be had.
    """
    from sealer.clusterfile.secret_references import resolved  # noqa: PLC0415  # `--help` does without

    secret = password(given["passwd"], given["passwd_file"], given["ask_passwd"], app.events)
    if given["passwd_file"] is None and not given["ask_passwd"]:
        secret = resolved(secret, app.resolve_secret)
    return Ssh(
        user=given["user"] or "",
        password=secret,
        private_key=str(expanded(given["pk"]).absolute()) if given["pk"] else "",
        private_key_password=resolved(_passphrase(given["pk_passwd"]), app.resolve_secret),
        port=given["port"] or 0,
        config=_config(given["ssh_config"]),
    )


def settled(values: tuple[str, ...]) -> dict[tuple[str, str], bool]:
    """What `--settle` says, by step and host; True: run it again.

    :raises InputError: one is not `STEP@HOST=done` or `STEP@HOST=again`.
    """
    answers: dict[tuple[str, str], bool] = {}
    for value in values:
        where, _, answer = value.rpartition("=")
        step, _, host = where.rpartition("@")
        if answer not in ("done", "again") or not step or not host:
            raise InputError(f"--settle {value}", why="STEP@HOST=done or STEP@HOST=again is needed")
        answers[step, host] = answer == "again"
    return answers


def kubeconfig(name: str) -> str:
    """The path of a file that must be there; empty: none is given.

    :raises InputError: there is no such file.
    """
    if not name:
        return ""
    path = expanded(name).absolute()
    if not path.is_file():
        raise InputError("there is no such kubeconfig", where=name, remedy="Check --kubeconfig.")
    return str(path)


def _passphrase(typed: str | None) -> Secret | None:
    return Secret(typed) if typed else from_environment("SEALER_PK_PASSWD")


def _config(name: str | None) -> str:
    if not name or name.lower() == "none":
        return (name or "").lower()
    path = expanded(name).absolute()
    if not path.is_file():
        raise InputError(
            "there is no such file",
            where=name,
            remedy="Check --ssh-config; `--ssh-config none` ignores ssh's configuration.",
        )
    return str(path)


def _apply(function: C, *decorators: Callable[[C], C]) -> C:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
