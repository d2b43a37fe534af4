"""The driver: which steps deploy, fill, announce and remove the private registry."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from sealer.errors import (
    HostError,
    ImageNotFoundError,
    InputError,
    InterruptedRunError,
    PluginError,
    RefusedError,
    RegistryError,
)
from sealer.events import Json
from sealer.extension import (
    ADDED,
    ALL,
    OPERATOR,
    REMOVED,
    Addresses,
    Effect,
    Operation,
    Registry,
    Retry,
    Step,
    StepContext,
)
from sealer.hosts import Host
from sealer.image.model import ContainerImage
from sealer.image.registry.client import Client
from sealer.image.registry.configuration import Configuration, RegistrySettings, read_configuration
from sealer.image.registry.credentials import AuthFiles, Credential
from sealer.image.registry.limits import Limits
from sealer.image.registry.registries import Registries
from sealer.image.store import Store
from sealer.redaction import Secret
from sealer_plugin_registry import names, serving, trusting
from sealer_plugin_registry.certificates import Authority, keep
from sealer_plugin_registry.external import External
from sealer_plugin_registry.filling import Filling, contents, link_script, telling
from sealer_plugin_registry.probing import what_anybody_may, what_it_takes
from sealer_plugin_registry.protection import FIELDS, LOCAL, Logins, Protection
from sealer_plugin_registry.seats import seats
from sealer_plugin_registry.trusting import Login, Server, bracketed

PUBLISH_TIMEOUT = 4 * 3600.0  # seconds: images of gigabytes over a slow line
AT_ONCE = Limits(attempts=1, connect_timeout=5, silence=10)  # of one that runs, and is only asked how it is
FILLING_PORTS = range(20000, 30000)  # below Kubernetes' node ports and those that Linux gives to connections
GENERATED = "pull-password"  # of the login that is made where the Clusterfile names none
GENERATED_USER = "sealer"
PASSWORD_BYTES = 32
_LOCAL_NAMES = ("localhost",)
_LOCAL_ADDRESSES = ("127.0.0.1", "::1")


class PrivateRegistry(Registry):
    """A stock registry under systemd: on the first master, or with `ha` on each; or one that exists already."""

    schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "publish": {
                "type": "boolean",
                "default": True,
                "description": "whether images are put into an external registry from here",
            }
        },
    }

    # -- what the kernel asks ------------------------------------------------------------------------------------

    def deploy(self, operation: Operation) -> Sequence[Step]:
        """A CA here; a certificate, a configuration and a service where the registry is to run and does not yet.

        :raises RefusedError: it would stay empty there.
        """
        found, protection = seats(operation), self._protection(operation)
        new = found.new
        stale = tuple(host for host in found.stay if not protection.serves(host.address))
        if not (new or stale):
            return []
        if new and operation.image is None:
            raise _cannot_be_filled("the cluster", operation.recorded.image if operation.recorded else "")
        local = operation.spec.registry.local
        inputs: dict[str, Json] = {
            "domain": local.domain,
            "port": local.port,
            "insecure": local.insecure,
            "user": local.username,
            "names": [*local.cert_dns_names],
            "addresses": [*local.cert_ips],
            "hosts": [host.address for host in new],
        }
        fresh = not found.before

        def prepare(context: StepContext) -> None:
            self._prepare(operation, new, fresh=fresh)

        def serve(context: StepContext) -> None:
            self._serve(context)

        def on(hosts: Sequence[Host]) -> Addresses:
            return Addresses(frozenset(host.address for host in hosts))

        steps = [Step("certificates", "Create the registry's certificates", OPERATOR, prepare, inputs)]
        if stale:
            title = "Restart the private registry with its new settings"
            common: dict[str, Json] = {key: inputs[key] for key in ("domain", "port", "insecure", "user")}
            steps.append(
                Step("secure", title, on(stale), serve, common, retry=Retry(), unreachable="skip", covers=FIELDS)
            )
        if new:
            steps.append(Step("serve", "Start the private registry", on(new), serve, inputs, retry=Retry()))
        return steps

    def publish(self, operation: Operation) -> Sequence[Step]:
        """The images of an application, or of all that the cluster has where the registry is new."""
        local = seats(operation)
        new = operation.kind in {"application", "create"}
        hosts = local.after if new else local.new
        external = self._external(operation)
        images = self._images(operation, all_of_them=not new) if hosts or external else ()
        if not images:
            return []
        names.domains(images)
        inputs: dict[str, Json] = {"images": [*sorted({image.manifest.digest for image in images})]}
        size = sum(blob.size for blob in contents(self._store, images).blobs.values())
        steps = []
        if hosts:
            steps.append(
                Step(
                    "publish",
                    f"Publish {len(images)} container images",
                    Addresses(frozenset(host.address for host in hosts)),
                    lambda context: self._publish(context, images),
                    inputs,
                    retry=Retry(),
                    timeout=PUBLISH_TIMEOUT,
                    size=size,
                )
            )
        if external and new and self.options.get("publish", True):
            steps.append(
                Step(
                    "publish-external",
                    f"Publish {len(images)} container images to {external.address}",
                    OPERATOR,
                    lambda context: self._publish_external(context, images),
                    inputs,
                    timeout=PUBLISH_TIMEOUT,
                )
            )
        return steps

    def trust(self, operation: Operation) -> Sequence[Step]:
        """Files of containerd and a line of the hosts file: on hosts that come, on all where something is new."""
        domains = self._domains(operation)
        everyone = operation.kind in ("create", "application") or seats(operation).moved
        if operation.kind == "application" and not set(domains) - set(self._domains(operation, before=True)):
            return []
        protection = self._protection(operation)
        told = {host.address for host in operation.kept if not protection.told(host.address)}
        if not everyone and not operation.added and not told:
            return []
        registry, external = operation.spec.registry, self._external(operation)
        inputs: dict[str, Json] = {
            "domains": [*domains],
            "registry": [registry.local.domain, registry.local.port, registry.local.insecure],
            "external": [*external.described()] if external else [],
            "hosts": [host.address for host in seats(operation).after],
        }

        def trust(context: StepContext) -> None:
            self._trust(context, domains)

        title = "Configure containerd to use the private registry"
        if everyone:
            return [Step("trust", title, ALL, trust, inputs, retry=Retry(), covers=FIELDS)]
        steps = [Step("trust", title, ADDED, trust, inputs, retry=Retry())] if operation.added else []
        if told:
            title = "Update containerd's login to the private registry"
            steps.append(
                Step(
                    "sign-in",
                    title,
                    Addresses(frozenset(told)),
                    trust,
                    {key: inputs[key] for key in ("domains", "registry", "external")},
                    retry=Retry(),
                    unreachable="skip",
                    covers=FIELDS,
                )
            )
        return steps

    def changed(self, operation: Operation) -> frozenset[str]:
        """The logins that differ from what the cluster's hosts have, and a registry that still takes pushes."""
        stay = [host.address for host in seats(operation).stay]
        found = self._protection(operation).differing(stay, [host.address for host in operation.kept])
        # Without its image nothing of a cluster can be set up; a check tells of a registry that takes pushes.
        return found if operation.image is not None else found - {LOCAL}

    def remove(self, operation: Operation) -> Sequence[Step]:
        """From hosts that leave; their files go with the cluster's directory."""
        cluster, paths = operation.cluster, _paths(operation)

        def remove(context: StepContext) -> None:
            context.query(serving.stop_script(cluster, paths))
            context.query(trusting.untrust_script(cluster, paths.data))

        inputs: dict[str, Json] = {"cluster": cluster}
        return [
            Step("remove", "Remove the private registry's configuration", REMOVED, remove, inputs, unreachable="skip")
        ]

    def check(self, operation: Operation) -> Sequence[Step]:
        """It answers where it runs, and hosts ask it as they were told to."""
        running = frozenset(host.address for host in seats(operation).before)
        recorded = operation.recorded.hosts if operation.recorded else ()
        members = frozenset(entry.host.address for entry in recorded if entry.member)
        domains = self._domains(operation)

        def trusted(context: StepContext) -> None:
            self._trusted(context, domains)

        answers = Step(
            "answers", "The private registry answers", Addresses(running), self._answers, effect=Effect.QUERY
        )
        asked = Step("trusted", "It pulls from the private registry", Addresses(members), trusted, effect=Effect.QUERY)
        return [*([answers] if running else []), *([asked] if members else [])]

    # -- what the steps do ---------------------------------------------------------------------------------------

    def _prepare(self, operation: Operation, hosts: Sequence[Host], *, fresh: bool) -> None:
        local = operation.spec.registry.local
        self._note_before(operation)
        generated = self._directory / GENERATED
        # Hosts of a cluster that was made without a login would be cut off by one that they are not told.
        if fresh and not local.username and not generated.exists():
            keep(generated, secrets.token_urlsafe(PASSWORD_BYTES).encode())
        login = self._login(operation, remember=True)
        if local.username and not login.password:
            raise InputError(
                "the private registry has a user and no password",
                where="spec.registry.localRegistry",
                remedy="give `password`, or take `username` out: then sealer makes a login for the cluster's hosts",
            )
        if not (self._directory / "secret").exists():
            keep(self._directory / "secret", secrets.token_hex(32).encode())
        if login.username:
            keep(self._directory / "htpasswd", serving.htpasswd(login))
        if local.insecure:
            return
        authority = Authority(self._directory)
        authority.make(f"sealer registry of {operation.cluster}")
        for host in hosts:
            certificate, key = authority.issue(
                (local.domain, *_LOCAL_NAMES, *local.cert_dns_names),
                (host.address, *_LOCAL_ADDRESSES, *local.cert_ips),
            )
            keep(self._directory / f"{host.address}.key", key)
            keep(self._directory / f"{host.address}.crt", certificate)

    def _serve(self, context: StepContext) -> None:
        operation, paths = context.operation, _paths(context.operation)
        local, login = operation.spec.registry.local, self._login(operation)
        secret = (self._directory / "secret").read_text()
        content = {
            "unit": serving.unit(operation.cluster, paths, local.port),
            "hand.sh": serving.hand_script().encode(),
            "config.yml": serving.configuration(
                operation.cluster, local.port, secret, tls=not local.insecure, login=bool(login.username)
            ),
        }
        if login.username:
            content["htpasswd"] = (self._directory / "htpasswd").read_bytes()
        if not local.insecure:
            content["tls.crt"] = (self._directory / f"{context.host.address}.crt").read_bytes()
            content["tls.key"] = (self._directory / f"{context.host.address}.key").read_bytes()
        for name, text in content.items():
            context.write(f"{paths.directory}/{name}", text)
        context.sh(serving.start_script(operation.cluster, paths, local.port))
        self._await(context)
        self._protection(operation).note_served(context.host.address)

    def _await(self, context: StepContext) -> None:
        """Until it answers: only then may hosts be told of it."""
        with self._reached(context) as (registries, client), registries.pool(), client.call("GET", "/v2/"):
            return

    def _answers(self, context: StepContext) -> None:
        try:
            with self._reached(context, AT_ONCE) as (registries, client), registries.pool():
                with client.call("GET", "/v2/"):
                    pass
                taken = what_it_takes(client)
            if self._login(context.operation).username:
                with self._reached(context, AT_ONCE, Login()) as (registries, client), registries.pool():
                    taken += what_anybody_may(client)
        except RegistryError as error:
            raise HostError(
                "The private registry does not answer as it should",
                where=context.host.id,
                why=error.why or error.what,  # the address is that of the way to the host
                remedy=f"See `systemctl status {serving.unit_name(context.operation.cluster)}` on it.",
            ) from error
        if taken:
            operation = context.operation
            service, files = serving.unit_name(operation.cluster), _paths(operation).directory
            remedy = "Run `sealer apply` with the cluster's Clusterfile."
            if self._protection(operation).serves(context.host.address):
                remedy = (
                    f"Undo the changes to {files}/config.yml and {service}, then run `systemctl restart {service}`."
                )
            raise HostError(
                f"The private registry accepts {' and '.join(taken)}, which it must refuse",
                where=context.host.id,
                why="anyone who can reach it could replace the images that the hosts run",
                remedy=remedy,
            )

    def _trusted(self, context: StepContext, domains: Sequence[str]) -> None:
        operation, paths = context.operation, _paths(context.operation)
        local = operation.spec.registry.local
        content, first = self._told(context, domains)
        cas = sorted({server.ca for server in self._servers(operation, first) if server.ca})
        script = trusting.check_script(operation.cluster, paths.data, content, first, local.domain, cas=cas)
        if wrong := context.query(script).stdout.splitlines():
            raise HostError(
                "The host is not set up any more to pull from the private registry",
                where=context.host.id,
                why="; ".join(wrong),
                remedy="Put that back, or take the host out of the cluster and add it again.",
            )

    def _publish(self, context: StepContext, images: Sequence[ContainerImage]) -> None:
        paths = _paths(context.operation)
        with self._opened(context) as (registries, client):
            left = self._filling(context, registries, client).fill(contents(self._store, images))
        for pinned in left:
            context.query(link_script(paths.storage, pinned))

    def _publish_external(self, context: StepContext, images: Sequence[ContainerImage]) -> None:
        external = self._external(context.operation, remember=True)
        assert external is not None  # the step is planned where there is one
        auth = AuthFiles.of()
        registries = Registries(read_configuration(self.settings.home), auth)
        try:
            # Hosts only pull, which may be open to everybody where pushing is not.
            credential = _credential(external.login) or auth.find(external.address)
            client = registries.client(external.address, credential)
            left = self._filling(context, registries, client).fill(contents(self._store, images))
        except (RegistryError, ImageNotFoundError) as error:
            raise external.refusal(error) from error
        for pinned in left:
            context.warn(
                f"{external.address} does not take the index {pinned.index.digest} of {pinned.repository}: it wants "
                "the images of all its platforms; hosts cannot pull by that digest from it"
            )

    def _filling(self, context: StepContext, registries: Registries, client: Client) -> Filling:
        return Filling(self._store, registries, client, self._directory / "uploads", telling(context))

    def _trust(self, context: StepContext, domains: Sequence[str]) -> None:
        operation, paths = context.operation, _paths(context.operation)
        local = operation.spec.registry.local
        self._note_before(operation)
        content, first = self._told(context, domains)
        if first and not local.insecure:
            context.write(paths.ca, Authority(self._directory).certificate.read_bytes(), 0o644)
        external = self._external(operation, remember=True)
        if external and (authority := external.authority()):
            context.write(paths.external_ca, authority, 0o644)
        context.sh(trusting.trust_script(operation.cluster, paths.data, content, first, local.domain))
        self._protection(operation).note_told(context.host.address)

    def _told(self, context: StepContext, domains: Sequence[str]) -> tuple[Mapping[str, str], str]:
        """The files that a host has for it, and the address of the registry that it asks first; empty: none of ours."""
        where = [host.address for host in seats(context.operation).after]
        # A host that has a registry of its own asks that one.
        first = context.host.address if context.host.address in where else next(iter(where), "")
        servers = self._servers(context.operation, first)
        return trusting.files(context.operation.cluster, domains, servers), first

    # -- what they know ------------------------------------------------------------------------------------------

    @property
    def _store(self) -> Store:
        return Store(self.settings.images)

    @property
    def _directory(self) -> Path:
        """What only the operator may read of it."""
        if self.credentials is None:
            raise PluginError("the registry was asked for steps outside of a cluster")
        return self.credentials / "registry"

    def _images(self, operation: Operation, *, all_of_them: bool) -> tuple[ContainerImage, ...]:
        """The container images of the operation's image; or of the cluster's and of all applications on it.

        :raises RefusedError: an image that the cluster has is not in the store.
        """
        found = list(operation.image.containers) if operation.image else []
        if all_of_them and operation.recorded:
            for name, digest in sorted(operation.recorded.applications.items()):
                try:
                    found += self._store.find(digest).containers
                except ImageNotFoundError as error:
                    raise _cannot_be_filled(f"'{name}'", digest) from error
        return tuple(found)

    def _domains(self, operation: Operation, *, before: bool = False) -> tuple[str, ...]:
        """The domains whose images the cluster has; `before`: without the operation's own image."""
        recorded = operation.recorded
        known: list[tuple[str, ...]] = []
        if operation.image and not before:
            known.append(names.domains(operation.image.containers))
        for digest in (recorded.image_digest, *recorded.applications.values()) if recorded else ():
            try:
                known.append(names.domains(self._store.find(digest).containers if digest else ()))
            except ImageNotFoundError:
                continue  # what it brought stays on the hosts that have it
        return names.union(*known)

    def _servers(self, operation: Operation, first: str) -> list[Server]:
        """What a host asks, in this order."""
        local, paths, login = operation.spec.registry.local, _paths(operation), self._login(operation)
        ca = "" if local.insecure else paths.ca
        others = [host.address for host in seats(operation).after if host.address != first]
        hosts = [local.domain, *others] if first else []
        servers = [
            Server(f"{bracketed(host)}:{local.port}", plain_http=local.insecure, ca=ca, login=login) for host in hosts
        ]
        external = self._external(operation)
        return [*servers, *([external.server(paths.external_ca)] if external else [])]

    def _login(self, operation: Operation, *, remember: bool = False) -> Login:
        local, generated = operation.spec.registry.local, self._directory / GENERATED
        if not local.username and generated.exists():
            return Login(GENERATED_USER, Secret(generated.read_text()).reveal(), generated=True)
        return self._remembered("password", local.username, local.password, remember=remember)

    def _protection(self, operation: Operation) -> Protection:
        external = self._external(operation)
        wanted = Logins(self._login(operation), external.login if external else Login())
        if operation.recorded is None or operation.recorded.clusterfile.cluster is None:
            return Protection(self._directory, wanted, wanted)
        # What is recorded has no passwords, so that these are the ones that were kept.
        recorded = replace(operation, desired=operation.recorded.clusterfile)
        external = self._external(recorded)
        before = Logins(self._login(recorded), external.login if external else Login())
        return Protection(self._directory, wanted, before)

    def _note_before(self, operation: Operation) -> None:
        self._protection(operation).note_before(host.address for host in operation.kept)

    def _external(self, operation: Operation, *, remember: bool = False) -> External | None:
        """The external registry, if there is one.

        :raises InputError: it has a user without a password, or what `registries.yaml` says of it cannot be right.
        """
        spec = operation.spec.registry.external
        if spec is None:
            return None
        login = self._remembered("external-password", spec.username, spec.password, remember=remember)
        if login.username and not login.password:
            raise InputError(
                "the external registry has a user and no password",
                where="spec.registry.externalRegistry",
                remedy="give `password`, or take `username` out where everybody may pull",
            )
        return External.of(spec, read_configuration(self.settings.home), login)

    def _remembered(self, file: str, username: str, password: Secret | None, *, remember: bool) -> Login:
        """What is recorded of a cluster has no passwords: hosts that join later need this one all the same."""
        path = self._directory / file
        if not username:
            return Login()
        if password is not None:
            if remember:
                keep(path, password.reveal().encode())
            return Login(username, password.reveal())
        return Login(username, Secret(path.read_text()).reveal() if path.exists() else "")

    @contextmanager
    def _reached(
        self,
        context: StepContext,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        login: Login | None = None,
    ) -> Iterator[tuple[Registries, Client]]:
        """The registry on a step's host, through the connection to that host.

        :param login: default: the one that hosts sign in with.
        """
        local = context.operation.spec.registry.local
        ca = None if local.insecure else Authority(self._directory).certificate
        settings = RegistrySettings(plain_http=local.insecure, ca=ca)
        login = self._login(context.operation) if login is None else login
        with _client(context, local.port, settings, login, limits) as found:
            yield found

    @contextmanager
    def _opened(self, context: StepContext) -> Iterator[tuple[Registries, Client]]:
        """What takes images on a step's host: on the loopback, for this fill alone, with a password of its own."""
        cluster, paths = context.operation.cluster, _paths(context.operation)
        login = Login("sealer", secrets.token_urlsafe(PASSWORD_BYTES), generated=True)
        port = secrets.choice(FILLING_PORTS)
        secret = (self._directory / "secret").read_text()
        context.write(f"{paths.filling}/config.yml", serving.fill_configuration(paths, port, secret))
        context.write(f"{paths.filling}/htpasswd", serving.htpasswd(login))
        try:
            context.query(serving.fill_script(cluster, paths, PUBLISH_TIMEOUT))
            with _client(context, port, RegistrySettings(plain_http=True), login, Limits()) as (registries, client):
                yield registries, client
        finally:
            with suppress(HostError, InterruptedRunError):  # it ends by itself, and with the next fill
                context.query(serving.filled_script(cluster, paths))


@contextmanager
def _client(
    context: StepContext, port: int, settings: RegistrySettings, login: Login, limits: Limits
) -> Iterator[tuple[Registries, Client]]:
    host, forwarded = context.forward(port)
    address = f"{bracketed(host)}:{forwarded}"
    configuration = Configuration(registries={address: settings})
    registries = Registries(configuration, AuthFiles(()), limits=limits, certificates=())
    try:
        yield registries, registries.client(address, _credential(login))
    except RegistryError:
        context.query("true")  # was it the way there that broke? Then that is raised, and tried again
        raise


def _cannot_be_filled(owner: str, image: str) -> RefusedError:
    return RefusedError(
        f"the private registry would have to be filled again, and the image of {owner} is not here",
        why=f"the store has no {image}",
        remedy="pull, load or build that image again, or keep the master that the registry runs on",
    )


def _paths(operation: Operation) -> serving.Paths:
    of_cluster = replace(operation.paths, application_name="")
    return serving.Paths(of_cluster.data, of_cluster.rootfs)


def _credential(login: Login) -> Credential | None:
    return Credential(login.username, Secret(login.password)) if login.username else None
