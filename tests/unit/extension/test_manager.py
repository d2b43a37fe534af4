from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealer.clusterfile.model import Clusterfile, PluginDocument
from sealer.errors import InputError, PluginError, Position
from sealer.events import Event, EventStream, State
from sealer.extension import (
    ALL,
    Effect,
    ImageReference,
    Operation,
    PluginType,
    Retry,
    Step,
    StepContext,
    UnresolvedReference,
    hookimpl,
)
from sealer.extension.manager import PluginManager
from sealer.image.discovery.files import Files, ReadFiles
from sealer.phases import Phase
from sealer.redaction import Secret
from sealer.settings import Settings

OPERATION = Operation("op-1", "create", "my-cluster", Clusterfile(), None, None)


def step(name: str, **more: Any) -> Step:
    return Step(name, name, ALL, lambda context: None, **more)


class Plugin:
    """Answers every lifecycle hook with what it was made with."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    @hookimpl
    def pre_init(self) -> Sequence[Step]:
        return self.steps


@pytest.fixture
def manager(settings: Settings) -> PluginManager:
    return PluginManager(settings)


def ours(manager: PluginManager, *names: str) -> list[str]:
    return [name for name in manager.names if name in names]


MODULE = """
from sealer.extension import ALL, Step, hookimpl

@hookimpl
def pre_init(operation):
    return [Step("one", "One", ALL, print)]
