"""A definition that says too little, or what cannot be, fails with its file, its line, and what to write."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DefinitionError, InputError
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.rules import statements_of
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import NULL, PARTITIONED, bigint, identity, integer, refers, unique, varchar
from aquamind_pipeline.schema.columns import date as date_column
from aquamind_pipeline.schema.definition import MISSING, ByFormula, CountedIn, Parent, TableDefinition
from aquamind_pipeline.schema.frames import conform
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.registry import Registry, discover
from aquamind_pipeline.schema.rules import Rule, RuleInputs

OF_KINDS = {
    Kind.REFERENCE: ("natural_key",),
    Kind.LEDGER: (),
    Kind.EVENT: ("time", "scope"),
    Kind.CHILD: ("parent",),
    Kind.DERIVED: (),
}
"""What definitions of one kind must say beside what all must say."""
OF_ALL = [
    one.name
    for one in fields(TableDefinition)
    if one.default is MISSING and one.name not in {name for names in OF_KINDS.values() for name in names}
]
EXAMPLES = {kind: next(one for one in REGISTRY.values() if one.kind is kind) for kind in Kind}
FORGOTTEN = [(kind, name) for kind in Kind for name in (*OF_ALL, *OF_KINDS[kind])]
HERE = Path(__file__).name


def ponds(**changes: Any) -> TableDefinition:
    """A small definition that is complete, with changes."""
    given: dict[str, Any] = {
        "name": "test_pond",
        "kind": Kind.REFERENCE,
        "meaning": "Pond.",
        "how": "One pond.",
        "columns": (identity("id"), varchar("name", 20), unique("name")),
        "natural_key": ("name",),
        "reads": (),
        "generate": lambda inputs: pl.DataFrame({"id": [1], "name": ["North"]}),
        "expected": ByFormula(lambda farm, plan: 1),
        "lineage": {},
        "rules": (),
    }
    return TableDefinition(**given | changes)


def catches(**changes: Any) -> TableDefinition:
    """A child of `test_pond`, with changes."""
    given: dict[str, Any] = {
        "name": "test_catch",
        "kind": Kind.CHILD,
        "natural_key": (),
        "parent": Parent("test_pond", "pond_id"),
        "columns": (identity("id"), refers("pond_id", "test_pond.id")),
        "reads": ("test_pond",),
        "generate": lambda inputs: inputs.whole("test_pond").select("id", pond_id="id"),
    }
    return ponds(**given | changes)


def refused(match: str) -> Any:
    """The block fails with one line that names a file and its line, and matches."""
    return pytest.raises(DefinitionError, match=rf"^[\w/.-]+\.py:\d+: .*{match}")


def test_the_small_definitions_are_complete() -> None:
    registry = Registry([catches(), ponds()])
    assert list(registry) == ["test_pond", "test_catch"]
    assert registry.children("test_pond") == ("test_catch",)


@pytest.mark.parametrize(("kind", "field"), FORGOTTEN, ids=lambda one: getattr(one, "value", one))
def test_a_field_that_is_left_out(kind: Kind, field: str) -> None:
    """The message names the file and line of the definition, the field, and what to write."""
    definition = EXAMPLES[kind]
    who = "a table definition" if field == "name" else definition.name
    with pytest.raises(DefinitionError) as caught:
        replace(definition, **{field: MISSING})
    begin = f"{definition.place}: {who} has no `{field}`: write "
    assert str(caught.value).startswith(begin)
    assert len(str(caught.value)) > len(begin) + 10
    assert re.fullmatch(r"aquamind_pipeline/apps/\w+/\w+\.py:\d+", definition.place)


def test_the_place_is_that_of_the_definition() -> None:
    with pytest.raises(DefinitionError, match=rf"{HERE}:\d+: test_pond has no `how`"):
        ponds(how=MISSING)


@pytest.mark.parametrize("field", ["natural_key", "columns", "reads", "rules", "changes_with_as_of"])
def test_a_tuple_without_its_comma(field: str) -> None:
    """('name') is a text in brackets, whose letters Python would take for names."""
    value: Any = ponds().columns[0] if field == "columns" else "name"
    with refused(f"`{field}` .*tuple.*comma"):
        ponds(**{field: value})


def test_a_function_that_is_called_where_it_should_be_named() -> None:
    with refused("`generate` that is no function"):
        ponds(generate=pl.DataFrame())
    with refused("`expected` .*ByFormula, CountedIn or Unpredictable"):
        ponds(expected=3)


def test_a_text_where_a_value_is_wanted() -> None:
    wrong: Any = "event"
    for field, wanted in {"kind": "Kind.REFERENCE", "scope": "Scope.ASSIGNMENT", "parent": "Parent"}.items():
        with refused(rf"`{field}` of another type: write .*{wanted}"):
            ponds(**{field: wrong})


def test_a_time_that_is_no_time() -> None:
    with refused("`time` name, which is no date or timestamp"):
        Registry([ponds(kind=Kind.LEDGER, time="name")])


def test_a_meaning_that_is_no_sentence() -> None:
    with refused("has a `meaning` that is no sentence: write one sentence, with a full stop"):
        ponds(meaning="Pond")


def test_a_column_without_a_meaning() -> None:
    with refused(r"column depth_cubits means: write comment='…' .*glossary\.py"):
        ponds(columns=(*ponds().columns, integer("depth_cubits")))


def test_a_fill_that_no_row_can_have() -> None:
    wrong: Any = "rain"
    with refused(r"fills its column water with 'rain', .*: write fill=pl\.lit\('rain'\)"):
        ponds(columns=(*ponds().columns, varchar("water", 30, fill=wrong)))
    with refused("fills its column water with NULL, which may not be null: write nullable=True"):
        ponds(columns=(*ponds().columns, varchar("water", 30, fill=NULL)))


def test_columns_that_are_not_there() -> None:
    with refused("has the column name twice"):
        ponds(columns=(*ponds().columns, varchar("name", 30)))
    with refused("has no columns: write them"):
        ponds(columns=())
    for field, value in {
        "natural_key": ("colour",),
        "lineage": {"colour": "test_pond.name"},
        "time": "colour",
        "split_by": "colour",
    }.items():
        with refused(f"names colour in `{field}`, which is none of its columns"):
            ponds(**{field: value})


def test_a_child_without_its_parent_in_reads() -> None:
    with refused('hangs on test_pond without reading it: add "test_pond" to `reads`'):
        catches(reads=())
    with refused("names lake_id in `parent`"):
        catches(parent=Parent("test_pond", "lake_id"))
    with refused("pond_id .*does not refer to test_pond: write refers"):
        Registry([ponds(), catches(columns=(identity("id"), bigint("pond_id", comment="Pond")))])


def test_a_child_is_kept_as_its_parent_is() -> None:
    dated = (*catches().columns, date_column("date", primary_key=True))
    with refused("is kept by month, but its parent test_pond is not"):
        Registry([ponds(), catches(columns=dated, time="date")])
    with refused("is kept whole, but its parent test_net is kept by month: give `time`"):
        Registry(
            [
                nets(identity("id")),
                catches(
                    parent=Parent("test_net", "net_id"),
                    reads=("test_net",),
                    columns=(identity("id"), refers("net_id", "test_net.id", unenforced="by month")),
                ),
            ]
        )


def nets(*columns: Any) -> TableDefinition:
    """An event table, with further columns."""
    day = date_column("date", primary_key=True)
    said: dict[str, Any] = {"name": "test_net", "kind": Kind.EVENT, "scope": Scope.FARM, "time": "date"}
    return ponds(**said, natural_key=(), columns=(*columns, day))


def test_keys_of_tables_that_are_kept_by_month() -> None:
    """What PostgreSQL would refuse of a partitioned table is refused before anything is built."""
    assert list(Registry([nets(identity("id"))])) == ["test_net"]
    without = replace(nets(identity("id")), columns=(identity("id"), date_column("date")))
    with refused("kept by month of date, which is not in its primary key: add primary_key=True"):
        Registry([without])
    with refused(r"unique\('name',\) of test_net lacks \"date\""):
        Registry([nets(identity("id"), varchar("name", 20), unique("name"))])
    with refused(r"test_pond\.net_id refers to test_net, which is kept by month: add unenforced=PARTITIONED"):
        Registry([ponds(columns=(*ponds().columns, refers("net_id", "test_net.id"))), nets(identity("id"))])
    loose = refers("net_id", "test_net.id", unenforced=PARTITIONED)
    with refused(r"test_pond\.net_id refers to test_net, which is kept by month, so only a child's `parent` can"):
        Registry([ponds(columns=(*ponds().columns, loose)), nets(identity("id"))])


def test_rows_that_never_change_have_no_columns_that_do() -> None:
    with refused("reference, which never change: leave `changes_with_as_of` out"):
        ponds(changes_with_as_of=("name",))
    with refused("names colour in `changes_with_as_of`"):
        ponds(kind=Kind.LEDGER, changes_with_as_of=("colour",))


def test_a_reference_to_an_unknown_table() -> None:
    with refused("test_catch refers to test_lake, which nothing defines: define it"):
        Registry([catches(columns=(*catches().columns, refers("lake_id", "test_lake.id"))), ponds()])
    with refused("test_catch refers to test_pond.number, which is no column"):
        Registry([catches(columns=(*catches().columns, refers("lake_id", "test_pond.number"))), ponds()])
    with refused(r'If lake_id is always null, write bigint\("lake_id", nullable=True, fill=NULL\)'):
        Registry([catches(columns=(*catches().columns, refers("lake_id", "test_lake.id"))), ponds()])
    with refused('test_catch.lake_id refers to test_pond: write TABLE.COLUMN, such as "test_pond.id"'):
        Registry([catches(columns=(*catches().columns, refers("lake_id", "test_pond"))), ponds()])
    by_month = refers("lake_id", "test_lake.id", unenforced="by month")
    with refused("test_catch refers to test_lake, which nothing defines"):
        Registry([catches(columns=(*catches().columns, by_month)), ponds()])


def test_reading_an_unknown_table() -> None:
    with refused("test_pond reads test_lake, which nothing defines: correct the name"):
        Registry([ponds(reads=("test_lake",))])
    with refused("test_pond has `expected` counted in test_lake, which nothing defines: correct the name"):
        Registry([ponds(expected=CountedIn("test_lake", pl.len(), about=lambda farm, plan: 1))])
    with refused("the rule deep of test_pond reads test_lake, which nothing defines"):
        Registry([ponds(rules=(Rule("deep", "Ponds are deep.", "Fish freeze.", no_rows, reads=("test_lake",)),))])


def test_lineage_of_an_unknown_column() -> None:
    with refused(r"lineage of test_pond\.name names test_pond\.colour, which is no column"):
        Registry([ponds(lineage={"name": "test_pond.colour"})])


def test_two_definitions_of_one_name() -> None:
    with refused(rf"test_pond is defined in \S*{HERE}:\d+, too: delete one"):
        Registry([ponds(), ponds()])


def no_rows(inputs: RuleInputs) -> CheckResult:
    return check_result("deep", pl.DataFrame(), "deep", "shallow")


def test_two_rules_of_one_name_that_say_different_things() -> None:
    deep = Rule("deep", "Ponds are deep.", "Fish freeze.", no_rows)
    assert statements_of([deep, replace(deep, reads=("test_pond",))]) == {"deep": deep}
    with refused(rf"the rule deep says something else \(Ponds are shallow\.\) .*{HERE}:\d+ .*rename one"):
        statements_of([deep, replace(deep, text="Ponds are shallow.")])


def test_a_generator_that_reads_what_it_did_not_declare() -> None:
    farm = load_profile("tiny")
    definition = ponds(generate=lambda inputs: inputs.whole("life_day"))
    with refused('reads life_day without saying so: add "life_day" to `reads`'):
        definition.make(Inputs(definition, farm, MemoryTables(farm)))
    planned = ponds(generate=lambda inputs: inputs.plan.batches)
    with refused('reads plan_batch without saying so: add "plan_batch" to `reads`'):
        planned.make(Inputs(planned, farm, MemoryTables(farm)))


def test_a_generator_that_crashes() -> None:
    """The error stays what it is; a note tells which table and month it is about."""
    definition, farm = ponds(generate=lambda inputs: 1 // 0), load_profile("tiny")
    with pytest.raises(ZeroDivisionError) as caught:
        definition.make(Inputs(definition, farm, MemoryTables(farm), months=["2026-02"]))
    assert re.search(rf"{HERE}:\d+: .* the rows of test_pond of 2026-02 were generated", caught.value.__notes__[0])


def test_a_table_without_a_primary_key() -> None:
    with refused(r'has no primary key: write identity\("id"\)'):
        ponds(columns=(varchar("name", 20), unique("name")))


def test_a_rule_that_reads_what_it_did_not_declare() -> None:
    def peeks(inputs: RuleInputs) -> CheckResult:
        return check_result("peeks", inputs.whole("life_day"), "", "")

    rule = Rule("peeks", "Life agrees.", "Nobody knows.", peeks)
    farm = load_profile("tiny", as_of=date(2026, 2, 3))
    inputs = RuleInputs(next(iter(REGISTRY.values())), rule, farm, MemoryTables(farm), shared={}, own={})
    with refused('the rule peeks of .* reads life_day without saying so: add "life_day" to `reads`'):
        rule.check(inputs)


def test_a_frame_that_is_not_what_the_definition_says() -> None:
    table = Registry([ponds()]).table("test_pond")
    with pytest.raises(
        InputError, match=rf"^{HERE}:\d+: test_pond: missing columns \['name'\].*unknown columns \['colour'\]"
    ):
        conform(pl.DataFrame({"id": [1], "colour": ["red"]}), table)
    with pytest.raises(InputError, match=rf"^{HERE}:\d+: test_pond: \['id'\] would lose their fractions"):
        conform(pl.DataFrame({"id": [1.5], "name": ["North"]}), table)


def test_modules_that_would_not_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without `__init__.py` is no package: its definitions would be left out in silence."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "some_apps"
    (package / "fishing").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "fishing" / "ponds.py").touch()
    with pytest.raises(DefinitionError, match=r"fishing has no __init__\.py, so its modules are not found: add one"):
        discover("some_apps", [str(package)])
    (package / "fishing" / "__init__.py").touch()
    assert not discover("some_apps", [str(package)])


def test_a_scope_is_one_of_five() -> None:
    with refused("has no `scope`: write what an event is about"):
        ponds(kind=Kind.EVENT, columns=(identity("id"), date_column("date")), natural_key=(), time="date")
    assert {one.value for one in Scope if one.has_batch} == {"assignment", "batch"}
