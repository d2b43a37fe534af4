"""The kernel's own readers: manifests, lists of images, Helm charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.errors import ImageError
from sealer.image.discovery.actions import Actions
from sealer.image.discovery.charts import CHART, LARGEST_CHART, MOST_CHARTS, Charts, files_of, first_document, unpacked
from sealer.image.discovery.files import GZIP, NO_FILES, Files
from sealer.image.discovery.guessing import IN_VALUES, Chart, overlaid_by, with_tag
from sealer.image.discovery.installs import Install
from sealer.image.discovery.lists import is_image_list, read_image_list
from sealer.image.discovery.manifests import read_manifest
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference
from sealer.image.discovery.nodes import Table
from sealer.image.discovery.rendering import RENDERED, Helm, HelmError
from sealer.image.discovery.scope import Scope


@dataclass
class Readers:
    """Read one file after the other.

    :param helm: renders charts; None: what they would run is guessed.
    :param values: files of values, each with the path of the chart it is for, or with nothing for every chart.
    :param installs: charts that the image's commands install, with the values of their choice.
    :param variables: what the templates (`.tmpl`) of a rootfs may name: the environment of the image.
    """

    helm: Helm | None = None
    values: tuple[tuple[str, Path], ...] = ()
    installs: tuple[Install, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    _charts: Charts = field(default_factory=lambda: Charts(NO_FILES), init=False)
    _charts_of: Files = field(default=NO_FILES, init=False)

    def read(self, path: str, content: bytes, files: Files = NO_FILES) -> list[Mention]:
        """The images that a file mentions.

        :param files: all files, of which a chart is made.
        """
        if self._charts_of is not files:
            self._charts, self._charts_of = Charts(files), files
        root = self._charts.root_of(path)
        if root is not None:
            return self._directory(root, files) if path == f"{root}{CHART}" else []
        if content.startswith(GZIP):
            return self._archive(path, content, files)
        if is_image_list(path):
            return read_image_list(content)
        above = self._charts.values_of(path)
        if above is not None:
            return self._more_values(above, path, content, files)
        evaluate = Actions.of_variables(self.variables)
        return read_manifest(path, content, Scope(evaluate) if path.endswith(".tmpl") else Scope())

    def _directory(self, root: str, files: Files) -> list[Mention]:
        try:
            content = files_of(files, root, self._charts.root_of)
        except ImageError as error:
            return [UnresolvedReference(root or ".", str(error), 1, RENDERED)]
        return self._charts_of_name(root.rstrip("/") or ".", content, root, files)

    def _archive(self, path: str, content: bytes, tree: Files) -> list[Mention]:
        files = unpacked(content)
        return [] if files is None else self._charts_of_name(path, files, f"{path}/", tree)

    def _charts_of_name(self, name: str, files: dict[str, bytes], place: str, tree: Files) -> list[Mention]:
        """The images of one chart: as often as it is installed, once at least."""
        if (about := Chart(files, place).about).word("type") == "library" or not about.word("name"):
            return []  # nothing can be installed from it
        found: list[Mention] = []
        for install in [one for one in self.installs if one.chart == name] or [Install(name)]:
            values: list[Path | bytes] = []
            for path in install.values:
                if path in tree.paths():
                    values.append(tree.read(path))
                else:
                    why = "a command installs the chart with these values, and the image has no such file"
                    found.append(UnresolvedReference(path, why, 1, RENDERED, f"{place}{CHART}"))
            found += self._chart(Chart(files, place), [*values, *self._values_for(name)], install)
        return found

    def _chart(self, chart: Chart, values: Sequence[Path | bytes], install: Install) -> list[Mention]:
        for file in [*values, *([install.set_values] if install.settings else [])]:
            chart.values = overlaid_by(chart.values, file)
        guessed = chart.mentions()
        if not self.helm:
            return guessed
        if chart.too_large():  # helm itself has no bound: minutes, and all of the memory
            why = f"helm is not run on a chart with more than {MOST_CHARTS} charts, or {LARGEST_CHART} bytes, within it"
            return [UnresolvedReference(chart.name, why, 1, RENDERED, f"{chart.place}{CHART}"), *guessed]
        try:
            rendered = self.helm.render(chart.files, chart.place, values, install.settings)
        except HelmError as error:
            return [UnresolvedReference(chart.name, str(error), 1, RENDERED, f"{chart.place}{CHART}"), *guessed]
        return _with_lines(rendered, guessed)

    def _values_for(self, name: str) -> list[Path]:
        return [file for wanted, file in self.values if wanted in ("", name)]

    def _more_values(self, root: str, path: str, content: bytes, files: Files) -> list[Mention]:
        about = first_document(files.read(f"{root}{CHART}"))
        version = about.word("appVersion") if isinstance(about, Table) else ""
        scope = Scope(guess=True, rule=IN_VALUES)
        return [with_tag(one, version) for one in read_manifest(path, content, scope)]


def _with_lines(rendered: list[Mention], guessed: list[Mention]) -> list[Mention]:
    """What helm rendered, with the lines of the templates where the guess came to the same image."""
    lines = {(one.file, one.image): one.line for one in guessed if isinstance(one, ImageReference)}

    def placed(one: Mention) -> Mention:
        if not isinstance(one, ImageReference) or one.line:
            return one
        return replace(one, line=lines.get((one.file, one.image), 0))

    return [placed(one) for one in rendered]
