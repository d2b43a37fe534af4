"""What the page about security says of documents, held against those for an old, a middle and a new version."""

from __future__ import annotations

import pytest
import yaml
from cis_table import COMPONENTS, CONFIGURED, Claim, Row, rows

from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, init_documents, prepare
from sealer_plugin_kubeadm.documents.trees import Tree, get
from sealer_plugin_kubeadm.options import Options

NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
VERSIONS = ("v1.20.2", "v1.30.4", "v1.36.2")
# The benchmark's own items: its chapters, and how many each has.
CHAPTERS = {"1.1": 21, "1.2": 30, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 14, "4.3": 1}


def documents(version: str) -> dict[str, Tree]:
    options = Options.of({})
    needs = ClusterNeeds(
        version,
        masters=("198.18.0.11",),
        cgroup_driver="systemd",
        validity=options.validity_duration,
        signing=options.signing_duration,
        encrypt_secrets=options.encrypt_secrets,
    )
    return {str(it["kind"]): it for it in yaml.safe_load_all(init_documents(prepare((), (), needs), NODE).text)}


def said(made: dict[str, Tree], claim: Claim) -> str | None:
    """What the documents say of a claim; None: nothing."""
    if claim.of in COMPONENTS:
        flags = get(made["ClusterConfiguration"], f"{COMPONENTS[claim.of]}.extraArgs")
        if isinstance(flags, list):
            flags = {str(it["name"]): it["value"] for it in flags if isinstance(it, dict)}
        value = flags.get(claim.name) if isinstance(flags, dict) else None
    else:
        value = get(made[CONFIGURED[claim.of]], claim.name)
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else None if value is None else str(value)


def of_documents(row: Row) -> list[Claim]:
    return [claim for claim in row.claims if claim.of in COMPONENTS or claim.of in CONFIGURED] if row.met else []


def test_every_item_of_the_benchmark_has_a_row_and_every_row_its_reason() -> None:
    wanted = [f"{chapter}.{number}" for chapter, count in CHAPTERS.items() for number in range(1, count + 1)]
    assert [row.item for row in rows()] == wanted
    for row in rows():
        assert bool(row.by) == row.met, row.item
        assert len(row.where) > 10, f"{row.item} does not say why"
    known = {*COMPONENTS, *CONFIGURED, "root"}
    assert all(it.of in known or it.of.isdigit() for row in rows() if row.met for it in row.claims)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_met_by_sealer_stands_in_the_documents(version: str) -> None:
    made = documents(version)
    looked_at = 0
    for row in rows():
        for claim in of_documents(row):
            value, where = said(made, claim), f"{row.item}: {claim}"
            if claim.without:
                assert value is None, where
            elif row.by == "sealer":
                assert value == claim.value, where
                looked_at += 1
            else:  # kubeadm's own must be left as it is
                assert value in (None, claim.value), where
    assert looked_at > 15


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_that_lost_a_field_would_be_noticed(version: str) -> None:
    """Without each flag and field that a row claims, that row is wrong: the table is not true by being read badly."""
    empty: dict[str, Tree] = {kind: {} for kind in documents(version)}
    wrong = {
        row.item
        for row in rows()
        if row.by == "sealer" and any(not it.without and said(empty, it) != it.value for it in of_documents(row))
    }
    assert {"1.2.5", "1.2.15", "1.2.16", "1.2.27", "1.2.29", "1.3.2", "1.4.1", "3.2.1", "4.2.9", "4.2.10"} <= wrong
