"""REST classes of records, made from their schemas: list, get, post, put, delete."""

import copy
from typing import Any, ClassVar

from marshmallow import Schema

from .api import RecordApi, key_of, operation
from .record_verbs import RecordVerbs

LIST_QUERY = (
    ("q", "string",
     "Rison or JSON: filters [{col, opr, value}], order_column, order_direction (asc or desc), page, page_size, "
     "columns (the fields of each row; all unless named). The framework's keys is taken and changes nothing: answers "
     "carry no labels that it could leave out"),
    ("search", "string", "Free text"),
    ("page", "integer", "Page number, from 0"),
    ("page_size", "integer", "Rows per page, from 1 to 100; 25 unless told"),
    ("after", "integer", "Only records behind this key, in key order: for long walks"),
)


def changes_of(schema: type[Schema]) -> type[Schema]:
    """The schema of a change: the same fields, none required."""
    members = {}
    for name, entry in schema._declared_fields.items():
        members[name] = copy.deepcopy(entry)
        members[name].required = False
    return type(schema.__name__.removesuffix("Input") + "Change", (schema,), members)


def readable(schema: type[Schema]) -> type[RecordApi]:
    """A base with list and get."""
    answer = schema

    class Readable(RecordApi):
        schema = answer

        @operation("/", summary="List, filtered and paged", permission="read", answers={200: answer}, many=True,
                   query=LIST_QUERY)
        def get_list(self) -> Any:
            return self.listing()

        @operation("/<pk>", summary="One record", permission="read", answers={200: answer})
        def get(self, pk: str) -> Any:
            item = self.find(pk)
            self.prepare([item])
            return self.result(self.dump(item), id=item.id)

    return Readable


def writable(schema: type[Schema], create: type[Schema], update: type[Schema] | None = None) -> type[RecordApi]:
    """A base with list, get, post, put and delete; writes are the `verbs` of the record.

    A put changes the fields it names; the others stay.
    """
    answer, new, changed = schema, create, update or changes_of(create)

    class Writable(readable(schema)):  # type: ignore[misc]
        verbs: ClassVar[RecordVerbs]

        def create(self, **data: Any) -> Any:
            return self.verbs.create(self.session, actor=self.actor, **data)

        def change(self, key: int, **data: Any) -> Any:
            return self.verbs.update(self.session, id=key, actor=self.actor, **data)

        def remove(self, key: int) -> None:
            self.verbs.delete(self.session, id=key, actor=self.actor)

        @operation("/", "POST", summary="Add a record", permission="add", body=new, answers={201: answer},
                   refusals=(404, 409), idempotent=True)
        def post(self, data: dict[str, Any]) -> Any:
            item = self.find(str(self.once(lambda: self.create(**data))))
            self.prepare([item])
            return self.result(self.dump(item), 201, id=item.id)

        @operation("/<pk>", "PUT", summary="Change the named fields", permission="edit", body=changed,
                   answers={200: answer}, refusals=(404, 409), idempotent=True)
        def put(self, pk: str, data: dict[str, Any]) -> Any:
            self.once(lambda: self.change(key_of(pk), **data))
            item = self.find(pk)
            self.prepare([item])
            return self.result(self.dump(item), id=item.id)

        @operation("/<pk>", "DELETE", summary="Delete a record that nothing uses", permission="delete",
                   answers={200: None}, refusals=(404, 409), idempotent=True)
        def delete(self, pk: str) -> Any:
            self.once(lambda: self.remove(key_of(pk)))
            return self.result({})

    return Writable
