"""Which rows of AquaMind's database are ours, which of them others use, and how ours are taken out.

A row of somebody else that refers to a row of ours keeps it, and everything that the kept row refers to. One plan says
what goes and what stays. It is computed by queries alone, so a dry run can print it.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import journal, locks
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.foreign_keys import ForeignKey, foreign_keys, require_readable
from aquamind_pipeline.postgres.targets.aquamind import history
from aquamind_pipeline.postgres.targets.aquamind.heirs import without_heirs
from aquamind_pipeline.postgres.targets.aquamind.identities import IDENTITY
from aquamind_pipeline.schema.frames import primary_key

_NOTHING = sql.SQL("false")


class OurRows:
    """Which rows of AquaMind's tables we have loaded, by the journal.

    Args:
        connection: The database.
        names: Tables that are loaded into it, parents first.
    """

    def __init__(self, connection: Connection, names: Sequence[str]) -> None:
        self._blocks = {
            name: _merged(journal.entries(connection, name).values()) for name in names if REGISTRY[name].is_monthly
        }
        made = {
            str(row[0])
            for row in connection.execute(sql.SQL("SELECT DISTINCT table_name FROM {} WHERE created").format(IDENTITY))
        }
        self.names = tuple(name for name in names if self._blocks.get(name) or name in made)
        """Tables with rows of ours, parents first."""

    def mine(self, name: str | None, alias: str, column: str | None = None) -> sql.Composable:
        """Which rows of a table are ours: the text after WHERE. It is never null.

        Args:
            name: The table.
            alias: The alias of the table that has the column.
            column: The column with the table's ids; its own key if None.
        """
        if name is None or name not in self.names:
            return _NOTHING
        value = sql.Identifier(alias, column or _key(name))
        if name in self._blocks:
            firsts, lasts = (sql.Literal(list(ends)) for ends in zip(*self._blocks[name], strict=True))
            # A binary search for the block, since a table may have a block for each of a hundred months.
            return sql.SQL(
                "coalesce({value} <= ({lasts}::bigint[])[width_bucket({value}::bigint, {firsts}::bigint[])], false)"
            ).format(value=value, firsts=firsts, lasts=lasts)
        return sql.SQL(
            "coalesce({} IN (SELECT i.id FROM {} AS i WHERE i.table_name = {} AND i.created), false)"
        ).format(value, IDENTITY, sql.Literal(name))

    def ranges(self, name: str) -> list[sql.Composable]:
        """Our rows of a table as conditions on `t` that an index can answer."""
        key = sql.Identifier("t", _key(name))
        blocks = self._blocks.get(name)
        if blocks is None:
            return [self.mine(name, "t")]
        return [sql.SQL("{} BETWEEN {} AND {}").format(key, first, last) for first, last in blocks]

    def require_no_strangers(self, connection: Connection, name: str, found: int) -> None:
        """Refuse a table with more rows in our blocks of ids than we loaded.

        Raises:
            DatabaseError: when there are. Only a table without a primary key on its ids can have such rows.
        """
        if name not in self._blocks:
            return
        loaded = sum(entry.rows for entry in journal.entries(connection, name).values())
        if found > loaded:
            raise DatabaseError(
                f"{name}: {found - loaded} rows that we did not load have ids of our blocks (table "
                "aquamind_pipeline.load_journal): give these rows other ids, then run again"
            )


@dataclass
class TablePlan:
    """What a wipe does with one table.

    Attributes:
        rows: All rows of the table.
        ours: Those that we loaded.
        kept: Ids of those of ours that others use.
    """

    rows: int
    ours: int
    kept: set[int] = field(default_factory=set)

    @property
    def out(self) -> int:
        """Rows to take out."""
        return self.ours - len(self.kept)


def plan(connection: Connection, ours: OurRows) -> dict[str, TablePlan]:
    """What goes and what stays, by queries alone: table -> plan, children first."""
    plans = {name: _counted(connection, ours, name) for name in reversed(ours.names)}
    keys = foreign_keys(connection, ours.names)
    require_readable(connection, keys)
    fresh = defaultdict[str, set[int]](set)
    for user in {(key.schema, key.table): key for key in keys}.values():
        if user.ours not in plans or plans[user.ours].rows > plans[user.ours].ours:
            some = [key for key in keys if key.source == user.source]
            for name, ids in _used_by_others(connection, ours, some).items():
                fresh[name] |= ids
    while fresh:
        name, ids = fresh.popitem()
        new = ids - plans[name].kept
        plans[name].kept |= new
        for key in keys:
            if key.ours == name and new:
                where = sql.SQL("u.{} = ANY({})").format(sql.Identifier(_key(name)), sql.Literal(sorted(new)))
                fresh[key.target] |= _referred(connection, ours, key, where)
    return plans


def lock(connection: Connection, ours: OurRows, histories: Mapping[str, str]) -> None:
    """Keep writers out of our tables until the transaction ends. Readers of AquaMind's tables go on.

    The lock also stops new references to our rows. A transaction that has written to a table that refers to ours may
    have such references, which PostgreSQL checks at its end only. So we wait for its end.
    """
    names = [_public(name) for name in reversed(ours.names)]
    names += [_public(histories[name]) for name in ours.names if name in histories]
    keys = foreign_keys(connection, ours.names)
    others = list({(key.schema, key.table): key.source for key in keys if key.ours not in ours.names}.values())
    others += _heirs(connection, others)  # a row goes into a partition, and the parent is then not locked
    heirs = _lockable(connection, _heirs(connection, [_public(name) for name in ours.names]))

    def work(attempt: locks.Attempt) -> None:
        attempt.lock([*heirs, *names], "EXCLUSIVE")
        attempt.lock([sql.Identifier(journal.OURS, one) for one in journal.JOURNAL_TABLES], "ACCESS EXCLUSIVE")
        attempt.require(not locks.writers(connection, others), others, "SHARE")

    locks.in_attempts(connection, work)


def take_out(
    connection: Connection,
    ours: OurRows,
    plans: Mapping[str, TablePlan],
    histories: Mapping[str, str],
    explained: Callable[[str], contextlib.AbstractContextManager[None]],
) -> None:
    """Do what the plan says, which was computed under the locks.

    Args:
        connection: The database.
        ours: Our rows.
        plans: The plan of each table, children first.
        histories: The history table of each table that has one.
        explained: Says what is wrong when the rows of a table cannot be deleted in a block.

    Raises:
        DatabaseError: when the server deleted another number of rows. Nothing is taken out then.
    """
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    for name, one in plans.items():
        with explained(name):
            _take_out(connection, ours, name, one, histories.get(name))


def _take_out(connection: Connection, ours: OurRows, name: str, one: TablePlan, history_table: str | None) -> None:
    kept = sql.SQL("t.{} <> ALL({})").format(sql.Identifier(_key(name)), sql.Literal(sorted(one.kept)))
    if history_table:
        connection.execute(
            sql.SQL("DELETE FROM {} AS t WHERE history_type = '+' AND history_change_reason = {} AND {} AND {}").format(
                without_heirs(connection, _public(history_table)),
                sql.Literal(history.REASON),
                ours.mine(name, "t"),
                kept,
            )
        )
    target = without_heirs(connection, _public(name))
    if one.out == one.rows and one.rows and _can_be_emptied(connection, name):
        connection.execute(sql.SQL("TRUNCATE {}").format(target))
        return
    deleted = sum(
        connection.execute(sql.SQL("DELETE FROM {} AS t WHERE {} AND {}").format(target, where, kept)).rowcount
        for where in ours.ranges(name)
    )
    if deleted != one.out:
        raise DatabaseError(
            f"{name}: {one.out} rows should go and the server deleted {deleted}: a trigger or rule of the database "
            "changes what DELETE does; nothing was deleted"
        )


def require_unused(connection: Connection, tables: Sequence[str], name: str, rows: sql.Composable) -> None:
    """Refuse to replace or delete rows of ours that rows of others refer to.

    Args:
        connection: The database. The table is locked until the transaction ends, so that no reference is added.
        tables: The tables that are loaded into it.
        name: One of them.
        rows: Which rows of the table `t`.

    Raises:
        DatabaseError: when a row of somebody else refers to one of them.
    """
    keys = foreign_keys(connection, [name])
    if not keys:
        return
    require_readable(connection, keys)
    locks.lock_tables(connection, [_public(name)], "EXCLUSIVE")
    ours = OurRows(connection, tables)
    for key in keys:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {} AS u JOIN {} AS t ON {} WHERE {} AND NOT {}").format(
                key.source, _public(name), key.join("u", "t"), rows, ours.mine(key.ours, "u")
            )
        ).fetchone()
        if row and row[0]:
            raise DatabaseError(
                f"{name}: {row[0]} rows of {key.schema}.{key.table} that are not ours refer to rows that the farm has "
                "changed or lost: delete these rows or let them refer to others, then run again"
            )


def _counted(connection: Connection, ours: OurRows, name: str) -> TablePlan:
    row = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} AS t").format(
            ours.mine(name, "t"), without_heirs(connection, _public(name))
        )
    ).fetchone()
    assert row is not None
    ours.require_no_strangers(connection, name, row[1])
    return TablePlan(row[0], row[1])


def _used_by_others(connection: Connection, ours: OurRows, keys: Sequence[ForeignKey]) -> dict[str, set[int]]:
    """Our rows that rows of one table refer to that are not ours. The table is read once for all ordinary keys."""
    used = defaultdict[str, set[int]](set)
    theirs = sql.SQL("NOT {}").format(ours.mine(keys[0].ours, "u"))
    simple = [key for key in keys if key.target_columns == (_key(key.target),)]
    if simple:
        # Whoever refers to rows of others falls into one group, whose id is null.
        ids = [
            sql.SQL("CASE WHEN {} THEN {} END AS {}").format(
                ours.mine(key.target, "u", key.columns[0]),
                sql.Identifier("u", key.columns[0]),
                sql.Identifier(f"k{place}"),
            )
            for place, key in enumerate(simple)
        ]
        names = [sql.Identifier(f"k{place}") for place in range(len(simple))]
        query = sql.SQL("SELECT {} FROM (SELECT {} FROM {} AS u WHERE {}) AS used GROUP BY GROUPING SETS ({})").format(
            sql.SQL(", ").join(names),
            sql.SQL(", ").join(ids),
            keys[0].source,
            theirs,
            sql.SQL(", ").join(sql.SQL("({})").format(name) for name in names),
        )
        for row in connection.execute(query):
            for key, value in zip(simple, row, strict=True):
                if value is not None:
                    used[key.target].add(int(value))
    for key in keys:
        if key not in simple:
            used[key.target] |= _referred(connection, ours, key, theirs)
    return {name: ids for name, ids in used.items() if ids}


def _referred(connection: Connection, ours: OurRows, key: ForeignKey, where: sql.Composable) -> set[int]:
    """Ids of our rows that some rows `u` refer to by one key."""
    query = sql.SQL("SELECT DISTINCT t.{} FROM {} AS u JOIN {} AS t ON {} WHERE {} AND {}").format(
        sql.Identifier(_key(key.target)),
        key.source,
        _public(key.target),
        key.join("u", "t"),
        where,
        ours.mine(key.target, "t"),
    )
    return {int(row[0]) for row in connection.execute(query)}


def _can_be_emptied(connection: Connection, name: str) -> bool:
    """Whether TRUNCATE does what DELETE would: we may, nobody refers to the table, and nothing looks at single rows.

    Readers keep TRUNCATE from beginning. Then the rows are deleted one by one, which readers do not hinder.
    """
    row = connection.execute(
        "SELECT has_table_privilege(c.oid, 'TRUNCATE') AND NOT row_security_active(c.oid) "
        "AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid "
        "AND NOT has_table_privilege(inhrelid, 'DELETE')) "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = c.oid) "
        "AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) "
        "AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid) "
        "AND NOT EXISTS (SELECT FROM pg_publication_tables WHERE schemaname = %(schema)s AND tablename = c.relname) "
        "FROM pg_class AS c WHERE c.oid = to_regclass(%(name)s)",
        {"schema": PUBLIC, "name": _public(name).as_string()},
    ).fetchone()
    if row is None or not row[0]:
        return False
    return locks.try_lock(connection, [_public(name)], "ACCESS EXCLUSIVE")


def _heirs(connection: Connection, tables: Sequence[sql.Identifier]) -> list[sql.Identifier]:
    """Tables that inherit from these: chunks, partitions, archives."""
    query = """
        WITH RECURSIVE heir(oid) AS (
          SELECT i.inhrelid FROM unnest(%s::text[]) AS name JOIN pg_inherits i ON i.inhparent = to_regclass(name)
          UNION SELECT i.inhrelid FROM pg_inherits i JOIN heir h ON h.oid = i.inhparent
        )
        SELECT n.nspname, c.relname FROM heir JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind NOT IN ('i', 'I') ORDER BY 1, 2
    """
    return [sql.Identifier(*row) for row in connection.execute(query, ([one.as_string() for one in tables],))]


def _lockable(connection: Connection, tables: Sequence[sql.Identifier]) -> list[sql.Identifier]:
    """Those that our role may lock. The rows of the others are never taken out by TRUNCATE."""
    query = "SELECT has_table_privilege(%s::regclass, 'UPDATE, DELETE, TRUNCATE')"
    return [one for one in tables if connection.execute(query, (one.as_string(),)).fetchone() == (True,)]


def _merged(entries: Iterable[journal.Entry]) -> list[tuple[int, int]]:
    """First and last ids of blocks of ids; of blocks that touch each other one range is made."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted(
        (e.first_id, e.last_id) for e in entries if e.first_id is not None and e.last_id is not None
    ):
        if last < first:
            continue
        if ranges and ranges[-1][1] + 1 == first:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return ranges


def _key(name: str) -> str:
    return primary_key(REGISTRY.table(name))[0]


def _public(name: str) -> sql.Identifier:
    return sql.Identifier(PUBLIC, name)


__all__ = ["OurRows", "TablePlan", "lock", "plan", "require_unused", "take_out"]
