"""Settings are read once, and an impossible one is reported by name, without the token."""

from __future__ import annotations

import os
import subprocess
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from dreamina_ui.errors import SettingsError
from dreamina_ui.ops.data_dir import DataDir
from dreamina_ui.settings import (
    RUNCOMFY_URL,
    SECRET_VARIABLES,
    TOKEN_VARIABLES,
    Settings,
    forget_secrets,
    is_loopback,
    read_settings,
)
from dreamina_ui.wiring import build_services
from tests.support.bad_server import BadServer, ScriptedResponse

SECRET = "s3cr3t-t0k3n"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests must not depend on who runs them."""
    for name in list(os.environ):
        if name.upper().startswith(("RUNCOMFY_", "DREAMINA_", "GRADIO_", "SPACE_", "YOUR_API_TOKEN", "AWS_")):
            monkeypatch.delenv(name)


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings()
    return str(caught.value)


# --- the token


def test_without_any_setting_the_sandbox_runs() -> None:
    """The first try of a stranger costs nothing."""
    settings = read_settings()
    assert settings.api_token is None
    assert settings.uses_sandbox
    assert settings.api_base_url == RUNCOMFY_URL == "https://model-api.runcomfy.net"
    assert settings.data_dir == Path("data")
    assert settings.media_hosts == frozenset()


def test_the_services_own_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same order as the service's own clients, then the name on its page."""
    assert TOKEN_VARIABLES == ("RUNCOMFY_API_TOKEN", "RUNCOMFY_TOKEN", "YOUR_API_TOKEN")
    for name in reversed(TOKEN_VARIABLES):
        monkeypatch.setenv(name, f"from-{name}")
        token = read_settings().api_token
        assert token is not None
        assert token.get_secret_value() == f"from-{name}"


@pytest.mark.parametrize("quoted", [f'"{SECRET}"', f"'{SECRET}'", f'"{SECRET}', f"{SECRET}'"])
def test_a_token_in_quotes_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, quoted: str) -> None:
    """Docker's --env-file takes the quotes as part of the value, and the first paid job would fail."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", quoted)
    with pytest.raises(SettingsError, match="quotes") as caught:
        read_settings()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["YOUR_API_TOKEN", "$RUNCOMFY_API_TOKEN", "${TOKEN}", "%TOKEN%", "<token>", "`token`", "{{token}}",
             f"RUNCOMFY_API_TOKEN={SECRET}"]
)  # fmt: skip
def test_what_stands_for_a_token_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A line that was copied with its placeholder; the first paid job would fail."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", text)
    with pytest.raises(SettingsError, match=r"RUNCOMFY_API_TOKEN.*: .*token itself") as caught:
        read_settings()
    assert SECRET not in str(caught.value)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outside of a shell nobody else expands it, and a folder named ~ would be made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DREAMINA_DATA_DIR", "~/pics")
    assert read_settings().data_dir == tmp_path / "pics"
    monkeypatch.setenv("DREAMINA_DATA_DIR", " ~/pics ")
    assert read_settings().data_dir == tmp_path / "pics"
    monkeypatch.setenv("DREAMINA_DATA_DIR", '"/srv/pics"')
    with pytest.raises(SettingsError, match=r"DREAMINA_DATA_DIR: .*quotes"):
        read_settings()


@pytest.mark.parametrize(
    "setting",
    ["DREAMINA_MEDIA_HOSTS='runcomfy.net'", 'DREAMINA_OWNERS="alice"', "DREAMINA_OWNER_PASSWORD='long-enough'",
     'DREAMINA_AUTH="alice:secret"', 'GRADIO_SERVER_NAME="0.0.0.0"', "DREAMINA_USD_PER_DAY='5'"],
)  # fmt: skip
def test_no_setting_may_have_quotes_around_it(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """Docker's --env-file keeps them: every paid file would be refused, or nobody be the owner."""
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"{name}: must not have quotes")