"""


class TestOrder:
    def test_kernel_first_installed_by_name_documents_last(
        self, settings: Settings, install: Callable[..., Path]
    ) -> None:
        for name in ("zz-b", "zz-c", "zz-a"):
            module = name.replace("-", "_") + "_module"
            install(f"dist-{name}", {"sealer.plugins": {name: module}}, **{module: MODULE})
        manager = PluginManager.load(settings)
        manager.register(Plugin(step("x")), "documents", place="last")
        manager.register(Plugin(step("x")), "kernel-2")
        manager.register(Plugin(step("x")), "kernel-1")
        names = ["kernel-2", "kernel-1", "zz-a", "zz-b", "zz-c", "documents"]
        assert [name for name, _ in manager.lifecycle(Phase.PRE_INIT, OPERATION) if name in names] == names

    def test_hooks_without_steps_are_left_out(self, manager: PluginManager) -> None:
        manager.register(Plugin(), "silent")
        assert manager.lifecycle(Phase.PRE_INIT, OPERATION) == []
        assert manager.lifecycle(Phase.POST_CLEAN, OPERATION) == []


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_its_hook(phase: Phase, manager: PluginManager) -> None:
    calls: list[Operation] = []

    def hook(operation: Operation) -> Sequence[Step]:
        calls.append(operation)
        return [step("a")]

    manager.register(type("P", (), {phase.hook: staticmethod(hookimpl(hook))})(), "p")
    [(name, steps)] = manager.lifecycle(phase, OPERATION)
    assert (name, [one.id for one in steps]) == ("p", ["a"])
    assert calls == [OPERATION]


class TestErrors:
    def test_an_error_names_plugin_and_hook_and_keeps_its_cause(self, manager: PluginManager) -> None:
        class Broken:
            @hookimpl
            def post_install(self) -> Sequence[Step]:
                raise KeyError("colour")

        manager.register(Plugin(), "fine")
        manager.register(Broken(), "broken")
        with pytest.raises(
            PluginError, match="plugin 'broken' failed in hook post_install: KeyError: 'colour'"
        ) as caught:
            manager.lifecycle(Phase.POST_INSTALL, OPERATION)
        assert isinstance(caught.value.__cause__, KeyError)

    def test_no_secret_in_the_message(self, manager: PluginManager) -> None:
        class Leaky:
            @hookimpl
            def pre_init(self) -> Sequence[Step]:
                raise RuntimeError(f"login with {Secret('hunter2hunter2').reveal()} failed")

        manager.register(Leaky(), "leaky")
        with pytest.raises(PluginError) as caught:
            manager.lifecycle(Phase.PRE_INIT, OPERATION)
        assert "hunter2" not in str(caught.value)

    def test_what_a_plugin_tells_the_user_keeps_its_kind(self, manager: PluginManager) -> None:
        class Strict:
            @hookimpl
            def pre_init(self) -> Sequence[Step]:
                raise InputError("no such colour")

        manager.register(Strict(), "strict")
        with pytest.raises(InputError) as caught:
            manager.lifecycle(Phase.PRE_INIT, OPERATION)
        assert caught.value.__notes__ == ["from plugin 'strict', hook pre_init"]

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            ("steps", "a sequence of Step is expected, not str"),
            (step("lonely"), "a sequence of Step is expected, not Step"),
            ([step("a"), "b"], "a sequence of Step is expected; it has 'b'"),
            ((step(str(n)) for n in range(2)), "a sequence of Step is expected, not generator"),
            ([step("a"), step("a")], "two steps have the id 'a'"),
            ([step("a", after=frozenset({"c"}))], "step 'a' comes after 'c', which is not in the same list"),
        ],
    )
    def test_an_answer_that_is_no_steps(self, manager: PluginManager, answer: object, why: str) -> None:
        class Wrong:
            @hookimpl
            def pre_init(self) -> object:
                return answer

        manager.register(Wrong(), "wrong")
        with pytest.raises(PluginError, match="plugin 'wrong' failed in hook pre_init") as caught:
            manager.lifecycle(Phase.PRE_INIT, OPERATION)
        assert why in caught.value.why

    def test_a_check_must_only_read(self, manager: PluginManager) -> None:
        class Checks:
            @hookimpl
            def preflight_checks(self, operation: Operation) -> Sequence[Step]:
                return [step("disk", effect=Effect.QUERY), step("mkfs")]

        manager.register(Checks(), "checks")
        with pytest.raises(PluginError, match="step 'mkfs' is no QUERY"):
            manager.preflight_checks(OPERATION)


class TestRegistration:
    def test_a_typo_in_a_hook(self, manager: PluginManager) -> None:
        class Typo:
            @hookimpl
            def pre_initt(self) -> None: ...

        with pytest.raises(PluginError, match="unknown hook 'pre_initt'; did you mean 'pre_init'"):
            manager.register(Typo(), "typo")
        assert manager.names == ()

    def test_an_unknown_argument(self, manager: PluginManager) -> None:
        class Wants:
            @hookimpl
            def pre_init(self, cluster: object) -> None: ...

        with pytest.raises(PluginError, match="cluster"):
            manager.register(Wants(), "wants")

    @pytest.mark.parametrize("option", ["tryfirst", "trylast"])
    def test_an_order_of_its_own(self, manager: PluginManager, option: str) -> None:
        options: dict[str, Any] = {option: True}
        plugin = type("P", (), {"pre_init": staticmethod(hookimpl(lambda operation: None, **options))})()
        with pytest.raises(PluginError, match="in the order of their names"):
            manager.register(plugin, "pushy")

    def test_a_wrapper(self, manager: PluginManager) -> None:
        class Wrapper:
            @hookimpl(wrapper=True)
            def pre_init(self) -> Any:
                return (yield)

        with pytest.raises(PluginError, match="nothing to wrap"):
            manager.register(Wrapper(), "wrapper")

    def test_a_name_twice(self, manager: PluginManager) -> None:
        manager.register(Plugin(), "twin")
        with pytest.raises(PluginError, match="twin"):
            manager.register(Plugin(), "twin")


class Colour(PluginType[str]):
    type = "COLOUR"

    def parse(self, document: PluginDocument) -> str:
        return str(document.data)

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: str) -> Sequence[Step]:
        return []


def offering(*types: object) -> object:
    class Offers:
        @hookimpl
        def plugin_types(self) -> Sequence[object]:
            return types

    return Offers()


class TestPluginTypes:
    def test_instances_by_name(self, manager: PluginManager) -> None:
        manager.register(offering(Colour), "paint")
        colour = manager.plugin_types()["COLOUR"]
        assert (colour.type, colour.default_phases, colour.phases) == ("COLOUR", (), frozenset(Phase))
        assert colour.parse(PluginDocument("c", "COLOUR", data="red")) == "red"
        assert manager.plugin_types()["COLOUR"] is manager.plugin_types()["COLOUR"]
        assert manager.type_providers() == {"COLOUR": "paint"}

    def test_each_manager_has_its_own(self, settings: Settings) -> None:
        made = []
        for _ in range(2):
            manager = PluginManager(settings)
            manager.register(offering(Colour), "paint")
            made.append(manager.plugin_types()["COLOUR"])
        assert made[0] is not made[1]

    def test_a_type_registered_later_is_seen(self, manager: PluginManager) -> None:
        assert manager.plugin_types() == {}
        manager.register(offering(Colour), "paint")
        assert list(manager.plugin_types()) == ["COLOUR"]

    def test_twice_names_both_providers(self, manager: PluginManager) -> None:
        manager.register(offering(Colour), "paint")
        manager.register(offering(Colour), "dye")
        with pytest.raises(PluginError, match="two plugins offer the type COLOUR: 'paint' and 'dye'"):
            manager.plugin_types()

    @pytest.mark.parametrize(
        ("offered", "why"),
        [
            (Colour(), "classes derived from PluginType are expected"),
            (Step, "classes derived from PluginType are expected"),
            (type("Bare", (PluginType,), {"type": "BARE"}), "does not implement parse, steps"),
            (type("Lower", (Colour,), {"type": "lower"}), "must be an upper-case name"),
        ],
    )
    def test_what_is_no_type(self, manager: PluginManager, offered: object, why: str) -> None:
        manager.register(offering(offered), "paint")
        with pytest.raises(PluginError, match="plugin 'paint' failed in hook plugin_types") as caught:
            manager.plugin_types()
        assert why in caught.value.why


class TestAFailingType:
    """What a type does wrong is told as the plugin's fault, wherever the kernel asks it."""

    @pytest.fixture
    def colour(self, manager: PluginManager) -> PluginType[object]:
        class Grey(Colour):
            def parse(self, document: PluginDocument) -> str:
                if document.data == "pink":
                    raise InputError("no pink", problems=[document.problem("no pink")])
                return {"grey": "grey"}[str(document.data)]

            def steps(self, *_: object) -> Sequence[Step]:
                return ["paint"]  # type: ignore[list-item]

            def addresses(self, parsed: str) -> frozenset[str]:
                raise OSError("no")

            def host_names(self, parsed: str) -> dict[str, str]:
                return 7  # type: ignore[return-value]

        manager.register(offering(Grey), "paint")
        return manager.plugin_types()["COLOUR"]

    def test_it_names_plugin_type_and_document(self, colour: PluginType[object]) -> None:
        document = PluginDocument("c", "COLOUR", data="red", position=Position("Clusterfile", 9, 1))
        with pytest.raises(PluginError) as caught:
            colour.parse(document)
        assert str(caught.value) == "Clusterfile:9:1: plugin 'paint' failed in parse of type COLOUR: KeyError: 'red'"
        with pytest.raises(PluginError, match="in steps of type COLOUR: ValueError: a sequence of Step"):
            colour.steps(OPERATION, Phase.PRE_INIT, document, "red")

    def test_in_every_method(self, colour: PluginType[object]) -> None:
        with pytest.raises(PluginError, match="in addresses of type COLOUR: OSError: no"):
            colour.addresses("red")
        with pytest.raises(PluginError, match="in host_names of type COLOUR"):
            colour.host_names("red")

    def test_what_it_tells_the_user_stays(self, colour: PluginType[object]) -> None:
        with pytest.raises(InputError) as caught:
            colour.parse(PluginDocument("c", "COLOUR", data="pink"))
        assert caught.value.__notes__ == ["from plugin 'paint', type COLOUR"]


