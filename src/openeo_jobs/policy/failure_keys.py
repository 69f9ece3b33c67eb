"""What is left of a message once all is out that differs from row to row: failures with one key are one."""

from __future__ import annotations

import re
from collections.abc import Callable

_READ = 4_000
"""How much of a message is looked at; traces of backends may have a million characters."""
_KEY_LENGTH = 300

_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,?"
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:tember)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DATE = rf"(?:{_MONTH} {{1,2}}\d{{1,2}},?|\d{{1,2}} {_MONTH})"
_YEAR = r"(?: \d{4}\b)?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|UTC|GMT|CET|CEST)\b|[+-]\d{2}:?\d{2}|Z)?"
_CODE = r"(?i:(?<![a-z])(?:code|status)(?: on <url>)?(?:: | is | with |=| )|\bHTTP/[\d.]+ )\d{1,3}\b"
_NUMBER = r"[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?"


def _keep_code(match: re.Match[str]) -> str:
    """Leave a number that says what went wrong, such as 503 or 137, where it stands."""
    return match[1] or "*"


_PATTERNS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    # The frames of traces: where it went through; what went wrong stands around them.
    (r"(?m)^[ \t]*at [\w.$<>/ ]+\([^()\n]*\)[ \t]*$", ""),
    (r"(?m)^[ \t]*\.\.\. \d+ (?:more|common frames omitted)[ \t]*$", ""),
    (r'(?m)^[ \t]+File "[^"\n]*", line \d+, in .*(?:\n[ \t]{4,}.*)*$', ""),
    # Where something lies.
    (r"(?i)/vsi[a-z0-9_]+(?:\?[^\s'\"/]*)?/(?:https?://)?[^\s'\"`<>)\]},;]*(?<![.:])", "<url>"),
    (r"(?i)\b(?:https?|ftp|file|hdfs|gs|az|s3[an]?)://[^\s'\"`<>)\]},;]*(?<![.:])", "<url>"),
    (r"(?<!\w)(?>(?:/\.?[\w@%+=~-]+(?:\.[\w@%+=~-]+)*){2,})(?<!\.py)(?<!\.jar)(?<!\.so)/?", "<path>"),
    # Ids.
    (r"@[0-9a-f]{5,16}\b", "@*"),
    (r"(?i)\b((?:extended )?(?:request|host|correlation)[ _-]?id)\b(\W{1,3})[\w/+=-]+", r"\1\2<id>"),
    (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<id>"),
    (r"\b(?:[a-z]{1,8}-){1,3}(?=[a-z]*\d)[0-9a-z]{6,}\b", "<id>"),
    (r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b", "<id>"),
    (r"\bS[1-6][A-Z]_[A-Z0-9_]{20,}(?:\.SAFE|\.SEN3|\.zip)?", "<id>"),
    (r"\b0x[0-9a-fA-F]+\b", "*"),
    # Times.
    (rf"\b(?:{_DAY} )?{_DATE}{_YEAR}(?: ?{_CLOCK})?{_YEAR}", "<time>"),
    (rf"\b\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]{_CLOCK})?", "<time>"),
    (r"\b\d{8}T\d{6}Z?\b", "<time>"),
    (rf"\b\d{{2,4}}/\d{{2}}/\d{{2,4}}(?: {_CLOCK})?", "<time>"),
    (rf"\b(?<![\d:]){_CLOCK}(?![\d:])", "<time>"),
    # Places.
    (r"\b(?:MULTI)?(?:POINT|LINESTRING|POLYGON)(?: ?Z)? ?\([-+\d.,eE() \n]*\)+", "<geometry>"),
    (r"\bT?\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2}\b", "<tile>"),
    # All other numbers but codes, and lists of them, however long.
    (rf"({_CODE})|{_NUMBER}", _keep_code),
    (r"\*[kKmMgGtT]\b", "*"),
    (r"\s+", " "),
    (r"Lost task \* in stage \* \(TID \*(?:, [^()]*)?\)(?: \([^()]*\))?: ", ""),
    (r"[(\[]+\*(?:[\])]*, ?[(\[]*\*){4,}[\])]+", "[*, ...]"),
)
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _PATTERNS)


def normalise_message(message: str) -> str:
    """Take urls, ids, times, places and numbers out of *message*: a failure reads the same in every row."""
    message = message[:_READ]
    for pattern, replacement in _COMPILED:
        message = pattern.sub(replacement, message)
    return message.strip()[:_KEY_LENGTH]
