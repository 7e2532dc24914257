"""Pages by cursor: rows in the order of their ids, each page after the last id of the one before."""

from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

Limit = Annotated[int, Query(ge=1, le=100, description="Rows a page")]
Cursor = Annotated[UUID | None, Query(description="`next` of the page before")]

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next: UUID | None
