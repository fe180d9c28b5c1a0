"""The catalogue against the contract: all that Volt's API text offers is declared, and nothing that it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import cast

import pytest
from graphql import (
    FragmentDefinitionNode,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    NoUnusedFragmentsRule,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_list_type,
    parse,
    specified_rules,
    validate,
)

from volt_pipeline import catalog
from volt_pipeline.api.fragments import fragment_name, fragments
from volt_pipeline.catalog import Column, History, Kind, Stream
from volt_pipeline.warehouse.tables import METADATA, columns_of, history_columns

SCHEMA = build_schema(files("volt_pipeline.api").joinpath("schema.graphql").read_text(encoding="utf-8"))
# Frames around rows, not rows: what they hold is asked by operations.graphql and used by the walks.
FRAMES = {"Query", "Mutation", "PageInfo", "Inbox", "Conversation"}
# Rows of their own tables: contact_lists and wave_lists.
ELSEWHERE = {"Contact.lists", "Wave.lists"}
# Parts of a jsonb column, named in its `selection`.
PARTS = {"ContactCustomField": ("contacts", "custom_fields"), "ListQueryRule": ("lists", "query_custom_fields")}
# Columns whose name is not the path's in snake_case.
RENAMED = {("inbox_items", "contact_phone")}
READ = [stream for stream in catalog.STREAMS if stream.type_name]


def types() -> dict[str, GraphQLObjectType]:
    return {
        name: type_
        for name, type_ in SCHEMA.type_map.items()
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__") and name not in FRAMES
    }


def column_of(table: str, name: str) -> Column:
    stream = next(stream for stream in catalog.STREAMS if stream.name == table)
    return next(column for column in stream.columns if column.name == name)


def nullable(type_: GraphQLOutputType) -> GraphQLOutputType:
    """The type without its "!"."""
    return cast(GraphQLOutputType, type_.of_type) if isinstance(type_, GraphQLNonNull) else type_


def leaf(stream: Stream, column: Column) -> GraphQLOutputType:
    """The type of the field at the end of a column's path."""
    type_: GraphQLNamedType = SCHEMA.type_map[stream.type_name]
    found: GraphQLOutputType | None = None
    for name in column.path.split("."):
        assert isinstance(type_, GraphQLObjectType)
        found = type_.fields[name].type
        type_ = get_named_type(found)
    assert found is not None
    return found


def offered() -> Iterator[tuple[Stream, str]]:
    """Each field that the contract has on a type that a stream is read from."""
    for stream in READ:
        for name in types()[stream.type_name].fields:
            if f"{stream.type_name}.{name}" not in ELSEWHERE:
                yield stream, name


def test_every_type_of_the_contract_is_a_stream_or_a_part_of_one() -> None:
    assert {stream.type_name for stream in READ} | PARTS.keys() == types().keys()


def test_the_fragments_are_valid_against_the_contract() -> None:
    rules = [rule for rule in specified_rules if rule is not NoUnusedFragmentsRule]
    document = parse(fragments())
    assert validate(SCHEMA, document, rules) == []
    names = {node.name.value for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    assert names == {fragment_name(stream) for stream in READ}


@pytest.mark.parametrize(("stream", "name"), list(offered()), ids=lambda value: getattr(value, "name", value))
def test_every_field_of_the_contract_is_a_column(stream: Stream, name: str) -> None:
    """A new field of the API fails here until it is declared, or written down above with its reason."""
    type_ = types()[stream.type_name].fields[name].type
    whole = is_leaf_type(get_named_type(type_)) or is_list_type(nullable(type_))
    wanted = name if whole else f"{name}.id"
    assert wanted in {column.path for column in stream.read}


@pytest.mark.parametrize("part", PARTS)
def test_json_columns_select_all_of_their_parts(part: str) -> None:
    selected = column_of(*PARTS[part]).selection.strip("{} ").split()
    assert selected == list(types()[part].fields)


@pytest.mark.parametrize("stream", READ, ids=lambda stream: stream.name)
def test_a_column_has_the_kind_and_the_name_of_its_field(stream: Stream) -> None:
    for column in stream.read:
        type_ = leaf(stream, column)
        inner = nullable(type_)
        last = column.path.rpartition(".")[2]
        timely = last.endswith("At") or last == "lastMessageTime"
        kinds = {"Int": Kind.INTEGER, "Boolean": Kind.BOOLEAN, "ID": Kind.TEXT}
        expected = Kind.JSON if is_list_type(inner) else kinds.get(str(inner), Kind.TIMESTAMP if timely else Kind.TEXT)
        assert column.kind is expected, column.name
        if (stream.name, column.name) not in RENAMED:
            assert column.name == re.sub(r"(?<!^)(?=[A-Z])", "_", column.path.replace(".", "_")).lower()


@pytest.mark.parametrize("stream", catalog.STREAMS, ids=lambda stream: stream.name)
def test_keys_and_indexes_are_columns(stream: Stream) -> None:
    names = stream.column_names
    assert stream.key
    assert set(stream.key) <= set(names)
    assert all(set(index.columns) <= set(names) for index in stream.indexes)


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_tables_and_columns_are_distinct_and_explained(table: object) -> None:
    name = getattr(table, "name", "")
    streams = {stream.name: columns_of(stream) for stream in catalog.STREAMS}
    histories = {history.name: history_columns(history) for history in catalog.HISTORIES}
    columns = {**streams, **histories}[name]
    assert len({column.name for column in columns}) == len(columns)
    assert all(column.comment.endswith(".") for column in columns)


def test_every_table_is_fed_by_a_query_of_the_contract() -> None:
    query_type = SCHEMA.query_type
    assert query_type is not None
    assert set(catalog.QUERIES.values()) <= query_type.fields.keys()
    assert catalog.QUERIES.keys() == {table.name for table in METADATA.sorted_tables}


@pytest.mark.parametrize("history", catalog.HISTORIES, ids=lambda history: history.name)
def test_a_history_tracks_columns_of_a_stream_with_one_key(history: History) -> None:
    stream = catalog.stream_of(history)
    assert len(stream.key) == 1
    assert {*history.tracked, *filter(None, [history.unless])} <= set(stream.column_names)
    assert history.key not in history.tracked


def test_one_line_is_all_that_a_new_field_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    more = Stream("waves", "Waves.", ("id",), (Column("news", Kind.TEXT, "News.", "news.id"),), "wave", "Wave")
    monkeypatch.setattr(catalog, "STREAMS", (more,))
    assert fragments() == "fragment WaveColumns on Wave { news { id } }"
