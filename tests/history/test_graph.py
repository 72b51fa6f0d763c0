from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.errors import HistoryBroken, ProjectUnreadable
from handrail.history.files import source
from handrail.history.files.graph import Graph, assemble, load, revision_map
from handrail.history.files.problem import Problem, ProblemKind
from handrail.history.files.project import Project, find
from handrail.history.stage import heads_along
from handrail.model.revision import Direction, Revision

INI = "[alembic]\nscript_location = %(here)s/migrations\n"


def project(root: Path, extra: str = "") -> Project:
    versions = root / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (root / "migrations" / "env.py").touch()
    (root / "alembic.ini").write_text(INI + extra)
    return find(root)


def text(identity: str, parents: object = None, *, depends_on: object = None, labels: object = None) -> str:
    return (
        f'"""Step {identity}."""\n\nrevision = {identity!r}\ndown_revision = {parents!r}\n'
        f"branch_labels = {labels!r}\ndepends_on = {depends_on!r}\n\n\n"
        "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )


def write(root: Path, **files: str) -> Graph:
    found = project(root)
    for name, content in files.items():
        (root / "migrations" / "versions" / f"{name}.py").write_text(content)
    return load(found)


def chain(*ids: str) -> dict[str, str]:
    return {f"{new}_step": text(new, old) for old, new in pairwise([None, *ids]) if new}


def of_kind(graph: Graph, kind: ProblemKind) -> list[Problem]:
    return [problem for problem in graph.problems if problem.kind is kind]


def ids(revisions: Sequence[Revision]) -> list[str]:
    return [revision.id for revision in revisions]


def test_a_revision_is_read_with_its_place_lines_header_and_digest(tmp_path: Path) -> None:
    content = text("b2", ("a1", "a2"), depends_on="c1", labels=["late"])
    graph = write(tmp_path, x_a=text("a1"), x_b=text("a2"), x_c=text("c1"), z_add_email=content)
    revision = graph.revisions["b2"]
    assert (revision.parents, revision.depends_on, revision.branch_labels) == (("a1", "a2"), ("c1",), ("late",))
    assert (revision.upgrade_line, revision.downgrade_line) == (9, 13)
    assert revision.header.purpose == "Step b2."
    assert revision.source == content
    assert revision.digest == sha256(content.encode()).hexdigest()
    assert revision.path == (tmp_path / "migrations/versions/z_add_email.py").resolve()


@pytest.mark.parametrize(
    ("lines", "parents"),
    [
        ("revision: str = 'b'\ndown_revision: str | None = 'a'", ("a",)),
        ("revision = 'b'\ndown_revision = ['a', 'c']", ("a", "c")),
        ("revision = 'b'\ndown_revision = {'a'}", ("a",)),
        ("revision = ('b' '')\ndown_revision = None", ()),
        ("revision = 'b'\ndown_revision = 'a' + '1'", ("a1",)),
        ("first = 'a'\nrevision, down_revision = 'b', first", ("a",)),
        ("revision = 'x'\nrevision = 'b'\ndown_revision = (\n    'a',\n)", ("a",)),
        ("revision = 'b'\ndown_revision = ()", ()),
    ],
)
def test_every_way_of_writing_the_identity_is_read(lines: str, parents: tuple[str, ...]) -> None:
    revision, _ = source.parse(lines.encode(), Path("b.py"))
    assert revision is not None
    assert (revision.id, revision.parents) == ("b", parents)


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ("revision = make()\ndown_revision = None", 1, "make() is computed"),
        ("revision = 'b'\ndown_revision = ('a', 1)", 2, "1 is computed"),
        ("revision = 'b'\nif True:\n    down_revision = 'a'", 3, "not set plainly"),
        ("revision = 'b'\ndown_revision = 'a'\ndown_revision += 'b'", 3, "not set plainly"),
        ("revision = 'b'\n*_, down_revision = parents", 2, "not set plainly"),
        ("revision = 'b'", None, "no down_revision"),
        ("revision = 'heads'; down_revision = None", None, "a place in the history"),
        ("revision = None\ndown_revision = None", None, "not a text"),
        ("revision = 'a@b'\ndown_revision = None", None, "refuses"),
        ("revision = 'b'\ndef upgrade(:\n", 2, "invalid syntax"),
        ("# coding: nonsense\n", None, "unknown encoding"),
        ("x = '\0'", None, "null byte"),
        ("(" * 300, None, ""),
    ],
)
def test_a_file_that_does_not_tell_its_place_is_a_problem_with_its_line(
    lines: str, line: int | None, reason: str
) -> None:
    revision, problems = source.parse(lines.encode(), Path("versions/b.py"))
    assert revision is None
    assert [problem.kind for problem in problems] == [ProblemKind.UNREADABLE]
    assert reason in problems[0].why
    assert "versions/b.py" in problems[0].what
    if line is not None:
        assert problems[0].line == line


