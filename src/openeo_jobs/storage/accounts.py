"""What is about one account of a backend: its learned cap, pauses for its login, its credits, its limits."""

from __future__ import annotations

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
    rows = connection.execute(sa.select(backend).order_by(backend.c.id)).all()
    if runner_id is None:
        its = {
            row.backend_id: row for row in connection.execute(sa.select(account).where(_is_the_only_one()))
        }
        return [_as_found(backend_from(row), its.get(row.id)) for row in rows]
    logins = sa.select(login.c.backend_id, login.c.account).where(login.c.runner_id == runner_id)
    mine = {row.backend_id: row.account for row in connection.execute(logins)}
    states = {(row.backend_id, row.account): row for row in connection.execute(sa.select(account))}
    return [
        _as_found(
            _without_others(backend_from(row)) if mine.get(row.id) is not None else backend_from(row),
            states.get((row.id, mine.get(row.id))),
        )
        for row in rows
    ]


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
        found.setdefault(row.name, []).append(_as_found(Backend(name=row.name), row))
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


def _as_found(known: Backend, its: sa.Row[Any] | None) -> Backend:
    if its is None:
        return known
    values: dict[str, Any] = {"failures_in_a_row": max(known.failures_in_a_row, its.failures_in_a_row)}
    if its.learned_cap is not None:
        values |= {"learned_cap": its.learned_cap, "learned_at": its.learned_at}
    if known.paused_class is None and its.paused_class is not None:
        values |= {name: its._mapping[name] for name in _PAUSE}
        values |= {"paused_class": ErrorClass(its.paused_class), "paused_account": its.account}
    return replace(known, **values)


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
