"""The root URL of a backend: what lies below it, and which hosts are its own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Root:
    """A root URL, taken apart; slashes that are doubled or trailing do not matter."""

    scheme: str
    host: str
    port: int | None
    segments: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> Root:
        """Take *url* apart."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        segments = tuple(unquote(segment) for segment in parts.path.split("/") if segment)
        return cls(scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme), segments)

    @property
    def depth(self) -> int:
        """How many segments the path has."""
        return len(self.segments)

    def path_below(self, url: str) -> tuple[str, ...] | None:
        """Return the segments of *url* below this root; None where it lies elsewhere."""
        if not self.has_origin_of(url):
            return None
        segments = Root.of(url).segments
        return segments[self.depth :] if segments[: self.depth] == self.segments else None

    def has_origin_of(self, url: str) -> bool:
        """Say whether *url* has the same scheme, host and port."""
        try:
            other = Root.of(url)
        except ValueError:
            return False
        return self._origin == other._origin

    @property
    def _origin(self) -> tuple[str, str, int | None]:
        return self.scheme, self.host, self.port


def join(root_url: str, *segments: str) -> str:
    """Return the URL of *segments* below *root_url*; none gives the root itself, with a slash."""
    return root_url.rstrip("/") + "/" + "/".join(quote(segment, safe="~") for segment in segments)


def secured(url: str, root_url: str) -> str:
    """Return *url*, by https where it points by http to the host of a root that is served by https.

    Backends behind a proxy that ends TLS often hand out links of their own with the wrong scheme.
    """
    try:
        root, other = Root.of(root_url), Root.of(url)
    except ValueError:
        return url
    falls_back = (root.scheme, other.scheme) == ("https", "http") and root.host == other.host
    if not falls_back or other.port not in (80, root.port):
        return url
    parts = urlsplit(url)
    root_parts = urlsplit(root_url)
    return urlunsplit(("https", root_parts.netloc, parts.path, parts.query, parts.fragment))


def resolved(url: str, href: str) -> str:
    """Return where the link *href* on the page *url* leads; one that is malformed stays as it is."""
    try:
        return urljoin(url, href)
    except ValueError:
        return href