def test_declared_encodings_and_byte_order_marks_are_honoured(tmp_path: Path) -> None:
    found = project(tmp_path)
    body = text("a1").replace("Step", "Spieler für")
    folder = tmp_path / "migrations" / "versions"
    (folder / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\n" + body.encode("latin-1"))
    (folder / "marked.py").write_bytes(b"\xef\xbb\xbf" + body.replace("a1", "b1").encode())
    (folder / "wrong.py").write_bytes(b"\n\n" + body.replace("a1", "c1").encode("latin-1"))
    graph = load(found)
    assert graph.revisions["a1"].header.purpose == "Spieler für a1."
    assert graph.revisions["b1"].header.purpose == "Spieler für b1."
    [problem] = of_kind(graph, ProblemKind.UNREADABLE)
    assert problem.files[0].name == "wrong.py"
    assert problem.line == 3


def test_one_bad_file_does_not_hide_the_others_but_closes_every_path(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("a1", "b1"), broken="def upgrade(:")
    assert ids(list(graph.walk())) == ["b1", "a1"]
    with pytest.raises(ProjectUnreadable) as caught:
        graph.upgrade_path((), "head")
    assert "broken.py, line 1" in caught.value.what


def test_files_that_alembic_passes_over_are_passed_over(tmp_path: Path) -> None:
    found = project(tmp_path)
    folder = tmp_path / "migrations" / "versions"
    for name in ("__init__.py", "__init__x.py", ".#a.py", "notes.txt", "a.py~", "a.pyc"):
        (folder / name).write_text("not a revision")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "b.py").write_text("not a revision")
    (folder / "inner").mkdir()
    (folder / "inner" / "c.py").write_text("not a revision")
    (folder / ".hidden.py").write_text(text("a1"))
    graph = load(found)
    assert list(graph.revisions) == ["a1"]
    assert graph.problems == ()


def test_inner_folders_count_where_the_project_says_so(tmp_path: Path) -> None:
    found = project(tmp_path, "recursive_version_locations = true\n")
    inner = tmp_path / "migrations" / "versions" / "2026" / "11"
    inner.mkdir(parents=True)
    (inner / "a.py").write_text(text("a1"))
    assert list(load(found).revisions) == ["a1"]


def test_a_file_reached_twice_is_read_once(tmp_path: Path) -> None:
    found = project(tmp_path, "version_locations = migrations/versions migrations/linked\npath_separator = space\n")
    (tmp_path / "migrations" / "linked").symlink_to(tmp_path / "migrations" / "versions")
    (tmp_path / "migrations" / "versions" / "a.py").write_text(text("a1"))
    (tmp_path / "migrations" / "versions" / "b.py").symlink_to(tmp_path / "migrations" / "versions" / "a.py")
    graph = load(found)
    assert list(graph.revisions) == ["a1"]
    assert graph.problems == ()


def test_an_old_file_without_revision_has_its_name_as_id(tmp_path: Path) -> None:
    old = "down_revision = None\ndef upgrade(): ...\ndef downgrade(): ...\n"
    assert list(write(tmp_path, abc123=old).revisions) == ["abc123"]


def test_a_file_without_a_revision_is_told_and_left_out(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("a1"), notes="x = 1\n")
    [problem] = graph.problems
    assert (problem.kind, problem.files[0].name, problem.blocking) == (ProblemKind.STRAY, "notes.py", False)
    assert ids(graph.upgrade_path((), "head")) == ["a1"]


