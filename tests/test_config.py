"""The configuration: where values come from, and every problem at once."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vtid import resources
from vtid.config import MASK, SECTIONS, USUAL_TIERS, Tier, describe, load, masked
from vtid.errors import ConfigError, Problem

SHIPPED = resources.config_file()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a vtid.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "vtid.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(*args: Any, **kwargs: Any) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    return caught.value.problems


# --- the shipped file


def test_the_shipped_file_says_the_defaults(tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_bytes(SHIPPED.read_bytes())
    assert msgspec.structs.replace(load(copy, {}), file=None) == load(None, {})


def test_the_shipped_file_leaves_nothing_out_and_explains_everything() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    tiers = raw.pop("tiers")
    assert tiers == {name: msgspec.structs.asdict(tier) for name, tier in USUAL_TIERS.items()}
    assert all(f"# {key}" in text or f" {key}:" in text or f" {key}," in text for key in tiers["free"])
    assert [(s, k) for s, table in raw.items() for k in table] == [(s.section, s.key) for s in describe()]
    for setting in describe():
        assert re.search(rf"^# {re.escape(setting.description)}\n{setting.key} = ", text, re.MULTILINE), setting


def test_every_section_and_setting_is_described() -> None:
    assert all(type_.__doc__ for type_ in SECTIONS.values())
    assert all(setting.description.endswith(".") for setting in describe())


# --- where values come from


def test_the_search_for_the_file(tmp_path: Path) -> None:
    assert load(None, {}).file is None
    usual = written(tmp_path, "server.port = 1")
    named = tmp_path / "named.toml"
    named.write_text("server.port = 2")
    given = tmp_path / "given.toml"
    given.write_text("server.port = 3")
    env = {"VTID_CONFIG": "named.toml"}
    assert (load(None, {}).server.port, load(None, {}).file) == (1, usual)
    assert load(None, env).server.port == 2
    assert load(given, env).server.port == 3


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[server]\nport = 1\nmax_upload_mb = 10\n[workers]\ncount = 5")
    env = {"VTID_SERVER_PORT": "2", "VTID_SERVER_MAX_UPLOAD_MB": "20", "MAX_UPLOAD_SIZE_MB": "30"}
    config = load(file, env, overrides={"server.port": 3, "workers.count": None})
    assert (config.server.port, config.server.max_upload_mb, config.workers.count) == (3, 20, 5)


def test_relative_paths(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = written(folder, '[data]\npath = "var"\n[plugins]\ndirs = ["p", "/opt/p"]')
    config = load(file, {"VTID_PIPELINES_DIRS": "a, b"})
    assert config.data.path == folder / "var"
    assert config.plugins.dirs == (folder / "p", Path("/opt/p"))
    assert config.pipelines.dirs == (tmp_path / "a", tmp_path / "b")
    assert config.presets.dirs == (tmp_path / "config/presets",)


def test_where_database_and_queue_are(tmp_path: Path) -> None:
    config = load(None, {})
    assert config.database_url == f"sqlite:///{tmp_path}/data/vtid.db"
    assert config.queue_url == f"sqlite:///{tmp_path}/data/queue.db"
    named = load(None, {"VTID_DATABASE_URL": "postgresql://h/d", "VTID_QUEUE_URL": "redis://h"})
    assert (named.database_url, named.queue_url) == ("postgresql://h/d", "redis://h")


@pytest.mark.parametrize(
    ("env", "setting", "value"),
    [
        ({"DATABASE_URL": "postgresql://h/d"}, "database.url", "postgresql://h/d"),
        ({"REDIS_URL": "redis://a"}, "queue.url", "redis://a"),
        ({"CELERY_BROKER_URL": "redis://b", "REDIS_URL": "redis://a"}, "queue.url", "redis://b"),
        ({"MAX_UPLOAD_SIZE_MB": "7"}, "server.max_upload_mb", 7),
        ({"UPLOAD_PATH": "/srv/up"}, "data.path", Path("/srv/up")),
        ({"CORS_ORIGINS": "https://a.org, https://b.org"}, "server.cors_origins", ("https://a.org", "https://b.org")),
        (
            {"CORS_ORIGINS": "HTTPS://A.org:443/,http://b:8080"},
            "server.cors_origins",
            ("https://a.org", "http://b:8080"),
        ),
        ({"ENVIRONMENT": "production"}, "logging.format", "json"),
        ({"ENVIRONMENT": "staging"}, "logging.format", "auto"),
        ({"DEBUG": "True"}, "logging.level", "debug"),
        ({"DEBUG": "express:*"}, "logging.level", "info"),
        ({"VTID_LOGGING_LEVEL": "warning", "DEBUG": "1"}, "logging.level", "warning"),
        ({"VTID_WORKERS_LABELS": "gpu,big"}, "workers.labels", ("gpu", "big")),
        ({"VTID_SERVER_PUBLIC_URL": ""}, "server.public_url", None),
        ({"REDIS_URL": ""}, "queue.url", ""),
        ({"JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "5"}, "auth.access_token_minutes", 5),
        ({"JWT_REFRESH_TOKEN_EXPIRE_DAYS": "9"}, "auth.refresh_token_days", 9),
        ({"JWT_ALGORITHM": "HS256"}, "auth.jwt_algorithm", "HS256"),
        ({"VTID_RATE_LIMITS_PUBLIC_BURST": "3"}, "rate_limits.public_burst", 3),
        ({"VTID_SERVICE_PORT": "tcp://10.0.0.1", "VTID_PORT": "x", "VTID_CONFIG": ""}, "server.port", 8750),
    ],
    ids=str,
)
def test_the_environment(env: dict[str, str], setting: str, value: object) -> None:
    section, key = setting.split(".")
    assert getattr(getattr(load(None, env), section), key) == value


def test_settings_of_plugins(tmp_path: Path) -> None:
    file = written(tmp_path, '[plugins.lipsync_syncso]\napi_key = "file"\napi_url = "u"\n[plugins.mine]\nx = [1]')
    tables = load(file, {"SYNC_API_KEY": "env", "GHOSTCUT_UID": "7"}).plugins.tables
    assert tables == {
        "lipsync_syncso": {"api_key": "env", "api_url": "u"},
        "mine": {"x": [1]},
        "inpaint_ghostcut": {"uid": "7"},
    }


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert load(None, {}).workers.threads == 4
    assert load(None, {"VTID_WORKERS_COUNT": "100"}).workers.threads == 1
    assert load(None, {"VTID_WORKERS_THREADS_PER_STEP": "3"}).workers.threads == 3


# --- problems


def test_every_problem_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        name = "x"
        [servr]
        port = 1
        [server]
        prot = 8750
        max_upload_mb = 0
        [workers]
        count = "two"
        labels = [1]
        [data]
        path = 3
        [logging]
        level = "loud"
        """,
    )
    found = problems(file, {"VTID_SERVER_PORT": "high", "VTID_RETRY_JITER": "0.1"})
    assert {(p.field, Path(p.file or "").name) for p in found} == {
        ("name", "vtid.toml"),
        ("servr", "vtid.toml"),
        ("server.prot", "vtid.toml"),
        ("server.max_upload_mb", "vtid.toml"),
        ("workers.count", "vtid.toml"),
        ("workers.labels[0]", "vtid.toml"),
        ("data.path", "vtid.toml"),
        ("logging.level", "vtid.toml"),
        ("server.port", "$VTID_SERVER_PORT"),
        ("retry.jiter", "$VTID_RETRY_JITER"),
    }


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("[server", "", "not valid TOML"),
        ("server = 3", "server", "must be a section: [server]"),
        ("[servr]", "servr", 'unknown section; did you mean "server"?'),
        ("[zzz]", "zzz", "known sections: server, data"),
        ("server.prot = 1", "server.prot", 'unknown setting; did you mean "port"?'),
        ("data.zzz = 1", "data.zzz", "unknown setting; known here: path"),
        ("plugins.zzz = 1", "plugins.zzz", "unknown setting"),
        ('server.port = "8750"', "server.port", "must be a whole number, not a text (here: '8750')"),
        ("server.port = 70000", "server.port", "must be at most 65535 (here: 70000)"),
        ("data.path = 3", "data.path", "must be a path, which is a text (here: 3)"),
        ('storage.kind = "ftp"', "storage.kind", "Invalid enum value 'ftp'"),
        ("tiers.free.credit = 1", "tiers.free.credit", 'unknown setting; did you mean "credits"?'),
        ("tiers.free.credits = -1", "tiers.free.credits", "must be at least 0 (here: -1)"),
        ("tiers.free = 3", "tiers.free", "unknown setting"),
        ("[tiers.Gold]\n", "tiers.Gold", "a tier's name has lower case letters"),
        ('auth.registration_tier = "fre"', "auth.registration_tier", 'there is no tier fre; did you mean "free"?'),
        ('auth.jwt_algorithm = "none"', "auth.jwt_algorithm", "Invalid enum value 'none'"),
        ('server.public_url = "example.org"', "server.public_url", "must begin with http:// or https://"),
        ('database.url = "mysql://h/d"', "database.url", "must begin with postgresql:// or sqlite:///"),
        ('queue.url = "amqp://h"', "queue.url", "must begin with redis://"),
        ('server.cors_origins = ["*"]', "server.cors_origins", "must name each site"),
        ('server.cors_origins = ["https://*.a.org"]', "server.cors_origins", "must name each site"),
        (
            'server.cors_origins = ["https://a.org/app"]',
            "server.cors_origins",
            "nothing after it (here: 'https://a.org/app')",
        ),
        ('server.cors_origins = ["a.org"]', "server.cors_origins", "must be https:// or http://"),
        ('server.cors_origins = ["null"]', "server.cors_origins", "must be https:// or http://"),
        ('net.allow = ["10.0.0.0/99", "nas.local"]', "net.allow", "is no host name"),
    ],
)
def test_what_a_problem_says(tmp_path: Path, text: str, field: str, message: str) -> None:
    file = written(tmp_path, text)
    [problem] = problems(file, {})
    assert problem.field == field
    assert message in problem.message
    assert problem.file == str(file)