class TestOtherHooks:
    def test_image_references(self, manager: PluginManager) -> None:
        class Reader:
            @hookimpl
            def image_references(self, path: str, content: bytes) -> list[ImageReference]:
                return [ImageReference(content.decode(), 3, path)]

        manager.register(Reader(), "reader")
        assert manager.image_references("a.yaml", b"nginx") == [ImageReference("nginx", 3, "a.yaml")]

    def test_a_mention_that_nobody_can_resolve(self, manager: PluginManager) -> None:
        class Reader:
            @hookimpl
            def image_references(self, files: Files) -> list[UnresolvedReference]:
                return [UnresolvedReference(path, "why not", 1, "rule") for path in files.paths()]

        manager.register(Reader(), "reader")
        files = ReadFiles(["b"], lambda path: b"")
        assert manager.image_references("a", b"", files) == [UnresolvedReference("b", "why not", 1, "rule")]

    @pytest.mark.parametrize("answer", ["nginx", ImageReference(" "), UnresolvedReference("x", "")])
    def test_what_is_no_mention(self, manager: PluginManager, answer: object) -> None:
        class Reader:
            @hookimpl
            def image_references(self) -> list[object]:
                return [answer]

        manager.register(Reader(), "reader")
        with pytest.raises(PluginError, match=r"reader.*an ImageReference that names an image is expected"):
            manager.image_references("a", b"")

    def test_the_first_that_knows_a_secret(self, manager: PluginManager) -> None:
        def vault(prefix: str, text: str) -> object:
            class Vault:
                @hookimpl
                def resolve_secret(self, reference: str) -> Secret | None:
                    return Secret(text) if reference.startswith(prefix) else None

            return Vault()

        manager.register(vault("a:", "text-of-a"), "a")
        manager.register(vault("b:", "text-of-b"), "b")
        assert manager.resolve_secret("b:x") == Secret("text-of-b")
        assert manager.resolve_secret("c:x") is None

    def test_a_secret_must_be_wrapped(self, manager: PluginManager) -> None:
        class Careless:
            @hookimpl
            def resolve_secret(self) -> str:
                return "the-very-password"

        manager.register(Careless(), "careless")
        with pytest.raises(PluginError, match="a Secret is expected, not str") as caught:
            manager.resolve_secret("x")
        assert "the-very-password" not in str(caught.value)

    def test_a_failing_observer_is_warned_of_once(self, settings: Settings) -> None:
        events = EventStream()
        manager = PluginManager(settings, events)
        heard: list[str] = []
        seen: list[Event] = []

        class Bad:
            @hookimpl
            def event(self, event: Event) -> None:
                raise OSError("no route")

        class Good:
            @hookimpl
            def event(self, event: Event) -> None:
                heard.append(event.message)

        manager.register(Bad(), "bad")
        manager.register(Good(), "good")
        events.subscribe(manager.event)
        events.subscribe(seen.append)
        events.info("one")
        events.info("two")
        assert heard == ["one", "two"]
        warnings = [event for event in seen if event.state is State.WARNING]
        assert [(event.plugin, "OSError: no route" in event.message) for event in warnings] == [("bad", True)]

    def test_what_an_observer_reports_does_not_come_back_to_it(self, settings: Settings) -> None:
        events = EventStream()
        manager = PluginManager(settings, events)

        class Echo:
            @hookimpl
            def event(self, event: Event) -> None:
                events.info("echo of " + event.message)

        manager.register(Echo(), "echo")
        events.subscribe(manager.event)
        seen: list[str] = []
        events.subscribe(lambda event: seen.append(event.message))
        events.info("call")
        assert sorted(seen) == ["call", "echo of call"]