def test_compiled_files_without_source_are_told_where_they_count(tmp_path: Path) -> None:
    found = project(tmp_path, "sourceless = true\n")
    folder = tmp_path / "migrations" / "versions"
    (folder / "__pycache__").mkdir()
    (folder / "a.py").write_text(text("a1"))
    for name in ("a.pyc", "b.pyc", "__pycache__/a.cpython-311.pyc", "__pycache__/c.cpython-311.pyc"):
        (folder / name).write_bytes(b"")
    graph = load(found)
    told = [problem.files[0].name for problem in of_kind(graph, ProblemKind.COMPILED_ONLY)]
    assert told == ["b.pyc", "c.cpython-311.pyc"]
    assert list(graph.revisions) == ["a1"]


def test_functions_that_are_missing_or_elsewhere_have_no_line(tmp_path: Path) -> None:
    head = "revision = 'a1'\ndown_revision = None\n"
    imported = write(tmp_path, a=head + "from steps import upgrade\nasync def downgrade(): ...\n")
    revision = imported.revisions["a1"]
    assert (revision.upgrade_line, revision.downgrade_line) == (None, 4)
    [problem] = imported.problems
    assert (problem.kind, problem.line, problem.blocking) == (ProblemKind.FUNCTION_ELSEWHERE, 3, False)
    [missing, assigned] = write(tmp_path, a=head + "downgrade = None\n").problems
    assert (missing.kind, assigned.kind) == (ProblemKind.MISSING_FUNCTION, ProblemKind.FUNCTION_ELSEWHERE)


def test_an_empty_versions_folder_is_an_empty_graph(tmp_path: Path) -> None:
    graph = write(tmp_path)
    assert (graph.heads, graph.bases, graph.problems, list(graph.walk())) == ((), (), (), [])
    assert graph.upgrade_path((), "head") == ()


def test_a_version_location_that_does_not_exist_is_told(tmp_path: Path) -> None:
    found = project(tmp_path, "version_locations = migrations/versions:migrations/lost\npath_separator = os\n")
    [problem] = load(found).problems
    assert problem.kind is ProblemKind.MISSING_FOLDER
    assert "migrations/lost" in problem.what


def test_an_id_used_twice_names_both_files(tmp_path: Path) -> None:
    graph = write(tmp_path, one=text("a1"), two=text("a1"))
    [problem] = graph.problems
    assert problem.kind is ProblemKind.DUPLICATE
    assert [path.name for path in problem.files] == ["one.py", "two.py"]
    with pytest.raises(HistoryBroken, match="defined twice"):
        graph.upgrade_path((), "head")


def test_a_missing_parent_names_the_file_and_the_nearest_id(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("ae1027a6acf"), b=text("b1", "ae1027a6acd"))
    [problem] = of_kind(graph, ProblemKind.MISSING_PARENT)
    assert problem.revisions == ("b1", "ae1027a6acd")
    assert problem.files[0].name == "b.py"
    assert "did you mean ae1027a6acf" in problem.why
    with pytest.raises(HistoryBroken, match="which no file defines"):
        graph.upgrade_path((), "head")
    assert set(ids(list(graph.walk()))) == {"b1", "ae1027a6acf"}


def test_a_missing_dependency_is_told(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("a1", depends_on="other"))
    assert [problem.kind for problem in graph.problems] == [ProblemKind.MISSING_DEPENDENCY]


def test_a_circle_is_told_in_its_order(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("a1", "c1"), b=text("b1", "a1"), c=text("c1", "b1"), d=text("d1", "c1"))
    [problem] = of_kind(graph, ProblemKind.CYCLE)
    assert problem.revisions == ("a1", "c1", "b1")
    assert "a1 -> c1 -> b1 -> a1" in problem.why
    assert {path.name for path in problem.files} == {"a.py", "b.py", "c.py"}
    assert sorted(ids(list(graph.walk()))) == ["a1", "b1", "c1", "d1"]
    with pytest.raises(HistoryBroken, match="circle"):
        graph.upgrade_path((), "head")


def test_a_circle_through_a_dependency_and_one_onto_itself_are_told(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("a1", depends_on="b1"), b=text("b1", "a1"), c=text("c1", "c1"))
    loops = [problem.revisions for problem in of_kind(graph, ProblemKind.CYCLE)]
    assert loops == [("a1", "b1"), ("c1",)]


def test_a_label_used_twice_is_told(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("a1", labels=("x",)), b=text("b1", "a1", labels=("x",)))
    [problem] = of_kind(graph, ProblemKind.DUPLICATE_LABEL)
    assert [path.name for path in problem.files] == ["a.py", "b.py"]