def test_a_variable_in_a_path_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither Docker nor systemd expands it, and a folder named $HOME would be made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("$HOME/pics", "${HOME}/pics"):
        monkeypatch.setenv("DREAMINA_DATA_DIR", text)
        assert read_settings().data_dir == tmp_path / "pics"
    monkeypatch.setenv("DREAMINA_DATA_DIR", "/srv/a$b")
    assert read_settings().data_dir == Path("/srv/a$b")
    monkeypatch.setenv("DREAMINA_DATA_DIR", "$NO_SUCH_VARIABLE/pics")
    assert "DREAMINA_DATA_DIR: begins with a variable" in refusal()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_certificates_of_the_owner_are_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The API and the files are verified with the same ones."""
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
    assert read_settings().ca_bundle is None
    monkeypatch.setenv(name, "/etc/company.pem")
    assert read_settings().ca_bundle == Path("/etc/company.pem")


def test_folders_of_certificates_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other programs take several, with some missing; the API and the files must not use different ones."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    plain, hashed = tmp_path / "plain", tmp_path / "hashed"
    for folder, name in ((plain, "company.pem"), (hashed, "5ad8a5d6.0")):
        folder.mkdir()
        (folder / name).touch()
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join(["/no/such/folder", str(plain), str(hashed)]))
    assert read_settings().certificates == hashed
    monkeypatch.setenv("SSL_CERT_DIR", str(plain))
    assert read_settings().certificates is None
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/company.pem")
    assert read_settings().certificates == Path("/etc/company.pem")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file or a Space writes empty variables for what nobody filled in."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", "")
    assert read_settings().uses_sandbox
    monkeypatch.setenv("YOUR_API_TOKEN", SECRET)
    assert not read_settings().uses_sandbox
    monkeypatch.setenv("DREAMINA_DATA_DIR", "")
    assert read_settings().data_dir == Path("data")


@pytest.mark.parametrize("name", TOKEN_VARIABLES)
@pytest.mark.parametrize("odd", [" ", "\n", "\t", "\x7f", "é", "\u200b", "“"])
def test_a_token_that_fits_no_header_is_refused_unshown(monkeypatch: pytest.MonkeyPatch, name: str, odd: str) -> None:
    """It was copied with something too much; the log must not get it."""
    for token in (SECRET + odd, odd + SECRET, f"s3cr3t{odd}t0k3n"):
        monkeypatch.setenv(name, token)
        with pytest.raises(SettingsError) as caught:
            read_settings()
        assert name in str(caught.value)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "s3cr3t" not in shown
        assert "t0k3n" not in shown


def test_a_token_of_blanks_is_refused_and_not_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who set something wants RunComfy; pictures from the sandbox would surprise."""
    monkeypatch.setenv("RUNCOMFY_TOKEN", "  ")
    assert "printable ASCII" in refusal()


def test_no_way_of_showing_the_settings_shows_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings end up in logs and crash reports."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", SECRET)
    settings = read_settings()
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown
    monkeypatch.setenv("DREAMINA_SANDBOX_PARALLEL", "many")
    assert SECRET not in refusal()


def test_settings_do_not_change() -> None:
    """They are read once; what is shown at the start stays true."""
    with pytest.raises(ValidationError):
        read_settings().api_base_url = "https://elsewhere.example"  # type: ignore[misc]


# --- the base URL


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://api.example/", "https://api.example"),
        ("https://api.example:8443/v0//", "https://api.example:8443/v0"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_good_base_url_is_used_without_its_last_slash(
    monkeypatch: pytest.MonkeyPatch, given: str, stored: str
) -> None:
    """The ledger names an API by it: one API, one name."""
    monkeypatch.setenv("RUNCOMFY_API_BASE_URL", given)
    assert read_settings().api_base_url == stored


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.0.0.1",
        "http://localhost@evil.example", "https://user:s3cr3t@api.example", "https://:s3cr3t@api.example",
        "https://user@api.example", "https://api.example?key=s3cr3t", "https://api.example#s3cr3t",
        "ftp://api.example", "//api.example", "api.example", "https://", "https:///v1", "https://[zz]", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_base_url_that_would_show_the_token_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The token travels to that URL; a slip of the pen must not send it in the clear or elsewhere."""
    monkeypatch.setenv("RUNCOMFY_API_BASE_URL", url)
    message = refusal()
    assert message.startswith("RUNCOMFY_API_BASE_URL: ")
    assert "s3cr3t" not in message


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example", False), ("", False),
    ],
)  # fmt: skip
def test_this_machine_is_distinguished_from_others(host: str, is_local: bool) -> None:
    """Only traffic that never leaves the machine may go without TLS."""
    assert is_loopback(host) is is_local


# --- the rest


def test_hosts_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """People write it by hand, with blanks, capitals and a comma too much."""
    monkeypatch.setenv("DREAMINA_MEDIA_HOSTS", " Files.RunComfy.net, ,cdn.runcomfy.com,")
    assert read_settings().media_hosts == {"files.runcomfy.net", "cdn.runcomfy.com"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DREAMINA_SANDBOX_QUEUE_S", "-1"),
        ("DREAMINA_SANDBOX_QUEUE_S", "soon"),
        ("DREAMINA_SANDBOX_RUN_S", "nan"),
        ("DREAMINA_SANDBOX_PARALLEL", "0"),
        ("DREAMINA_SANDBOX_PARALLEL", "1.5"),
        ("DREAMINA_LOG_LEVEL", "LOUD"),
    ],
)
def test_an_impossible_setting_is_reported_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The owner knows the variable, not our attribute."""
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"{name}: ")


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to start a program five times to find five slips."""
    monkeypatch.setenv("DREAMINA_SANDBOX_QUEUE_S", "-1")
    monkeypatch.setenv("DREAMINA_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("RUNCOMFY_TOKEN", "a b")
    lines = refusal().splitlines()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("name", "value", "shared"),
    [
        ("DREAMINA_SHARED", "1", True), ("DREAMINA_SHARED", "0", False), ("GRADIO_SHARE", "True", True),
        ("GRADIO_SHARE", "false", False), ("GRADIO_SERVER_NAME", "0.0.0.0", True), ("GRADIO_SERVER_NAME", "::", True),
        ("GRADIO_SERVER_NAME", "127.0.0.1", False), ("GRADIO_SERVER_NAME", "localhost", False),
        ("GRADIO_ROOT_PATH", "/dreamina", True), ("SPACE_ID", "me/dreamina", True),
        ("DREAMINA_AUTH", "alice:wonderland", True), ("DREAMINA_AUTH_FILE", "logins", True),
        ("DREAMINA_TRUSTED_PROXIES", "127.0.0.1", True), ("DREAMINA_TRUSTED_PROXIES", "none", False),
    ],
)  # fmt: skip
def test_a_page_that_others_reach_counts_as_shared(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, shared: bool
) -> None:
    """Strangers spend the owner's money there: the cautious limits must hold by themselves."""
    assert not read_settings().is_shared
    monkeypatch.setenv(name, value)
    assert read_settings().is_shared is shared


