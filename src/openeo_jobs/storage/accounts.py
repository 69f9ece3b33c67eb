"""What is about one account of a backend: its learned cap, pauses for its login, its credits, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from openeo_jobs.jobs import Backend, ErrorClass
from openeo_jobs.storage.rows import backend_from
from openeo_jobs.storage.schema import account, backend, login

Place = tuple[sa.Table, sa.ColumnElement[bool]]
_PAUSE = ("paused_reason", "paused_remedy", "paused_since", "retry_at", "is_polled")


def select_backends(connection: sa.Connection, *, runner_id: int | None = None) -> list[Backend]:
    """Return the backends as the runner's account finds them, in the order of their registration.

    A pause of everybody comes before one of the account. Without a runner they are as the only account finds
    them that is known there.
    """
    its_login = sa.and_(login.c.backend_id == backend.c.id, login.c.runner_id == runner_id)
    is_its = _is_the_only_one() if runner_id is None else account.c.account == login.c.account
    select = (
        sa.select(backend, login.c.account.label("logged_in_as"), account)
        .outerjoin(login, its_login)
        .outerjoin(account, sa.and_(account.c.backend_id == backend.c.id, is_its))
        .order_by(backend.c.id)
    )
    return [_found_by_account(row) for row in connection.execute(select)]


def select_paused(connection: sa.Connection) -> dict[str, list[Backend]]:
    """Return the pauses of accounts, by backend, where several accounts are known."""
    select = (
        sa.select(backend.c.name, account)
        .join(backend, backend.c.id == account.c.backend_id)
        .where(account.c.paused_class.is_not(None), ~_is_the_only_one())
        .order_by(backend.c.name, account.c.account)
    )
    found: dict[str, list[Backend]] = {}
    for row in connection.execute(select):
        found.setdefault(row.name, []).append(_as_found(Backend(name=row.name), row._mapping))
    return found


def place_for(connection: sa.Connection, name: str, runner_id: int | None) -> Place:
    """Return where what is about the runner's account is kept: where it is not known, for everybody."""
    its_own = sa.and_(backend.c.name == name, login.c.runner_id == runner_id)
    select = sa.select(backend.c.id, login.c.account).join(login, login.c.backend_id == backend.c.id)
    known = connection.execute(select.where(its_own, login.c.account.is_not(None))).first()
    if known is None:
        return backend, backend.c.name == name
    key = sa.and_(account.c.backend_id == known.id, account.c.account == known.account)
    if connection.execute(sa.select(account.c.account).where(key)).first() is None:
        connection.execute(sa.insert(account).values(backend_id=known.id, account=known.account))
    return account, key


def place_of(known: Backend) -> Place:
    """Return where the pause is kept that a backend was found in."""
    if known.paused_account is None:
        return backend, backend.c.name == known.name
    its_id = sa.select(backend.c.id).where(backend.c.name == known.name).scalar_subquery()
    return account, sa.and_(account.c.backend_id == its_id, account.c.account == known.paused_account)


def _found_by_account(row: sa.Row[Any]) -> Backend:
    known, values = backend_from(row), row._mapping
    if values["logged_in_as"] is not None:
        known = _without_others(known)
    return known if values[account.c.account] is None else _as_found(known, values)


def _as_found(known: Backend, values: Mapping[Any, Any]) -> Backend:
    """Return a backend as an account finds it; *values* has the columns of table `account`."""
    its = {column.name: values[column] for column in account.c}
    found: dict[str, Any] = {"failures_in_a_row": max(known.failures_in_a_row, its["failures_in_a_row"])}
    if its["learned_cap"] is not None:
        found |= {"learned_cap": its["learned_cap"], "learned_at": its["learned_at"]}
    if known.paused_class is None and its["paused_class"] is not None:
        found |= {name: its[name] for name in _PAUSE}
        found |= {"paused_class": ErrorClass(its["paused_class"]), "paused_account": its["account"]}
    return replace(known, **found)


def _without_others(known: Backend) -> Backend:
    """Return a backend for who is logged in: a dead login of nobody knows whom is not that one."""
    if known.paused_class is not ErrorClass.AUTH:
        return known
    nothing: dict[str, Any] = dict.fromkeys(_PAUSE)
    return replace(known, paused_class=None, **nothing | {"is_polled": True})


def _is_the_only_one() -> sa.ColumnElement[bool]:
    """Return the condition for an account beside which no other one of its backend is known."""
    other = account.alias("other")
    others = (
        sa.exists().where(one.c.backend_id == account.c.backend_id, one.c.account != account.c.account)
        for one in (other, login)
    )
    return sa.not_(sa.or_(*(exists.correlate(account) for exists in others)))