def test_two_heads_are_named_with_the_ways_out(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("a1", "b1"), other=text("c1", "a1"))
    assert graph.heads == ("b1", "c1")
    assert graph.children("a1") == ("b1", "c1")
    [problem] = graph.problems
    assert problem.kind is ProblemKind.SEVERAL_HEADS
    with pytest.raises(HistoryBroken) as caught:
        graph.upgrade_path((), "head")
    assert "b1 (b1_step.py), c1 (other.py)" in caught.value.why
    assert "handrail apply heads" in caught.value.fix
    assert "alembic merge" in caught.value.fix
    assert set(graph.resolve("heads")) == {"b1", "c1"}


def test_several_bases_are_told_and_stop_nothing(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("a1"), b=text("b1"), c=text("c1", ("a1", "b1")))
    assert graph.bases == ("a1", "b1")
    [problem] = graph.problems
    assert (problem.kind, problem.blocking) == (ProblemKind.SEVERAL_BASES, False)
    assert ids(graph.upgrade_path((), "head"))[-1] == "c1"


def test_an_unknown_revision_is_told_with_the_nearest(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("1975ea83b712", "ae1027a6acf0"))
    with pytest.raises(HistoryBroken) as caught:
        graph.upgrade_path((), "1975ea83b721")
    assert "did you mean 1975ea83b712" in caught.value.why
    with pytest.raises(HistoryBroken) as caught:
        graph.upgrade_path(("1975ea83b721",), "head")
    assert "the database is at revision 1975ea83b721" in caught.value.what


def test_an_ambiguous_prefix_is_told_with_what_it_may_mean(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("1975ea83b712", "1975bb83b712"))
    with pytest.raises(HistoryBroken) as caught:
        graph.resolve("1975")
    assert "1975bb83b712, 1975ea83b712" in caught.value.why
    assert graph.resolve("1975e") == ("1975ea83b712",)


def test_relative_steps_count_from_where_the_database_stands(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("aa01", "bb02", "cc03", "dd04"))
    assert ids(graph.upgrade_path((), "+2")) == ["aa01", "bb02"]
    assert ids(graph.upgrade_path(("bb02",), "bb+1")) == ["cc03"]
    assert ids(graph.downgrade_path(("dd04",), "-2")) == ["dd04", "cc03"]
    assert ids(graph.downgrade_path(("bb02",), "base")) == ["bb02", "aa01"]
    assert graph.resolve("-1", ("bb02",)) == ("aa01",)
    assert graph.resolve("+1", ("bb02",)) == ("cc03",)
    assert graph.resolve("-1", ("aa01",)) == ()
    assert graph.resolve("base") == ()


@pytest.mark.parametrize("target", ["+9", "aa01+9", "-1", "nowhere@head", "aa01:bb02", "", "+1junk", "aa01-5"])
def test_a_target_that_leads_nowhere_is_refused_in_three_parts(tmp_path: Path, target: str) -> None:
    graph = write(tmp_path, **chain("aa01", "bb02"))
    with pytest.raises(HistoryBroken) as caught:
        graph.upgrade_path(("bb02",), target)
    assert caught.value.what
    assert caught.value.why
    assert caught.value.fix


def test_one_step_down_from_two_heads_is_refused(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("aa01", "bb02"), other=text("cc03", "aa01"))
    with pytest.raises(HistoryBroken, match="ambiguous"):
        graph.downgrade_path(("bb02", "cc03"), "-1")
    assert ids(graph.downgrade_path(("bb02", "cc03"), "cc03@-1")) == ["cc03"]


def test_a_revision_known_from_elsewhere_mends_the_graph(tmp_path: Path) -> None:
    graph = write(tmp_path, a=text("aa01"), c=text("cc03", "bb02"))
    kept, _ = source.parse(text("bb02", "aa01").encode(), tmp_path / "bb02_gone.py")
    assert kept is not None
    mended = graph.with_revision(kept)
    assert mended.problems == ()
    assert ids(mended.downgrade_path(("cc03",), "base")) == ["cc03", "bb02", "aa01"]
    assert graph.problems != ()


def test_the_map_for_alembic_is_made_once(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain("aa01", "bb02"))
    assert revision_map(graph) is revision_map(graph)
    assert revision_map(graph).heads == ("bb02",)