def test_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is named here may say where a client comes from; a slip would let everyone say so."""
    monkeypatch.setenv("DREAMINA_TRUSTED_PROXIES", "127.0.0.1, 10.1.2.3/8,::1")
    assert read_settings().believed_proxies == {"127.0.0.1/32", "10.0.0.0/8", "::1/128"}
    for wrong in ("*", "proxy.example", "10.0.0.0/40"):
        monkeypatch.setenv("DREAMINA_TRUSTED_PROXIES", wrong)
        with pytest.raises(SettingsError, match="DREAMINA_TRUSTED_PROXIES"):
            read_settings()


@pytest.mark.parametrize(
    ("name", "value", "believed", "frames"),
    [("SPACE_ID", "a/b", "10.0.0.0/8", 2), ("GRADIO_SHARE", "1", "127.0.0.0/8", 0), ("GRADIO_ROOT_PATH", "/x", "", 0)],
)
def test_nobody_is_believed_unless_the_place_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, believed: str, frames: int
) -> None:
    """A Space is reached through Hugging Face's proxies, a share link through the tunnel on this machine."""
    assert read_settings().believed_proxies == frozenset()
    monkeypatch.setenv(name, value)
    assert not believed or believed in read_settings().believed_proxies
    assert bool(believed) == bool(read_settings().believed_proxies)
    assert len(read_settings().frame_sites) == frames
    monkeypatch.setenv("DREAMINA_TRUSTED_PROXIES", "none")
    assert read_settings().believed_proxies == frozenset()


def test_other_variables_are_not_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment has many that begin like ours."""
    monkeypatch.setenv("RUNCOMFY_SOMETHING", "x")
    monkeypatch.setenv("API_TOKEN", SECRET)
    assert Settings().uses_sandbox


def test_an_owners_password_is_neither_short_nor_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens everything, and a short one is soon guessed."""
    monkeypatch.setenv("DREAMINA_OWNER_PASSWORD", "hunter2")
    assert "DREAMINA_OWNER_PASSWORD" in refusal()
    assert "hunter2" not in refusal()
    monkeypatch.setenv("DREAMINA_OWNER_PASSWORD", "hunter2hunter2")
    assert "hunter2" not in repr(read_settings())


def test_owners_are_a_list_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty name between two commas must not make a nameless visitor the owner."""
    monkeypatch.setenv("DREAMINA_OWNERS", " alice, ,bob,")
    assert read_settings().owners == {"alice", "bob"}


def test_a_database_is_a_url_of_postgresql_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a password, and another database would fail much later."""
    monkeypatch.setenv("DREAMINA_DATABASE_URL", "mysql://me:hunter2@host/name")
    assert "DREAMINA_DATABASE_URL" in refusal()
    assert "hunter2" not in refusal()
    monkeypatch.setenv("DREAMINA_DATABASE_URL", "postgresql://me:hunter2@host/name")
    assert "hunter2" not in repr(read_settings())


@pytest.mark.parametrize(
    ("token", "reason"),
    [("", "servers that share a database cannot each have a sandbox"), (SECRET, "share the images")],
)
def test_a_database_without_the_rest_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str, reason: str
) -> None:
    """Half of a shared installation would lose images, and ask the wrong sandbox about paid jobs."""
    monkeypatch.setenv("DREAMINA_DATABASE_URL", "postgresql://host/name")
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", token)
    folder = DataDir(tmp_path / "data")
    with pytest.raises(SettingsError, match=f"DREAMINA_DATABASE_URL: .*{reason}"):
        build_services(read_settings(), folder)
    folder.release()
    assert not folder.ledger.exists()


