"""Keep what several runs share: networks, opened styles and what was measured on them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import TypeVar

T = TypeVar("T")


class Kept:
    """Makes things once and keeps those that were used last.

    It is safe to use from several threads: a thing that several ask for at once is made once.

    Args:
        most: how many things are kept; 0 keeps none.

    Example:
        >>> kept = Kept(2)
        >>> kept.get("one", lambda: [1]) is kept.get("one", lambda: [1])
        True
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._things: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns the thing of this key; `make` makes it unless it is kept.

        What `make` raises is passed on, and nothing is kept then.
        """
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                found: T = self._things[key]  # type: ignore[assignment]
                return found
            made = make()
            self._things[key] = made
            while len(self._things) > self.most:
                self._things.popitem(last=False)
            return made

    def make_room(self, things: int) -> None:
        """Keeps more from now on, where this many are used in turn; unless nothing is kept."""
        if self.most:
            self.most = max(self.most, things)

    def holds(self, thing: object) -> bool:
        """Returns whether this very object is kept, so that others may use it too."""
        with self._lock:
            return any(kept is thing for kept in self._things.values())