def test_reading_runs_and_imports_nothing(tmp_path: Path) -> None:
    trap = "import sys\nsys.modules['handrail_trap'] = sys\nimport nonexistent_module\n"
    graph = write(tmp_path, a=trap + text("aa01"))
    assert list(graph.revisions) == ["aa01"]
    assert "handrail_trap" not in sys.modules
    assert not list(tmp_path.rglob("__pycache__"))


def test_reading_a_graph_loads_neither_alembic_nor_sqlalchemy(tmp_path: Path) -> None:
    write(tmp_path, **chain("aa01", "bb02"))
    code = (
        "import sys; from pathlib import Path; from handrail.history.files import graph, project\n"
        "print(len(list(graph.load(project.find(Path(sys.argv[1]))).walk())))\n"
        "print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "[]"]


def test_a_plan_over_several_dependencies_is_the_same_in_every_process(tmp_path: Path) -> None:
    bases = {f"base{number}": text(f"aa0{number}") for number in range(6)}
    write(tmp_path, **bases, z=text("zz01", "aa00", depends_on=("aa05", "aa03", "aa01", "aa02", "aa04")))
    code = (
        "import sys; from pathlib import Path; from handrail.history.files import graph, project\n"
        "print([r.id for r in graph.load(project.find(Path(sys.argv[1]))).upgrade_path((), 'heads')])"
    )
    plans = {
        subprocess.run(
            [sys.executable, "-c", code, tmp_path],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(plans) == 1


@dataclass(frozen=True)
class Node:
    identity: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]


@st.composite
def histories(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for position in range(draw(st.integers(1, 8))):
        before = [node.identity for node in nodes]
        parents = draw(
            st.one_of(
                st.just(tuple(before[-1:])),
                st.lists(st.sampled_from(before), max_size=2, unique=True).map(tuple) if before else st.just(()),
            )
        )
        others = [name for name in before if name not in parents]
        names = others + [label for node in nodes for label in node.labels]
        depends_on = draw(st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)) if names else ()
        labels = (f"line{position}",) if draw(st.integers(0, 4)) == 0 else ()
        identity = f"{draw(st.sampled_from(['ae10', 'ae1f', 'b2']))}{position:04}"
        nodes.append(Node(identity, parents, depends_on, labels))
    return nodes


@st.composite
def targets(draw: st.DrawFn, nodes: list[Node]) -> str:
    names = [node.identity for node in nodes]
    labels = [label for node in nodes for label in node.labels]
    anchor = draw(st.sampled_from([*names, *labels, names[-1][:4], "head", "heads", "base", "zz99"]))
    step = draw(st.sampled_from(["", "", "+1", "+2", "-1", "-2"]))
    branch = draw(st.sampled_from(["", "", "", "", *(f"{name}@" for name in [*labels, *names])]))
    return branch + draw(st.sampled_from([anchor + step, step or anchor]))


def real(folder: Path, nodes: list[Node]) -> ScriptDirectory:
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "migrations" / "env.py").touch()
    (folder / "alembic.ini").write_text(INI)
    for node in nodes:
        content = text(node.identity, node.parents or None, depends_on=node.depends_on or None, labels=node.labels)
        (versions / f"{node.identity}.py").write_text(content)
    return ScriptDirectory(folder / "migrations")


def outcome(
    path: Callable[[tuple[str, ...], str], tuple[Revision, ...]], current: tuple[str, ...], target: str
) -> object:
    try:
        return ids(path(current, target))
    except HistoryBroken:
        return ["refused"]


def real_outcome(steps: Callable[[str, Any], list[Any]], target: str, current: tuple[str, ...]) -> list[str]:
    try:
        return [step.revision.revision for step in steps(target, current)]
    except (CommandError, AssertionError):
        return ["refused"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_paths_are_those_of_alembic(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    nodes = data.draw(histories())
    folder = tmp_path_factory.mktemp("history")
    script = real(folder, nodes)
    graph = load(find(folder))
    assert [problem for problem in graph.problems if problem.blocking] == []
    assert list(graph.heads) == script.get_heads()
    assert list(graph.bases) == script.get_bases()
    # Alembic orders several dependencies of one revision by the hash of their ids.
    same = (lambda path: path) if all(len(node.depends_on) < 2 for node in nodes) else sorted
    assert same(ids(list(graph.walk()))) == same([revision.revision for revision in script.walk_revisions()])
    names = [node.identity for node in nodes]
    for _ in range(6):
        current = tuple(data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True)))
        target = data.draw(targets(nodes))
        expected = real_outcome(script._upgrade_revs, target, current)  # noqa: SLF001 - what `alembic upgrade` calls
        assert same(outcome(graph.upgrade_path, current, target)) == same(expected)
        if len(current) < 2 or not target.startswith("-"):
            expected = real_outcome(script._downgrade_revs, target, current)  # noqa: SLF001 - as for upgrade
            assert same(outcome(graph.downgrade_path, current, target)) == same(expected)


@settings(max_examples=150, deadline=None)
@given(histories())
def test_the_rows_at_the_heads_are_alembics_real_heads_and_stand_for_all_revisions(nodes: list[Node]) -> None:
    graph = assemble(map(value, nodes))
    loaded = revision_map(graph)
    rows: tuple[str, ...] = ()
    for head in graph.heads:
        rows = heads_along(loaded, rows, [(r, Direction.UPGRADE) for r in graph.upgrade_path(rows, head)])
    assert set(rows) == set(loaded._real_heads)  # noqa: SLF001 - no public name
    assert graph.applied(rows) == set(graph.revisions)
    for revision in graph.walk():
        assert revision.id in rows
        rows = heads_along(loaded, rows, [(revision, Direction.DOWNGRADE)])
    assert rows == ()


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_any_argument_is_followed_or_refused(nodes: list[Node], data: st.DataObject) -> None:
    graph = assemble(map(value, nodes))
    names = list(graph.revisions)
    current = tuple(data.draw(st.lists(st.sampled_from(names), max_size=3)))
    spec = data.draw(st.one_of(targets(nodes), st.text("ab01+-@: .hed", max_size=9), st.text(max_size=5)))
    outcome(graph.upgrade_path, current, spec)
    outcome(graph.downgrade_path, current, spec)
    try:
        found = graph.resolve(spec, current)
    except HistoryBroken:
        found = ()
    assert set(found) <= set(names)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=2), st.lists(st.integers(0, 9), max_size=2)), max_size=8)
)
def test_a_broken_graph_is_still_told_in_full(edges: list[tuple[list[int], list[int]]]) -> None:
    nodes = [
        Node(f"r{position}", tuple(f"r{n}" for n in parents), tuple(f"r{n}" for n in depends_on), ())
        for position, (parents, depends_on) in enumerate(edges)
    ]
    graph = assemble(map(value, nodes))
    assert sorted(ids(list(graph.walk()))) == sorted(graph.revisions)
    for problem in of_kind(graph, ProblemKind.CYCLE):
        for revision, before in pairwise([*problem.revisions, problem.revisions[0]]):
            found = graph.revisions[revision]
            assert before in found.parents + found.depends_on


