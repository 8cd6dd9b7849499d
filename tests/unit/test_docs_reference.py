"""Every short name that code or docs cite leads to a page, and every link of a page leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"])
SUFFIXES = {".py", ".md", ".toml"}

CITED = re.compile(
    r"""
      \b(?P<rule>[RI][1-9]\d*)\b                         # a rule of the growth engine, an invariant
    | \breference\s+(?P<chapter>[a-e])(?=[:;,)]|\.\s)     # a chapter of figures; "a" is also an article
    | (?<![\w.])(?P<figure>[a-e]\.\d+)\b                 # a section of figures
    | \boddit(?:y|ies)\s+(?P<oddity>\d+)\b
    | \bIssue\s+\#(?P<issue>\d+)\b
    """,
    re.VERBOSE,
)
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_PATH = re.compile(r"`([\w./-]+\.(?:py|md))(?:: \w+(?:\.\w+)?)?`")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def cited(text: str) -> Iterator[str]:
    """The anchors that the names cited in a text must have."""
    for match in CITED.finditer(text):
        kind, name = next((kind, name) for kind, name in match.groupdict().items() if name)
        yield f"{kind}-{name}" if kind in ("oddity", "issue") else name.lower()


def sources(root: Path) -> Iterator[Path]:
    """Python files, pages and settings, without hidden folders and what builds write."""
    for top in sorted(root.iterdir()):
        if top.is_dir() and (not top.name.startswith(".") or top.name == ".ci") and top.name not in ("data", "dist"):
            yield from (path for path in sorted(top.rglob("*")) if path.suffix in SUFFIXES)
        elif top.suffix in SUFFIXES:
            yield top


def without_page(root: Path, anchors: set[str]) -> list[str]:
    """Citations whose name has no anchor, each as `file: name`."""
    return [
        f"{path.relative_to(root)}: {name}"
        for path in sources(root)
        for name in dict.fromkeys(cited(path.read_text(encoding="utf-8")))
        if name not in anchors
    ]


def anchors_of(page: Path) -> set[str]:
    """Explicit anchors, and the ones that GitHub gives to headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = (ANCHOR.sub("", line).lower() for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE))
    return {*ANCHOR.findall(text), *(re.sub(r"[^\w\- ]", "", line).strip().replace(" ", "-") for line in headings)}


def reference_anchors() -> list[str]:
    return [name for page in sorted(REFERENCE.glob("*.md")) for name in ANCHOR.findall(page.read_text("utf-8"))]


def test_every_citation_leads_to_a_page() -> None:
    missing = without_page(ROOT, set(reference_anchors()))
    assert not missing, "docs/reference/ has no anchor for these; see docs/reference/README.md:\n" + "\n".join(missing)


def test_a_name_has_one_page() -> None:
    names = reference_anchors()
    assert len(names) == len(set(names))
    assert {f"r{i}" for i in range(1, 43)} | {f"i{i}" for i in range(1, 14)} <= set(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("weights (R{0}-R{1})", ["r{0}", "r{1}"]),
        ("invariant I{0}", ["i{0}"]),
        ("(reference b.{0}: sizes)", ["b.{0}"]),
        ("(reference c: sizes); a reference a reader knows", ["c"]),
        ("oddity {0} of AquaMind, Issue #{1}", ["oddity-{0}", "issue-{1}"]),
        ("x = a.shape[{0}], 1e.{0}, R{0}a, self.b.{0}", []),
    ],
)
def test_citations_are_found(text: str, names: list[str], tmp_path: Path) -> None:
    """Unknown names of every form are found in a file, and other text is not taken for one."""
    numbers = 998, 999
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "module.py").write_text(f'"""{text.format(*numbers)}"""')
    wanted = [f"some/module.py: {name.format(*numbers)}" for name in names]
    assert without_page(tmp_path, set()) == wanted
    assert without_page(tmp_path, {name.format(*numbers) for name in names}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Files exist, and so do the anchors of pages; addresses on the web are not asked."""
    broken = []
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        place, _, anchor = target.partition("#")
        if "://" in place:
            continue
        there = (page.parent / place).resolve() if place else page
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_and_pages_that_a_page_names_exist(page: Path) -> None:
    """A page names them by the end of their path. The changelog may name what is gone."""
    if page.name == "CHANGELOG.md":
        return
    there = [f"/{path.relative_to(ROOT)}" for path in sources(ROOT)]
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    assert not [name for name in NAMED_PATH.findall(text) if not any(one.endswith(f"/{name}") for one in there)]


def test_what_holds_an_invariant_exists() -> None:
    """The tests and checks that the page of invariants names, and each invariant names some."""
    text = (REFERENCE / "invariants.md").read_text(encoding="utf-8")
    tests = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    rules = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "checks.md").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", text))
    checks = {
        name for line in re.findall(r"^- checks? (.*)$", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert named <= tests, sorted(named - tests)
    assert checks <= rules, sorted(checks - rules)
    for section in text.split('\n## <a id="')[1:]:
        assert re.search(r"^- ", section, re.MULTILINE), section.partition("\n")[0]


PROMISE = re.compile(r"^\| .* \| (.*) \|$", re.MULTILINE)
NAMED_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_promise_has_a_test() -> None:
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    sections = re.split(r"^\| Promise \| Test \|$", page, flags=re.MULTILINE)[1:]
    assert sections
    for section in sections:
        rows = section.strip().split("\n\n")[0]
        for promise in PROMISE.findall(rows):
            named = NAMED_TEST.fullmatch(promise)
            assert named, promise
            (path,) = (ROOT / "tests").rglob(named[1])
            assert f"def {named[2]}(" in path.read_text(encoding="utf-8"), promise
