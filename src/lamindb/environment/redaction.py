"""Redaction of secrets in arguments, sources, tracebacks and logs: they become `***` before anything is stored.

Secrets are found by the name before them (`--password x`, `api_key = "x"`, `TOKEN=x`), by their shape (keys of
well-known services, private key blocks, passwords in addresses), and as the value of a secret-looking environment
variable. In doubt a value is hidden; what has no such name, shape or variable is not found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "***"

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS: Final = frozenset(
    {"pass", "passwd", "passcode", "password", "passphrase", "passwords", "pwd", "pw", "secret", "secrets"}
    | {"token", "tokens", "credential", "credentials", "creds", "cookie", "cookies", "apikey", "apikeys"}
)
_SECRET_ENDINGS: Final = ("password", "passwd", "passphrase", "secret", "apikey")
_KEYS_FOR: Final = frozenset(
    {"access", "account", "api", "auth", "authorization", "encryption", "license", "master", "private", "secret"}
    | {"service", "shared", "signing", "ssh", "storage"}
    | {"anthropic", "aws", "azure", "gcp", "gemini", "google", "hf", "mistral", "openai", "stripe", "wandb"}
)
_HARMLESS_LAST: Final = frozenset(
    {"algorithm", "count", "dir", "env", "expiry", "field", "file", "filename", "folder", "format", "header", "hint"}
    | {"id", "ids", "kind", "label", "len", "length", "limit", "location", "manager", "max", "min", "name", "names"}
    | {
        "path",
        "paths",
        "policy",
        "prompt",
        "provider",
        "reader",
        "size",
        "store",
        "ttl",
        "type",
        "types",
        "uri",
        "url",
        "var",
    }
)
_HARMLESS_BEFORE: Final = frozenset(
    {"all", "band", "bos", "by", "cls", "completion", "eos", "first", "high", "input", "low", "mask", "max", "min"}
    | {"multi", "n", "new", "next", "num", "one", "output", "pad", "prompt", "second", "sep", "single", "special"}
    | {"stop", "total", "two", "unk"}
)
"""Words before the tokens of a language and the passes of a filter, which are no secrets."""

_START: Final = r"(?:\b|(?<=\\[abfnrtv]))"
"""The start of a word. The letter of an escape before it, as in a string of a source, is no part of it."""
# Patterns of what few texts have are texts themselves, which `re` compiles when they are first used.
_SHAPES: Final = (
    _START + r"(?:(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}\b"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|oas|agent)-[\w\-]{16,}"
    r"|xox[a-z]-[\w\-]{10,}|xapp-[\w\-]{10,}"
    r"|sk-[\w\-]{16,}|[srp]k_(?:live|test)_\w{10,}"
    r"|hf_[A-Za-z0-9]{20,}|pypi-[\w\-]{20,}|npm_[A-Za-z0-9]{30,}|dapi[0-9a-f]{32}\b"
    r"|AIza[\w\-]{30,}|ya29\.[\w\-]{10,}|SG\.[\w\-]{16,}\.[\w\-]{16,}"
    r"|eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"
    r")|(?<=hooks\.slack\.com/services/)[\w/]+"
)
_SHAPE_MARKS: Final = re.compile(
    r"A(?:K|S|G|I|R|N)[IPDO]A|gh[pousr]_|github_pat_|gl[a-z]+-|xox|xapp-|sk-|k_live_|k_test_|hf_|pypi-|npm_|dapi"
    r"|AIza|ya29\.|SG\.|eyJ|hooks\.slack"
)
_PRIVATE_KEY: Final = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]{0,20000}-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{40,})"
)
_ADDRESS_PASSWORD: Final = r"(\b[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/@'\"<>]*:)(?!\{)[^\s/'\"<>]+(?=@)"
_ADDRESS_TOKEN: Final = r"(\b[A-Za-z][A-Za-z0-9+.\-]*://)[^\s:/@'\"<>{}]{16,}(?=@)"
_QUERY: Final = (
    r"(?i)([?&;](?:access[_-]?token|api[_-]?key|auth|key|password|pwd|secret|sig|signature|token"
    r"|X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-Signature)=)(?!\{)[^&\s'\"#<>]+"
)
_HEADER: Final = re.compile(
    r"((?:authorization|x-api-key|x-auth-token)[\"']?\s*[:=]\s*(?:[rbfu]{0,2}[\"'])?(?:(?:basic|bearer|token)\s+)?)"
    r"(?!\{|\*|(?:basic|bearer|token)\s)[^\s\"',;{]{4,}|(\bbearer\s+)(?=[\w.~+/\-]*\d)[\w.~+/=\-]{16,}",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(
    r"(?P<head>(?<![\w])(?P<name>[A-Za-z_][\w.\-]*)\\?[\"']?\s{0,8}\]?"
    r"\s{0,8}(?::[\w.\[\]| ]{1,60}?)?(?:=(?!=)|:|=>)\s{0,80}\(?\s{0,80}[rRbBfFuU]{0,2})"
    r"(?:(?P<long>\\?(?:\"\"\"|'''))(?P<text>(?:(?!(?P=long))(?:\\.|[^\\]))+)(?P=long)"
    r"|(?P<quote>\\?[\"'])(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\n]))+)(?P=quote))",
)
_CALLED: Final = re.compile(
    r"(?P<head>\b(?:setdefault|setenv|putenv|getenv|get|pop|set_secret|set_password)\(\s*[\"'](?P<name>[\w.\-]+)[\"']\s*,\s*)"
    r"(?P<quote>[\"'])(?P<value>[^\"'\n]+)(?P=quote)"
)
_DECLARED: Final = (
    r"(?P<head>\b(?:add_argument|option|Option|argument|Argument)\(\s{0,80}"
    r"(?P<names>(?:\\?[\"']-{0,2}[\w./\-]+\\?[\"']\s{0,80},\s{0,80}){1,4})"
    r"(?:[^()]|\([^()]{0,200}\)){0,600}?\bdefault\s?=\s?[rRbBuU]{0,2})"
    r"(?P<quote>\\?[\"'])(?P<value>(?:(?!(?P=quote))[^\n])+)(?P=quote)"
)
"""`add_argument("--api-token", default="x")`, and options of click and typer; in a notebook with escapes of JSON."""
_DECLARES: Final = frozenset({"add_argument", "option", "Option", "argument", "Argument"})
_GETS: Final = frozenset({"setdefault", "setenv", "putenv", "getenv", "get", "pop", "set_secret", "set_password"})
_CALLS: Final = re.compile(rf"\b(?:{'|'.join(sorted(_DECLARES | _GETS))})\s*\(")
_LEXEME: Final = (
    r"#[^\n]*+|(?:(?<!\w)(?P<prefix>[rRbBuUfF]{1,2}))?(?P<quote>\"\"\"|\'\'\'|[\"\'])"
    r"|(?<!\w)(?P<name>[^\W\d]\w*+)\s{0,80}(?P<after>[(\[]|=(?!=))|(?P<mark>[()\[\]{},])"
)
"""What matters of a source where calls are nested: strings, names before `(`, `[` and `=`, brackets and commas."""
_BODIES: Final = {
    quote: rf"(?s)[^\\{quote[0]}{end}]*+(?:(?:\\.{more})[^\\{quote[0]}{end}]*+)*+"
    for quote, end, more in (
        ("'", r"\n", ""), ('"', r"\n", ""), ("'''", "", "|'(?!'')"), ('"""', "", '|"(?!"")')
    )
}  # fmt: skip
"""What stands in a string, by its quotes."""
_LONGEST_CALL: Final = 10_000
"""In a text that is no source, or is cut, the bracket of a call may have no end."""
_BARE: Final = re.compile(
    r"(?P<head>(?<![\w])(?P<name>[A-Za-z_][\w.\-]*)(?:=|:[ \t]{1,8}))(?P<value>[^\s'\"()\[\]{},;=*]+)(?=[\s;&'\"\\]|$)"
)
_USER_OPTION: Final = r"-[uU]|--(?:user|username|login|proxy-user)"
_PAIR: Final = r"(?P<head>(?!\d+:\d+(?!\w))[^\s:/'\",]+:)(?![/${*])[^\s'\"]+"
_BY_USER: Final = rf"(?P<option>(?<![\w-])(?:{_USER_OPTION})[\"']?(?:=|[\s,]{{1,4}})[\"']?){_PAIR}"
"""`curl -u name:password`; `docker run -u 1000:1000` has no password."""
_GLUED_IN: Final = r"(?:mysql|mariadb|sshpass|7z|rar|unrar)[\w-]*"
_NEXT_IN: Final = r"(?s)(?:.* )?(?:sshpass|mongo\w*)|(?:.*/)?(?:docker|podman) login"
_GLUED: Final = rf"(?P<head>\b{_GLUED_IN}[\"'\s,][^\n;|&]{{0,200}}?[\s\"']-p)(?![\s'\",$*-])[^\s;|&'\",]+"
_NEXT: Final = (
    r"(?P<head>\b(?:sshpass|mongo\w*|(?:docker|podman)[\"'\s,]{1,4}login)\b[^\n;|&*]{0,200}?[\s\"']-p[\"'\s,]{1,4})"
    r"(?![-$*])[^\s;|&'\",]+"
)
"""`mysql -ppassword`, `sshpass -p password`: what the option is depends on the program."""
_LIKELY: Final = r"-p(?=.*\d)(?=.*[A-Za-z])(?=.*[^a-z\d_.-])[^/=:,\s$*]{6,}"
"""A word that is likely a password, whatever the program; `-profile`, `-p8080` and `-p0.05` are not."""
_NAME_MARKS: Final = re.compile(r"pass|pwd|pw|secret|token|cred|cookie|key", re.IGNORECASE)
_OPTION: Final = r"^-{1,2}(?P<name>[A-Za-z][\w.\-]*)$"
_ASSIGNMENT: Final = r"(?s)^(?P<head>[-+~]*(?P<name>[A-Za-z_][\w.\-]*)(?:=|:))(?P<value>.+)$"
_PLACEHOLDERS: Final = frozenset(
    {"", HIDDEN, "none", "null", "true", "false", "required", "optional", "string", "str", "bytes", "int", "bool"}
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return True if a variable, option or field of this name likely holds a secret.

    Examples:
        >>> is_secret_name("DB_PASSWORD"), is_secret_name("openaiApiKey"), is_secret_name("max_tokens")
        (True, True, False)
    """
    words = [word.lower() for word in _WORD.findall(name) if not word.isdigit()]
    if not words or words[-1] in _HARMLESS_LAST or name in {"PWD", "OLDPWD"}:
        return False
    for before, word in zip(["", *words], words, strict=False):
        if word in {"key", "keys"} and before in _KEYS_FOR:
            return True
        if before not in _HARMLESS_BEFORE and (word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS)):
            return True
    return False


def redact_text(text: str) -> str:
    """Replace secrets in a source, log or traceback.

    Line breaks outside of private keys stay, so that line numbers do.
    """
    text = _redact_values(text, _environment_secrets())
    if "-----BEGIN " in text:
        text = re.sub(_PRIVATE_KEY, HIDDEN, text)
    if "://" in text:
        text = re.sub(_ADDRESS_TOKEN, rf"\1{HIDDEN}", re.sub(_ADDRESS_PASSWORD, rf"\1{HIDDEN}", text))
        text = re.sub(_QUERY, rf"\1{HIDDEN}", text)
    if _SHAPE_MARKS.search(text):
        text = re.sub(_SHAPES, HIDDEN, text)
    if "-u" in text or "-U" in text or "--login" in text:
        text = re.sub(_BY_USER, rf"\g<option>\g<head>{HIDDEN}", text)
    if "-p" in text:
        text = re.sub(_NEXT, rf"\g<head>{HIDDEN}", re.sub(_GLUED, rf"\g<head>{HIDDEN}", text))
    text = _HEADER.sub(lambda found: (found.group(1) or found.group(2)) + HIDDEN, text)
    if _NAME_MARKS.search(text) is None:
        return text
    if _CALLS.search(text) is not None:
        text = _hide_nested(text)
    if "default" in text:
        text = re.sub(_DECLARED, _hide_declared, text)
    return _BARE.sub(_hide_bare, _CALLED.sub(_hide_called, _QUOTED.sub(_hide_quoted, text)))


def redact_arguments(argv: Sequence[str]) -> list[str]:
    """Replace secrets in the words of a command.

    Hides what follows an option or parameter with a secret-looking name, in the same word or in the next one, and the
    passwords of options such as `-u name:password`, which depend on the words before them.
    """
    redacted: list[str] = []
    argv = _redact_options(argv)
    hide_next = False
    for position, word in enumerate(argv):
        if hide_next and not word.startswith("--"):
            redacted.append(HIDDEN)
            hide_next = False
            continue
        assignment = re.match(_ASSIGNMENT, word)
        if assignment and "://" not in assignment["head"] and is_secret_name(assignment["name"]):
            redacted.append(assignment["head"] + HIDDEN)
            hide_next = False
            continue
        option = re.match(_OPTION, word)
        parameter = position > 0 and argv[position - 1] in {"-p", "-r", "--parameters", "--raw-parameters", "--set"}
        hide_next = is_secret_name(option["name"]) if option else parameter and is_secret_name(word)
        redacted.append(redact_text(word))
    return redacted


def _redact_options(argv: Sequence[str]) -> list[str]:
    """Replace the passwords of options without a name that tells."""
    words: list[str] = []
    is_glued = comes_next = False
    for previous, word in zip(["", *argv], argv, strict=False):
        pair = re.match(_PAIR, word) if re.fullmatch(_USER_OPTION, previous) else None
        if pair is not None:
            words.append(pair["head"] + HIDDEN)
        elif re.fullmatch(_LIKELY, word) or (is_glued and re.fullmatch(r"-p[^-].*", word, re.DOTALL)):
            words.append(f"-p{HIDDEN}")
        elif comes_next and previous == "-p" and not word.startswith("-"):
            words.append(HIDDEN)
        else:
            words.append(word)
        name = word.rpartition("/")[2]
        is_glued = is_glued or re.fullmatch(_GLUED_IN, name) is not None
        comes_next = comes_next or re.fullmatch(_NEXT_IN, f"{previous} {name}") is not None
    return words


def _is_secret(found: re.Match[str]) -> bool:
    """Return True if the name before a value is that of a secret, without the letter of an escape before it."""
    name = found["name"]
    is_escaped = found.string.endswith("\\", 0, found.start("name"))
    return is_secret_name(name) or (is_escaped and is_secret_name(name[1:]))


def _hide_quoted(found: re.Match[str]) -> str:
    value = found["text"] or found["value"]
    if not _is_secret(found) or value.casefold() in _PLACEHOLDERS:
        return found.group()
    quote_mark = found["long"] or found["quote"]
    lines = "\n" * value.count("\n")
    return f"{found['head']}{quote_mark}{HIDDEN}{lines}{quote_mark}"


def _hide_called(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"]) or found["value"].casefold() in _PLACEHOLDERS:
        return found.group()
    return f"{found['head']}{found['quote']}{HIDDEN}{found['quote']}"


def _hide_declared(found: re.Match[str]) -> str:
    names = re.findall(r"[A-Za-z_][\w.\-]*", found["names"])
    if not any(map(is_secret_name, names)) or found["value"].casefold() in _PLACEHOLDERS:
        return found.group()
    return f"{found['head']}{found['quote']}{HIDDEN}{found['quote']}"


class _Bracket:
    """An open bracket of a source: the arguments of a call, an index, or anything else."""

    __slots__ = ("index", "inherited", "is_secret", "keyword", "kind", "name", "start")

    def __init__(self, kind: str, name: str | None, start: int, inherited: _Role) -> None:
        self.kind, self.name, self.start, self.inherited = kind, name, start, inherited
        self.index, self.is_secret = 0, False
        self.keyword: str | None = None

    def role(self, position: int) -> _Role:
        """Return what a string there is: True if a secret, the call whose option or variable it names, or None."""
        if self.kind == "{" or (self.kind == "[" and self.name is not None):
            return None
        is_near = position - self.start < _LONGEST_CALL
        if self.kind == "(" and self.name in _DECLARES and is_near:
            return self if self.keyword is None else (self.keyword == "default" and self.is_secret) or None
        if self.kind == "(" and self.name in _GETS and is_near:
            if self.index == 0 and self.keyword is None:
                return self
            if self.is_secret and self.keyword in (None, "default", "value"):
                return True
        return self.inherited


_Role = _Bracket | bool | None


def _hide_nested(text: str) -> str:
    """Hide strings that are the default of an option, or of a variable, however deep they are in its call."""
    lexeme, made, done, position = re.compile(_LEXEME), [], 0, 0
    brackets: list[_Bracket] = []
    closed_from: dict[str, int] = {}
    while (found := lexeme.search(text, position)) is not None:
        position = found.end()
        quote_mark, name, mark = found["quote"], found["name"], found["after"] or found["mark"]
        if quote_mark is not None:
            if position < closed_from.get(quote_mark, 0):
                # No such string ends before there.
                continue
            body = re.compile(_BODIES[quote_mark]).match(text, position)
            assert body is not None
            if not text.startswith(quote_mark, body.end()):
                closed_from[quote_mark] = body.end()
                continue
            role = brackets[-1].role(position) if brackets else None
            if role is True and _is_literal(found["prefix"], body.group()):
                made += [text[done:position], HIDDEN, "\n" * body.group().count("\n")]
                done = body.end()
            elif isinstance(role, _Bracket):
                role.is_secret = role.is_secret or _names_secret(role, body.group())
            position = body.end() + len(quote_mark)
        elif mark is None:
            continue
        elif mark in "([{":
            brackets.append(_Bracket(mark, name, position, brackets[-1].role(position) if brackets else None))
        elif mark in ")]}":
            is_pair = brackets and brackets.pop().kind + mark in ("()", "[]", "{}")
            if not is_pair:
                brackets.clear()
        elif brackets and mark == ",":
            brackets[-1].index, brackets[-1].keyword = brackets[-1].index + 1, None
        elif brackets:
            brackets[-1].keyword = name
    return "".join([*made, text[done:]])


def _names_secret(call: _Bracket, value: str) -> bool:
    if call.name in _DECLARES:
        return any(map(is_secret_name, re.findall(r"[A-Za-z_][\w.\-]*+", value)))
    return re.fullmatch(r"[\w.\-]+", value) is not None and is_secret_name(value)


def _is_literal(prefix: str | None, value: str) -> bool:
    """Return True if a string has text of its own that is worth hiding, beside what an f-string is filled with."""
    own = re.sub(r"\{[^{}]*+\}", "", value) if "f" in (prefix or "").lower() else value
    return own.strip().casefold() not in _PLACEHOLDERS


def _hide_bare(found: re.Match[str]) -> str:
    """Hide an unquoted value where it looks typed by hand: a variable's name in code is left alone."""
    name, value = found["name"], found["value"]
    if not _is_secret(found) or value.casefold() in _PLACEHOLDERS:
        return found.group()
    if name != name.upper() and (value.isidentifier() or "." in value) and not any(map(str.isdigit, value)):
        return found.group()
    return found["head"] + HIDDEN


def _environment_secrets() -> tuple[str, ...]:
    return _secrets_of(os.environ.items())


def _secrets_of(variables: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the values to hide: of secret-looking variables, and the passwords in addresses."""
    found = set()
    for name, value in variables:
        if "://" in value:
            for match in re.finditer(_ADDRESS_PASSWORD, value):
                found.add(match.group()[len(match.group(1)) :])
        elif is_secret_name(name) and not _is_path(value):
            found.add(value.strip())
    return tuple(sorted(filter(_is_worth_hiding, found), key=len, reverse=True))


def _is_path(value: str) -> bool:
    """Return True if a value names a file or folder that exists, such as that of a key."""
    try:
        return "/" in value and Path(value).exists()
    except (OSError, ValueError):
        return False


def _is_worth_hiding(value: str) -> bool:
    """Return False for values so short or common that hiding them everywhere would only make holes in the text."""
    if value.casefold() in _PLACEHOLDERS or len(value) < 4:
        return False
    return len(value) >= 6 or (any(map(str.isdigit, value)) and any(map(str.isalpha, value)))


def _redact_values(text: str, values: tuple[str, ...]) -> str:
    pattern = _pattern_of(values)
    return pattern.sub(HIDDEN, text) if pattern is not None else text


@lru_cache(maxsize=4)
def _pattern_of(values: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return one pattern of all values, as they are and as they look in an address."""
    forms = sorted({form for value in values for form in (value, quote(value, safe=""))}, key=len, reverse=True)
    bounded = [
        re.escape(form) if len(form) >= 8 else rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" for form in forms
    ]
    return re.compile("|".join(bounded)) if bounded else None
