"""Redaction of secrets. Every value here is made up."""

from __future__ import annotations

import pytest

from lamindb.environment.redaction import is_secret_name, redact_arguments, redact_text

# Put together here, so that no scanner takes them for real ones.
GITHUB = "ghp_" + "a1B2" * 9
GITLAB = "glpat-" + "x9Y8-" * 4
SLACK = "xoxb-" + "123456789012-abcdef"
OPENAI = "sk-" + "proj-" + "Ab12" * 6
AWS = "AKIA" + "ABCDEFGH12345678"
GOOGLE = "AIza" + "S" * 35
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxIn0" + "." + "c2lnbmF0dXJl"
HUGGING = "hf_" + "Q" * 30
STRIPE = "sk_" + "live_" + "a" * 24
KEY_BLOCK = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("argv", "redacted"),
    [
        (["--password", "x1", "in.csv"], ["--password", "***", "in.csv"]),
        (["--password=x1=y"], ["--password=***"]),
        (["-token", "x1"], ["-token", "***"]),
        (["--api-key", "-x1"], ["--api-key", "***"]),
        (["--db_password:x1"], ["--db_password:***"]),
        (["--secret", "--verbose"], ["--secret", "--verbose"]),
        (["--password"], ["--password"]),
        (["--openaiApiKey", "x1"], ["--openaiApiKey", "***"]),
        (["API_TOKEN=x1", "python", "a.py"], ["API_TOKEN=***", "python", "a.py"]),
        (["+db.password=x1"], ["+db.password=***"]),
        (["-p", "token", "x1", "-p", "alpha", "2"], ["-p", "token", "***", "-p", "alpha", "2"]),
        (["postgresql://me:p%40ss@host/db"], ["postgresql://me:***@host/db"]),
        (["https://host/x?token=abc&n=1"], ["https://host/x?token=***&n=1"]),
        ([GITHUB, "--max-tokens", "5"], ["***", "--max-tokens", "5"]),
        (
            ["--password-file", "/run/p", "--key", "images/a.jpg"],
            ["--password-file", "/run/p", "--key", "images/a.jpg"],
        ),
        (["-H", "Authorization: Bearer abcdefgh"], ["-H", "Authorization: Bearer ***"]),
        (["curl", "-u", "me:x1", "a:b"], ["curl", "-u", "me:***", "a:b"]),
        (["curl", "--user=me:x1"], ["curl", "--user=me:***"]),
        (["docker", "run", "-u", "1000:1000", "-p", "8080:80"], ["docker", "run", "-u", "1000:1000", "-p", "8080:80"]),
        (["/bin/mysql", "-u", "me", "-px1", "-p"], ["/bin/mysql", "-u", "me", "-p***", "-p"]),
        (["sshpass", "-p", "x1", "ssh", "h"], ["sshpass", "-p", "***", "ssh", "h"]),
        (["sudo", "docker", "login", "-p", "x1"], ["sudo", "docker", "login", "-p", "***"]),
        (["any", "-pHunter2!"], ["any", "-p***"]),
        (["any", "-profile2", "-p8080", "-p0.05", "-p"], ["any", "-profile2", "-p8080", "-p0.05", "-p"]),
        (["sh", "-c", "mysql -u me -px1; ls -p x1"], ["sh", "-c", "mysql -u me -p***; ls -p x1"]),
        ([], []),
    ],
)
def test_arguments(argv: list[str], redacted: list[str]) -> None:
    assert redact_arguments(argv) == redacted


