"""`python -m sealer_plugin_nspawn`: hosts from the command line, for tests that break them.

It works on the clusters of `SEALER_HOME`, so also on those that `sealer run --provider NSPAWN` made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sealer.cli.terminal import guarded
from sealer.errors import SealerError
from sealer.settings import Settings
from sealer_plugin_nspawn.machines import Machines, wanted
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Records

COMMANDS = {
    "up": "make hosts, boot those that do not run; prints one address a line",
    "cut": "the network of a host falls silent: nothing is told, nothing closes",
    "mend": "end that",
    "kill": "pull the plug on a host; its files stay",
    "boot": "boot a killed host again, or all that do not run",
    "console": "what a host printed while it booted",
    "down": "take everything of a cluster away",
    "list": "the hosts of one cluster, or of all",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    with guarded():
        chosen = _parser().parse_args(arguments)
        try:
            _act(chosen)
        except SealerError as error:
            sys.stderr.write("".join(f"{line}\n" for line in (str(error), *error.output, error.remedy) if line))
            return error.exit_status
        return 0


def _act(chosen: argparse.Namespace) -> None:
    options = Options(state=chosen.state)
    if chosen.command == "list":
        _list(options, chosen.cluster)
        return
    machines = Machines(chosen.cluster, owner=chosen.owner, options=options, known=_known_hosts(chosen), say=_note)
    if chosen.command == "up":
        _show(state.address for state in machines.up(wanted(chosen.count, chosen.masters)))
    elif chosen.command == "boot":
        _show(state.address for state in machines.boot(chosen.host))
    elif chosen.command == "console":
        sys.stdout.write(machines.console(chosen.host))
    elif chosen.command == "down":
        machines.down()
    else:
        {"cut": machines.cut, "mend": machines.mend, "kill": machines.kill}[chosen.command](chosen.host)


def _list(options: Options, cluster: str) -> None:
    for lab in Records(options.state).all():
        if cluster in ("", lab.cluster):
            for state in Machines(lab.cluster, owner=lab.owner, options=options).list():
                how = "runs" if state.running else "off"
                cable = "connected" if state.connected else "cut"
                _show(
                    [f"{lab.cluster}\t{state.name}\t{state.address}\t{how}\t{cable}\t{state.private_key}\t{lab.owner}"]
                )


def _known_hosts(chosen: argparse.Namespace) -> Path | None:
    home = Settings.from_environment().home
    return home / "known_hosts" if chosen.owner == str(home) else None


def _show(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sealer_plugin_nspawn", description=__doc__)
    default = Options()
    parser.add_argument("--owner", default=str(Settings.from_environment().home), help="whose cluster (SEALER_HOME)")
    parser.add_argument("--state", type=Path, default=default.state, help=f"state directory ({default.state})")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "list":
            command.add_argument("cluster", nargs="?", default="")
        else:
            command.add_argument("cluster")
        if name == "up":
            command.add_argument("count", type=int)
            command.add_argument("--masters", type=int, default=1, help="how many of them are masters (1)")
        elif name in ("cut", "mend", "kill", "console"):
            command.add_argument("host", help="its name or address")
        elif name == "boot":
            command.add_argument("host", nargs="?", default="", help="its name or address; all by default")
    return parser
