from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import ImageError, ImageNotFoundError, InputError, RefusedError
from sealer.image.archive import load, save
from sealer.image.model import ClusterImage
from sealer.image.oci import INDEX, Descriptor
from sealer.image.store import Store

Build = Callable[..., ClusterImage]


@pytest.fixture
def two(build_image: Build, context: Path) -> tuple[ClusterImage, ClusterImage]:
    """Two images that share their first layer."""
    (context / "a").write_text("a")
    (context / "b").write_text("b")
    first = build_image("FROM scratch\nCOPY a .", names=("app:v1",))
    return first, build_image("FROM app:v1\nCOPY b .", names=("app:v2", "r.io:5000/ns/app"))


def blobs(store: Store) -> set[str]:
    return {path.name for path in store.blobs.iterdir()}


def test_an_empty_store_is_empty_and_stays_uncreated(store: Store) -> None:
    assert store.list() == ()
    with pytest.raises(ImageNotFoundError) as caught:
        store.find("app")
    assert "the store is empty" in caught.value.remedy
    assert not store.root.exists()


def test_images_are_found_by_name_digest_and_its_beginning(
    store: Store, two: tuple[ClusterImage, ClusterImage]
) -> None:
    first, second = two
    hexadecimal = second.digest.removeprefix("sha256:")
    for name in (
        "app:v2",
        "r.io:5000/ns/app",
        "r.io:5000/ns/app:latest",
        second.digest,
        hexadecimal,
        hexadecimal[:12],
        f"app@{second.digest}",
        f"app:v2@{second.digest}",
    ):
        assert store.find(name).digest == second.digest, name
    assert store.find("app:v1").first.layers == second.first.layers[:1]
    for wrong in (f"app:v1@{second.digest[:-1]}x", "APP"):
        with pytest.raises(InputError):
            store.find(wrong)
    for missing in ("app", f"other@{first.digest}", "sha256:" + "0" * 64):
        with pytest.raises(ImageNotFoundError):
            store.find(missing)


def test_near_names_are_offered(store: Store, two: tuple[ClusterImage, ClusterImage]) -> None:
    for asked, offered in (("app:v3", "app:v1"), ("aap", "app"), ("app", "app:v2")):
        with pytest.raises(ImageNotFoundError) as caught:
            store.find(asked)
        assert offered in caught.value.remedy


def test_the_layout_is_the_standard_one(store: Store, two: tuple[ClusterImage, ClusterImage]) -> None:
    assert json.loads((store.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((store.root / "index.json").read_text())
    assert index["schemaVersion"] == 2
    names = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]]
    assert sorted(names) == ["app:v1", "app:v2", "r.io:5000/ns/app:latest"]
    for blob in store.blobs.iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    image = json.loads(store.path(two[1].digest).read_text())
    assert image["mediaType"] == INDEX
    assert image["artifactType"] == "application/vnd.sealer.cluster-image.v1"
    (rootfs,) = image["manifests"]
    assert rootfs["platform"]["os"] == "linux"
    assert not list((store.root / "tmp").iterdir())


def test_removing_keeps_what_others_use(store: Store, two: tuple[ClusterImage, ClusterImage]) -> None:
    first, second = two
    (removal,) = store.remove("app:v2")
    assert (removal.names, removal.digest, removal.blobs) == (("app:v2",), "", ())
    (removal,) = store.remove("r.io:5000/ns/app")
    assert removal.digest == second.digest
    assert blobs(store) == {digest.removeprefix("sha256:") for digest in store.closure(store.descriptor("app:v1"))}
    assert store.find("app:v1") == first
    assert store.remove(first.digest[:20])[0].names == ("app:v1",)
    assert blobs(store) == set()
    assert store.list() == ()


def test_a_digest_with_several_names_is_removed_by_force_alone(
    store: Store, two: tuple[ClusterImage, ClusterImage]
) -> None:
    with pytest.raises(RefusedError, match="has 2 names"):
        store.remove(two[1].digest)
    assert store.remove(two[1].digest, force=True)[0].names == ("app:v2", "r.io:5000/ns/app:latest")
    assert [image.reference for image in store.list()] == ["app:v1"]