@pytest.mark.parametrize("secret", [GITHUB, GITLAB, SLACK, OPENAI, AWS, GOOGLE, JWT, HUGGING, STRIPE, KEY_BLOCK])
def test_well_known_shapes_are_hidden_wherever_they_stand(secret: str) -> None:
    for text in (secret, f"login({secret!r})", f"x\n{secret}\ny", f'{{"a": "{secret}"}}'):
        redacted = redact_text(text)
        assert secret not in redacted and "***" in redacted
        for piece in secret.splitlines()[:-1]:
            assert piece not in redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('api_key = "a b\'c"', 'api_key = "***"'),
        ("self.dbPassword: str = r'x\\'y'", "self.dbPassword: str = r'***'"),
        ('connect(user="me", password="x", port=1)', 'connect(user="me", password="***", port=1)'),
        ("{'token': 'x', 'key': 'a/b.csv'}", "{'token': '***', 'key': 'a/b.csv'}"),
        ('os.environ["SECRET_KEY"] = "x"', 'os.environ["SECRET_KEY"] = "***"'),
        ('os.environ.setdefault("API_KEY", "x")', 'os.environ.setdefault("API_KEY", "***")'),
        ('os.getenv("API_TOKEN", "x1")', 'os.getenv("API_TOKEN", "***")'),
        ("os.environ.get('DB_PASSWORD', 'x1')", "os.environ.get('DB_PASSWORD', '***')"),
        ('passphrase = """a\nb"""\nz', 'passphrase = """***\n"""\nz'),
        ('token = (\n    "abc"\n)', 'token = (\n    "***"\n)'),
        ("export PGPASSWORD=hunter2", "export PGPASSWORD=***"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("password: hunter2", "password: ***"),
        ('"source": ["api_key = \\"abc\\"\\n"]', '"source": ["api_key = \\"***\\"\\n"]'),
        ("authorization: Basic dXNlcjpwdw==", "authorization: Basic ***"),
        ("git clone https://0123456789abcdef0123@host/x", "git clone https://***@host/x"),
        ("redis://:pw@host", "redis://:***@host"),
        ("https://me:p@ss@host/a@b", "https://me:***@host/a@b"),
        ("curl -u 'me:x1' https://host", "curl -u 'me:***' https://host"),
        ('run(["curl", "--user", "me:x1"])', 'run(["curl", "--user", "me:***"])'),
        ('run(["mysqldump", "-px1", "d"])', 'run(["mysqldump", "-p***", "d"])'),
        ("sshpass -p x1 ssh host -p 22", "sshpass -p *** ssh host -p 22"),
        ('p.add_argument("-t", "--api-token", default="x1")', 'p.add_argument("-t", "--api-token", default="***")'),
        (
            "add_argument('--pwd', help='(me)',\n default = 'x')",
            "add_argument('--pwd', help='(me)',\n default = '***')",
        ),
        ('@click.option("--password", default="a b")', '@click.option("--password", default="***")'),
        ('["p.add_argument(\\"--token\\", default=\\"x\\")"]', '["p.add_argument(\\"--token\\", default=\\"***\\")"]'),
    ],
)
def test_named_secrets_are_hidden(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted
    assert redact_text(redacted) == redacted, "a second time changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        'key = "images/a.jpg"',
        "ln.File('a.csv', key='data/a.csv')",
        'eos_token = "</s>"; max_tokens = "5"; token_type = "bearer"',
        "password = getpass.getpass()",
        "password=args.password, token=token",
        'password = ""',
        "def login(password: str, token: str | None = None) -> None:",
        "tokenizer = 'bert'",
        'os.getenv("API_TOKEN", ""); d.get("key", "a"); d.get("token_type", "bearer"); d.get("password")',
        'p.add_argument("--token-file", default="a.txt"); p.add_argument("--lr", default="0.1")',
        'p.add_argument("--token", required=True)\nx = dict(default="kept")',
        "from secrets import token_hex",
        "f'postgresql://{user}:{password}@{host}'",
        "https://host:8080/path and mail me@example.org",
        'if "-----BEGIN " in text: pass',
        "first_pass = 'coarse'",
        "the password is wrong",
        "df[['token', 'count']]",
        "d = {'a': 1, 'keys': ['x']}",
        "docker run -u 1000:1000 -p 8080:80 x",
        "curl -u $USER:$PASS https://host:80; mysql -p $DB",
        "curl -u https://host; tar -pxf a; nextflow -profile x",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_values_of_secret_variables_are_hidden_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "correct horse/battery")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t-pw@host/db")
    monkeypatch.setenv("SHORT_PASSWORD", "ab1x")
    monkeypatch.setenv("DULL_PASSWORD", "true")
    text = "got correct horse/battery, s3cr3t-pw, correct%20horse%2Fbattery, ab1x, cab1xy, true"
    assert redact_text(text) == "got ***, ***, ***, ***, cab1xy, true"
    assert redact_arguments(["correct horse/battery"]) == ["***"]


def test_variables_that_name_files_do_not_hide_them(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("SERVICE_CREDENTIALS", str(tmp_path))
    assert redact_text(f"open({str(tmp_path)!r})") == f"open({str(tmp_path)!r})"
    monkeypatch.setenv("SERVICE_TOKEN", "/" + "x" * 5000)
    assert redact_text("a/" + "x" * 5000) == "a***"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "apiKey",
        "api-key",
        "OPENAI_API_KEY",
        "client_secret",
        "token2",
        "accessToken",
        "AWS_SECRET_ACCESS_KEY",
        "hf_token",
        "credentials",
        "session_cookie",
        "PASSWD",
        "private_key",
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "keys",
        "sort_key",
        "PWD",
        "OLDPWD",
        "tokenizer",
        "max_tokens",
        "pad_token",
        "password_file",
        "passwordless",
        "SSH_AUTH_SOCK",
        "secretary",
        "compass",
        "bypass",
        "token_count",
        "",
        "primary_key",
        "PATH",
        "monkey",
    ],
)
def test_harmless_names(name: str) -> None:
    assert not is_secret_name(name)


