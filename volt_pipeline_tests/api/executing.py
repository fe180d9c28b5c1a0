"""A Volt that executes what it is asked, by GraphQL's own rules, on invented values of which some cannot be given."""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    execute_sync,
    parse,
    validate,
)

from volt_pipeline.api.contract import published

from .scripted import Asked, Respond, Say

SCALARS = {"Boolean": False, "Int": 1, "ID": "7", "String": "text"}
ITEMS = 5  # in every list


def executing(*broken: tuple[str | int, ...], schema: GraphQLSchema | None = None) -> Respond:
    """Answers any operation; the places in `broken` (below the root field, of every alias) raise an error there."""
    known = schema or published()

    def resolve(_source: Any, info: GraphQLResolveInfo, **_arguments: Any) -> Any:
        place = tuple(info.path.as_list()[1:])
        if place in broken:
            raise RuntimeError("boom")
        return _value(info.return_type, place, broken)

    def respond(asked: Asked) -> Say:
        document = parse(asked.query)
        refusals = validate(known, document)
        if refusals:
            return Say({"errors": [error.formatted for error in refusals]}, 400)
        result = execute_sync(
            known,
            document,
            variable_values=asked.variables,
            operation_name=asked.operation,
            field_resolver=resolve,
        )
        return Say(result.formatted)

    return respond


def _value(kind: Any, place: tuple[str | int, ...], broken: tuple[tuple[str | int, ...], ...]) -> Any:
    if isinstance(kind, GraphQLNonNull):
        return _value(kind.of_type, place, broken)
    if isinstance(kind, GraphQLList):
        return [
            RuntimeError("boom") if (*place, index) in broken else _value(kind.of_type, (*place, index), broken)
            for index in range(ITEMS)
        ]
    if isinstance(kind, GraphQLObjectType):
        return {}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return SCALARS.get(kind.name, "text")
