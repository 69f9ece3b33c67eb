"""Why something in a dataframe cannot be stored, and what its owner can type about it."""

from __future__ import annotations

from collections.abc import Sequence

from openeo_jobs.errors import FrameError

SHOWN_PROBLEMS = 5


class RefusedError(ValueError):
    """A value or a dtype that is not stored; in *remedy*, `{column}` stands for where it is."""

    def __init__(self, what: str, remedy: str, *, position: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.position = position

    def at(self, position: int) -> RefusedError:
        """Return the same refusal with the position of its row."""
        return RefusedError(self.what, self.remedy, position=position)

    def describe(self, *, where: str, column: str, labels: Sequence[object]) -> str:
        """Say *where* it is, in which row, what is wrong and how to mend the *column*."""
        row = "" if self.position is None else f", row {labels[self.position]!r}"
        return f"{where}{row}: {self.what}; {self.remedy.format(column=column)}"


def raise_problems(problems: Sequence[str], *, lead: str = "this dataframe cannot become a campaign") -> None:
    """Raise one error that tells the first few *problems*, if there are any, after the *lead*."""
    if not problems:
        return
    shown = list(problems[:SHOWN_PROBLEMS])
    if len(problems) > SHOWN_PROBLEMS:
        shown.append(f"and {len(problems) - SHOWN_PROBLEMS} more")
    if len(shown) == 1:
        raise FrameError(f"{lead}: {shown[0]}")
    raise FrameError("\n- ".join([f"{lead}:", *shown]))