def test_an_image_that_lost_its_name_stays_until_it_is_removed(
    store: Store, two: tuple[ClusterImage, ClusterImage]
) -> None:
    first, second = two
    assert store.tag("app:v2", ["app:v1", "new"]) == second.digest
    assert [image.reference for image in store.list()] == [
        "app:v1",
        "app:v2",
        "new:latest",
        "r.io:5000/ns/app:latest",
        "",
    ]
    assert store.find("app:v1").digest == second.digest
    assert store.find(first.digest).first.layers == first.first.layers
    assert store.tag(first.digest, ["old"]) == first.digest
    assert "" not in [image.reference for image in store.list()]


def test_building_the_same_again_changes_nothing_but_the_date(store: Store, build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    first = build_image("FROM scratch\nCOPY a .")
    before = blobs(store)
    os.utime(context / "a", (1, 1))
    assert build_image("FROM scratch\nCOPY a .").digest == first.digest
    assert blobs(store) == before
    assert len(store.list()) == 1


@pytest.mark.parametrize("damage", ["missing layer", "short layer", "changed manifest", "missing manifest"])
def test_a_damaged_image_is_named(store: Store, build_image: Build, context: Path, damage: str) -> None:
    (context / "a").write_text("a")
    rootfs = build_image("FROM scratch\nCOPY a .").first
    path = rootfs.layers[0].path if "layer" in damage else store.path(rootfs.digest)
    content = path.read_bytes()
    path.unlink()
    if not damage.startswith("missing"):
        path.write_bytes(content[:-1] if damage == "short layer" else content[:-1] + b" ")
    with pytest.raises(ImageError) as caught:
        store.find("app:v1")
    assert caught.value.remedy
    if "manifest" in damage:
        assert store.list()[0].problem
        with pytest.raises(ImageError):
            store.prune()  # with a document unread, nobody knows which blobs are needed
        assert rootfs.layers[0].path.exists()


def test_a_damaged_image_is_no_obstacle_to_a_removal(store: Store, build_image: Build) -> None:
    for number in range(3):
        image = build_image(f"FROM scratch\nLABEL a={number}", names=(f"app:{number}",))
        if number:
            store.path(image.first.digest).unlink()
    with pytest.raises(ImageError, match="but its blobs are kept") as caught:
        store.remove("app:0")
    assert "`sealer rmi app:1 app:2`" in caught.value.remedy
    assert [image.reference for image in store.list()] == ["app:1", "app:2"]
    assert blobs(store)
    store.remove("app:1", "app:2")
    assert blobs(store) == set()


def test_the_damaged_image_is_named_to_whoever_prunes(store: Store, build_image: Build) -> None:
    image = build_image("FROM scratch\nCMD a", names=("one", "two"))
    store.path(image.first.digest).write_bytes(b"{}")
    with pytest.raises(ImageError, match="unused blobs are kept") as caught:
        store.prune()
    assert "`sealer rmi one:latest two:latest`" in caught.value.remedy
    store.remove("one", "two")
    assert store.prune() == ()


def test_loading_it_again_mends_a_damaged_image(store: Store, build_image: Build, context: Path) -> None:
    """Also where the damage did not change the size of a blob."""
    (context / "a").write_text("a" * 5000)
    image = build_image("FROM scratch\nCOPY a .")
    save(store, ["app:v1"], context.parent / "x.tar")
    before = {path.name: path.read_bytes() for path in store.blobs.iterdir()}
    for name, content in before.items():
        (store.blobs / name).write_bytes(bytes(len(content)))
    load(store, context.parent / "x.tar")
    assert {path.name: path.read_bytes() for path in store.blobs.iterdir()} == before
    assert store.find("app:v1") == image


def test_an_index_that_is_no_json_is_an_error(store: Store, build_image: Build) -> None:
    build_image("FROM scratch")
    (store.root / "index.json").write_text("{")
    with pytest.raises(ImageError, match="not a JSON document") as caught:
        store.list()
    assert caught.value.remedy


def test_what_a_dead_process_left_behind_goes_and_what_lives_stays(store: Store) -> None:
    with store.stage() as living:
        dead = store.root / "tmp" / "dead"
        (dead / "build" / "rootfs").mkdir(parents=True)
        (dead / "build" / "rootfs").chmod(0o500)
        with store.stage():
            assert not dead.exists()
            assert living.directory.exists()
    assert not list((store.root / "tmp").iterdir())


def test_a_blob_must_be_what_was_promised(store: Store) -> None:
    digest = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    with store.stage() as staging:
        assert staging.add([b"ab", b"c"], "x", digest=digest, size=3).digest == digest
        for chunks, size in (([b"abd"], 3), ([b"abcd"], 3), ([b"ab"], 3), ([b"abc"], 4)):
            with pytest.raises(ImageError, match="not what it should be"):
                staging.add(chunks, "x", digest=digest, size=size)
        assert [path.name for path in staging.blobs.iterdir()] == [digest.removeprefix("sha256:")]


def test_an_image_whose_parts_are_not_there_is_not_named(store: Store, build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    image = build_image("FROM scratch\nCOPY a .")
    entry = store.descriptor(image.digest)
    image.first.layers[0].path.unlink()
    with store.stage() as staging, pytest.raises(ImageError, match="a blob of the image is missing"):
        store.commit(staging, entry, ["other"])
    assert [image.reference for image in store.list()] == ["app:v1"]


def test_several_images_are_removed_together_or_not_at_all(
    store: Store, two: tuple[ClusterImage, ClusterImage]
) -> None:
    before = store.list()
    for wrong, error in (("none", ImageNotFoundError), (two[1].digest, RefusedError)):
        with pytest.raises(error):
            store.remove("app:v1", wrong)
        assert store.list() == before
    done = store.remove("app:v2", "r.io:5000/ns/app", "r.io:5000/ns/app:latest", "app:v1", two[0].digest)
    assert [removal.names for removal in done] == [("app:v2",), ("r.io:5000/ns/app:latest",), ("app:v1",)]
    assert [removal.digest for removal in done] == ["", two[1].digest, two[0].digest]
    assert blobs(store) == set()


def test_an_image_that_somebody_needs_is_removed_by_force_alone(
    store: Store, two: tuple[ClusterImage, ClusterImage]
) -> None:
    first, second = two
    needed = {
        first.digest: ("the cluster 'a' (running)", "the cluster 'b' (creating)"),
        second.digest: ("the cluster",),
    }
    with pytest.raises(RefusedError, match=r"'app:v1' is in use by the cluster 'a' \(running\), the cluster 'b'"):
        store.remove("app:v2", "app:v1", users=lambda: needed)
    assert store.remove("app:v2", users=lambda: needed)[0].digest == ""  # one name of two
    assert store.remove("app:v1", users=lambda: needed, force=True)[0].digest == first.digest


def test_an_image_stays_whole_while_it_is_used(store: Store, two: tuple[ClusterImage, ClusterImage]) -> None:
    first, second = two
    with store.using("app:v1"):
        with pytest.raises(RefusedError, match=f"in use by process {os.getpid()}"):
            store.remove("app:v1")
        store.remove("app:v1", second.digest, force=True)
        assert store.list() == ()
        assert first.first.layers[0].path.exists()
        assert not second.first.layers[1].path.exists()
    assert blobs(store) == set()
    with pytest.raises(ImageNotFoundError), store.using("app:v1"):
        pass


def test_a_base_that_is_removed_during_the_build_stays_usable(store: Store, build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    base = build_image("FROM scratch\nCOPY a .", names=("base",))
    before = blobs(store)
    with store.stage() as staging:
        assert store.use(staging, "base") == base
        assert store.remove("base", force=True)[0].digest == base.digest
        assert blobs(store) == before
        store.commit(staging, Descriptor(INDEX, base.digest, store.path(base.digest).stat().st_size), ["again"])
    assert store.find("again").first == base.first


def test_a_new_image_stays_whole_until_its_build_has_ended(store: Store, build_image: Build) -> None:
    image = build_image("FROM scratch", names=("app",))
    with store.stage() as staging:
        store.commit(staging, store.descriptor("app"), ["again"])
        store.remove("app", "again", force=True)
        assert store.path(image.digest).exists()
    assert blobs(store) == set()


def test_an_area_that_is_being_removed_is_nobody_elses(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock must be there to the last: whoever finds an area without one takes its process for dead."""
    unlink = os.unlink

    def unlink_and_look(path: str, **options: int) -> None:
        unlink(path, **options)
        if area not in Path(path).parents:
            return
        with monkeypatch.context() as other:
            other.setattr(os, "unlink", unlink)
            with store.stage():  # another process begins its work
                pass

    with store.stage() as staging:
        area = staging.directory
        for name in ("a", "b", "c"):
            (area / "build" / name).mkdir(parents=True)
            (area / "build" / name / "file").touch()
        monkeypatch.setattr(os, "unlink", unlink_and_look)
    assert not area.exists()
    assert not list((store.root / "tmp").iterdir())
