from __future__ import annotations

import sqlite3

EVERYTHING_WRONG = """
[server]
prt = 1
port = "x"
[nonsense]
a = 1
[plugins]
dirs = ["{lab}", "nowhere"]
disabled = ["labb"]
[plugins.lab]
api_key = "s3cr3t"
[pipelines]
dirs = ["pipes"]
"""


def test_all_is_well(vtid):
    said = vtid("check")
    assert said.code == 0, said.out
    assert "Everything is in order." in said.out
    assert vtid("check", "--json").json["ok"] is True


def test_a_check_makes_nothing(vtid, home):
    vtid("check")
    assert not (home / "data").exists()


def test_every_problem_at_once_and_none_hides_another(vtid, home, pipe):
    lab = next(line for line in (home / "vtid.toml").read_text().splitlines() if "plugins.dirs" in line).split('"')[1]
    (home / "vtid.toml").write_text(EVERYTHING_WRONG.format(lab=lab))
    pipe("bad", '[[step]]\nid = "a"\nuses = "lab.noop"\ntmeout = 3\n')
    said = vtid("check")
    assert said.code == 4
    for words in (
        'server.prt: unknown setting; did you mean "port"?',
        "server.port: must be a whole number, not a text",
        "nonsense: unknown section",
        "plugins.dirs: there is no folder",
        '[plugins] disabled speaks of a plugin "labb", which is not there; did you mean "lab"?',
        "[plugins.lab] api_key: unknown setting",
        'step.a.tmeout: unknown key; did you mean "timeout"?',
    ):
        assert words in said.out
    problems = vtid("check", "--json").json["problems"]
    assert {p["area"] for p in problems} == {"configuration", "plugins", "pipelines"}
    assert all(p["file"] for p in problems)


def test_a_torn_file_is_told_and_the_rest_is_still_checked(vtid, home):
    (home / "vtid.toml").write_text("[server\n")
    said = vtid("check", "--json")
    assert said.code == 4
    (problem,) = said.json["problems"]
    assert "not valid TOML" in problem["message"]
    assert problem["file"].endswith("vtid.toml")


def test_a_config_file_that_was_named_must_be_there(vtid, home):
    said = vtid("--config", "other.toml", "check")
    assert said.code == 4
    assert "cannot be read" in said.out


def test_a_variable_is_named_as_the_place_of_its_problem(vtid, monkeypatch):
    monkeypatch.setenv("VTID_SERVER_PORT", "many")
    said = vtid("check")
    assert said.code == 4
    assert "$VTID_SERVER_PORT: server.port" in said.out


def test_show_prints_the_configuration_without_its_secrets(vtid, home):
    file = home / "vtid.toml"
    file.write_text(file.read_text() + 'database.url = "sqlite:///other.db"\n[plugins.lab]\napi_key = "s3cr3t"\n')
    said = vtid("check", "--show")
    assert "[server]\n" in said.out
    assert "port = 8750" in said.out
    assert "s3cr3t" not in said.out + said.err
    assert 'api_key = "********"' in said.out
    assert "s3cr3t" not in vtid("check", "--show", "--json").out


def test_a_data_folder_that_cannot_be_made(vtid, home):
    (home / "occupied").write_text("a file")
    file = home / "vtid.toml"
    file.write_text(file.read_text() + 'data.path = "occupied/data"\n')
    said = vtid("check", "--json")
    assert said.code == 4
    assert [p["area"] for p in said.json["problems"]] == ["storage"]


def test_too_little_room(vtid, home):
    file = home / "vtid.toml"
    file.write_text(file.read_text().replace("min_free_disk_mb = 1", "min_free_disk_mb = 999999999"))
    said = vtid("check")
    assert said.code == 4
    assert "limits.min_free_disk_mb" in said.out


def test_a_queue_and_a_database_that_do_not_answer(vtid, home):
    file = home / "vtid.toml"
    text = 'queue.url = "redis://127.0.0.1:1/0"\ndatabase.url = "postgresql://u:s3cr3t@127.0.0.1:1/x"\n'
    file.write_text(file.read_text() + text)
    said = vtid("check", "--json")
    assert said.code == 4
    assert {p["area"] for p in said.json["problems"]} == {"database", "queue"}
    assert "s3cr3t" not in said.out


def test_a_database_file_that_is_none(vtid, home):
    (home / "vtid.db").write_bytes(b"not a database at all, and long enough to show it" * 20)
    file = home / "vtid.toml"
    file.write_text(file.read_text() + f'database.url = "sqlite:///{home / "vtid.db"}"\n')
    said = vtid("check", "--json")
    assert said.code == 4
    assert [p["area"] for p in said.json["problems"]] == ["database"]


def test_a_database_that_is_there_is_asked(vtid, home):
    with sqlite3.connect(home / "vtid.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    file = home / "vtid.toml"
    file.write_text(file.read_text() + f'database.url = "sqlite:///{home / "vtid.db"}"\n')
    assert vtid("check").code == 0