def test_an_unknown_role_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server with a mistyped role would do nothing, or everything, without a word."""
    monkeypatch.setenv("DREAMINA_ROLE", "wroker")
    assert "DREAMINA_ROLE" in refusal()
    monkeypatch.setenv("DREAMINA_ROLE", "worker")
    folder = DataDir(tmp_path / "data")
    with pytest.raises(SettingsError, match="DREAMINA_ROLE=worker is for several servers: set DREAMINA_DATABASE_URL"):
        build_services(read_settings(), folder)
    folder.release()


@pytest.mark.parametrize("url", ["my-bucket", "https://bucket", "s3://", "s3://UPPER", "s3://b", "s3://bucket/a b"])
def test_a_media_url_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A mistake in it would show at the first paid image."""
    monkeypatch.setenv("DREAMINA_MEDIA_URL", url)
    assert "DREAMINA_MEDIA_URL" in refusal()


def test_a_bucket_is_opened_by_the_usual_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers often have them already; ours come first."""
    assert read_settings().bucket is None
    monkeypatch.setenv("DREAMINA_MEDIA_URL", "s3://bucket/a/b/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://theirs.example")
    monkeypatch.setenv("AWS_REGION", "theirs")
    bucket = read_settings().bucket
    assert bucket
    assert (bucket.bucket, bucket.prefix, bucket.key_id, bucket.secret) == ("bucket", "a/b", "id", SECRET)
    assert (bucket.endpoint, bucket.region) == ("https://theirs.example", "theirs")
    assert SECRET not in repr(read_settings()) + repr(bucket)
    monkeypatch.setenv("DREAMINA_S3_ENDPOINT", "http://ours:8333/")
    monkeypatch.setenv("DREAMINA_S3_REGION", "ours")
    bucket = read_settings().bucket
    assert bucket
    assert (bucket.endpoint, bucket.region) == ("http://ours:8333", "ours")


def test_a_bucket_that_refuses_is_refused_at_start_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong key would otherwise show at the first paid image."""
    folder = DataDir(tmp_path / "data")
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", SECRET)
    monkeypatch.setenv("DREAMINA_MEDIA_SERVE", "redirect")
    with pytest.raises(SettingsError, match="DREAMINA_MEDIA_SERVE=redirect needs DREAMINA_MEDIA_URL"):
        build_services(read_settings(), folder)
    monkeypatch.setenv("DREAMINA_MEDIA_URL", "s3://bucket/a")
    with pytest.raises(SettingsError, match="needs AWS_SECRET_ACCESS_KEY"):
        build_services(read_settings(), folder)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with BadServer() as server:
        server.script("PUT /bucket/a/probe", ScriptedResponse(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>"))
        monkeypatch.setenv("DREAMINA_S3_ENDPOINT", server.url)
        with pytest.raises(SettingsError, match="s3://bucket/a takes no files: InvalidAccessKeyId") as caught:
            build_services(read_settings(), folder)
    assert "wrong-secret" not in "".join(traceback.format_exception(caught.value))
    folder.release()


def test_programs_that_we_start_inherit_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel of a share link is somebody else's program."""
    secret = [field for field in Settings.model_fields.values() if "SecretStr" in str(field.annotation)]
    assert {item.validation_alias for item in secret if isinstance(item.validation_alias, str)} < set(SECRET_VARIABLES)
    for name in SECRET_VARIABLES:
        monkeypatch.setenv(name, "MARKED-secret")
    monkeypatch.setenv("dreamina_auth", "MARKED-secret")
    forget_secrets()
    assert "MARKED" not in subprocess.check_output(["env"], text=True)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, ""),
        ({"DREAMINA_PUBLIC_URL": "https://studio.example/"}, "https://studio.example"),
        ({"SPACE_ID": "me/studio", "SPACE_HOST": "me-studio.hf.space"}, "https://me-studio.hf.space"),
        ({"SPACE_HOST": "me-studio.hf.space"}, ""),
        ({"SPACE_ID": "me/studio", "SPACE_HOST": "evil.example"}, ""),
        (
            {"SPACE_ID": "me/studio", "SPACE_HOST": "me-studio.hf.space", "DREAMINA_PUBLIC_URL": "https://a.example"},
            "https://a.example",
        ),
    ],
)
def test_the_service_reaches_the_page_where_the_owner_or_the_space_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    """Input images go there by a link; a wrong one would make every edit fail after it was paid for."""
    for name in ("SPACE_ID", "SPACE_HOST", "DREAMINA_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings().reachable_url == url
