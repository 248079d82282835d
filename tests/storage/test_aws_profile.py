"""Endpoint, region and keys come from the environment and from profiles, in the usual order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lamindb.errors import StorageError
from lamindb.storage import aws_profile, bucket_client
from lamindb.storage.base import Source
from lamindb.storage.open_store import open_store


def test_a_profile_gives_credentials_and_endpoint(
    seaweed_root: str, isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = isolated_home / ".aws"
    folder.mkdir()
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    (folder / "credentials").write_text(f"[lab]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    (folder / "config").write_text(
        f"[profile lab]\nregion = us-east-1\nendpoint_url = {os.environ['AWS_ENDPOINT_URL']}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    store = open_store(seaweed_root)
    assert store.read(store.put(Source("", data=b"x")).name) == b"x"
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(StorageError, match="absent"):
        open_store(seaweed_root)


@pytest.fixture
def aws(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, str], object]]:
    """Return what is found with these files and this environment."""
    folder = isolated_home / ".aws"
    folder.mkdir()

    def settings(config: str = "", credentials: str = "", **environment: str) -> tuple[dict[str, str], object]:
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(credentials)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return aws_profile.s3_settings()

    return settings


SERVICES = """
[default]
region = eu-north-1
[profile lab]
region = eu-west-1
endpoint_url = https://all.example
services = lab-services
[services lab-services]
dynamodb =
  endpoint_url = https://tables.example
s3 =
  endpoint_url = https://objects.example
  addressing_style = path
"""
KEYS = "[lab]\naws_access_key_id = of-profile\naws_secret_access_key = secret\naws_session_token = token\n"


def test_servers_are_found_in_the_usual_order(aws: Callable[..., tuple[dict[str, str], object]]) -> None:
    def endpoint(config: str = SERVICES, **environment: str) -> str | None:
        return aws(config, KEYS, AWS_PROFILE="lab", **environment)[0].get("endpoint")

    assert endpoint() == "https://objects.example"
    assert endpoint(SERVICES.replace("s3 =", "s4 =")) == "https://all.example"
    assert endpoint(AWS_ENDPOINT_URL="https://e") == "https://e"
    assert endpoint(AWS_ENDPOINT_URL="https://e", AWS_ENDPOINT_URL_S3="https://s") == "https://s"
    with pytest.raises(StorageError, match="lab-services"):
        endpoint(SERVICES.replace("[services lab-services]", "[services other]"))


def test_keys_of_the_environment_go_before_those_of_a_profile(
    aws: Callable[..., tuple[dict[str, str], object]],
) -> None:
    found, provider = aws(SERVICES, KEYS, AWS_PROFILE="lab")
    assert (found["access_key_id"], found["session_token"], found["region"]) == ("of-profile", "token", "eu-west-1")
    assert provider is None
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    found, provider = aws(SERVICES, KEYS, AWS_PROFILE="lab", **keys)
    assert found == {"endpoint": "https://objects.example", "region": "eu-west-1"}
    assert provider is None
    assert aws(SERVICES, KEYS, **keys)[0] == {"region": "eu-north-1"}
    assert aws(SERVICES, KEYS, AWS_REGION="here", **keys)[0] == {}
    assert aws()[0] == {}


def test_an_address_alone_is_enough_where_all_is_in_the_environment(
    isolated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = isolated_home / ".aws"
    folder.mkdir()

    def is_plain(config: str = "", credentials: str = "", **environment: str) -> bool:
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(credentials)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return bucket_client.is_plain("s3")

    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "c"}
    assert is_plain() and is_plain(**keys) and is_plain(**keys, AWS_ENDPOINT_URL="https://e")
    assert is_plain(**keys, AWS_ENDPOINT_URL="https://e", AWS_ENDPOINT_URL_S3="https://s")
    assert not is_plain(**keys, AWS_ENDPOINT="https://e")
    assert not is_plain(SERVICES, KEYS, **keys, AWS_PROFILE="lab")
    assert not is_plain("", KEYS, AWS_PROFILE="lab")
    assert not is_plain("[default]\nrole_arn = x\n")
    assert bucket_client.is_plain("gs") and bucket_client.is_plain("az")


def test_a_profile_without_keys_is_left_to_boto(
    aws: Callable[..., tuple[dict[str, str], object]], tmp_path: Path
) -> None:
    pytest.importorskip("boto3")
    (tmp_path / "keys.json").write_text('{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b"}')
    config = f"[default]\nregion = us-east-1\ncredential_process = cat {tmp_path}/keys.json\n"
    assert aws(config)[1] is not None
    with pytest.raises(StorageError, match="no credentials"):
        aws(config.replace("keys.json", "none.json"))
    assert aws(config, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")[1] is None
