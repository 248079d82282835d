"""What other people may read: no secret, and no host, e-mail address or absolute path unless asked."""

from __future__ import annotations

import pytest

from lamindb.exchange.privacy import Privacy, known_hosts

HIDDEN = Privacy(hosts=("gpu-04",))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see /home/ada/x/y.csv.", "see …/y.csv."),
        ('File "/usr/lib/python3/json.py", line 3', 'File "…/json.py", line 3'),
        ("read('/data/x.csv')", "read('…/x.csv')"),
        (r"C:\Users\ada\x.txt", r"…\x.txt"),
        ("https://lab.example/a/b.csv?key=1", "https:‹host›/…/b.csv"),
        ("s3://bucket/prefix/k.csv", "s3:‹host›/…/k.csv"),
        ("postgresql://ada:pw@db.example/x", "postgresql:‹host›/…/x"),
        ("by ada@lab.org on gpu-04, GPU-04.", "by ‹e-mail› on ‹host›, ‹host›."),
        ("connected to db.corp.example.com at 10.1.2.3:5432", "connected to ‹host› at ‹host›:5432"),
        ("numpy 2.1.0, self.net.layer, np.org_id, 1.2.3.4.5", "numpy 2.1.0, self.net.layer, np.org_id, 1.2.3.4.5"),
        (r"read \n/home/bob/secret/x.csv, ~/private/z", r"read \n…/x.csv, …/z"),
        ("gpu-041 and my-gpu-04 are others", "gpu-041 and my-gpu-04 are others"),
        ("raw/a/b.csv 10/20/30 </div> and/or a / b", "raw/a/b.csv 10/20/30 </div> and/or a / b"),
    ],
)
def test_it_is_left_out(text: str, shown: str) -> None:
    assert HIDDEN.clean(text) == shown


def test_it_stays_if_asked() -> None:
    text = "/home/ada/x by ada@lab.org on gpu-04: https://lab.example/a"
    assert Privacy(True, True, True, ("gpu-04",)).clean(text) == text


def test_secrets_never_stay() -> None:
    kept = Privacy(True, True, True)
    assert "hunter22x" not in kept.clean('password = "hunter22x"')
    value = kept.value("", {"db": {"password": "hunter22x"}, "api_token": ["abc123def"], "lr": 0.1})
    assert value == {"db": {"password": "‹hidden›"}, "api_token": "‹hidden›", "lr": 0.1}


def test_lines_have_no_control_characters_and_the_last_state_of_a_progress_bar() -> None:
    assert HIDDEN.lines("\x1b[31mred\x1b[0m\n10 %\r100 %\r\n\x1b]0;title\x07end\0") == "red\n100 %\nend\\x00"


def test_hosts_are_known_with_and_without_their_domain() -> None:
    assert known_hosts(["gpu-04.lab.example", None, "", "<img src=x>"]) == ("gpu-04", "gpu-04.lab.example")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["/", "a/", "/a", "a@", "a@a.", "x", "C:\\", "a.", "a://", "\x1b]"])
def test_no_text_takes_long(part: str) -> None:
    HIDDEN.lines(part * 50_000)
