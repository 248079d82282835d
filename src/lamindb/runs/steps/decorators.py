"""`@step` and `@flow`: each call of a function is a run of its own, a child of the run in which it is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, TypeVar, overload

from lamindb.core import messages
from lamindb.core.settings import settings
from lamindb.db import database
from lamindb.errors import DatabaseError, InvalidTypeError, ReadOnlyError
from lamindb.records.open_instance import Outage
from lamindb.runs import liveness
from lamindb.runs.steps.function import Function
from lamindb.runs.steps.step import Step, UnrecordedStep, ended_by

P = ParamSpec("P")
R = TypeVar("R")
Begin = Callable[..., Step | UnrecordedStep]


@overload
def step(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def step(*, name: str | None = None, version: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def step(function: Any = None, /, *, name: str | None = None, version: str | None = None) -> Any:
    """Record each call of a function as a run: its arguments, the files that it reads and makes, how it ends.

    Inputs are the saved files among the arguments, outputs those among the results and those saved inside: records,
    and paths of registered files. A step within another, or within a tracked run, is its child. When the caller has
    the result, the record is durable. Functions may be `async`, generators, methods, and run in threads and process
    pools.

    Args:
        function: The function.
        name: What to call it; by default its own name, told apart by the file in which it stands.
        version: Its version.

    Raises:
        InvalidTypeError: It is no function.
    """
    return _decorator("step", function, name, version, _begin_step)


@overload
def flow(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def flow(*, name: str | None = None, version: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def flow(function: Any = None, /, *, name: str | None = None, version: str | None = None) -> Any:
    """Record each call of a function that calls steps; outside a tracked run, with all that `track()` records.

    As `step`, but its run is there from its beginning, and the processes that it starts inherit it.

    Args:
        function: The function.
        name: What to call it.
        version: Its version.

    Raises:
        InvalidTypeError: It is no function.
    """
    return _decorator("flow", function, name, version, _begin_flow)


def _decorator(kind: str, function: Any, name: str | None, version: str | None, begin: Begin) -> Any:
    def decorate(wrapped: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(wrapped) or inspect.isclass(wrapped):
            raise InvalidTypeError(f"{kind}() decorates functions, not a {type(wrapped).__name__}")
        return _decorated(Function(wrapped, name, version), begin)

    return decorate if function is None else decorate(function)


def _begin_step(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | UnrecordedStep:
    instance, problem, seconds = liveness.instance_to_track()
    given = function.bound(args, kwargs)
    outage = instance.part(Outage).now() if problem is None else None
    if outage is not None and instance.database_path is None:
        # A server that is away may take its time to be so again.
        problem = outage
    if problem is None:
        try:
            if outage is None and function.is_known(instance):
                return Step(instance, function, given)
            with database.waiting_at_most(instance.alias, seconds if outage is None else 0):
                return Step(instance, function, given)
        except (DatabaseError, ReadOnlyError) as error:
            problem = error
            instance.part(Outage).note(error)
    if settings.tracking_failure == "error":
        raise problem
    return UnrecordedStep(instance, function, given, problem)


def _begin_flow(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | UnrecordedStep:
    begun = _begin_step(function, args, kwargs)
    try:
        begun.begin_flow()
    except (DatabaseError, ReadOnlyError) as error:
        if settings.tracking_failure == "error":
            begun.end("failed", reason="its beginning could not be recorded")
            raise
        # Its row is written at its end, if the database is back.
        messages.warning(f"the call of {function.name} could not be recorded so far: {error}")
    return begun


def _decorated(function: Function, begin: Begin) -> Callable[..., Any]:
    wrapped = function.function
    if inspect.isasyncgenfunction(wrapped):
        return _async_generator(function, begin)
    if inspect.iscoroutinefunction(wrapped):
        return _coroutine(function, begin)
    if inspect.isgeneratorfunction(wrapped):
        return _generator(function, begin)

    @functools.wraps(wrapped)
    def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(function, args, kwargs)
        try:
            with step.inside():
                result = wrapped(*args, **kwargs)
        except BaseException as error:
            _fail(step, error)
            raise
        _complete(step, result)
        return result

    return call


def _complete(step: Step | UnrecordedStep, result: Any) -> None:
    step.note_result(result)
    step.end("completed")


def _fail(step: Step | UnrecordedStep, error: BaseException) -> None:
    status, reason = ended_by(error)
    step.end(status, error if status == "failed" and reason is None else None, reason)


def _coroutine(function: Function, begin: Begin) -> Callable[..., Any]:
    wrapped = function.function

    @functools.wraps(wrapped)
    async def call(*args: Any, **kwargs: Any) -> Any:
        step = begin(function, args, kwargs)
        try:
            with step.inside():
                result = await wrapped(*args, **kwargs)
        except BaseException as error:
            _fail(step, error)
            raise
        _complete(step, result)
        return result

    return call


def _generator(function: Function, begin: Begin) -> Callable[..., Any]:
    wrapped = function.function

    @functools.wraps(wrapped)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step = begin(function, args, kwargs)
        inner = wrapped(*args, **kwargs)
        advance: Callable[[], Any] = functools.partial(next, inner)
        try:
            while True:
                try:
                    # Only while the generator itself works is its run the current one.
                    with step.inside():
                        item = advance()
                except StopIteration as stop:
                    _complete(step, stop.value)
                    return stop.value
                step.note_result(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    with step.inside():
                        inner.close()
                    raise
                except BaseException as error:
                    advance = functools.partial(inner.throw, error)
                else:
                    advance = functools.partial(inner.send, sent)
        except BaseException as error:
            _fail(step, error)
            raise

    return call


def _async_generator(function: Function, begin: Begin) -> Callable[..., Any]:
    wrapped = function.function

    @functools.wraps(wrapped)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step = begin(function, args, kwargs)
        inner = wrapped(*args, **kwargs)
        advance: Callable[[], Any] = inner.__anext__
        try:
            while True:
                try:
                    with step.inside():
                        item = await advance()
                except StopAsyncIteration:
                    _complete(step, None)
                    return
                step.note_result(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    with step.inside():
                        await inner.aclose()
                    raise
                except BaseException as error:
                    advance = functools.partial(inner.athrow, error)
                else:
                    advance = functools.partial(inner.asend, sent)
        except BaseException as error:
            _fail(step, error)
            raise

    return call