def test_a_list_of_origins_in_brackets_is_no_list() -> None:
    """As other programs want it; taken as one origin it would let in nobody, and say nothing."""
    [problem] = problems(None, {"CORS_ORIGINS": '["https://a.example"]'})
    assert (problem.field, problem.file) == ("server.cors_origins", "$CORS_ORIGINS")
    assert "without brackets and quotes" in problem.message


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    [problem] = problems(tmp_path / "no.toml", {})
    assert "cannot be read: No such file" in problem.message


def test_a_flag_can_be_wrong_too() -> None:
    found = problems(None, {}, overrides={"server.port": "x", "sever.port": 1, "nothing": 1})
    assert [(p.field, p.file) for p in found] == [
        ("sever", "command line"),
        ("nothing", "command line"),
        ("server.port", "command line"),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    assert load(None, {"VTID_SERVER_HOST": host}).server.host == host


@pytest.mark.parametrize(
    "secret",
    ["short", "your-super-secret-jwt-key-change-in-production", "changeme" * 5, "a" * 64, "0123456789" * 3 + "0"],
)
def test_a_secret_that_can_be_guessed_stays_at_home(secret: str) -> None:
    env = {"JWT_SECRET_KEY": secret}
    assert load(None, env).auth.jwt_secret_key == secret
    [problem] = problems(None, env | {"VTID_SERVER_HOST": "0.0.0.0"})
    assert (problem.field, problem.file) == ("auth.jwt_secret_key", "$JWT_SECRET_KEY")
    assert secret not in problem.message


def test_with_a_good_secret_the_network_is_let_in() -> None:
    env = {"JWT_SECRET_KEY": "7f3b9a1c5e8d2460" * 4, "VTID_SERVER_HOST": "0.0.0.0"}
    assert load(None, env).server.host == "0.0.0.0"
    assert load(None, {"VTID_SERVER_HOST": "::"}).auth.jwt_secret_key == ""


def test_tiers(tmp_path: Path) -> None:
    config = load(written(tmp_path, "[tiers.free]\ncredits = 7\n[tiers.gold]\nconcurrent_jobs = 4"), {})
    assert config.tier("free") == msgspec.structs.replace(USUAL_TIERS["free"], credits=7)
    assert config.tier("gold") == Tier(concurrent_jobs=4)
    assert config.tier("pro") == USUAL_TIERS["pro"]
    assert config.tier("gone") == config.tier("free"), "a tier that is no more gives what strangers get"


def test_the_message_names_all_of_them() -> None:
    with pytest.raises(ConfigError, match=r"has 2 problems: .*server\.port.*workers\.count"):
        load(None, {"VTID_SERVER_PORT": "x", "VTID_WORKERS_COUNT": "y"})


def test_a_secret_in_a_broken_value_is_not_shown() -> None:
    [problem] = problems(None, {"VTID_SERVER_PORT": "redis://:hunter2@h"})
    assert "hunter2" not in problem.message


# --- printing


def test_secrets_are_masked(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[plugins.mine]\napp_secret = "hunter2"\napi_key = ""\nname = "n"\nlogin.password = "hunter2"'
    )
    env = {
        "SYNC_API_KEY": "hunter2",
        "REDIS_URL": "redis://:hunter2@h/0",
        "DATABASE_URL": "postgresql://me:hunter2@h/d?sslpassword=hunter2&x=1",
    }
    shown = masked(load(file, env))
    assert "hunter2" not in repr(shown)
    assert shown["plugins"]["tables"]["mine"] == {
        "app_secret": MASK,
        "api_key": "",
        "name": "n",
        "login": {"password": MASK},
    }
    assert shown["queue"]["url"] == f"redis://:{MASK}@h/0"
    assert shown["database"]["url"] == f"postgresql://me:{MASK}@h/d?sslpassword={MASK}&x=1"
    assert shown["data"]["path"] == str(tmp_path / "data")
    assert list(shown) == list(SECTIONS)