def test_long_texts_do_not_take_long_to_match() -> None:
    for piece in ("a" * 200_000, "key " * 50_000, "x=" * 100_000, '"' * 100_000, "token" * 40_000, "://" * 60_000):
        assert len(redact_text(piece)) >= 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r'"first\nAKIAABCDEFGHIJKLMNOP"', r'"first\n***"'),
        (r"\tghp_aaaaaaaaaaaaaaaaaaaaaaaa", r"\t***"),
        (r'"a\ntoken=abc123def"', r'"a\ntoken=***"'),
        (r'"\rapi_key: abc123def"', r'"\rapi_key: ***"'),
        ("task-aaaaaaaaaaaaaaaaaaaaaaaa", "task-aaaaaaaaaaaaaaaaaaaaaaaa"),
    ],
)
def test_the_letter_of_an_escape_is_no_part_of_a_word(text: str, shown: str) -> None:
    assert redact_text(text) == shown


HIDDEN_DEFAULTS = [
    'parser.add_argument("--password", type=str, help=f("x (y)"), default="hunter2")',
    'os.getenv(("API_TOKEN"), "hunter2")',
    'os.getenv((("API_TOKEN")), (("hunter2")))',
    'os.getenv("API_" "TOKEN", "hunter2")',
    'os.getenv("API_TOKEN", default="hunter2")',
    'os.getenv(\n    # the (token\n    "API_TOKEN",\n    "hunter2",\n)',
    "os.environ.get('API_TOKEN', str('hunter2'))",
    'os.environ.get("API_TOKEN", "hun" "ter2".lower())',
    'os.environ.get("API_TOKEN") or os.getenv("API_TOKEN", "a" if x() else "hunter2")',
    'p.add_argument("-p", "--password", help="a) b( (", default=("hunter2"))',
    'p.add_argument(*("--password",), help=g(h(i(")"))), default=strip("hunter2"))',
    'p.add_argument("--password", type=lambda x: f(g(x)), choices=[(1, (2, (3,)))], default="hunter2")',
    'p.add_argument("--password", help="""a ( "b" """, default=["hunter2"])',
    "p.add_argument('--password', help='it\\'s (', default=r'hunter2')",
    'p.add_argument("--password", default=os.getenv("OTHER", "hunter2"))',
    'p.add_argument("--other", default=os.getenv("API_TOKEN", "hunter2"))',
    'p.add_argument("--password", default=lambda: "hunter2")',
    'p.add_argument("--password", default=f"{user}hunter2")',
    '@click.option("--password", "pw", callback=check(lambda a: (b(a)), min=(1)), default=b"hunter2")',
    'x = (1, "broken\np.add_argument("--password", help=f("x (y)"), default="hunter2")',
    ')]}"\nos.getenv(("API_TOKEN"), "hunter2")',
    '%matplotlib inline\n!pip (\nos.getenv(("API_TOKEN"), "hunter2")',
    '+p.add_argument("--password", help=f(\n+  "x (y)"), default="hunter2")',
    'p.add_argument("--password", ' + 'help=f("x"), ' * 200 + 'default="hunter2")',
    "os.getenv(" + "(" * 500 + '"API_TOKEN"' + ")" * 500 + ", " + "(" * 500 + '"hunter2"' + ")" * 501,
]


@pytest.mark.parametrize("source", HIDDEN_DEFAULTS, ids=range(len(HIDDEN_DEFAULTS)))
def test_a_default_is_hidden_however_deep_it_is_nested(source: str) -> None:
    redacted = redact_text(source)
    assert "hunter" not in redacted and "ter2" not in redacted and "***" in redacted
    assert redacted.count("\n") == source.count("\n") and redact_text(redacted) == redacted
    assert redact_text(f"def f():\n    {source}\nx = call('kept', \"kept too\")\n").endswith(
        "x = call('kept', \"kept too\")\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        'p.add_argument("--password", help=f("x (y)", "z"), metavar="WORD", default=None)',
        'p.add_argument("--password-file", help=f("x (y)"), default=("a.txt"))',
        'p.add_argument("--password", default=os.environ["DB_PASSWORD"]); f("kept")',
        'p.add_argument("--password", default=os.getenv("DB_PASSWORD")); f(default="kept")',
        'f(os.getenv("API_TOKEN"), "kept")',
        'd.get("key", ("kept")); d.get(password, "kept"); d.get("token_path", "kept")',
        'session.get("token", headers={"Accept": "json"}, timeout="kept")',
        'd.get("password", {"a": "kept"})',
        'os.getenv(("API_TOKEN"), ("")); os.getenv(("API_TOKEN"), f"{user}")',
        'p.add_argument("--lr", help=f("password"), default="kept")',
        "# p.add_argument(('--password'), help=f(x), default\nf('kept')",
    ],
)
def test_what_is_no_default_of_a_secret_stays_however_deep_it_is_nested(source: str) -> None:
    assert redact_text(source) == source


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        ")",
        'get("',
        "get('password', ",
        'get(get("token", ("x", ',
        '\\"""\n',
        "'\\\n",
        "\\'",
        '"""\\',
        "f'{",
        'add_argument("--token", default=(',
        "get(" + "a" * 500,
        "\0\ud800get(",
        "getenv   \t  ",
    ],
)
def test_odd_sources_are_read_to_their_end(piece: str) -> None:
    source = piece * (200_000 // len(piece)) + "\nget('password', \n"
    assert redact_text(source).startswith(piece[:3])