def value(node: Node) -> Revision:
    content = text(node.identity, node.parents or None, depends_on=node.depends_on or None, labels=node.labels)
    revision, _ = source.parse(content.encode(), Path(f"{node.identity}.py"))
    assert revision is not None
    return revision


@pytest.mark.timing
def test_reading_a_thousand_files_costs_less_than_alembic_s_own_load(tmp_path: Path) -> None:
    graph = write(tmp_path, **chain(*(f"{number:012}" for number in range(1000))))
    assert len(graph.revisions) == 1000
    found = find(tmp_path)
    ours = min(cpu_s(lambda: load(found).heads) for _ in range(3))
    alembic_s = cpu_s(lambda: ScriptDirectory(found.script_location).get_heads())
    assert ours < alembic_s


def cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_what_is_below_a_revision_is_told_oldest_first(tmp_path: Path) -> None:
    line = write(tmp_path / "line", **chain("a1", "b2", "c3"))
    assert [line.below(i) for i in ("a1", "b2", "c3")] == [(), ("a1",), ("a1", "b2")]

    branched = write(
        tmp_path / "branched",
        a=text("a1"),
        b=text("b2", "a1"),
        c=text("c3", "a1"),
        d=text("d4", ("b2", "c3")),
        e=text("e5", "a1", depends_on="b2"),
    )
    assert branched.below("b2") == ("a1",)
    assert branched.below("e5") == ("a1", "b2")
    assert (branched.below("d4")[0], {*branched.below("d4")}) == ("a1", {"a1", "b2", "c3"})
