"""The table."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.foundation.database import Base, new_id
from app.resources.users.schemas import Role

UNIQUE_EMAIL = "uq_users_lower_email"


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        Index(UNIQUE_EMAIL, text("lower(email)"), unique=True),
        CheckConstraint("role IN ('user', 'admin')", name="role"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(String, default="user")
    active: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
