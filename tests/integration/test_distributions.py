"""Wheels and sdists have every file of their package, and no other: built from a copy of the tree, file by file."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from sealer.extension.scaffold import write_plugin

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import install_all  # noqa: E402  # a script beside the packages
import wheels  # noqa: E402

NAMES = ["." if path == ROOT else str(path.relative_to(ROOT)) for path in install_all.distributions()]
DECLARATIONS = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.cfg"}
METADATA = {"METADATA", "RECORD", "WHEEL", "top_level.txt"}
EGG_INFO = {"PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt"}
# What nobody has declared: kinds of files, and directories below a package, that the tree does not have today.
PLANTED = {"site/table.unheard-of": b"1\0\n", "site/deep er/no-suffix": b"", "site/deep er/.hidden": b"2\n"}
LITTER = ("__pycache__/gone.cpython-311.pyc", "site/__pycache__/gone.pyc")
BESIDE = ("tests/test_planted.py", "tests/data/planted.json", "build/gone.txt", "dist/gone.whl", "notes.txt")

Files = dict[str, tuple[bool, bytes]]


def tree_files() -> list[str]:
    """Files that belong to the tree: as git knows them, and where there is no git, all but litter."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists():
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in listed if name and (ROOT / name).is_file()]
    litter = {"build", "dist", "_build", "__pycache__"}
    relative = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [str(path) for path in relative if not litter & set(path.parts) and ".egg-info" not in str(path.parent)]


def plant(package: Path, distribution: Path) -> None:
    """Put new files into a package, litter into it and beside it."""
    here = {package / name: text for name, text in PLANTED.items()}
    here |= dict.fromkeys((package / name for name in LITTER), b"litter")
    here |= dict.fromkeys((distribution / name for name in BESIDE), b"")
    for path, text in here.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (package / "site" / "table.unheard-of").chmod(0o755)


def of_directory(directory: Path) -> Files:
    """The files below a directory that are no litter: whether each is executable, and its content."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    kept = [path for path in paths if "__pycache__" not in path.parts and not path.parent.name.endswith(".egg-info")]
    return {str(path.relative_to(directory)): (bool(path.stat().st_mode & 0o111), path.read_bytes()) for path in kept}


def of_wheel(path: Path) -> Files:
    with zipfile.ZipFile(path) as wheel:
        infos = [info for info in wheel.infolist() if not info.is_dir()]
        assert not [info for info in infos if stat.S_ISLNK(info.external_attr >> 16)]
        return {info.filename: (bool(info.external_attr >> 16 & 0o111), wheel.read(info)) for info in infos}


def of_sdist(path: Path) -> Files:
    """Without the leading directory, whose name is the file's."""
    with tarfile.open(path) as sdist:
        members = [member for member in sdist if not member.isdir()]
        assert all(member.isreg() for member in members)
        files = {member.name: (bool(member.mode & 0o111), sdist.extractfile(member)) for member in members}
        top = path.name.removesuffix(".tar.gz")
        assert {name.partition("/")[0] for name in files} == {top}
        return {name.removeprefix(f"{top}/"): (x, content.read()) for name, (x, content) in files.items() if content}


def differences(found: Mapping[str, object], expected: Mapping[str, object]) -> dict[str, list[str]]:
    """Names only, so that a failure can be read; all three empty is what is wanted."""
    return {
        "missing": sorted(expected.keys() - found.keys()),
        "too many": sorted(found.keys() - expected.keys()),
        "different": sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name]),
    }


NONE: dict[str, list[str]] = {"missing": [], "too many": [], "different": []}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree in which every package got files, and every directory litter."""
    copy = tmp_path_factory.mktemp("tree") / "copy"
    for name in tree_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    for name in NAMES:
        [package] = [path.parent for path in wheels.package_directory(copy / name).glob("*/__init__.py")]
        plant(package, copy / name)
    return copy


@pytest.fixture(scope="module")
def built_wheels(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of every distribution, from a copy that nothing else was built in."""
    scratch = tmp_path_factory.mktemp("wheels")
    shutil.copytree(tree, scratch / "tree", symlinks=True)
    paths = wheels.build_all("wheel", [scratch / "tree" / name for name in NAMES], scratch / "out")
    return dict(zip(NAMES, paths, strict=True))