class TestInstalled:
    def test_a_broken_one_does_not_take_others_along(self, settings: Settings, install: Callable[..., Path]) -> None:
        install("dist-zz-a", {"sealer.plugins": {"zz-a": "zz_a"}}, zz_a="import no_such_module_at_all")
        install("dist-zz-b", {"sealer.plugins": {"zz-b": "zz_b"}}, zz_b="raise SystemExit(3)")
        install("dist-zz-c", {"sealer.plugins": {"zz-c": "zz_c"}}, zz_c="def pre_init(operation): ...")
        install("dist-zz-d", {"sealer.plugins": {"zz-d": "zz_d"}}, zz_d=MODULE)
        events = EventStream()
        warned: list[Event] = []
        events.subscribe(warned.append)
        manager = PluginManager.load(settings, events)
        found = {one.name: (one.status, one.reason) for one in manager.installed if one.name.startswith("zz-")}
        assert found["zz-a"] == ("broken", "ModuleNotFoundError: No module named 'no_such_module_at_all'")
        assert found["zz-b"] == ("broken", "SystemExit: 3")
        assert found["zz-c"] == ("broken", "it implements no hook; is @hookimpl missing?")
        assert found["zz-d"] == ("enabled", "")
        assert ours(manager, "zz-a", "zz-b", "zz-c", "zz-d") == ["zz-d"]
        assert [event.plugin for event in warned if event.plugin.startswith("zz")] == ["zz-a", "zz-b", "zz-c"]

    def test_the_later_of_two_of_one_name_is_refused(self, settings: Settings, install: Callable[..., Path]) -> None:
        install("dist-first", {"sealer.plugins": {"zz_same": "zz_same_first"}}, zz_same_first=MODULE)
        install("dist-second", {"sealer.plugins": {"zz-same": "zz_same_second"}}, zz_same_second=MODULE)
        found = [one for one in PluginManager.load(settings).installed if one.name == "zz-same"]
        assert [(one.distribution, one.status) for one in found] == [
            ("dist-first", "enabled"),
            ("dist-second", "broken"),
        ]
        assert found[1].reason == "dist-first 1.0 (zz_same_first) has a plugin of that name already"

    @pytest.mark.parametrize("disabled", ["zz-off", "ZZ_Off", "*"])
    def test_left_out_by_name(self, settings: Settings, install: Callable[..., Path], disabled: str) -> None:
        install("dist-off", {"sealer.plugins": {"zz-off": "zz_off"}}, zz_off=MODULE)
        manager = PluginManager.load(replace(settings, disabled_plugins=frozenset({disabled})))
        assert [one.status for one in manager.installed if one.name == "zz-off"] == ["disabled"]
        assert "zz-off" not in manager.names
        if disabled == "*":
            assert manager.names == ()

    def test_a_name_to_leave_out_that_nobody_has(self, settings: Settings, install: Callable[..., Path]) -> None:
        install("dist-off", {"sealer.plugins": {"zz-offended": "zz_off"}}, zz_off=MODULE)
        events = EventStream()
        warned: list[str] = []
        events.subscribe(lambda event: warned.append(event.message))
        PluginManager.load(replace(settings, disabled_plugins=frozenset({"zz-ofended", "*"})), events)
        assert warned == [
            "SEALER_DISABLE_PLUGINS: no installed plugin is called 'zz-ofended'; did you mean 'zz-offended'?"
        ]

    def test_an_entry_point_may_name_a_class(self, settings: Settings, install: Callable[..., Path]) -> None:
        source = "class P:\n" + "".join(f"    {line}\n" for line in MODULE.splitlines()).replace(
            "(operation", "(self, operation"
        )
        install("dist-class", {"sealer.plugins": {"zz-class": "zz_class:P"}}, zz_class=source)
        assert "zz-class" in PluginManager.load(settings).names

    def test_installed_twice_by_an_editable_install(self, settings: Settings, install: Callable[..., Path]) -> None:
        site = install("dist-edit", {"sealer.plugins": {"zz-edit": "zz_edit"}}, zz_edit=MODULE)
        egg = site / "dist_edit.egg-info"
        egg.mkdir()
        (egg / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: dist-edit\nVersion: 1.0\n")
        (egg / "entry_points.txt").write_text("[sealer.plugins]\nzz-edit = zz_edit\n")
        found = [one.status for one in PluginManager.load(settings).installed if one.name == "zz-edit"]
        assert found == ["enabled"]


def test_trace_says_who_was_asked_and_what_came(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    manager = PluginManager(replace(settings, trace_plugins=True))
    manager.register(Plugin(step("a"), step("b")), "talker")
    manager.lifecycle(Phase.PRE_INIT, OPERATION)
    captured = capsys.readouterr()
    assert captured.err.startswith("sealer: hook pre_init: plugin talker: 2 given in ")
    assert captured.out == ""


async def later(context: StepContext) -> None:
    await wait_for_it(context)


async def wait_for_it(context: StepContext) -> None:
    raise AssertionError("nobody waits")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"id": ""}, "its id must be a text"),
        ({"id": 3}, "its id must be a text"),
        ({"on": "all"}, "`on` must be targets such as ALL, not 'all'"),
        ({"run": "true"}, "`run` must be a function"),
        ({"run": later}, "`run` must be a plain function"),
        ({"timeout": 0}, "`timeout` must be a number of seconds"),
        ({"timeout": None}, "`timeout` must be a number of seconds"),
        ({"inputs": {"a": {1, 2}}}, "`inputs` must be JSON: Object of type set"),
        ({"inputs": {"a": b"b"}}, "`inputs` must be JSON: Object of type bytes"),
        ({"inputs": {("a", "b"): 1}}, "`inputs` must be JSON: keys must be"),
    ],
)
def test_a_step_that_cannot_be_run_is_refused_before_anything_is(
    more: dict[str, Any], words: str, manager: PluginManager
) -> None:
    manager.register(Plugin(replace(step("odd"), **more)), "vendor")
    with pytest.raises(PluginError, match="plugin 'vendor' failed in hook pre_init") as error:
        manager.lifecycle(Phase.PRE_INIT, OPERATION)
    assert words in error.value.why


def test_a_retry_has_a_first_attempt() -> None:
    with pytest.raises(ValueError, match="0 attempts"):
        Retry(0)


def test_a_plugins_exit_is_not_sealers(settings: Settings) -> None:
    class Leaving:
        @hookimpl
        def pre_init(self) -> Sequence[Step]:
            raise SystemExit(0)

        @hookimpl
        def event(self) -> None:
            raise SystemExit(0)

    events = EventStream()
    told: list[Event] = []
    events.subscribe(told.append)
    manager = PluginManager(settings, events)
    manager.register(Leaving(), "vendor")
    with pytest.raises(PluginError, match="plugin 'vendor' failed in hook pre_init"):
        manager.lifecycle(Phase.PRE_INIT, OPERATION)
    manager.event(Event(State.INFO))
    assert "plugin 'vendor' fails to listen" in told[0].message
