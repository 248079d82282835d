"""The WSGI application: it checks a request, finds the view for its path, and turns errors into pages.

It reads no Django settings but those of the library, so that it works beside any project of the user's.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse

from lamindb.core import context
from lamindb.errors import IntegrityError, InvalidInputError, LaminError, NoInstanceError, NoResultFound
from lamindb.web import responses, routes
from lamindb.web.gate import Redirect, Refusal
from lamindb.web.responses import PageError
from lamindb.web.site import Site

_log: Final = logging.getLogger("lamindb.web")
_MOST_ADDRESS: Final = 8_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Request(WSGIRequest):
    """A request, with what its server shows."""

    site: Site  # type: ignore[assignment]  # The stubs know an attribute of a contributed app.

    @property
    def is_part(self) -> bool:
        """Whether a script asks for a part of a page."""
        return self.headers.get("HX-Request") == "true" and self.headers.get("HX-History-Restore-Request") != "true"


class Application:
    """The pages of one site, as a WSGI application; safe in many threads."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        response = responses.finish(self.respond(environ))
        head = f"{response.status_code} {response.reason_phrase}"
        headers = [*response.items(), *(("Set-Cookie", one.OutputString()) for one in response.cookies.values())]
        start_response(head, headers)
        if environ.get("REQUEST_METHOD") == "HEAD":
            response.close()
            return []
        file = getattr(response, "file_to_stream", None)
        if file is not None and environ.get("wsgi.file_wrapper") is not None:
            response._resource_closers.clear()  # type: ignore[attr-defined]
            found: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
            return found
        if isinstance(response, StreamingHttpResponse):
            return _Closing(response)
        return [response.content]  # type: ignore[attr-defined]

    def respond(self, environ: dict[str, Any]) -> HttpResponseBase:
        """Return the answer to a request; every error is one."""
        request: Request | None = None
        try:
            answer = self._checked(environ)
            if isinstance(answer, HttpResponseBase):
                return answer
            request = answer
            with context.using(self.site.instance):
                return self._view(request)
        except PageError as error:
            status, text = error.status, error.text
        except NoResultFound:
            status, text = 404, "There is no such record. It may have been deleted for good."
        except IntegrityError:
            status = 409
            text = "The stored bytes are missing or damaged: `lamin verify` says which, and how to repair them."
        except NoInstanceError as error:
            _log.error("%s", error)
            status = 503
            text = (
                "The instance is gone: its database was deleted, moved or replaced. Start `lamin ui` where it is now."
            )
        except InvalidInputError as error:
            _log.info("refused: %s", error)
            status, text = 400, "This address asks for something that cannot be."
        except Exception as error:
            number = secrets.token_hex(4)
            _log.error("error %s: %s", number, error, exc_info=not isinstance(error, LaminError))
            status = 500
            text = f"Something failed. The terminal where `lamin ui` runs says more, as error {number}."
        return self._error_page(status, text, request)

    def _checked(self, environ: dict[str, Any]) -> Request | HttpResponseBase:
        """Return the request if it may be answered, else the answer that says why not."""
        gate = self.site.gate
        refusal = (
            gate.check_host(environ.get("HTTP_HOST"))
            or gate.check_method(str(environ.get("REQUEST_METHOD")))
            or gate.check_origin(
                environ.get("HTTP_SEC_FETCH_SITE"),
                environ.get("HTTP_SEC_FETCH_MODE"),
                environ.get("HTTP_SEC_FETCH_DEST"),
            )
        )
        if refusal is not None:
            return self._refused(refusal)
        path = _decoded_path(environ)
        if path is None or len(path) + len(environ.get("QUERY_STRING", "")) > _MOST_ADDRESS:
            return self._refused(Refusal(404, "There is no such page."))
        if not (path == gate.prefix or path.startswith(f"{gate.prefix}/")):
            return self._refused(Refusal(404, "There is no such page."))
        request = Request(environ)
        request.site = self.site
        request.path_info = path[len(gate.prefix) :] or "/"
        if routes.is_public(request.path_info):
            return request
        passed = gate.check_token(path, environ.get("QUERY_STRING", ""))
        if isinstance(passed, Redirect):
            return self._welcome(passed)
        refusal = passed or gate.check_cookie(request.COOKIES.get(gate.cookie))
        return self._refused(refusal) if refusal is not None else request

    def _view(self, request: Request) -> HttpResponseBase:
        view, values = routes.resolve(request.path_info)
        try:
            response: HttpResponseBase = view(request, **values)
        except responses.IncompleteId as error:
            whole = self.site.url(quote(routes.with_id(request.path_info, error.whole)))
            asked = request.META.get("QUERY_STRING")
            return responses.see_other(f"{whole}?{asked}" if asked else whole)
        return response

    def _welcome(self, redirect: Redirect) -> HttpResponseBase:
        response = HttpResponseRedirect(redirect.location)
        response.status_code = 303
        gate = self.site.gate
        response.set_cookie(gate.cookie, gate.session, path=gate.cookie_path, httponly=True, samesite="Lax")
        return response

    def _refused(self, refusal: Refusal) -> HttpResponseBase:
        response = self._error_page(refusal.status, refusal.text)
        if refusal.status == 405:
            response.headers["Allow"] = "GET, HEAD"
        return response

    def _error_page(self, status: int, text: str, request: Request | None = None) -> HttpResponseBase:
        """Return a page that says what went wrong, without a path or a statement."""
        from lamindb.web import pages

        response = HttpResponse(pages.error_page(self.site, status, text, request), status=status)
        response.headers["Vary"] = "Cookie, HX-Request"
        return response


class _Closing:
    """The pieces of a streamed answer; closes what it reads from at the end."""

    def __init__(self, response: StreamingHttpResponse) -> None:
        self._response = response

    def __iter__(self) -> Any:
        return iter(self._response)

    def close(self) -> None:
        """Close what is read from."""
        self._response.close()


def _decoded_path(environ: dict[str, Any]) -> str | None:
    """Return the path of a request as text; None if it is not UTF-8 or has a control character."""
    try:
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1").decode()
    except UnicodeError:
        return None
    return path if path.startswith("/") and not _CONTROL.search(path) else None
