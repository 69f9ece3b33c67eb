"""Texts from outside, made fit for a message: short, one line, no markup, no secrets."""

from __future__ import annotations

import html
import re

MAX_LENGTH = 300

_ORIGIN = re.compile(r"^(?:[a-zA-Z][\w+.-]*:)?//[^/?#]*")
_INVISIBLE = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->")
_MARKUP = re.compile(r"(?s)</?[a-zA-Z!][^<>]*>")
_IS_MARKUP = re.compile(r"(?i)<!doctype|<html|<body|</[a-z]")
_REPLACEMENTS = (
    (re.compile(r"<[\w.]+ object at 0x[0-9a-fA-F]+>:?\s*"), ""),
    (re.compile(r"\?[^\s'\"<>()]*=[^\s'\"<>()]*"), "?..."),
    (re.compile(r"(?i)\b(\w*(?:token|secret|password|signature))=[^\s&'\",;]+"), r"\1=..."),
    (re.compile(r"(?i)\bbearer\s+(?=\S*[\d/._-])\S{8,}"), "Bearer ..."),
    (re.compile(r"\b(?:basic|oidc)/[^/\s]*/[^\s'\",;]+"), "..."),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*)*"), "..."),
    (re.compile(r"//[^/\s@]+@"), "//"),
)


def tidied(text: str) -> str:
    """Return *text* without markup and secrets, on one line, of at most `MAX_LENGTH` characters."""
    if _IS_MARKUP.search(text):
        text = html.unescape(_MARKUP.sub(" ", _INVISIBLE.sub(" ", text)))
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 3] + "..."


def place_of(method: str | None, url: str | None) -> str:
    """Name a request by its method and path, shortened, without the query, which may be signed."""
    path = path_of(url or "") or "/"
    return f"{method or 'GET'} {path if len(path) <= MAX_LENGTH else path[: MAX_LENGTH - 3] + '...'}"


def path_of(url: str) -> str:
    """Return the path of *url*, which may be of any form, or malformed."""
    return re.split(r"[?#]", _ORIGIN.sub("", url), maxsplit=1)[0]


def without_query(url: str) -> str:
    """Return *url* without what may be secret: its query, its fragment, its user and password."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"//[^/@]*@", "//", bare, count=1)
