"""Open buckets, with credentials and time limits of the environment; translate the errors of the client."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lamindb.core import storage_url
from lamindb.core.requirements import pip_install
from lamindb.errors import InvalidInputError, LaminError, ReadOnlyError, StorageError, UnsupportedError
from lamindb.storage import aws_profile

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

TIMEOUT_SECONDS: Final = 30.0
"""How long one request may take, and how long a failing one is repeated."""

TIMEOUT_VARIABLE: Final = "LAMIN_STORAGE_TIMEOUT_SECONDS"

_LOOPBACK: Final = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|::1)", re.IGNORECASE)


class _MemoryBuckets:
    """Buckets in memory, by their addresses."""

    def __init__(self) -> None:
        self._opened: dict[str, Backend] = {}
        self._lock = threading.Lock()

    def open(self, name: str, make: Callable[[], Backend]) -> Backend:
        """Return the bucket of a name, made when it is first opened."""
        with self._lock:
            return self._opened.setdefault(name, make())


_memory_buckets: Final = _MemoryBuckets()
# One per process, whose memory they are in.


def open_bucket(url: str) -> Backend:
    """Open the bucket of an address, with its prefix; no request is made.

    Raises:
        InvalidInputError: As for `storage_url.split`, or a setting in the environment is wrong.
        UnsupportedError: The package for object stores is not installed.
        StorageError: The credentials cannot be read.
    """
    scheme, bucket, prefix = storage_url.split(url)
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise UnsupportedError(
            f"'{url}' needs packages that are not installed: {pip_install('obstore', 'upath', 'fsspec')}"
        ) from error
    if scheme == "memory":
        return _memory_buckets.open(f"{bucket}/{prefix}", stores.MemoryStore)
    config, provider = aws_profile.s3_settings() if scheme == "s3" else ({}, None)
    # Bucket and prefix go apart: `from_url` would decode percent signs, and drop what follows a `?` or `#`.
    opener: Callable[..., Backend] = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[scheme]
    try:
        return opener(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client_options(config.get("endpoint")),
            retry_config=_retry_config(),
            **({"credential_provider": provider} if provider is not None else {}),
        )
    except (BaseError, ValueError) as error:
        raise translate(error, f"open '{scheme}://{bucket}'") from error


def boto_client(url: str) -> Any:
    """Open a client of boto3 for what the client of buckets cannot do; no request is made.

    Raises:
        UnsupportedError: The address is none of S3's, or boto3 is not installed.
        StorageError: There are no credentials.
    """
    if storage_url.split(url)[0] != "s3":
        raise UnsupportedError(f"'{url}' is not an address of S3")
    settings, _ = aws_profile.s3_settings()
    try:
        boto3 = importlib.import_module("boto3")
        config = importlib.import_module("botocore.config").Config
    except ImportError as error:
        raise UnsupportedError("this needs a package that is not installed: pip install boto3") from error
    options = config(
        connect_timeout=min(5.0, timeout_seconds()),
        read_timeout=timeout_seconds(),
        s3={"addressing_style": "path"} if "endpoint" in settings else {},
    )
    given = {f"aws_{name}": value for name, value in settings.items() if name not in {"endpoint", "region"}}
    try:
        return boto3.client(
            "s3",
            endpoint_url=settings.get("endpoint"),
            region_name=settings.get("region"),
            config=options,
            **given,
        )
    except Exception as error:
        raise translate(error, f"open '{url}'") from error


def environment_hash() -> int:
    """Return a number that changes with the environment variables that buckets depend on."""
    prefixes = ("AWS_", "AZURE_", "GOOGLE_", "LAMIN_STORAGE_", "HOME")
    return hash(tuple(item for item in os.environ.items() if item[0].startswith(prefixes)))


def is_plain(scheme: str) -> bool:
    """Return True if packages with clients of their own reach the buckets of a scheme by plain addresses.

    They read the common variables of the environment, and profiles in different ways, mostly without endpoints.

    Raises:
        StorageError: The profile cannot be read.
    """
    if scheme != "s3":
        return True
    config, profile = aws_profile.s3_config()
    known = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return profile is None and config in ({}, {"endpoint": known})


def timeout_seconds() -> float:
    """Return how long a request may take.

    Raises:
        InvalidInputError: The variable is not a positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    if text is None:
        return TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise InvalidInputError(f"{TIMEOUT_VARIABLE} is {text!a}: set it to a number of seconds such as 30")
    return seconds


def _client_options(endpoint: str | None) -> dict[str, Any]:
    from datetime import timedelta

    seconds = timeout_seconds()
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=seconds),
        "connect_timeout": timedelta(seconds=min(5.0, seconds)),
    }
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"true", "1"}
    if allowed or (endpoint is not None and _LOOPBACK.fullmatch(urlsplit(endpoint).hostname or "")):
        options["allow_http"] = True
    return options


def _retry_config() -> dict[str, Any]:
    from datetime import timedelta

    return {
        "max_retries": 5,
        "retry_timeout": timedelta(seconds=timeout_seconds()),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
    }


_UNKNOWN: Final = re.compile(r"status code: 501\b|<Code>(NotImplemented|NotSupported)</Code>")

_CAUSES: Final = (
    (re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE), "there is no such bucket"),
    (
        re.compile(r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Unauthorized|\b401\b"),
        "the credentials were refused: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    (re.compile(r"169\.254\.169\.254|metadata\.google|MissingCredential|InstanceMetadata"), "there are no credentials"),
    (re.compile(r"TimedOut|timed out|operation timed out|kind: Timeout", re.IGNORECASE), "it did not answer in time"),
    (re.compile(r"dns error|failed to lookup", re.IGNORECASE), "its host is not known here: check AWS_ENDPOINT_URL"),
    (re.compile(r"Connection refused|ConnectionRefused|tcp connect", re.IGNORECASE), "it refused the connection"),
    (re.compile(r"No space left|InsufficientStorage|\b507\b"), "it is full"),
    (re.compile(r"\b50\d\b|InternalError|SlowDown|ServiceUnavailable"), "the server failed"),
    (
        re.compile(r"connection (closed|reset)|IncompleteMessage|sending request|BrokenPipe|body", re.IGNORECASE),
        "the connection broke",
    ),
)


def is_unsupported_request(error: BaseException) -> bool:
    """Return True if a server refused a request because it does not support its kind."""
    return type(error).__name__ == "NotSupportedError" or _UNKNOWN.search(str(error)) is not None


def translate(error: BaseException, doing: str, *, writing: bool = False) -> LaminError:
    """Return our error for one of the client's; its text may hold secrets, and is not repeated whole.

    Args:
        error: What the client raised.
        doing: The failed operation, such as "store 'a.csv' in 's3://bucket'".
        writing: The operation would have changed something.
    """
    if isinstance(error, LaminError):
        return error
    text = str(error)
    kind = type(error).__name__
    for pattern, cause in _CAUSES:
        if pattern.search(text):
            return StorageError(f"cannot {doing}: {cause}; nothing was changed, and calling again is safe")
    if kind in {"PermissionDeniedError", "UnauthenticatedError"} or re.search(r"AccessDenied|\b403\b", text):
        refused = ReadOnlyError if writing else StorageError
        return refused(f"cannot {doing}: the permission was denied: ask the owner of the bucket for it")
    if isinstance(error, FileNotFoundError):
        return StorageError(f"cannot {doing}: there is no such bucket")
    first = " ".join(text.split("\n\n", 1)[0].split())[:200]
    return StorageError(f"cannot {doing}: {first or kind}; nothing was changed, and calling again is safe")
