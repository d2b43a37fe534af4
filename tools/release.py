"""Makes a release: `python tools/release.py VERSION`, or `pipx run tox run -e release -- VERSION`.

It refuses what cannot be released before it changes anything. Then come two steps, and a run that was interrupted is
simply started again:

prepare (`--prepare`: that alone, without network)
    a commit with the version of all distributions, and the changelog out of the fragments, which go;
build
    `dist/sealer-VERSION/`, from that commit: a wheel and an sdist of each distribution, a file for machines without
    internet for each architecture, a bill of materials, and SHA256SUMS; then the tag `vVERSION`.

The same commit gives the same bytes. Nothing is sent anywhere; what to run for that is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import archives
import offline_file
import sbom
import versions
from changelog import mistakes
from install_all import ROOT
from wheels import build_all

CHANGELOG = "CHANGELOG.md"


class RefusedError(Exception):
    """It cannot be released; nothing was changed."""


def git(*words: str, root: Path = ROOT) -> str:
    """Run git; gives what it printed."""
    done = subprocess.run(["git", *words], cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RefusedError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.rstrip()


def check(version: str, root: Path = ROOT) -> bool:
    """Whether the version may be released; gives whether it has been prepared already.

    :raises RefusedError: it may not.
    """
    try:
        wanted, before = versions.order(version), versions.current(root)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    if dirty := git("status", "--porcelain", root=root):
        names = ", ".join(line[3:] for line in dirty.splitlines()[:5])
        raise RefusedError(f"the tree has changes that are not committed: {names}; commit or stash them")
    if git("tag", "--list", f"v{version}", root=root):
        raise RefusedError(f"{version} was released: the tag v{version} exists")
    listed = f"\n## {version} (" in (root / CHANGELOG).read_text()
    newer = sorted(path.name for path in (root / "changelog.d").glob("*.md"))
    if listed and before == version and newer:
        raise RefusedError(
            f"changelog.d has fragments from after {version} was prepared: {', '.join(newer[:5])}; "
            f"release the commit 'Release {version}', or a higher version"
        )
    if listed and before == version:
        return True
    if listed:
        raise RefusedError(f"{version} was released: {CHANGELOG} has it, and the tree is at {before}")
    if wanted <= versions.order(before):
        raise RefusedError(f"{version} does not come after {before}, the version of the tree")
    if not newer:
        raise RefusedError("changelog.d has no fragments: nothing that users notice has changed")
    if wrong := mistakes(root):
        raise RefusedError(f"the changelog cannot be made: {'; '.join(wrong)}")
    return False


def prepare(version: str, root: Path = ROOT, date: str = "") -> str:
    """Make the commit; gives its id. It is made in a clone first: the tree has all of it or nothing.

    :param date: of the release, as 2026-12-01; empty: today.
    :raises RefusedError: the tree is not on a branch, or something else committed meanwhile.
    """
    date = date or datetime.now(UTC).date().isoformat()
    identity = {name: git("var", f"GIT_{name}_IDENT", root=root).rpartition(" ")[0] for name in ("AUTHOR", "COMMITTER")}
    with tempfile.TemporaryDirectory(prefix="sealer-release-") as scratch:
        clone = Path(scratch) / "tree"
        git("clone", "-q", "--shared", "--no-tags", str(root), str(clone), root=root)
        git("checkout", "-q", "--detach", git("rev-parse", "HEAD", root=root), root=clone)
        versions.set_version(version, clone)
        command = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", version, "--date", date]
        done = subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RefusedError(f"towncrier failed: {done.stdout}{done.stderr}")
        git("add", "--all", root=clone)
        environment: dict[str, str] = {}
        for role, text in identity.items():
            who = text.rpartition(" ")[0]
            name, _, address = who.partition(" <")
            environment |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": address.rstrip(">")}
        commit = ["git", "commit", "-q", "--no-verify", "-m", f"Release {version}"]
        subprocess.run(commit, cwd=clone, env=os.environ | environment, check=True)
        git("fetch", "-q", str(clone), "HEAD", root=root)
        git("merge", "-q", "--ff-only", "FETCH_HEAD", root=root)
    return git("rev-parse", "HEAD", root=root)


def build(version: str, target: Path, pythons: Sequence[str], machines: Sequence[str], root: Path = ROOT) -> None:
    """Build everything into `target`, which is there when all of it is.

    :param pythons: for which the files for machines without internet are, such as 3.11.
    :param machines: for which they are: amd64, arm64.
    """
    moment = int(git("log", "-1", "--format=%ct", root=root))
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="sealer-release-") as scratch:
        tree = export(Path(scratch) / "tree", root)
        wheels, sdists = build_distributions(tree, partial, moment)
        resolved = {}
        for machine in machines:
            files = offline_file.gather(wheels, Path(scratch) / machine, pythons, machine, tree / "constraints.txt")
            resolved[machine] = files
        bill = partial / f"sealer-{version}.cdx.json"
        bill.write_text(
            sbom.document(version, sorted({wheel for files in resolved.values() for wheel in files.wheels}), moment)
        )
        for machine, files in resolved.items():
            offline_file.pack(files, partial, version, machine, also=[bill, tree / "LICENSE"], moment=moment)
    write_sums(partial)
    assert len(wheels) == len(sdists)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def export(target: Path, root: Path = ROOT) -> Path:
    """The tree as it is committed, with nothing that lies about in the checkout."""
    target.mkdir(parents=True)
    archive = target.with_suffix(".tar")
    git("-c", "tar.umask=0022", "archive", "--output", str(archive), "HEAD", root=root)
    archives.unpack(archive, target)
    archive.unlink()
    return target


def build_distributions(tree: Path, target: Path, moment: int) -> tuple[list[Path], list[Path]]:
    """A wheel and an sdist of each distribution of `tree`, the same bytes whenever they are built.

    :param moment: seconds since 1970 that all of their files bear.
    """
    paths = [
        tree,
        *sorted(path.parent for kind in ("builtin_plugins", "plugins") for path in tree.glob(f"{kind}/*/setup.cfg")),
    ]
    mask = os.umask(0o022)  # the modes of what a build makes
    before, os.environ["SOURCE_DATE_EPOCH"] = os.environ.get("SOURCE_DATE_EPOCH"), str(moment)
    try:
        sdists = build_all("sdist", paths, target)
        wheels = build_all("wheel", paths, target)
    finally:
        os.umask(mask)
        os.environ.pop("SOURCE_DATE_EPOCH")
        if before is not None:
            os.environ["SOURCE_DATE_EPOCH"] = before
    for sdist in sdists:
        archives.rewrite(sdist, moment)
    return sorted(wheels), sorted(sdists)


def write_sums(directory: Path) -> None:
    """SHA256SUMS of all files in it, for `sha256sum --check`."""
    lines = []
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (directory / "SHA256SUMS").write_text("".join(lines))


def release(chosen: argparse.Namespace, say: Callable[[str], None]) -> None:
    """All steps that are left."""
    version: str = chosen.version
    if check(version):
        say(f"{version} is prepared: {git('log', '-1', '--format=%h')}")
    else:
        prepare(version, date=chosen.date)
        say(f"Committed the version and the changelog of {version}")
    if chosen.prepare:
        say(f"Check CHANGELOG.md, then run: python tools/release.py {version}")
        return
    target = ROOT / "dist" / f"sealer-{version}"
    build(version, target, chosen.python or offline_file.PYTHONS, chosen.arch or list(offline_file.MACHINES))
    git("tag", "--annotate", f"v{version}", "--message", f"sealer {version}")
    for path in sorted(target.iterdir()):
        say(f"{path.stat().st_size:>12} {path.relative_to(ROOT)}")
    say(f"Publish it: git push --follow-tags; twine upload {target}/*.whl {target}/sealer*-{version}.tar.gz")


def main(arguments: Sequence[str] | None = None) -> int:
    """The status is 2 when it is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="MAJOR.MINOR.PATCH")
    parser.add_argument("--prepare", action="store_true", help="commit the version and the changelog, and stop")
    parser.add_argument("--date", default="", help="of the release in the changelog; today")
    parser.add_argument("--python", action="append", choices=offline_file.PYTHONS, help="for the offline file; all")
    parser.add_argument(
        "--arch", action="append", choices=list(offline_file.MACHINES), help="for the offline file; all"
    )
    try:
        release(parser.parse_args(arguments), lambda line: print(line, flush=True))  # noqa: T201  # for people
    except RefusedError as error:
        print(f"release: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
