"""From the file, the environment and the flags to a `Config`, with every problem told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec

from vtid.complaints import worded
from vtid.config.describing import describe
from vtid.config.masking import is_secret
from vtid.config.sections import SECTIONS, Config, Storage
from vtid.config.tiers import USUAL_TIERS, Tier
from vtid.errors import ConfigError, Problem, did_you_mean

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TRUE = {"1", "true", "yes", "on"}

ENVIRONMENT_NAMES: dict[str, tuple[str, str, Callable[[str], str | None]]] = {
    # Later ones win: CELERY_BROKER_URL names the queue, REDIS_URL may be meant for other things too.
    "DATABASE_URL": ("database", "url", str),
    "REDIS_URL": ("queue", "url", str),
    "CELERY_BROKER_URL": ("queue", "url", str),
    "MAX_UPLOAD_SIZE_MB": ("server", "max_upload_mb", str),
    "UPLOAD_PATH": ("data", "path", str),
    "CORS_ORIGINS": ("server", "cors_origins", str),
    "JWT_SECRET_KEY": ("auth", "jwt_secret_key", str),
    "JWT_ALGORITHM": ("auth", "jwt_algorithm", str),
    "JWT_ACCESS_TOKEN_EXPIRE_MINUTES": ("auth", "access_token_minutes", str),
    "JWT_REFRESH_TOKEN_EXPIRE_DAYS": ("auth", "refresh_token_days", str),
    "AWS_ACCESS_KEY_ID": ("storage", "access_key", str),
    "AWS_SECRET_ACCESS_KEY": ("storage", "secret_key", str),
    "AWS_REGION": ("storage", "region", str),
    "AWS_S3_BUCKET": ("storage", "bucket", str),
    "AWS_ENDPOINT_URL": ("storage", "endpoint", str),
    # What other programs mean by these two is not ours to refuse: other values say nothing.
    "ENVIRONMENT": ("logging", "format", {"production": "json", "development": "console"}.get),
    "DEBUG": ("logging", "level", lambda text: "debug" if text.lower() in _TRUE else None),
}
"""Names in use before vtid.toml was: section, key, and what the text means there (None: nothing)."""

PLUGIN_NAMES = {
    "SYNC_API_KEY": ("lipsync_syncso", "api_key"),
    "SYNC_API_URL": ("lipsync_syncso", "api_url"),
    "SYNC_WEBHOOK_SECRET": ("lipsync_syncso", "webhook_secret"),
    "GHOSTCUT_API_KEY": ("inpaint_ghostcut", "api_key"),
    "GHOSTCUT_APP_SECRET": ("inpaint_ghostcut", "app_secret"),
    "GHOSTCUT_UID": ("inpaint_ghostcut", "uid"),
    "GHOSTCUT_API_URL": ("inpaint_ghostcut", "api_url"),
}
"""The same for the settings of plugins: plugin, key."""


class _Given(NamedTuple):
    """A value that somebody gave to a setting."""

    value: Any
    origin: str
    """The file, or `$NAME` of the variable."""
    base: Path
    """What a relative path is relative to."""
    text: bool = False
    """From the environment, where numbers and lists are text."""


def load(
    path: Path | None,
    env: Mapping[str, str],
    *,
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """The configuration that holds.

    Args:
        path: of the file, or None to search.
        env: the environment.
        overrides: flags, `{"server.port": 9000}`; a None was not given.

    Raises:
        ConfigError: with every problem.
    """
    loader = _Loader()
    file = _find(path, env)
    if file:
        loader.read_file(file)
    loader.read_environment(env)
    for name, value in overrides.items():
        if value is not None:
            section, _, key = name.partition(".")
            loader.give(section, key, _Given(value, "command line", Path.cwd(), text=isinstance(value, str)))
    config = loader.build(file)
    if loader.problems:
        count = len(loader.problems)
        head = f"The configuration has {count} problem{'s' if count > 1 else ''}"
        raise ConfigError(f"{head}: {'; '.join(map(str, loader.problems))}", problems=loader.problems)
    return config


def _find(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The file to read. One that was named must be there; `./vtid.toml` need not."""
    if path is None and (named := env.get("VTID_CONFIG")):
        path = Path(named)
    if path is not None:
        return path.absolute()
    usual = Path("vtid.toml").absolute()
    return usual if usual.is_file() else None


