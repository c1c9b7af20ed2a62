"""Who may ask the studio."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from impasto.errors import ConfigError
from impasto.studio.guards import (
    POLICY,
    TRIES,
    VARIABLE,
    Password,
    host_fits,
    is_loopback,
    read_password,
)
from tests.studio.studios import HERE, PORT, client_of, make_studio

SECRET = "correct horse"


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.x:{PORT}"]
    + ["", f"[127.0.0.1:{PORT}", f"127.0.0.1]:{PORT}", f"localhost.:{PORT}"],
)
def test_another_name_for_this_machine_gets_nothing(tmp_path: Path, host: str) -> None:
    client = client_of(make_studio(tmp_path), host="127.0.0.1")
    answer = client.get("/api/about", headers={"host": host})
    assert answer.status_code == 421
    assert "home" not in answer.text


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"])
def test_the_names_of_this_machine_are_right(tmp_path: Path, host: str) -> None:
    client = client_of(make_studio(tmp_path))
    assert client.get("/api/about", headers={"host": host}).status_code == 200


def test_on_another_address_numbers_and_the_machines_name_are_right() -> None:
    assert host_fits(f"192.168.1.7:{PORT}", PORT, "0.0.0.0")
    assert host_fits(f"[fe80::1]:{PORT}", PORT, "::")
    assert host_fits(f"studio.lan:{PORT}", PORT, "studio.lan")
    assert not host_fits(f"evil.example:{PORT}", PORT, "0.0.0.0")
    assert not is_loopback("0.0.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": ""},
    ],
)
def test_another_page_changes_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    studio = make_studio(tmp_path)
    client = client_of(studio)
    answer = client.post("/api/sets", headers=headers)
    assert answer.status_code == 403
    assert list(studio.home.samples.iterdir()) == []


def test_without_an_origin_only_the_browsers_word_counts(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path))
    del client.headers["origin"]
    assert client.post("/api/sets").status_code == 403
    assert client.post("/api/sets", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/api/sets", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_another_page_cannot_embed_what_is_here(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path))
    for site in ("cross-site", "same-site"):
        assert client.get("/api/runs", headers={"sec-fetch-site": site}).status_code == 403
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200  # a link
    assert client.get("/api/runs", headers={"sec-fetch-site": "none"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/about", "/nothing", "/page/studio.css"])
def test_every_answer_has_its_headers(tmp_path: Path, path: str) -> None:
    answer = client_of(make_studio(tmp_path)).get(path)
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in POLICY
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_password_opens_the_page(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path), password=SECRET)
    assert client.get("/").text.startswith("<form>")
    for path in ("/api/about", "/api/runs", "/page/main.js", "/samples/x/thumb.jpg"):
        assert client.get(path).status_code == 401
    assert client.post("/api/sets").status_code == 401
    wrong = client.post("/login", data={"password": "wrong horse"})
    assert wrong.status_code == 401
    assert "not the password" in wrong.text
    right = client.post("/login", data={"password": SECRET}, follow_redirects=False)
    assert right.status_code == 303
    cookie = right.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert SECRET not in cookie
    assert client.get("/api/about").status_code == 200
    client.cookies.set("impasto", "x" * 43)
    assert client_of(make_studio(tmp_path), password=SECRET).get("/api/about").status_code == 401


def test_nobody_tries_all_passwords(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path), password=SECRET)
    for _ in range(TRIES):
        assert client.post("/login", data={"password": "guess"}).status_code == 401
    assert client.post("/login", data={"password": SECRET}).status_code == 429
    assert client.post("/login", content=b"x" * 100_000).status_code == 429


def test_another_page_cannot_log_in(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path), password=SECRET)
    answer = client.post(
        "/login", data={"password": SECRET}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_only_the_hash_of_a_password_is_kept() -> None:
    password = Password(SECRET)
    assert SECRET not in str(vars(password))
    token = password.open_session(SECRET)
    assert token is not None
    assert password.knows(token)
    assert not password.knows("")
    assert token not in str(vars(password))


def test_where_the_password_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="only you can read"):
        read_password(file)
    file.chmod(0o600)
    assert read_password(file) == SECRET
    file.write_text("short")
    with pytest.raises(ConfigError, match="8 characters"):
        read_password(file)
    with pytest.raises(ConfigError, match="password-file"):
        read_password(tmp_path / "none")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_password(None) is None
    monkeypatch.setitem(os.environ, VARIABLE, SECRET)
    assert read_password(None) == SECRET


def test_the_origin_is_that_of_the_host(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path))
    headers = {"host": f"localhost:{PORT}", "origin": HERE}
    assert client.post("/api/sets", headers=headers).status_code == 403
