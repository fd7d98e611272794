"""`vtid users` and `vtid keys`: what whoever runs the daemon does on its machine, the daemon running or not."""

from __future__ import annotations

import io
import re
import stat
import sys

import pytest

from vtid.domain.account import Scope


def test_users_from_nothing(vtid, home):
    made = vtid("users", "add", "Ada@example.org", "--tier", "pro")
    assert made.code == 0, made
    assert "Made Ada@example.org (user, tier pro)." in made.out
    assert re.search(r"http://127\.0\.0\.1:8750/login\?token=[\w-]{43}\n", made.out)
    users = {u["email"]: u for u in vtid("users", "--json").json}
    assert users.keys() == {"Ada@example.org", "admin@localhost"}, "the first admin comes first, whoever asks"
    assert users["admin@localhost"]["id"] == "local"
    assert users["Ada@example.org"]["credits"] == 1000
    assert "generation" not in users["Ada@example.org"]
    listed = vtid("users", "list", "--text", "ADA")
    assert "Ada@example.org" in listed.out
    assert "never logged in" in listed.out
    assert "admin@localhost" not in listed.out
    key = home / "data" / "local.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_user_is_found_by_address_in_any_case_and_by_id(vtid, home):
    made = vtid("users", "add", "ada@example.org", "--json").json
    assert made["login_link"].startswith("http://")
    for who in ("ADA@example.org", made["id"]):
        assert vtid("users", "suspend", who, "--json").json["suspended"] is True
        assert vtid("users", "restore", who, "--json").json["suspended"] is False
    said = vtid("users", "suspend", "bob@example.org")
    assert said.code == 5
    assert 'There is no account "bob@example.org"' in said.err


def test_what_an_account_may_not_be(vtid, home):
    assert vtid("users", "add", "ada@example.org").code == 0
    again = vtid("users", "add", "ADA@example.org")
    assert again.code == 6
    assert "an account for ADA@example.org already" in again.err
    bad = vtid("users", "add", "no address", "--tier", "gold")
    assert bad.code == 2
    assert "must be an e-mail address" in bad.err
    assert "there is no tier gold; there are: free, pro, enterprise, owner" in bad.err
    last = vtid("users", "set", "admin@localhost", "--role", "user")
    assert last.code == 6
    assert "last admin" in last.err


def test_passwords_come_from_standard_input(vtid, home, monkeypatch):
    vtid("users", "add", "ada@example.org")
    monkeypatch.setattr(sys, "stdin", io.StringIO("too short\n"))
    short = vtid("users", "passwd", "ada@example.org", "--password-stdin")
    assert (short.code, "needs 10 characters" in short.err) == (2, True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("long enough, is it not\n"))
    said = vtid("users", "passwd", "ada@example.org", "--password-stdin")
    assert said.code == 0, said
    assert "long enough" not in said.out + said.err
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "There is no terminal" in vtid("users", "passwd", "ada@example.org").err


def test_credits(vtid, home):
    vtid("users", "add", "ada@example.org")
    said = vtid("users", "credits", "ada@example.org", "50", "--reason", "a gift", "--json")
    assert said.json["balance"] == 150
    assert [(m["kind"], m["amount"]) for m in said.json["movements"]] == [("granted", 50), ("opening", 100)]
    assert said.json["movements"][0]["reason"] == "a gift (command line)"
    assert vtid("users", "credits", "ada@example.org", "--reason", "a mistake", "--", "-20").code == 0
    assert "Balance: 130" in vtid("users", "credits", "ada@example.org").out
    assert vtid("users", "credits", "ada@example.org", "5").code == 2, "a reason is needed"
    much = vtid("users", "credits", "ada@example.org", "--reason", "all", "--", "-131")
    assert much.code == 8
    assert "takes 131 credits, and the account has 130" in much.err


def test_keys(vtid, home):
    made = vtid("keys", "create", "ci", "--scope", "read", "--days", "7")
    assert re.fullmatch(r"vtid_[\w-]{43}\n", made.out), "the key alone, for scripts"
    listed = vtid("keys", "--json").json
    assert {k["name"] for k in listed} >= {"ci"}
    (key,) = [k for k in listed if k["name"] == "ci"]
    assert key["scopes"] == ["read"]
    assert made.out[:12] == key["prefix"]
    assert made.out.strip() not in vtid("keys", "list").out
    assert key["expires_at"] - key["created_at"] == pytest.approx(7 * 86400)
    assert vtid("keys", "revoke", key["id"][:8]).code == 0
    assert "revoked" in vtid("keys", "list").out
    assert vtid("keys", "revoke", "nothing").code == 5


def test_a_key_may_be_for_whatever_there_is(vtid, home):
    wanted = [one.value for one in Scope]
    assert vtid("keys", "create", "all", *(word for one in wanted for word in ("--scope", one))).code == 0
    (key,) = [one for one in vtid("keys", "--json").json if one["name"] == "all"]
    assert sorted(key["scopes"]) == sorted(wanted)


def test_keys_of_others(vtid, home):
    vtid("users", "add", "ada@example.org")
    made = vtid("keys", "create", "for her", "--user", "ada@example.org", "--json").json
    assert made["key"].startswith("vtid_")
    assert [k["name"] for k in vtid("keys", "list", "--user", "ada@example.org", "--json").json] == ["for her"]
    assert "for her" not in vtid("keys", "list").out
    assert vtid("keys", "revoke", made["id"]).code == 5, "not among the first admin's"
    assert vtid("keys", "revoke", made["id"], "--user", "ada@example.org").code == 0


def test_nothing_readable_lies_in_the_database(vtid, home):
    key = vtid("keys", "create", "ci").out.strip()
    link = vtid("users", "login-link", "admin@localhost", "--json").json["login_link"]
    content = b"".join(p.read_bytes() for p in (home / "data").glob("vtid.db*"))
    assert key[:12].encode() in content, "the part that people know it by"
    for secret in (key, key[12:], link.partition("token=")[2]):
        assert secret.encode() not in content


def test_the_local_key_is_made_again_where_it_is_lost_and_kept_where_it_works(vtid, home):
    vtid("users", "list")
    path = home / "data" / "local.key"
    first = path.read_text()
    vtid("users", "list")
    assert path.read_text() == first
    path.unlink()
    vtid("users", "list")
    assert path.read_text() not in ("", first)
    path.write_text("nonsense\n")
    vtid("users", "list")
    assert path.read_text().startswith("vtid_")
    mine = [k for k in vtid("keys", "--json").json if k["name"].endswith(f":{home / 'data'}")]
    assert sum(k["revoked_at"] is None for k in mine) == 1, "what was lost works for no finder"
    assert len(mine) == 3