class _Loader:
    """Collects values from the least to the most important place, and the problems on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.values: dict[tuple[str, str], _Given] = dict(_default_paths())
        self.tables: dict[str, dict[str, Any]] = {}
        self.tiers: dict[str, Tier] = dict(USUAL_TIERS)

    def problem(self, place: str, message: str, origin: str, code: str = "invalid") -> None:
        self.problems.append(Problem(place, message, code, origin))

    def read_file(self, file: Path) -> None:
        origin = str(file)
        try:
            raw = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            return self.problem("", f"cannot be read: {error.strerror}", origin, "unreadable")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            return self.problem("", f"not valid TOML: {error}", origin, "toml")
        for section, table in raw.items():
            if section in SECTIONS and not isinstance(table, dict):
                self.problem(section, f"must be a section: [{section}]", origin)
                continue
            keys = table if isinstance(table, dict) and section in SECTIONS else {"": table}
            for key, value in keys.items():
                self.give(section, key, _Given(value, origin, file.parent))
        return None

    def read_environment(self, env: Mapping[str, str]) -> None:
        for name, (section, key, meaning) in ENVIRONMENT_NAMES.items():
            if (text := env.get(name)) and (value := meaning(text)):
                self.give(section, key, _Given(value, f"${name}", Path.cwd(), text=True))
        for name, (plugin, key) in PLUGIN_NAMES.items():
            if text := env.get(name):
                self.tables.setdefault(plugin, {})[key] = text
        for name, text in env.items():
            prefix, _, rest = name.partition("_")
            section, key = _section_and_key(rest.lower())
            # An orchestrator sets names of its own for a service called vtid: other sections are not ours.
            if prefix == "VTID" and text and section in SECTIONS and key:
                self.give(section, key, _Given(text, f"${name}", Path.cwd(), text=True))

    def give(self, section: str, key: str, given: _Given) -> None:
        """Take a value for a setting that exists; a table under [plugins] is a plugin's."""
        if section not in SECTIONS:
            hint = did_you_mean(section, SECTIONS) or f"; known sections: {', '.join(SECTIONS)}"
            return self.problem(section, f"unknown section{hint}", given.origin, "unknown")
        known = _types(section)
        if key in known:
            self.values[section, key] = given
        elif section == "plugins" and isinstance(given.value, dict):
            self.tables.setdefault(key, {}).update(given.value)
        elif section == "tiers" and isinstance(given.value, dict):
            self._give_tier(key, given)
        else:
            hint = did_you_mean(key, known) or f"; known here: {', '.join(known)}"
            self.problem(f"{section}.{key}", f"unknown setting{hint}", given.origin, "unknown")
        return None

    def _give_tier(self, name: str, given: _Given) -> None:
        """What is left out of a tier that vtid brings keeps its value."""
        known = {f.name: f.type for f in msgspec.structs.fields(Tier)}
        values = msgspec.structs.asdict(self.tiers.get(name) or Tier())
        for key, value in given.value.items():
            place = f"tiers.{name}.{key}"
            if key not in known:
                hint = did_you_mean(key, known) or f"; known here: {', '.join(known)}"
                self.problem(place, f"unknown setting{hint}", given.origin, "unknown")
                continue
            try:
                values[key] = msgspec.convert(value, known[key])
            except msgspec.ValidationError as error:
                found = worded(error, known[key], place)
                self.problem(found.field, f"{found.message} (here: {value!r})", given.origin)
        if _TIER_NAME.fullmatch(name):
            self.tiers[name] = Tier(**values)
        else:
            words = "a tier's name has lower case letters, digits, - and _, at most 64"
            self.problem(f"tiers.{name}", words, given.origin)

    def build(self, file: Path | None) -> Config:
        """Turn what was given into the configuration; what is wrong keeps its default, so that the rest is checked."""
        sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        for (section, key), given in self.values.items():
            type_ = _types(section)[key]
            try:
                sections[section][key] = _converted(given, type_)
            except msgspec.ValidationError as error:
                shown = "" if is_secret(key) or "://" in str(given.value) else f" (here: {given.value!r})"
                found = worded(error, type_, f"{section}.{key}")
                self.problem(found.field, f"{found.message}{shown}", given.origin)
        server = sections["server"]
        server["cors_origins"] = tuple(map(as_browsers_say, server.get("cors_origins", ())))
        sections["plugins"]["tables"] = self.tables
        sections["tiers"]["tables"] = self.tiers
        built: dict[str, Any] = {name: SECTIONS[name](**values) for name, values in sections.items()}
        config = Config(**built, file=file)
        for setting, message in _broken_rules(config):
            section, _, key = setting.partition(".")
            self.problem(setting, message, self.values[section, key].origin)
        return config


def _converted(given: _Given, type_: Any) -> Any:
    """The value in its type.

    Raises:
        msgspec.ValidationError: it does not fit.
    """
    plain = get_args(type_)[0]
    value = given.value
    if given.text and get_origin(plain) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    if value == "" and type(None) in get_args(plain):
        value = None  # TOML has no null: an empty text stands for it
    return msgspec.convert(value, type_, strict=not given.text, dec_hook=lambda _, v: _path(v, given.base))


_USUAL_PORT = re.compile(r"^(http://.*):80$|^(https://.*):443$")


def as_browsers_say(origin: str) -> str:
    """An origin in the form in which browsers send it: in lower case, with neither a path nor the usual port."""
    return _USUAL_PORT.sub(r"\1\2", origin.strip().lower().removesuffix("/"))


def _path(value: Any, base: Path) -> Path:
    if not isinstance(value, str | Path):
        raise TypeError("must be a path, which is a text")
    return base / Path(value).expanduser()


def _section_and_key(name: str) -> tuple[str, str]:
    """Of a variable's name, in lower case: the longest section that it begins with, and the rest."""
    found = [section for section in SECTIONS if name.startswith(f"{section}_")]
    section = max(found, key=len, default="")
    return section, name[len(section) + 1 :]


