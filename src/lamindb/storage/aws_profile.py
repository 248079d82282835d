"""Endpoint, region and keys of an AWS profile.

The client for object stores reads the environment and no profiles: its library dropped them in 2023. boto3 reads them,
and is not required: a profile that holds keys works without it, one with a role or a login needs it. Even with boto3,
the endpoint and region must be read here, as the client takes them as arguments.
"""

from __future__ import annotations

import configparser
import importlib
import os
from typing import Any, Final

from lamindb.errors import StorageError, UnsupportedError


def s3_settings() -> tuple[dict[str, Any], Any]:
    """Return what the client does not find by itself, and what gives it credentials that change, or None.

    Raises:
        StorageError: The profile is not there, cannot be read, or gives no credentials.
        UnsupportedError: It needs boto3, which is not installed.
    """
    config, profile = s3_config()
    return config, None if profile is None else _provider_of(profile)


def s3_config() -> tuple[dict[str, Any], str | None]:
    """Return endpoint, region and keys; also the name of the profile whose credentials boto3 must make, or None.

    As in other clients, keys of the environment go before those of a profile, an endpoint for S3 before one for all
    services, and each name in the environment before the files.

    Raises:
        StorageError: The profile is not there, or cannot be read.
    """
    environment = os.environ
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    profile, services = _profile_settings(named or "default")
    if named and not profile:
        raise StorageError(f"profile '{named}' is not in ~/.aws/credentials or ~/.aws/config: check AWS_PROFILE")
    config: dict[str, Any] = {}
    endpoints = [environment.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")]
    endpoints += [_nested(services.get("s3", "")).get("endpoint_url"), profile.get("endpoint_url")]
    endpoint = next(filter(None, endpoints), None)
    if endpoint is not None:
        config["endpoint"] = endpoint
    if "region" in profile and not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
        config["region"] = profile["region"]
    if environment.get("AWS_ACCESS_KEY_ID"):
        return config, None
    if "aws_access_key_id" in profile:
        names = ("access_key_id", "secret_access_key", "session_token")
        config.update({name: profile[f"aws_{name}"] for name in names if f"aws_{name}" in profile})
    elif named or _NEEDS_BOTO & profile.keys():
        return config, named or "default"
    return config, None


_NEEDS_BOTO: Final = {"role_arn", "sso_session", "sso_start_url", "credential_process", "login_session"}


def _profile_settings(profile: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings of a profile in both files, and those of the `services` section that it names."""
    home = os.path.expanduser("~")
    files = {
        os.environ.get("AWS_CONFIG_FILE") or f"{home}/.aws/config": f"profile {profile}",
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or f"{home}/.aws/credentials": profile,
    }
    found: dict[str, str] = {}
    services: dict[str, dict[str, str]] = {}
    for path, section in files.items():
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(os.path.expanduser(path), encoding="utf-8")
        except (OSError, configparser.Error, UnicodeDecodeError) as error:
            raise StorageError(f"'{path}' cannot be read as a file of profiles: correct it") from error
        for name in (section, profile):
            if parser.has_section(name):
                found.update(parser.items(name))
                break
        services.update(
            {name.split()[-1]: dict(parser.items(name)) for name in parser.sections() if name.startswith("services ")}
        )
    wanted = found.get("services")
    if wanted is not None and wanted not in services:
        raise StorageError(f"profile '{profile}' names services '{wanted}', which are not in ~/.aws/config: correct it")
    return found, services.get(wanted or "", {})


def _nested(text: str) -> dict[str, str]:
    """Return settings that are indented below another."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


def _provider_of(profile: str) -> Any:
    """Return what gets credentials by boto3, for a profile that has no keys but a role, a login or a program."""
    try:
        boto3 = importlib.import_module("boto3.session")
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise UnsupportedError(f"profile '{profile}' has no keys of its own, which needs: pip install boto3") from error
    try:
        return Boto3CredentialProvider(boto3.Session(profile_name=profile))
    except Exception as error:
        raise StorageError(f"profile '{profile}' gives no credentials: {type(error).__name__}: log in again") from error
