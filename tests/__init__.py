"""What checks the annotations of impasto while tests run; an int may stand where a float may."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))

_jaxtyped: Any = jaxtyping.jaxtyped
_SIZES: Any = _jaxtyped("context")


def jaxtyped(target: Any = None, *, typechecker: Any = check) -> Any:
    """Does what jaxtyping's decorator of this name does, which its import hook puts on everything.

    Most tests took twice their time by that one: it binds the arguments of each call to their
    names, of which no shape here makes use, and has beartype look at them twice.
    """
    if target is None:
        return lambda target: jaxtyped(target, typechecker=typechecker)
    if inspect.isclass(target):  # of dataclasses, the values they are made of
        if is_dataclass(target) and not hasattr(target.__init__, "__wrapped__"):
            made: Any = jaxtyped(target.__init__, typechecker=typechecker)
            target.__init__ = made  # type: ignore[method-assign]
        return target
    if not inspect.isfunction(target) or inspect.isgeneratorfunction(target):
        return _jaxtyped(target, typechecker=typechecker)
    target.__annotations__ = _resolved(target)
    checked = typechecker(target)

    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _SIZES:  # what the names in shapes stand for, from the arguments to the result
            return checked(*args, **kwargs)

    return call


def _resolved(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function; Any for a name that only mypy knows, or that comes later."""
    found = {}
    for name, hint in function.__annotations__.items():
        try:
            found[name] = eval(hint, function.__globals__) if isinstance(hint, str) else hint
        except (NameError, AttributeError):
            found[name] = Any
    return found


jaxtyping.jaxtyped = jaxtyped  # type: ignore[assignment]