_TIER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SHORTEST_SECRET = 32
_WELL_KNOWN = re.compile(r"change.?(me|this|in)|your|super.?secret|example|default|placeholder", re.IGNORECASE)
"""What stands in examples, and is in use because somebody copied one."""


def weakness(secret: str) -> str | None:
    """Why a stranger could guess a secret, or None."""
    if len(secret) < SHORTEST_SECRET:
        return f"has {len(secret)} characters and needs {SHORTEST_SECRET}"
    if _WELL_KNOWN.search(secret) or len(set(secret)) < 10:
        return "is one that stands in examples, or as easy to guess"
    return None


def _broken_rules(config: Config) -> Iterator[tuple[str, str]]:
    """Rules over values that types cannot say: the setting at fault, and why."""
    secret = config.auth.jwt_secret_key
    if secret and config.server.host not in LOOPBACK and (weak := weakness(secret)):
        remedy = 'take a random one (openssl rand -hex 32), or "" for the one in the data folder'
        yield "auth.jwt_secret_key", f"{weak}, and {config.server.host} lets others in; {remedy}"
    if config.auth.registration_tier not in config.tiers.tables:
        hint = did_you_mean(config.auth.registration_tier, config.tiers.tables)
        known = f"; there are: {', '.join(config.tiers.tables)}"
        yield "auth.registration_tier", f"there is no tier {config.auth.registration_tier}{hint or known}"
    for origin in config.server.cors_origins:
        if words := _no_origin(origin):
            yield "server.cors_origins", f"{words} (here: {origin!r})"
    if config.server.public_url and not re.match(r"https?://[^/]", config.server.public_url):
        yield "server.public_url", "must begin with http:// or https:// and name a host"
    if config.database.url and not re.match(r"(sqlite|postgres|postgresql)(\+\w+)?:", config.database.url):
        yield "database.url", "must begin with postgresql:// or sqlite:///"
    if config.queue.url and not re.match(r"(rediss?|sqlite)://", config.queue.url):
        yield "queue.url", "must begin with redis://, rediss:// or sqlite:///"
    yield from _broken_storage(config.storage)
    for entry in filter(_no_address, config.net.allow):
        yield "net.allow", f'"{entry}" is no host name, address or network'


_ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def _no_origin(entry: str) -> str | None:
    """Why no browser would ever send this as an origin, or None: it would let in nobody, or everybody."""
    if _ORIGIN.fullmatch(entry):
        return None
    if "*" in entry:
        return "must name each site; * would let in the pages of them all"
    if entry[:1] in ("[", '"', "'"):
        return "is a list without brackets and quotes where it comes as text: https://a.org, https://b.org"
    return "must be https:// or http://, a host, a port where it is not the usual one, and nothing after it"


def _no_address(entry: str) -> bool:
    """Whether something that only an address or a network could be is neither; `vtid.net` takes the rest for names."""
    text = entry.strip().strip("[]")
    try:
        ip_network(text, strict=False)
    except ValueError:
        return "/" in text or ":" in text or not text.strip(".")
    return False


_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"


def _broken_storage(storage: Storage) -> Iterator[tuple[str, str]]:
    for name in ("endpoint", "public_endpoint"):
        if (url := getattr(storage, name)) and not re.fullmatch(r"https?://[^/@?#\s]+/?", url):
            yield f"storage.{name}", "must be http:// or https:// and a host, with nothing after it"
    if storage.bucket and not re.fullmatch(_BUCKET, storage.bucket):
        yield "storage.bucket", "is no name of a bucket: 3 to 63 of a-z, 0-9, - and ."
    for bucket in storage.buckets:
        if not re.fullmatch(rf"{_BUCKET}(/[^\s]*)?", bucket):
            yield "storage.buckets", f"{bucket} is neither a bucket nor bucket/prefix"
    if storage.is_s3 and not storage.bucket:
        yield "storage.kind", "s3 needs storage.bucket"
    if storage.is_s3 or storage.buckets:
        why = "storage.buckets" if not storage.is_s3 else "storage.bucket" if storage.bucket else "storage.kind"
        for name, variable in (("access_key", "AWS_ACCESS_KEY_ID"), ("secret_key", "AWS_SECRET_ACCESS_KEY")):
            if not getattr(storage, name):
                yield why, f"needs storage.{name} or ${variable}"


def _default_paths() -> Iterator[tuple[tuple[str, str], _Given]]:
    """Defaults that are paths, given like any other value, so that every path of a `Config` is absolute."""
    for section, key, default, _ in describe():
        if isinstance(default, Path):
            yield (section, key), _Given(str(default), "default", Path.cwd())
        elif isinstance(default, tuple) and any(isinstance(item, Path) for item in default):
            yield (section, key), _Given([str(item) for item in default], "default", Path.cwd())


def _types(section: str) -> dict[str, Any]:
    """Key to type, of the settings of a section."""
    return {f.name: f.type for f in msgspec.structs.fields(SECTIONS[section]) if get_origin(f.type) is Annotated}