@pytest.fixture(scope="module")
def built_sdists(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    scratch = tmp_path_factory.mktemp("sdists")
    shutil.copytree(tree, scratch / "tree", symlinks=True)
    paths = wheels.build_all("sdist", [scratch / "tree" / name for name in NAMES], scratch / "out")
    return dict(zip(NAMES, paths, strict=True))


@pytest.fixture(scope="module")
def wheels_of_sdists(built_sdists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    scratch = tmp_path_factory.mktemp("again")
    for path in built_sdists.values():
        with tarfile.open(path) as sdist:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.2 has none, later ones warn without
                sdist.extraction_filter = tarfile.data_filter
            sdist.extractall(scratch)
    sources = [scratch / path.name.removesuffix(".tar.gz") for path in built_sdists.values()]
    return dict(zip(NAMES, wheels.build_all("wheel", sources, scratch / "out"), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_has_the_package_its_metadata_and_the_licence(
    name: str, tree: Path, built_wheels: dict[str, Path]
) -> None:
    found = of_wheel(built_wheels[name])
    assert set(PLANTED) <= {name.partition("/")[2] for name in found}
    metadata = {name.partition(".dist-info/")[2]: found.pop(name) for name in list(found) if ".dist-info/" in name}
    assert differences(found, of_directory(wheels.package_directory(tree / name))) == NONE
    assert set(metadata) - {"entry_points.txt"} == {*METADATA, "licenses/LICENSE"}
    assert metadata["licenses/LICENSE"][1] == (ROOT / "LICENSE").read_bytes()
    assert ("[options.entry_points]" in (tree / name / "setup.cfg").read_text()) == ("entry_points.txt" in metadata)


@pytest.mark.parametrize("name", NAMES)
def test_an_sdist_has_what_its_wheel_is_built_from(name: str, tree: Path, built_sdists: dict[str, Path]) -> None:
    found = of_sdist(built_sdists[name])
    source = wheels.package_directory(tree / name)
    expected = {f"{source.name}/{path}": entry for path, entry in of_directory(source).items()}
    expected |= {path: entry for path, entry in of_directory(tree / name).items() if path in DECLARATIONS}
    egg_info = {path: found.pop(path) for path in list(found) if ".egg-info/" in path}
    assert {Path(path).name for path in egg_info} <= EGG_INFO
    assert b"License-Expression: Apache-2.0" in found.pop("PKG-INFO")[1]
    assert b"name = sealer" in found["setup.cfg"][1]
    found["setup.cfg"] = expected["setup.cfg"]  # setuptools writes it anew; the wheel that it makes is the same
    assert differences(found, expected) == NONE


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_from_the_sdist_is_the_wheel_from_the_tree(
    name: str, built_wheels: dict[str, Path], wheels_of_sdists: dict[str, Path]
) -> None:
    assert wheels_of_sdists[name].name == built_wheels[name].name
    found, expected = of_wheel(wheels_of_sdists[name]), of_wheel(built_wheels[name])
    for files in (found, expected):
        [record] = [path for path in files if path.endswith("/RECORD")]
        executable, text = files[record]
        files[record] = (executable, b"\n".join(sorted(text.splitlines())))
    assert differences(found, expected) == NONE


def test_the_package_of_a_new_plugin_takes_files_of_any_kind(tmp_path: Path) -> None:
    plugin = write_plugin("disk-check", tmp_path)
    plant(plugin / "src" / "sealer_plugin_disk_check", plugin)
    expected = of_directory(plugin / "src")
    assert set(PLANTED) <= {name.partition("/")[2] for name in expected}
    found = of_wheel(wheels.build("wheel", plugin, tmp_path / "out"))
    assert differences({name: found[name] for name in found if ".dist-info/" not in name}, expected) == NONE
